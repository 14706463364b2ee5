"""What people see of `fpx calc`; goldens hold the whole screens."""

from __future__ import annotations

import pytest

import fpx
from tests.helpers import cells, drawn


def rows(text: str, dtype: str = "bf16", width: int = 120, **options: object) -> dict[str, str]:
    """The labelled rows of a panel; those without a label under that of the one before."""
    found: dict[str, str] = {}
    label = ""
    for line in cells(drawn(fpx.calc(text, dtype, **options), width)):  # type: ignore[arg-type]
        parts = [part for part in (part.strip("│╰─╯ ") for part in line) if part]
        if len(parts) > 1:
            label = parts[0]
            found[label] = "  ".join(parts[1:])
        elif len(parts) == 1 and label:
            found[label] += f"\n{parts[0]}"
    return found


@pytest.mark.parametrize(
    ("text", "dtype", "label", "cell"),
    [
        ("0.1 + 0.2", "fp64", "rounded once", "0.3 (0x3fd3333333333333), 1 code below"),
        ("sum(1, 2^-8, 2^-8)", "bf16", "rounded once", "1.01 (0x3f81), 1 code above"),
        ("1 + 1", "bf16", "rounded once", "the same code"),
        ("1 + 1", "bf16", "flags", "none: exact"),
        ("1 + 1", "bf16", "error", "0 (exact)"),
        ("1 / 0", "e4m3fn", "flags", "inexact, divide by zero"),
        ("max * 2 - max * 2", "fp16", "rounded once", "0 (0x0000)"),
        ("sqrt(2)", "bf16", "exact", "≈ 1.414213562373095048…"),
        ("1/3", "bf16", "error", "+1/1536  (1/3 ulp)"),
        ("1e99999999 * 0", "bf16", "exact", "not computed: the exact value is too large or small"),
        ("max + 1", "fp4", "absorbed", "6 + 1 is 6 again: nothing further that way changes it"),
        ("fma(1e-5, -0.5, 0.05)", "bf16", "absorbed", "to count in place of 1e-05 is 0.000244"),
        ("fma(2, 3, 1e-9)", "bf16", "absorbed", "6 again: the first to count in place of 1e-09 is"),
        ("1e-40 * 1e-30", "e8m0", "absorbed", "nothing further that way changes it"),
    ],
)
def test_rows(text: str, dtype: str, label: str, cell: str) -> None:
    assert cell in rows(text, dtype)[label]


def test_a_nan_that_is_missing_is_told() -> None:
    told = rows("2^2 / 2^-3", "e3m0", overflow="nan")
    assert told["rounded once"] == "overflows to a NaN, which e3m0 has not"
    assert told["exact"] == "32"


def test_nothing_may_count() -> None:
    told = rows("57344 * 1.25 * 1.25", "e5m2", rounding="toward_zero")["absorbed"]
    assert told == "60000 * 1.2 is 60000 again: nothing further that way changes it, 2 times"


def test_what_was_absorbed_alike_is_one_line() -> None:
    told = rows("sum(1, 2^-8, 2^-8, 2^-9, 2^-10, 2^-11)")["absorbed"].splitlines()
    assert len(told) == 4
    assert told[0].endswith("(changes begin beyond 0.00390625), 2 times")
    assert told[-1].startswith("and 1 more like that (--json has all)")


def test_choices_are_told() -> None:
    told = rows("1/3", rounding="toward_zero", overflow="nan", order="kahan")
    assert (told["rounding"], told["overflow"], told["order"]) == ("toward_zero", "nan", "kahan")
    assert rows("1/3", precise=True)["rounded"] == "once, the whole"
    assert not {"rounding", "overflow", "order", "rounded"} & set(rows("1/3"))
    several = drawn(fpx.calc("1/3", ["bf16", "fp16"], rounding="to_odd"))
    assert several.startswith("1/3  rounding to_odd")
    every = drawn(fpx.calc("x/3", "fp4", all_="x", overflow="saturate", precise=True), 120)
    assert "overflow saturate  rounded once, the whole" in every


def test_several_formats_with_steps_are_panels() -> None:
    text = drawn(fpx.calc("1 + 2", ["bf16", "fp16"], trace=True))
    assert text.count("╭─ 1 + 2 in ") == 2
    assert text.count("none: exact") == 8


def test_every_code() -> None:
    text = drawn(fpx.calc("x + 1", "e4m3fn", all_="x"))
    lines = [line for line in cells(text) if line[0].startswith("2^")]
    assert lines == [
        ["2^-9 to 2^-6", "subnormal", "14", "none"],
        ["2^-6 to 2^4", "160", "none"],
        ["2^4 to 2^5", "16", "7"],
        ["2^5 to 2^9", "62", "all"],
    ]
