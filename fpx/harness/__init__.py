"""Tensors: where they come from, how they are cast, and what the cast did to them."""
