"""What a format holds."""

from __future__ import annotations

from fractions import Fraction

import pytest

import fpx
from fpx.core import codec
from fpx.core.formats import FORMATS
from fpx.core.names import find_format
from fpx.report.ranges import FormatReport
from tests.helpers import results


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


UNSIGNED = [find_format(f"binary{bits}p{p}u{kind}") for bits in (3, 4, 5) for p in (1, 2, 3)
            for kind in "ef"]  # fmt: skip
UNSIGNED += [find_format(name) for name in ("e4m0fnu", "e5m0fnu", "e3m0fnu", "e8m0")]


@pytest.mark.parametrize("new", UNSIGNED, ids=lambda s: s.name)
def test_formats_without_sign_or_zero_hold_what_they_hold(new: fpx.FormatSpec) -> None:
    for old in UNSIGNED:
        assert new.holds(old) == (values_of(old) <= values_of(new)), old.name


def values_of(spec: fpx.FormatSpec) -> set[Fraction]:
    found = (codec.decode(code, spec) for code in range(1 << spec.bits))
    return {value.fraction for value in found if value is not None}


def test_a_zero_may_be_all_that_is_lost() -> None:
    (entry,) = results("range", "--compare", "binary4p1uf", "e8m0")
    assert entry["keeps_every_value"] is False
    (zero,) = [row for row in entry["differences"] if row["what"] == "zero"]
    assert (zero["change"], zero["text"]) == ("lost", "has none")
