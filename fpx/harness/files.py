"""Tensor files as streams of blocks, in memory that does not grow with the file.

Files are hostile until read: no pickle code runs, headers are checked by the library that owns the
format, and data is read into one bounded buffer (or mapped, and the pages given back).
"""

from __future__ import annotations

import ctypes
import io
import json
import mmap
import pickle
import stat
import sys
import warnings
import zipfile
from collections.abc import Callable, Iterator
from math import prod
from pathlib import Path
from typing import IO, Any, TypeAlias

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from fpx.errors import InputError, quoted
from fpx.harness.tensors import Source, TensorEntry, row_major_blocks

_Stream: TypeAlias = io.BufferedReader | io.RawIOBase

_LEGACY_TORCH_LIMIT = 256 << 20  # bytes; the old format cannot be mapped
_LEGACY_TORCH_MAGIC = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
_DEEPEST = 64  # nesting of containers in a torch file

_SAFETENSORS_DTYPES = {
    "F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16",
    "F8_E4M3": "float8_e4m3fn", "F8_E5M2": "float8_e5m2", "F8_E8M0": "float8_e8m0fnu",
    "F8_E4M3FNUZ": "float8_e4m3fnuz", "F8_E5M2FNUZ": "float8_e5m2fnuz",
    "I64": "int64", "I32": "int32", "I16": "int16", "I8": "int8",
    "U64": "uint64", "U32": "uint32", "U16": "uint16", "U8": "uint8", "BOOL": "bool",
}  # fmt: skip


def open_file(name: str) -> Source:
    """The tensors of a file: .safetensors, .npy, .npz, or torch's .pt/.pth/.bin.

    The kind is told by the file's first bytes, not by its name.

    Raises:
        InputError: no such file, no tensor file, or a damaged or dangerous one.
    """
    path = Path(name)
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise InputError(f"{quoted(name)} is a directory: name the tensor files in it")
        if not stat.S_ISREG(mode):
            raise InputError(f"{quoted(name)} is not a regular file: fpx reads only those")
        with path.open("rb") as file:
            reader = _reader_for(file, path.stat().st_size)
        if reader is None:
            raise InputError(
                f"{quoted(name)} is no tensor file that fpx knows: it reads .safetensors, .npy, "
                ".npz and torch's .pt/.pth"
            )
        source = reader(path)
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError(
            f"{quoted(name)}: no such file, and no distribution has that name (see --help)"
        ) from None
    except OSError as error:
        raise InputError(f"{quoted(name)} cannot be read: {error.strerror or error}") from None
    except ValueError as error:  # embedded NUL in a path
        raise InputError(f"{quoted(name)} cannot be read: {error}") from None
    if not source.entries and not source.notes:
        raise InputError(f"{quoted(name)} holds no tensors")
    return source


def _reader_for(file: IO[bytes], size: int) -> Callable[[Path], Source] | None:
    start = file.read(len(_LEGACY_TORCH_MAGIC))
    if start.startswith(b"\x93NUMPY"):
        return _open_npy
    if start.startswith(_LEGACY_TORCH_MAGIC):
        return _open_torch
    if start.startswith(b"PK\x03\x04"):
        try:
            with zipfile.ZipFile(file) as archive:
                names = archive.namelist()
        except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError) as error:
            raise InputError(f"{quoted(file.name)} is a damaged archive: {error}") from None
        return _open_torch if any(n.endswith("/data.pkl") for n in names) else _open_npz
    if start[8:9] == b"{" and 2 <= int.from_bytes(start[:8], "little") <= size - 8:
        return _open_safetensors
    return None


# -- bytes -----------------------------------------------------------------------------------------


def _fill(file: _Stream, buffer: memoryview, name: str) -> None:
    """Reads exactly as many bytes as `buffer` takes."""
    filled = 0
    while filled < len(buffer):
        chunk = file.readinto(buffer[filled:])
        if not chunk:
            raise InputError(f"{quoted(name)} ends too early: it is damaged or still being written")
        filled += chunk


def _raw_blocks(
    file: _Stream, count: int, itemsize: int, limit: int, name: str
) -> Iterator[np.ndarray[Any, np.dtype[np.uint8]]]:
    """`count` items from the file's position on, as bytes, in one buffer that is used again."""
    buffer = np.empty(min(limit, count) * itemsize, dtype=np.uint8)
    for start in range(0, count, limit):
        block = buffer[: min(limit, count - start) * itemsize]
        _fill(file, block.data, name)
        yield block


# -- safetensors -----------------------------------------------------------------------------------


def _open_safetensors(path: Path) -> Source:
    # the library checks the header: sizes, offsets, overlaps, holes
    try:
        with safe_open(path, framework="numpy") as checked:
            names = list(checked.keys())
    except SafetensorError as error:
        raise InputError(f"{quoted(str(path))} is a damaged safetensors file: {error}") from None
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
    source = Source(str(path), [])
    for name in names:
        described = header[name]
        dtype = getattr(torch, _SAFETENSORS_DTYPES.get(described["dtype"], ""), None)
        if not isinstance(dtype, torch.dtype):
            source.notes.append(f"{name}: dtype {described['dtype']} is not compared")
            continue
        shape = tuple(described["shape"])
        at = 8 + length + described["data_offsets"][0]
        source.entries.append(
            TensorEntry(name, dtype, shape, _file_blocks(path, at, dtype, prod(shape)))
        )
    return source


