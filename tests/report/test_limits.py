"""Conditions on numbers that have names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from fractions import Fraction

import pytest

from fpx.errors import InputError
from fpx.report.base import JsonValue
from fpx.report.limits import parse_limit
from tests.helpers import call

NAMES = ("half", "count", "none", "huge")


class Row:
    title = "row"

    def identity(self) -> dict[str, JsonValue]:
        return {}

    def numbers(self) -> Mapping[str, Fraction | int | None]:
        return {"half": Fraction(1, 2), "count": 3, "none": None, "huge": Fraction(10**401, 3)}


@pytest.mark.parametrize(
    ("text", "fails"),
    [
        ("count", True), ("count>3", False), ("count>=3", True), ("count<3", False),
        ("count<=3", True), ("count==3", True), ("count!=3", False), ("half > 0.5", False),
        ("half>.4999", True), ("half<-1", False), ("none>100", True), ("none", True),
        ("half>4.9e-1", True), ("half>5E-1", False), ("huge>1e400", True), ("huge>4e400", False),
        (f"huge>{'1' * 5000}", False),
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
    values = [parse_limit(name, NAMES).value(Row()) for name in NAMES]
    assert values == [0.5, 3, None, None]
    assert parse_limit("huge", NAMES).reason(Row()) == "huge holds (huge is 3.33333e+400)"
    assert parse_limit("half<1e400", NAMES).to_dict()["limit"] is None


@pytest.mark.parametrize("text", ["", "count=3", "count>", ">3", "count>x", "cuont>3", "count><3"])
def test_what_is_no_limit(text: str) -> None:
    with pytest.raises(InputError, match=r"no condition|no name"):
        parse_limit(text, NAMES)


@pytest.mark.parametrize(
    "args",
    [
        ["calc", "1"], ["calc", "x", "--dtype", "fp4", "--all", "x"],
        ["calc", "x", "--dtype", "fp4", "--all", "x", "--rounding", "stochastic"],
        ["op-verify", "exp"], ["reveal", "sum"], ["step-compare", "normal"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_the_conditions_that_a_message_names_are_taken(args: list[str]) -> None:
    code, out, err = call(*args, "--fail-if", "=")
    assert (code, out) == (2, "")
    found = re.search("as in '([^']*)' or '([^']*)';", err)
    assert found is not None
    such = [part for condition in found.groups() for part in ("--fail-if", condition)]
    # both are read before what comes after them is refused
    _, _, err = call(*args, *such, "--fail-if", "=0")
    assert "'=0' is no condition" in err
