"""numpy's files: .npy, .npz, and .npy on stdin."""

from __future__ import annotations

import io
import re
import sys
import zipfile
from ast import literal_eval
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple, Self

from fpx.errors import InputError
from fpx.tensors.blocks import Box
from fpx.tensors.entry import COMPLEX_NOTE, Source, TensorEntry
from fpx.tensors.files.headers import Stream, ends_early, fill
from fpx.tensors.files.kinds import STREAM_HEAD, kind_of_stream
from fpx.tensors.types import Origin, itemsize, type_named
from fpx.words import escape, quoted_path, reason

if TYPE_CHECKING:
    from torch import Tensor

    from fpx.tensors.files.raw import Bytes


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
    found = _array("stdin", "stdin", lambda: stdin, rewinds=False)
    return Source("stdin", (found.entry,), found.notes, kind=kind)


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

    found = _array(path.stem, str(path), stream, path)
    return Source(str(path), (found.entry,), found.notes)


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
            found = _array(name, f"{path}/{name}", stream)
        except _NoNumbersError as error:
            notes.append(f"{name}: {error.what}, not read")
        else:
            entries.append(found.entry)
            notes += found.notes
    return Source(str(path), tuple(entries), tuple(notes))


class _NoNumbersError(InputError):
    """An array of text, dates, records or objects: nothing to cast, and nothing wrong with it.

    Attributes:
        what: what is in it, in a few words.
    """

    def __init__(self, message: str, what: str) -> None:
        super().__init__(message)
        self.what = what


_MAGIC = b"\x93NUMPY"
_LENGTH_BYTES = {(1, 0): 2, (2, 0): 4}  # of a header's length, by the version of the format
_LONGEST_HEADER = 10_000  # bytes: numpy takes no longer one, and parses as below
_PYTHON_2 = re.compile(r"(?<=[0-9])L(?=[,) ])")  # which wrote the integer 3 as 3L


@dataclass(frozen=True)
class _Header:
    """What the header of an array says.

    Attributes:
        shape: elements along each axis.
        fortran: whether the first axis is the fastest.
        dtype: its `descr`: the dtype as numpy writes it, such as `<f4`.
        size: bytes before the elements.
    """

    shape: tuple[int, ...]
    fortran: bool
    dtype: object
    size: int


def _header(file: Stream, name: str) -> _Header:
    """Reads a header: a literal of Python, in which nothing runs.

    Layout: numpy.lib.format. numpy parses it the same way, and reads 4 GB of it before that if it
    claims so many.

    Raises:
        InputError: damaged, too long, or of another version.
    """
    shown = quoted_path(name)
    start = bytearray(len(_MAGIC) + 2)
    fill(file, memoryview(start), name)
    version = (start[-2], start[-1])
    if not start.startswith(_MAGIC):
        raise InputError(f"{shown} is a damaged .npy file: it does not begin as one")
    if version not in _LENGTH_BYTES:
        raise InputError(f"{shown}: .npy version {version} is not read")
    length = bytearray(_LENGTH_BYTES[version])
    fill(file, memoryview(length), name)
    claimed = int.from_bytes(length, "little")
    if claimed > _LONGEST_HEADER:
        raise InputError(f"{shown} has a .npy header of {claimed:,} bytes: too long")
    header = bytearray(claimed)
    fill(file, memoryview(header), name)
    try:
        found = literal_eval(_PYTHON_2.sub("", header.decode("latin1")).strip())
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError) as error:
        raise InputError(f"{shown} is a damaged .npy file: {reason(error)}") from None
    match found:
        case {"descr": dtype, "fortran_order": bool() as fortran, "shape": tuple() as shape} if (
            len(found) == 3
        ):
            pass
        case _:
            raise InputError(f"{shown} is a damaged .npy file: its header says other things")
    if any(type(size) is not int or size < 0 for size in shape):
        raise InputError(f"{shown} is a damaged .npy file: its shape is {shape}")
    return _Header(shape, fortran, dtype, len(start) + len(length) + claimed)


