"""Tensors of files read ahead, and what of damage shows only then, told in a line."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, ParamSpec

from fpx.errors import InputError
from fpx.tensors.blocks import READ_AHEAD, ReadPart
from fpx.tensors.entry import Source, TensorEntry
from fpx.tensors.files.kinds import DAMAGE
from fpx.tensors.late import load
from fpx.words import quoted, reason

if TYPE_CHECKING:
    from torch import Tensor


def guarded_source(source: Source, shown: str) -> Source:
    """A file whose tensors are read ahead, and safely."""
    unread = tuple(
        item if item.raw is None else replace(item, raw=_guarded_entry(item.raw, shown))
        for item in source.unread
    )
    entries = tuple(_guarded_entry(entry, shown) for entry in source.entries)
    return replace(source, entries=entries, unread=unread)


def _guarded_entry(entry: TensorEntry, shown: str) -> TensorEntry:
    """The entry, read ahead; damage that shows only in its data is an error of the input too."""
    read = _guarded(entry.read, entry.name, shown)
    parts = _guarded(entry.read_box, entry.name, shown) if entry.read_box else None
    count, part = entry.count, entry.read_part
    if count <= READ_AHEAD:  # the many small ones are spared what it takes to read ahead
        return replace(entry, read=read, read_box=parts, read_part=None)

    def ahead(limit: int) -> Iterator[Tensor]:
        prefetched = load("fpx.tensors.files.prefetch:prefetched")
        blocks: Iterator[Tensor] = prefetched(read, count, entry.lasting)(limit)
        return blocks

    part = None if part is None else _guarded_part(part, entry.name, shown)
    return replace(entry, read=ahead, read_box=parts, read_part=part, lasting=True)


_Arguments = ParamSpec("_Arguments")


def _guarded(
    read: Callable[_Arguments, Iterator[Tensor]], name: str, shown: str
) -> Callable[_Arguments, Iterator[Tensor]]:
    def blocks(*args: _Arguments.args, **kinds: _Arguments.kwargs) -> Iterator[Tensor]:
        try:
            yield from read(*args, **kinds)
        except DAMAGE as error:
            raise _unreadable(name, shown, error) from None

    return blocks


def _guarded_part(read: ReadPart, name: str, shown: str) -> ReadPart:
    def part(start: int, count: int) -> Tensor:
        try:
            return read(start, count)
        except DAMAGE as error:
            raise _unreadable(name, shown, error) from None

    return part


def _unreadable(name: str, shown: str, error: Exception) -> InputError:
    return InputError(f"{shown}: {quoted(name)} cannot be read: {reason(error)}")
