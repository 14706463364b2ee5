"""Reads HDF5 in a process of its own, which `fpx.tensors.files.hdf5_file` starts and talks to.

libhdf5 crashes on some damaged files, loops on others, and takes the memory that a third kind asks
for: here that ends this process, and the user gets one line. So this file is run by its path, and
imports neither fpx nor torch.

`python -P hdf5_reader.py PATH START SIZE` answers on stdout, in frames: eight bytes of length, then
as many bytes. The first frame is JSON, `{"datasets": [{"name", "dtype", "shape"}], "notes": []}`.
Then each line `{"name", "limit"}` on stdin is answered by that dataset's elements, row-major and in
this machine's byte order, in frames of up to `limit` elements, and by an empty frame. A length of
FAILED announces one last frame: what went wrong, in words.

HDF5 can point elsewhere in many ways (external and soft links, external storage, virtual datasets)
and can load code for filters. Links are looked at before they are followed, and of what h5py would
need for a dataset only what is built in is used.
"""

from __future__ import annotations

import io
import json
import os
import resource
import signal
import sys
from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import Any

import h5py
import numpy as np

FAILED = (1 << 64) - 1
_BUILT_IN_FILTERS = frozenset((1, 2, 3, 4, 5, 6, 32000))  # HDF5's own, and h5py's LZF


_CHECKSUM, _CHECKSUM_BYTES = 3, 4  # the filter fletcher32, and what it adds to a chunk


_LARGEST_CHUNK = 32 << 20  # bytes, unpacked
_CHUNKS_AT_ONCE = 4096  # in one read: libhdf5 takes about 5 kB for each
_CACHE = 32 << 20  # bytes of chunks that h5py keeps
_MEMORY = 256 << 20  # bytes that this process may take beyond what it starts with
_MOST_OBJECTS = 1 << 18
_DEEPEST = 64


class Window(io.RawIOBase):
    """A part of a file, read as if it were one."""

    def __init__(self, path: Path, start: int, size: int) -> None:
        self._file = path.open("rb", buffering=0)
        self._start, self._size, self._at = start, size, 0

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """As of any file."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = max(base + offset, 0)
        return self._at

    def readinto(self, buffer: Any) -> int:
        """As of any file."""
        wanted = memoryview(buffer).cast("B")[: max(self._size - self._at, 0)]
        self._file.seek(self._start + self._at)
        count = self._file.readinto(wanted)
        self._at += count
        return count

    def close(self) -> None:
        """Closes the file."""
        self._file.close()
        super().close()


# -- what is in the file ---------------------------------------------------------------------------


def listing(file: Any) -> dict[str, Any]:
    """The datasets that can be read, and notes on the rest.

    Raises:
        ValueError: damaged.
    """
    datasets: list[dict[str, Any]] = []
    notes: list[str] = []
    for name, dataset in _datasets(file, "", notes, set(), 0):
        reason = _refusal(dataset)
        if reason:
            notes.append(f"{name}: {reason}")
            continue
        if dataset.chunks:
            _check_chunks(dataset, name)
        dtype = dataset.dtype.newbyteorder("=").str
        datasets.append({"name": name, "dtype": dtype, "shape": list(map(int, dataset.shape))})
    return {"datasets": datasets, "notes": notes}


def _datasets(
    group: Any, prefix: str, notes: list[str], seen: set[int], depth: int
) -> Iterator[tuple[str, Any]]:
    """(path, dataset) of a group and all below it, by hard links alone and each object once."""
    for key in group:
        name = f"{prefix}{key}"
        if "/" in key or key in ("", ".", ".."):
            # a path: libhdf5 would walk it, through an external link if one has its first name
            notes.append(f"{name}: no name that HDF5 allows")
            continue
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
            raise ValueError("too many or too deep groups")
        if isinstance(item, h5py.Dataset):
            yield name, item
        elif isinstance(item, h5py.Group):
            yield from _datasets(item, f"{name}/", notes, seen, depth + 1)


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
        dtype = dataset.dtype
    except TypeError:
        return "its dtype is not read"
    if dtype.subdtype is not None:
        return "elements that are arrays are not read"
    if dtype.kind not in "fiubc":
        return f"dtype {dtype} is not read"
    filters = _filters(dataset)
    if not filters <= _BUILT_IN_FILTERS:
        return f"filter {max(filters - _BUILT_IN_FILTERS)} is not built in, and none are loaded"
    if dataset.chunks and prod(dataset.chunks) * dtype.itemsize > _LARGEST_CHUNK:
        return f"chunks of more than {_LARGEST_CHUNK >> 20} MiB are not unpacked"
    return ""


def _filters(dataset: Any) -> set[int]:
    plist = dataset.id.get_create_plist()
    return {plist.get_filter(number)[0] for number in range(plist.get_nfilters())}


def _check_chunks(dataset: Any, name: str) -> None:
    """Looks at where the chunks are: libhdf5 2.0 crashes on one shorter than its checksum.

    Raises:
        ValueError: a chunk has no room for its checksum, or is not in the file.
    """
    least = _CHECKSUM_BYTES if _CHECKSUM in _filters(dataset) else 1
    end = dataset.file.id.get_filesize()

    def damaged(chunk: Any) -> bool | None:
        sound = chunk.size >= least and 0 <= chunk.byte_offset <= end - chunk.size
        return None if sound else True  # anything but None ends the walk

    if dataset.id.chunk_iter(damaged):
        raise ValueError(f"a chunk of {name!r} is not in it")


# -- the elements ----------------------------------------------------------------------------------


def elements(dataset: Any, limit: int) -> Iterator[Any]:
    """A dataset's elements, row-major, as 1-D arrays of up to `limit`."""
    native = dataset.dtype.newbyteorder("=")
    for array in _arrays(dataset, (), limit):
        flat = np.ascontiguousarray(array, dtype=native).reshape(-1)
        for start in range(0, len(flat), limit):
            yield flat[start : start + limit]


