"""Conditions on numbers that have names."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

import pytest

from fpx.errors import InputError
from fpx.report.base import JsonValue
from fpx.report.limits import parse_limit

NAMES = ("half", "count", "none")


class Row:
    title = "row"

    def identity(self) -> dict[str, JsonValue]:
        return {}

    def numbers(self) -> Mapping[str, Fraction | int | None]:
        return {"half": Fraction(1, 2), "count": 3, "none": None}


@pytest.mark.parametrize(
    ("text", "fails"),
    [
        ("count", True), ("count>3", False), ("count>=3", True), ("count<3", False),
        ("count<=3", True), ("count==3", True), ("count!=3", False), ("half > 0.5", False),
        ("half>.4999", True), ("half<-1", False), ("none>100", True), ("none", True),
    ],
)  # fmt: skip
def test_limits(text: str, fails: bool) -> None:
    limit = parse_limit(text, NAMES)
    assert limit.fails(Row()) == fails
    assert limit.text == text


def test_what_is_said() -> None:
    assert parse_limit("half", NAMES).reason(Row()) == "half holds (half is 0.5)"
    assert parse_limit("none<1", NAMES).reason(Row()) == "none<1 counts as met: there is no none"
    assert parse_limit("half>=0.25", NAMES).to_dict() == {
        "check": "half>=0.25", "name": "half", "comparison": ">=", "limit": 0.25,
    }  # fmt: skip
    assert [parse_limit(name, NAMES).value(Row()) for name in NAMES] == [0.5, 3, None]


@pytest.mark.parametrize("text", ["", "count=3", "count>", ">3", "count>x", "cuont>3", "count><3"])
def test_what_is_no_limit(text: str) -> None:
    with pytest.raises(InputError, match=r"no condition|no name"):
        parse_limit(text, NAMES)
