"""Which numbers round to a code."""

from __future__ import annotations

import re
from fractions import Fraction

import pytest

from fpx.core.codec import is_nan
from fpx.core.dyadic import Dyadic
from fpx.core.interval import is_out_of_range, rounding_interval
from fpx.core.policy import Overflow, Rounding
from fpx.core.spec import FormatSpec
from fpx.errors import InputError
from tests import oracle
from tests.helpers import F16, encode

SMALL = [*oracle.SMALL, *oracle.FAMILIES]


@pytest.mark.parametrize("overflow", list(Overflow), ids=lambda o: o.value)
@pytest.mark.parametrize("rounding", list(Rounding), ids=lambda r: r.value)
def test_intervals_hold_exactly_what_rounds_there(rounding: Rounding, overflow: Overflow) -> None:
    tiny = Fraction(1, 1 << 60)
    specs = [(spec, 1) for spec in SMALL if spec.bits <= 8] + [(F16, 61)]
    for spec, step in specs:
        for code in {*range(0, 1 << spec.bits, step), spec.max_finite_magnitude}:
            interval = rounding_interval(code, spec, rounding, overflow)

            def lands(x: Fraction, code: int = code, spec: FormatSpec = spec) -> bool:
                if x == 0 and spec.zero:
                    return code == 0
                try:
                    return encode(x, spec, rounding=rounding, overflow=overflow) == code
                except InputError:
                    return False

            outside = is_out_of_range(code, spec, rounding, overflow)
            beyond = 4 * spec.max_finite.fraction
            assert outside == (is_nan(code, spec) and any(map(lands, (beyond, -beyond))))
            if interval is None:
                assert outside or not any(map(lands, (beyond, -beyond, tiny, -tiny)))
                continue
            _check_end(interval.low, interval.low_closed, -1, lands, tiny)
            _check_end(interval.high, interval.high_closed, 1, lands, tiny)


def _check_end(end: Dyadic | None, closed: bool, outward: int, lands: object, tiny: object) -> None:
    if end is None:
        return
    x = end.fraction
    if x == 0:
        assert lands(x) == closed  # type: ignore[operator]
        assert not lands(outward * tiny)  # type: ignore[operator]
        return
    assert lands(x) == closed  # type: ignore[operator]
    outside = x + outward * abs(x) * tiny  # type: ignore[operator]
    assert not lands(outside)  # type: ignore[operator]


@pytest.mark.parametrize(
    ("code", "overflow", "low", "high", "closed"),
    [
        (0x3C00, "ieee", "1 - 2^-12", "1 + 2^-11", (True, True)),
        (0x3C01, "ieee", "1 + 2^-11", "1 + 3 * 2^-11", (False, False)),
        (0x0001, "ieee", "2^-25", "3 * 2^-25", (False, False)),
        (0x0000, "ieee", "0", "2^-25", (True, True)),
        (0x7BFF, "ieee", "65488", "65520", (False, False)),
        (0x7BFF, "saturate", "65488", None, (False, True)),
        (0xFBFF, "nan", "-65520", "-65488", (False, False)),
        (0x7C00, "ieee", "65520", None, (True, True)),
    ],
)
def test_intervals_by_hand(
    code: int, overflow: str, low: str | None, high: str | None, closed: tuple[bool, bool]
) -> None:
    """The ends of float16's: midpoints, which belong to the even code; None is unbounded."""
    found = rounding_interval(code, F16, Rounding.TIES_TO_EVEN, Overflow(overflow))
    assert found is not None
    for end, text in ((found.low, low), (found.high, high)):
        assert (None if end is None else end.fraction) == (text and _number(text))
    assert (found.low_closed, found.high_closed) == closed


def _number(text: str) -> Fraction:
    """The value of a sum or product of integers and powers of two."""
    powers = re.sub(r"2\^-([0-9]+)", lambda power: f"Fraction(1, {2 ** int(power[1])})", text)
    return Fraction(eval(powers, {"Fraction": Fraction}))
