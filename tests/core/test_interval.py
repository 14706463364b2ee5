"""Which numbers round to a code."""

from __future__ import annotations

from fractions import Fraction

import pytest

from fpx.core.dyadic import Dyadic
from fpx.core.interval import Interval, rounding_interval
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
            if interval is None:
                continue

            def lands(x: Fraction, code: int = code, spec: FormatSpec = spec) -> bool:
                if x == 0 and spec.zero:
                    return code == 0
                try:
                    return encode(x, spec, rounding=rounding, overflow=overflow) == code
                except InputError:
                    return False

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


def test_interval_type() -> None:
    assert rounding_interval(0x3C00, F16) == Interval(
        Dyadic(4095, -12), Dyadic(2049, -11), True, True
    )
