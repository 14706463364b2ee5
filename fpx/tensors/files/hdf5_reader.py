"""Reads HDF5 in a process of its own, which `fpx.tensors.files.hdf5_file` starts and talks to.

libhdf5 crashes on some damaged files, loops on others, and takes the memory that a third kind asks
for: here that ends this process, and the user gets one line. So this file is run by its path, and
imports neither fpx nor torch.

`python hdf5_reader.py PATH START SIZE` answers on stdout, in frames: eight bytes of length, then
as many bytes. The first frame is JSON, `{"datasets": [{"name", "dtype", "shape"}], "notes": []}`.
Then each line `{"name", "limit"}` on stdin is answered by that dataset's elements, row-major and in
this machine's byte order, in frames of up to `limit` elements, and by an empty frame. A length of
FAILED announces one last frame: what went wrong, in words.

HDF5 can point elsewhere in many ways (external and soft links, external storage, virtual datasets)
and can load code for filters. Links are looked at before they are followed, and of what h5py would
need for a dataset only what is built in is used.

Of a chunk that unpacks to fewer bytes than it should have, libhdf5 shows whatever lay in memory
behind them: so the length of each is worked out here before libhdf5 reads it.
"""

from __future__ import annotations

import io
import json
import os
import resource
import signal
import sys
import zlib
from array import array
from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import Any

import h5py
import numpy as np

FAILED = (1 << 64) - 1

# filters that are built in: HDF5's own, and h5py's LZF
_GZIP, _SHUFFLE, _CHECKSUM, _SZIP, _NBIT, _SCALE_OFFSET, _LZF = 1, 2, 3, 4, 5, 6, 32000
_READ_FILTERS = frozenset((_GZIP, _SHUFFLE, _CHECKSUM, _NBIT, _SCALE_OFFSET, _LZF))
_CHECKSUM_BYTES = 4  # that fletcher32 adds to a chunk
_SCALE_OFFSET_HEAD = 21  # bytes before the packed numbers


_LARGEST_CHUNK = 32 << 20  # bytes, unpacked
_CHUNKS_AT_ONCE = 4096  # in one read: libhdf5 takes about 5 kB for each
_SLACK = 64  # bytes that packing may add to a chunk
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
        wanted = memoryview(buffer).cast("B")
        if len(wanted) > self._size - self._at:
            raise EOFError("it ends too early")
        self._file.seek(self._start + self._at)
        filled = 0
        while filled < len(wanted):  # h5py takes the buffer for full, whatever is returned
            count = self._file.readinto(wanted[filled:])
            if not count:
                raise EOFError("it ends too early")
            filled += count
        self._at += filled
        return filled

    def close(self) -> None:
        """Closes the file."""
        self._file.close()
        super().close()


# -- what is in the file ---------------------------------------------------------------------------


