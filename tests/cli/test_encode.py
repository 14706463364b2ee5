"""`fpx encode`."""

from __future__ import annotations

import pytest

from tests.helpers import call, results


@pytest.mark.parametrize(
    ("args", "lines"),
    [
        (["3.14", "--dtype", "bf16"], ["0x4049"]),
        (["-3.14", "-inf", "-0x1p3", "-1/3", "--dtype", "bf16"],
         ["0xc049", "0xff80", "0xc100", "0xbeab"]),
        (["65519.999999999999", "--dtype", "fp16"], ["0x7bff"]),
        (["65520", "--dtype", "half", "--overflow", "saturate"], ["0x7bff"]),
        (["1.5", "--dtype", "bf16", "--output", "bin"], ["0b0011111111000000"]),
        (["1.5", "--dtype", "bf16", "--output", "int"], ["16320"]),
        (["0x10", "--as", "value", "--dtype", "fp16"], ["0x4c00"]),
        (["1.001", "--rounding", "toward_positive", "--dtype", "bf16"], ["0x3f81"]),
    ],
)  # fmt: skip
def test_encode(args: list[str], lines: list[str]) -> None:
    assert call("encode", *args) == (0, "\n".join(lines) + "\n", "")


@pytest.mark.parametrize(
    ("options", "code"),
    [([], "0x7c00"), (["--overflow", "saturate"], "0x7bff"), (["--overflow", "nan"], "0x7e00"),
     (["--rounding", "toward_zero"], "0x7bff")],
)  # fmt: skip
def test_json_is_what_is_printed(options: list[str], code: str) -> None:
    args = ["encode", "65520", "--dtype", "fp16", *options]
    assert call(*args) == (0, f"{code}\n", "")
    (entry,) = results(*args)
    assert entry["code"] == code
    assert entry["rounding"] == (options[1] if "--rounding" in options else "ties_to_even")
    assert entry["overflow"] == (options[1] if "--overflow" in options else "ieee")
