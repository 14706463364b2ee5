"""Casts with scales that are measured by the compiled pass, beside torch's operations."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch

from fpx.casts.scaling import scales_of
from fpx.core.scaling import ScaledFormat
from fpx.core.targets import find_target
from fpx.measure import fused, scale_table, scaled_pass
from fpx.measure.block import SourceBlock
from fpx.measure.cast_compare import cast_compare
from fpx.measure.measurement import NOTHING, Known
from fpx.measure.measurers import Chosen, choose
from fpx.measure.metrics import measure
from fpx.measure.scaled import measure_scales
from fpx.measure.scaled_casting import ScaledCasting, ScaledMeasurer
from fpx.measure.scaled_reading import scale_entry
from fpx.tensors.dtypes import origin_of
from fpx.tensors.memory import entry_of
from fpx.tensors.progress import Silent
from tests.measure.definitions import cpu, same

pytest.importorskip("numba")
_loaded = fused.load()
assert _loaded is not None
FUSED = _loaded[0]


def named(name: str) -> ScaledFormat:
    """The target of that name."""
    target = find_target(name)
    assert isinstance(target, ScaledFormat)
    return target


TARGETS = [
    named(name)
    for name in (
        "mxfp4", "mxfp6_e2m3", "mxfp6_e3m2", "mxfp8_e4m3", "mxfp8_e5m2", "mxint8", "nvfp4",
        "mxfp4:rule=ceil", "mxfp4:rule=even", "mxfp4:rule=rceil", "e4m3fn:block=128",
        "e2m1:block=48", "e5m2:block=7", "nvfp4:least=1", "int8:block=64",
    )
]  # fmt: skip


def scaled(x: torch.Tensor, target: ScaledFormat, compiled: bool, block: int) -> ScaledCasting:
    """The cast of a tensor, in blocks of about so many elements."""
    casting = ScaledCasting(origin_of(x.dtype), target, tuple(x.shape), cpu(block))
    measurer = FUSED.scaled if compiled else None
    size = block // 4 if compiled else block  # a thread takes four at once
    scale_entry(entry_of("x", x), [casting], cpu(size), Silent(), measurer)
    return casting


def alike(x: torch.Tensor, target: ScaledFormat, block: int) -> None:
    """Both ways, every statistic is the same, but for the last bits of sums."""
    plain, compiled = (scaled(x, target, way, block).stats for way in (False, True))
    same(compiled, plain)
    assert compiled.scales == plain.scales
    for name in ("unclipped_noise", "normal_noise"):
        assert compiled.squares(name).root() == pytest.approx(plain.squares(name).root(), rel=1e-12)


def data(rows: int, columns: int, dtype: torch.dtype, scale: float) -> torch.Tensor:
    """Normal numbers, some of them far out."""
    rng = np.random.default_rng(rows)
    x = rng.standard_normal((rows, columns)) * np.exp(2 * rng.standard_normal((rows, 1)))
    return torch.from_numpy(x * scale).to(torch.float32).to(dtype)


@pytest.mark.parametrize("target", TARGETS, ids=lambda t: t.name)
@pytest.mark.parametrize(
    "dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float8_e5m2], ids=str
)
def test_as_torch_measures(dtype: torch.dtype, target: ScaledFormat) -> None:
    width = target.reach.columns
    for columns, scale in ((6 * width, 1.0), (width, 2.0**-15), (2 * width, 0.0), (3, 1.0)):
        x = data(41, columns, dtype, scale)
        alike(x, target, 64 * width)


@pytest.mark.parametrize("name", ["mxfp4", "mxfp8_e5m2", "nvfp4"])
@pytest.mark.parametrize("scale", [2.0**-149, 2.0**-140, 2.0**-126, 2.0**100, 2.0**125])
def test_at_the_ends_of_float32(name: str, scale: float) -> None:
    x = data(8, 64, torch.float32, 1.0).clamp(-4, 4) * scale
    alike(x, named(name), 1 << 10)


def found(x: torch.Tensor, target: ScaledFormat, known: Known = NOTHING) -> scaled_pass.Found:
    """What the compiled pass makes of a block, which it takes."""
    result = FUSED.scaled(SourceBlock(x), target, target.reach.columns, 1, 1.0, known)
    assert result is not None
    return result


def test_what_it_takes() -> None:
    x, mxfp4, nvfp4 = (
        data(1, 64, torch.float32, 1.0).view(-1),
        *map(named, ("mxfp4", "nvfp4")),
    )
    for target in TARGETS:
        assert scaled_pass.takes(target, target.reach.columns)
        found(data(1, 4 * target.reach.columns, torch.float32, 1.0).view(-1), target)
    for name in ("nf4", "nvfp4:rule=4over6", "mxfp4:ties=away"):
        assert not scaled_pass.takes(named(name), 32)
    assert not scaled_pass.takes(mxfp4, (1 << 10) + 1)
    for special in (math.nan, math.inf):
        poisoned = x.clone()
        poisoned[5] = special
        assert FUSED.scaled(SourceBlock(poisoned), mxfp4, 32, 1, 1.0, NOTHING) is None
    for other in (
        SourceBlock(x.double()),
        SourceBlock(x.to(torch.int32)),
        SourceBlock(x, x.double()),
    ):
        assert FUSED.scaled(other, mxfp4, 32, 1, 1.0, NOTHING) is None
    x[16:32] = 0  # whose scale is 0
    assert FUSED.scaled(SourceBlock(x), nvfp4, 16, 1, 1.0, NOTHING) is None
    assert FUSED.scaled(SourceBlock(x), mxfp4, 32, 1, 1.0, NOTHING) is not None


@pytest.mark.parametrize("global_", [1.0, 0.375, 2.0**-70, 1e30])
@pytest.mark.parametrize(
    "target", [t for t in TARGETS if scale_table.fits(t)], ids=lambda t: t.name
)
def test_scales_that_are_looked_up(target: ScaledFormat, global_: float) -> None:
    """About where every scale begins, and anywhere else."""
    table = scale_table.scale_table(target, global_)
    begins = torch.from_numpy(table.begins[:-1]).to(torch.int64)
    rng = np.random.default_rng(1)
    some = torch.cat(
        [
            begins[begins < 0x7F800000],
            torch.from_numpy(rng.integers(0, 0x7F800000, 20_000)),
            torch.arange(255 << 4) << 19,
        ]
    )
    bits = torch.cat([some - 1, some, some + 1, torch.zeros(1)]).clamp(0, 0x7F7FFFFF)
    amax = bits.to(torch.int32).view(torch.float32)
    expected = scales_of(amax.double(), None, target, global_)
    kernel = FUSED._kernel
    steps, codes, counts = np.empty(len(amax)), np.zeros(256, np.int64), np.zeros(2, np.int64)
    clips = float(target.clips_beyond)
    given = (*table, scale_table.BEGINNING, clips)
    kernel.look_up_scales(amax.view(torch.int32).numpy(), *given, steps, codes, counts)
    assert np.array_equal(steps, expected.steps.numpy())
    assert codes.tolist() == torch.bincount(expected.codes.long(), minlength=256).tolist()
    told = measure_scales(expected, None, target).counts
    assert dict(zip(kernel.SCALE_COUNTS, counts.tolist(), strict=True)) == {
        name: told[name] for name in kernel.SCALE_COUNTS
    }


def test_scales_that_are_not() -> None:
    """Of more codes, or where what would be 0 is another."""
    assert not scale_table.fits(named("e4m3fn:block=128"))
    assert not scale_table.fits(named("nvfp4:underflow=1"))


@pytest.mark.parametrize("tabled", [1, 1 << 30])
def test_global_scales_with_and_without_a_table(
    tabled: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scaled_pass, "_TABLED", tabled)
    x = data(64, 64, torch.float32, 1.0)
    x[:, ::3] *= 1e-4
    x[3] *= 1e-5
    alike(x, named("nvfp4"), 1 << 10)
    x[5, :16] = 0
    alike(x, named("nvfp4"), 1 << 10)


def test_the_first_of_equals() -> None:
    x = torch.full((6400,), 0.5)
    x[3000:6000] = 5.5  # clipped by floor, and to 6 by all others
    maxima = found(x, named("mxfp4")).measurement.maxima
    assert maxima["max_abs"] == (5.5, 3000)
    assert maxima["surviving_max_abs_error"].position == 3000
    x = torch.full((6400,), 4.0)
    x[4100:6000] = 7.5
    one = found(x, named("mxfp4")).measurement
    assert one.firsts == {"overflow_count": 4100}
    assert one.counts["clipped_count"] == one.counts["saturated_count"] == 1900


def test_what_is_known_is_not_looked_for() -> None:
    x = data(2, 64, torch.float32, 1.0).view(-1)
    x[40] = 7.9
    x[41:64] /= 8
    target = named("mxfp4")
    every = found(x, target).measurement
    maxima = {name: most.value for name, most in every.maxima.items()}
    assert len(maxima) == 4
    assert every.firsts == {"overflow_count": 40}
    again = found(x, target, Known(maxima, {"overflow_count"})).measurement
    assert (again.maxima, again.firsts) == ({}, {})
    less = {name: math.nextafter(value, 0) for name, value in maxima.items()}
    assert found(x, target, Known(less)).measurement.maxima == every.maxima


def test_the_least_that_is_more_than_known() -> None:
    """A relative error that is more by the last bit of a float64."""
    target = named("nvfp4")
    numbers = data(200, 16, torch.float32, 1.0)
    for x in numbers:
        error = found(x, target).measurement.maxima["surviving_max_rel_error"]
        known = {"surviving_max_rel_error": math.nextafter(error.value, 0)}
        assert found(x, target, Known(known)).measurement.maxima["surviving_max_rel_error"] == error


@pytest.mark.parametrize("name", ["mxfp4", "nvfp4", "nf4", "e4m3fn:tensor", "mxfp4:block=16x16"])
def test_in_threads(name: str) -> None:
    """Whole blocks and cut ones, in views and across, with what is left to torch's operations."""
    x = data(300, 160, torch.float32, 1.0)
    x[40, 3], x[200, 7] = math.nan, -math.inf
    x[100] = 0
    views = [x, x.t(), x[:, :150], x[::2], x[0, :5], x.to(torch.int32).clamp(-99, 99)]
    for view in views:
        alike(view, named(name), 1 << 12)


