"""`fpx explore`: a number's bits to play with, on a terminal or in a browser."""
