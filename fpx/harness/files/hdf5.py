"""HDF5, Keras's weights among it, by h5py; nothing outside the file is ever opened.

HDF5 can point elsewhere in many ways (external and soft links, external storage, virtual datasets)
and can load code for filters. Links are looked at before they are followed, and of what h5py would
need for a dataset only what is built in is used.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from math import prod
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from torch import Tensor

from fpx.errors import InputError, UnavailableError, quoted, quoted_path, reason
from fpx.harness.files.raw import Window, record_start
from fpx.harness.tensors import COMPLEX_NOTE, Blocks, Source, TensorEntry

Opener = Callable[[], AbstractContextManager[Any]]
"""Opens the file with h5py, anew each time."""

KERAS_WEIGHTS = "model.weights.h5"
"""The member of a .keras archive that holds them."""

MAGIC = b"\x89HDF\r\n\x1a\n"
_BUILT_IN_FILTERS = frozenset((1, 2, 3, 4, 5, 6, 32000))  # HDF5's own, and h5py's LZF
_CHECKSUM, _CHECKSUM_BYTES = 3, 4  # the filter fletcher32, and what it adds to a chunk
_LARGEST_CHUNK = 64 << 20  # bytes, unpacked
_CACHE = 64 << 20  # bytes of chunks that h5py keeps
_MOST_OBJECTS = 1 << 20
_DEEPEST = 64


def has_user_block(file: IO[bytes], size: int) -> bool:
    """Whether HDF5 begins after a block of the user's, as in MATLAB's files: at 512, 1024, …"""
    at = 512
    while at < size:
        file.seek(at)
        if file.read(len(MAGIC)) == MAGIC:
            return True
        at *= 2
    return False


def open_hdf5(path: Path) -> Source:
    """The numeric datasets of an HDF5 file, named by their path in it.

    Raises:
        InputError: damaged.
        UnavailableError: h5py is not installed.
    """
    return _open(path, lambda: _file(path))


def open_keras(path: Path) -> Source:
    """The weights in a .keras archive, which are an HDF5 file in it.

    Raises:
        InputError: damaged, or compressed.
        UnavailableError: h5py is not installed.
    """
    with zipfile.ZipFile(path) as archive:
        info = archive.getinfo(KERAS_WEIGHTS)
        if info.compress_type != zipfile.ZIP_STORED:
            raise InputError(f"{quoted_path(path)} is compressed, which Keras's files never are")
        with path.open("rb") as file:
            start = record_start(file, info)

    @contextmanager
    def opened() -> Iterator[Any]:
        with Window(path, start, info.file_size) as window, _file(window) as file:
            yield file

    return _open(path, opened)


def _file(where: Path | Window) -> AbstractContextManager[Any]:
    import h5py

    file: AbstractContextManager[Any] = h5py.File(where, "r", rdcc_nbytes=_CACHE)
    return file


def _open(path: Path, opened: Opener) -> Source:
    try:
        import h5py  # noqa: F401 - whether it is there
    except ImportError:
        raise UnavailableError(
            f"{quoted_path(path)} is HDF5, which needs h5py: install fpx-cli[hdf5]"
        ) from None
    source, shown = Source(str(path), []), quoted_path(path)
    try:
        with opened() as file:
            seen: set[int] = set()
            for name, dataset in _datasets(file, "", source.notes, seen, 0):
                entry = _entry(opened, shown, name, dataset, source.notes)
                if entry is not None:
                    source.entries.append(entry)
    except InputError:
        raise
    except Exception as error:  # noqa: BLE001 - libhdf5 turns damage into errors of every kind
        raise InputError(f"{quoted_path(path)} is a damaged HDF5 file: {reason(error)}") from None
    return source


def _datasets(
    group: Any, prefix: str, notes: list[str], seen: set[int], depth: int
) -> Iterator[tuple[str, Any]]:
    """(path, dataset) of a group and all below it, by hard links alone and each object once."""
    import h5py

    for key in group:
        name = f"{prefix}{key}"
        link = group.get(key, getlink=True)
        if not isinstance(link, h5py.HardLink):
            kind = "external" if isinstance(link, h5py.ExternalLink) else "soft"
            notes.append(f"{name}: {kind} links are not followed")
            continue
        item = group[key]
        address = h5py.h5o.get_info(item.id).addr
        if address in seen:
            notes.append(f"{name}: another name of an object above")
            continue
        seen.add(address)
        if len(seen) > _MOST_OBJECTS or depth > _DEEPEST:
            raise InputError(f"{quoted(group.file.filename)} has too many or too deep groups")
        if isinstance(item, h5py.Dataset):
            yield name, item
        elif isinstance(item, h5py.Group):
            yield from _datasets(item, f"{name}/", notes, seen, depth + 1)


def _entry(
    opened: Opener, shown: str, name: str, dataset: Any, notes: list[str]
) -> TensorEntry | None:
    reason = _refusal(dataset)
    if reason:
        notes.append(f"{name}: {reason}")
        return None
    if dataset.chunks:
        _check_chunks(dataset, name, shown)
    dtype, shape = dataset.dtype, tuple(dataset.shape)
    native = dtype.newbyteorder("=")
    torch_dtype = torch.from_numpy(np.empty(0, native)).dtype
    if torch_dtype.is_complex:
        notes.append(f"{name}: {COMPLEX_NOTE}")
        return TensorEntry(
            name, torch_dtype.to_real(), (*shape, 2), _blocks(opened, name, native, parts=2)
        )
    return TensorEntry(name, torch_dtype, shape, _blocks(opened, name, native))


def _refusal(dataset: Any) -> str:
    """Why a dataset is not read; empty where it is."""
    if dataset.external:
        return "its data is in other files, which are not opened"
    # before its shape: where that is unlimited, libhdf5 opens the sources to know it
    if dataset.is_virtual:
        return "virtual: it points to other datasets, which is not followed"
    if dataset.shape is None:
        return "empty"
    try:
        torch.from_numpy(np.empty(0, dataset.dtype.newbyteorder("=")))
    except TypeError:
        return f"dtype {dataset.dtype} is not compared"
    if dataset.dtype.subdtype is not None:
        return "elements that are arrays are not compared"
    if dataset.dtype.hasobject:
        return "holds no plain numbers"
    filters = _filters(dataset)
    if not filters <= _BUILT_IN_FILTERS:
        return f"filter {max(filters - _BUILT_IN_FILTERS)} is not built in, and none are loaded"
    if dataset.chunks and prod(dataset.chunks) * dataset.dtype.itemsize > _LARGEST_CHUNK:
        return f"chunks of more than {_LARGEST_CHUNK >> 20} MiB are not unpacked"
    return ""


def _filters(dataset: Any) -> set[int]:
    plist = dataset.id.get_create_plist()
    return {plist.get_filter(number)[0] for number in range(plist.get_nfilters())}


def _check_chunks(dataset: Any, name: str, shown: str) -> None:
    """Looks at where the chunks are, since libhdf5 2.0 crashes on one shorter than its checksum.

    Raises:
        InputError: a chunk has no room for its checksum, or is not in the file.
    """
    least = _CHECKSUM_BYTES if _CHECKSUM in _filters(dataset) else 1
    end = dataset.file.id.get_filesize()

    def damaged(chunk: Any) -> bool | None:
        sound = chunk.size >= least and 0 <= chunk.byte_offset <= end - chunk.size
        return None if sound else True  # anything but None ends the walk

    if dataset.id.chunk_iter(damaged):
        raise InputError(f"{shown} is a damaged HDF5 file: a chunk of {quoted(name)} is not in it")


def _blocks(opened: Opener, name: str, native: np.dtype[Any], parts: int = 1) -> Blocks:
    def blocks(limit: int) -> Iterator[Tensor]:
        with opened() as file:
            dataset = file[name]
            for array in _arrays(dataset, (), max(limit // parts, 1)):
                flat = np.ascontiguousarray(array, dtype=native).reshape(-1)
                if parts > 1:
                    flat = flat.view(native.type(0).real.dtype)
                tensor = torch.from_numpy(flat)
                for start in range(0, len(tensor), limit):
                    yield tensor[start : start + limit]

    return blocks


def _arrays(dataset: Any, at: tuple[int, ...], limit: int) -> Iterator[Any]:
    """A dataset (or its part at an index) in row-major order, about `limit` elements at a time.

    Whole rows of chunks are read at once where a chunk's worth of memory allows that.
    """
    rest = dataset.shape[len(at) :]
    if prod(rest) == 0:
        return
    if not rest or prod(rest) <= limit:
        yield dataset[at] if at else dataset[()]
        return
    row = prod(rest[1:])
    rows = limit // row
    if dataset.chunks is not None:
        chunk = dataset.chunks[len(at)]
        aligned = max(rows // chunk, 1) * chunk
        if aligned * row * dataset.dtype.itemsize <= _LARGEST_CHUNK:
            rows = aligned
    if rows:
        for start in range(0, rest[0], rows):
            yield dataset[(*at, slice(start, start + rows))]
    else:
        for index in range(rest[0]):
            yield from _arrays(dataset, (*at, index), limit)
