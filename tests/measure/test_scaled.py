"""Casts to formats with scales, held to their definitions in fractions."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch

import fpx
from fpx.casts import scaling as casts
from fpx.casts.device import Device
from fpx.core.blocks import BLOCK_FORMATS
from fpx.core.codec import classify, decode
from fpx.core.elements import element_value, largest
from fpx.core.quantise import Datum, QuantisedBlock, global_scale, quantise
from fpx.core.scaling import ScaledFormat, Scope
from fpx.core.spec import FormatSpec
from fpx.core.targets import find_target
from fpx.errors import UnavailableError
from fpx.measure.cast_compare import cast_compare
from fpx.measure.reference import reference_of
from fpx.report.cast_row import CastRow
from fpx.report.verdicts import Verdict
from tests.measure.definitions import cpu

GENERATOR = np.random.default_rng(7)


def scaled(name: str) -> ScaledFormat:
    target = find_target(name)
    assert isinstance(target, ScaledFormat)
    return target


def key_of(target: ScaledFormat, shape: tuple[int, ...]) -> Callable[[tuple[int, ...]], Any]:
    """What tells which scale an element has."""
    reach = target.reach
    if reach.scope is Scope.BLOCK:

        def of_block(index: tuple[int, ...]) -> Any:
            *outer, row, column = (*(0,) * (2 - len(index)), *index)
            return (*outer, row // reach.rows, column // reach.columns)

        return of_block
    if reach.scope is Scope.CHANNEL and len(shape) > 1:
        return lambda index: index[reach.axis]
    return lambda index: ()


def datum(x: float) -> Datum:
    negative = math.copysign(1, x) < 0
    if math.isfinite(x):
        return Datum(Fraction(x), negative)
    return Datum(None, negative, math.isinf(x))


Definition = dict[str, Any]


def defined(x: torch.Tensor, target: ScaledFormat) -> tuple[Definition, Counter[int]]:
    """Metrics from their definitions, and the histogram of scales."""
    key = key_of(target, tuple(x.shape))
    groups: dict[Any, list[float]] = defaultdict(list)
    for index in np.ndindex(*x.shape):
        groups[key(index)].append(x[index].item())
    everything = [abs(Fraction(v)) for v in x.flatten().tolist() if math.isfinite(v)]
    global_ = Fraction(1)
    if target.global_scale is not None:
        global_ = global_scale(max(everything, default=Fraction(0)), target)[1]
    counts: Counter[str] = Counter(dict.fromkeys(_COUNTS, 0))
    scales: Counter[int] = Counter()
    noise = clean = signal = Fraction(0)
    for values in groups.values():
        block = quantise([datum(value) for value in values], target, global_)
        amax = max((abs(Fraction(v)) for v in values if math.isfinite(v)), default=Fraction(0))
        scales[block.scale_code] += 1
        _count_scale(counts, block, values, target)
        step = (block.scale or Fraction(0)) * global_
        for value, clipped, result in zip(values, block.clipped, block.values, strict=True):
            counts["count"] += 1
            counts["clipped_count"] += clipped
            if not math.isfinite(value):
                counts["nan_input_count" if math.isnan(value) else "inf_input_count"] += 1
                counts["nan_lost_count"] += math.isnan(value) and result is not None
                counts["exact_count"] += math.isinf(value) and result is None and bool(block.scale)
                continue
            if result is None:
                counts["destroyed_count"] += 1
                continue
            counts["underflow_count"] += value != 0 and result == 0
            error = (result - Fraction(value)) ** 2
            counts["exact_count"] += not error
            noise, signal = noise + error, signal + Fraction(value) ** 2
            clean += 0 if clipped else error
        beyond = step and amax > target.clips_beyond * step
        counts["clipped_block_count"] += bool(beyond)
        for code in block.codes:
            counts["subnormal_count"] += _is_subnormal(code, target, block)
    found: Definition = dict(counts)
    found["surviving_sqnr_db"] = _db(signal, noise)
    found["clipping_loss_db"] = _db(noise, clean) if noise else 0.0
    return found, scales


def _count_scale(
    counts: Counter[str], block: QuantisedBlock, values: list[float], target: ScaledFormat
) -> None:
    zeros = all(value == 0 for value in values)
    spec, code = target.scale, block.scale_code
    counts["block_count"] += 1
    counts["zero_block_count"] += zeros
    counts["nan_scale_count"] += decode(code, spec) is None
    if not zeros:
        counts["zero_scale_count"] += block.scale == 0
        counts["subnormal_scale_count"] += classify(code, spec).value == "subnormal"


def _is_subnormal(code: int, target: ScaledFormat, block: QuantisedBlock) -> bool:
    if not isinstance(target.element, FormatSpec) or not block.scale:
        return False
    return classify(code, target.element).value == "subnormal"


def _db(signal: Fraction, noise: Fraction) -> float:
    if not noise:
        return math.inf
    ratio = signal / noise
    return (
        10 * (math.log10(ratio.numerator) - math.log10(ratio.denominator)) if ratio else -math.inf
    )


_COUNTS = (
    "count", "clipped_count", "block_count", "clipped_block_count", "zero_block_count",
    "zero_scale_count", "subnormal_scale_count", "nan_scale_count", "underflow_count",
    "subnormal_count", "nan_input_count", "inf_input_count", "nan_lost_count", "destroyed_count",
    "exact_count",
)  # fmt: skip


def agrees(row: CastRow, x: torch.Tensor, target: ScaledFormat) -> None:
    expected, scales = defined(x, target)
    for name, value in expected.items():
        if name.endswith("_db"):
            assert row.metrics[name] == pytest.approx(value, rel=1e-12, abs=1e-9), name
        else:
            assert row.metrics[name] == value, name
    if target.scale.bits <= 8:
        assert row.scale_histogram == dict(sorted(scales.items()))
    assert row.backend == "exact"


def known(row: CastRow) -> dict[str, float]:
    """The metrics that were measured."""
    return {name: value for name, value in row.metrics.items() if value is not None}


def tensor(shape: tuple[int, ...], dtype: torch.dtype = torch.float64) -> torch.Tensor:
    """Numbers of many sizes, with a block of zeros, tiny ones, and thresholds."""
    x = torch.from_numpy(
        np.array(GENERATOR.standard_normal(shape) * np.exp(GENERATOR.normal(size=shape)))
    )
    flat = x.view(-1)
    flat[:: max(len(flat) // 5, 1)] *= 1e-4
    flat[1::7] = torch.tensor([6.0, 7.0, -3.5, 1.75])[torch.arange(len(flat[1::7])) % 4].double()
    flat[: min(20, len(flat) // 2)] = 0
    return x.to(dtype)


NAMES = (
    *BLOCK_FORMATS, "mxfp4:rule=rceil", "mxfp4:block=5", "nvfp4:rule=4over6", "nvfp4:like=torchao",
    "nvfp4:like=compressed-tensors", "mxfp4:like=gguf", "e4m3fn:tensor", "e4m3fn:channel",
    "e4m3fn:channel=-1", "e5m2:block=3x4", "e4m3fn:block=128x128,scale=e8m0", "int8:channel",
    "e3m2:block=7,scale=e4m3fn", "nvfp4:block=2x8",
)  # fmt: skip


@pytest.mark.parametrize("shape", [(33,), (6, 64), (5, 37), (2, 3, 20), (1, 1), ()], ids=str)
@pytest.mark.parametrize("name", NAMES)
def test_metrics_are_their_definitions(name: str, shape: tuple[int, ...]) -> None:
    target = scaled(name)
    x = tensor(shape)
    if target.reach.axis >= len(shape) > 1:
        return
    for block in (1 << 17, 80):
        (row,) = cast_compare([x], [target], device=cpu(block)).rows
        assert (row.to, row.from_) == (target.name, "float64")
        agrees(row, x, target)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.int64])
@pytest.mark.parametrize("name", ["mxfp4", "nvfp4", "nf4", "e4m3fn:channel", "mxfp8_e5m2"])
def test_every_dtype(name: str, dtype: torch.dtype) -> None:
    x = tensor((9, 50)) * (1 if dtype.is_floating_point else 2.0**20)
    x = x.to(dtype)
    (row,) = cast_compare([x], [scaled(name)], integers=True).rows
    agrees(row, x, scaled(name))


def test_integers_beyond_two_to_53() -> None:
    """7 * 2^60 + 1 is above a tie of E2M1 that 7 * 2^60 is on: to 8, clipped; both become 6."""
    x = torch.tensor([(5 << 58) + 1, 5 << 58, 6 << 58])
    (row,) = cast_compare([x], [scaled("mxfp4")], integers=True).rows
    agrees(row, x, scaled("mxfp4"))
    assert row.max_abs_error == 2**58


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize(
    "name", ["mxfp4", "nvfp4", "nf4", "e4m3fn:tensor", "e5m2:channel", "mxfp8_e5m2:nan=element"]
)
def test_a_number_that_is_none(name: str, bad: float) -> None:
    x = tensor((4, 64))
    x[1, 40] = bad
    for block in (1 << 17, 100):
        (row,) = cast_compare([x], [scaled(name)], device=cpu(block)).rows
        agrees(row, x, scaled(name))
    if scaled(name).encoding.nonfinite.value == "block":
        assert row.destroyed_count == scaled(name).reach.columns - 1
        assert row.verdict is Verdict.LOSES_RANGE
        at = row.locations["first_destroyed"]
        assert at is not None
        assert at.index[0] == 1


@pytest.mark.parametrize("name", ["mxfp4", "nvfp4", "e4m3fn:block=128x128", "e4m3fn:channel"])
def test_order_of_storage_does_not_matter(name: str, tmp_path: Any) -> None:
    """A transposed tensor is quantised along its own last axis."""
    x = tensor((48, 40))
    (straight,) = cast_compare([x], [scaled(name)], device=cpu(256)).rows
    (turned,) = cast_compare([x.t().contiguous().t()], [scaled(name)], device=cpu(256)).rows
    np.save(tmp_path / "x.npy", np.asfortranarray(x.numpy()))
    (read,) = cast_compare([tmp_path / "x.npy"], [scaled(name)], device=cpu(256)).rows
    for other in (turned, read):
        assert known(other) == pytest.approx(known(straight), rel=1e-12, nan_ok=True)
        at, where = straight.locations["max_abs_location"], other.locations["max_abs_location"]
        assert at is not None
        assert where is not None
        assert (at.index, at.result) == (where.index, where.result)


def test_several_targets_are_as_each_alone() -> None:
    """Blocks of unlike lengths, one reading; plain targets beside."""
    x = tensor((7, 130), torch.bfloat16)
    names = ["mxfp4", "nvfp4", "e5m2:block=48", "float16", "e4m3fn:channel", "nf4:block=4096"]
    together = fpx.cast_compare(x, to=names)
    assert [row.to for row in together.rows] == [
        "mxfp4", "nvfp4", "float8_e5m2:block=48", "float16", "float8_e4m3fn:channel",
        "nf4:block=4096",
    ]  # fmt: skip
    for row in together.rows:
        (alone,) = fpx.cast_compare(x, to=row.to).rows
        assert known(alone) == pytest.approx(known(row), rel=1e-12, nan_ok=True)
        assert alone.locations == row.locations


def test_totals_add_up() -> None:
    tensors = {"a": tensor((8, 64)), "b": tensor((3, 32))}
    report = fpx.cast_compare(tensors, to="mxfp4")
    (total,) = report.totals
    for name in ("block_count", "clipped_block_count", "underflow_count", "clipped_count"):
        assert total.metrics[name] == sum(row.number(name) for row in report.rows)
    histograms = [Counter(row.scale_histogram) for row in report.rows]
    assert total.scale_histogram == dict(sorted((histograms[0] + histograms[1]).items()))
    assert total.clipped_block_rate == total.clipped_block_count / total.block_count


def test_errors_in_ulps_are_of_elements_at_their_scale() -> None:
    """Steps of 1/2 in [0, 2), 1 in [2, 4), 2 from there on, times the scale 2."""
    x = torch.zeros(32)
    x[:4] = torch.tensor([14.0, 3.5, 8.5, 1.25])  # over the step: 7, 1.75, 4.25, 0.625
    (row,) = fpx.cast_compare(x, to="mxfp4").rows
    assert row.max_error_ulp == 0.5
    assert row.mean_error_ulp == pytest.approx((-0.5 + 0.5 - 0.125 - 0.25) / 32)
    assert row.scale_histogram == {128: 1}
    (table,) = fpx.cast_compare(torch.tensor([1.0, 0.04]), to="nf4").rows
    gap = float(element_value(8, BLOCK_FORMATS["nf4"].element) or 0)
    assert table.max_error_ulp == pytest.approx((gap - float(np.float32(0.04))) / gap)


# -- verdicts --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*BLOCK_FORMATS, "e4m3fn:tensor", "e5m2:channel"])
def test_normal_numbers_fit(name: str) -> None:
    report = fpx.cast_compare("normal", to=name, size=1 << 16)
    (row,) = report.rows
    assert row.fits
    found = reference_of(scaled(name))
    assert row.reference_sqnr_db == found.sqnr_db
    assert row.underflow_excess == 0
    assert row.small_value_loss_db < 0.3


def test_outliers_cost_the_others() -> None:
    """One value of 10^6: a scale per tensor flushes the rest, one per channel its own channel."""
    x = torch.randn(64, 128, generator=torch.Generator().manual_seed(1))
    x[3, 5] = 1e6
    tensors = {
        name: fpx.cast_compare(x, to="e4m3fn", scale=name).rows[0] for name in ("tensor", "channel")
    }
    assert tensors["tensor"].verdict is Verdict.LOSES_SMALL_VALUES
    assert tensors["tensor"].decided_by == "underflow_excess"
    rate = (
        tensors["tensor"].underflow_rate - 2 * reference_of(scaled("e4m3fn:tensor")).underflow_rate
    )
    assert tensors["tensor"].underflow_excess == pytest.approx(rate)
    assert tensors["channel"].underflow_rate < 0.02


def test_clipping_costs_range() -> None:
    """Every block's values are 1.99 times a power of two, of which floor keeps 1.5."""
    x = torch.full((4, 32), 1.99)
    (row,) = fpx.cast_compare(x, to="mxfp4").rows
    assert (row.verdict, row.decided_by) == (Verdict.LOSES_RANGE, "clipping_loss_db")
    assert row.clipping_loss_db == math.inf
    assert fpx.cast_compare(x, to="mxfp4:rule=rceil").rows[0].fits
    assert fpx.cast_compare(x, to="mxfp4", tolerate_loss=math.inf).rows[0].fits


