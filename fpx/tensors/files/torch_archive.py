"""The zip archive that `torch.save` and `torch.jit.save` write: checked before anything is read."""

from __future__ import annotations

import io
import mmap
import pickletools
import re
import sys
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import IO

from fpx.errors import InputError
from fpx.tensors.files.headers import record_start
from fpx.tensors.files.pickles import Kept, Named, PickleError, Walked, walk
from fpx.tensors.files.torch_objects import STORAGE_BYTES
from fpx.words import quoted, reason

_PICKLE_LIMIT = 1 << 20  # bytes of a pickle beside the tensors
_PICKLE_PER_RECORD = 1 << 10  # and for each record that it can describe


@dataclass(frozen=True)
class Record:
    """A member of a zip archive, not packed: where in the file it begins, and its bytes."""

    start: int
    size: int


@dataclass(frozen=True)
class Archive:
    """What the directory of a zip archive says.

    Attributes:
        records: the members that are not packed, by their name below the archive's own folder.
        walked: what each pickle of tensors holds, by its name: `data.pkl`, and of TorchScript
            `constants.pkl` too.
        swapped: whether numbers are in the other byte order than this machine's.
    """

    records: Mapping[str, Record]
    walked: Mapping[str, Walked]
    swapped: bool

    def storages(self, folder: str) -> Mapping[str, Record]:
        """The records with the numbers of storages, by the key of the storage."""
        prefix = f"{folder}/"
        return {
            name.removeprefix(prefix): record
            for name, record in self.records.items()
            if name.startswith(prefix)
        }

    def holds(self, storages: dict[int, int]) -> bool:
        """Whether every storage is in its record, and no larger than that.

        torch takes the size of a storage from the pickle: nothing else keeps one from reaching into
        the next.

        Args:
            storages: where in memory each begins -> bytes.
        """
        claimed = _claims(self.walked["data.pkl"].kept)
        if claimed is None:
            return False
        records = self.storages("data")
        for key, size in claimed.items():
            if size and (key not in records or size > records[key].size):
                return False
        if self.swapped:  # in memory of their own
            return True
        # torch finds records by a directory that it reads itself: it must have found the same ones
        used = {records[key].start: size for key, size in claimed.items() if size}
        placed = sorted((at, size) for at, size in storages.items() if size)
        if not placed:
            return True
        first = placed[0][0]
        return any(
            (first - start) % mmap.PAGESIZE == 0
            and all(size <= used.get(at - first + start, -1) for at, size in placed)
            for start in used
        )


def _claims(kept: Sequence[Kept]) -> dict[str, int] | None:
    """Bytes of each storage that a pickle claims, by its key; None where it cannot be told."""
    claims: dict[str, int] = {}
    for storage in kept:
        match storage.identity:
            case (_, Named(name=kind), str() | int() as key, _, int() as count) if count >= 0:
                size = count * STORAGE_BYTES.get(kind, 1)
                claims[str(key)] = max(size, claims.get(str(key), 0))
            case _:
                return None
    return claims


_SCRIPT = "constants.pkl"  # a member that TorchScript has, and nothing else


def archive_of(file: IO[bytes], shown: str) -> Archive:
    """Checks a zip archive, and reads its pickles without running them.

    Args:
        file: the archive; or a part of a file, from the first byte of the archive on.
        shown: its name for messages.

    Raises:
        InputError: nothing that torch wrote.
        zipfile.BadZipFile: damaged.
    """
    records: dict[str, Record] = {}
    pickles: dict[str, zipfile.ZipInfo] = {}
    swapped = False
    with zipfile.ZipFile(file) as archive:
        infos = archive.infolist()
        if len({info.filename for info in infos}) < len(infos):
            raise InputError(f"{shown} is a damaged torch file: two records of one name")
        script = any(info.filename.endswith(f"/{_SCRIPT}") for info in infos)
        end = archive.start_dir
        for info in sorted(infos, key=lambda item: item.header_offset, reverse=True):
            start, stored = record_start(file, info), info.compress_type == zipfile.ZIP_STORED
            cut = stored and info.compress_size != info.file_size
            if cut or start + info.compress_size > end:
                raise InputError(f"{shown} is a damaged torch file: a record has no room in it")
            end = info.header_offset
            if not stored:
                if script and "/code/" in info.filename:  # nobody unpacks it
                    continue
                raise InputError(f"{shown} is compressed, which torch's tensors never are")
            _, _, name = info.filename.partition("/")
            if name in ("data.pkl", _SCRIPT):
                if name in pickles:
                    raise InputError(f"{shown} is a damaged torch file: it has two pickles")
                pickles[name] = info
            records[info.filename] = Record(start, info.file_size)
        if "data.pkl" not in pickles:
            raise InputError(f"{shown} is a damaged torch file: it has no pickle")
        walked = {name: _walked(archive, info, len(infos), shown) for name, info in pickles.items()}
        folder = pickles["data.pkl"].filename.removesuffix("data.pkl")
        if f"{folder}byteorder" in records:
            order = archive.read(f"{folder}byteorder").decode("ascii", "replace")
            swapped = order != sys.byteorder
    own = {
        name.removeprefix(folder): record
        for name, record in records.items()
        if name.startswith(folder)
    }
    return Archive(own, walked, swapped)


