"""Checkpoints in several files: an index with its shards, or a directory."""

from __future__ import annotations

import json
from pathlib import Path

from fpx.errors import InputError
from fpx.tensors.files.headers import unique
from fpx.words import quoted, quoted_path, reason

_LARGEST_INDEX = 16 << 20  # bytes
_MOST_BRACKETS = 1 << 16  # an index is one object of strings; names may have a few


Shard = tuple[Path, frozenset[str] | None]
"""A file, and the names of the tensors to take from it; None is all."""


def is_index(path: Path) -> bool:
    """Whether a file is the index of a sharded checkpoint, by the name that it must have."""
    return path.name.endswith(".index.json")


def of_index(path: Path) -> list[Shard]:
    """The shards of an index, `{"weight_map": {tensor: file}}`, as Hugging Face's libraries do it.

    Raises:
        InputError: no such index, or it names a file elsewhere.
    """
    shown = quoted_path(path)
    if path.stat().st_size > _LARGEST_INDEX:
        raise InputError(f"{shown} is too large for an index")
    try:
        text = path.read_bytes()
        if text.count(b"[") + text.count(b"{") > _MOST_BRACKETS:
            raise ValueError("too many parts")  # each would take 20 times its bytes
        weight_map = json.loads(text, object_pairs_hook=unique)["weight_map"]
        names = {str(tensor): str(shard) for tensor, shard in weight_map.items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise InputError(f"{shown} is no index of shards: it has no weight_map of names") from None
    shards: dict[str, set[str]] = {}
    for tensor, shard in names.items():
        shards.setdefault(shard, set()).add(tensor)
    for shard in shards:
        if not shard or Path(shard).name != shard:
            raise InputError(f"{shown} names a shard that is not beside it: {quoted(shard)}")
    return [(path.parent / shard, frozenset(tensors)) for shard, tensors in sorted(shards.items())]


def in_directory(path: Path, suffixes: tuple[str, ...]) -> list[Shard]:
    """The checkpoint in a directory: by its index if there is one, else every tensor file in it.

    Raises:
        InputError: no tensor file there, or several indexes.
    """
    shown = quoted_path(path)
    try:
        names = sorted(item.name for item in path.iterdir())
    except OSError as error:
        raise InputError(f"{shown} cannot be read: {error.strerror or reason(error)}") from None
    indexes = [name for name in names if is_index(Path(name))]
    if len(indexes) > 1:
        raise InputError(f"{shown} has several indexes: name one, such as {quoted(indexes[0])}")
    if indexes:
        return of_index(path / indexes[0])
    files = [path / name for name in names if name.endswith(suffixes)]
    if not files:
        raise InputError(f"{shown} has no tensor files ({', '.join(suffixes)})")
    return [(file, None) for file in files]
