"""Casts with scales at exact ties and beside them, of every kind of number, held to fractions."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from fractions import Fraction

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fpx.core.elements import largest
from fpx.core.formats import FORMATS
from fpx.core.quantise import Datum, global_scale, quantise
from fpx.core.scaling import ScaledFormat
from fpx.core.targets import find_target
from fpx.measure import fused
from fpx.measure.scaled_casting import ScaledCasting
from fpx.measure.scaled_reading import scale_entry
from fpx.measure.stats import CastStats
from fpx.tensors.dtypes import origin_of
from fpx.tensors.memory import entry_of
from fpx.tensors.progress import Silent
from tests.measure.definitions import cpu, same
from tests.measure.scaled_exactly import INTEGERS, Number, beside, exactly, tensor, turns

DTYPES = (torch.float32, torch.float64, *INTEGERS)
EACH = [
    pytest.param(dtype, marks=pytest.mark.slow) if dtype in (torch.int32, torch.uint64) else dtype
    for dtype in DTYPES
]
"""The same; of integers, usually those alone that have both signs and more bits than float64."""

ELEMENTS = [
    name
    for name, spec in FORMATS.items()
    if spec.bits <= 16 and spec.signed and spec.zero and spec.bits >= 4
] + ["e2m13", "e5m9fn", "int8", "nf4", "fp4_bnb"]
LONG = (
    "nvfp4", "nvfp4:scale=fp16", "int8:block=16,scale=fp16,global=float32",
    "nf4:block=16,scale=fp16,global=float32", "fp4_bnb:block=16,scale=fp16,global=float32",
    "fp16:block=16,scale=fp16,global=float32", "nf4:block=16,scale=e4m3fn,global=float32",
)  # fmt: skip
"""Steps of more than 24 bits."""

OTHERS = (
    "mxfp4", "mxfp8_e5m2", "mxint8", "mxfp4:rule=rceil", "mxfp4:rule=even", "mxfp4:ties=zero",
    "nf4:ties=even", "fp4_bnb:ties=away", "int8:block=16,ties=away", "nvfp4:rule=4over6",
    "int8:block=16,scale=e5m23", "nf4:block=16,scale=e5m23", "fp16:block=16,scale=e4m23",
)  # fmt: skip


def named(name: str) -> ScaledFormat:
    target = find_target(name)
    assert isinstance(target, ScaledFormat)
    return target


class Watched(ScaledCasting):
    """A scaled cast that keeps what a tensor became."""

    results: torch.Tensor

    def take(self, *block: object, **more: object) -> torch.Tensor:
        self.results = super().take(*block, **more)  # type: ignore[arg-type]
        return self.results


def cast(x: Sequence[Number], dtype: torch.dtype, target: ScaledFormat) -> Watched:
    """The cast of numbers of a dtype, by torch's operations."""
    held = tensor(x, dtype)
    casting = Watched(origin_of(dtype), target, tuple(held.shape), cpu(1 << 20))
    scale_entry(entry_of("x", held), [casting], cpu(1 << 20), Silent())
    return casting


def agrees(x: Sequence[Number], dtype: torch.dtype, target: ScaledFormat) -> CastStats:
    """Elements, counts and the largest errors are those of fractions, measured in either way."""
    expected, found = exactly(x, target), cast(x, dtype, target)
    pairs = zip(x, found.results.tolist(), expected.results, strict=True)
    assert [pair for pair in pairs if pair[1] != float(pair[2])] == []
    assert {name: found.stats.counts[name] for name in expected.counts} == expected.counts
    assert found.stats.maximum("surviving_max_abs_error") == float(expected.error)
    relative = found.stats.maximum("surviving_max_rel_error")
    assert relative == pytest.approx(float(expected.relative), rel=2**-51)
    compiled = fused.load()
    if dtype is torch.float32 and compiled is not None:
        held = tensor(x, dtype)
        casting = ScaledCasting(origin_of(dtype), target, tuple(held.shape), cpu(1 << 20))
        scale_entry(entry_of("x", held), [casting], cpu(1 << 20), Silent(), compiled[0].scaled)
        same(casting.stats, found.stats)
    return found.stats


def step_of(amax: Number, target: ScaledFormat, global_: Fraction) -> Fraction:
    """What a block of that largest magnitude multiplies its elements by."""
    scale = quantise([Datum.of(Fraction(amax))], target, global_).scale
    assert scale is not None
    return scale * global_