def _walked(archive: zipfile.ZipFile, info: zipfile.ZipInfo, members: int, shown: str) -> Walked:
    if info.file_size > _PICKLE_LIMIT + _PICKLE_PER_RECORD * members:
        raise InputError(
            f"{shown} holds more than tensors: {info.file_size:,} bytes of other things"
        )
    data = archive.read(info)
    check_pickles(io.BytesIO(data), 1, info.file_size, shown)
    return walked(data, 0, shown)


def walked(data: bytes | mmap.mmap, at: int, shown: str) -> Walked:
    """What a pickle of a torch file holds; arguments as of `fpx.tensors.files.pickles.walk`.

    Raises:
        InputError: damaged, or too large.
    """
    try:
        return walk(data, at)
    except PickleError as error:
        raise InputError(
            f"{shown} is a damaged torch file, or holds more than tensors: {error}"
        ) from None


def check_pickles(file: IO[bytes], count: int, most: int, shown: str) -> None:
    """Walks pickles without running them: torch lets some call what takes for ever, or all memory.

    Args:
        file, count: that many, one after the other.
        most: steps, each of which may take memory.
        shown: the file's name for messages.

    Raises:
        InputError: too many steps, a call that no tensors need, or no pickle.
    """
    steps = 0
    texts: set[object] = set()  # memo entries that are strings,
    eager: set[object] = set()  # and that are classes which iterate over what they are called with
    calling, last, last_argument = False, "", None
    try:
        for _ in range(count):
            texts.clear()
            eager.clear()
            for opcode, argument, _ in pickletools.genops(file):
                steps += 1
                if steps > most:
                    raise InputError(f"{shown} holds more than tensors: too large a pickle")
                name = opcode.name
                if isinstance(argument, str) and _is_costly(argument):
                    raise InputError(f"{shown} holds more than tensors: {quoted(argument)}")
                if name in ("BINPUT", "LONG_BINPUT", "PUT"):
                    if int(argument or 0) > most:  # memory for all below it would be taken
                        raise InputError(f"{shown} holds more than tensors: too large a pickle")
                    texts.discard(argument)
                    eager.discard(argument)
                    if "UNICODE" in last or "STRING" in last:
                        texts.add(argument)
                    elif last == "GLOBAL" and last_argument in _EAGER:
                        eager.add(argument)
                    continue
                got = name in ("BINGET", "LONG_BINGET", "GET")
                if (name == "GLOBAL" and argument in _EAGER) or (got and argument in eager):
                    calling = True
                elif name in ("REDUCE", "NEWOBJ"):
                    calling = False
                elif calling and (
                    name in ("GLOBAL", "BINPERSID") or (got and argument not in texts)
                ):
                    raise InputError(f"{shown} holds more than tensors: a collection made of one")
                last, last_argument = name, argument
    except (ValueError, OverflowError, MemoryError) as error:
        raise InputError(f"{shown} is a damaged torch file: {reason(error)}") from None


_EAGER = frozenset(
    ("torch Size", "collections Counter", "collections OrderedDict", "__builtin__ set",
     "builtins set")
)  # fmt: skip


_COSTLY = re.compile("bytearray|puny.?code|idna", re.IGNORECASE)


def _is_costly(argument: str) -> bool:
    """Whether it names memory of any size, or a codec that takes for ever."""
    name = argument.rpartition(" ")[2]  # of `module name`
    return len(name) < 20 and _COSTLY.fullmatch(name) is not None
