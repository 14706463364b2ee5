"""Scaled casts that round elements stochastically: scales as ever, the rest held to fractions."""

from __future__ import annotations

import json
import math
import random
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import fpx
from fpx.casts.device import Device
from fpx.casts.random_words import WORD_BITS, words_at
from fpx.core.elements import element_value, largest
from fpx.core.policy import Scheme, Stochastic
from fpx.core.quantise import QuantisedBlock, global_scale, quantise
from fpx.core.scaling import ScaledFormat
from fpx.measure import fused
from fpx.measure.block import SourceBlock
from fpx.measure.cast_compare import cast_compare
from fpx.measure.casting import Where
from fpx.measure.measurers import Chosen
from fpx.measure.metrics import measure
from fpx.measure.reference import reference_of
from fpx.measure.scaled_reading import scale_entry
from fpx.measure.shares import parts
from fpx.measure.stochastic_scaled_casting import Draws, StochasticScaledCasting
from fpx.report.cast_compare import CastReport
from fpx.tensors.dtypes import origin_of
from fpx.tensors.memory import entry_of
from fpx.tensors.progress import Silent
from tests.casts.test_scaled_stochastic import magnitudes
from tests.helpers import call
from tests.measure.definitions import cpu
from tests.measure.scaled_exactly import beside
from tests.measure.test_scaled import Card, datum, key_of, known, scaled, tensor
from tests.ranks.teams import close, rehearse

ROUNDED = [Stochastic(), Stochastic(1), Stochastic(4), Stochastic(9, Scheme.B),
           Stochastic(32, Scheme.C)]  # fmt: skip
NAMES = (
    "mxfp4", "mxfp6_e3m2", "mxfp8_e4m3", "mxfp8_e5m2", "mxint8", "nvfp4", "nf4", "fp4_bnb",
    "nvfp4:rule=4over6", "mxfp4:ties=away", "mxfp4:block=5", "e4m3fn:tensor", "e4m3fn:channel",
    "e5m2:block=3x4", "int8:channel", "nvfp4:block=2x8", "e2m1:block=8,scale=e4m3fn",
)  # fmt: skip
"""Targets of every reach, of every kind of element."""


class Element(NamedTuple):
    """An element of a tensor beside its two neighbours; what is `None` has no number.

    Attributes:
        x: it, in front of its block.
        step: its scale times the global one.
        nearest: the element nearest to it.
        toward, further: the elements around it, toward zero and away from it.
        beyond, last: whether all draws, or some, go beyond the largest element.
    """

    x: float
    step: Fraction | None
    nearest: Fraction | None
    toward: Fraction = Fraction(0)
    further: Fraction = Fraction(0)
    distance: Fraction = Fraction(0)
    beyond: bool = False
    last: bool = False


def elements_of(x: torch.Tensor, target: ScaledFormat) -> Iterator[Element]:
    """The elements of a tensor, in row-major order, from `fpx.core.quantise` and fractions."""
    key = key_of(target, tuple(x.shape))
    groups: dict[Any, list[tuple[int, ...]]] = defaultdict(list)
    for index in np.ndindex(*x.shape):
        groups[key(index)].append(index)
    numbers = [abs(Fraction(value)) for value in x.flatten().tolist() if math.isfinite(value)]
    global_ = Fraction(1)
    if target.global_scale is not None:
        global_ = global_scale(max(numbers, default=Fraction(0)), target)[1]
    found: dict[tuple[int, ...], Element] = {}
    for indexes in groups.values():
        data = [datum(x[index].item()) for index in indexes]
        block = quantise(data, target, global_)
        for at, index in enumerate(indexes):
            found[index] = element_of(x[index].item(), block, at, target)
    return (found[index] for index in np.ndindex(*x.shape))


def element_of(x: float, block: QuantisedBlock, at: int, target: ScaledFormat) -> Element:
    value = element_value(block.codes[at], target.element)
    if block.scale is None or not math.isfinite(x):
        return Element(x, None, value)
    step = block.scale * block.global_scale
    if not step:
        return Element(x, step, Fraction(0))
    ratio = Fraction(x) / step
    sign = -1 if ratio < 0 else 1
    every = [*magnitudes(target, ratio < 0)]
    uniform = target.element.fraction_bits is not None
    if uniform:  # one more, as if the elements went on
        every.append(2 * every[-1] - every[-2])
    if abs(ratio) >= every[-1] and (uniform or abs(ratio) > every[-1]):
        top = sign * largest(target.element)
        return Element(x, step, value, top, top, beyond=True)
    place = bisect_right(every, abs(ratio))
    below = every[place - 1]
    above = every[place] if place < len(every) else below + 1
    part = (abs(ratio) - below) / (above - below)
    last = part != 0 and below == largest(target.element)
    return Element(x, step, value, sign * below, sign * above, part, last=last)


