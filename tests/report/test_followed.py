"""One element of a quantised weight, as a report."""

from __future__ import annotations

import random
from decimal import ROUND_DOWN, Context, Decimal
from fractions import Fraction

import pytest

from fpx.report.followed import Beside, ElementReport, PartInfo, as_dyadic, first_digits


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("0", "0"), ("0.5", "0.5"), ("-0.5", "-0.5"), ("1/3", "0.33333333333333333…"),
        ("-2/3", "-0.66666666666666666…"), ("100/3", "33.333333333333333…"), ("12345", "12345"),
        ("1e30", "1000000000000000000000000000000"), ("1/3e30", "3.3333333333333333e-31…"),
        ("99999999999999999", "99999999999999999"), ("999999999999999999", None),
    ],
)  # fmt: skip
def test_the_first_digits_of_a_number(value: str, text: str | None) -> None:
    over, _, under = value.partition("/")
    number = Fraction(over) / Fraction(under or 1)
    if text is None:  # more digits than are shown
        assert first_digits(number).endswith("…")
    else:
        assert first_digits(number) == text


def test_digits_are_cut_and_never_rounded() -> None:
    rng = random.Random(0)
    context = Context(prec=17, rounding=ROUND_DOWN, Emin=-(10**6), Emax=10**6)
    for _ in range(3000):
        over, under = (rng.getrandbits(rng.randrange(1, 200)) + 1 for _ in range(2))
        number = Fraction(over, under) * rng.choice((1, -1))
        shown = first_digits(number)
        exact = context.divide(Decimal(number.numerator), Decimal(number.denominator))
        assert Decimal(shown.rstrip("…")) == exact
        assert shown.endswith("…") is (Fraction(exact) != number)


def test_sums_of_powers_of_two_have_a_hexadecimal() -> None:
    for value in (Fraction(3, 8), Fraction(-7), Fraction(0), Fraction(5, 1 << 70)):
        found = as_dyadic(value)
        assert found is not None
        assert found.fraction == value
    assert as_dyadic(Fraction(1, 3)) is None
    assert as_dyadic(Fraction(1, 6)) is None


def report(**more: object) -> ElementReport:
    terms = (
        PartInfo("element", "w.codes", (3, 2), "0xa7", 4, "0xa", 4, "float4_e2m1fn", "-1"),
        PartInfo("scale", "w.scale", (3, 0), None, None, "0x44", 8, "float8_e4m3fn", "3"),
    )
    kinds: dict[str, object] = {
        "source": "f", "tensor": "w", "index": (3, 5), "dtype": "mxfp4", "layout": "l",
        "evidence": "names", "recognised_by": "its names", "terms": terms,
        "formula": "element x scale", "exact": Fraction(-3), "lower": "-4.5", "upper": "-1.5",
        "around": (Beside((3, 5), "0xa", "-1", "3", "-3"),),
    }  # fmt: skip
    return ElementReport(**{**kinds, **more})  # type: ignore[arg-type]


def test_its_document() -> None:
    found = report().to_dict()
    assert found["schema"] == "fpx.inspect-element/1"
    (entry,) = found["results"]
    assert {key: entry[key] for key in ("tensor", "index", "dtype", "formula", "value")} == {
        "tensor": "w", "index": [3, 5], "dtype": "mxfp4", "formula": "element x scale",
        "value": "-3",
    }  # fmt: skip
    assert (entry["hex_float"], entry["decimal"]) == ("-0x1.8p+1", "-3")
    assert (entry["lower"], entry["upper"]) == ("-4.5", "-1.5")
    assert (entry["evidence"], entry["recognised_by"], entry["layout"]) == (
        "names", "its names", "l",
    )  # fmt: skip
    assert entry["terms"][0] == {
        "role": "element", "tensor": "w.codes", "index": [3, 2], "stored": "0xa7", "first_bit": 4,
        "code": "0xa", "bits": 4, "format": "float4_e2m1fn", "value": "-1",
    }  # fmt: skip
    assert entry["around"] == [
        {"index": [3, 5], "code": "0xa", "element": "-1", "scale": "3", "value": "-3"}
    ]
    assert repr(report()) == "<ElementReport: 1 row, w[3, 5]>"


def test_it_has_a_row_for_each_term() -> None:
    found = report().table()
    rows = [dict(zip(found.columns, row, strict=True)) for row in found.rows]
    assert [row["term.role"] for row in rows] == ["element", "scale"]
    assert [row["term.value"] for row in rows] == ["-1", "3"]
    assert [(row["tensor"], row["index"], row["value"]) for row in rows] == [("w", "3 5", "-3")] * 2


def test_what_has_no_value() -> None:
    (entry,) = report(exact=None, special="-inf").results()
    assert (entry["value"], entry["decimal"], entry["hex_float"]) == ("-inf", "-inf", None)
