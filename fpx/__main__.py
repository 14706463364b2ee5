"""`python -m fpx`."""

from fpx.cli import main

main()
