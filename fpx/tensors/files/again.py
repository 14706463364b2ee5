"""Readers that go to other processes: there they open their file again, when they first read.

What was found in a file travels, and the file is only opened where its numbers are needed. Readers
of tensors that lie in a file as they are (`plain`) know all that they need, and travel as they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fpx.tensors.entry import Source, TensorEntry
from fpx.tensors.files.plain import is_plain
from fpx.tensors.late import load

if TYPE_CHECKING:
    from torch import Tensor

_OPEN = 8  # files whose headers are kept


@dataclass(frozen=True)
class Reader:
    """Reads one tensor of a file.

    Attributes:
        path: the file.
        open: `module:function` that opens it, see `FileKind.open`.
        place: which tensor: its number among those that can be read, or else among the others.
        readable: whether it can be.
        here: the tensor, where the file was opened; in other processes None.
    """

    path: Path
    open: str
    place: int
    readable: bool
    here: TensorEntry | None = field(repr=False, compare=False)

    def __getstate__(self) -> dict[str, Any]:
        """All but what does not leave the process."""
        return {**self.__dict__, "here": None}

    def read(self, *given: Any) -> Iterator[Tensor]:
        """As `TensorEntry.read`."""
        return self._entry.read(*given)

    def read_box(self, *given: Any) -> Iterator[Tensor]:
        """As `TensorEntry.read_box`, of a tensor that has one."""
        assert self._entry.read_box is not None
        return self._entry.read_box(*given)

    @property
    def _entry(self) -> TensorEntry:
        if self.here is not None:
            return self.here
        source = _opened(self.path, self.open)
        if self.readable:
            return source.entries[self.place]
        raw = source.unread[self.place].raw
        assert raw is not None
        return raw


@lru_cache(_OPEN)
def _opened(path: Path, function: str) -> Source:
    """A file, opened once more."""
    source: Source = load(function)(path)
    return source


def portable(source: Source, path: Path, function: str) -> Source:
    """A file as it was opened, to be sent to other processes.

    Args:
        source: what was found in it.
        path: the file.
        function: `module:function` that opened it.
    """
    reader = partial(Reader, path, function)
    entries = tuple(
        _sent(entry, reader(at, True, entry)) for at, entry in enumerate(source.entries)
    )
    unread = tuple(
        item
        if item.raw is None
        else replace(item, raw=_sent(item.raw, reader(at, False, item.raw)))
        for at, item in enumerate(source.unread)
    )
    return replace(source, entries=entries, unread=unread, metadata=dict(source.metadata))


def _sent(entry: TensorEntry, reader: Reader) -> TensorEntry:
    if is_plain(entry):
        return entry
    return replace(
        entry, read=reader.read, read_box=None if entry.read_box is None else reader.read_box
    )
