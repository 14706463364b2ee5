"""Checkpoints whose weights are stored in few bits, seen as the numbers that they mean."""
