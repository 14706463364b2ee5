"""The command line: one file per command. They parse, call, print and choose the exit code."""

from __future__ import annotations

import gc


def main() -> None:
    """The `fpx` console script."""
    # imports make much and drop nothing: looking for garbage meanwhile is 10% of a short command
    gc.disable()
    try:
        from fpx.cli.app import app
    finally:
        gc.freeze()
        gc.enable()
    app(prog_name="fpx")