def drawn_of(found: Element, rounding: Stochastic, word: int, target: ScaledFormat) -> Fraction:
    """The element that a word chooses."""
    chance = rounding.away(found.distance)
    if rounding.bits is None:
        up = word < chance * (1 << WORD_BITS)
    else:
        up = (word >> (WORD_BITS - rounding.bits)) >= (1 - chance) * (1 << rounding.bits)
    top = largest(target.element)
    return max(-top, min(top, found.further if up else found.toward))


class Noted(StochasticScaledCasting):
    """A cast whose results are kept."""

    def take(self, source: SourceBlock, start: int, where: Where) -> torch.Tensor:
        found = super().take(source, start, where)
        self.results = [*getattr(self, "results", []), *found.tolist()]
        return found


def some(shape: tuple[int, ...], scale: float = 1.0) -> torch.Tensor:
    """Numbers of many sizes, exact elements and halfway ones among them."""
    return tensor(shape) * scale


@pytest.mark.parametrize("rounding", ROUNDED, ids=lambda each: each.value)
@pytest.mark.parametrize("name", NAMES)
def test_draws_and_expectations_are_those_of_fractions(name: str, rounding: Stochastic) -> None:
    as_fractions(some((5, 48)).to(torch.float32), scaled(name), rounding)


@pytest.mark.parametrize("rounding", ROUNDED, ids=lambda each: each.value)
@pytest.mark.parametrize("name", ["nf4", "fp4_bnb", "int8:channel", "mxfp4", "nvfp4:scale=fp16"])
def test_integers_beyond_two_to_53(name: str, rounding: Stochastic) -> None:
    """Where draws turn, and one beside that."""
    target, rng = scaled(name), random.Random(name)
    values = magnitudes(target, False)
    for _ in range(4):
        row = [(rng.randrange(1 << 23, 1 << 24) | 1) << 39]
        step = next(elements_of(torch.tensor([row]), target)).step
        assert step
        while len(row) < 64:
            at, part = rng.randrange(len(values) - 1), Fraction(rng.randrange(1 << 5), 1 << 5)
            turn = values[at] + (values[at + 1] - values[at]) * part
            row += [int(v) for v in beside(turn * step, torch.int64) if v <= row[0]]
        for sign in (1, -1):
            as_fractions(torch.tensor([row[:64]]) * sign, target, rounding)


def as_fractions(x: torch.Tensor, target: ScaledFormat, rounding: Stochastic) -> None:
    """Draws and expectations are those of fractions."""
    every = list(elements_of(x, target))
    words = words_at(3, "x", 0, x.numel()).tolist()
    expected = [
        float(drawn_of(each, rounding, word, target) * each.step) if each.step is not None else 0.0
        for each, word in zip(every, words, strict=True)
    ]
    draws = Draws(rounding, 3, "x")
    casting = Noted(origin_of(x.dtype), target, tuple(x.shape), cpu(80), draws)
    scale_entry(entry_of("x", x), [casting], cpu(80), Silent())
    assert casting.results == expected
    (row,) = cast_compare([{"x": x}], [target], rounding=rounding, seed=3, integers=True).rows
    agree(row.metrics, every, expected, rounding)


@pytest.mark.parametrize("name", ["mxfp4", "e4m3fn:channel"])
def test_the_cpu_that_a_device_is_compared_with_draws_the_same(name: str) -> None:
    x = some((5, 70))
    card = Card(torch.device("cpu"), "a card", 64)
    (row,) = cast_compare([{"x": x}], [scaled(name)], device=card, rounding=Stochastic()).rows
    assert row.metrics["device_mismatch_count"] == 0


