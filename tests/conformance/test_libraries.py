"""What torch, numpy and ml_dtypes make of one number, and why."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest
import torch

from tests.helpers import results


@pytest.mark.parametrize(
    ("value", "dtype", "verdicts"),
    [
        ("1", "bf16", {"torch": "", "ml_dtypes": ""}),
        ("nan", "fp16", {"torch": "", "numpy": ""}),
        ("1.0004882812500009", "fp16",
         {"torch": "rounded to float32 on the way", "numpy": ""}),
        ("257.00001", "bf16",
         {"torch": "rounded to float32 on the way", "ml_dtypes": "rounded to float32 on the way"}),
        ("2049.0000000000001", "fp16",
         {"torch": "the nearest float64 rounds so", "numpy": "the nearest float64 rounds so"}),
        ("-0.0001", "e4m3fnuz", {"torch": "", "ml_dtypes": ""}),
        ("3", "e8m0", {"torch": "rounds ties away from zero",
                       "ml_dtypes": "rounds ties away from zero"}),
        ("0", "e8m0", {"torch": "gives the smallest value", "ml_dtypes": ""}),
        ("-1", "e8m0", {"torch": "drops the sign", "ml_dtypes": ""}),
        ("-3", "e8m0",
         {"torch": "drops the sign, rounds ties away from zero", "ml_dtypes": ""}),
        ("7", "e3m4", {"ml_dtypes": ""}),
        ("0x7f80", "bf16", {"torch": "", "ml_dtypes": ""}),
        ("-0", "fp16", {"torch": "", "numpy": ""}),
    ],
)  # fmt: skip
def test_libraries(value: str, dtype: str, verdicts: dict[str, str]) -> None:
    (entry,) = results("decode", value, "--dtype", dtype, "--libraries")
    found = {cast["library"]: cast for cast in entry["libraries"]}
    assert {library: cast["reason"] for library, cast in found.items()} == verdicts
    for cast in found.values():
        assert cast["agrees"] == (not cast["reason"])


def test_the_cast_of_a_number_that_was_rounded_another_way() -> None:
    (entry,) = results(
        "decode", "-1e-3", "--dtype", "fp64", "--rounding", "toward_zero", "--libraries"
    )
    for cast in entry["libraries"]:
        assert (cast["code"], cast["reason"]) == (
            "0xbf50624dd2f1a9fc", "the nearest float64 rounds so"
        )  # fmt: skip


def test_saturation_is_named() -> None:
    """Which libraries saturate depends on their versions: what they do here is what is told."""
    casts = {
        "torch": int(torch.tensor(1000.0).to(torch.float8_e4m3fn).view(torch.uint8)),
        "ml_dtypes": int(np.array([1000.0]).astype(ml_dtypes.float8_e4m3fn).view(np.uint8)[0]),
    }
    (entry,) = results("decode", "1000", "--dtype", "e4m3fn", "--libraries")
    found = {cast["library"]: (cast["code"], cast["reason"]) for cast in entry["libraries"]}
    reasons = {0x7E: "saturates", 0x7F: ""}
    assert found == {name: (f"{code:#04x}", reasons[code]) for name, code in casts.items()}


@pytest.mark.parametrize("value", ["-nan", "snan(1)", "nan(0x3)", "-snan"])
def test_a_nan_with_other_bits_agrees(value: str) -> None:
    others = 0
    for dtype in ("bf16", "fp16", "fp32"):
        (entry,) = results("decode", value, "--dtype", dtype, "--libraries")
        assert entry["libraries"]
        for cast in entry["libraries"]:
            assert (cast["agrees"], cast["reason"]) == (True, "")
            others += cast["code"] != entry["code"]
    assert others  # the nearest float64 that a library is given has no payload


@pytest.mark.parametrize(("name", "given"), [("max", "65504.0"), ("epsilon", "0.0009765625")])
def test_libraries_cast_a_constant_of_the_format_that_was_asked_for(name: str, given: str) -> None:
    (entry,) = results("decode", name, "--dtype", "fp16", "--libraries")
    assert {cast["input"] for cast in entry["libraries"]} == {given}
    assert all(cast["agrees"] for cast in entry["libraries"])
