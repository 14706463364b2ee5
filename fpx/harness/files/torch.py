"""torch's files: zip archives, which are mapped, and the older format, which is loaded."""

from __future__ import annotations

import ctypes
import mmap
import pickle
import sys
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from fpx.errors import InputError, quoted
from fpx.harness.tensors import (
    COMPLEX_NOTE,
    Source,
    TensorEntry,
    layout_of,
    row_major_blocks,
)

LEGACY_MAGIC = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
_LEGACY_LIMIT = 256 << 20  # bytes; the old format cannot be mapped
_DEEPEST = 64  # nesting of containers


def open_torch(path: Path) -> Source:
    """The tensors in what `torch.save` wrote, named by their path in it.

    Raises:
        InputError: damaged, with code in it, or too large to load whole.
    """
    mapped = zipfile.is_zipfile(path)
    shown = quoted(str(path))
    if mapped:
        with zipfile.ZipFile(path) as archive:
            if any(name.endswith("/constants.pkl") for name in archive.namelist()):
                raise InputError(
                    f"{shown} is a TorchScript archive, which holds code: save its state_dict()"
                )
    elif path.stat().st_size > _LEGACY_LIMIT:
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
        stored, note = _stored_values(tensor)
        if note:
            source.notes.append(f"{name}: {note}")
        if stored is not None:
            source.entries.append(_torch_entry(name or "tensor", stored, pages))
    return source


def _stored_values(tensor: Tensor) -> tuple[Tensor | None, str]:
    """What of a tensor is compared, and a note where that is not simply all of it."""
    if tensor.is_quantized:
        return tensor.int_repr(), "quantised: its stored integers are compared"
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
        also = f"{note}, " if note else ""
        real = torch.view_as_real(values.resolve_conj())
        return real, also + COMPLEX_NOTE
    return values, note


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

    return TensorEntry(name, tensor.dtype, tuple(tensor.shape), blocks, layout=layout_of(tensor))


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
