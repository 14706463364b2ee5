"""numpy's files: .npy, .npz, and .npy on stdin."""

from __future__ import annotations

import io
import sys
import warnings
import zipfile
from collections.abc import Callable, Iterator
from math import prod
from pathlib import Path
from typing import IO, Any, Self

import numpy as np
import torch
from torch import Tensor

from fpx.errors import InputError
from fpx.tensors.entry import Source, TensorEntry
from fpx.tensors.files.kinds import STREAM_HEAD, kind_of_stream
from fpx.tensors.files.raw import Stream, box_blocks, ends_early, fill, raw_blocks
from fpx.tensors.rows import Box
from fpx.words import escape, quoted_path, reason


def open_stdin(file: IO[bytes] | None = None) -> Source:
    """The array of a .npy file that comes on stdin (or in another stream); it can be read once.

    Raises:
        InputError: as `open_npy`, or what comes is another kind of file.
    """
    stdin = _Stdin(file or sys.stdin.buffer)
    kind = kind_of_stream(stdin.head)
    if kind != "npy":
        what = (
            f"this is of kind {kind}" if kind else "this is none" if stdin.head else "nothing came"
        )
        raise InputError(
            f"stdin takes one .npy file, and {what}: pass other kinds of files by their path"
        )
    return Source("stdin", (_npy_entry("stdin", "stdin", lambda: stdin, rewinds=False),), kind=kind)


