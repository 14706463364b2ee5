"""Conformance of casts: planted faults are found and named, right casts are not accused."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from fpx.casts.backends import BACKENDS, LAYOUTS, Backend
from fpx.casts.device import find_device
from fpx.casts.rounding import nans, round_codes
from fpx.conformance.cast_verify import ORIGINS, cast_verify, find_origin
from fpx.conformance.causes import CAUSES
from fpx.conformance.codes import every_code
from fpx.conformance.tally import Tally
from fpx.core.codec import Overflow, Rounding
from fpx.core.formats import FORMATS
from fpx.core.names import find_format
from fpx.core.spec import FormatSpec
from fpx.errors import InputError, UnavailableError
from fpx.report.cast_verify import KINDS, VerifyRow
from fpx.tensors.dtypes import IntegerType, container
from tests.test_cli import call

F64, F32, F16, BF16 = (FORMATS[n] for n in ("float64", "float32", "float16", "bfloat16"))
E4M3, E5M2, E8M0 = (FORMATS[f"float8_{n}"] for n in ("e4m3fn", "e5m2", "e8m0fnu"))
SMALL = [F16, BF16]

Fault = Callable[[Tensor, Any, FormatSpec], Tensor]


class Planted(Backend):
    """A backend whose casts are right but for one fault."""

    name, version = "planted", "0"

    def __init__(self, fault: Fault = round_codes) -> None:
        self.fault = fault

    def cast(
        self,
        codes: Tensor,
        source: FormatSpec | IntegerType,
        target: FormatSpec,
        layout: str = "contiguous",
        compiled: bool = False,
    ) -> Tensor:
        return self.fault(codes, source, target)


def verify(source: Any, target: FormatSpec, fault: Fault = round_codes, **more: Any) -> VerifyRow:
    more.setdefault("everything", False)
    backend = Planted(fault)
    return cast_verify([source], [target], backends=[backend], size=4096, **more).rows[0]


def saturating(codes: Tensor, source: Any, target: FormatSpec) -> Tensor:
    right = round_codes(codes, source, target)
    clamped = round_codes(codes, source, target, Rounding.TIES_TO_EVEN, Overflow.SATURATE)
    return torch.where(nans(codes, source), right, clamped)


def truncating(codes: Tensor, source: Any, target: FormatSpec) -> Tensor:
    return round_codes(codes, source, target, Rounding.TOWARD_ZERO)


def ties_away(codes: Tensor, source: Any, target: FormatSpec) -> Tensor:
    return round_codes(codes, source, target, Rounding.TIES_TO_AWAY)


def through_float32(codes: Tensor, source: Any, target: FormatSpec) -> Tensor:
    return round_codes(round_codes(codes, source, F32), F32, target)


def flushing(codes: Tensor, source: Any, target: FormatSpec) -> Tensor:
    q = round_codes(codes, source, target)
    subnormal = (q & target.magnitude_mask) >> target.fraction_bits == 0
    signs = q & (target.sign_mask - (1 << target.bits) if target.bits > 8 else target.sign_mask)
    return torch.where(subnormal, signs, q)


def unsigned_zeros(codes: Tensor, source: Any, target: FormatSpec) -> Tensor:
    q = round_codes(codes, source, target)
    return q.masked_fill(q & target.magnitude_mask == 0, 0)


def one_nan(codes: Tensor, source: Any, target: FormatSpec) -> Tensor:
    q = round_codes(codes, source, target)
    return q.masked_fill(nans(q, target), target.magnitude_mask)


def nan_to_zero(codes: Tensor, source: Any, target: FormatSpec) -> Tensor:
    q = round_codes(codes, source, target)
    return q.masked_fill(nans(q, target), 0)


def nan_overflow(codes: Tensor, source: Any, target: FormatSpec) -> Tensor:
    return round_codes(codes, source, target, Rounding.TIES_TO_EVEN, Overflow.NAN)


def nan_of_one(codes: Tensor, source: Any, target: FormatSpec) -> Tensor:
    one = round_codes(torch.tensor([1], dtype=torch.int32), find_origin("int32"), target)
    q = round_codes(codes, source, target)
    return q.masked_fill(q == one, int(target.nan_code or 0))


def smallest_for_invalid(codes: Tensor, source: Any, target: FormatSpec) -> Tensor:
    return round_codes(codes, source, target, Rounding.TIES_TO_EVEN, Overflow.SATURATE)


def low_end_like_zero(codes: Tensor, source: Any, target: FormatSpec) -> Tensor:
    """Halfway to the second value rounds up, as if the first were 0: what torch does to E8M0."""
    q = round_codes(codes, source, target)
    with_zero = round_codes(codes, source, replace(target, zero=True))
    return torch.where((q == 0) & (codes > 0), with_zero, q)


def off_by_one(codes: Tensor, source: Any, target: FormatSpec) -> Tensor:
    one = round_codes(torch.tensor([1], dtype=torch.int32), find_origin("int32"), target)
    q = round_codes(codes, source, target)
    return torch.where(q == one, q ^ 7, q)


ALIKE = {
    # gives zero or the largest value now and then, as these would too
    "truncates": {"flushes_subnormals", "saturates"},
    # halfway from the first to the second value, both take the second
    "smallest_as_zero": {"ties_away"},
}
"""Other causes that explain some of the results of one as well."""


@pytest.mark.parametrize(
    ("fault", "source", "target", "cause", "kind"),
    [
        (saturating, F32, F16, "saturates", "policy"),
        (saturating, F16, E4M3, "saturates", "policy"),
        (saturating, F64, BF16, "saturates", "policy"),
        (nan_overflow, BF16, F16, "overflows_to_nan", "policy"),
        (one_nan, F32, BF16, "nan_bits", "nan_bits"),
        (one_nan, BF16, E5M2, "nan_bits", "nan_bits"),
        (through_float32, F64, F16, "double_rounding", "wrong_rounding"),
        (through_float32, F64, E4M3, "double_rounding", "wrong_rounding"),
        (through_float32, find_origin("int64"), BF16, "double_rounding", "wrong_rounding"),
        (truncating, F32, BF16, "truncates", "wrong_rounding"),
        (truncating, F16, E5M2, "truncates", "wrong_rounding"),
        (ties_away, F32, F16, "ties_away", "wrong_rounding"),
        (ties_away, F16, E8M0, "ties_away", "wrong_rounding"),
        (flushing, F32, F16, "flushes_subnormals", "wrong_rounding"),
        (flushing, BF16, F16, "flushes_subnormals", "wrong_rounding"),
        (unsigned_zeros, F16, BF16, "zero_sign", "wrong_rounding"),
        (unsigned_zeros, F64, E5M2, "zero_sign", "wrong_rounding"),
        (nan_to_zero, F16, BF16, "nan_class", "wrong_rounding"),
        (nan_of_one, F16, BF16, "nan_class", "wrong_rounding"),
        (smallest_for_invalid, find_origin("uint8"), E8M0, "smallest_value", "policy"),
        (low_end_like_zero, BF16, E8M0, "smallest_as_zero", "wrong_rounding"),
        (off_by_one, F16, BF16, "other", "wrong_rounding"),
    ],
)
def test_a_planted_fault_is_found_and_named(
    fault: Fault, source: Any, target: FormatSpec, cause: str, kind: str
) -> None:
    row = verify(source, target, fault)
    assert row.causes
    assert row.causes[0].cause == cause
    assert {found.cause for found in row.causes} <= {cause} | ALIKE.get(cause, set())
    assert row.causes[0].kind == kind
    assert row.count("any") == row.checked_count - row.equal_count
    assert row.count(kind) > 0.9 * row.count("any")
    for example in row.causes[0].examples:
        if source.bits < 64:
            code = torch.tensor([int(example.code, 16)], dtype=torch.int64)
            code = code.to(torch.int32).to(container(source))  # wrapped as it holds codes
            got = int(fault(code, source, target)) % (1 << target.bits)
            assert got == int(example.got_code, 16) != int(example.expected_code, 16)


@pytest.mark.parametrize("target", [f for f in FORMATS.values() if f.bits <= 64])
@pytest.mark.parametrize("source", [find_origin(n) for n in (*ORIGINS, "uint8", "float8_e5m2")])
def test_a_right_cast_is_not_accused(source: Any, target: FormatSpec) -> None:
    if source is target:
        return
    row = verify(source, target)
    assert row.causes == ()
    assert row.checked_count == row.equal_count > 0
    assert row.verdict == "right"
    assert row.codes == ("all" if source.bits <= 16 else "sampled")
    if row.codes == "all":
        assert row.checked_count + row.undefined_count == 1 << source.bits


def test_a_dropped_sign_is_named_whatever_the_rounding() -> None:
    """float8_e8m0fnu by way of float32, without the sign, ties away: as torch casts int64."""
    int64 = find_origin("int64")

    def unsigned(codes: Tensor, source: Any, target: FormatSpec) -> Tensor:
        first = round_codes(codes, source, F32)
        magnitude = first & F32.magnitude_mask
        q = round_codes(magnitude, F32, target, Rounding.TIES_TO_AWAY)
        return torch.where(codes < 0, q, round_codes(codes, source, target))

    row = verify(int64, E8M0, unsigned)
    assert {cause.cause for cause in row.causes} == {"drops_sign"}
    assert row.count("policy") == row.count("any") > 0


def explained(source: FormatSpec, target: FormatSpec, expected: Fault, got: Fault) -> set[str]:
    """The causes found where another implementation says what is expected."""
    tally = Tally(source, target, keep=1)
    for number in range((codes := every_code(source, find_device("cpu"))).blocks):
        block, _ = codes.block(number)
        tally.add(block, expected(block, source, target), got(block, source, target))
    assert tally.checked == 1 << source.bits
    return {cause.cause for cause in tally.causes()}


def test_what_only_another_implementation_can_expect() -> None:
    assert explained(BF16, F16, saturating, round_codes) == {"overflows_to_infinity"}
    assert explained(F16, BF16, ties_away, round_codes) == {"other_is_wrong"}


def test_the_reverse_of_saturation() -> None:
    planted = Planted(saturating)
    assert planted.cast(torch.tensor([0x7C00], dtype=torch.int16), F16, E4M3).item() == 0x7E
    row = cast_verify([F16], [E4M3], backends=[BACKENDS["ml_dtypes"]], against="cpu").rows[0]
    if row.causes:  # torch from 2.12 on saturates
        assert {c.cause for c in row.causes} == {"overflows_to_nan"}


# -- the libraries here ----------------------------------------------------------------------------


def test_torch_rounds_float64_twice() -> None:
    row = cast_verify([F64], [F16]).rows[0]
    assert row.causes[0].cause == "double_rounding"
    example = row.causes[0].examples[0]
    code = torch.tensor([int(example.code, 16)], dtype=torch.int64)
    assert int(code.view(torch.float64).to(torch.float16).view(torch.int16)) % (1 << 16) == int(
        example.got_code, 16
    )


def test_numpy_rounds_float64_once() -> None:
    row = cast_verify([F64], [F16, F32], backends=[BACKENDS["numpy"]]).rows[0]
    assert row.count("wrong_rounding") == row.count("policy") == 0


@pytest.mark.skipif(shutil.which("c++") is None, reason="torch.compile needs a C++ compiler")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of what torch imports to compile
def test_compiled_casts_are_verified_too() -> None:
    targets = [F16, BF16]
    report = cast_verify([F32], targets, compiled=True, everything=False, size=2000)
    assert report.options.compile
    assert [row.checked_count > 4000 for row in report.rows] == [True, True]
    assert report.failures("wrong_rounding") == []
    # vectors and what is left over of them need not agree on NaN bits: only those may differ
    assert {cause.kind for row in report.rows for cause in row.causes} <= {"nan_bits"}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts_do_not_change_numbers(layout: str) -> None:
    report = cast_verify([F32, F16], [F16, BF16], layout=layout, everything=False, size=500)
    assert sum(row.count("wrong_rounding") + row.count("policy") for row in report.rows) == 0


def test_flush_denormal_is_found_and_switched_off_again() -> None:
    row = cast_verify([F64], [F32], everything=False, flush_denormal=True).rows[0]
    assert {cause.cause for cause in row.causes} == {"flushes_subnormals"}
    assert float(torch.tensor([2.0**-130], dtype=torch.float64).to(torch.float32)) == 2.0**-130
    after = cast_verify([F64], [F32], everything=False).rows[0]
    assert after.count("wrong_rounding") == 0


def test_what_a_library_does_not_offer() -> None:
    targets = [find_format(n) for n in ("tf32", "float6_e2m3fn", "fp4", "float16")]
    report = cast_verify([F32], targets, everything=False, size=100)
    assert [row.verdict for row in report.rows] == ["absent", "absent", "absent", "right"]
    assert report.complete
    assert report.failures("any") == []
    rows = cast_verify([F32], targets, backends=[BACKENDS["ml_dtypes"]], everything=False).rows
    assert [row.offered for row in rows] == [False, True, True, False]
    assert rows[1].undefined_count > 0  # NaNs, of which float6 has none


@pytest.mark.parametrize("backend", BACKENDS)
def test_every_pair_of_formats_is_cast_or_absent(backend: str) -> None:
    """No pair that a library refuses, in whatever way, is an error."""
    specs = [spec for spec in FORMATS.values() if spec.bits <= 64]
    report = cast_verify(specs, specs, backends=[BACKENDS[backend]], everything=False, size=8)
    assert len(report.rows) == len(specs) * (len(specs) - 1)
    offered = sum(row.offered for row in report.rows)
    if backend == "exact":
        assert offered == len(report.rows)
        assert all(row.equal_count == row.checked_count for row in report.rows)
    else:
        assert 0 < offered < len(report.rows)
    assert all(row.complete for row in report.rows)


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda_agrees_with_the_cpu() -> None:
    report = cast_verify(devices=["cuda"], against="cpu")
    assert report.failures("wrong_rounding") == []


def test_bad_arguments() -> None:
    for bad in ({"layout": "diagonal"}, {"size": 0}, {"against": "torch"}, {"devices": ["tpu"]}):
        with pytest.raises(InputError):
            cast_verify([F16], [BF16], **bad)
    with pytest.raises(InputError, match="64"):
        cast_verify([F16], [FORMATS["float128"]])
    if not torch.cuda.is_available():
        with pytest.raises(UnavailableError):
            cast_verify([F16], [BF16], devices=["cuda"])


def test_every_code_is_cast_once() -> None:
    codes = every_code(F32, find_device("cpu"))
    firsts = []
    for number in (0, 1, codes.blocks // 2, codes.blocks - 1):
        block, span = codes.block(number)
        assert span is not None
        assert int(block[0]) & F32.magnitude_mask == span.low
        assert int(block[-1]) & F32.magnitude_mask == span.high
        assert bool(block[0] < 0) == span.negative
        firsts.append(int(block[0]) % (1 << 32))
    assert firsts == [n * block.numel() for n in (0, 1, codes.blocks // 2, codes.blocks - 1)]
    assert codes.blocks * block.numel() == 1 << 32


def test_causes_are_one_table() -> None:
    assert {cause.kind for cause in CAUSES} == set(KINDS)
    assert CAUSES[-1].name == "other"


# -- the command -----------------------------------------------------------------------------------


def test_the_command() -> None:
    code, out, err = call("cast-verify", "--from", "float64", "--to", "fp16")
    assert code == 1
    assert "rounded to float32 on the way" in out
    assert err.startswith("fpx: float64 -> float16 by torch on cpu: ")
    code, out, _ = call("cast-verify", "--from", "bf16", "--to", "fp16", "--json")
    assert code == 0
    (entry,) = json.loads(out)["results"]
    assert (entry["verdict"], entry["checked_count"], entry["codes"]) == ("right", 1 << 16, "all")
    args = ("cast-verify", "--from", "fp16", "--to", "bf16", "--backend", "ml_dtypes")
    assert call(*args)[0] == 0
    assert call(*args, "--fail-on", "any")[0] == 1
    code, _, err = call("cast-verify", "--to", "float128")
    assert (code, err.count("\n")) == (2, 1)


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_ctrl_c_reports_what_was_covered() -> None:
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "fpx", "cast-verify", "--from", "fp32", "--to", "fp16"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ,
    )  # fmt: skip
    time.sleep(6)  # torch's import, and some blocks
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted" in err
    assert "Traceback" not in err
    assert "right, part" in out or "not run" in out


# -- minutes of work: scripts/test-slow ------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("target", [FORMATS[n] for n in ("float16", "bfloat16", "float8_e5m2")])
def test_all_float32_codes(target: FormatSpec) -> None:
    row = cast_verify([F32], [target]).rows[0]
    assert row.checked_count == 1 << 32
    assert row.count("wrong_rounding") == row.count("policy") == 0


@pytest.mark.slow
@pytest.mark.parametrize("fault", [truncating, one_nan])
def test_a_fault_among_all_float32_codes(fault: Fault) -> None:
    row = verify(F32, BF16, fault, everything=True)
    assert row.checked_count == 1 << 32
    assert row.equal_count < 1 << 32
