"""The formats and their names."""

from __future__ import annotations

from fpx.core.formats import AMBIGUOUS, FORMATS
from fpx.core.names import find_format
from tests.helpers import call, results


def test_formats() -> None:
    entries = results("formats")
    assert [entry["format"] for entry in entries] == list(FORMATS)
    by_name = {entry["format"]: entry for entry in entries}
    assert by_name["float8_e4m3fn"]["libraries"]["onnx"] == "FLOAT8E4M3FN"
    assert by_name["float8_e4m3fn"]["overflow"] == "nan"
    assert by_name["float4_e2m1fn"]["overflow"] == "max_finite"
    assert by_name["float8_e8m0fnu"]["zero"] == "none"
    for entry in entries:
        for name in (*entry["aliases"], *entry["libraries"].values()):
            if name.lower() not in AMBIGUOUS:  # safetensors' F4 is numpy's float32
                assert find_format(name).name == entry["format"]
    _, out, _ = call("formats", "e5m7", "binary8p4se")
    assert "1-5-7" in out
    assert "0x80" in out
