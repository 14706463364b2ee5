"""Tensors to elements and scales: held to the exact way, and to a table measured elsewhere."""

from __future__ import annotations

import math
import random
from collections import Counter
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
import torch

import fpx
from fpx.casts.grouping import Grouping
from fpx.casts.scaling import (
    global_scale_of,
    quantise,
    quantum_of,
    scale_codes_histogram,
    scales_for_four,
    scales_of,
)
from fpx.core import quantise as exact
from fpx.core.choices import POWERS_OF_TWO, ScaleRule, Ties
from fpx.core.elements import CODEBOOKS, Codebook, element_value, floor_log2, largest, round_element
from fpx.core.quantise import Datum
from fpx.core.scaled_names import with_rule
from fpx.core.scaling import Reach, ScaledFormat
from fpx.core.targets import find_target
from fpx.core.variants import rules_for
from tests import scaled_oracle as oracle

CPU = torch.device("cpu")
TARGETS = (
    "mxfp8_e4m3", "mxfp8_e5m2", "mxfp6_e3m2", "mxfp6_e2m3", "mxfp4", "mxint8", "nf4", "fp4_bnb",
    "e4m3fn:block=8", "e5m2:block=8,scale=bf16", "mxfp4:scale=e4m3fn", "nvfp4:global=none",
    "nvfp4:global=none,zeros=0x20,underflow=0x20", "nvfp4:global=none,least=8,-0=drop",
    "fp16:block=8", "e3m4:block=8,scale=fp16", "mxfp4:nan=element", "e5m2:block=8,nan=block",
    "mxfp8_e4m3:like=compressed-tensors", "e2m1:block=8,scale=fp16",
)  # fmt: skip


def scaled(name: str) -> ScaledFormat:
    target = find_target(name)
    assert isinstance(target, ScaledFormat)
    return target


def datum(x: float) -> Datum:
    negative = math.copysign(1, x) < 0
    if math.isfinite(x):
        return Datum(Fraction(x), negative)
    return Datum(None, negative, math.isinf(x))


def blocks(target: ScaledFormat, seed: int) -> list[list[float]]:
    """Blocks of eight: random, near thresholds, zeros, far out, with infinities and NaNs."""
    rng = random.Random(seed)
    top = float(largest(target.element))
    edges = [top, top * (1 + 2**-52), top * 1.25, 7, 5, 3.5, 1.75, 0.25, 127.5 / 64, 464, 61440]
    found = [[0.0, -0.0] * 4, [top] * 8]
    for power in (0, 0, 0, 0, -8, -130, 120, 300, -500):
        for kind in range(4):
            block = []
            for _ in range(8):
                x = rng.gauss(0, 1) if rng.random() < 0.4 else rng.randint(-64, 64) / 8
                if rng.random() < 0.3:
                    x = rng.choice(edges) * rng.choice([1, -1]) * 2.0 ** rng.randint(-3, 3)
                    x = math.nextafter(x, rng.choice([x, math.inf, -math.inf]))
                block.append(x * 2.0**power)
            if kind == 3:
                block[rng.randrange(8)] = rng.choice([math.inf, -math.inf, math.nan])
            found.append(block)
    return found


def as_float(value: Fraction | None, code: int, target: ScaledFormat) -> float:
    """The exact result; of what is no number, what the element's code says."""
    if value is not None:
        return float(value)
    infinite = getattr(target.element, "infinity_magnitude", None)
    mask = getattr(target.element, "magnitude_mask", 0)
    return math.inf if infinite is not None and code & mask == infinite else math.nan


