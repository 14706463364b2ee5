"""Stochastic rounding of elements with scales, against fractions."""

from __future__ import annotations

import math
import random
from bisect import bisect_right
from fractions import Fraction
from functools import cache
from itertools import pairwise

import numpy as np
import pytest
import torch

from fpx.casts.scaled_stochastic import ElementChances, drawn, element_chances
from fpx.casts.scaling import quantise
from fpx.casts.stochastic import away
from fpx.core.elements import element_values, largest
from fpx.core.policy import Scheme, Stochastic
from fpx.core.scaling import ScaledFormat
from fpx.core.targets import find_target

ROUNDED = [Stochastic(bits, scheme) for bits in (1, 2, 5, 16, 31, 32) for scheme in Scheme]
TARGETS = (
    "mxfp4", "mxfp6_e3m2", "mxfp6_e2m3", "mxfp8_e4m3", "mxfp8_e5m2", "mxint8", "nvfp4", "nf4",
    "fp4_bnb", "fp16:block=8", "e2m13:block=8",
)  # fmt: skip


def scaled(name: str) -> ScaledFormat:
    target = find_target(name)
    assert isinstance(target, ScaledFormat)
    return target


@cache
def magnitudes(target: ScaledFormat, negative: bool = False) -> list[Fraction]:
    """The magnitudes of all elements of a sign, from 0 up."""
    values = {value for value in element_values(target.element) if value is not None}
    found = sorted(abs(value) for value in values if not value or (value < 0) is negative)
    return [value for value in found if value <= largest(target.element)]


def distance(ratio: Fraction, target: ScaledFormat) -> tuple[Fraction, Fraction, Fraction]:
    """The element next to it toward zero, the gap from there, and how far it is into that."""
    every = magnitudes(target, ratio < 0)
    at = bisect_right(every, abs(ratio))
    below, above = every[at - 1 : at + 1]
    return below, above - below, (abs(ratio) - below) / (above - below)


def chances(xs: list[float], step: float, target: ScaledFormat) -> ElementChances:
    x, steps = (torch.tensor(each, dtype=torch.float64) for each in (xs, [step] * len(xs)))
    return element_chances(x, quantise(x, steps, target, narrow=False), target)


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.parametrize("digits", [24, 36])
def test_few_bits_turn_just_where_they_should(name: str, digits: int) -> None:
    """Numbers on and an ulp beside what 1 to 32 random bits tell apart, at steps of many bits."""
    target = scaled(name)
    rng = random.Random(f"{name} {digits}")
    sides = (magnitudes(target), magnitudes(target, True))
    for _ in range(12):
        step = math.ldexp(rng.getrandbits(digits) | 1 << (digits - 1) | 1, rng.randint(-60, 20))
        xs = []
        for _ in range(25):
            negative = rng.random() < 0.5
            at = rng.randrange(len(sides[negative]) - 1)
            below, above = sides[negative][at : at + 2]
            bits = rng.choice([1, 2, 6, 17, 32, 33])
            part = Fraction(rng.randrange(1 << bits), 1 << bits)
            x = float((below + part * (above - below)) * Fraction(step))
            near = [x, *(float(np.nextafter(x, end)) for end in (0, math.inf))]
            xs += [-each if negative else each for each in near]
        xs = [x for x in xs if 0 < abs(Fraction(x) / Fraction(step)) < largest(target.element)]
        found = chances(xs, step, target)
        exact = [distance(Fraction(x) / Fraction(step), target) for x in xs]
        assert found.nearer.tolist() == [float(below) for below, _, _ in exact]
        assert found.gap.tolist() == [float(gap) for _, gap, _ in exact]
        assert found.live.all()
        assert not (found.beyond | found.last).any()
        for rounding in ROUNDED:
            share = away(found.distance, rounding).tolist()
            for x, chance, (_, _, part) in zip(xs, share, exact, strict=True):
                assert Fraction(chance) == rounding.away(part), (x, step, rounding)
        for ideal, (below, gap, part) in zip(found.distance.tolist(), exact, strict=True):
            assert abs(Fraction(ideal) - part) <= (below / gap + 2) * Fraction(1, 1 << 52)


