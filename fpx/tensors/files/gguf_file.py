"""GGUF, llama.cpp's format: the header is walked here, because the library that owns the format
loads all of the metadata and maps what is not yet checked.

Layout: ggml's docs/gguf.md. Little-endian; versions 2 and 3.
"""

from __future__ import annotations

import struct
from math import prod
from pathlib import Path
from typing import IO

from fpx.errors import InputError
from fpx.tensors.dtypes import named_dtype
from fpx.tensors.entry import Source, TensorEntry
from fpx.tensors.files.raw import file_blocks
from fpx.words import quoted, quoted_path

_TYPES = {  # ggml_type -> its name; some are plain numbers, which FORMATS knows by that name
    0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 6: "Q5_0", 7: "Q5_1", 8: "Q8_0", 9: "Q8_1",
    10: "Q2_K", 11: "Q3_K", 12: "Q4_K", 13: "Q5_K", 14: "Q6_K", 15: "Q8_K", 16: "IQ2_XXS",
    17: "IQ2_XS", 18: "IQ3_XXS", 19: "IQ1_S", 20: "IQ4_NL", 21: "IQ3_S", 22: "IQ2_S", 23: "IQ4_XS",
    24: "I8", 25: "I16", 26: "I32", 27: "I64", 28: "F64", 29: "IQ1_M", 30: "BF16", 34: "TQ1_0",
    35: "TQ2_0", 39: "MXFP4",
}  # fmt: skip


_VALUE_BYTES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}


_UINT32, _STRING, _ARRAY = 4, 8, 9


_LONGEST_NAME = 1 << 16  # bytes
_MOST_ITEMS = 1 << 22  # tensors, keys, or strings of an array
_MOST_NESTED = 1 << 16  # arrays in arrays, which nobody writes
_MOST_AXES = 8
_PIECE = 1 << 20  # bytes read at a time


class _Header:
    """Reads a header's fields, none of them past the end of the file."""

    def __init__(self, file: IO[bytes], size: int, shown: str) -> None:
        self._file = file
        self._size = size
        self._shown = shown
        self._nested = 0

    def damaged(self, why: str) -> InputError:
        return InputError(f"{self._shown} is a damaged GGUF file: {why}")

    def number(self, code: str) -> int:
        size = struct.calcsize(f"<{code}")
        data = self._file.read(size)
        if len(data) < size:
            raise self.damaged("its header ends too early")
        return int(struct.unpack(f"<{code}", data)[0])

    def count(self, what: str, most: int = _MOST_ITEMS) -> int:
        count = self.number("Q")
        if count > most:
            raise self.damaged(f"it claims {count:,} {what}")
        return count

    def text(self) -> str:
        return self._file.read(self.count("bytes of a name", _LONGEST_NAME)).decode(
            "utf-8", "backslashreplace"
        )

    def skip(self, count: int) -> None:
        if count > self._size - self._file.tell():
            raise self.damaged(f"a value of {count:,} bytes runs past its end")
        self._file.seek(count, 1)

    def skip_strings(self, count: int) -> None:
        """Vocabularies have 10^5 and more of them: read by the piece, not each on its own."""
        piece, at = b"", 0
        for _ in range(count):
            if at + 8 > len(piece):
                piece, at = piece[at:] + self._file.read(_PIECE), 0
                if len(piece) < 8:
                    raise self.damaged("its header ends too early")
            at += 8 + int.from_bytes(piece[at : at + 8], "little")
            if at > len(piece):
                self.skip(at - len(piece))
                piece, at = b"", 0
        self._file.seek(at - len(piece), 1)

    def skip_value(self, kind: int, depth: int = 0) -> None:
        if kind in _VALUE_BYTES:
            self.skip(_VALUE_BYTES[kind])
        elif kind == _STRING:
            self.skip(self.number("Q"))
        elif kind == _ARRAY and depth < 4:
            inner, count = self.number("I"), self.number("Q")
            if inner in _VALUE_BYTES:
                self.skip(count * _VALUE_BYTES[inner])
                return
            if count > _MOST_ITEMS:
                raise self.damaged(f"it claims an array of {count:,} items")
            if inner == _STRING:
                self.skip_strings(count)
                return
            self._nested += count
            if self._nested > _MOST_NESTED:
                raise self.damaged("it has too many arrays in arrays")
            for _ in range(count):
                self.skip_value(inner, depth + 1)
        else:
            raise self.damaged(f"a value has the unknown type {kind}")


def open_gguf(path: Path) -> Source:
    """The tensors of a GGUF file that are plain numbers; quantised ones are noted.

    Raises:
        InputError: damaged, or of another version.
    """
    shown, size = quoted_path(path), path.stat().st_size
    entries: list[TensorEntry] = []
    notes: list[str] = []
    described: list[tuple[str, tuple[int, ...], int, int]] = []
    with path.open("rb") as file:
        header = _Header(file, size, shown)
        file.seek(4)
        version = header.number("I")
        if version not in (2, 3):
            raise InputError(f"{shown} is GGUF version {version}: fpx reads versions 2 and 3")
        tensors, keys = header.count("tensors"), header.count("keys")
        alignment = 32
        for _ in range(keys):
            key, kind = header.text(), header.number("I")
            if key == "general.alignment" and kind == _UINT32:
                alignment = header.number("I")
            else:
                header.skip_value(kind)
        if not 1 <= alignment <= 1 << 20:
            raise header.damaged(f"its alignment is {alignment}")
        for _ in range(tensors):
            name = header.text()
            axes = header.number("I")
            if axes > _MOST_AXES:
                raise header.damaged(f"{quoted(name)} has {axes} axes")
            shape = tuple(header.number("Q") for _ in range(axes))[::-1]  # fastest first there
            described.append((name, shape, header.number("I"), header.number("Q")))
        start = -(-file.tell() // alignment) * alignment
    if len({name for name, *_ in described}) < len(described):
        raise header.damaged("it has two tensors of one name")
    end = 0
    for name, shape, kind, offset in sorted(described, key=lambda item: item[3]):
        stored = _TYPES.get(kind, f"ggml type {kind}")
        dtype = named_dtype("gguf", stored)
        if dtype is None:
            notes.append(f"{name}: {stored} is not read")
            continue
        count = prod(shape)
        if offset + count * dtype.itemsize > size - start:
            raise header.damaged(f"{quoted(name)} runs past its end")
        if count and offset < end:
            raise header.damaged(f"{quoted(name)} overlaps the tensor before it")
        end = max(end, offset + count * dtype.itemsize)
        blocks = file_blocks(path, start + offset, dtype, count)
        entries.append(TensorEntry(name, dtype, shape, blocks))
    return Source(str(path), tuple(entries), tuple(notes))
