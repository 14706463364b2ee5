"""cast-compare of tensors in memory: `fpx.cast_compare` as users call it, with all metrics.

Rates are gigabytes of the source per second, whatever a competitor reads and writes beside.
torch takes as many threads as it does by itself.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

import fpx
from fpx.report.cast_compare import CastReport
from scripts.benchmarks.peers import peer_rates
from scripts.benchmarks.plain import check, plain
from scripts.benchmarks.processes import PYTHON, busy_cores, output
from scripts.benchmarks.results import QUICK, Found, NotRunError, Sizes
from scripts.benchmarks.turns import rates, turns

TRIP, TO, PLAIN = "x.to(d).to(x.dtype)", "x.to(d)", "plain"
_SOME = QUICK.elements  # enough for fpx to compile
FLOAT8 = ("float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz")


def eight(source: str) -> tuple[str, ...]:
    """Eight targets of a source of 16 bits: all that torch casts it to, but for itself."""
    other = "float16" if source == "bfloat16" else "bfloat16"
    return (other, "float32", "float64", *FLOAT8, "float8_e8m0fnu")


def normal(count: int, dtype: str = "float32") -> Tensor:
    """Normally distributed numbers, the same ones every time."""
    drawn = torch.randn(count, generator=torch.Generator().manual_seed(0))
    return drawn.to(getattr(torch, dtype))


def compare(x: Tensor, *targets: str) -> Callable[[], CastReport]:
    """cast-compare of a tensor; called for some of it, so that all that it needs is loaded."""
    fpx.cast_compare(x[:_SOME], targets)
    return partial(fpx.cast_compare, x, targets)


def round_trips(x: Tensor, *targets: str) -> Callable[[], object]:
    """`x.to(d).to(x.dtype)` for each target d."""
    return lambda: [x.to(getattr(torch, name)).to(x.dtype).numel() for name in targets]


def measured_plainly(x: Tensor, *targets: str) -> Callable[[], object]:
    """The metrics of each cast by operations on whole tensors; see `plain`."""
    return lambda: [plain(x, getattr(torch, name)) for name in targets]


def one(target: str, sizes: Sizes) -> Found:
    """float32 to one target: beside torch's round trip, its cast, and the plain measurer.

    What the plain one finds has to be what fpx finds.
    """
    x = normal(sizes.elements)
    dtype = getattr(torch, target)
    works = {
        "fpx": compare(x, target),
        TRIP: round_trips(x, target),
        TO: lambda: x.to(dtype),
        PLAIN: measured_plainly(x, target),
    }
    found = turns(works, sizes.rounds)
    _check(found["fpx"].result, found[PLAIN].result)
    speed = rates(found, x.nbytes)
    figures = tuple(speed["fpx"] / speed[name] for name in (TRIP, TO, PLAIN))
    return Found(figures, speed | peer_rates(x, target))


def _check(report: CastReport, plainly: Sequence[object]) -> None:
    for row, told in zip(report.rows, plainly, strict=True):
        check(row, told)  # type: ignore[arg-type]


_BUSY = 3
"""Turns beside busy processes for each that others have."""


def busy(target: str, sizes: Sizes) -> Found:
    """The same call, quiet and beside one spinning process per core, in turns; medians of both.

    Here the turns themselves are what is measured: a busy machine's least time says little. They
    differ by a quarter, so that there are more of them.
    """
    work = compare(normal(sizes.elements), target)
    size = 4 * sizes.elements
    taken: dict[str, list[float]] = {"quiet": [], "busy": []}
    for _ in range(_BUSY * sizes.rounds):
        taken["quiet"].append(_seconds(work))
        with busy_cores():
            taken["busy"].append(_seconds(work))
    speed = {name: size / statistics.median(each) / 1e9 for name, each in taken.items()}
    return Found((speed["busy"] / speed["quiet"],), speed)


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def outside(count: int, target: str) -> tuple[Tensor, Tensor]:
    """float32 that all overflows in bfloat16 or float16, and such that is all subnormal there."""
    limits = torch.finfo(getattr(torch, target))
    x = normal(count)
    share = x.abs().clamp(2.0**-6, 1.0)
    ulp = limits.eps * 2.0 ** math.floor(math.log2(limits.max))
    # float32 ends an ulp above bfloat16
    above = ulp * (0.5 + 0.25 * share) if target == "bfloat16" else limits.max * share
    over = limits.max + above
    return x.sign() * over, x.sign() * share * limits.smallest_normal / 2


def strange(target: str, sizes: Sizes) -> Found:
    """Data that all overflows or is all subnormal in the target, beside normal numbers."""
    beyond, below = outside(sizes.elements, target)
    works = {
        "normal numbers": compare(normal(sizes.elements), target),
        "all overflow": compare(beyond, target),
        "all subnormal": compare(below, target),
    }
    speed = rates(turns(works, sizes.rounds), beyond.nbytes)
    usual, *others = speed.values()
    return Found(tuple(other / usual for other in others), speed)


def many(source: str, sizes: Sizes) -> Found:
    """Eight targets of a source of 16 bits in one call: beside reading it as float32, and plain."""
    x = normal(sizes.elements, source)
    targets = eight(source)
    works = {
        "fpx": compare(x, *targets),
        "x.to(float32)": lambda: x.to(torch.float32),
        PLAIN: measured_plainly(x, *targets),
    }
    found = turns(works, sizes.rounds)
    _check(found["fpx"].result, found[PLAIN].result)
    speed = rates(found, x.nbytes)
    return Found((speed["fpx"] / speed["x.to(float32)"], speed["fpx"] / speed[PLAIN]), speed)


def float8s(sizes: Sizes) -> Found:
    """float32 to four float8 targets in one call, beside torch's four round trips."""
    x = normal(sizes.elements)
    works = {"fpx": compare(x, *FLOAT8), TRIP: round_trips(x, *FLOAT8)}
    speed = rates(turns(works, sizes.rounds), x.nbytes)
    note = f"peers cast to {FLOAT8[0]} alone"
    return Found((speed["fpx"] / speed[TRIP],), speed | peer_rates(x, FLOAT8[0]), note=note)


