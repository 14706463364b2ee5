"""The casts of the libraries that are here."""

from __future__ import annotations

import shutil

import ml_dtypes
import numpy as np
import pytest
import torch

from fpx.casts.backends import BACKENDS, LAYOUTS
from fpx.conformance.cast_verify import cast_verify
from fpx.core.formats import FORMATS
from fpx.core.names import find_format
from fpx.core.spec import FormatSpec
from fpx.errors import InputError, UnavailableError
from fpx.report.cast_verify import NoDifference
from tests.conformance.planted import Fault, one_nan, truncating, verify
from tests.helpers import BF16, F16, F32, F64


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