def _arrays(dataset: Any, at: tuple[int, ...], limit: int) -> Iterator[Any]:
    """A dataset (or its part at an index) in row-major order, about `limit` elements at a time.

    Whole rows of chunks are read at once where a chunk's worth of memory allows that.
    """
    rest = dataset.shape[len(at) :]
    if prod(rest) == 0:
        return
    if not rest:
        yield dataset[at]
        return
    lengths = dataset.chunks[len(at) :] if dataset.chunks else rest
    bands, *across = (-(-length // chunk) for length, chunk in zip(rest, lengths, strict=True))
    if prod(rest) <= limit and bands * prod(across) <= _CHUNKS_AT_ONCE:
        yield dataset[at] if at else dataset[()]
        return
    row = prod(rest[1:])
    rows = limit // row
    if dataset.chunks is not None:
        chunk = lengths[0]
        aligned = max(rows // chunk, 1) * chunk
        if aligned * row * dataset.dtype.itemsize <= _LARGEST_CHUNK:
            rows = aligned
        rows = min(rows, _CHUNKS_AT_ONCE // prod(across) * chunk)
    if rows:
        for start in range(0, rest[0], rows):
            yield dataset[(*at, slice(start, start + rows))]
    else:
        for index in range(rest[0]):
            yield from _arrays(dataset, (*at, index), limit)


# -- the conversation ------------------------------------------------------------------------------


def _send(data: bytes | memoryview) -> None:
    sys.stdout.buffer.write(len(data).to_bytes(8, "little"))
    sys.stdout.buffer.write(data)


def _limit_memory() -> None:
    if sys.platform != "linux":
        return

    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    most = pages * os.sysconf("SC_PAGE_SIZE") + _MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def main(path: str, start: str, size: str) -> None:
    """Lists the file, then answers until stdin ends; SIZE -1 is the whole file."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever asks is told, and ends this
    _limit_memory()
    try:
        where = Window(Path(path), int(start), int(size)) if int(size) >= 0 else path
        with h5py.File(where, "r", rdcc_nbytes=_CACHE) as file:
            _send(json.dumps(listing(file)).encode())
            sys.stdout.buffer.flush()
            for line in sys.stdin:
                wanted = json.loads(line)
                for block in elements(file[wanted["name"]], wanted["limit"]):
                    _send(memoryview(block).cast("B"))
                _send(b"")
                sys.stdout.buffer.flush()
    except BrokenPipeError:  # nobody wants the rest
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except Exception as error:  # noqa: BLE001 - libhdf5 turns damage into errors of every kind
        sys.stdout.buffer.write(FAILED.to_bytes(8, "little"))
        _send(f"{type(error).__name__}: {error}".encode(errors="replace")[:1000])


if __name__ == "__main__":
    main(*sys.argv[1:])
