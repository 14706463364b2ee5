"""Tensor files as streams of blocks, in memory that does not grow with the file.

Files are hostile until read: no pickle code runs, no link leads out of a file, headers are checked
(by the library that owns the format, where there is one), and data is read into bounded buffers or
mapped, and the pages given back. One module per kind; KINDS tells them apart by content.
"""

from __future__ import annotations

import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import IO

from torch import Tensor

from fpx.errors import InputError, UnavailableError, escape, quoted, quoted_path, reason
from fpx.harness.cast import is_compared
from fpx.harness.files import gguf, hdf5, numpy, safetensors, sharded, torch
from fpx.harness.files.prefetch import prefetched
from fpx.harness.tensors import Blocks, Source, TensorEntry

_DAMAGE = (
    OSError, ValueError, EOFError, RuntimeError, struct.error, zipfile.BadZipFile, zlib.error
)  # fmt: skip
"""What the readers and the libraries under them raise of a damaged file."""

_EXPANSION = 100  # times its size: a file that claims more, and is not small, is a bomb
_SMALL = 1 << 30  # bytes of tensors that no file is refused for

Reader = Callable[[Path], Source]


def _starts(magic: bytes) -> Callable[[bytes, int], bool]:
    return lambda start, size: start.startswith(magic)


KINDS: tuple[tuple[str, Callable[[bytes, int], bool], Reader], ...] = (
    ("npy", _starts(b"\x93NUMPY"), numpy.open_npy),
    ("torch (legacy)", _starts(torch.LEGACY_MAGIC), torch.open_torch),
    ("hdf5", _starts(hdf5.MAGIC), hdf5.open_hdf5),
    ("gguf", _starts(b"GGUF"), gguf.open_gguf),
    ("safetensors", safetensors.looks_right, safetensors.open_safetensors),
)
"""Kind -> whether a file's first bytes (and size) are of it, and who reads it. Zip archives, which
hold torch's and numpy's files, are told apart by their members."""

SUFFIXES = (
    ".safetensors", ".pt", ".pth", ".bin", ".npy", ".npz", ".h5", ".hdf5", ".keras", ".gguf"
)  # fmt: skip
"""Names under which such files are looked for in a directory."""


def open_files(name: str, errors: list[str] | None = None) -> list[Source]:
    """The tensors of a file, of a directory of files, or of an index with its shards.

    Args:
        name: its path, or `-` for .npy on stdin.
        errors: takes a line for each of several files that cannot be read, if another one can;
            without it, the first such file is an error.

    Raises:
        InputError: no such file, no tensor file, or a damaged or dangerous one.
        UnavailableError: the kind needs a package that is not installed.
    """
    if name == "-":
        return [numpy.open_stdin()]
    try:
        path = Path(name)
        mode = path.stat().st_mode
    except FileNotFoundError:
        raise InputError(
            f"{quoted_path(name)}: no such file, and no distribution has that name (see --help)"
        ) from None
    except (OSError, ValueError) as error:
        raise InputError(f"{quoted_path(name)} cannot be read: {_why(error)}") from None
    if stat.S_ISDIR(mode):
        return _open_all(sharded.in_directory(path, SUFFIXES), errors)
    if not stat.S_ISREG(mode):
        raise InputError(f"{quoted_path(name)} is not a regular file: fpx reads only those")
    if sharded.is_index(path):
        return _open_all(sharded.of_index(path), errors)
    return [_open(path, None)]


def _open_all(shards: list[sharded.Shard], errors: list[str] | None) -> list[Source]:
    opened: list[Source] = []
    refused: list[InputError] = []
    for path, tensors in shards:
        try:
            opened.append(_open(path, tensors))
        except InputError as error:
            if errors is None:
                raise
            refused.append(error)
    if refused and not opened:
        raise refused[0]
    if errors is not None:
        errors += map(str, refused)
    return opened


def _open(path: Path, tensors: frozenset[str] | None) -> Source:
    """One file; of a shard, the tensors that its index names."""
    shown = quoted_path(path)
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise InputError(f"{shown} is not a regular file: fpx reads only those")
        size = path.stat().st_size
        with path.open("rb") as file:
            kind, reader = _kind_of(file, size)
        source = reader(path)
    except (InputError, UnavailableError):
        raise
    except FileNotFoundError:
        raise InputError(f"{shown}: no such file") from None
    except _DAMAGE as error:
        raise InputError(f"{shown} cannot be read: {_why(error)}") from None
    entries = source.entries
    if tensors is not None:
        missing = tensors - {entry.name for entry in entries}
        if missing:
            raise InputError(f"{shown} lacks {quoted(min(missing))}, which its index says it has")
        entries = [entry for entry in entries if entry.name in tensors]
    for entry in entries:
        if not is_compared(entry.dtype):
            source.notes.append(f"{entry.name}: {entry.dtype} is not compared")
    entries = [entry for entry in entries if is_compared(entry.dtype)]
    if not entries:
        why = f" that fpx reads ({escape(source.notes[0])})" if source.notes else ""
        raise InputError(f"{shown} holds no tensors{why}")
    claimed = sum(entry.nbytes for entry in entries)
    if claimed > max(_SMALL, _EXPANSION * size):
        raise InputError(
            f"{shown} has {size:,} bytes and claims tensors of {claimed:,}: fpx takes at most "
            f"{_EXPANSION} times a file's size"
        )
    guarded = [replace(entry, blocks=_guarded(entry, shown)) for entry in entries]
    read = [replace(entry, blocks=prefetched(entry)) for entry in guarded]
    return replace(source, entries=read, kind=kind)


def _guarded(entry: TensorEntry, shown: str) -> Blocks:
    """The entry's blocks; damage that shows only in its data is an error of the input too."""

    def blocks(limit: int) -> Iterator[Tensor]:
        try:
            yield from entry.blocks(limit)
        except _DAMAGE as error:
            raise InputError(
                f"{shown}: {quoted(entry.name)} cannot be read: {reason(error)}"
            ) from None

    return blocks


def _kind_of(file: IO[bytes], size: int) -> tuple[str, Reader]:
    start = file.read(16)
    for kind, matches, reader in KINDS:
        if matches(start, size):
            return kind, reader
    if start.startswith(b"PK\x03\x04"):
        try:
            with zipfile.ZipFile(file) as archive:
                names = archive.namelist()
        except _DAMAGE as error:
            raise InputError(
                f"{quoted_path(file.name)} is a damaged archive: {reason(error)}"
            ) from None
        if any(name.endswith("/data.pkl") for name in names):
            return "torch", torch.open_torch
        if hdf5.KERAS_WEIGHTS in names:
            return "keras", hdf5.open_keras
        return "npz", numpy.open_npz
    if hdf5.has_user_block(file, size):
        return "hdf5", hdf5.open_hdf5
    raise InputError(
        f"{quoted_path(file.name)} is no tensor file that fpx knows: it reads .safetensors, "
        "torch's .pt/.pth/.bin, .npy, .npz, HDF5, Keras archives and GGUF"
    )


def _why(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or reason(error))