@pytest.mark.parametrize("ties", Ties)
@pytest.mark.parametrize("name", TARGETS)
def test_blocks_are_those_of_the_exact_way(name: str, ties: Ties) -> None:
    base = scaled(name)
    for rule in dict.fromkeys([base.encoding.rule, *rules_for(base), ScaleRule.AMAX]):
        if rule is ScaleRule.FOUR_OVER_SIX:
            continue
        target = with_rule(base, rule)
        target = replace(target, encoding=replace(target.encoding, ties=ties))
        many = blocks(target, seed=len(name))
        x = torch.tensor(many, dtype=torch.float64)
        finite = x.isfinite()
        amax = torch.where(finite, x.abs(), 0.0).amax(1)
        poisoned = ~finite.all(1)
        scales = scales_of(amax, poisoned if poisoned.any() else None, target)
        found = quantise(x.view(-1), scales.steps.repeat_interleave(8), target, narrow=False)
        results = found.result.view(-1, 8).tolist()
        mask = (1 << target.scale.bits) - 1
        for block, code, result in zip(many, scales.codes.tolist(), results, strict=True):
            expected = exact.quantise([datum(value) for value in block], target)
            assert code & mask == expected.scale_code, (rule, block)
            for value, element, got in zip(expected.values, expected.codes, result, strict=True):
                wanted = as_float(value, element, target)
                if expected.scale is None or math.isnan(wanted):
                    assert math.isnan(got), (rule, block)
                else:
                    assert abs(got) == math.inf if wanted == math.inf else got == wanted, block


@pytest.mark.parametrize("bits", [24, 53])
def test_no_quotient_is_rounded_onto_a_tie(bits: int) -> None:
    """An ulp beside every tie of E2M1, over scales whose quotients float64 has to round."""
    target = scaled("e2m1:block=8")
    ties = [0.25, 0.75, 1.25, 1.75, 2.5, 3.5, 5.0]
    rng = random.Random(bits)
    for _ in range(200):
        step = float(np.float32(rng.uniform(1, 2)))
        xs = []
        for tie in ties:
            near = Fraction(tie) * Fraction(step)
            x = float(near) if bits == 53 else float(np.float32(float(near)))
            type_ = np.float64 if bits == 53 else np.float32
            up, down = (float(np.nextafter(type_(x), type_(end))) for end in (9, -9))
            xs += [x, up, down]
        steps = torch.full((len(xs),), step, dtype=torch.float64)
        found = quantise(torch.tensor(xs, dtype=torch.float64), steps, target, bits == 24)
        for x, element in zip(xs, found.element.tolist(), strict=True):
            code = round_element(Fraction(x) / Fraction(step), target.element, Ties.EVEN, True)
            assert Fraction(element) == element_value(code, target.element), (x, step)


@pytest.mark.parametrize("ties", Ties)
@pytest.mark.parametrize("name", ["nf4", "fp4_bnb"])
def test_ties_between_values_of_a_table_at_steps_of_many_bits(name: str, ties: Ties) -> None:
    """A float16 scale times a global one has up to 35 bits, times such a tie more than 53."""
    target = scaled(f"{name}:scale=fp16,global=float32")
    target = replace(target, encoding=replace(target.encoding, ties=ties))
    assert isinstance(target.element, Codebook)
    values = [value for value, _ in target.element.ordered]
    halfway = [(below + above) / 2 for below, above in pairwise(values)]
    rng = random.Random(name)
    for _ in range(50):
        step = float(rng.getrandbits(11) | 0x401) * float(rng.getrandbits(24) | 0x800001)
        xs = [float(tie * Fraction(step)) for tie in halfway]
        xs += [math.nextafter(x, end) for x in xs for end in (math.inf, -math.inf)]
        x = torch.tensor(xs, dtype=torch.float64)
        found = quantise(x, torch.full_like(x, step), target, narrow=False).element.tolist()
        for number, element in zip(xs, found, strict=True):
            code = round_element(Fraction(number) / Fraction(step), target.element, ties, False)
            assert Fraction(element) == element_value(code, target.element), (number, step)


@pytest.mark.parametrize(
    ("largest_", "block", "number"),
    [
        ("0x1.a8eaf4p+8", "0x1.c68ec6p+7", "0x1.61ee16p+6"),
        ("0x1.750c56p+8", "0x1.84a948p+7", "0x1.2e9f14p+6"),
    ],
)
def test_float32_numbers_just_above_a_tie_of_nf4(largest_: str, block: str, number: str) -> None:
    """Found by search: 24 bits over a step of 35, whose float64 quotient is a tie it is not."""
    target = scaled("nf4:scale=fp16,global=float32")
    top, amax, x = (float.fromhex(each) for each in (largest_, block, number))
    scale = global_scale_of(top, target)
    step = scales_of(torch.tensor([amax], dtype=torch.float64), None, target, scale).steps
    expected = exact.quantise([datum(amax), datum(x)], target, Fraction(scale))
    values = [value for value, _ in CODEBOOKS["nf4"].ordered]
    assert Fraction(x / float(step)) in [(one + two) / 2 for one, two in pairwise(values)]
    found = quantise(torch.tensor([amax, x], dtype=torch.float64), step, target, narrow=True)
    assert found.result.tolist() == [float(value or 0) for value in expected.values]


