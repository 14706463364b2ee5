"""The casts of the libraries that are here."""

from __future__ import annotations

import shutil
import threading
from dataclasses import replace
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import torch
from torch import Tensor

from fpx.casts.backends import BACKENDS, LAYOUTS
from fpx.casts.device import find_device
from fpx.casts.rounding import round_codes
from fpx.conformance.cast_verify import cast_verify
from fpx.core.formats import FORMATS
from fpx.core.names import find_format
from fpx.core.spec import FormatSpec
from fpx.errors import InputError, UnavailableError
from fpx.report.cast_verify import NoDifference
from tests.conformance.planted import (
    Fault,
    nan_to_zero,
    one_nan,
    saturating,
    truncating,
    verify,
)
from tests.helpers import BF16, E4M3, E5M2, E8M0, F16, F32, F64


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
    report = cast_verify(
        [F32],
        targets,
        compiled=True,
        everything=False,
        size=2000,
        checks=[NoDifference("wrong_rounding")],
    )
    assert report.options.compile
    assert [row.checked_count > 4000 for row in report.rows] == [True, True]
    assert report.failures() == []
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
    report = cast_verify([F32], targets, everything=False, size=100, checks=[NoDifference("any")])
    assert [row.verdict for row in report.rows] == ["absent", "absent", "absent", "right"]
    assert report.complete
    assert report.failures() == []
    rows = cast_verify([F32], targets, backends=[BACKENDS["ml_dtypes"]], everything=False).rows
    assert [row.offered for row in rows] == [False, True, True, False]
    assert rows[1].undefined_count > 0  # NaNs, of which float6 has none


def offers(backend: str, source: FormatSpec, target: FormatSpec) -> bool:
    """Whether a library casts so: asked of itself."""
    if backend == "exact":
        return True
    if backend == "torch":  # which only stores what is narrower
        return all(spec.torch is not None and spec.bits >= 8 for spec in (source, target))
    kinds = [getattr(np, spec.numpy or "", None) for spec in (source, target)]
    if backend == "numpy":
        return None not in kinds
    kinds = [
        kind or getattr(ml_dtypes, spec.ml_dtypes or "", None)
        for kind, spec in zip(kinds, (source, target), strict=True)
    ]
    if None in kinds or (source.numpy and target.numpy):
        return False
    try:
        np.zeros(1, kinds[0]).astype(kinds[1])
    except TypeError:
        return False
    return True


@pytest.mark.parametrize("backend", BACKENDS)
def test_every_pair_of_formats_is_cast_or_absent(backend: str) -> None:
    """No pair that a library refuses, in whatever way, is an error; no other is left out."""
    specs = [spec for spec in FORMATS.values() if spec.bits <= 64]
    report = cast_verify(specs, specs, backends=[BACKENDS[backend]], everything=False, size=8)
    assert len(report.rows) == len(specs) ** 2
    for row in report.rows:
        source, target = FORMATS[row.from_], FORMATS[row.to]
        assert row.offered == offers(backend, source, target), (row.from_, row.to)
        assert row.complete
        if not row.offered:
            assert (row.verdict, row.checked_count, row.codes) == ("absent", 0, "none")
            continue
        assert row.checked_count > 8 or source.bits < 8
        if source.bits <= 16 and backend != "exact":  # which the scalar codec checks, slowly
            assert row.checked_count + row.undefined_count == 1 << source.bits
        assert row.checked_count == row.equal_count + row.count("any")
        if target.holds(source) and source.zero:  # nothing to round: an error here is no opinion
            assert row.count("wrong_rounding") == 0, (row.from_, row.to)


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda_agrees_with_the_cpu() -> None:
    report = cast_verify(devices=["cuda"], against="cpu", checks=[NoDifference("wrong_rounding")])
    assert report.failures() == []


def test_bad_arguments() -> None:
    for bad in ({"layout": "diagonal"}, {"size": 0}, {"against": "torch"}, {"devices": ["tpu"]}):
        with pytest.raises(InputError):
            cast_verify([F16], [BF16], **bad)
    with pytest.raises(InputError, match="64"):
        cast_verify([F16], [FORMATS["float128"]])
    if not torch.cuda.is_available():
        with pytest.raises(UnavailableError):
            cast_verify([F16], [BF16], devices=["cuda"])


def test_a_format_to_itself_is_cast_where_both_are_named() -> None:
    row = cast_verify([F16], [F16]).rows[0]
    assert row.checked_count == 1 << 16
    assert {cause.kind for cause in row.causes} <= {"nan_bits"}  # signaling NaNs may stay so
    assert row.count("any") <= 2 * 511
    for origins, targets in (([F16], []), ([], [F16])):
        report = cast_verify(origins, targets, everything=False, size=8)
        assert all(row.from_ != row.to for row in report.rows)


E5M7, TF32 = find_format("e5m7"), find_format("tf32")


