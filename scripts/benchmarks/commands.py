"""Short commands: how soon they start, and how fast numbers go through their pipes."""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import partial

from scripts.benchmarks.processes import FPX, PYTHON, output
from scripts.benchmarks.results import Found, Sizes
from scripts.benchmarks.turns import turns

_LIBRARIES = "import typer, rich.table"
STREAMED = ("float32", "bfloat16")
"""The formats that numbers are streamed to: of many different codes, and of few."""

_TIMES = 4  # as many turns as elsewhere: processes start in tenths of a second


def start(arguments: Sequence[str], sizes: Sizes) -> Found:
    """A whole command, beside a Python that imports what draws and parses: both as processes."""
    works = {
        "fpx": partial(output, *FPX, *arguments),
        "imports": partial(output, *PYTHON, "-c", _LIBRARIES),
    }
    for work in works.values():
        work()
    taken = {name: each.least for name, each in turns(works, _TIMES * sizes.rounds).items()}
    return Found((taken["fpx"] / taken["imports"],), taken, "s")


def stream(arguments: Sequence[str], sizes: Sizes) -> Found:
    """Values a second through a pipe, for each of STREAMED: the time of many beyond that of one."""
    draw = random.Random(0)  # noqa: S311 - no secret
    lines = [f"{draw.gauss(0, 1)!r}\n".encode() for _ in range(sizes.values)]
    works = {}
    for name in STREAMED:
        command = partial(output, *FPX, *arguments, "-", "--dtype", name)
        works[f"{name}, one line"] = partial(command, stdin=lines[0])
        works[name] = partial(command, stdin=b"".join(lines))
        works[f"{name}, one line"]()
    taken = {name: each.least for name, each in turns(works, sizes.rounds).items()}
    rates = tuple(
        (len(lines) - 1) / (taken[name] - taken[f"{name}, one line"]) for name in STREAMED
    )
    return Found(rates, taken, "s", f"{len(lines):,} lines such as {lines[0].decode().strip()}")
