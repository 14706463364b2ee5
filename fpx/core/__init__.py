"""Exact scalars: formats, codes and numbers, on the standard library alone."""
