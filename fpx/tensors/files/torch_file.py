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
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

import torch
from torch import Tensor

from fpx.errors import InputError
from fpx.tensors.entry import COMPLEX_NOTE, Source, TensorEntry, layout_of, row_major_blocks
from fpx.tensors.files.raw import record_start
from fpx.words import quoted, quoted_path, reason

LEGACY_MAGIC = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."


_LOADED_LIMIT = 256 << 20  # bytes of a file that is loaded, not mapped
_PICKLE_LIMIT = 1 << 20  # bytes of the pickle beside the tensors
_PICKLE_PER_RECORD = 1 << 10  # and for each record that it can describe
_MOST_STEPS = 1 << 20  # of an old file's pickles; a tensor takes about 30
_MOST_PLACES = 1 << 18  # tensors and other things in a file
_DEEPEST = 64  # nesting of containers


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
            named = _named_tensors(loaded, shown)
            found = [(name, *_stored_values(tensor)) for name, tensor in named]
    except InputError:
        raise
    except pickle.UnpicklingError:
        raise InputError(
            f"{shown} is damaged, or holds more than tensors (a pickle with code), which fpx never "
            "runs: save a state_dict, or convert it to .safetensors"
        ) from None
    except Exception as error:  # noqa: BLE001 - a hostile pickle can raise anything
        raise InputError(f"{shown} is a damaged torch file: {reason(error)}") from None
    source = Source(str(path), [])
    pages = _Pages(path) if archive is not None and not archive.swapped else None
    storages: dict[int, int] = {}
    for name, stored, note in found:
        if note:
            source.notes.append(f"{name}: {note}")
        if stored is not None:
            storage = stored.untyped_storage()
            storages[storage.data_ptr()] = max(
                storage.nbytes(), storages.get(storage.data_ptr(), 0)
            )
            source.entries.append(_torch_entry(name or "tensor", stored, pages))
    if archive is not None and not archive.holds(storages):
        raise InputError(f"{shown} is a damaged torch file: a storage is larger than its record")
    return source


@dataclass(frozen=True)
class _Archive:
    """What the directory of a zip archive says.

    Attributes:
        records: where in the file each record begins -> its bytes.
        swapped: whether numbers are in the other byte order than this machine's.
    """

    records: dict[int, int]
    swapped: bool

    def holds(self, storages: dict[int, int]) -> bool:
        """Whether storages (address -> bytes) are records, mapped, and no larger than they are.

        torch takes the size of a storage from the pickle: nothing else keeps one from reaching into
        the next.
        """
        placed = sorted((at, size) for at, size in storages.items() if size)
        if not placed or self.swapped:
            return True
        first = placed[0][0]
        return any(
            all(size <= self.records.get(at - first + start, -1) for at, size in placed)
            for start in self.records
        )


def _archive_of(path: Path, shown: str) -> _Archive:
    """Checks a zip archive's directory before torch reads from it.

    Raises:
        InputError: TorchScript, or nothing that torch.save wrote.
    """
    records = {}
    swapped = False
    with zipfile.ZipFile(path) as archive, path.open("rb") as file:
        infos = archive.infolist()
        if any(info.filename.endswith("/constants.pkl") for info in infos):
            raise InputError(
                f"{shown} is a TorchScript archive, which holds code: save its state_dict()"
            )
        if len({info.filename for info in infos}) < len(infos):
            raise InputError(f"{shown} is a damaged torch file: two records of one name")
        for info in infos:
            if info.compress_type != zipfile.ZIP_STORED:
                raise InputError(f"{shown} is compressed, which torch's files never are")
            records[record_start(file, info)] = info.file_size
            if info.filename.endswith("/data.pkl"):
                if info.file_size > _PICKLE_LIMIT + _PICKLE_PER_RECORD * len(infos):
                    raise InputError(
                        f"{shown} holds more than tensors: {info.file_size:,} bytes of other things"
                    )
                _check_pickles(io.BytesIO(archive.read(info)), 1, info.file_size, shown)
            elif info.filename.endswith("/byteorder"):
                swapped = archive.read(info).decode("ascii", "replace") != sys.byteorder
    return _Archive(records, swapped)


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
    """What of a tensor is compared, and a note where that is not simply all of it."""
    if tensor.is_meta:
        return None, "on the meta device: the file has no data of it"
    if tensor.is_nested:
        return None, "nested tensors are not compared"
    if tensor.is_quantized:
        integers = _INTEGERS_OF.get(tensor.dtype)
        if integers is None:
            return None, f"{tensor.dtype} is not compared"
        plain = torch.empty(0, dtype=integers).set_(
            tensor.untyped_storage(), tensor.storage_offset(), tensor.shape, tensor.stride()
        )
        return plain, "quantised: its stored integers are compared"
    if tensor.layout is torch.sparse_coo:
        values = tensor._values()  # as stored: coalescing would add some up
        note = "sparse: its stored values are compared"
    elif tensor.layout is not torch.strided:
        if not hasattr(tensor, "values") or tensor.is_mkldnn:
            return None, f"layout {tensor.layout} is not compared"
        values, note = tensor.values(), "sparse: its stored values are compared"
    else:
        values, note = tensor, ""
    if values.dtype.is_complex:
        note = f"{note}, {COMPLEX_NOTE}" if note else COMPLEX_NOTE
    return values, note


