"""What every report can do: draw itself, become text, JSON, a table, a data frame."""

from __future__ import annotations

import importlib
import io
import json
import math
import os
import sys
from pathlib import Path

import pytest
import torch
from rich.console import Console

import fpx
import fpx.report as report_room
from fpx.core.literals import to_literal
from fpx.errors import UnavailableError
from fpx.report.base import Report, Reports, once, to_json
from fpx.report.decode import Comparison


def test_reports_draw_themselves() -> None:
    console = Console(width=80, file=open(os.devnull, "w", encoding="utf-8"), record=True)  # noqa: SIM115, PTH123
    for report in (fpx.decode("3.14"), fpx.encode("3.14"), fpx.format_info("bf16"),
                   fpx.cast_compare(torch.ones(2))):  # fmt: skip
        console.print(report)
        bundle = report._repr_mimebundle_()
        assert "<pre" in bundle["text/html"]
        assert bundle["text/plain"].strip()
    text = console.export_text()
    console.file.close()
    assert "0x4048f5c3" in text
    assert "bfloat16" in text


def test_json_has_null_for_what_is_no_number() -> None:
    inf, nan = math.inf, math.nan
    found = to_json({"a": [inf, -inf, nan, 1.5, -0.0], 3: (True, None, "x")})
    assert json.dumps(found, allow_nan=False) == (
        '{"a": [null, null, null, 1.5, -0.0], "3": [true, null, "x"]}'
    )


def every_report() -> list[Report]:
    """One of each kind, but those that tests of other rooms make."""
    return [
        fpx.decode("3.14", "bf16"),
        fpx.decode("snan", "fp16"),
        fpx.encode("1/3", "fp16"),
        fpx.survey("0.1"),
        fpx.survey("nan", rounding="all"),
        fpx.libraries("1", "bf16"),
        fpx.libraries("1", "e5m7"),
        fpx.format_info("bf16"),
        fpx.ranges(["fp16", "e8m0"]),
        fpx.compare_ranges("fp16", "e8m0"),
        fpx.formats(["e4m3fn", "e5m7"]),
        fpx.table("fp4"),
        fpx.table("bf16", around="1", count=3),
        fpx.distance("1", "1.001", "fp16"),
        fpx.distance("1", "inf", ["fp16", "fp32"]),
        fpx.bits(b"I@\x80?", "bf16"),
        fpx.bits(b"\x21\x43", "fp4", packing="split-halves", block=4),
        fpx.decode_block("7 nan 1e-9", ["mxfp4", "nvfp4"]),
        fpx.decode_block("7 1", "nf4").items[0],
        fpx.decode_block(dtype="nvfp4", codes="e7", scale_code=1),
        fpx.element_table("int8"),
        fpx.element_table("mxfp4", scale_code=0xFF),
        fpx.ranges(["mxfp4", "bf16", "nf4"]),
        fpx.ranges("nvfp4").items[0],
        fpx.formats(["e4m3fn", "nvfp4"]),
        fpx.formats("mxfp4").items[0],
        Comparison((fpx.decode(2, "e8m0"), fpx.decode(2, "fp4"))),
        Reports((fpx.encode(1), fpx.decode(2, "fp4"))),
        Reports(()),
    ]


REPORTS = every_report()


@pytest.mark.parametrize("report", REPORTS, ids=repr)
def test_what_every_report_can_do(report: Report) -> None:
    assert len(list(report)) == len(report)
    assert report  # an empty one too
    assert repr(report).startswith(f"<{type(report).__name__}: {len(report)} row")
    assert "\n" not in repr(report)
    document = report.to_dict()
    assert document["fpx"] == fpx.__version__
    assert document["schema"].startswith("fpx.")
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    table = report.table()
    assert all(len(row) == len(table.columns) for row in table.rows)
    assert len(set(table.columns)) == len(table.columns)
    assert str(report) == str(report).rstrip("\n")
    bundle = report._repr_mimebundle_()
    assert "<pre" in bundle["text/html"]


@pytest.mark.parametrize("report", REPORTS, ids=repr)
def test_a_string_is_the_drawing(report: Report, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    out = io.StringIO()
    Console(file=out, width=80, highlight=False).print(report)
    drawn = "\n".join(line.rstrip() for line in out.getvalue().splitlines())
    assert str(report) == drawn.rstrip("\n")


def test_every_kind_of_report_has_one_line() -> None:
    """A dataclass writes a `__repr__` of its own unless it is told not to."""
    for path in Path(report_room.__file__).parent.glob("*.py"):
        importlib.import_module(f"fpx.report.{path.stem}")
    kinds, found = [Report], set()
    while kinds:
        kind = kinds.pop()
        if kind.__module__.startswith("fpx."):
            found.add(kind.__name__)
            assert kind.__repr__ is Report.__repr__, kind
        kinds += kind.__subclasses__()
    assert {"CastReport", "VerifyReport", "InspectReport", "DevicesReport"} <= found


def test_the_table_is_what_the_document_says() -> None:
    table = fpx.table("fp4").table()
    assert [dict(zip(table.columns, row, strict=True)) for row in table.rows] == (
        fpx.table("fp4").results()
    )


@pytest.mark.parametrize(
    "values", [["1", "nan"], ["nan", "1"], ["nan", "snan"], ["inf", "-0"]], ids=str
)
def test_columns_of_decode_do_not_depend_on_the_number(values: list[str]) -> None:
    columns = fpx.decode("3.14", "bf16").table().columns
    reports = Reports(tuple(fpx.decode(value, "bf16") for value in values))
    assert reports.table().columns == columns
    assert reports.table().rows == tuple(row for report in reports for row in report.table().rows)


def test_pandas_is_optional(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)  # as if it were not installed
    with pytest.raises(UnavailableError, match="pip install pandas"):
        fpx.table("fp4").to_pandas()


def test_a_data_frame_has_the_table() -> None:
    pytest.importorskip("pandas")
    report = fpx.table("fp4")
    frame = report.to_pandas()
    assert list(frame.columns) == list(report.table().columns)
    assert frame.loc[frame["code"] == "0x1", "value"].tolist() == ["0.5"]
    assert len(frame) == 16


def test_a_report_of_ones_own() -> None:
    class Mine(fpx.DecodeReport):
        pass

    class Bare(Report):
        schema = "mine/1"

        def results(self) -> list[dict[str, object]]:
            return [{"a": 1, "b": None}]

    decoded = Mine.of(to_literal("3.14"), fpx.find_format("bf16"))
    assert str(decoded) == str(fpx.decode("3.14", "bf16"))
    assert str(Bare()).split() == ["a", "b", "─" * 4, "1", "-"]
    assert repr(Bare()) == "<Bare: 1 row>"
    with pytest.raises(NotImplementedError, match="names no schema"):
        Report().to_dict()


def test_properties_are_computed_once() -> None:
    class Counting:
        calls = 0

        @once
        def value(self) -> int:
            """Its docstring."""
            self.calls += 1
            return 42

    counting = Counting()
    assert [counting.value, counting.value, counting.calls] == [42, 42, 1]
    assert Counting.value.__doc__ == "Its docstring."
