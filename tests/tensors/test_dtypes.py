"""The one table of dtypes: every name leads to its row, and codes to the numbers of the library."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest
import torch

import fpx
from fpx.core import codec
from fpx.core.formats import FORMATS
from fpx.core.names import find_format
from fpx.core.spec import FormatSpec
from fpx.errors import InputError, UnavailableError
from fpx.tensors import dtypes
from fpx.tensors.dtypes import INTEGERS, IntegerType, Origin
from tests.codes import tensor

TORCH = [row for row in FORMATS.values() if row.torch is not None and hasattr(torch, row.torch)]
WHOLE = [
    torch.bool, torch.int8, torch.int16, torch.int32, torch.int64,
    torch.uint8, torch.uint16, torch.uint32, torch.uint64,
]  # fmt: skip


def value(code: int, origin: Origin) -> float:
    """The number that a code stands for, as a float that holds it."""
    if isinstance(origin, IntegerType):
        half = 1 << (origin.bits - 1) if origin.signed else 1 << origin.bits
        return float(code if code < half else code - 2 * half)
    found = codec.decode(code, origin)
    assert found is not None
    return float(found.fraction)


@pytest.mark.parametrize("spec", TORCH, ids=lambda s: s.name)
def test_a_format_and_its_torch_dtype_find_each_other(spec: FormatSpec) -> None:
    dtype = dtypes.torch_dtype(spec)
    assert dtypes.spec_of(dtype) == dtypes.origin_of(dtype) == spec
    assert dtypes.dtype_name(dtype) == spec.name
    assert dtypes.is_readable(dtype) == (spec.bits >= 8)
    if spec.bits >= 8:
        assert 8 * dtype.itemsize == spec.bits
        assert dtypes.cast_dtype(spec) is dtype
        assert dtypes.container(spec).itemsize == dtype.itemsize


@pytest.mark.parametrize("dtype", WHOLE, ids=str)
def test_every_type_of_whole_numbers_has_a_row(dtype: torch.dtype) -> None:
    origin = dtypes.origin_of(dtype)
    assert isinstance(origin, IntegerType)
    assert origin.name == dtypes.dtype_name(dtype) == str(dtype).split(".")[1]
    assert dtypes.spec_of(dtype) is None
    assert dtypes.is_readable(dtype)
    assert dtypes.cast_dtype(origin) is dtype
    assert dtypes.container(origin).itemsize == dtype.itemsize
    if dtype is not torch.bool:
        limits = torch.iinfo(dtype)
        assert origin.signed == (limits.min < 0)
        assert origin.bits == limits.bits
    x = torch.tensor([0, 1], dtype=torch.int8).to(dtype)
    assert dtypes.codes_of(x).tolist() == [0, 1]
    assert dtypes.tensor_dtype(x.numpy().dtype) is dtype


@pytest.mark.parametrize("dtype", [torch.complex64, torch.quint8], ids=str)
def test_what_is_no_plain_number_has_no_row(dtype: torch.dtype) -> None:
    assert dtypes.spec_of(dtype) is None
    assert not dtypes.is_readable(dtype)
    assert dtypes.dtype_name(dtype) == str(dtype).split(".")[1]
    with pytest.raises(InputError, match="no format"):
        dtypes.origin_of(dtype)


@pytest.mark.parametrize("spec", [*FORMATS.values(), *INTEGERS.values()], ids=lambda s: s.name)
def test_an_array_holds_the_numbers_of_its_codes(spec: Origin) -> None:
    held = dtypes.array_dtype(spec)
    if held is None:
        assert spec.name in ("float128", "tfloat32")
        return
    codes = [0, 1, 0x37, (1 << spec.bits) // 4 - 3, (1 << (spec.bits - 1)) | 1]
    codes = sorted({code % (1 << spec.bits) for code in codes})
    bits = tensor(codes, spec)
    array = bits.numpy().view(held)
    assert [float(x) for x in array] == [value(code, spec) for code in codes]
    assert dtypes.array_origin(held) == spec
    twin = dtypes.tensor_dtype(held)
    if twin is None:
        with pytest.raises(UnavailableError):
            dtypes.cast_dtype(spec)
    else:
        assert bits.view(twin).to(torch.float64).tolist() == [value(code, spec) for code in codes]


@pytest.mark.parametrize("array", [np.zeros(2, complex), np.array(["a"]), np.zeros(1, "M8[s]")])
def test_arrays_of_no_format_have_none(array: np.ndarray[Any, Any]) -> None:
    assert dtypes.array_origin(array.dtype) is None
    assert dtypes.tensor_dtype(array.dtype) is None


def test_containers() -> None:
    widths = {"fp4": 8, "e4m6": 16, "tf32": 32, "float64": 64, "bool": 8, "uint16": 16}
    for name, bits in widths.items():
        origin = INTEGERS.get(name) or find_format(name)
        assert 8 * dtypes.container(origin).itemsize == bits
    with pytest.raises(InputError, match="float128 has 128 bits"):
        dtypes.container(FORMATS["float128"])


def test_what_torch_only_stores_is_not_cast() -> None:
    with pytest.raises(UnavailableError, match=r"no casts of it|has no dtype"):
        dtypes.cast_dtype(FORMATS["float4_e2m1fn"])
    with pytest.raises(UnavailableError, match="no dtype for tfloat32"):
        dtypes.torch_dtype(FORMATS["tfloat32"])


def test_arrays_of_e8m0_are_compared() -> None:
    scales = np.array([1, 2**-127, 2.0**127, np.nan]).astype(ml_dtypes.float8_e8m0fnu)
    row = fpx.cast_compare(scales, to=["float16"]).to_dict()["results"][0]
    assert row["from"] == "float8_e8m0fnu"
    counts = [row[f"{name}_count"] for name in ("overflow", "underflow", "nan_input", "exact")]
    assert (row["count"], counts) == (4, [1, 1, 1, 1])


@pytest.mark.parametrize(
    "name", ["float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz", "float8_e4m3fn", "bfloat16"]
)
def test_arrays_of_every_type_of_ml_dtypes_that_torch_has_are_compared(name: str) -> None:
    array = np.array([[1, 2], [-3, 0.25]]).astype(getattr(ml_dtypes, name))
    for given in (array, array.T, array[:, ::-1]):
        row = fpx.cast_compare(given, to=["float32"]).to_dict()["results"][0]
        assert (row["from"], row["count"], row["max_abs_error"]) == (name, 4, 0.0)


def test_arrays_of_types_that_torch_lacks_are_told_apart() -> None:
    with pytest.raises(InputError, match="torch has no dtype for numpy's float8_e3m4"):
        fpx.cast_compare(np.ones(2, ml_dtypes.float8_e3m4))
