"""How every command ends: exit codes, one-line errors, closed pipes, Ctrl-C."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import typer
import typer.main
from typer.core import TyperGroup

from fpx.errors import FpxError, escape

COMMANDS = {
    "decode": "fpx.cli.decode:decode",
    "encode": "fpx.cli.encode:encode",
    "range": "fpx.cli.ranges:ranges",
    "formats": "fpx.cli.formats:formats",
    "table": "fpx.cli.table:table",
    "distance": "fpx.cli.distance:distance",
    "bits": "fpx.cli.bits:bits",
    "inspect": "fpx.cli.inspect:inspect",
    "cast-compare": "fpx.cli.cast_compare:cast_compare",
    "cast-verify": "fpx.cli.cast_verify:cast_verify",
    "devices": "fpx.cli.devices:devices",
}
"""Every command: where its function is. A module is imported when its command is asked for."""

_TAKES_LITERALS = ("decode", "encode", "distance")  # -3.14 and -inf are no options there

INTERRUPTED = 130
INTERNAL_ERROR = 70  # EX_SOFTWARE in BSD's sysexits.h: a bug in fpx, never a result

# click's base class of usage errors, wherever this typer keeps it
_UsageError: type[Exception] = next(
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


class FpxGroup(TyperGroup):
    """Typer's group, with commands that load when they are needed and fpx's way of failing."""

    def list_commands(self, ctx: Any) -> list[str]:
        """The names of all commands."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of that name, or None."""
        if cmd_name not in COMMANDS:
            return None
        module, _, function = COMMANDS[cmd_name].partition(":")
        single = typer.Typer(
            add_completion=False, rich_markup_mode="rich", pretty_exceptions_enable=False
        )
        settings = {"ignore_unknown_options": cmd_name in _TAKES_LITERALS}
        single.command(cmd_name, context_settings=settings)(
            getattr(import_module(module), function)
        )
        return typer.main.get_command(single)

    def invoke(self, ctx: Any) -> Any:
        """Runs the command; every failure becomes a line and an exit code."""
        with _failures_explained():
            result = super().invoke(ctx)
            sys.stdout.flush()  # a closed pipe must show here, not at interpreter exit
            return result

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> Any:
        """Parses and runs; usage errors become one line too."""
        try:
            code = super().main(args, prog_name, complete_var, False, windows_expand_args, **extra)
        except _UsageError as error:
            complain(_usage_message(error))
            code = 2
        except typer.Abort:
            complain("interrupted")
            code = INTERRUPTED
        if standalone_mode:
            sys.exit(code if isinstance(code, int) else 0)
        return code


def _usage_message(error: Any) -> str:
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
def _failures_explained() -> Iterator[None]:
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
    except (typer.Exit, typer.Abort, _UsageError):
        raise
    except Exception as error:  # noqa: BLE001 - the last resort: a bug still gets one line
        _trace()
        name = type(error).__name__
        complain(f"internal error, {name}: {error} (set FPX_DEBUG=1 for the traceback)")
        raise typer.Exit(INTERNAL_ERROR) from None


def _trace() -> None:
    if os.environ.get("FPX_DEBUG"):
        traceback.print_exc()
