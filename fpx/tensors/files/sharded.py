"""Checkpoints in several files: an index with its shards, or a directory."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from fpx.errors import InputError
from fpx.tensors.files.headers import unique
from fpx.words import cause, listed, quoted, quoted_path

_INDEX = ".index.json"
_LARGEST_INDEX = 16 << 20  # bytes
_MOST_BRACKETS = 1 << 16  # an index is one object of strings; names may have a few


Shard = tuple[Path, frozenset[str] | None]
"""A file, and the names of the tensors to take from it; None is all."""


def is_index(path: Path) -> bool:
    """Whether a file is the index of a sharded checkpoint, by the name that it must have."""
    return path.name.endswith(_INDEX)


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


@dataclass(frozen=True)
class Directory:
    """The checkpoint in a directory.

    Attributes:
        shards: its files.
        passed: the tensor files and directories beside them that are not read, and why: a line for
            each reason.
    """

    shards: list[Shard]
    passed: tuple[str, ...] = ()


METADATA = ".metadata"
"""What describes a distributed checkpoint of torch; kinds tell by content whether it is one."""

_DISTRIBUTED = ".distcp"
_OF_A_RANK = re.compile(r"__[0-9]+\.metadata")

_COPIES = (
    ("model.safetensors", "pytorch_model.bin", "tf_model.h5"),
    ("diffusion_pytorch_model.safetensors", "diffusion_pytorch_model.bin"),
    ("adapter_model.safetensors", "adapter_model.bin"),
)
"""Names under which Hugging Face's libraries save the same tensors, the one they load first."""

_MOST_LOOKED_AT = 1 << 10  # names in a directory that is not read


def in_directory(path: Path, suffixes: tuple[str, ...]) -> Directory:
    """The checkpoint in a directory: a distributed one, that of an index, or all its tensor files.

    Raises:
        InputError: no tensor file there, several indexes, or part of a distributed checkpoint.
    """
    shown = quoted_path(path)
    try:
        names = sorted(item.name for item in path.iterdir())
    except OSError as error:
        raise InputError(f"{shown} cannot be read: {cause(error)}") from None
    parts = [name for name in names if name.endswith(_DISTRIBUTED)]
    files = [
        name
        for name in names
        if name.endswith(suffixes) and name not in parts and not (path / name).is_dir()
    ]
    indexes, copies = _without_copies([name for name in names if is_index(Path(name))], _INDEX)
    inside = [name for name in names if name not in files and _has_tensors(path / name, suffixes)]
    looked = [_passed("directories are not looked into", inside)]
    if METADATA in names and (parts or not (files or indexes)):
        passed = _passed("they are no part of the distributed checkpoint", files)
        return Directory([(path / METADATA, None)], _lines(passed, *looked))
    if len(indexes) > 1:
        raise InputError(f"{shown} has several indexes: name one, such as {quoted(indexes[0])}")
    looked.append(_passed("without .metadata they are no checkpoint", parts))
    if indexes:
        shards = of_index(path / indexes[0])
        named = {shard.name for shard, _ in shards}
        others = [name for name in files if name not in named]
        passed = _passed(f"{quoted(indexes[0])} does not name them", others)
        same = _passed(f"{quoted(indexes[0])} is of the same tensors", copies)
        return Directory(shards, _lines(same, passed, *looked))
    if not files:
        raise _nothing(shown, names, parts, suffixes)
    kept, copies = _without_copies(files)
    same = _passed("another file has the same tensors", copies)
    return Directory([(path / name, None) for name in kept], _lines(same, *looked))


def _without_copies(names: list[str], suffix: str = "") -> tuple[list[str], list[str]]:
    """Names of files without those that have the same tensors as another one; and those."""
    copies: set[str] = set()
    for group in _COPIES:
        there = [f"{name}{suffix}" for name in group if f"{name}{suffix}" in names]
        copies.update(there[1:])
    return [name for name in names if name not in copies], sorted(copies)


def _has_tensors(path: Path, suffixes: tuple[str, ...]) -> bool:
    """Whether it is a directory with tensor files, as far as its first names tell."""
    try:
        if not path.is_dir():
            return False
        with os.scandir(path) as items:
            return any(item.name.endswith(suffixes) for item in islice(items, _MOST_LOOKED_AT))
    except OSError:
        return False


def _passed(why: str, names: list[str]) -> str:
    return f"passed over, since {why}: {listed(map(quoted, names), 4)}" if names else ""


def _lines(*lines: str) -> tuple[str, ...]:
    return tuple(filter(None, lines))


def _nothing(
    shown: str, names: list[str], parts: list[str], suffixes: tuple[str, ...]
) -> InputError:
    """What is said of a directory without a checkpoint."""
    if not parts:
        return InputError(f"{shown} has no tensor files ({', '.join(suffixes)})")
    ranks = [name for name in names if _OF_A_RANK.fullmatch(name)]
    if ranks:
        return InputError(f"{shown} has no {METADATA} of all ranks: name one, such as {ranks[0]}")
    return InputError(
        f"{shown} has {_DISTRIBUTED} files and no {METADATA}, which is written last: it is damaged "
        "or still being written"
    )


def is_part(path: Path) -> bool:
    """Whether a file is a part of a distributed checkpoint, by the name that it must have."""
    return path.name.endswith(_DISTRIBUTED)
