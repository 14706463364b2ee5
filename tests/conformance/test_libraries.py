"""What torch, numpy and ml_dtypes make of one number, and why."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest
import torch

from fpx.conformance.libraries import _reason
from fpx.core.literals import parse_literal
from fpx.core.policy import Rounding
from fpx.report.decode import DecodeReport
from tests.helpers import F16, results


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


EVENLY = "rounds ties to even, not {} as asked"


@pytest.mark.parametrize(
    ("args", "verdicts"),
    [
        # 1 + 2^-7 - 2^-20: a library's nearest is above, the mode's neighbour below
        (["1.00781154", "bf16", "--rounding", "toward_zero"],
         {"torch": EVENLY.format("toward zero"), "ml_dtypes": EVENLY.format("toward zero")}),
        (["1.00390625", "bf16", "--rounding", "ties_to_away"],
         {"torch": EVENLY.format("ties to away"), "ml_dtypes": EVENLY.format("ties to away")}),
        (["1e-50", "fp16", "--rounding", "toward_positive"],
         {"torch": EVENLY.format("toward positive"), "numpy": EVENLY.format("toward positive")}),
        (["-1.001", "fp16", "--rounding", "to_odd"], {"torch": "", "numpy": ""}),
        (["-1.0001", "fp16", "--rounding", "to_odd"],
         {"torch": EVENLY.format("to odd"), "numpy": EVENLY.format("to odd")}),
        # beyond the largest value, toward zero means that value, and no policy is at fault
        (["70000", "fp16", "--rounding", "toward_zero"],
         {"torch": EVENLY.format("toward zero"), "numpy": EVENLY.format("toward zero")}),
        (["70000", "fp16", "--overflow", "saturate"],
         dict.fromkeys(("torch", "numpy"), "the largest value was asked for, not infinity")),
        (["70000", "fp16", "--overflow", "nan"],
         dict.fromkeys(("torch", "numpy"), "NaN was asked for, not infinity")),
        (["70000", "fp16", "--overflow", "nan", "--rounding", "toward_zero"],
         dict.fromkeys(("torch", "numpy"), "NaN was asked for, not infinity")),
        (["0", "e8m0", "--overflow", "saturate"],
         {"torch": "", "ml_dtypes": "the smallest value was asked for, not NaN"}),
        # a fault of the library's own stays one, and is told beside the mode
        (["257.00001", "bf16", "--rounding", "toward_positive"],
         dict.fromkeys(("torch", "ml_dtypes"), "rounded to float32 on the way")),
        (["257.00001", "bf16", "--rounding", "toward_negative"], {"torch": "", "ml_dtypes": ""}),
        (["1.00390625000000000001", "bf16", "--rounding", "toward_positive"],
         {name: EVENLY.format("toward positive") for name in ("torch", "ml_dtypes")}),
        (["100000", "fp32", "--rounding", "toward_zero", "--overflow", "saturate"],
         {"torch": "", "numpy": ""}),
    ],
    ids=lambda v: " ".join(v) if isinstance(v, list) else "",
)  # fmt: skip
def test_another_mode_is_told_from_a_fault(args: list[str], verdicts: dict[str, str]) -> None:
    value, dtype, *mode = args
    (entry,) = results("decode", value, "--dtype", dtype, *mode, "--libraries")
    found = {cast["library"]: cast["reason"] for cast in entry["libraries"]}
    assert found == verdicts
    for cast in entry["libraries"]:
        assert cast["agrees"] == (not cast["reason"]) == (cast["code"] == entry["code"])


def test_a_policy_of_the_librarys_own_is_named_under_every_mode() -> None:
    code = int(torch.tensor(1000.0).to(torch.float8_e4m3fn).view(torch.uint8))
    for mode in (["--overflow", "nan"], ["--rounding", "ties_to_away"]):
        (entry,) = results("decode", "1000", "--dtype", "e4m3fn", *mode, "--libraries")
        (reason,) = (c["reason"] for c in entry["libraries"] if c["library"] == "torch")
        assert reason == ("saturates" if code == 0x7E else "")
    (entry,) = results(
        "decode", "1000", "--dtype", "e4m3fn", "--overflow", "saturate", "--libraries"
    )
    reasons = {cast["library"]: cast["reason"] for cast in entry["libraries"]}
    lacks = "the largest value was asked for, not NaN"
    assert reasons == {"torch": "" if code == 0x7E else lacks, "ml_dtypes": lacks}


def test_a_fault_may_undo_a_mode_and_a_mode_hide_nothing() -> None:
    """Near ties of bfloat16, toward zero: what libraries do by way of float32 is another thing."""
    for value, reason in (
        # rounded once it is 1.0078125; by way of float32 it is 1, which was asked for
        ("1.0039062500000004", ""),
        # rounded once it is 1.0078125, which was asked for; by way of float32 it is 1.015625
        ("1.0117187499999996", "rounded to float32 on the way"),
    ):
        (entry,) = results(
            "decode", value, "--dtype", "bf16", "--rounding", "toward_zero", "--libraries"
        )
        assert [cast["reason"] for cast in entry["libraries"]] == [reason, reason]


def test_a_mode_and_a_fault_are_both_told() -> None:
    exact = DecodeReport.of(parse_literal("1.0006"), F16, Rounding.TOWARD_ZERO)
    given = torch.tensor([1.0006], dtype=torch.float64).view(torch.int64)
    nan = torch.tensor([0x7E00], dtype=torch.int16)
    assert _reason(given, nan, exact) == EVENLY.format("toward zero") + "; gives NaN"
