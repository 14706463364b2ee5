"""The codes of a format, and those around a value."""

from __future__ import annotations

import csv
import io
from fractions import Fraction

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
    for args in (["bf16"], ["bf16", "--around", "nan"], ["bf16", "--around", "1", "--count", "0"]):
        code, _, err = call("table", *args)
        assert code == 2
        assert err.count("\n") == 1
