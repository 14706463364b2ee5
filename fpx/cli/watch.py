"""`fpx watch`: a training script, and what formats would do to the models in it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from importlib.util import find_spec
from io import UnsupportedOperation
from pathlib import Path
from typing import Annotated

import typer

from fpx.cli import options
from fpx.cli.options import complete_format
from fpx.cli.output import SCREEN, Output, show
from fpx.errors import InputError
from fpx.report.watch import WatchReport
from fpx.report.watch_rows import KINDS, TARGETS
from fpx.words import quoted, quoted_path


@options.output_forms
def watch(
    script: Annotated[
        str, typer.Argument(metavar="SCRIPT", help="A Python file that trains.", show_default=False)
    ],
    arguments: Annotated[
        list[str] | None,
        typer.Argument(metavar="ARGUMENT...", help="What the script is given.", show_default=False),
    ] = None,
    module: Annotated[
        bool, typer.Option("--module", "-m", help="SCRIPT is a module's name, as of python -m.")
    ] = False,
    to: Annotated[
        list[str] | None,
        typer.Option(
            "--to",
            metavar="FORMAT",
            help="Target format of up to 20 bits; repeat for several, or write fp16,bf16; all16 "
            f"and all8 are those of so many bits. Without it: {' and '.join(TARGETS)}.",
            autocompletion=complete_format,
            show_default=False,
        ),
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option(
            help="Steps of optimizers that are watched, of each model. Without it: all.",
            show_default=False,
        ),
    ] = None,
    every: Annotated[int, typer.Option(help="Count one step in so many.")] = 1,
    stop: Annotated[
        bool, typer.Option("--stop", help="End the script once --steps were watched.")
    ] = False,
    include: Annotated[
        list[str] | None,
        typer.Option(
            "--include",
            metavar="PATTERN",
            help="Only modules and parameters of such names: a glob like 'layers.*', or re: and a "
            "regular expression; repeat for several.",
            show_default=False,
        ),
    ] = None,
    exclude: Annotated[
        list[str] | None,
        typer.Option(
            "--exclude", metavar="PATTERN", help="None of such names.", show_default=False
        ),
    ] = None,
    tensors: Annotated[
        list[str] | None,
        typer.Option(
            help="What to look at; repeat for several. Without it: all.",
            show_default=False,
            **options.one_of(KINDS),
        ),
    ] = None,
    whole: Annotated[bool, typer.Option("--all", help="Show all rows.")] = False,
    how: Output = SCREEN,
) -> None:
    """Run a training script, and say what formats would do to the models in it.

    Every model that an optimizer steps is watched while the script runs as it always does: what
    its modules return, the gradients of that, the weight gradients that the optimizer is given, how
    many weights each step moves, and what the optimizer keeps. All of it is counted exactly, for
    all formats in one pass. The report comes after the script's own output, and the exit code is
    the script's. With --json, --csv and the like the script's output goes to stderr.

    Options come before SCRIPT; what comes after it is the script's.

    [bold]Examples[/bold]

    \b
    fpx watch train.py
    fpx watch --steps 20 --stop train.py --lr 1e-4
    fpx watch --to fp16,e5m2 --every 10 --save report.json train.py
    fpx watch --include 'layers.*' --tensors update -m package.train
    """
    if stop and steps is None:
        raise InputError("`stop` ends the script after `steps`: say how many")
    _check(script, module)

    from fpx.render.watch import ROWS, watch_tables
    from fpx.training.watch.script import watch_script
    from fpx.training.watch.targets import watched_formats

    targets = watched_formats(to or TARGETS)
    with _stdout_kept(how.form != "text"):
        ended = watch_script(
            script,
            arguments or (),
            targets,
            module=module,
            steps=steps,
            every=every,
            stop=stop,
            include=include or (),
            exclude=exclude or (),
            kinds=tensors or KINDS,
        )
        if ended.error is not None:
            sys.excepthook(type(ended.error), ended.error, ended.error.__traceback__)

    def draw(report: WatchReport) -> object:
        return watch_tables(report, None if whole else ROWS)

    if os.environ.get("RANK", "0") == "0":  # of processes that train together, the first tells
        show(ended.report, how, draw)
    if ended.code:
        raise typer.Exit(ended.code)


def _check(script: str, module: bool) -> None:
    """Refuses what is no script.

    Raises:
        InputError: there is no such file or module.
    """
    if not module:
        if not Path(script).is_file():
            raise InputError(f"{quoted_path(script)} is no file: name a Python script")
        return
    top = script.partition(".")[0]
    sys.path.insert(0, str(Path.cwd()))
    try:
        known = top.isidentifier() and find_spec(top) is not None
    finally:
        del sys.path[0]
    if not known:
        raise InputError(f"there is no module {quoted(script)} here")


@contextmanager
def _stdout_kept(away: bool) -> Iterator[None]:
    """Has what is written to stdout, by other processes too, go to stderr for a while."""
    if not away:
        yield
        return
    try:
        out, err = sys.stdout.fileno(), sys.stderr.fileno()
    except UnsupportedOperation:  # somebody put others in their place
        with redirect_stdout(sys.stderr):
            yield
        return
    sys.stdout.flush()
    kept = os.dup(out)
    os.dup2(err, out)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(kept, out)
        os.close(kept)
