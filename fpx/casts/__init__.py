"""Who casts, where, and correct rounding of whole tensors."""
