"""The command line: one file per command. They parse, call, print and choose the exit code."""

from __future__ import annotations

import gc

_THRESHOLD = 50_000  # objects more than a short command makes


def main() -> None:
    """The `fpx` console script."""
    # imports make much and drop nothing: looking for garbage meanwhile is 10% of a short command,
    # and a command imports what it needs when it runs
    gc.disable()
    try:
        from fpx.cli.app import app
    finally:
        gc.freeze()
        gc.enable()
    gc.set_threshold(_THRESHOLD)
    app(prog_name="fpx")