def test_the_table_of_normal_numbers() -> None:
    """SQNR in dB, share of blocks with a clipped value, share of values that become zero.

    Measured once with numpy and ml_dtypes alone, of the numbers of numpy's generator 0.
    """
    table = {
        "mxfp4": ("18.78/29.5/8.8", "19.02/12.6/9.7", "16.82/0.0/17.5", "18.75/0.0/10.7"),
        "mxfp6_e2m3": ("30.94/9.4/2.2", "30.99/4.4/2.3", "28.77/0.0/4.4", "30.96/0.0/2.3"),
        "mxfp6_e3m2": ("25.35/16.8/0.3", "25.54/7.4/0.3", "25.54/0.0/0.6", "25.54/0.0/0.3"),
        "mxfp8_e4m3": ("30.64/16.8/0.0", "31.19/11.8/0.0", "31.53/0.0/0.0", "31.53/0.0/0.0"),
        "mxfp8_e5m2": ("25.35/16.8/0.0", "25.54/7.4/0.0", "25.54/0.0/0.0", "25.54/0.0/0.0"),
        "nvfp4": ("20.45/50.9/6.8",),
    }
    x = torch.from_numpy(np.random.default_rng(0).standard_normal((40_000, 32)))
    for name, shown in table.items():
        rules = ["amax"] if name == "nvfp4" else ["floor", "even", "ceil", "rceil"]
        report = fpx.cast_compare(x, to=name, scale_rule=rules)
        for row, text in zip(report.rows, shown, strict=True):
            rates = f"{100 * row.clipped_block_rate:.1f}/{100 * row.underflow_rate:.1f}"
            assert f"{row.sqnr_db:.2f}/{rates}" == text, row.to


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64], ids=str)
@pytest.mark.parametrize("name", oracle.MX)
def test_rules_at_their_thresholds_and_one_ulp_beside(name: str, dtype: torch.dtype) -> None:
    ends = torch.tensor([-math.inf, math.inf], dtype=dtype)
    edges = []
    for significand in (1, 1.5, 1.75, 1.875, 1.9375, 1.984375, 1.9921875):
        for exponent in (-126, -40, -1, 0, 9, 126):
            edge = torch.tensor(significand * 2.0**exponent, dtype=dtype)
            edges += [edge, *torch.nextafter(edge.expand(2), ends)]
    x = torch.zeros(len(edges), 32, dtype=dtype)
    x[:, 5] = -torch.stack(edges)
    element = oracle.MX[name]
    report = fpx.cast_compare(x, to=name, scale_rule="all")
    for row, rule in zip(report.rows, POWERS_OF_TWO, strict=True):
        scales = (oracle.scale(Fraction(float(edge)), element, rule.value) for edge in edges)
        assert row.scale_histogram == Counter(127 + floor_log2(scale) for scale in scales)


# -- scales ----------------------------------------------------------------------------------------


def test_the_global_scale_is_that_of_the_exact_way() -> None:
    target = scaled("nvfp4")
    assert global_scale_of(2688.0, target) == 1
    assert global_scale_of(0.0, target) == 1
    assert global_scale_of(1e-300, target) == 2.0**-149
    third = global_scale_of(1 / 3, target)
    assert third == float(np.float32(float(Fraction(1 / 3) / 2688)))
    assert global_scale_of(5.0, scaled("mxfp4")) == 1


def test_scales_for_four_are_a_half_larger() -> None:
    target = with_rule(scaled("nvfp4"), ScaleRule.FOUR_OVER_SIX)
    amax = torch.tensor([6.0, 0.0, 12.0], dtype=torch.float64)
    six, four = scales_of(amax, None, target), scales_for_four(amax, None, target, 1.0)
    assert six.steps.tolist() == [1, 0, 2]
    assert four.steps.tolist() == [1.5, 0, 3]


