"""How every command ends: exit codes, one-line errors, closed pipes, Ctrl-C."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer.main

from fpx.errors import FpxError
from fpx.words import escape

INTERRUPTED = 130
INTERNAL_ERROR = 70  # EX_SOFTWARE in BSD's sysexits.h: a bug in fpx, never a result


# click's base class of usage errors, wherever this typer keeps it
UsageError: type[Exception] = next(
    base for base in typer.BadParameter.__mro__ if base.__name__ == "ClickException"
)


_LONGEST_LINE = 1000  # characters


def complain(message: str) -> None:
    """One line on stderr."""
    line = escape(" ".join(message.split()))
    if len(line) > _LONGEST_LINE:  # a file's own names can have any length
        line = f"{line[:_LONGEST_LINE]}…"
    sys.stderr.write(f"fpx: {line}\n")
    sys.stderr.flush()


def usage_message(error: Any) -> str:
    command = error.ctx.command_path if getattr(error, "ctx", None) else "fpx"
    parameter = getattr(error, "param", None)
    message = str(getattr(error, "message", None) or error).rstrip(".")
    if parameter is not None:
        is_option = parameter.param_type_name == "option"
        name = max(parameter.opts, key=len) if is_option else parameter.make_metavar(error.ctx)
        if type(error).__name__ == "MissingParameter":
            message = f"{name} is missing"
        else:
            message = f"{name}: {message}"
    elif message[:1].isalpha():
        message = message[0].lower() + message[1:]
    return f"{message} (see {command} --help)"


@contextmanager
def failures_explained() -> Iterator[None]:
    try:
        yield
    except FpxError as error:
        _trace()
        complain(str(error))
        raise typer.Exit(error.exit_code) from None
    except KeyboardInterrupt:
        _trace()
        complain("interrupted")
        raise typer.Exit(INTERRUPTED) from None
    except BrokenPipeError:
        # the reader has had enough; keep the interpreter's exit from flushing into the void
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(0) from None
    except (typer.Exit, typer.Abort, UsageError):
        raise
    except Exception as error:  # noqa: BLE001 - the last resort: a bug still gets one line
        _trace()
        name = type(error).__name__
        complain(f"internal error, {name}: {error} (set FPX_DEBUG=1 for the traceback)")
        raise typer.Exit(INTERNAL_ERROR) from None


def _trace() -> None:
    if os.environ.get("FPX_DEBUG"):
        traceback.print_exc()
