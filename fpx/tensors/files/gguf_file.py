"""GGUF, llama.cpp's format: the header is walked here, because the library that owns the format
loads all of the metadata, maps what is not yet checked, and needs numpy for both.

Layout: ggml's docs/gguf.md. Little-endian; versions 2 and 3.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import IO, Any

from fpx.errors import InputError
from fpx.tensors.entry import Long, Source, TensorEntry, Unread
from fpx.tensors.files.gguf_blocks import Beside, Described, beside, block_entry, unread_because
from fpx.tensors.files.gguf_types import BLOCK_TYPES
from fpx.tensors.files.plain import plain_entry
from fpx.tensors.types import itemsize, type_named
from fpx.words import escape, quoted, quoted_path

_PLAIN = {  # ggml_type -> its name, of plain numbers, which FORMATS and INTEGERS know by it
    0: "F32", 1: "F16", 24: "I8", 25: "I16", 26: "I32", 27: "I64", 28: "F64", 30: "BF16",
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
        self.shown = shown
        self._nested = 0

    def damaged(self, why: str) -> InputError:
        return InputError(f"{self.shown} is a damaged GGUF file: {why}")

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
    """The tensors of a GGUF file; those in blocks as the numbers that the blocks mean.

    Raises:
        InputError: damaged, or of another version.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        header = _Header(file, size, quoted_path(path))
        metadata, tensors = _read(header, file)
    by_name = {tensor.name: tensor for tensor in tensors}
    if len(by_name) < len(tensors):
        raise header.damaged("it has two tensors of one name")
    in_order = sorted(tensors, key=lambda tensor: tensor.at)
    end = 0
    for tensor in in_order:
        nbytes = _bytes(tensor)
        if nbytes is not None:
            if tensor.at + nbytes > size:
                raise header.damaged(f"{quoted(tensor.name)} runs past its end")
            if nbytes and tensor.at < end:
                raise header.damaged(f"{quoted(tensor.name)} overlaps the tensor before it")
            end = max(end, tensor.at + nbytes)
    found = _entries(path, in_order, by_name)
    return replace(found, metadata=metadata)


def _read(header: _Header, file: IO[bytes]) -> tuple[dict[str, Any], list[Described]]:
    """(What the file says of itself, its tensors)."""
    file.seek(4)
    version = header.number("I")
    if version not in (2, 3):
        raise InputError(f"{header.shown} is GGUF version {version}: fpx reads versions 2 and 3")
    count, keys = header.count("tensors"), header.count("keys")
    metadata: dict[str, Any] = {}
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
    found: list[Described] = []
    for _ in range(count):
        name = header.text()
        axes = header.number("I")
        if axes > _MOST_AXES:
            raise header.damaged(f"{quoted(name)} has {axes} axes")
        shape = tuple(header.number("Q") for _ in range(axes))[::-1]  # fastest first there
        found.append(Described(name, shape, header.number("I"), header.number("Q")))
    start = -(-file.tell() // alignment) * alignment
    return metadata, [replace(tensor, at=start + tensor.at) for tensor in found]


def _entries(path: Path, tensors: list[Described], by_name: Mapping[str, Described]) -> Source:
    """What can be read, and what cannot; scales of other tensors are parts of those."""
    read: list[TensorEntry | Described] = []
    unread: list[Unread] = []
    damaged: list[str] = []
    parts: set[str] = set()
    for tensor in tensors:
        plain = _PLAIN.get(tensor.kind)
        if plain is not None:
            read.append(tensor)
            continue
        type_ = BLOCK_TYPES.get(tensor.kind)
        name = f"ggml type {tensor.kind}" if type_ is None else type_.name
        why = "" if type_ is None else unread_because(type_)
        if type_ is None or why:
            unread.append(Unread(tensor.name, name, tensor.shape, _bytes(tensor), why=why))
            continue
        found = beside(tensor, type_, by_name)
        if isinstance(found, Beside):
            parts |= {*found.others, *([found.scale.name] if found.scale else [])}
            read.append(block_entry(path, tensor, type_, found))
        else:
            damaged.append(f"{escape(tensor.name)} cannot be read as {name}: {found}")
    entries = [
        each if isinstance(each, TensorEntry) else _plain_entry(path, each)
        for each in read
        if each.name not in parts
    ]
    return Source(str(path), tuple(entries), unread=tuple(unread), damaged=tuple(damaged))


def _plain_entry(path: Path, tensor: Described) -> TensorEntry:
    type_ = type_named("gguf", _PLAIN[tensor.kind])
    assert type_ is not None
    return plain_entry(path, tensor.at, tensor.name, type_, tensor.shape)


def _bytes(tensor: Described) -> int | None:
    """Bytes of a tensor; None where fpx does not know its type."""
    plain, block = _PLAIN.get(tensor.kind), BLOCK_TYPES.get(tensor.kind)
    if plain is not None:
        type_ = type_named("gguf", plain)
        assert type_ is not None
        return prod(tensor.shape) * (itemsize(type_) or 1)
    if block is None:
        return None
    return -(-prod(tensor.shape) // block.elements) * block.nbytes
