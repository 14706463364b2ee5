"""torch's files: zip archives, which are mapped, and the older format, which is loaded."""

from __future__ import annotations

import ctypes
import io
import mmap
import pickle
import pickletools
import re
import sys
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

import torch
from torch import Tensor

from fpx.errors import InputError
from fpx.tensors.blocks import Box
from fpx.tensors.dtypes import is_readable, origin_of
from fpx.tensors.entry import COMPLEX_NOTE, Source, TensorEntry
from fpx.tensors.files.headers import record_start
from fpx.tensors.memory import TooManyPlacesError, layout_of, named_leaves
from fpx.tensors.rows import row_major_blocks
from fpx.words import quoted, quoted_path, reason

_LOADED_LIMIT = 256 << 20  # bytes of a file that is loaded, not mapped
_PICKLE_LIMIT = 1 << 20  # bytes of the pickle beside the tensors
_PICKLE_PER_RECORD = 1 << 10  # and for each record that it can describe
_MOST_STEPS = 1 << 20  # of an old file's pickles; a tensor takes about 30


def open_torch(path: Path) -> Source:
    """The tensors in what `torch.save` wrote, named by their path in it.

    Raises:
        InputError: damaged, with code in it, or too large to load whole.
    """
    shown, size = quoted_path(path), path.stat().st_size
    archive = _archive_of(path, shown) if zipfile.is_zipfile(path) else None
    mapped = archive is not None
    # the old format cannot be mapped, and what is mapped is copied to swap its bytes
    whole = "is in torch's old format" if archive is None else "is of the other byte order"
    if (archive is None or archive.swapped) and size > _LOADED_LIMIT:
        raise InputError(
            f"{shown} {whole}, which is loaded whole, and too large for that: save it again"
        )
    if archive is None:
        with path.open("rb") as file:  # magic number, protocol, system, and what was saved
            _check_pickles(file, 4, _MOST_STEPS, shown)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of layouts that torch calls prototypes, too
            loaded = torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
            named = [
                (name, Tensor.detach(item))
                for name, item in named_leaves(loaded)
                if isinstance(item, Tensor)
            ]
            found = [(name, *_stored_values(tensor)) for name, tensor in named]
    except TooManyPlacesError as error:
        raise InputError(f"{shown} holds more than tensors: {error}") from None
    except InputError:
        raise
    except pickle.UnpicklingError:
        raise InputError(
            f"{shown} is damaged, or holds more than tensors (a pickle with code), which fpx never "
            "runs: save a state_dict, or convert it to .safetensors"
        ) from None
    except Exception as error:  # noqa: BLE001 - a hostile pickle can raise anything
        raise InputError(f"{shown} is a damaged torch file: {reason(error)}") from None
    entries: list[TensorEntry] = []
    notes: list[str] = []
    pages = _Pages(path) if archive is not None and not archive.swapped else None
    storages: dict[int, int] = {}
    for name, stored, note in found:
        if note:
            notes.append(f"{name}: {note}")
        if stored is not None:
            storage = stored.untyped_storage()
            storages[storage.data_ptr()] = max(
                storage.nbytes(), storages.get(storage.data_ptr(), 0)
            )
            entries.append(_torch_entry(name or "tensor", stored, pages))
    if archive is not None and not archive.holds(storages):
        raise InputError(f"{shown} is a damaged torch file: a storage is larger than its record")
    return Source(str(path), tuple(entries), tuple(notes))


@dataclass(frozen=True)
class _Record:
    """A member of a zip archive, not packed: where in the file it begins, and its bytes."""

    start: int
    size: int


@dataclass(frozen=True)
class _Archive:
    """What the directory of a zip archive says.

    Attributes:
        records: those with the numbers of storages, by the key of the storage.
        pickle: what describes the tensors.
        swapped: whether numbers are in the other byte order than this machine's.
    """

    records: Mapping[str, _Record]
    pickle: bytes
    swapped: bool

    def holds(self, storages: dict[int, int]) -> bool:
        """Whether every storage is in its record, and no larger than that.

        torch takes the size of a storage from the pickle: nothing else keeps one from reaching into
        the next.

        Args:
            storages: where in memory each begins -> bytes.
        """
        claimed = _claims(self.pickle)
        if claimed is None:
            return False
        for key, size in claimed.items():
            if size and (key not in self.records or size > self.records[key].size):
                return False
        if self.swapped:  # in memory of their own
            return True
        # torch finds records by a directory that it reads itself: it must have found the same ones
        used = {self.records[key].start: size for key, size in claimed.items() if size}
        placed = sorted((at, size) for at, size in storages.items() if size)
        if not placed:
            return True
        first = placed[0][0]
        return any(
            (first - start) % mmap.PAGESIZE == 0
            and all(size <= used.get(at - first + start, -1) for at, size in placed)
            for start in used
        )