def test_histograms_of_scales() -> None:
    target = scaled("mxfp4")
    amax = torch.tensor([4.0, 8.0, 9.0, 0.0], dtype=torch.float64)
    codes = scales_of(amax, None, target).codes
    assert scale_codes_histogram(codes, target.scale) == {0: 1, 127: 1, 128: 2}
    wide = scaled("e4m3fn:channel")
    amax = torch.tensor([448.0, 500.0, 900.0, 0.0], dtype=torch.float64)
    codes = scales_of(amax, None, wide).codes
    assert scale_codes_histogram(codes, wide.scale) == {0: 3, 1: 1}  # a scale of zeros is 1


def test_spacings_of_elements() -> None:
    """A format's are powers of two, a table's the distance between neighbours."""
    at = torch.tensor([0.1, 0.9, 1.0, 1.9, 2.0, 4.0, 6.0], dtype=torch.float64)
    assert quantum_of(at, scaled("mxfp4")).tolist() == [0.5, 0.5, 0.5, 0.5, 1, 2, 2]
    assert quantum_of(at[:2], scaled("mxint8")).tolist() == [1 / 64] * 2
    table = CODEBOOKS["nf4"].ordered
    found = quantum_of(torch.tensor([0.01, -0.99], dtype=torch.float64), scaled("nf4")).tolist()
    assert found == [float(table[8][0] - table[7][0]), float(table[1][0] - table[0][0])]


# -- groups ----------------------------------------------------------------------------------------


def group_by_index(reach: Reach, shape: tuple[int, ...]) -> list[tuple[int, ...]]:
    """What tells the group of each element, in row-major order, by its index."""
    found: list[tuple[int, ...]] = []
    for index in np.ndindex(*shape):
        if reach.scope.value == "tensor" or (reach.scope.value == "channel" and len(shape) < 2):
            found.append(())
        elif reach.scope.value == "channel":
            found.append((index[reach.axis],))
        else:
            *outer, row, column = (0, *index) if len(shape) == 1 else index
            found.append((*outer, row // reach.rows, column // reach.columns))
    return found


@pytest.mark.parametrize("shape", [(7,), (4, 6), (5, 7), (2, 5, 7), (2, 3, 4, 5), (1, 1), (3, 1)])
@pytest.mark.parametrize(
    "text",
    ["tensor", "channel", "channel:1", "channel:-1", "block:3", "block:2x3", "block:128x128"],
)
def test_groups_by_position(text: str, shape: tuple[int, ...]) -> None:
    reach = Reach.parse(text)
    grouping = Grouping(reach, shape)
    keys = group_by_index(reach, shape)
    order = {key: at for at, key in enumerate(sorted(set(keys)))}
    assert grouping.count == len(order)
    for start in range(0, len(keys), 3):
        ids = grouping.ids(start, len(keys) - start, CPU).tolist()
        assert ids == [order[key] for key in keys[start:]]
    one_row = reach.scope.value == "block" and (reach.rows == 1 or len(shape) == 1)
    assert grouping.width == (
        reach.columns if one_row or (reach.rows > 1 and shape[-2:-1] == (1,)) else None
    )


def test_groups_of_nothing_and_of_what_is_not_there() -> None:
    assert Grouping(Reach.parse("channel"), (0, 4)).count == 0
    assert Grouping(Reach.parse("tensor"), (0,)).count == 0
    assert Grouping(Reach.parse("tensor"), ()).count == 1
    with pytest.raises(fpx.FpxError, match="2 axes has no axis 2"):
        Grouping(Reach.parse("channel:2"), (3, 3))
    long = Grouping(Reach.parse("block:5000"), (1, 10_000))
    assert (long.width, long.count) == (None, 2)  # too long to be held as it is read
    whole = Grouping(Reach.parse("block:4"), (2, 8))
    assert whole.even(4, 8)
    assert not whole.even(2, 8)
    assert not whole.even(4, 6)
    assert not Grouping(Reach.parse("block:4"), (2, 6)).even(0, 12)