def agree(metrics: Any, every: list[Element], results: list[float], rounding: Stochastic) -> None:
    """The metrics of draws from their definitions."""
    steady = [each for each in every if each.step is not None and not (each.beyond or each.last)]
    bias = nearest_bias = Fraction(0)
    for each in steady:
        assert each.step is not None
        assert each.nearest is not None
        gap = abs(each.further - each.toward)
        if not each.step:
            continue
        sign = -1 if each.x < 0 else 1
        bias += sign * (rounding.away(each.distance) - each.distance)
        nearest_bias += (each.nearest - Fraction(each.x) / each.step) / gap
    small = [each for each in every if each.step is not None and each.x and not each.toward]
    overflow = sum((rounding.away(each.distance) for each in every if each.last), Fraction(0))
    overflow += sum(each.beyond for each in every)
    expected = {
        "expected_mean_error_ulp": bias / len(steady),
        "nearest_mean_error_ulp": nearest_bias / len(steady),
        "expected_underflow_count": sum(1 - rounding.away(each.distance) for each in small),
        "nearest_underflow_count": sum(each.nearest == 0 for each in small),
        "expected_overflow_count": overflow,
        "underflow_count": sum(
            bool(each.x) and not result for each, result in zip(every, results, strict=True)
        ),
    }
    for name, value in expected.items():
        assert metrics[name] == pytest.approx(float(value), rel=1e-12, abs=1e-12), name


def test_a_block_whose_scale_is_zero_becomes_zero_whatever_is_drawn() -> None:
    """Its scale underflows beside a large number: that is no draw, but counts as lost."""
    x = torch.full((1, 32), 1e-6)
    x[0, 16:] = torch.linspace(50, 100, 16)
    target = scaled("nvfp4")
    (row,) = cast_compare([x], [target], rounding=Stochastic()).rows
    assert row.metrics["zero_scale_count"] == 1
    assert row.metrics["expected_underflow_count"] == pytest.approx(16, abs=0.5)
    assert row.metrics["underflow_count"] in (16, 17)
    step = 2**-9 * 100 / (448 * 6)  # the smallest scale, times the global one
    lost = 1e-6 / step / 0.5  # of the smallest element
    assert row.number("expected_mean_error_ulp") == pytest.approx(-lost / 2, rel=0.05)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("name", ["mxfp4", "nf4", "e4m3fn:tensor", "mxfp8_e5m2:nan=element"])
def test_infinities_and_nans_become_what_they_always_do(name: str, bad: float) -> None:
    x = some((4, 64)).float()
    x[1, 40] = bad
    every = list(elements_of(x, scaled(name)))
    rounding = Stochastic(5, Scheme.B)
    (row,) = cast_compare([x], [scaled(name)], rounding=rounding).rows
    (nearest,) = cast_compare([x], [scaled(name)]).rows
    for metric in ("destroyed_count", "nan_input_count", "inf_input_count", "nan_lost_count",
                   "nan_scale_count", "clipped_count", "overflow_count"):  # fmt: skip
        assert row.metrics[metric] == nearest.metrics[metric], metric
    steady = [each for each in every if each.step is not None and not (each.beyond or each.last)]
    bias = sum(
        (-1 if each.x < 0 else 1) * (rounding.away(each.distance) - each.distance)
        for each in steady
        if each.step
    )
    assert row.number("expected_mean_error_ulp") == pytest.approx(
        float(bias / len(steady)), rel=1e-12
    )


TARGETS = [*map(scaled, ("mxfp4", "nvfp4:rule=4over6", "nf4", "e4m3fn:channel", "e5m2:block=3x4"))]


@pytest.fixture
def file(tmp_path: Path) -> str:
    generator = torch.Generator().manual_seed(0)
    tensors = {
        "layer.weight": torch.randn(211, 96, generator=generator),
        "half": torch.randn(999, generator=generator).half(),
        "bf16": torch.randn(60, 500, generator=generator).bfloat16(),
    }
    save_file(tensors, tmp_path / "m.safetensors")
    return str(tmp_path / "m.safetensors")


def compared(file: str, targets: list[ScaledFormat] = TARGETS, **more: Any) -> CastReport:
    return cast_compare([file], targets, rounding=Stochastic(), **{"seed": 5, **more})


def results(report: CastReport) -> Any:
    return json.loads(json.dumps(report.to_dict()))["results"]