def scaled(target: str, sizes: Sizes) -> Found:
    """float32 to a block format, beside fpx's own float32 to bfloat16."""
    x = normal(sizes.elements)
    works = {"fpx": compare(x, target), "fpx, bfloat16": compare(x, "bfloat16")}
    speed = rates(turns(works, sizes.rounds), x.nbytes)
    return Found((speed["fpx"] / speed["fpx, bfloat16"],), speed | peer_rates(x, target))


def double(sizes: Sizes) -> Found:
    """float64 to float16, which torch rounds twice; the second rounding is part of the errors."""
    x = normal(sizes.elements, "float64")
    works = {"fpx": compare(x, "float16"), TRIP: round_trips(x, "float16")}
    speed = rates(turns(works, sizes.rounds), x.nbytes)
    return Found((speed["fpx"] / speed[TRIP],), speed | peer_rates(x, "float16"))


_MEMORY = """
import torch
import fpx
from fpx.measure import fused

def peak():  # in bytes; getrusage would tell that of the process which started this one
    with open("/proc/self/status") as file:
        return next(1024 * int(line.split()[1]) for line in file if line.startswith("VmHWM"))

fpx.cast_compare(torch.ones(1000), {targets})  # what a first call loads
loaded = fused.load()
if loaded is not None:
    loaded[0].prepare(torch.float32)
x = torch.empty({elements}).normal_()
with open("/proc/self/clear_refs", "w") as file:
    file.write("5")  # forget an older peak
before = peak()
fpx.cast_compare(x, {targets})
print((peak() - before) / 1e6)
"""


def memory(sizes: Sizes) -> Found:
    """The peak of memory during cast-compare of a tensor, beyond what was taken just before.

    That has the libraries, the compiled kernel and the tensor in it. In a process of its own.
    """
    if not Path("/proc/self/clear_refs").exists():
        raise NotRunError("this system does not tell a process its peak of memory since a moment")
    script = _MEMORY.format(elements=sizes.elements, targets=("bfloat16", "float16"))
    return Found((float(output(*PYTHON, "-c", script)),))


def cuda(sizes: Sizes) -> Found:
    """float32 to bfloat16 on the first CUDA device, beside a copy there; bytes of one side."""
    if not torch.cuda.is_available():
        raise NotRunError("torch sees no CUDA device here")
    x = torch.randn(8 * sizes.elements, device="cuda")
    into = torch.empty_like(x)

    def copy() -> None:
        into.copy_(x)
        torch.cuda.synchronize()

    def work() -> object:
        return fpx.cast_compare(x, "bfloat16", device="cuda")

    copy()
    work()
    speed = rates(turns({"fpx": work, "copy": copy}, sizes.rounds), x.nbytes)
    return Found((speed["fpx"] / speed["copy"],), speed)
