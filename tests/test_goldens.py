"""What programs read: `--json` of every command, held to by documents of record."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

import fpx
from tests.helpers import call

GOLDEN = Path(__file__).parent / "goldens"


FP16_JSON = ["--dtype", "fp16", "--json"]


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("decode", ["decode", "3.14", "-0", "1/3", "65520", "nan", "1e-8", *FP16_JSON]),
        ("encode", ["encode", "3.14", "1e9", "--dtype", "fp16", "--json"]),
        ("range", ["range", "--dtype", "fp16", "--dtype", "e8m0", "--dtype", "e4m3fn", "--json"]),
    ],
)  # fmt: skip
def test_json_is_golden(name: str, args: list[str]) -> None:
    code, out, err = call(*args)
    assert (code, err) == (0, "")
    golden = GOLDEN / f"{name}.json"
    document = json.loads(out, parse_constant=lambda token: pytest.fail(f"{token} is not JSON"))
    assert document.pop("fpx") == fpx.__version__
    if os.environ.get("FPX_REGENERATE"):  # review the diff before you commit it
        golden.write_text(json.dumps(document, indent=1) + "\n")
    assert document == json.loads(golden.read_text())


DECODE_KEYS = (
    "input format code sign biased_exponent exponent fraction significand classification value "
    "shortest hex_float rounding_error error_ulp ulp lower upper"
)


RANGE_KEYS = (
    "format bits exponent_bits fraction_bits bias emin emax max_finite smallest_normal "
    "smallest_subnormal machine_epsilon unit_roundoff digits10 max_digits10 max_consecutive_integer"
)


CAST_KEYS = (
    "source tensor from to backend device count overflow_count overflow_to_inf_count "
    "overflow_to_nan_count saturated_count underflow_count subnormal_count nan_input_count "
    "inf_input_count exact_count max_abs_error max_rel_error max_error_ulp rms_error sqnr_db"
)


@pytest.mark.parametrize(
    ("keys", "args"),
    [
        (DECODE_KEYS, ["decode", "3.14"]),
        (RANGE_KEYS, ["range"]),
        (CAST_KEYS, ["cast-compare", "normal", "--size", "100"]),
    ],
)
def test_json_keeps_its_promised_keys(keys: str, args: list[str]) -> None:
    document = json.loads(call(*args, "--json")[1])
    assert document["schema"] == f"fpx.{args[0]}/1"
    assert {"schema", "fpx", "environment", "results"} <= set(document)
    for entry in document["results"]:
        assert set(keys.split()) <= set(entry)