@pytest.mark.parametrize("name", TARGETS)
def test_both_results_are_the_neighbours(name: str) -> None:
    """All elements stay; between all of them both are met, and the largest is the last."""
    target = scaled(name)
    for sign in (1, -1):
        every = [float(sign * each) for each in magnitudes(target, sign < 0)]
        xs = every + [(below + above) / 2 for below, above in pairwise(every)]
        xs += [every[-1] * 1.01, every[-1] * 3, sign * math.inf]
        x, step = torch.tensor(xs, dtype=torch.float64), 2.0**-3
        elements = quantise(x * step, torch.full_like(x, step), target, narrow=True)
        found = element_chances(x * step, elements, target)
        toward, further = (
            drawn(elements, found, torch.full(x.shape, up), target) for up in (False, True)
        )
        count, top = len(every), every[-1]
        assert found.distance[:count].tolist() == [0.0] * count
        assert toward.element[:count].tolist() == every
        assert toward.element[count:-3].tolist() == every[:-1]
        assert further.element[count:-3].tolist() == every[1:]
        assert found.distance[count:-3].tolist() == [0.5] * (count - 1)
        for each in (toward, further):
            assert each.element[-3:-1].tolist() == [top, top]
            assert each.element[-1] == elements.element[-1]
            assert torch.equal(each.result[:-1], each.element[:-1] * step)
        assert found.live.tolist() == [True] * (len(xs) - 1) + [False]


def test_what_is_beyond_the_largest_element() -> None:
    """Up to the next element, were there one, some draws go beyond; from there on all do."""
    for name, top, following in (("mxfp4", 6.0, 8.0), ("mxfp8_e4m3", 448.0, 480.0),
                                 ("mxint8", 127 / 64, 2.0)):  # fmt: skip
        xs = [top, (3 * top + following) / 4, following, 2 * following, math.nan]
        found = chances(xs, 1.0, scaled(name))
        assert found.last.tolist() == [False, True, False, False, False]
        assert found.beyond.tolist() == [False, False, True, True, False]
        assert found.distance.tolist() == [0.0, 0.25, 0.0, 0.0, 0.0]
        assert found.nearer.tolist() == [top] * 4 + [0.0]
    found = chances([1.0, 1.25, -1.0, -9.0], 1.0, scaled("nf4"))
    assert found.beyond.tolist() == [False, True, False, True]
    assert not found.last.any()
    assert found.distance.tolist() == [0.0] * 4


@pytest.mark.parametrize("step", [0.0, math.nan])
def test_a_scale_that_is_no_number_or_zero_leaves_nothing_to_chance(step: float) -> None:
    x = torch.tensor([0.3, -5.0, 0.0], dtype=torch.float64)
    elements = quantise(x, torch.full_like(x, step), scaled("mxfp4"), narrow=True)
    found = element_chances(x, elements, scaled("mxfp4"))
    assert not found.live.any()
    assert found.distance.tolist() == [0.0] * 3
    either = drawn(elements, found, torch.ones(3, dtype=torch.bool), scaled("mxfp4"))
    assert either.result.tolist() == pytest.approx([step] * 3, nan_ok=True)


def test_numbers_far_below_every_element() -> None:
    """They are at no distance but not at none, also where float64 has no quotient."""
    found = chances([5e-324, -5e-324, 0.0, 1e-300], 2.0**100, scaled("mxfp4"))
    assert found.nearer.tolist() == [0.0] * 4
    assert found.distance[2] == 0
    assert 0 < float(found.distance[0]) < 1e-320
    assert away(found.distance, Stochastic(32, Scheme.B)).tolist() == [0.0] * 4
