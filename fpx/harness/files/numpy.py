"""numpy's files: .npy, .npz, and .npy on stdin."""

from __future__ import annotations

import io
import sys
import zipfile
from collections.abc import Callable, Iterator
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fpx.errors import InputError, quoted
from fpx.harness.files.raw import Stream, raw_blocks
from fpx.harness.tensors import Source, TensorEntry


def open_stdin() -> Source:
    """The array of a .npy file that comes on stdin; it can be read once.

    Raises:
        InputError: as `open_npy`.
    """

    def stream() -> Stream:
        return sys.stdin.buffer  # type: ignore[return-value]

    return Source("stdin", [_npy_entry("stdin", "stdin", stream, rewinds=False)], kind="npy")


def open_npy(path: Path) -> Source:
    """The array of a .npy file.

    Raises:
        InputError: damaged, or not of numbers that torch has.
    """

    def stream() -> Stream:
        return path.open("rb")

    return Source(str(path), [_npy_entry(path.stem, str(path), stream)])


def open_npz(path: Path) -> Source:
    """The arrays of a .npz archive.

    Raises:
        InputError: as `open_npy`.
    """
    with zipfile.ZipFile(path) as archive:
        members = [info for info in archive.infolist() if not info.is_dir()]
    source = Source(str(path), [])
    for info in members:

        def stream(member: zipfile.ZipInfo = info) -> Stream:
            return _Member(path, member)

        if not info.filename.endswith(".npy"):
            source.notes.append(f"{info.filename}: not an .npy member")
            continue
        name = info.filename.removesuffix(".npy")
        source.entries.append(_npy_entry(name, f"{path}/{name}", stream))
    return source


class _Member(io.RawIOBase):
    """A member of a zip archive that closes the archive with itself."""

    def __init__(self, path: Path, member: zipfile.ZipInfo) -> None:
        self._archive = zipfile.ZipFile(path)
        self._stream = self._archive.open(member)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        chunk = self._stream.read(len(view))
        view[: len(chunk)] = chunk
        return len(chunk)

    def close(self) -> None:
        self._stream.close()
        self._archive.close()
        super().close()


_NUMPY_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


def _npy_header(file: Stream, name: str) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """(shape, Fortran order, dtype); numpy parses it as a literal, nothing in it runs."""
    try:
        version = np.lib.format.read_magic(file)
        if version not in _NUMPY_HEADERS:
            raise InputError(f"{quoted(name)}: .npy version {version} is not read")
        shape, fortran, dtype = _NUMPY_HEADERS[version](file)
    except (ValueError, EOFError, OverflowError, zipfile.BadZipFile, NotImplementedError,
            RuntimeError) as error:  # fmt: skip
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"{quoted(name)} is a damaged .npy file: {first}") from None
    if any(length < 0 for length in shape):
        raise InputError(f"{quoted(name)} is a damaged .npy file: negative shape {shape}")
    return shape, fortran, dtype


def _npy_entry(
    name: str, shown: str, stream: Callable[[], Stream], rewinds: bool = True
) -> TensorEntry:
    """An array; `rewinds` says whether each stream begins at the header."""
    file = stream()
    try:
        shape, fortran, dtype = _npy_header(file, shown)
    finally:
        if rewinds:
            file.close()
    if dtype.hasobject:
        raise InputError(
            f"{quoted(shown)} holds Python objects (a pickle), which fpx never loads: "
            "save it as an array of numbers"
        )
    native = dtype.newbyteorder("=")
    try:
        torch_dtype = torch.from_numpy(np.empty(0, native)).dtype
    except TypeError:
        raise InputError(
            f"{quoted(shown)} has numpy dtype {dtype.str}, which torch lacks: convert it first"
        ) from None
    part, count = torch_dtype, prod(shape)
    if torch_dtype.is_complex:  # two numbers each, the real part first: a last axis of their own
        part = torch_dtype.to_real()
        dtype = np.dtype(f"{dtype.byteorder}f{part.itemsize}")
        native = dtype.newbyteorder("=")
        count *= 2
        if fortran:
            raise InputError(f"{quoted(shown)} is complex in Fortran order: save it in C order")
        shape = (*shape, 2)

    def blocks(limit: int) -> Iterator[Tensor]:
        with stream() as file:
            if rewinds:
                _npy_header(file, shown)
            for raw in raw_blocks(file, count, dtype.itemsize, limit, shown):
                yield torch.from_numpy(raw.view(dtype).astype(native, copy=False))

    return TensorEntry(name, part, shape, blocks, column_major=fortran and len(shape) > 1)
