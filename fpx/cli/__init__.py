"""The command line: one file per command. They parse, call, print and choose the exit code."""

from __future__ import annotations

import gc

gc.disable()  # until the imports are done: they make much, drop nothing; 10% of a short command

from typing import Annotated

import typer

from fpx import __version__
from fpx.cli.group import FpxGroup

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


def main() -> None:
    """The `fpx` console script."""
    gc.freeze()
    gc.enable()
    app()