def test_small_values_lost() -> None:
    """Half of each block is at a tie of E2M1, so that its error is as large as it can be."""
    x = torch.tensor([4.0] + [2.5, 0.75, 1.25, 0.25] * 7 + [5.0] * 3).repeat(8, 1)
    (row,) = fpx.cast_compare(x, to="mxfp4", tolerate_underflow=1).rows
    assert row.small_value_loss_db == pytest.approx(
        reference_of(scaled("mxfp4")).sqnr_db - row.sqnr_db
    )
    (loose,) = fpx.cast_compare(x, to="mxfp4", tolerate_loss=0, tolerate_underflow=1).rows
    assert (loose.verdict, loose.decided_by) == (Verdict.LOSES_SMALL_VALUES, "small_value_loss_db")


# -- who casts -------------------------------------------------------------------------------------


def test_only_fpx_scales() -> None:
    with pytest.raises(UnavailableError, match="torch casts to no mxfp4"):
        fpx.cast_compare(torch.ones(3), to="mxfp4", backend="torch")
    assert fpx.cast_compare(torch.ones(3), to="mxfp4", backend="exact").rows[0].fits


class Card(Device):
    """A device that is not the CPU, though it runs there."""

    @property
    def is_cpu(self) -> bool:
        return False


@pytest.mark.parametrize("name", ["mxfp4", "nvfp4", "e4m3fn:channel"])
def test_devices_are_compared_with_the_cpu(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    card = Card(torch.device("cpu"), "a card", 64)
    x = tensor((5, 70))
    (row,) = cast_compare([x], [scaled(name)], device=card).rows
    assert row.device_mismatch_count == 0
    agrees(row, x, scaled(name))
    real = casts.quantise
    calls: list[None] = []

    def faulty(*args: Any) -> Any:
        found = real(*args)
        calls.append(None)
        if len(calls) == 1:  # the card comes first
            found.result[3] += 1
        return found

    monkeypatch.setattr("fpx.measure.scaled_casting.quantise", faulty)
    (row,) = cast_compare([x], [scaled(name)], device=card).rows
    assert row.device_mismatch_count == 1
    at = row.locations["first_device_mismatch"]
    assert at is not None
    assert at.index == (0, 3)


def test_boundaries_are_of_plain_targets() -> None:
    report = fpx.cast_compare("boundaries", to=["fp16", "mxfp4"])
    assert [row.to for row in report.rows] == ["float16"]


def test_empty_tensors() -> None:
    for name in ("mxfp4", "nvfp4", "e4m3fn:tensor", "e4m3fn:channel"):
        (row,) = fpx.cast_compare(torch.ones(0, 3), to=name).rows
        assert (row.count, row.block_count, row.fits) == (0, 0, True)
    assert largest(BLOCK_FORMATS["mxint8"].element) == Fraction(127, 64)


# -- blocks that are odd ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["mxfp4", "nvfp4", "e4m3fn:block=2x16", "e4m3fn:channel"])
def test_a_block_of_nan_and_zeros_is_no_block_of_zeros(name: str) -> None:
    x = torch.zeros(4, 16)
    x[0, 3] = math.nan
    (row,) = fpx.cast_compare(x, to=name).rows
    assert row.zero_block_count == row.block_count - 1


def test_the_scale_of_zeros_is_not_called_subnormal() -> None:
    (row,) = fpx.cast_compare(torch.zeros(2, 16), to="nvfp4:global=none,zeros=0x01").rows
    assert (row.zero_block_count, row.subnormal_scale_count) == (2, 0)


def test_nan_in_a_tile_poisons_it_alone() -> None:
    """Tiles take two passes, and NaN scales where the format has them."""
    x = torch.ones(4, 8)
    x[0, 0] = math.nan
    (row,) = fpx.cast_compare(x, to="e4m3fn:block=2x8,scale=e8m0,nan=block").rows
    assert (row.nan_scale_count, row.block_count) == (1, 2)
    assert row.destroyed_count == 15


def test_the_reference_is_without_what_clipping_costs() -> None:
    """Of the same 65,536 numbers, as a cast of them tells it."""
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(64 * 1024, generator=generator, dtype=torch.float64).view(64, 1024)
    (row,) = fpx.cast_compare(x, to="mxfp4").rows
    found = reference_of(scaled("mxfp4"))
    assert found.sqnr_db == pytest.approx(row.sqnr_db + row.clipping_loss_db)
    assert found.underflow_rate == row.underflow_rate


def test_blocks_too_long_to_share_a_reading_are_read_apart() -> None:
    """4,095 and 4,096 have no common multiple that a block would hold."""
    x = torch.randn(3, 9000, generator=torch.Generator().manual_seed(3))
    names = ["e4m3fn:block=4095", "e4m3fn:block=4096"]
    together = fpx.cast_compare(x, to=names).rows
    for name, row in zip(names, together, strict=True):
        assert row == fpx.cast_compare(x, to=name).rows[0]


def test_scales_that_are_zero_have_no_exponent() -> None:
    x = torch.tensor([[1e-200, 0.0], [2.0, 1.0]], dtype=torch.float64)
    (row,) = fpx.cast_compare(x, to="int8:channel").rows
    assert (row.zero_scale_count, row.scale_histogram) == (1, {0: 1})


def test_rows_shorter_than_a_block_are_told() -> None:
    tensors = {"conv": torch.ones(4, 3, 1), "fc": torch.ones(4, 32), "bias": torch.ones(4)}
    (note,) = fpx.cast_compare(tensors, to="mxfp4,nvfp4").notes
    assert "blocks run along the last axis, which 1 tensor has shorter than 16" in note
    assert "(such as 'conv' [4, 3, 1])" in note
    both = {**tensors, "fc": torch.ones(4, 31)}
    (note,) = fpx.cast_compare(both, to="mxfp4").notes
    assert "which 2 tensors have shorter than 32" in note
    assert fpx.cast_compare(both, to="e4m3fn", scale="channel").notes == ()
    assert fpx.cast_compare(both, to="fp16").notes == ()
