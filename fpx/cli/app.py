"""The commands, and how each is loaded when it is asked for."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from inspect import cleandoc
from typing import Annotated, Any, NamedTuple

import typer
import typer.main
from typer.core import TyperGroup

from fpx.cli import config
from fpx.cli.failures import (
    INTERNAL_ERROR,
    UsageError,
    complain,
    failures_explained,
    speak_of,
    usage_message,
)
from fpx.cli.interrupts import INTERRUPTED
from fpx.cli.output import remember_command_line
from fpx.errors import CheckError, InputError, UnavailableError
from fpx.version import __version__
from fpx.words import did_you_mean, quoted

NUMBERS, FORMATS, TENSORS, MACHINE = "Numbers", "Formats", "Tensors", "This machine"


class Command(NamedTuple):
    """A command, as the help of all lists it without loading it.

    Attributes:
        group: the heading that it stands under.
        where: `module:function`.
        says: the first sentence of its own help.
    """

    group: str
    where: str
    says: str


COMMANDS = {
    "decode": Command(
        NUMBERS,
        "fpx.cli.decode:decode",
        "Show a number's bits in a format, with its exact value, error and neighbours.",
    ),
    "encode": Command(
        NUMBERS,
        "fpx.cli.encode:encode",
        "Print the code of each number, one per line and nothing else.",
    ),
    "distance": Command(
        NUMBERS,
        "fpx.cli.distance:distance",
        "Count the values between two numbers (the distance in ulps), and their exact difference.",
    ),
    "calc": Command(
        NUMBERS,
        "fpx.cli.calc:calc",
        "Compute in a format, exactly: every operation rounded once, beside the exact value.",
    ),
    "explore": Command(
        NUMBERS,
        "fpx.cli.explore:explore",
        "Play with a number's bits: flip them, step by one value, and see what becomes of it.",
    ),
    "bits": Command(
        NUMBERS,
        "fpx.cli.bits:bits",
        "Decode raw bytes as a hex dump does: offset, codes, and what they stand for.",
    ),
    "range": Command(
        FORMATS,
        "fpx.cli.ranges:ranges",
        "Show the range and precision of formats: all of them, or those that are named.",
    ),
    "formats": Command(
        FORMATS,
        "fpx.cli.formats:formats",
        "List formats: layout, special values, other names, libraries that have them, source.",
    ),
    "table": Command(
        FORMATS,
        "fpx.cli.table:table",
        "Print all values of a format by exponent and fraction, or those around a value.",
    ),
    "inspect": Command(
        TENSORS,
        "fpx.cli.inspect:inspect",
        "Show what is in tensor files: dtypes, sizes, metadata, tensors, and their values.",
    ),
    "cast-compare": Command(
        TENSORS,
        "fpx.cli.cast_compare:cast_compare",
        "Say which tensors fit a format, where others overflow or underflow, and by how much.",
    ),
    "diff": Command(
        TENSORS,
        "fpx.cli.diff:diff",
        "Compare two checkpoints, or one before and after a conversion, tensor by tensor.",
    ),
    "step-compare": Command(
        TENSORS,
        "fpx.cli.step_compare:step_compare",
        "Say which weights an update moves in a format, and which state survives in one.",
    ),
    "watch": Command(
        TENSORS,
        "fpx.cli.watch:watch",
        "Run a training script, and say what formats would do to the models in it.",
    ),
    "cast-verify": Command(
        MACHINE,
        "fpx.cli.cast_verify:cast_verify",
        "Prove what casts do: compare them with correct rounding, bit for bit.",
    ),
    "op-verify": Command(
        MACHINE,
        "fpx.cli.op_verify:op_verify",
        "Prove what functions do: compare exp, gelu and others with correct rounding, bit for bit.",
    ),
    "reveal": Command(
        MACHINE,
        "fpx.cli.reveal:reveal",
        "Reveal how operations add up here, from their outputs alone, and prove it.",
    ),
    "devices": Command(
        MACHINE,
        "fpx.cli.devices:devices",
        "Show the devices here, and what torch can do with each format on them.",
    ),
}
"""Every command by its name; a module is imported when its command is asked for."""


# -3.14 and -inf are no options there
_TAKES_LITERALS = ("decode", "encode", "distance", "calc", "explore")

_TAKES_COMMANDS = ("watch",)  # what follows the first word is another program's


class FpxGroup(TyperGroup):
    """Typer's group, with commands that load when they are needed and fpx's way of failing."""

    def list_commands(self, ctx: Any) -> list[str]:
        """The names of all commands."""
        return list(COMMANDS)

    def make_context(self, *args: Any, **extra: Any) -> Any:
        """click's; `--help` prints and ends here."""
        with failures_explained():  # typer would end without a word
            return super().make_context(*args, **extra)

    def parse_args(self, ctx: Any, args: list[str]) -> Any:
        """The arguments; `help decode` is `decode --help`."""
        if args[:1] == ["help"]:
            args = [*(name for name in args[1:2] if name != "help"), "--help"]
        return super().parse_args(ctx, args)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command that the first argument names.

        Raises:
            UsageError: there is none of that name.
        """
        if args[0] not in COMMANDS and not args[0].startswith("-"):
            ctx.fail(f"no such command: {quoted(args[0])}{did_you_mean(args[0], COMMANDS)}")
        return super().resolve_command(ctx, args)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of that name, or None."""
        if cmd_name not in COMMANDS:
            return None
        group, where, _ = COMMANDS[cmd_name]
        module, _, name = where.partition(":")
        function = getattr(import_module(module), name)
        single = typer.Typer(
            add_completion=False, rich_markup_mode="rich", pretty_exceptions_enable=False
        )
        settings = {
            "ignore_unknown_options": cmd_name in _TAKES_LITERALS,
            "allow_interspersed_args": cmd_name not in _TAKES_COMMANDS,
        }
        single.command(
            cmd_name,
            context_settings=settings,
            help=reflowed(function.__doc__ or ""),
            rich_help_panel=group,
        )(function)
        command = typer.main.get_command(single)
        command.params += config.parameters()
        speak_of(f"fpx {cmd_name}", command.params)
        return command

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Prints the help of all commands, of which none is loaded for that."""
        from fpx.render.help import print_help

        headings: dict[str, dict[str, str]] = {}
        for name, command in COMMANDS.items():
            headings.setdefault(command.group, {})[name] = command.says
        print_help(
            self.get_usage(ctx), self.help or "", self.get_params(ctx), headings, self.epilog or ""
        )

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
        words = [*(sys.argv[1:] if args is None else args)]
        remember_command_line(words)

        def run() -> Any:
            return self._run(words, prog_name, complete_var, windows_expand_args, **extra)

        if "WORLD_SIZE" in os.environ:  # a launcher started other processes beside this one
            from fpx.cli.ranks import on_all_ranks

            code = on_all_ranks(words, run)
        else:
            code = run()
        if standalone_mode:
            sys.exit(code if isinstance(code, int) else 0)
        return code

    def _run(
        self,
        args: list[str],
        prog_name: str | None,
        complete_var: str | None,
        windows_expand_args: bool,
        **extra: Any,
    ) -> Any:
        speak_of("fpx", self.params)
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
        return code


def reflowed(text: str) -> str:
    """A docstring as help: paragraphs without their line breaks, which typer would keep.

    A paragraph that begins with a line of `\\b` keeps them.
    """
    paragraphs = cleandoc(text).split("\n\n")
    return "\n\n".join(
        part.removeprefix("\b\n") if part.startswith("\b") else " ".join(part.split("\n"))
        for part in paragraphs
    )


_EXIT_CODES = {
    0: "done",
    CheckError.exit_code: "a check failed: --fail-if, --fail-on",
    InputError.exit_code: "wrong use or input",
    UnavailableError.exit_code: "not available here, or nothing could be checked",
    INTERNAL_ERROR: "a bug in fpx",
    INTERRUPTED: "interrupted",
}


_EPILOG = (
    "fpx COMMAND --help, or fpx help COMMAND, shows the options of a command, with examples.\n\n"
    "[bold]Exit codes[/bold]\n\n"
    + "\n".join(f"{code:<3}  {says}" for code, says in _EXIT_CODES.items())
)


app = typer.Typer(
    name="fpx",
    cls=FpxGroup,
    help="See what a floating-point format does to your numbers.",
    epilog=_EPILOG,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
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
            "--version", "-V", help="Print fpx's version.", callback=_print_version, is_eager=True
        ),
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
