"""One file opened: what its header says, as far as that can be true."""

from __future__ import annotations

import stat
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from fpx.errors import InputError, UnavailableError
from fpx.tensors.entry import Source
from fpx.tensors.files import sharded
from fpx.tensors.files.again import portable
from fpx.tensors.files.kinds import DAMAGE, kind_of
from fpx.tensors.late import load
from fpx.words import cause, escape, quoted, quoted_path

_EXPANSION = 100  # times its size: a file that claims more, and is not small, is a bomb
_SMALL = 1 << 30  # bytes of tensors that no file is refused for

Header = Source | InputError
"""What a file holds, or why that cannot be told."""


class Spread(Protocol):
    """Who opens many files: several processes, each some of them."""

    def __call__(
        self,
        work: Callable[[sharded.Shard], Header],
        items: Sequence[sharded.Shard],
        names: Sequence[str],
    ) -> list[Header]:
        """What `work` makes of each item, all of which `names` tells, in their order."""


def headers_of(shards: Sequence[sharded.Shard], spread: Spread | None = None) -> list[Header]:
    """What each file holds.

    Args:
        shards: the files, and of each the tensors that its index names; None means all.
        spread: who opens them, where this process does not open all of them.
    """
    if spread is None:
        return [_header(shard) for shard in shards]
    return spread(_sent_header, shards, [str(path) for path, _ in shards])


def _header(shard: sharded.Shard) -> Header:
    try:
        return _open_file(*shard)
    except InputError as error:
        return error


def _sent_header(shard: sharded.Shard) -> Header:
    try:
        return _open_file(*shard, send=True)
    except InputError as error:
        return InputError(str(error))  # what is derived from it may not travel


def _open_file(path: Path, tensors: frozenset[str] | None, *, send: bool = False) -> Source:
    """One file; of a shard, the tensors that its index names.

    Its entries are to be made safe. `send` says that other processes will read them too.
    """
    shown = quoted_path(path)
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise InputError(f"{shown} is not a regular file: fpx reads only those")
        size = path.stat().st_size
        with path.open("rb") as file:
            kind = kind_of(file, size)
        source: Source = load(kind.open)(path)
    except (InputError, UnavailableError):
        raise
    except FileNotFoundError:
        raise InputError(f"{shown}: no such file") from None
    except DAMAGE as error:
        raise InputError(f"{shown} cannot be read: {cause(error)}") from None
    if send:
        source = portable(source, path, kind.open)
    entries, unread = source.entries, source.unread
    if tensors is not None:
        missing = tensors - {entry.name for entry in entries} - {item.name for item in unread}
        if missing:
            raise InputError(f"{shown} lacks {quoted(min(missing))}, which its index says it has")
        entries = tuple(entry for entry in entries if entry.name in tensors)
        unread = tuple(item for item in unread if item.name in tensors)
    if not entries and not unread:
        raise without_tensors(shown, (*source.damaged, *source.notes))
    size = size if source.stored is None else source.stored
    claimed = sum(entry.nbytes for entry in entries)
    if claimed > max(_SMALL, _EXPANSION * size):
        raise InputError(
            f"{shown} has {size:,} bytes and claims tensors of {claimed:,}: fpx takes at most "
            f"{_EXPANSION} times a file's size"
        )
    return replace(source, entries=entries, unread=unread, kind=kind.name)


def without_tensors(shown: str, notes: Sequence[str]) -> InputError:
    """What is said of a file without tensors, the first of its notes with it."""
    why = f" that fpx reads ({escape(notes[0])})" if notes else ""
    return InputError(f"{shown} holds no tensors{why}")
