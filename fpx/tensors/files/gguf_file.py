"""GGUF, llama.cpp's format: the header is walked here, because the library that owns the format
loads all of the metadata, maps what is not yet checked, and needs numpy for both.

Layout: ggml's docs/gguf.md. Little-endian; versions 2 and 3.
"""

from __future__ import annotations

import struct
from math import prod
from pathlib import Path
from typing import IO, Any

from fpx.errors import InputError
from fpx.tensors.entry import Long, Source, TensorEntry, Unread
from fpx.tensors.files.plain import plain_entry
from fpx.tensors.types import itemsize, type_named
from fpx.words import quoted, quoted_path

_TYPES = {  # ggml_type -> its name; some are plain numbers, which FORMATS knows by that name
    0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 6: "Q5_0", 7: "Q5_1", 8: "Q8_0", 9: "Q8_1",
    10: "Q2_K", 11: "Q3_K", 12: "Q4_K", 13: "Q5_K", 14: "Q6_K", 15: "Q8_K", 16: "IQ2_XXS",
    17: "IQ2_XS", 18: "IQ3_XXS", 19: "IQ1_S", 20: "IQ4_NL", 21: "IQ3_S", 22: "IQ2_S", 23: "IQ4_XS",
    24: "I8", 25: "I16", 26: "I32", 27: "I64", 28: "F64", 29: "IQ1_M", 30: "BF16", 34: "TQ1_0",
    35: "TQ2_0", 39: "MXFP4",
}  # fmt: skip


_BLOCKS = {  # name -> (elements, bytes) of a block: GGML_QUANT_SIZES of gguf-py's constants.py
    "Q4_0": (32, 18), "Q4_1": (32, 20), "Q5_0": (32, 22), "Q5_1": (32, 24), "Q8_0": (32, 34),
    "Q2_K": (256, 84), "Q3_K": (256, 110), "Q4_K": (256, 144), "Q5_K": (256, 176),
    "Q6_K": (256, 210), "Q8_K": (256, 292), "IQ2_XXS": (256, 66), "IQ2_XS": (256, 74),
    "IQ3_XXS": (256, 98), "IQ1_S": (256, 50), "IQ4_NL": (32, 18), "IQ3_S": (256, 110),
    "IQ2_S": (256, 82), "IQ4_XS": (256, 136), "IQ1_M": (256, 56), "TQ1_0": (256, 54),
    "TQ2_0": (256, 66), "MXFP4": (32, 17),
}  # fmt: skip


_VALUES = {  # gguf_metadata_value_type -> as `struct` calls it
    0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d",
}  # fmt: skip


_UINT32, _STRING, _ARRAY = 4, 8, 9


_LONGEST_NAME = 1 << 16  # bytes
_MOST_ITEMS = 1 << 22  # tensors, keys, or strings of an array
_MOST_NESTED = 1 << 16  # arrays in arrays, which nobody writes
_MOST_AXES = 8
_PIECE = 1 << 20  # bytes read at a time
_KEPT_TEXT = 1 << 12  # bytes of a value that is text; templates of prompts have some thousand
_KEPT_ITEMS = 8  # items of an array
_KEPT_KEYS = 1 << 12  # values, of which a model has some 50
_KEPT_KEY = 1 << 8  # characters of what one is called


class _Header:
    """Reads a header's fields, none of them past the end of the file."""

    def __init__(self, file: IO[bytes], size: int, shown: str) -> None:
        self._file = file
        self._size = size
        self._shown = shown
        self._nested = 0

    def damaged(self, why: str) -> InputError:
        return InputError(f"{self._shown} is a damaged GGUF file: {why}")

    def number(self, code: str) -> Any:
        size = struct.calcsize(f"<{code}")
        data = self._file.read(size)
        if len(data) < size:
            raise self.damaged("its header ends too early")
        return struct.unpack(f"<{code}", data)[0]

    def count(self, what: str, most: int = _MOST_ITEMS) -> int:
        count: int = self.number("Q")
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

    def value(self, kind: int, depth: int = 0) -> Any:
        """A value; of long text and long arrays, what they begin with."""
        if kind in _VALUES:
            return self.number(_VALUES[kind])
        if kind == _STRING:
            return self._long_text()
        if kind != _ARRAY or depth == 4:
            raise self.damaged(f"a value has the unknown type {kind}")
        inner, count = self.number("I"), self.number("Q")
        kept = min(count, _KEPT_ITEMS)
        if inner in _VALUES:
            first = tuple(self.number(_VALUES[inner]) for _ in range(kept))
            self.skip((count - kept) * struct.calcsize(f"<{_VALUES[inner]}"))
        else:
            if count > _MOST_ITEMS:
                raise self.damaged(f"it claims an array of {count:,} items")
            if inner == _STRING:
                first = tuple(self._long_text() for _ in range(kept))
                self.skip_strings(count - kept)
            else:
                self._nested += count
                if self._nested > _MOST_NESTED:
                    raise self.damaged("it has too many arrays in arrays")
                for _ in range(count):
                    self.value(inner, depth + 1)
                first = ()
        return first if len(first) == count else Long(count, first)

    def _long_text(self) -> str:
        length = self.number("Q")
        kept = min(length, _KEPT_TEXT)
        data = self._file.read(kept)
        if len(data) < kept:
            raise self.damaged("its header ends too early")
        self.skip(length - kept)
        text = data.decode("utf-8", "backslashreplace")
        return text if kept == length else f"{text}… ({length:,} bytes)"


def open_gguf(path: Path) -> Source:
    """The tensors of a GGUF file; those that are plain numbers can be read.

    Raises:
        InputError: damaged, or of another version.
    """
    shown, size = quoted_path(path), path.stat().st_size
    described: list[tuple[str, tuple[int, ...], int, int]] = []
    metadata: dict[str, Any] = {}
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
            value = header.value(kind)
            if key == "general.alignment" and kind == _UINT32:
                alignment = value
            if len(metadata) < _KEPT_KEYS and len(key) <= _KEPT_KEY:
                metadata[key] = value
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
    entries: list[TensorEntry] = []
    unread: list[Unread] = []
    end = 0
    for name, shape, kind, offset in sorted(described, key=lambda item: item[3]):
        stored = _TYPES.get(kind, f"ggml type {kind}")
        type_ = type_named("gguf", stored)
        nbytes = _bytes(stored, prod(shape))
        if nbytes is not None:
            if offset + nbytes > size - start:
                raise header.damaged(f"{quoted(name)} runs past its end")
            if nbytes and offset < end:
                raise header.damaged(f"{quoted(name)} overlaps the tensor before it")
            end = max(end, offset + nbytes)
        if type_ is None:
            unread.append(Unread(name, stored, shape, nbytes))
        else:
            entries.append(plain_entry(path, start + offset, name, type_, shape))
    return Source(str(path), tuple(entries), metadata=metadata, unread=tuple(unread))


def _bytes(stored: str, count: int) -> int | None:
    """Bytes of so many elements of a type; None where fpx does not know the type's blocks."""
    type_ = type_named("gguf", stored)
    if type_ is not None:
        return count * (itemsize(type_) or 1)
    if stored not in _BLOCKS:
        return None
    elements, block = _BLOCKS[stored]
    return -(-count // elements) * block
