"""Measures cast-compare beside bare passes of torch; started by scripts/bench-cast."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial

import torch

import fpx

COUNT, REPEATS, BLOCK = 1 << 23, 7, 1 << 17
SOURCES = ("float32", "float64", "float16", "bfloat16", "float8_e5m2")
TARGETS = ("float16", "bfloat16", "float8_e4m3fn")
ROWS: tuple[tuple[str, ...], ...] = (*((name,) for name in TARGETS), TARGETS[:2])


def seconds(*works: Callable[[], object]) -> list[float]:
    """The median time of each, run in turns: what else the machine does slows all alike."""
    times: list[list[float]] = [[] for _ in works]
    for _ in range(REPEATS):
        for work, taken in zip(works, times, strict=True):
            start = time.perf_counter()
            work()
            taken.append(time.perf_counter() - start)
    return [statistics.median(taken) for taken in times]


def round_trip(x: torch.Tensor, targets: Sequence[str]) -> None:
    """The least that such a comparison does: there and back, a block at a time."""
    for start in range(0, len(x), BLOCK):
        block = x[start : start + BLOCK]
        for name in targets:
            block.to(getattr(torch, name)).to(torch.float32)


def read(x: torch.Tensor) -> None:
    """One pass over the bytes."""
    x.view(torch.uint8).view(torch.float32).sum()


def main() -> None:
    """Prints one line per source and target or targets."""
    torch.manual_seed(0)
    print("GB/s of source bytes, the targets of a row in one pass")
    print("source      target(s)            fpx  x.to(target).to(float32)  x.sum()")
    for source in SOURCES:
        x = torch.randn(COUNT).to(getattr(torch, source))
        for targets in ROWS:
            times = seconds(
                partial(fpx.cast_compare, x, targets),
                partial(round_trip, x, targets),
                partial(read, x),
            )
            ours, bare, reading = (x.nbytes / taken / 1e9 for taken in times)
            row = f"{source:11} {' + '.join(targets):18} {ours:5.2f}  {bare:24.2f}  {reading:7.2f}"
            print(row, flush=True)


if __name__ == "__main__":
    main()
