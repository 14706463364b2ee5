"""The commands, and how each is loaded when it is asked for."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Annotated, Any

import typer
import typer.main
from typer.core import TyperGroup

from fpx.cli import config
from fpx.cli.failures import (
    INTERRUPTED,
    UsageError,
    complain,
    failures_explained,
    speak_of,
    usage_message,
)
from fpx.version import __version__

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
        command = typer.main.get_command(single)
        command.params += config.parameters()
        speak_of(f"fpx {cmd_name}", command.params)
        return command

    def invoke(self, ctx: Any) -> Any:
        """Runs the command; every failure becomes a line and an exit code."""
        with failures_explained():
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
        speak_of("fpx")
        try:
            with failures_explained():  # those of help too
                code = super().main(
                    args, prog_name, complete_var, False, windows_expand_args, **extra
                )
                sys.stdout.flush()
        except typer.Exit as error:
            code = error.exit_code
        except UsageError as error:
            complain(usage_message(error))
            code = 2
        except typer.Abort:
            complain("interrupted")
            code = INTERRUPTED
        if standalone_mode:
            sys.exit(code if isinstance(code, int) else 0)
        return code


app = typer.Typer(
    name="fpx",
    cls=FpxGroup,
    help="See what a floating-point format does to your numbers.",
    epilog="fpx COMMAND --help shows the options of a command, with examples.",
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"fpx {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print fpx's version.", callback=_print_version, is_eager=True
        ),
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
