"""Which steps move a value: against rounding by search among all values of a format."""

from __future__ import annotations

from fractions import Fraction

import pytest
import torch

from fpx.core.formats import FORMATS
from fpx.core.names import find_format
from fpx.core.spec import FormatSpec
from fpx.errors import InputError
from fpx.tensors.dtypes import container, wrapped
from fpx.training.steps import Counts, check_steps, class_count, classes, reach
from tests import oracle

SMALL = [
    find_format(name)
    for name in (
        "e4m3fn",
        "e5m2",
        "e4m3fnuz",
        "float8_e4m3",
        "e2m1fn",
        "e3m2fn",
        "e2m3fn",
        "e3m4",
        "e5m0",
    )
]
TINY = Fraction(1, 1 << 400)


def tensor(codes: list[int], spec: FormatSpec) -> torch.Tensor:
    dtype = container(spec)
    held = [wrapped(code & ((1 << 8 * dtype.itemsize) - 1), dtype) for code in codes]
    return torch.tensor(held, dtype=dtype)


def signed(code: int, spec: FormatSpec) -> Fraction | None:
    """The value of a code; None of what is not finite."""
    ladder, finite = oracle.values(spec)
    magnitude = code & (spec.sign_mask - 1)
    if magnitude >= finite or (magnitude == 0 and code and not spec.has_negative_zero):
        return None
    return -ladder[magnitude] if code & spec.sign_mask else ladder[magnitude]


def becomes(x: Fraction, spec: FormatSpec) -> Fraction | None:
    """What a number is rounded to."""
    if x == 0:
        return Fraction(0)
    code = oracle.encode(x, spec, "ties_to_even", "ieee")
    assert code is not None
    return signed(code, spec)


def interesting_steps(code: int, spec: FormatSpec) -> set[Fraction]:
    """Half the gaps around a value, and a little more and less."""
    ladder, _ = oracle.values(spec)
    at = code & (spec.sign_mask - 1)
    gaps = {ladder[at + 1] - ladder[at], ladder[at] - ladder[max(at - 1, 0)]} - {Fraction(0)}
    halves = {gap / k for gap in gaps for k in (1, 2, 4)}
    near = {half + sign * half * TINY for half in halves for sign in (-1, 0, 1)}
    return near | {Fraction(0), Fraction(1, 3), 2 * ladder[at] + TINY, 10**9 * ladder[-1]}


def stays(x: Fraction, step: Fraction, spec: FormatSpec) -> bool:
    return becomes(x + step, spec) == x


@pytest.mark.parametrize("spec", SMALL, ids=lambda spec: spec.name)
def test_every_code_stays_where_rounding_says(spec: FormatSpec) -> None:
    codes = [*range(1 << spec.bits)]
    found = classes(tensor(codes, spec), spec).tolist()
    for code, number in zip(codes, found, strict=True):
        x = signed(code, spec)
        if x is None:
            assert number == class_count(spec) - 1
            continue
        its = reach(number, spec)
        sign = -1 if x < 0 else 1
        for step in interesting_steps(code, spec):
            assert its.stays(step, toward=False) == stays(x, sign * step, spec), (code, step)
            assert its.stays(step, toward=True) == stays(x, -sign * step, spec), (code, step)


@pytest.mark.parametrize("name", ["bfloat16", "float16"])
def test_of_wider_formats_some_codes(name: str) -> None:
    spec = FORMATS[name]
    top = spec.max_finite_magnitude
    some = {0, 1, 2, 3, top - 1, top, top + 1, top + 2}
    some |= {(field << spec.fraction_bits) + d for field in (1, 2, 9) for d in (-1, 0, 1, 2)}
    for code, number in zip(some, classes(tensor([*some], spec), spec).tolist(), strict=True):
        x = signed(code, spec)
        if x is None:
            assert number == class_count(spec) - 1
            continue
        for step in interesting_steps(code, spec):
            both = [reach(number, spec).stays(step, toward) for toward in (False, True)]
            assert both == [stays(x, step, spec), stays(x, -step, spec)], (code, step)


def test_float64_reaches_half_its_smallest_value() -> None:
    spec = FORMATS["float64"]
    codes = torch.tensor([0, 1, 0x3FF0 << 48, -(1 << 63)])
    zero, least, one, minus_zero = (reach(number, spec) for number in classes(codes, spec).tolist())
    half = Fraction(1, 1 << 1075)
    assert zero == minus_zero == (half, half, True, True)
    assert least == (half, half, False, False)
    assert one == (Fraction(1, 1 << 53), Fraction(1, 1 << 54), True, False)


@pytest.mark.parametrize("name", ["float8_e8m0fnu", "binary8p3ue"])
def test_what_has_no_sign_or_no_zero_takes_no_steps(name: str) -> None:
    with pytest.raises(InputError, match=r"has no sign: numbers that take steps need both"):
        check_steps(find_format(name))


def test_counts_say_how_many_stay_and_which_steps_move_them() -> None:
    spec = find_format("e4m3fn")
    # 1 (first of its binade), 1.125 (odd), 1.25 (even), 0, NaN, and 1 again
    counts = Counts(spec)
    counts.take(tensor([0x38, 0x39, 0x3A, 0x00], spec))
    more = Counts(spec)
    more.take(tensor([0x7F, 0xB8], spec))
    counts.add(more)
    assert counts.not_finite == 1
    eighth, sixteenth = Fraction(1, 16), Fraction(1, 32)  # half gaps above 1, and below
    assert counts.under(Fraction(0)) == (5, 0, 5)
    assert counts.under(sixteenth) == (4, 0, 5)  # zero is moved; 1 just not
    assert counts.under(sixteenth + TINY) == (2, 2, 5)
    assert counts.under(eighth) == (1, 2, 5)  # 1.125 is odd: a tie moves it
    assert counts.under(eighth + TINY) == (0, 0, 5)
    assert counts.step_that_moves(Fraction(1, 5)) == Fraction(1, 1024)
    assert counts.step_that_moves(Fraction(1, 2)) == sixteenth
    assert counts.step_that_moves(Fraction(3, 5) + TINY) == eighth
    assert counts.step_that_moves(Fraction(1)) == eighth
    assert Counts(spec).step_that_moves(Fraction(1, 2)) is None
