"""The command line: one file per command. They parse, call, print and choose the exit code."""

from __future__ import annotations

import gc
import os
import sys

from fpx.cli.interrupts import (
    INTERRUPTED,
    end_by_exit_code,
    remember_interrupts,
    say_interrupted,
    was_interrupted,
)

_THRESHOLD = 50_000  # objects more than a short command makes


def _open_what_is_closed() -> None:
    """Gives a process that was started without stdin, stdout or stderr (`>&-`) an empty one."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            null = os.open(os.devnull, os.O_RDWR)
            setattr(sys, name, os.fdopen(null, mode, encoding="utf-8"))


def main() -> None:
    """The `fpx` console script."""
    _open_what_is_closed()
    try:
        _run()
    except (KeyboardInterrupt, Exception):  # before the command was there to hear it
        if not was_interrupted():
            raise
        say_interrupted()
        sys.exit(INTERRUPTED)
    finally:
        end_by_exit_code()


def _run() -> None:
    remember_interrupts()
    # imports make much and drop nothing: looking for garbage meanwhile is 10% of a short command,
    # and a command imports what it needs when it runs
    gc.disable()
    try:
        from fpx.cli.app import app
    finally:
        gc.freeze()
        gc.enable()
    gc.set_threshold(_THRESHOLD)
    try:
        app(prog_name="fpx")
    finally:
        gc.freeze()  # the interpreter's exit looks for garbage too, three times