class _Inert:
    """Stands for every class and function that a pickle names: takes all, and does nothing."""

    name = ""

    def __init__(self, *args: object, **kinds: object) -> None:
        pass

    def __setstate__(self, state: object) -> None:
        pass

    def __setitem__(self, key: object, value: object) -> None:
        pass

    def append(self, item: object) -> None:
        """Takes it."""

    def extend(self, items: object) -> None:
        """Takes them."""

    def add(self, item: object) -> None:
        """Takes it."""


class _Storages(pickle.Unpickler):
    """Reads what a pickle says of its storages, and runs nothing that it names."""

    def __init__(self, file: IO[bytes]) -> None:
        super().__init__(file)
        self.claims: dict[str, int] = {}
        self.sound = True

    def find_class(self, module: str, name: str) -> Any:
        """A class that does nothing."""
        return type("_Inert", (_Inert,), {"name": name})

    def persistent_load(self, pid: Any) -> Any:
        """Notes (`storage`, its type, key, device, elements)."""
        match pid:
            case (_, type() as kind, str() | int() as key, _, int() as count) if (
                issubclass(kind, _Inert) and count >= 0
            ):
                size = count * _itemsize(kind.name)
                self.claims[str(key)] = max(size, self.claims.get(str(key), 0))
            case _:
                self.sound = False
        return _Inert()


def _itemsize(storage: str) -> int:
    """Bytes of an element of a class of storages, by its name."""
    dtype = getattr(getattr(torch, storage, None), "dtype", torch.uint8)
    return dtype.itemsize if isinstance(dtype, torch.dtype) else 1


def _claims(description: bytes) -> dict[str, int] | None:
    """Bytes of each storage that a pickle claims, by its key; None where it cannot be told.

    Args:
        description: a pickle that `_check_pickles` let pass.
    """
    reader = _Storages(io.BytesIO(description))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of classes of storages, which torch means to drop
            reader.load()
    except Exception:  # noqa: BLE001 - a hostile pickle can raise anything
        return None
    return reader.claims if reader.sound else None


def _archive_of(path: Path, shown: str) -> _Archive:
    """Checks a zip archive's directory before torch reads from it.

    Raises:
        InputError: TorchScript, or nothing that torch.save wrote.
    """
    records: dict[str, _Record] = {}
    description: tuple[str, bytes] | None = None
    swapped = False
    with zipfile.ZipFile(path) as archive, path.open("rb") as file:
        infos = archive.infolist()
        if any(info.filename.endswith("/constants.pkl") for info in infos):
            raise InputError(
                f"{shown} is a TorchScript archive, which holds code: save its state_dict()"
            )
        if len({info.filename for info in infos}) < len(infos):
            raise InputError(f"{shown} is a damaged torch file: two records of one name")
        end = archive.start_dir
        for info in sorted(infos, key=lambda item: item.header_offset, reverse=True):
            if info.compress_type != zipfile.ZIP_STORED:
                raise InputError(f"{shown} is compressed, which torch's files never are")
            record = _Record(record_start(file, info), info.file_size)
            if info.compress_size != record.size or record.start + record.size > end:
                raise InputError(f"{shown} is a damaged torch file: a record has no room in it")
            end = info.header_offset
            records[info.filename] = record
            if info.filename.endswith("/data.pkl"):
                if description is not None:
                    raise InputError(f"{shown} is a damaged torch file: it has two pickles")
                if info.file_size > _PICKLE_LIMIT + _PICKLE_PER_RECORD * len(infos):
                    raise InputError(
                        f"{shown} holds more than tensors: {info.file_size:,} bytes of other things"
                    )
                description = info.filename.removesuffix("data.pkl"), archive.read(info)
                _check_pickles(io.BytesIO(description[1]), 1, info.file_size, shown)
            elif info.filename.endswith("/byteorder"):
                swapped = archive.read(info).decode("ascii", "replace") != sys.byteorder
    if description is None:
        raise InputError(f"{shown} is a damaged torch file: it has no pickle")
    prefix = f"{description[0]}data/"
    of_storages = {
        name.removeprefix(prefix): record
        for name, record in records.items()
        if name.startswith(prefix)
    }
    return _Archive(of_storages, description[1], swapped)


def _check_pickles(file: IO[bytes], count: int, most: int, shown: str) -> None:
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


_INTEGERS_OF = {torch.qint8: torch.int8, torch.quint8: torch.uint8, torch.qint32: torch.int32}


def _stored_values(tensor: Tensor) -> tuple[Tensor | None, str]:
    """What of a tensor is read, and a note where that is not simply all of it."""
    if tensor.is_meta:
        return None, "on the meta device: the file has no data of it"
    if tensor.is_nested:
        return None, "nested tensors are not read"
    if tensor.is_quantized:
        integers = _INTEGERS_OF.get(tensor.dtype)
        if integers is None:
            return None, f"{tensor.dtype} is not read"
        plain = torch.empty(0, dtype=integers).set_(
            tensor.untyped_storage(), tensor.storage_offset(), tensor.shape, tensor.stride()
        )
        return plain, "quantised: its stored integers are read"
    if tensor.layout is torch.sparse_coo:
        values = tensor._values()  # as stored: coalescing would add some up
        note = "sparse: its stored values are read"
    elif tensor.layout is not torch.strided:
        if not hasattr(tensor, "values") or tensor.is_mkldnn:
            return None, f"layout {tensor.layout} is not read"
        values, note = tensor.values(), "sparse: its stored values are read"
    else:
        values, note = tensor, ""
    real = values.dtype.to_real() if values.dtype.is_complex else values.dtype
    if not is_readable(real):
        return None, f"{real} is not read"
    if values.dtype.is_complex:
        note = f"{note}, {COMPLEX_NOTE}" if note else COMPLEX_NOTE
    return values, note


