"""safetensors: the header is checked here, because the library that owns the format loads numpy.

Layout: https://huggingface.co/docs/safetensors, "Format". What the library refuses is refused here
too, which tests hold the two to.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import Any

from fpx.errors import InputError
from fpx.tensors.entry import COMPLEX_NOTE, Source, TensorEntry, Unread
from fpx.tensors.files.headers import unique
from fpx.tensors.files.near import Near
from fpx.tensors.files.plain import plain_entry
from fpx.tensors.types import INTEGERS, itemsize, type_named
from fpx.words import quoted, quoted_path, reason

_COMPLEX = {"C64": "F32"}  # what the two numbers of an element are
_LARGEST_HEADER = 16 << 20  # bytes: some 100,000 tensors, each of which takes memory
_LARGEST_ENTRY = 1 << 12  # characters of what is said of one tensor
_LARGEST_METADATA = 4 << 20  # characters
_MOST = 1 << 62  # elements, bytes

_MEMBER = re.compile(r'[ \t\n\r]*("[^"\\]*(?:\\.[^"\\]*)*")[ \t\n\r]*:[ \t\n\r]*(?=\{)', re.DOTALL)
_BETWEEN = re.compile(r"[ \t\n\r]*([,}])")
_NOTHING = re.compile(r"\{[ \t\n\r]*\}")
_METADATA = "__metadata__"


def open_safetensors(path: Path) -> Source:
    """The tensors of a .safetensors file.

    Raises:
        InputError: damaged.
    """
    shown, size = quoted_path(path), path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > _LARGEST_HEADER:
            raise InputError(
                f"{shown} has a header of {length:,} bytes: {_LARGEST_HEADER:,} are read"
            )
        header = file.read(length)
    try:
        described = dict[str, Any]()
        for name, value in _members(header.decode()):
            if name in described:
                raise ValueError("a key comes twice")
            described[name] = value
        metadata = described.pop(_METADATA, {})
        _check(described, size - 8 - length)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{shown} is a damaged safetensors file: {reason(error)}") from None
    near = Near(path)
    entries: list[TensorEntry] = []
    notes: list[str] = []
    unread: list[Unread] = []
    for name in sorted(described):
        stored, shape, begin, end = described[name]
        if stored in _COMPLEX:
            shape = (*shape, 2)
            notes.append(f"{name}: {COMPLEX_NOTE}")
        type_ = type_named("safetensors", _COMPLEX.get(stored, stored))
        if type_ is None or itemsize(type_) is None:
            called, at = stored if type_ is None else type_.name, 8 + length + begin
            raw = plain_entry(path, at, name, INTEGERS["uint8"], (end - begin,))
            unread.append(
                Unread(name, called, shape, end - begin, raw=None if type_ is None else raw)
            )
        else:
            entries.append(plain_entry(path, 8 + length + begin, name, type_, shape, near))
    return Source(str(path), tuple(entries), tuple(notes), metadata=metadata, unread=tuple(unread))


def _members(text: str) -> Iterator[tuple[str, Any]]:
    """The members of a header: (dtype, shape, begin, end) of each tensor, and the metadata.

    One after the other, so that what is no header is refused before it takes memory.
    """
    if not text.startswith("{"):
        raise ValueError("its header is no JSON object")
    nothing = _NOTHING.match(text)
    at, following = (1, ",") if nothing is None else (nothing.end(), "}")
    while following == ",":
        member = _MEMBER.match(text, at)
        if member is None:
            raise ValueError(f"its header is no JSON object of objects, at character {at:,}")
        name, at = _decode(member[1])[0], member.end()
        name.encode()  # UnicodeEncodeError, a ValueError: half of a surrogate pair
        value: Any
        if name == _METADATA:
            value, taken = _metadata(text[at : at + _LARGEST_METADATA])
        else:
            taken = text.find("}", at, at + _LARGEST_ENTRY) + 1 - at
            if taken <= 0:
                raise ValueError(f"{quoted(name)} is described at too great length")
            value = _entry(name, *_decode(text[at : at + taken]))
        yield name, value
        at += taken
        between = _BETWEEN.match(text, at)
        if between is None:
            raise ValueError(f"its header is no JSON object, at character {at:,}")
        following, at = between[1], between.end()
    if text[at:].strip(" \t\n\r"):
        raise ValueError("its header goes on after its end")


_decode = json.JSONDecoder(object_pairs_hook=unique).raw_decode


def _metadata(text: str) -> tuple[dict[str, str], int]:
    """The metadata at the beginning of a text, and how much of it that is."""
    found, end = _decode(text)
    if not all(isinstance(value, str) for value in found.values()):
        raise ValueError("its metadata are not all text")
    return found, end


def _entry(name: str, value: Any, _: int) -> tuple[str, tuple[int, ...], int, int]:
    match value:
        case {"dtype": str() as dtype, "shape": list() as shape, "data_offsets": [begin, end]}:
            numbers = [*shape, begin, end]
            if all(type(number) is int and 0 <= number < _MOST for number in numbers):
                return dtype, tuple(shape), begin, end
    raise ValueError(f"{quoted(name)} has no dtype, shape and data_offsets")


def _check(described: dict[str, tuple[str, tuple[int, ...], int, int]], size: int) -> None:
    """Whether the tensors fill the data: each has its bytes, no two share any, none are left over.

    Args:
        described: what the header says of each.
        size: bytes of the data.
    """
    place = 0
    for name, (stored, shape, begin, end) in sorted(
        described.items(), key=lambda item: item[1][2:]
    ):
        if begin != place or end < begin:
            raise ValueError(f"{quoted(name)} does not begin where the tensor before it ends")
        place = end
        type_ = type_named("safetensors", _COMPLEX.get(stored, stored))
        if type_ is not None:
            bits = type_.bits if itemsize(type_) is None else 8 * (itemsize(type_) or 1)
            if stored in _COMPLEX:
                bits *= 2
            if prod(shape) * bits != 8 * (end - begin):
                raise ValueError(f"{quoted(name)} has other bytes than its shape")
    if place != size:
        raise ValueError(f"its tensors have {place:,} bytes, and it has {size:,} for them")