def listing(file: Any, size: int) -> dict[str, Any]:
    """The datasets that can be read, and notes on the rest; `size` is that of the file in bytes.

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
        _check_places(dataset, name, size)
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
    filters = {number for number, _ in _filters(dataset)}
    if _SZIP in filters:
        return "szip does not tell where its data ends, and is not read"
    if not filters <= _READ_FILTERS:
        return f"filter {max(filters - _READ_FILTERS)} is not built in, and none are loaded"
    if dataset.chunks and prod(dataset.chunks) * dtype.itemsize > _LARGEST_CHUNK:
        return f"chunks of more than {_LARGEST_CHUNK >> 20} MiB are not unpacked"
    return ""


def _filters(dataset: Any) -> list[tuple[int, tuple[int, ...]]]:
    """(number, parameters) of each filter, in the order in which they packed a chunk."""
    plist = dataset.id.get_create_plist()
    found = (plist.get_filter(at) for at in range(plist.get_nfilters()))
    return [(number, values) for number, _, values, *_ in found]


def _bytes_of(lengths: Any, dataset: Any) -> int:
    return int(prod(lengths)) * int(dataset.id.get_type().get_size())


def _check_places(dataset: Any, name: str, end: int) -> None:
    """Looks at where the data is: libhdf5 2.0 crashes on a chunk shorter than its checksum.

    Raises:
        ValueError: data is not in the file, a chunk has no room for its checksum, or too few bytes
            were set apart for the elements.
    """
    if not dataset.chunks:
        place, size = dataset.id.get_offset(), _bytes_of(dataset.shape, dataset)
        if place is not None and not (
            dataset.id.get_storage_size() >= size and place + size <= end
        ):
            raise ValueError(f"the data of {name!r} is not in it")
        return
    filters = _filters(dataset)
    whole = _bytes_of(dataset.chunks, dataset)
    every = (1 << len(filters)) - 1  # as a mask, in which a bit says that a filter was left out
    checked = any(number == _CHECKSUM for number, _ in filters)

    def damaged(chunk: Any) -> bool | None:
        least = _CHECKSUM_BYTES if checked else 1
        sound = chunk.size >= least and 0 <= chunk.byte_offset <= end - chunk.size
        if chunk.filter_mask & every == every and chunk.size != whole:
            sound = False
        return None if sound else True  # anything but None ends the walk

    if dataset.id.chunk_iter(damaged):
        raise ValueError(f"a chunk of {name!r} is not in it")


# -- what chunks unpack to -------------------------------------------------------------------------


class Chunks:
    """The chunks of a dataset, each unpacked once, as far as is needed to know its length.

    Args:
        dataset: one that is read.
        file: the bytes of the file, open.
    """

    def __init__(self, dataset: Any, file: Any) -> None:
        self._file, self._name, self._shape = file, dataset.name[1:], dataset.shape
        self._filters = _filters(dataset) if dataset.chunks else []
        if not self._filters:
            return
        self._chunks, self._whole = dataset.chunks, _bytes_of(dataset.chunks, dataset)
        found = array("Q")  # few bytes for each: there may be a million

        def seen(chunk: Any) -> None:
            number = self._number(chunk.chunk_offset)
            found.extend((number, chunk.byte_offset, chunk.size, chunk.filter_mask))

        dataset.id.chunk_iter(seen)
        table = np.frombuffer(found, np.uint64).reshape(-1, 4)
        self._table = table[table[:, 0].argsort()]
        self._sound = np.zeros(len(table), bool)

    def check(self, at: tuple[int, ...], start: int, stop: int) -> None:
        """Looks at the chunks of a part, before libhdf5 reads it.

        Args:
            at: the part is of one index along each of the first axes,
            start, stop: of these along the next one, and of all along the others.

        Raises:
            ValueError: one of them has another length than the dataset's chunks.
        """
        if not self._filters:
            return
        ends = [length - 1 for length in self._shape[len(at) + 1 :]]
        first = self._number((*at, start, *(0 for _ in ends)))
        last = self._number((*at, stop - 1, *ends))
        begin, end = np.searchsorted(self._table[:, 0], np.array([first, last + 1], np.uint64))
        for number in range(begin, end):
            if not self._sound[number]:
                self._check_one(*self._table[number].tolist())
                self._sound[number] = True

    def _number(self, index: tuple[int, ...]) -> int:
        """Of the chunk that has an element; in row-major order."""
        number = 0
        for at, length, chunk in zip(index, self._shape, self._chunks, strict=True):
            number = number * -(-length // chunk) + at // chunk
        return number

    def _check_one(self, _: int, place: int, size: int, mask: int) -> None:
        self._file.seek(place)
        packed = self._file.read(size)
        used = [row for at, row in enumerate(self._filters) if not mask >> at & 1]
        try:
            sound = len(packed) == size and _unpacked_size(packed, used, self._whole) == self._whole
        except zlib.error as error:
            raise ValueError(f"a chunk of {self._name!r} does not unpack: {error}") from None
        if not sound:
            raise ValueError(f"a chunk of {self._name!r} does not unpack to its length")


def _unpacked_size(data: bytes, filters: list[tuple[int, tuple[int, ...]]], whole: int) -> int:
    """Bytes of an unpacked chunk, -1 where its packing is damaged; `whole` is what it should be."""
    size = len(data)
    for at, (number, values) in reversed(list(enumerate(filters))):
        if number == _CHECKSUM:
            size -= _CHECKSUM_BYTES
            data = data[: max(size, 0)]
        elif number == _GZIP:
            data = zlib.decompressobj().decompress(data, whole + _SLACK)
            size = len(data)
        elif number == _SHUFFLE:
            data = _unshuffled(data, values[0]) if at else data  # nothing else looks into it
        elif number == _LZF:
            size = _lzf_size(data, whole)
            if at and filters[:at] != [row for row in filters[:at] if row[0] == _SHUFFLE]:
                return -1  # nobody packs twice with it
        else:
            needed, size = (_nbit if number == _NBIT else _scale_offset)(data, values)
            if len(data) < needed:
                return -1
    return size


def _unshuffled(data: bytes, width: int) -> bytes:
    """Bytes that were sorted by their place in elements of `width` bytes, in order again."""
    count = len(data) // max(width, 1)
    if width < 2 or count < 2:
        return data
    sorted_ = np.frombuffer(data, np.uint8, count * width).reshape(width, count)
    return sorted_.T.tobytes() + data[count * width :]


def _lzf_size(data: bytes, most: int) -> int:
    """Bytes that LZF data unpacks to: -1 if it ends inside an item, more than `most` if it does."""
    at = size = 0
    end = len(data)
    while at < end and size <= most:
        control = data[at]
        if control < 32:  # so many bytes follow, and one more
            at += control + 2
            size += control + 1
        elif control < 224:  # bytes from before again
            at += 2
            size += (control >> 5) + 2
        elif at + 1 < end:  # more of them
            size += data[at + 1] + 9
            at += 3
        else:
            return -1
    return size if at == end or size > most else -1


def _nbit(data: bytes, values: tuple[int, ...]) -> tuple[int, int]:
    """(bytes that it needs, bytes that they become) of the filter that packs bits."""
    _, as_it_is, count, kind, width, _, precision, _ = values[:8]
    if kind != 1:  # of numbers, which is all that is read
        raise ValueError("bits of other things than numbers")
    return count * width if as_it_is else (count * precision + 7) // 8, count * width


def _scale_offset(data: bytes, values: tuple[int, ...]) -> tuple[int, int]:
    """(bytes that it needs, bytes that they become) of the filter that packs differences."""
    count, width = values[2], values[4]
    bits = int.from_bytes(data[:4], "little")
    return _SCALE_OFFSET_HEAD + (count * bits + 7) // 8, count * width


# -- the elements ----------------------------------------------------------------------------------


def elements(dataset: Any, limit: int, chunks: Chunks) -> Iterator[Any]:
    """A dataset's elements, row-major, as 1-D arrays of up to `limit`.

    Raises:
        ValueError: a chunk has another length than it should have.
    """
    native = dataset.dtype.newbyteorder("=")
    for part in _arrays(dataset, (), limit, chunks):
        flat = np.ascontiguousarray(part, dtype=native).reshape(-1)
        for start in range(0, len(flat), limit):
            yield flat[start : start + limit]


def _arrays(dataset: Any, at: tuple[int, ...], limit: int, chunks: Chunks) -> Iterator[Any]:
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
        chunks.check(at, 0, rest[0])
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
            stop = min(start + rows, rest[0])
            chunks.check(at, start, stop)
            yield dataset[(*at, slice(start, stop))]
    else:
        for index in range(rest[0]):
            yield from _arrays(dataset, (*at, index), limit, chunks)


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
    looked_at: dict[str, Chunks] = {}
    try:
        whole = int(size) < 0
        length = Path(path).stat().st_size if whole else int(size)
        bytes_ = Window(Path(path), int(start), length)
        where = path if whole else Window(Path(path), int(start), length)
        with h5py.File(where, "r", rdcc_nbytes=_CACHE) as file:
            _send(json.dumps(listing(file, length)).encode())
            sys.stdout.buffer.flush()
            for line in sys.stdin:
                wanted = json.loads(line)
                dataset = file[wanted["name"]]
                chunks = looked_at.get(dataset.name) or Chunks(dataset, bytes_)
                looked_at[dataset.name] = chunks
                for block in elements(dataset, wanted["limit"], chunks):
                    _send(memoryview(block).cast("B"))
                _send(b"")
                sys.stdout.buffer.flush()
    except BrokenPipeError:  # nobody wants the rest
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except Exception as error:  # noqa: BLE001 - libhdf5 turns damage into errors of every kind
        sys.stdout.buffer.write(FAILED.to_bytes(8, "little"))
        kind = "" if type(error) is ValueError else f"{type(error).__name__}: "
        _send(f"{kind}{error}".encode(errors="replace")[:1000])


if __name__ == "__main__":
    main(*sys.argv[1:])