def _torch_entry(name: str, tensor: Tensor, pages: _Pages | None) -> TensorEntry:
    """An entry that reads in the order of the storage: of a mapped file, each page once."""
    axes = tuple(sorted(range(tensor.dim()), key=tensor.stride, reverse=True))
    shape, order, dtype, place = tuple(tensor.shape), axes, tensor.dtype, layout_of(tensor)
    whole = tuple(map(range, shape))
    if dtype.is_complex:
        shape, order, dtype = (*shape, 2), (*axes, len(axes)), dtype.to_real()
        strides = (*(2 * stride for stride in place.stride), 1)
        place = replace(place, stride=strides, offset=2 * place.offset)

    def read(limit: int) -> Iterator[Tensor]:
        return _stored_order(tensor, axes, whole, limit, pages)

    def read_box(limit: int, box: Box) -> Iterator[Tensor]:
        return _stored_order(tensor, axes, box, limit, pages)

    in_rows = order == tuple(range(len(order)))
    return TensorEntry(
        name, origin_of(dtype), shape, read, None if in_rows else order, layout=place,
        read_box=read_box,
    )  # fmt: skip


def _stored_order(
    tensor: Tensor, axes: tuple[int, ...], box: Box, limit: int, pages: _Pages | None
) -> Iterator[Tensor]:
    """A part of a tensor in the order of its storage.

    Args:
        tensor: of a complex one, the box may have an axis for real and imaginary parts.
        axes: the tensor's axes, the slowest first.
        box: the part.
        limit: elements of a block, at most.
        pages: given back as they are read.
    """
    part = tensor[tuple(slice(along.start, along.stop) for along in box[: tensor.dim()])]
    if part.numel() == 0:
        return
    # of a view with gaps, fewer elements at a time: what is between them is mapped too
    steps = zip(part.shape, part.stride(), strict=True)
    span = 1 + sum((length - 1) * stride for length, stride in steps)
    gaps = max(span // part.numel(), 1)
    halves = slice(None) if len(box) == tensor.dim() else slice(box[-1].start, box[-1].stop)
    most = max(limit // 2, 1) if tensor.dtype.is_complex else limit
    if gaps > 1:
        most = min(most, max(_RELEASE_EVERY // (gaps * tensor.itemsize), 1))
    since = 0
    for block in row_major_blocks(part.permute(axes), most):
        plain = block.resolve_conj().resolve_neg()
        if not tensor.dtype.is_complex:
            yield plain
        elif limit > 1:
            yield torch.view_as_real(plain)[:, halves].reshape(-1)
        else:
            yield from torch.view_as_real(plain)[:, halves].reshape(-1, 1)
        since += block.nbytes * gaps
        if pages is not None and since >= _RELEASE_EVERY:
            pages.release()
            since = 0


_RELEASE_EVERY = 64 << 20  # bytes read between two releases of mapped pages
_MADV_DONTNEED = 4  # Linux; the pages are read from the file again if they are needed again


class _Pages:
    """The memory that maps a file, to be given back once it was read.

    Pages of a mapped file count as the process's memory until the system wants them back, so that
    reading a large file would look (and in a container be) as expensive as loading it. Does nothing
    where the system tells no mappings (/proc/self/maps).
    """

    def __init__(self, path: Path) -> None:
        self._ranges: list[tuple[int, int]] = []
        if sys.platform != "linux":
            return
        wanted = path.stat()
        # another file may have the same number, on another device
        shown = str(path.resolve()).replace("\n", "\\012")
        with open("/proc/self/maps", encoding="utf-8", errors="surrogateescape") as maps:  # noqa: PTH123
            for line in maps:
                addresses, permissions, _, _, inode, *where = line.rstrip("\n").split(maxsplit=5)
                # a private mapping that nobody wrote to: dropping its pages loses nothing
                same = int(inode) == wanted.st_ino and where == [shown]
                if same and permissions.endswith("p"):
                    start, end = (int(address, 16) for address in addresses.split("-"))
                    self._ranges.append((start, end))
        self._madvise = ctypes.CDLL(None, use_errno=True).madvise

    def release(self) -> None:
        """Gives back every page of the mapping."""
        for start, end in self._ranges:
            assert start % mmap.PAGESIZE == 0
            self._madvise(
                ctypes.c_void_p(start), ctypes.c_size_t(end - start), ctypes.c_int(_MADV_DONTNEED)
            )