class _Stdin(io.RawIOBase):
    """Standard input, of which the first bytes were looked at; from its beginning on, once.

    Attributes:
        head: those bytes.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.head = file.read(STREAM_HEAD)
        self._left = memoryview(self.head)

    def __enter__(self) -> Self:
        if self.closed:
            raise InputError("stdin can be read only once: save it to a file")
        return self

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int:
        """As of any file."""
        target = memoryview(buffer).cast("B")
        if not self._left:
            read = self._file.readinto(target)  # type: ignore[attr-defined]
            return int(read or 0)
        count = min(len(self._left), len(target))
        target[:count] = self._left[:count]
        self._left = self._left[count:]
        return count


def open_npy(path: Path) -> Source:
    """The array of a .npy file.

    Raises:
        InputError: damaged, or not of numbers that torch has.
    """

    def stream() -> Stream:
        return path.open("rb")

    return Source(str(path), (_npy_entry(path.stem, str(path), stream, path),))


def open_npz(path: Path) -> Source:
    """The arrays of a .npz archive.

    Raises:
        InputError: as `open_npy`.
    """
    archive = zipfile.ZipFile(path)  # open as long as its entries are: each reads from it
    members = [info for info in archive.infolist() if not info.filename.endswith("/")]
    if len({info.filename for info in members}) < len(members):
        raise InputError(f"{quoted_path(path)} has two members of one name")
    entries: list[TensorEntry] = []
    notes: list[str] = []
    for info in members:
        if not info.filename.endswith(".npy"):
            notes.append(f"{info.filename}: not an .npy member")
            continue
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            # numpy writes no others, and they cannot be unpacked in bounded pieces
            notes.append(f"{info.filename}: its kind of compression is not read")
            continue

        def stream(member: zipfile.ZipInfo = info) -> Stream:
            return archive.open(member)  # type: ignore[return-value]

        name = info.filename.removesuffix(".npy")
        try:
            entries.append(_npy_entry(name, f"{path}/{name}", stream))
        except _NoNumbersError:
            notes.append(f"{name}: no numbers that torch has, not read")
    return Source(str(path), tuple(entries), tuple(notes))


class _NoNumbersError(InputError):
    """An array of text, dates or records: nothing to cast, and nothing wrong with it."""


_NUMPY_HEADERS = {
    (1, 0): (np.lib.format.read_array_header_1_0, 2),
    (2, 0): (np.lib.format.read_array_header_2_0, 4),
}


_LONGEST_HEADER = 10_000  # bytes: numpy takes no longer one


def _npy_header(file: Stream, name: str) -> tuple[tuple[int, ...], bool, np.dtype[Any], int]:
    """(shape, Fortran order, dtype, bytes of the header), for numpy to parse: nothing in it runs.

    numpy reads a header, 4 GB of it if it says so, before it looks at its length: so that is done
    here.
    """
    try:
        version = np.lib.format.read_magic(file)
        if version not in _NUMPY_HEADERS:
            raise InputError(f"{quoted_path(name)}: .npy version {version} is not read")
        read_header, length_bytes = _NUMPY_HEADERS[version]
        length = bytearray(length_bytes)
        fill(file, memoryview(length), name)
        claimed = int.from_bytes(length, "little")
        if claimed > _LONGEST_HEADER:
            raise InputError(
                f"{quoted_path(name)} has a .npy header of {claimed:,} bytes: too long"
            )
        header = bytearray(claimed)
        fill(file, memoryview(header), name)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Python 2 wrote 3L: numpy copes, and says so
            shape, fortran, dtype = read_header(io.BytesIO(bytes(length + header)))
    except (InputError, OSError):
        raise
    except Exception as error:  # noqa: BLE001 - text that is no literal raises anything in numpy
        raise InputError(f"{quoted_path(name)} is a damaged .npy file: {reason(error)}") from None
    if any(type(size) is not int or size < 0 for size in shape):
        raise InputError(f"{quoted_path(name)} is a damaged .npy file: its shape is {shape}")
    return shape, fortran, dtype, np.lib.format.MAGIC_LEN + length_bytes + len(header)


def _npy_entry(
    name: str,
    shown: str,
    stream: Callable[[], Stream],
    path: Path | None = None,
    rewinds: bool = True,
) -> TensorEntry:
    """An array.

    Args:
        name: how it is called in its source.
        shown: how messages call it.
        stream: opens the file that it is.
        path: that file, where it has one: parts of it can be read without the rest.
        rewinds: whether each stream begins at the header.
    """
    file = stream()
    try:
        shape, fortran, dtype, header_bytes = _npy_header(file, shown)
    finally:
        if rewinds:
            file.close()
    if dtype.hasobject:
        raise InputError(
            f"{quoted_path(shown)} holds Python objects (a pickle), which fpx never loads: "
            "save it as an array of numbers"
        )
    native = dtype.newbyteorder("=")
    try:
        if dtype.subdtype is not None:
            raise TypeError
        torch_dtype = torch.from_numpy(np.empty(0, native)).dtype
    except TypeError:
        raise _NoNumbersError(
            f"{quoted_path(shown)} has numpy dtype {escape(str(dtype))[:40]}, which torch lacks: "
            "convert it first"
        ) from None
    part, count = torch_dtype, prod(shape)
    if torch_dtype.is_complex:  # two numbers each, the real part first: a last axis of their own
        part = torch_dtype.to_real()
        dtype = np.dtype(f"{dtype.byteorder}f{part.itemsize}")
        native = dtype.newbyteorder("=")
        count *= 2
        shape = (*shape, 2)
    if path is not None and header_bytes + count * dtype.itemsize > path.stat().st_size:
        raise ends_early(shown)
    axes = range(len(shape))
    order = None
    if fortran and part is torch_dtype:
        order = tuple(reversed(axes))
    elif fortran:
        order = (*reversed(axes[:-1]), axes[-1])

    def read(limit: int) -> Iterator[Tensor]:
        with stream() as file:
            if rewinds:
                fill(file, memoryview(bytearray(header_bytes)), shown)
            for raw in raw_blocks(file, count, dtype.itemsize, limit, shown):
                yield torch.from_numpy(raw.view(dtype).astype(native, copy=False))

    def read_box(limit: int, box: Box) -> Iterator[Tensor]:
        assert path is not None
        stored = axes if order is None else order
        lengths, wanted = [shape[axis] for axis in stored], [box[axis] for axis in stored]
        with path.open("rb", buffering=0) as file:
            for raw in box_blocks(
                file, header_bytes, lengths, wanted, dtype.itemsize, limit, shown
            ):
                yield torch.from_numpy(raw.view(dtype).astype(native, copy=False))

    parts = None if path is None else read_box
    return TensorEntry(name, part, shape, read, order=order, read_box=parts)
