"""The numbers that torch's files hold, by the keys that their pickles have for them."""

from __future__ import annotations

import mmap
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from fpx.tensors.files.pickles import Named, Table, Walked
from fpx.tensors.files.torch_archive import Archive, check_pickles, walked
from fpx.tensors.files.torch_objects import STORAGE_BYTES

_MOST_STEPS = 1 << 20  # of an old file's pickles; a tensor takes about 30
_OLD_PICKLES = 5  # magic number, protocol, system, what was saved, and the keys of its storages

Storages = Callable[[str], torch.UntypedStorage | None]
"""The numbers of a storage by its key; None if it has none."""


def mapped_storages(path: Path, archive: Archive, folder: str) -> Storages:
    """The storages of an archive, of one mapping of the file."""
    records = archive.storages(folder)
    whole = torch.UntypedStorage.from_file(str(path), False, path.stat().st_size)

    def storage(key: str) -> torch.UntypedStorage | None:
        record = records.get(key)
        if record is None:
            return None
        part: torch.UntypedStorage = whole[record.start : record.start + record.size]
        return part

    return storage


def old_pickles(path: Path, shown: str) -> list[Walked]:
    """What the pickles at the beginning of a file of torch's old format hold.

    Raises:
        InputError: damaged, or too large.
    """
    with path.open("rb") as file:
        check_pickles(file, _OLD_PICKLES, _MOST_STEPS, shown)
        found: list[Walked] = []
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            for _ in range(_OLD_PICKLES):
                found.append(walked(data, found[-1].end if found else 0, shown))
    return found


def is_swapped(old: Sequence[Walked]) -> bool:
    """Whether what the pickles say of the system is of another byte order than this machine's."""
    system = old[2].root
    little = system.texts().get("little_endian") if isinstance(system, Table) else None
    return little is not (sys.byteorder == "little")


def old_storages(path: Path, old: Sequence[Walked]) -> Storages:
    """The storages of a file of torch's old format: each has its elements' number before it."""
    keys = [
        key
        for key in (old[4].root if isinstance(old[4].root, list) else ())
        if isinstance(key, (str, int))
    ]
    sizes: dict[object, int] = {}
    for kept in old[3].kept:
        match kept.identity:
            case ("storage", Named(name=kind), str() | int() as key, *_):
                sizes[key] = STORAGE_BYTES.get(kind, 0)
    records: dict[str, tuple[int, int]] = {}
    at, end = old[4].end, path.stat().st_size
    with path.open("rb") as file:
        for key in keys:
            if key not in sizes or at + 8 > end:
                break
            file.seek(at)
            size = sizes[key] * int.from_bytes(file.read(8), "little")
            at += 8
            records[str(key)] = at, min(size, end - at)
            at += size

    def storage(key: str) -> torch.UntypedStorage | None:
        if key not in records:
            return None
        start, size = records[key]
        with path.open("rb") as file:
            file.seek(start)
            data = bytearray(file.read(size))
        return torch.frombuffer(data, dtype=torch.uint8).untyped_storage() if data else None

    return storage
