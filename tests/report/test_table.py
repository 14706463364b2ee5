"""The codes of a format, and those around a value."""

from __future__ import annotations

import csv
import io
import re
from fractions import Fraction

import ml_dtypes
import numpy as np
import pytest

import fpx
from fpx.core import codec
from fpx.core.names import find_format
from fpx.report.table import TableReport
from tests.helpers import call, results


@pytest.mark.parametrize("name", ["fp4", "e3m2fn", "e4m3fn", "e8m0", "e3m4", "e5m6", "binary8p4ue"])
def test_tables_hold_every_code(name: str) -> None:
    spec = find_format(name)
    entries = results("table", name)
    assert [int(entry["code"], 16) for entry in entries] == list(range(1 << spec.bits))
    for code, entry in enumerate(entries):
        value = codec.decode(code, spec)
        if value is not None:
            assert Fraction(entry["value"]) == value.fraction
            assert fpx.encode(entry["shortest"], spec, read_as="value").code in (code, 0)
    _, out, _ = call("table", name, "--csv")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert [row["value"] for row in rows] == [entry["value"] for entry in entries]


def test_tables_around_a_value() -> None:
    report = TableReport.around(fpx.decode("1", "bf16"), 4)
    assert list(report.codes) == [0x3F7F, 0x3F80, 0x3F81, 0x3F82]
    report = TableReport.around(fpx.decode("-0", "bf16"), 3)
    assert list(report.codes) == [0x8001, 0x8000, 0x0001]
    report = TableReport.around(fpx.decode("inf", "bf16"), 5)
    assert list(report.codes) == [0x7F7E, 0x7F7F, 0x7F80]
    report = TableReport.around(fpx.decode("min", "binary8p4uf"), 3)
    assert list(report.codes) == [0, 1]
    assert call("table", "bf16", "--around", "-1", "--count", "3")[0] == 0
    for args in (
        ["bf16"], ["bf16", "--list"], ["float32", "--csv"], ["bf16", "--around", "nan"],
        ["bf16", "--around", "1", "--count", "0"],
    ):  # fmt: skip
        code, _, err = call("table", *args)
        assert code == 2
        assert err.count("\n") == 1


@pytest.mark.parametrize("form", ["csv", "json", "jsonl", "markdown"])
def test_wide_formats_are_printed_whole_where_nothing_is_drawn(form: str) -> None:
    code, out, err = call("table", "e5m8", f"--{form}")
    assert (code, err) == (0, "")
    found = re.findall(r"0x[0-9a-f]{4}", out)
    assert [int(text, 16) for text in found] == list(range(1 << 14))


def test_every_value_of_bfloat16_is_in_the_csv() -> None:
    rows = list(csv.DictReader(io.StringIO(call("table", "bf16", "--csv")[1])))
    bits = np.arange(1 << 16, dtype=np.uint16)
    with np.errstate(invalid="ignore"):  # signaling NaNs
        values = bits.view(ml_dtypes.bfloat16).astype(np.float64)
    assert [int(row["code"], 16) for row in rows] == bits.tolist()
    assert np.array_equal([float(row["value"]) for row in rows], values, equal_nan=True)


def test_too_wide_a_format_is_not_drawn_but_is_there() -> None:
    report = fpx.table("bf16")
    assert len(report) == 1 << 16
    assert "too many for a picture" in str(report)
    assert fpx.table("e5m6").too_many is None
    assert fpx.table("bf16", around=1).too_many is None
    assert sum(len(part) for part in report.in_parts()) == 1 << 16
    with pytest.raises(fpx.FpxError, match="too many for one table"):
        fpx.table("e8m15")
