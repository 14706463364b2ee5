"""The table of types, without a library."""

from __future__ import annotations

import pytest
import torch

from fpx.tensors.dtypes import torch_dtype
from fpx.tensors.types import INTEGERS, ROWS, itemsize, type_named


@pytest.mark.parametrize(
    ("column", "name", "origin"),
    [
        ("safetensors", "F8_E4M3", "float8_e4m3fn"), ("safetensors", "BF16", "bfloat16"),
        ("safetensors", "BOOL", "bool"), ("safetensors", "U64", "uint64"),
        ("gguf", "F16", "float16"), ("gguf", "I8", "int8"), ("gguf", "Q4_0", None),
        ("numpy", "float16", "float16"), ("numpy", "uint16", "uint16"), ("numpy", "bool", "bool"),
        ("safetensors", "C64", None),
    ],
)  # fmt: skip
def test_names_of_file_kinds(column: str, name: str, origin: str | None) -> None:
    found = type_named(column, name)
    assert (None if found is None else found.name) == origin


def test_bytes_of_elements_are_torchs() -> None:
    readable = [
        row
        for row in ROWS
        if itemsize(row) and hasattr(torch, getattr(row, "torch", None) or row.name)
    ]
    assert len(readable) >= 8 + len(INTEGERS)
    for row in readable:
        assert itemsize(row) == torch_dtype(row).itemsize
    assert itemsize(next(row for row in ROWS if row.bits == 4)) is None
