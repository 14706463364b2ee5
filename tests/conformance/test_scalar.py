"""Rounding one number at a time: what libraries give where they are right, and their NaNs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from fpx.casts.rounding import round_codes
from fpx.conformance.scalar import round_one_by_one
from fpx.core.formats import FORMATS
from fpx.core.names import find_format
from fpx.core.policy import Overflow, Rounding
from fpx.core.spec import FormatSpec
from fpx.tensors.dtypes import INTEGERS, Origin, container
from tests.helpers import BF16, E4M3, E5M2, E8M0, F16, F32, F64


def every(origin: Origin) -> torch.Tensor:
    return torch.arange(1 << origin.bits).to(container(origin))


def test_numpys_float16() -> None:
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 1 << 32, 5000, dtype=np.uint32)
    x = codes.view(np.float32)
    with np.errstate(all="ignore"):
        expected = x.astype(np.float16).view(np.int16)
    got = round_one_by_one(torch.from_numpy(codes.view(np.int32)), F32, F16).numpy()
    assert got.dtype == np.int16
    assert (got == expected)[~np.isnan(x)].all()


@pytest.mark.parametrize("origin", ["int8", "uint8", "int64", "uint64", "bool"])
def test_integers(origin: str) -> None:
    type_ = INTEGERS[origin]
    values = [0, 1] if origin == "bool" else [0, 1, 3, 127, 257, (1 << 63) - 1, (1 << 63) + 7]
    values = [v for v in values if v < 1 << (type_.bits - type_.signed)]
    values += [-v for v in values if v and type_.signed]
    codes = torch.tensor([v - (1 << 64) if v >> 63 > 0 else v for v in values]).to(container(type_))
    got = round_one_by_one(codes, type_, F64).view(torch.float64).tolist()
    assert got == [float(v) for v in values]


@pytest.mark.parametrize(
    ("origin", "target", "code", "expected"),
    [
        (F32, F16, 0x7F802000, 0x7E01),  # signaling: quiet, and the payload's leading bits stay
        (F32, F16, 0x7F800001, 0x7E00),
        (F32, F16, 0xFFFFFFFF, 0xFFFF),
        (F16, F32, 0x7C01, 0x7FC02000),
        (F16, BF16, 0xFE08, 0xFFC1),
        (F16, E4M3, 0xFE08, 0xFF),
        (F16, E8M0, 0x7E00, 0xFF),
        (E4M3, F16, 0xFF, 0xFE00),
        (F16, FORMATS["float6_e2m3fn"], 0x7E00, 0),
        (F32, F16, 0xFF800000, 0xFC00),
        (F32, E8M0, 0, 0xFF),
    ],
)
def test_nans_and_other_specials(origin: Any, target: FormatSpec, code: int, expected: int) -> None:
    width = 8 * container(origin).itemsize
    wrapped = code - (1 << width) if width > 8 and code >> (width - 1) else code
    codes = torch.tensor([wrapped]).to(container(origin))
    assert int(round_one_by_one(codes, origin, target)) % (1 << target.bits) == expected


@pytest.mark.parametrize("rounding", Rounding)
@pytest.mark.parametrize("overflow", [Overflow.IEEE, Overflow.SATURATE])
def test_every_mode_agrees_with_tensors(rounding: Rounding, overflow: Overflow) -> None:
    for origin in (E5M2, find_format("e3m2fn"), INTEGERS["int8"]):
        for target in (F16, E4M3, E8M0, FORMATS["float4_e2m1fn"]):
            codes = every(origin)
            one = round_one_by_one(codes, origin, target, rounding, overflow)
            assert torch.equal(one, round_codes(codes, origin, target, rounding, overflow))