def _file_blocks(
    path: Path, at: int, dtype: torch.dtype, count: int
) -> Callable[[int], Iterator[Tensor]]:
    def blocks(limit: int) -> Iterator[Tensor]:
        with path.open("rb", buffering=0) as file:
            file.seek(at)
            for raw in _raw_blocks(file, count, dtype.itemsize, limit, str(path)):
                yield torch.from_numpy(raw).view(dtype)

    return blocks


# -- numpy -----------------------------------------------------------------------------------------


def _open_npy(path: Path) -> Source:
    def stream() -> _Stream:
        return path.open("rb")

    return Source(str(path), [_npy_entry(path.stem, str(path), stream)])


def _open_npz(path: Path) -> Source:
    with zipfile.ZipFile(path) as archive:
        members = [info for info in archive.infolist() if not info.is_dir()]
    source = Source(str(path), [])
    for info in members:

        def stream(member: zipfile.ZipInfo = info) -> _Stream:
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


def _npy_header(file: _Stream, name: str) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
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


def _npy_entry(name: str, shown: str, stream: Callable[[], _Stream]) -> TensorEntry:
    with stream() as file:
        shape, fortran, dtype = _npy_header(file, shown)
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
    if torch_dtype.is_complex:
        raise InputError(
            f"{quoted(shown)} is complex: save its real and imaginary parts as arrays of their own"
        )
    count = prod(shape)

    def blocks(limit: int) -> Iterator[Tensor]:
        with stream() as file:
            _npy_header(file, shown)
            for raw in _raw_blocks(file, count, dtype.itemsize, limit, shown):
                yield torch.from_numpy(raw.view(dtype).astype(native, copy=False))

    return TensorEntry(name, torch_dtype, shape, blocks, column_major=fortran and len(shape) > 1)


# -- torch -----------------------------------------------------------------------------------------


def _open_torch(path: Path) -> Source:
    mapped = zipfile.is_zipfile(path)
    shown = quoted(str(path))
    if mapped:
        with zipfile.ZipFile(path) as archive:
            if any(name.endswith("/constants.pkl") for name in archive.namelist()):
                raise InputError(
                    f"{shown} is a TorchScript archive, which holds code: save its state_dict()"
                )
    elif path.stat().st_size > _LEGACY_TORCH_LIMIT:
        raise InputError(
            f"{shown} is in torch's old format, which is loaded whole, and too large for that: "
            "save it again with torch 1.6 or newer"
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            loaded = torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except pickle.UnpicklingError:
        raise InputError(
            f"{shown} is damaged, or holds more than tensors (a pickle with code), which fpx never "
            "runs: save a state_dict, or convert it to .safetensors"
        ) from None
    except Exception as error:  # noqa: BLE001 - a hostile pickle can raise anything
        first = str(error).splitlines()[0] if str(error) else ""
        raise InputError(
            f"{shown} is a damaged torch file: {type(error).__name__} {first}"
        ) from None
    source = Source(str(path), [])
    pages = _Pages(path) if mapped else None
    for name, tensor in _named_tensors(loaded, "", ()):
        if tensor.layout is not torch.strided or tensor.is_quantized:
            source.notes.append(f"{name}: sparse and quantised tensors are not compared")
        elif tensor.dtype.is_complex:
            source.notes.append(f"{name}: complex tensors are not compared")
        else:
            source.entries.append(_torch_entry(name or "tensor", tensor, pages))
    return source


def _named_tensors(
    item: object, name: str, inside: tuple[int, ...]
) -> Iterator[tuple[str, Tensor]]:
    """Tensors in nested dicts, lists and tuples, named by their path."""
    if isinstance(item, Tensor):
        yield name, item.detach()
        return
    if id(item) in inside or len(inside) > _DEEPEST:
        return
    if isinstance(item, dict):
        children = item.items()
    elif isinstance(item, (list, tuple)):
        children = enumerate(item)  # type: ignore[assignment]
    else:
        return
    for key, child in children:
        yield from _named_tensors(child, f"{name}.{key}" if name else str(key), (*inside, id(item)))


def _torch_entry(name: str, tensor: Tensor, pages: _Pages | None) -> TensorEntry:
    def blocks(limit: int) -> Iterator[Tensor]:
        since = 0
        for block in row_major_blocks(tensor, limit):
            yield block
            since += block.nbytes
            if pages is not None and since >= _RELEASE_EVERY:
                pages.release()
                since = 0

    return TensorEntry(name, tensor.dtype, tuple(tensor.shape), blocks)


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
        with open("/proc/self/maps", encoding="utf-8", errors="surrogateescape") as maps:  # noqa: PTH123
            for line in maps:
                addresses, permissions, _, _, inode, *_ = line.split(maxsplit=5)
                # a private mapping that nobody wrote to: dropping its pages loses nothing
                if int(inode) == wanted.st_ino and permissions.endswith("p"):
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
