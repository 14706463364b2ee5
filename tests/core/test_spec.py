"""What a format holds."""

from __future__ import annotations

from fractions import Fraction

import pytest

import fpx
from fpx.core import codec
from fpx.core.formats import FORMATS
from fpx.report.formats import FormatReport


@pytest.mark.parametrize("spec", FORMATS.values(), ids=lambda s: s.name)
def test_first_missing_integer(spec: fpx.FormatSpec) -> None:
    n = spec.first_missing_integer
    assert fpx.decode(n, spec).value != n
    for k in range(1, min(n, 70)):
        assert fpx.decode(k, spec).value == k
    assert fpx.decode(n - 1, spec).value in (n - 1, None)
    binades = FormatReport(spec).dynamic_range_log2
    ratio = spec.max_finite.fraction / spec.smallest_positive.fraction
    assert abs(Fraction(2) ** int(binades) / ratio - 1) < 1


@pytest.mark.parametrize("old", [s for s in FORMATS.values() if s.bits <= 8], ids=lambda s: s.name)
@pytest.mark.parametrize("new", [s for s in FORMATS.values() if s.bits <= 16], ids=lambda s: s.name)
def test_holds_means_every_value(old: fpx.FormatSpec, new: fpx.FormatSpec) -> None:
    values = {codec.decode(code, old) for code in range(1 << old.bits)} - {None}
    there = all(
        fpx.decode(value.fraction, new, overflow="saturate").value == value.fraction
        for value in values
        if value is not None
    )
    assert new.holds(old) == there