@pytest.mark.parametrize(
    ("origins", "targets", "more", "lines"),
    [
        ([F32], [E5M7], {}, ["float32 to e5m7: not checked, torch has no such cast"]),
        ([F32], [E5M7, F16], {}, ["float32 to e5m7: not checked, torch has no such cast"]),
        ([], [E5M7], {}, ["to e5m7: not checked"]),
        ([TF32], [], {}, ["from tfloat32: not checked"]),
        ([TF32], [E5M7], {"backends": [BACKENDS["exact"]]}, []),
        ([F32], [BF16], {"against": "numpy"},
         ["float32 to bfloat16: not checked, torch and numpy do not both have such a cast"]),
        ([F32], [BF16], {"backends": [BACKENDS[n] for n in ("numpy", "torch")]}, []),
        ([F32], [BF16], {"backends": [BACKENDS["numpy"]]},
         ["numpy has no such cast (backends that do: torch, ml_dtypes, exact)"]),
        ([F32], [BF16, E4M3], {"backends": [BACKENDS["numpy"]]},
         ["float32 to bfloat16", "float32 to float8_e4m3fn"]),
        ([F32], [], {"backends": [BACKENDS["numpy"]]}, []),
        ([], [], {}, []),
        ([], [], {"backends": [BACKENDS["numpy"]], "against": "ml_dtypes"},
         ["casts: not checked, numpy and ml_dtypes do not both have such a cast"]),
        ([find_format("e3m60")], [F16], {"backends": [BACKENDS["exact"]]},
         ["exact has no such cast (backends that do: none)"]),
    ],
)  # fmt: skip
def test_what_was_asked_for_and_not_checked_is_named(
    origins: list[FormatSpec], targets: list[FormatSpec], more: dict[str, Any], lines: list[str]
) -> None:
    report = cast_verify(origins, targets, everything=False, size=8, **more)
    assert len(report.unchecked) == len(lines)
    for line, words in zip(report.unchecked, lines, strict=True):
        assert words in line
    assert report.to_dict()["unchecked"] == list(report.unchecked)
    if not any(row.checked_count for row in report.rows):
        assert report.unchecked


def test_exact_rounding_is_compared_with_the_codec() -> None:
    exact = [BACKENDS["exact"]]
    report = cast_verify([E5M2, F16, E5M7], [F16, E5M7, E4M3, E8M0], backends=exact)
    for row in report.rows:
        assert (row.against, row.verdict) == ("codec", "right")
        bits = find_format(row.from_).bits
        assert (row.codes, row.checked_count) == ("all", 1 << bits)
    few = cast_verify([F64], [F16], backends=exact).rows[0]
    assert (few.codes, few.verdict) == ("sampled", "right")
    assert 1000 < few.checked_count <= 4096


@pytest.mark.parametrize("fault", [truncating, nan_to_zero, saturating])
def test_a_fault_of_exact_rounding_is_found(fault: Fault, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who rounds for the backend has a fault; who looks for causes does not."""
    monkeypatch.setattr("fpx.casts.rounding.round_codes", fault)
    for origin in (F16, F64):
        row = cast_verify([origin], [E5M2], backends=[BACKENDS["exact"]]).rows[0]
        assert row.count("wrong_rounding") + row.count("policy") > 0


def test_nothing_is_compared_with_itself() -> None:
    for backend, against in (("torch", "cpu"), ("numpy", "numpy"), ("ml_dtypes", "ml_dtypes")):
        with pytest.raises(InputError, match=f"compares {backend} on the CPU with itself"):
            cast_verify([F16], [F32], backends=[BACKENDS[backend]], against=against)
    report = cast_verify([F16], [F32], layout="strided", against="cpu")
    assert report.rows[0].checked_count == 1 << 16


def test_a_cast_that_nobody_offers_a_layout_for_is_refused() -> None:
    for backend, more in (
        ("numpy", {"compiled": True}),
        ("exact", {"compiled": True}),
        ("exact", {"layout": "strided"}),
    ):
        with pytest.raises(InputError, match=backend):
            cast_verify([F16], [F32], backends=[BACKENDS[backend]], **more)


def test_a_device_that_was_found_before() -> None:
    cpu = find_device("cpu")
    named = replace(cpu, label="a CPU of ours")
    report = cast_verify([F16], [BF16], devices=[named])
    assert report.details.device == "a CPU of ours"
    assert report.rows[0].device == "cpu"


class Interrupting:
    """Progress that presses Ctrl-C when so many codes have been cast."""

    def __init__(self, at: int) -> None:
        self.left = at

    def start(self, total: int) -> None:
        pass

    def advance(self, count: int) -> None:
        self.left -= count
        if self.left <= 0:
            raise KeyboardInterrupt


@pytest.mark.parametrize("at", [1, 1 << 16, (1 << 16) + 1, 1 << 20])
def test_ctrl_c_leaves_a_report_on_what_was_done(at: int) -> None:
    threads = threading.active_count(), torch.get_num_threads()
    report = cast_verify([F16, F32, BF16], [E5M2], progress=Interrupting(at))
    assert (threading.active_count(), torch.get_num_threads()) == threads
    assert not report.complete
    first, second, third = report.rows
    assert first.checked_count == 1 << 16
    assert third.verdict == "not run"
    assert 0 <= second.checked_count < 1 << 32
    assert second.checked_count >= at - (1 << 16)
    assert second.checked_count == second.equal_count + second.count("any")
    assert report.unchecked == ()


def test_a_fault_of_a_backend_is_no_result() -> None:
    def broken(codes: Tensor, source: Any, target: FormatSpec) -> Tensor:
        if len(codes) > 1:  # it was offered
            raise ZeroDivisionError("broken")
        return round_codes(codes, source, target)

    threads = threading.active_count(), torch.get_num_threads()
    with pytest.raises(ZeroDivisionError, match="broken"):
        verify(F32, F16, broken, everything=True)
    assert (threading.active_count(), torch.get_num_threads()) == threads


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
