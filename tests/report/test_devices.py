"""What `fpx devices` reports."""

from __future__ import annotations

from fpx.casts.device import find_device
from fpx.casts.environment import environment
from fpx.report.devices import DevicesReport, DeviceSupport, FormatSupport


def report() -> DevicesReport:
    found = FormatSupport("bfloat16", True, cast=True, cast_gb_per_s=2.5)
    devices = [
        DeviceSupport(name, f"{name} (of ours)", None, None, None, (found, FormatSupport("tf32")))
        for name in ("cpu", "cuda:0")
    ]
    return DevicesReport(tuple(devices), environment([find_device("cpu")]), 100)


def test_a_table_has_a_row_for_each_device_and_format() -> None:
    table = report().table()
    rows = [dict(zip(table.columns, row, strict=True)) for row in table.rows]
    assert [(row["device"], row["format"]) for row in rows] == [
        ("cpu", "bfloat16"), ("cpu", "tf32"), ("cuda:0", "bfloat16"), ("cuda:0", "tf32"),
    ]  # fmt: skip
    assert [row["cast_gb_per_s"] for row in rows] == [2.5, None, 2.5, None]
    assert rows[0]["label"] == "cpu (of ours)"


def test_the_document_has_an_entry_for_each_device() -> None:
    document = report().to_dict()
    assert document["schema"] == "fpx.devices/1"
    assert document["environment"]["size"] == 100
    assert "seed" not in document["environment"]
    assert [entry["label"] for entry in document["results"]] == [
        "cpu (of ours)", "cuda:0 (of ours)",
    ]  # fmt: skip
    assert document["results"][0]["formats"][1]["storage"] is False