def test_draws_do_not_depend_on_blocks_and_threads(file: str) -> None:
    usual = results(compared(file))
    loaded = fused.load()
    scaling = None if loaded is None else loaded[0].scaled
    for block in (960, 480, 1 << 20):
        device = Device(torch.device("cpu"), "cpu", block)
        for chosen in (
            Chosen(measure, ""),
            Chosen(measure, "", threaded=True, scaled=scaling),
        ):
            close(usual, results(compared(file, device=device, measurer=chosen)))


def test_draws_do_not_depend_on_other_targets_but_on_seed_and_name(file: str) -> None:
    alone = results(compared(file, TARGETS[:1]))
    together = results(compared(file))
    assert alone == [row for row in together if row["to"] == "mxfp4"]
    other = results(compared(file, TARGETS[:1], seed=6))
    for one, two in zip(alone, other, strict=True):
        assert one["expected_underflow_count"] == two["expected_underflow_count"]
        assert one["mean_error_ulp"] != two["mean_error_ulp"]
    x = torch.randn(3000, generator=torch.Generator().manual_seed(0))
    first, second = fpx.cast_compare({"a": x, "b": x}, "mxfp4", rounding="stochastic").rows
    assert first.metrics["mean_error_ulp"] != second.metrics["mean_error_ulp"]


@pytest.mark.parametrize("ranks", [2, 5])
def test_draws_do_not_depend_on_ranks(
    ranks: int, file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "__defaults__", (64,))  # small tensors are cut too
    few = TARGETS[:3:2]  # which may be cut
    many, _ = rehearse(ranks, lambda team: compared(file, few, team=team))
    close(results(compared(file, few)), results(many))


@pytest.mark.parametrize("name", ["mxfp4", "e4m3fn:channel"])
def test_positions_are_in_row_major_order(name: str) -> None:
    x = some((48, 40))
    straight, turned = (
        cast_compare([{"x": each}], [scaled(name)], rounding=Stochastic(), device=cpu(256)).rows[0]
        for each in (x, x.t().contiguous().t())
    )
    assert known(turned) == pytest.approx(known(straight), rel=1e-12)


def test_plain_targets_beside_are_drawn_with_the_same_words() -> None:
    """With a scale of 1 the elements of a scaled target are those of the plain one."""
    x = torch.randn(1, 320, generator=torch.Generator().manual_seed(0)).clamp(-1, 1)
    x[0, ::32] = 256.0  # for which OCP's rule gives 1
    plain, with_scales = fpx.cast_compare(
        x, ["e4m3fn", "mxfp8_e4m3"], rounding="stochastic:7", seed=2
    ).rows
    for metric in ("mean_error_ulp", "expected_mean_error_ulp", "nearest_mean_error_ulp",
                   "underflow_count", "expected_underflow_count", "rms_error"):  # fmt: skip
        assert with_scales.metrics[metric] == plain.metrics[metric], metric


@pytest.mark.parametrize("name", ["mxfp4", "nvfp4", "e4m3fn:tensor", "nf4"])
def test_verdicts_know_how_much_noise_draws_make(name: str) -> None:
    x = torch.randn(64, 1024, generator=torch.Generator().manual_seed(0))
    (row,) = cast_compare([x], [scaled(name)], rounding=Stochastic()).rows
    (nearest,) = cast_compare([x], [scaled(name)]).rows
    assert row.fits
    assert row.number("small_value_loss_db") < 0.1
    assert row.number("reference_sqnr_db") < nearest.number("reference_sqnr_db") - 2
    assert reference_of(scaled(name)).sqnr_db == nearest.number("reference_sqnr_db")


def test_the_command_tells_all_three() -> None:
    args = ("cast-compare", "normal", "--size", "4096", "--to", "e4m3fn", "--scale", "tensor",
            "--to", "mxfp4", "--rounding", "stochastic:4", "--seed", "3")  # fmt: skip
    code, out, _ = call(*args, columns=80)
    assert code == 0
    assert max(len(line) for line in out.splitlines() if "scale rule" not in line) <= 80
    assert out.count("rounded\n") == 2
    for entry in json.loads(call(*args, "--json")[1])["results"]:
        assert f"{entry['to']}, rounded" in out
        assert entry["expected_mean_error_ulp"] != 0
        assert f"{entry['expected_underflow_count']:,.6g}" in out
    assert call(*args, "--fail-if", "expected_underflow_rate>0.01")[0] == 1
