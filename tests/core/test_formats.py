"""The rows of the table of formats: constants from the specifications, names in the libraries."""

from __future__ import annotations

import math
import random
from fractions import Fraction
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import torch

from fpx.core import codec
from fpx.core.codec import Classification
from fpx.core.formats import FORMATS
from fpx.core.spec import FormatSpec

F = Fraction


# name: (bits, bias, emin, emax, max finite, smallest normal, smallest subnormal, epsilon)
CONSTANTS: dict[str, tuple[Any, ...]] = {
    # IEEE 754-2019, table 3.5
    "float128": (128, 16383, -16382, 16383, (2 - F(2) ** -112) * F(2) ** 16383, F(2) ** -16382,
                 F(2) ** -16494, F(2) ** -112),
    "float64": (64, 1023, -1022, 1023, (2 - F(2) ** -52) * F(2) ** 1023, F(2) ** -1022,
                F(2) ** -1074, F(2) ** -52),
    "float32": (32, 127, -126, 127, (2 - F(2) ** -23) * F(2) ** 127, F(2) ** -126, F(2) ** -149,
                F(2) ** -23),
    "float16": (16, 15, -14, 15, F(65504), F(2) ** -14, F(2) ** -24, F(2) ** -10),
    # NVIDIA A100 whitepaper: float32's exponent, float16's fraction
    "tfloat32": (19, 127, -126, 127, (2 - F(2) ** -10) * F(2) ** 127, F(2) ** -126, F(2) ** -136,
                 F(2) ** -10),
    # Intel, BFLOAT16 Hardware Numerics Definition
    "bfloat16": (16, 127, -126, 127, (2 - F(2) ** -7) * F(2) ** 127, F(2) ** -126, F(2) ** -133,
                 F(2) ** -7),
    # OCP OFP8 v1.0, table 2
    "float8_e4m3fn": (8, 7, -6, 8, F(448), F(2) ** -6, F(2) ** -9, F(1, 8)),
    "float8_e5m2": (8, 15, -14, 15, F(57344), F(2) ** -14, F(2) ** -16, F(1, 4)),
    # Noune et al. 2022, table 2
    "float8_e4m3fnuz": (8, 8, -7, 7, F(240), F(2) ** -7, F(2) ** -10, F(1, 8)),
    "float8_e5m2fnuz": (8, 16, -15, 15, F(57344), F(2) ** -15, F(2) ** -17, F(1, 4)),
    # ml_dtypes' README and LLVM's APFloat.h
    "float8_e4m3b11fnuz": (8, 11, -10, 4, F(30), F(2) ** -10, F(2) ** -13, F(1, 8)),
    "float8_e4m3": (8, 7, -6, 7, F(240), F(2) ** -6, F(2) ** -9, F(1, 8)),
    "float8_e3m4": (8, 3, -2, 3, F(31, 2), F(1, 4), F(1, 64), F(1, 16)),
    # OCP MX v1.0, tables 2 to 7
    "float8_e8m0fnu": (8, 127, -127, 127, F(2) ** 127, F(2) ** -127, None, F(1)),
    "float6_e2m3fn": (6, 1, 0, 2, F(15, 2), F(1), F(1, 8), F(1, 8)),
    "float6_e3m2fn": (6, 3, -2, 4, F(28), F(1, 4), F(1, 16), F(1, 4)),
    "float4_e2m1fn": (4, 1, 0, 2, F(6), F(1), F(1, 2), F(1, 2)),
}  # fmt: skip


def test_every_format_has_its_constants_in_the_table() -> None:
    assert set(CONSTANTS) == set(FORMATS)


@pytest.mark.parametrize("name", CONSTANTS)
def test_constants_are_the_specifications(name: str) -> None:
    spec = FORMATS[name]
    subnormal = spec.smallest_subnormal
    assert (
        spec.bits,
        spec.bias,
        spec.emin,
        spec.emax,
        spec.max_finite.fraction,
        spec.smallest_normal.fraction,
        None if subnormal is None else subnormal.fraction,
        spec.machine_epsilon.fraction,
    ) == CONSTANTS[name]
    assert spec.citation


@pytest.mark.parametrize("spec", [s for s in FORMATS.values() if s.ml_dtypes], ids=lambda s: s.name)
def test_constants_are_ml_dtypes(spec: FormatSpec) -> None:
    info: Any = ml_dtypes.finfo(getattr(ml_dtypes, str(spec.ml_dtypes)))  # type: ignore[no-untyped-call]
    assert info.bits == spec.bits
    assert F(float(info.max)) == spec.max_finite.fraction
    assert F(float(info.smallest_normal)) == spec.smallest_normal.fraction
    assert F(float(info.eps)) == spec.machine_epsilon.fraction
    if spec.smallest_subnormal is not None:
        assert F(float(info.smallest_subnormal)) == spec.smallest_subnormal.fraction


TORCH = [spec for spec in FORMATS.values() if spec.torch]


@pytest.mark.parametrize("spec", TORCH, ids=lambda s: s.name)
def test_torchs_elements_are_as_wide(spec: FormatSpec) -> None:
    """torch packs two codes of four bits into an element."""
    assert getattr(torch, str(spec.torch)).itemsize * 8 == max(spec.bits, 8)


@pytest.mark.parametrize("spec", [s for s in TORCH if s.bits >= 8], ids=lambda s: s.name)
def test_codes_decode_as_torch_says(spec: FormatSpec) -> None:
    """Every code of up to 16 bits; of wider ones, those at the edges and random ones."""
    if spec.bits <= 16:
        numbers = list(range(1 << spec.bits))
    else:
        rng, top = random.Random(spec.name), spec.max_finite_magnitude
        low = 1 << spec.fraction_bits
        numbers = [0, 1, low - 1, low, low + 1, top - 1, top, top + 1, top + 2, spec.nan_code or 0]
        numbers += [rng.getrandbits(spec.bits - 1) for _ in range(20_000)]
        numbers += [code | spec.sign_mask for code in numbers]
    storage = {8: np.uint8, 16: np.uint16, 32: np.uint32, 64: np.uint64}[spec.bits]
    signed = np.dtype(f"i{spec.bits // 8}") if spec.bits > 8 else np.uint8
    codes = torch.from_numpy(np.array(numbers, dtype=storage).view(signed))
    values = codes.view(getattr(torch, str(spec.torch))).to(torch.float64).tolist()
    for code, expected in zip(numbers, values, strict=True):
        value = codec.decode(code, spec)
        if value is not None:
            assert value.fraction == F(expected)
            if spec.signed and (spec.has_negative_zero or value.significand):
                assert (math.copysign(1, expected) < 0) == bool(code & spec.sign_mask)
        else:
            infinite = codec.classify(code, spec) is Classification.INFINITY
            assert abs(expected) == math.inf if infinite else math.isnan(expected)


def test_libraries_have_what_the_rows_say() -> None:
    for spec in FORMATS.values():
        for module, name in ((np, spec.numpy), (ml_dtypes, spec.ml_dtypes), (torch, spec.torch)):
            assert name is None or hasattr(module, name), (spec.name, name)
