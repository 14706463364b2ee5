"""Operands that change nothing, and the first that would, against a search among all codes."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import lru_cache

import pytest

from fpx.arithmetic.absorption import absorbed
from fpx.arithmetic.results import Target, value_of
from fpx.core import codec
from fpx.core.formats import FORMATS
from fpx.core.names import find_format
from fpx.core.policy import Overflow, Rounding
from fpx.core.spec import FormatSpec
from fpx.report.calc import INEXACT, Absorbed
from tests import oracle
from tests.arithmetic.test_operations import PLAIN, run
from tests.helpers import BF16, E4M3, E5M2, E8M0

FP4 = FORMATS["float4_e2m1fn"]
NUDGE = Fraction(1, 10**30)


def found(operation: str, target: Target, a: int, b: int) -> Absorbed | None:
    result = run(operation, target, a, b)
    return absorbed(operation, (a, b), result, target, "a + b", 1)


@lru_cache(1 << 12)
def finite(code: int, spec: FormatSpec) -> Fraction | None:
    number = value_of(code, spec).number
    return number if isinstance(number, Fraction) else None


def check(operation: str, target: Target, a: int, b: int) -> str | None:
    """What kind of statement there is on an operation, after that has been found true."""
    spec = target.spec
    item = found(operation, target, a, b)
    if item is None:
        return None
    x, y, kept = finite(a, spec), finite(b, spec), finite(item.kept, spec)
    assert x is not None
    assert y is not None
    first = kept != x  # which of the two may change
    changes = _changer(operation, target, a, b, first, item.kept)
    operand = finite(item.operand, spec)
    assert operand is not None
    upward = operation in "+-" or abs(operand) > 1
    others = [
        code
        for code in range(1 << spec.bits)
        if (value := finite(code, spec)) is not None
        and (code & spec.sign_mask) == (item.operand & spec.sign_mask)
        and (abs(value) > abs(operand) if upward else abs(value) < abs(operand))
        and changes(code)
    ]
    chosen = min if upward else max
    expected = chosen(others, key=lambda code: abs(finite(code, spec) or Fraction()), default=None)
    assert item.smallest == expected, (operation, hex(a), hex(b), item)
    if item.threshold is None:
        assert expected is None
        return "never"
    _check_threshold(item, operation, target, x, y, first, upward)
    return "none there" if expected is None else "found"


def _changer(
    operation: str, target: Target, a: int, b: int, first: bool, kept: int
) -> Callable[[int], bool]:
    def changes(code: int) -> bool:
        operands = (code, b) if first else (a, code)
        return run(operation, target, *operands).code != kept

    return changes


def _check_threshold(
    item: Absorbed,
    operation: str,
    target: Target,
    x: Fraction,
    y: Fraction,
    first: bool,
    upward: bool,
) -> None:
    """Just before the threshold nothing changes, just after it something does."""
    assert item.threshold is not None
    threshold = Fraction(item.threshold)
    away = 1 if upward else -1

    def stays(operand: Fraction) -> bool:
        exact = PLAIN[operation](operand, y) if first else PLAIN[operation](x, operand)
        if exact == 0:
            return False
        spec, rounding, overflow = target
        return oracle.encode(exact, spec, rounding.value, overflow.value) == item.kept

    if threshold != 0:
        assert stays(threshold * (1 - away * NUDGE))
        assert not stays(threshold * (1 + away * NUDGE))
        assert stays(threshold) != item.threshold_counts


TARGETS = [
    *(Target(spec) for spec in (E4M3, E5M2, E8M0, FP4, FORMATS["float8_e4m3fnuz"])),
    *(Target(E5M2, rounding) for rounding in Rounding),
    Target(E4M3, Rounding.TOWARD_POSITIVE, Overflow.SATURATE),
    Target(E5M2, Rounding.TIES_TO_EVEN, Overflow.NAN),
    Target(E8M0, Rounding.TOWARD_ZERO),
    Target(find_format("binary8p4se"), Rounding.TO_ODD),
]


@pytest.mark.parametrize(
    "target", TARGETS, ids=lambda item: f"{item.spec.name}-{item.rounding.value}"
)
def test_the_first_that_counts(target: Target) -> None:
    draw, told = random.Random(6), set()
    for operation in PLAIN:
        seen = 0
        for _ in range(600):
            a, b = (draw.randrange(1 << target.spec.bits) for _ in "ab")
            kind = check(operation, target, a, b)
            told.add(kind)
            seen += kind is not None
            if seen == 15:
                break
    assert "found" in told
    assert None in told


def test_bfloat16() -> None:
    """0.05 - 1e-5 is 0.05 again; half of an ulp is the first to count: 0.05 is odd."""
    item = found("-", Target(BF16), 0x3D4D, 0x3728)
    assert item is not None
    assert (item.kept, item.smallest, item.threshold) == (0x3D4D, 0x3900, "0.0001220703125")
    assert item.threshold_counts
    one = found("+", Target(BF16), 0x3B80, 0x3F80)  # 2^-8 + 1
    assert one is not None
    assert (one.kept, one.operand, one.smallest) == (0x3F80, 0x3B80, 0x3B81)
    assert not one.threshold_counts


def test_what_is_no_surprise() -> None:
    target = Target(BF16)
    assert found("+", target, 0x3F80, 0x0000) is None  # 1 + 0
    assert found("*", target, 0x3F80, 0x4000) is None
    assert found("-", target, 0x3F80, 0x3F00) is None
    assert found("+", target, 0x7F80, 0x3F80) is None
    assert absorbed("sqrt", (2,), run("sqrt", target, 2), target, "", 1) is None
    assert INEXACT in run("/", target, 0x3F80, 0x4040).flags
    assert found("/", target, 0x3F80, 0x4040) is None


@pytest.mark.parametrize("operation", ["*", "/"])
def test_subnormals_that_stay(operation: str) -> None:
    """Where thresholds are numbers of the format themselves: 2u × 0.75 is a tie, and 2u again."""
    told = [
        check(operation, Target(spec), a, b)
        for spec in (E4M3, E5M2)
        for a in range(1, 8)
        for b in range(spec.sign_mask // 2 - 32, spec.sign_mask // 2 + 16)
    ]
    assert told.count("found") > 20
    item = found("*", Target(E5M2), 0x02, 0x3B)
    assert item is not None
    assert (item.threshold, item.threshold_counts, item.smallest) == ("0.75", False, 0x39)


@pytest.mark.parametrize("rounding", list(Rounding))
@pytest.mark.parametrize("spec", [FP4, E4M3, E5M2, E8M0], ids=lambda spec: spec.name)
def test_products_and_terms_that_an_fma_absorbs(spec: FormatSpec, rounding: Rounding) -> None:
    """Whatever stayed, the first that counts in the place of the other is found by search."""
    target, rng = Target(spec, rounding), random.Random(f"{spec.name} {rounding.value}")
    seen = set()
    for _ in range(400):
        operands = tuple(rng.randrange(1 << spec.bits) for _ in range(3))
        result = run("fma", target, *operands)
        item = absorbed("fma", operands, result, target, "", 1)
        a, b, c = (finite(code, spec) for code in operands)
        kept = finite(result.code, spec)
        if not (a and b and c and kept) or INEXACT not in result.flags or kept not in (a * b, c):
            assert item is None
            continue
        assert item is not None
        at = 2 if kept == a * b else 0  # which may change
        seen.add(at)
        assert (item.kept, item.operand) == (result.code, operands[at])

        def changes(
            code: int, at: int = at, operands: Sequence[int] = operands, kept: int = item.kept
        ) -> bool:
            others = [code if place == at else each for place, each in enumerate(operands)]
            return run("fma", target, *others).code != kept

        own = abs((a, b, c)[at])
        others = {
            abs(value): code
            for code in range(1 << spec.bits)
            if (value := finite(code, spec)) and abs(value) > own
            and (code & spec.sign_mask) == (operands[at] & spec.sign_mask) and changes(code)
        }  # fmt: skip
        assert item.smallest == (others[min(others)] if others else None)
        if item.threshold is None:
            assert not others
            continue
        edge = Fraction(item.threshold)
        for number, change in (
            (edge, item.threshold_counts),
            (edge * (1 + NUDGE), True),
            (edge * (1 - NUDGE), False),
        ):
            exact = a * b + number if at == 2 else number * b + c
            rounded = codec.round_exact(*exact.as_integer_ratio(), spec, rounding)
            assert (rounded.code != item.kept) == change
    assert seen == {0, 2} or spec in (FP4, E8M0)
