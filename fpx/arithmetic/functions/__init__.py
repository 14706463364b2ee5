"""Functions of torch and numpy, held to their correctly rounded results."""