def _named_tensors(loaded: object, shown: str) -> Iterator[tuple[str, Tensor]]:
    """Tensors in nested dicts, lists and tuples, named by their path.

    Raises:
        InputError: more places than any checkpoint has, as where one list holds another twice, and
            that one a third twice, and so on.
    """
    visited = 0

    def walk(item: object, name: str, inside: tuple[int, ...]) -> Iterator[tuple[str, Tensor]]:
        nonlocal visited
        visited += 1
        if visited > _MOST_PLACES:
            raise InputError(f"{shown} holds more than tensors: over {_MOST_PLACES:,} other things")
        if isinstance(item, Tensor):
            yield name, torch.Tensor.detach(item)
            return
        if id(item) in inside or len(inside) > _DEEPEST:
            return
        if isinstance(item, dict):
            children = (
                (_key_text(key, at), child) for at, (key, child) in enumerate(dict.items(item))
            )
        elif isinstance(item, (list, tuple)):
            children = ((str(at), child) for at, child in enumerate(item))
        else:
            return
        for key, child in children:
            yield from walk(child, f"{name}.{key}" if name else key, (*inside, id(item)))

    return walk(loaded, "", ())


def _key_text(key: object, at: int) -> str:
    """A key as part of a name; of one that could be of any size, its type and place."""
    if isinstance(key, tuple) and len(key) < 8:
        return f"({', '.join(_key_text(item, at) for item in key if not isinstance(item, tuple))})"
    if isinstance(key, str):
        return key
    if key is None or isinstance(key, (bool, float)) or (isinstance(key, int) and abs(key) < 1e30):
        return str(key)
    return f"<{type(key).__name__} {at}>"


def _torch_entry(name: str, tensor: Tensor, pages: _Pages | None) -> TensorEntry:
    """An entry that reads in the order of the storage: of a mapped file, each page once."""
    is_complex = tensor.dtype.is_complex
    axes = tuple(sorted(range(tensor.dim()), key=tensor.stride, reverse=True))
    inner = tensor.permute(axes)
    shape, order, dtype, place = tuple(tensor.shape), axes, tensor.dtype, layout_of(tensor)
    if is_complex:
        shape, order, dtype = (*shape, 2), (*axes, len(axes)), dtype.to_real()
        strides = (*(2 * stride for stride in place.stride), 1)
        place = replace(place, stride=strides, offset=2 * place.offset)
    # of a view with gaps, fewer elements at a time: what is between them is mapped too
    steps = zip(tensor.shape, tensor.stride(), strict=True)
    span = 1 + sum((length - 1) * stride for length, stride in steps)
    gaps = max(span // max(tensor.numel(), 1), 1)

    def blocks(limit: int) -> Iterator[Tensor]:
        parts = 2 if is_complex else 1
        most = max(limit // parts, 1)
        if gaps > 1:
            most = min(most, max(_RELEASE_EVERY // (gaps * tensor.itemsize), 1))
        since = 0
        for block in row_major_blocks(inner, most):
            whole = block.resolve_conj().resolve_neg()
            yield torch.view_as_real(whole).reshape(-1) if is_complex else whole
            since += block.nbytes * gaps
            if pages is not None and since >= _RELEASE_EVERY:
                pages.release()
                since = 0

    in_rows = order == tuple(range(len(order)))
    return TensorEntry(name, dtype, shape, blocks, None if in_rows else order, layout=place)


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