_CODES = {  # a dtype as numpy writes it, without its byte order -> what it is called
    "f2": "float16", "f4": "float32", "f8": "float64", "i1": "int8", "i2": "int16", "i4": "int32",
    "i8": "int64", "u1": "uint8", "u2": "uint16", "u4": "uint32", "u8": "uint64", "b1": "bool",
}  # fmt: skip
_ALSO = {  # how others write some
    "e": "f2", "f": "f4", "d": "f8", "b": "i1", "h": "i2", "i": "i4", "q": "i8", "B": "u1",
    "H": "u2", "I": "u4", "Q": "u8", "?": "b1",
}  # fmt: skip
_COMPLEX = {"c8": "f4", "F": "f4", "c16": "f8", "D": "f8"}  # -> its parts
_OBJECT = ("O", "O8", "O4", "object")


def _parts(dtype: object) -> tuple[Origin | None, str, bool]:
    """(the type of its numbers, numpy's dtype of them, whether an element has two of them)."""
    text = dtype if isinstance(dtype, str) else ""
    order = text[:1] if text[:1] in tuple("<>|=") else ""
    kind = text.removeprefix(order)
    is_complex = kind in _COMPLEX
    kind = _COMPLEX.get(kind, kind)
    code = _ALSO.get(kind, kind)
    return type_named("numpy", _CODES.get(code, "")), f"{order}{code}", is_complex


def _has_objects(dtype: object) -> bool:
    """Whether there are pickled objects in an array of that dtype, at any depth."""
    if isinstance(dtype, str):
        return dtype.lstrip("<>|=") in _OBJECT
    return isinstance(dtype, (list, tuple)) and any(map(_has_objects, dtype))


class _Array(NamedTuple):
    """An array, and what there is to say of how it is read."""

    entry: TensorEntry
    notes: tuple[str, ...]


def _array(
    name: str,
    shown: str,
    stream: Callable[[], Stream],
    path: Path | None = None,
    rewinds: bool = True,
) -> _Array:
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
        header = _header(file, shown)
    finally:
        if rewinds:
            file.close()
    if _has_objects(header.dtype):
        raise _NoNumbersError(
            f"{quoted_path(shown)} holds Python objects (a pickle), which fpx never loads: "
            "save it as an array of numbers",
            "Python objects (a pickle)",
        )
    type_, stored, is_complex = _parts(header.dtype)
    if type_ is None:
        raise _NoNumbersError(
            f"{quoted_path(shown)} has numpy dtype {escape(str(header.dtype))[:40]}, which torch "
            "lacks: convert it first",
            "no numbers that torch has",
        )
    # of complex numbers two each, the real part first: a last axis of their own
    shape = (*header.shape, 2) if is_complex else header.shape
    width = itemsize(type_) or 1
    if path is not None and header.size + prod(shape) * width > path.stat().st_size:
        raise ends_early(shown)
    axes = range(len(shape))
    order = None
    if header.fortran:
        order = (*reversed(axes[:-1]), axes[-1]) if is_complex else tuple(reversed(axes))

    # the functions import: a header is listed without a library of tensors
    def tensor(raw: Bytes) -> Tensor:
        import numpy as np
        import torch

        dtype = np.dtype(stored)
        return torch.from_numpy(raw.view(dtype).astype(dtype.newbyteorder("="), copy=False))

    def read(limit: int) -> Iterator[Tensor]:
        from fpx.tensors.files.raw import raw_blocks

        with stream() as file:
            if rewinds:
                fill(file, memoryview(bytearray(header.size)), shown)
            yield from map(tensor, raw_blocks(file, prod(shape), width, limit, shown))

    def read_box(limit: int, box: Box) -> Iterator[Tensor]:
        from fpx.tensors.files.raw import box_blocks

        assert path is not None
        along = axes if order is None else order
        lengths, wanted = [shape[axis] for axis in along], [box[axis] for axis in along]
        with path.open("rb", buffering=0) as file:
            yield from map(
                tensor, box_blocks(file, header.size, lengths, wanted, width, limit, shown)
            )

    parts = None if path is None else read_box
    entry = TensorEntry(name, type_, shape, read, order=order, read_box=parts, lasting=True)
    return _Array(entry, (f"{name}: {COMPLEX_NOTE}",) if is_complex else ())
