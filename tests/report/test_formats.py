"""The formats and their names."""

from __future__ import annotations

from fpx.core.blocks import BLOCK_FORMATS
from fpx.core.formats import AMBIGUOUS, FORMATS
from fpx.core.names import find_format
from fpx.core.targets import find_target
from tests.helpers import call, results


def test_formats() -> None:
    entries = results("formats")
    assert [entry["format"] for entry in entries] == [*FORMATS, *BLOCK_FORMATS]
    entries = [entry for entry in entries if entry["format"] in FORMATS]
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


def test_numbers_with_scales_say_what_they_are_made_of() -> None:
    entries = results("formats", "nvfp4", "mxfp8", "e4m3fn:channel", "bf16")
    plain = entries.pop()
    assert {entry["format"]: entry["bits_per_element"] for entry in entries} == {
        "nvfp4": 4.5, "mxfp8_e4m3": 8.25, "float8_e4m3fn:channel": 8,
    }  # fmt: skip
    first, second, third = entries
    assert set(plain) < set(first)  # so that whoever reads them all finds every key
    assert (first["element"], first["scale_format"], first["global_scale_format"]) == (
        "float4_e2m1fn", "float8_e4m3fn", "float32",
    )  # fmt: skip
    assert (first["shares"], second["shares"], third["shares"]) == (
        "block:16", "block:32", "channel",
    )  # fmt: skip
    assert second["global_scale_format"] is None
    assert "2509.25149" in first["citation"]
    assert first["encoding"]["scale rule"] == "amax"
    for entry in entries:
        assert all(find_target(name).name == entry["format"] for name in entry["aliases"])
    out = call("formats", "bf16", "nvfp4", columns=80)[1]
    assert out.index("Who has it") < out.index("Numbers with scales") < out.index("2509.25149")
    assert "Who has it" not in call("formats", "nvfp4")[1]
    assert "Numbers with scales" not in call("formats", "bf16")[1]
    rows = call("formats", "bf16", "mxfp4", "--csv")[1].splitlines()
    assert len({row.count(",") for row in rows if '"' not in row}) == 1
