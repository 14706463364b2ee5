"""safetensors: the library checks the header, then data is read past it."""

from __future__ import annotations

import json
from math import prod
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from fpx.errors import InputError
from fpx.tensors.dtypes import named_dtype
from fpx.tensors.entry import COMPLEX_NOTE, Source, TensorEntry
from fpx.tensors.files.raw import file_blocks, unique
from fpx.words import quoted_path, reason

_COMPLEX = {"C64": "F32"}  # what the two numbers of an element are
_LARGEST_HEADER = 16 << 20  # bytes: some 100,000 tensors, each of which takes memory


def open_safetensors(path: Path) -> Source:
    """The tensors of a .safetensors file.

    Raises:
        InputError: damaged.
    """
    shown = quoted_path(path)
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
    if length > _LARGEST_HEADER:
        raise InputError(f"{shown} has a header of {length:,} bytes: {_LARGEST_HEADER:,} are read")
    try:  # the library checks sizes, offsets, overlaps and holes
        with safe_open(path, framework="numpy") as checked:
            names = list(checked.keys())
    except SafetensorError as error:
        raise InputError(f"{shown} is a damaged safetensors file: {reason(error)}") from None
    with path.open("rb") as file:
        file.seek(8)
        header = json.loads(file.read(length), object_pairs_hook=unique)
    entries: list[TensorEntry] = []
    notes: list[str] = []
    for name in names:
        described = header[name]
        stored = described["dtype"]
        shape = tuple(described["shape"])
        if stored in _COMPLEX:
            shape = (*shape, 2)
            notes.append(f"{name}: {COMPLEX_NOTE}")
        dtype = named_dtype("safetensors", _COMPLEX.get(stored, stored))
        if dtype is None or dtype.itemsize * prod(shape) != _bytes(described):
            notes.append(f"{name}: dtype {stored} is not read")
            continue
        at = 8 + length + described["data_offsets"][0]
        blocks = file_blocks(path, at, dtype, prod(shape))
        entries.append(TensorEntry(name, dtype, shape, blocks))
    return Source(str(path), tuple(entries), tuple(notes))


def _bytes(described: dict[str, Any]) -> int:
    start, end = described["data_offsets"]
    return int(end - start)