def largest_number(rng: random.Random, dtype: torch.dtype, target: ScaledFormat) -> Number:
    """The largest number of a block: mostly one that gives a step of 24 bits."""
    top = largest(target.element)
    odd = rng.randrange(1 << 23, 1 << 24) | 1
    if dtype not in INTEGERS:
        size = odd * Fraction(2) ** rng.choice([0, -30, 60, 100, -145, -160])
        return abs(rng.choice(list(beside(top * size, dtype))))
    high = INTEGERS[dtype][1]
    if rng.random() < 0.3:
        return rng.randrange(high // 2, high)
    amax = int(top * odd * 2**40)
    return max(amax >> max(amax.bit_length() - high.bit_length() + rng.randrange(2), 0), 1)


def rows(dtype: torch.dtype, target: ScaledFormat, count: int) -> list[Number]:
    """Blocks of which each has a largest number, then what is at turns and beside them."""
    rng = random.Random(f"{dtype} {target.name}")
    width = target.reach.columns
    tops = [largest_number(rng, dtype, target) for _ in range(count)]
    global_ = Fraction(1)
    if target.global_scale is not None:
        global_ = global_scale(max(map(Fraction, tops)), target)[1]
    every, left = turns(target), list[Fraction]()
    found: list[Number] = []
    for amax in tops:
        step, row = step_of(amax, target, global_), [amax]
        while len(row) < width:
            left = left or rng.sample(every, len(every))
            near = list(beside(left.pop() * step, dtype))
            row += [v for v in near if abs(v) <= amax][: width - len(row)]
            if not near:
                row.append(type(amax)(0))
        found += row
    return found


@pytest.mark.parametrize("dtype", EACH, ids=str)
@pytest.mark.parametrize("element", ELEMENTS)
def test_at_every_turn_of_an_element_and_beside_it(element: str, dtype: torch.dtype) -> None:
    """Float32 scales, whose steps have 24 bits."""
    target = named(f"{element}:block=64")
    agrees(rows(dtype, target, min(4 + len(turns(target)) // 20, 30)), dtype, target)


@pytest.mark.parametrize("dtype", EACH, ids=str)
@pytest.mark.parametrize("name", LONG + OTHERS)
def test_other_steps_and_choices(name: str, dtype: torch.dtype) -> None:
    agrees(rows(dtype, named(name), 30), dtype, named(name))


def test_a_neighbour_of_a_tie_is_no_tie_beyond_two_to_53() -> None:
    """The tie between fp4_bnb's 2/12 and 1/192 has 29 bits, the step 24: all that float64 has."""
    target = named("fp4_bnb")
    (tie,) = (t for t in turns(target) if Fraction(8, 100) < t < Fraction(9, 100))
    amax = 16777215 << 39
    at = tie * amax
    assert at == int(at) > 2**53
    block: list[Number] = [amax, int(at) - 1, int(at), int(at) + 1, *[0] * 60]
    found = cast(block, torch.int64, target).results.tolist()
    assert found[1] == found[2] < found[3]
    agrees(block, torch.int64, target)
    agrees([-v for v in block], torch.int64, target)


@pytest.mark.parametrize("name", [*LONG, "nf4", "int8:block=16", "mxfp4:rule=even", "mxfp4"])
@pytest.mark.parametrize("dtype", EACH, ids=str)
def test_scales_at_their_own_ties(name: str, dtype: torch.dtype) -> None:
    """Of scales of a block, and of the global one: the tensor's largest number is at one."""
    target, rng = named(name), random.Random(name)
    width, high = target.reach.columns, INTEGERS.get(dtype, (0, 2**62))[1]
    for _ in range(6):
        top, global_ = largest(target.element), Fraction(1)
        tie = (rng.randrange(1 << 24, 1 << 25) | 1) * target.encoding.global_top * top
        tie *= Fraction(2) ** (high.bit_length() - 1 - math.floor(math.log2(tie)))
        if target.global_scale is None:
            tie = Fraction(high)
        for most in beside(tie if tie <= high else tie / 2, dtype):
            if target.global_scale is not None:
                global_ = global_scale(Fraction(most), target)[1]
            tops = [most]
            for _ in range(8):
                goal = rng.randrange(high >> 12, high >> 1)
                scale = step_of(goal, target, global_) / global_
                half = scale * (1 + Fraction(1, 1 << target.scale.precision))  # or near the tie
                tops += [v for v in beside(half * top * global_, dtype) if 0 <= v <= most]
            agrees([v for amax in tops for v in [amax] + [type(amax)(0)] * (width - 1)],
                   dtype, target)  # fmt: skip


def test_the_float32_after_the_largest_element_is_not_clipped() -> None:
    """At scales so small that they have few bits, where numbers may be as far out."""
    target = named("fp16:block=1")
    assert target.clips_beyond == 65504 + Fraction(1, 256)
    at = 256 * 65504 + 1  # so many of the smallest float32; the scale is 256 of them
    x = [v * 2.0**-149 for v in (at - 1, at, at + 1, -at, -at - 1)]
    for dtype in (torch.float32, torch.float64):
        found = agrees(x, dtype, target)
        assert (found.counts["clipped_count"], found.counts["clipped_block_count"]) == (2, 2)


def test_what_has_a_scale_of_zero_is_not_beyond_it() -> None:
    """However large the global scale is, by which such numbers are small."""
    x = [2.0**66, 1.0, *[0.0] * 14, *[2.0**30] * 16]
    for name in ("nvfp4", "nvfp4:rule=4over6"):
        found = agrees(x, torch.float64, named(name))
        assert found.counts["zero_scale_count"] == 1
        assert found.counts["overflow_count"] == 0
        agrees(x, torch.float32, named(name))


def test_what_float64_rounds_to_a_number_is_not_that_number() -> None:
    """The product of an element and a step, which has up to 59 bits."""
    target = named("nf4:block=16,scale=fp16,global=float32")
    x = rows(torch.float64, target, 20)
    results = exactly(x, target).results
    rounded = [float(result) for result in results]
    assert sum(Fraction(v) != result for v, result in zip(rounded, results, strict=True)) > 20
    rounded[0] = float(max(map(abs, x)))  # so that the global scale stays what it is
    agrees(rounded, torch.float64, target)


# -- 4over6 ----------------------------------------------------------------------------------------


def test_a_tie_between_four_and_six_is_six() -> None:
    """Errors of the same sizes in another order, whose squares float64 rounds and adds up.

    Elements of scales 2 and 3 are 0.25 to either side of 1.25, and 0.5 to either side of 2.5.
    """
    rng = random.Random(3)
    global_ = Fraction(rng.randrange(1 << 23, 1 << 24) | 1, 1 << 20)
    half, nothing = Fraction(5, 2), Fraction(0)
    blocks = [[Fraction(1536), *[nothing] * 5]]  # of which that is the global scale
    for _ in range(200):
        off = [Fraction(rng.randrange(1 << 17), 1 << 20) for _ in range(2)]
        small = [Fraction(5, 4) + sign * d for sign in (1, -1) for d in off]
        rng.shuffle(small)
        blocks.append([Fraction(12), *small, rng.choice([half, nothing])])
    target = named("nvfp4:block=6,rule=4over6")
    for more in (0, 1, -1):  # ulps of the second number, on which it depends then
        x = [float(v * global_) for block in blocks for v in block]
        x[7::6] = [v + more * math.ulp(v) for v in x[7::6]]
        found = agrees(x, torch.float64, target)
        assert found.scales[0x40] == (0 if more > 0 else 200)


# -- whatever there is -----------------------------------------------------------------------------


@st.composite
def _cases(draw: st.DrawFn) -> tuple[list[Number], torch.dtype, ScaledFormat]:
    target = named(draw(st.sampled_from((*LONG, *OTHERS, "nf4", "fp4_bnb", "e4m3fn:block=8"))))
    dtype = draw(st.sampled_from(DTYPES))
    width, every = target.reach.columns, turns(target)
    if dtype in INTEGERS:
        low, high = INTEGERS[dtype]
        any_: st.SearchStrategy[Number] = st.integers(low, high)
    else:
        end = 2.0**120
        any_ = st.floats(-end, end, width=32 if dtype is torch.float32 else 64)
    found: list[Number] = []
    tops = [abs(amax) for amax in draw(st.lists(any_, min_size=1, max_size=3))]
    tops = [min(amax, INTEGERS[dtype][1]) if dtype in INTEGERS else amax for amax in tops]
    global_ = Fraction(1)
    if target.global_scale is not None:
        global_ = global_scale(max(map(Fraction, tops)), target)[1]
    for amax in tops:
        step = step_of(amax, target, global_)
        near = [v for turn in draw(st.lists(st.sampled_from(every), max_size=4))
                for v in beside(turn * step, dtype) if abs(v) <= amax]  # fmt: skip
        row = [amax, *near, *(v for v in draw(st.lists(any_, max_size=3)) if abs(v) <= amax)]
        found += [*row, *[type(amax)(0)] * width][:width]
    return found, dtype, target


@settings(max_examples=60, deadline=None)
@given(_cases())
def test_whatever_the_numbers_are(case: tuple[list[Number], torch.dtype, ScaledFormat]) -> None:
    agrees(*case)
