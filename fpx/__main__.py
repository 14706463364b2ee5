"""`python -m fpx`."""

from fpx.cli import app

app(prog_name="fpx")
