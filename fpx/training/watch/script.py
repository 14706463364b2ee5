"""Somebody's script, run as python would run it, while its models are watched."""

from __future__ import annotations

import runpy
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

from torch import nn

from fpx.casts.device import find_device
from fpx.casts.environment import environment
from fpx.core.spec import FormatSpec
from fpx.errors import FpxError
from fpx.report.watch import WatchReport
from fpx.report.watch_rows import KINDS
from fpx.training.watch.models import Enough, Models
from fpx.training.watch.watch import Watch

INTERRUPTED = 130
"""The exit code of a script that Ctrl-C ended."""


class Ended(NamedTuple):
    """How a script ended.

    Attributes:
        code: its exit code.
        error: what it raised and did not catch, or None.
        report: what was watched.
    """

    code: int
    error: BaseException | None
    report: WatchReport


def watch_script(
    script: str,
    arguments: Sequence[str],
    targets: tuple[FormatSpec, ...],
    *,
    module: bool = False,
    steps: int | None = None,
    every: int = 1,
    stop: bool = False,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    kinds: Sequence[str] = KINDS,
) -> Ended:
    """Runs a script and watches the models that it trains.

    Args:
        script: its path, or as of `python -m` the name of a module.
        arguments: what it finds in `sys.argv` after its name.
        module: which of the two.
        stop: whether it ends once its models were watched for `steps` steps.
        targets, steps, every, include, exclude, kinds: as of `Watch`.
    """

    def watch(model: nn.Module, done: Callable[[], None]) -> Watch:
        return Watch(
            model,
            None,
            targets,
            every=every,
            steps=steps,
            include=include,
            exclude=exclude,
            kinds=kinds,
            done=done,
        )

    names = tuple(target.name for target in targets)
    nothing = WatchReport((), names, environment([find_device("cpu")]))
    with Models(watch, stop, nothing) as models:
        code, error = _ended(lambda: _run(script, arguments, module))
    return Ended(code, error, models.report())


def _ended(run: Callable[[], None]) -> tuple[int, BaseException | None]:
    """The exit code of what runs, and what it raised if python would show that."""
    try:
        run()
    except Enough:
        return 0, None
    except SystemExit as ended:
        if ended.code is None or isinstance(ended.code, int):
            return int(ended.code or 0) & 0xFF, None
        sys.stderr.write(f"{ended.code}\n")
        return 1, None
    except KeyboardInterrupt:
        return INTERRUPTED, None
    except FpxError:
        raise  # of an option, found out when the first model was met
    except BaseException as error:  # noqa: BLE001 - whatever a script raises is its own
        return 1, error.with_traceback(_own(error.__traceback__))
    return 0, None


def _run(script: str, arguments: Sequence[str], module: bool) -> None:
    before, path = sys.argv, sys.path[:]
    sys.argv = [script, *arguments]
    sys.path[0] = str(Path.cwd() if module else Path(script).resolve().parent)
    try:
        if module:
            runpy.run_module(script, run_name="__main__", alter_sys=True)
        else:
            runpy.run_path(script, run_name="__main__")
    finally:
        sys.argv, sys.path[:] = before, path


def _own(trace: TracebackType | None) -> TracebackType | None:
    """A traceback from the script's own first line on; None if no line of it ran."""
    while trace is not None and trace.tb_frame.f_globals.get("__name__") != "__main__":
        trace = trace.tb_next
    return trace