def test_it_is_asked_for_much_data() -> None:
    assert choose([], lambda _: None, scaled=(1 << 22) - 1).scaled is None
    chosen = choose([], lambda _: None, scaled=1 << 22)
    assert chosen.scaled is not None
    asked: list[int] = []

    def scaled(
        source: SourceBlock,
        target: ScaledFormat,
        width: int,
        groups: int,
        global_: float,
        known: Known,
    ) -> None:
        asked.append(len(source.x))

    cast_compare(
        [torch.ones(3, 1 << 19)],
        [named("mxfp4")],
        measurer=Chosen(measure, "", scaled=scaled),
    )
    assert asked == [1 << 19] * 3


def test_rows_that_are_read_over() -> None:
    """A reader may write each block over the last one."""
    x = data(64, 64, torch.float32, 1.0)
    held = torch.empty(1 << 9)

    def read(limit: int) -> Iterator[torch.Tensor]:
        for start in range(0, x.numel(), len(held)):
            held.copy_(x.view(-1)[start : start + len(held)])
            yield held

    entry = replace(entry_of("x", x), read=read, lasting=False)
    found = []
    for each in (entry_of("x", x), entry):
        casting = ScaledCasting(origin_of(x.dtype), named("mxfp4"), (64, 64), cpu(1 << 7))
        scale_entry(each, [casting], cpu(1 << 7), Silent(), FUSED.scaled)
        found.append(casting.stats)
    same(*found)


@pytest.mark.parametrize("measurer", [None, FUSED.scaled], ids=["torch", "compiled"])
def test_progress_of_blocks_that_do_not_fit_together(measurer: ScaledMeasurer | None) -> None:
    """A tensor that is read once for each of two targets is told of once."""
    x = torch.ones(10, 8192)
    told: list[int] = []

    class Hears(Silent):
        def advance(self, more: int) -> None:
            told.append(more)

    targets = [named("e5m2:block=7"), named("e5m2:block=4096")]
    casts = [ScaledCasting(origin_of(x.dtype), each, (10, 8192), cpu(1 << 13)) for each in targets]
    scale_entry(entry_of("x", x), casts, cpu(1 << 13), Hears(), measurer)
    assert sum(told) == x.numel()
    assert [cast.stats.counts["count"] for cast in casts] == [x.numel()] * 2
