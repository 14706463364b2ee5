"""The elements of formats with scales, and what a scale makes of them."""

from __future__ import annotations

from fractions import Fraction

import pytest

import fpx
from tests.helpers import call, results

E2M1 = (0, 0.5, 1, 1.5, 2, 3, 4, 6)


@pytest.mark.parametrize(
    ("name", "code", "scale"),
    [("mxfp4", 0x80, 2), ("mxfp4", 0, Fraction(2) ** -127), ("nvfp4", 0x7E, 448)],
)
def test_elements_at_a_scale(name: str, code: int, scale: Fraction) -> None:
    entries = results("table", name, "--scale-code", hex(code))
    assert len(entries) == 16
    for at, entry in enumerate(entries):
        assert (entry["code"], entry["bits"]) == (f"0x{at:x}", f"{at:04b}")
        assert abs(Fraction(entry["value"])) == Fraction(E2M1[at % 8])
        assert abs(Fraction(entry["scaled_value"])) == Fraction(E2M1[at % 8]) * scale
        assert entry["scaled_value"].startswith("-") is entry["value"].startswith("-") is (at > 7)


def test_elements_without_a_scale_are_those_of_the_format() -> None:
    entries = results("table", "mxfp8_e5m2")
    assert {entry.pop("scaled_value") for entry in entries} == {None}
    assert entries == results("table", "e5m2")
    entries = results("table", "mxfp4", "--scale-code", "0xff")
    assert [entry["scaled_value"] for entry in entries] == ["nan"] * 16
    values = {entry["code"]: entry["scaled_value"]
              for entry in results("table", "mxfp8_e5m2", "--scale-code", "0x80")}  # fmt: skip
    assert (values["0x7c"], values["0xfc"], values["0x7d"]) == ("inf", "-inf", "nan")


@pytest.mark.parametrize(
    ("name", "code", "value"),
    [("nf4", "0x0", "-1"), ("nf4", "0x7", "0"), ("fp4_bnb", "0x3", "1"), ("int8", "0xff", None),
     ("mxint8", "0x7f", "1.984375")],
)  # fmt: skip
def test_tables_of_numbers(name: str, code: str, value: str | None) -> None:
    entries = {entry["code"]: entry for entry in results("table", name)}
    assert len(entries) == 1 << (8 if "int8" in name else 4)
    assert entries[code]["value"] == (value or "-0.015625")
    assert entries[code]["classification"] is None


@pytest.mark.parametrize(
    "args",
    [["mxfp4", "--around", "1"], ["mxfp4", "--scale-code", "0x100"], ["bf16", "--scale-code", "1"],
     ["mxfp4", "--scale-code", "1,2"], ["int8", "--scale-code", "1"],
     ["mxfp4", "--scale-code", "z"], ["nf4", "--scale-code", "0x7f800000"], ["mxpf4"]],
    ids=" ".join,
)  # fmt: skip
def test_what_is_refused(args: list[str]) -> None:
    code, out, err = call("table", *args)
    assert (code, out, err.count("\n")) == (2, "", 1)


def test_on_a_screen() -> None:
    for columns in (40, 60, 80):
        out = call("table", "nvfp4", "--scale-code", "0x7e", columns=columns)[1]
        assert "× scale 0x7e" in out
        assert "2688" in out
        assert max(map(len, out.splitlines())) <= columns
    assert "scale 0x" not in call("table", "nvfp4")[1]
    assert "0.079580" in call("table", "nf4")[1]
    report = fpx.element_table("nvfp4", scale_code=0x7E)
    assert len(report) == 16
    assert "nvfp4" in repr(report)
