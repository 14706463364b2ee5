"""torch's files: zip archives, which are mapped, and the older format, which is loaded."""

from __future__ import annotations

import ctypes
import mmap
import pickle
import sys
import warnings
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from fpx.errors import InputError
from fpx.tensors.blocks import Box
from fpx.tensors.dtypes import is_readable, origin_of
from fpx.tensors.entry import COMPLEX_NOTE, Scalars, Source, TensorEntry
from fpx.tensors.files.pickles import Named, Table, Walked
from fpx.tensors.files.torch_archive import Archive, archive_of, check_pickles, walked
from fpx.tensors.files.torch_objects import STORAGE_BYTES, View, Views, scalars_in, views_in
from fpx.tensors.memory import TooManyPlacesError, layout_of, named_leaves
from fpx.tensors.rows import row_major_blocks
from fpx.words import quoted, quoted_path, reason

_LOADED_LIMIT = 256 << 20  # bytes of a file that is loaded, not mapped
_MOST_STEPS = 1 << 20  # of an old file's pickles; a tensor takes about 30
_OLD_PICKLES = 5  # magic number, protocol, system, what was saved, and the keys of its storages


_Found = list[tuple[str, Tensor | None, str]]
"""Tensors: name, what of it is read, and a note where that is not simply all of it."""


def open_torch(path: Path) -> Source:
    """The tensors in what `torch.save` wrote, named by their path in it.

    Of objects that torch does not load without running code, such as modules, only the tensors in
    them are read, named as `state_dict()` names them.

    Raises:
        InputError: damaged, too large to load whole, or nothing but objects with code.
    """
    shown = quoted_path(path)
    archive: Archive | None = None
    if zipfile.is_zipfile(path):
        with path.open("rb") as file:
            archive = archive_of(file, shown)
    if archive is None or archive.swapped:
        # the old format cannot be mapped, and what is mapped is copied to swap its bytes
        whole = "is in torch's old format" if archive is None else "is of the other byte order"
        if path.stat().st_size > _LOADED_LIMIT:
            raise InputError(
                f"{shown} {whole}, which is loaded whole, and too large for that: save it again"
            )
    old = _old_pickles(path, shown) if archive is None else []
    notes: tuple[str, ...] = ()
    try:
        found = _loaded(path, shown, mapped=archive is not None)
    except pickle.UnpicklingError:
        if archive.swapped if archive is not None else _is_swapped(old):
            raise InputError(
                f"{shown} is of the other byte order, and {_CODE}: save a state_dict"
            ) from None
        storages = _old_storages(path, old) if archive is None else _mapped(path, archive, "data")
        root = old[3].root if archive is None else archive.walked["data.pkl"].root
        found, notes = _without_code(root, storages, shown)
    else:
        if archive is not None and not archive.holds(_places(found)):
            raise InputError(
                f"{shown} is a damaged torch file: a storage is larger than its record"
            )
    source = _source(path, found, notes, mapped=archive is not None and not archive.swapped)
    return replace(source, scalars=partial(_scalars, path))


def _scalars(path: Path) -> Scalars:
    """The numbers and texts in what `torch.save` wrote, named by their path in it.

    Raises:
        InputError: damaged, or more of them than any checkpoint has.
    """
    shown = quoted_path(path)
    if not zipfile.is_zipfile(path):
        return scalars_in(_old_pickles(path, shown)[3].root)
    with path.open("rb") as file:
        return scalars_in(archive_of(file, shown).walked["data.pkl"].root)


def open_torchscript(path: Path) -> Source:
    """The tensors in what `torch.jit.save` wrote: of its objects, by their attributes.

    Constants of the code, such as the parameters of a frozen module, have the names that the code
    has for them: `CONSTANTS.c0`, ….

    Raises:
        InputError: damaged, or of the other byte order.
    """
    shown = quoted_path(path)
    with path.open("rb") as file:
        archive = archive_of(file, shown)
    if archive.swapped:
        raise InputError(f"{shown} is a TorchScript archive of the other byte order: save it again")
    found: _Found = []
    notes: list[str] = []
    for folder, name in (("data", ""), ("constants", "CONSTANTS")):
        root = archive.walked[f"{folder}.pkl"].root
        if folder == "constants" and isinstance(root, tuple):
            root = Table([part for at, item in enumerate(root) for part in (f"c{at}", item)])
        views = views_in(root, name)
        found += _tensors(views, _mapped(path, archive, folder), shown)
        notes += views.notes
    return _source(path, found, tuple(notes), mapped=True)


_CODE = "a pickle with code, which fpx never runs"


def _loaded(path: Path, shown: str, *, mapped: bool) -> _Found:
    """What torch loads without running code.

    Raises:
        InputError: damaged.
        pickle.UnpicklingError: it would run code.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of layouts that torch calls prototypes, too
            loaded = torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
            named = [
                (name, Tensor.detach(item))
                for name, item in named_leaves(loaded)
                if isinstance(item, Tensor)
            ]
            return [(name, *_stored_values(tensor)) for name, tensor in named]
    except TooManyPlacesError as error:
        raise InputError(f"{shown} holds more than tensors: {error}") from None
    except (InputError, pickle.UnpicklingError):
        raise
    except Exception as error:  # noqa: BLE001 - a hostile pickle can raise anything
        raise InputError(f"{shown} is a damaged torch file: {reason(error)}") from None


def _places(found: _Found) -> dict[int, int]:
    """Where in memory each storage of tensors begins -> bytes."""
    places: dict[int, int] = {}
    for _, stored, _ in found:
        if stored is not None:
            storage = stored.untyped_storage()
            at = storage.data_ptr()
            places[at] = max(storage.nbytes(), places.get(at, 0))
    return places


def _source(path: Path, found: _Found, notes: tuple[str, ...], *, mapped: bool) -> Source:
    pages = _Pages(path) if mapped else None
    entries = tuple(
        _torch_entry(name or "tensor", stored, pages)
        for name, stored, _ in found
        if stored is not None
    )
    told = tuple(f"{name or 'tensor'}: {note}" for name, _, note in found if note)
    return Source(str(path), entries, (*notes, *told))


# -- without code ----------------------------------------------------------------------------------


_Storages = Callable[[str], torch.UntypedStorage | None]
"""The numbers of a storage by its key; None if it has none."""


def _without_code(root: object, storages: _Storages, shown: str) -> tuple[_Found, tuple[str, ...]]:
    """The tensors in objects that are not made, and notes of those.

    Raises:
        InputError: none that can be read, or damaged.
    """
    views = views_in(root)
    found = _tensors(views, storages, shown)
    if all(stored is None for _, stored, _ in found):
        raise InputError(
            f"{shown} is damaged, or holds more than tensors (a pickle with code), which fpx never "
            "runs: save a state_dict, or convert it to .safetensors"
        )
    made = (f"{_CODE}: only its tensors are read, of {views.classes()}",) if views.made else ()
    return found, (*made, *views.notes)


def _tensors(views: Views, storages: _Storages, shown: str) -> _Found:
    """Views of storages as tensors.

    Raises:
        InputError: a view is larger than its storage.
    """
    held: dict[str, torch.UntypedStorage | None] = {}
    found: _Found = []
    for name, view in views.found:
        if isinstance(view, str):
            found.append((name, None, view))
            continue
        if view.storage not in held:
            held[view.storage] = storages(view.storage)
        tensor = _tensor(view, held[view.storage])
        if tensor is None:
            raise InputError(
                f"{shown} is a damaged torch file: {quoted(name)} is larger than its record"
            )
        found.append((name, None, tensor) if isinstance(tensor, str) else (name, *tensor))
    return found


def _tensor(
    view: View, storage: torch.UntypedStorage | None
) -> tuple[Tensor | None, str] | str | None:
    """What of a view is read, and a note; a note alone; None where the storage is too small."""
    dtype = getattr(torch, view.dtype, None)
    if not isinstance(dtype, torch.dtype):
        return f"{quoted(view.dtype)} is not read"
    if not is_readable(dtype.to_real() if dtype.is_complex else dtype):
        return f"{dtype} is not read"
    if storage is None:
        storage = torch.empty(0, dtype=torch.uint8).untyped_storage()
    if view.end * dtype.itemsize > storage.nbytes():
        return None
    tensor = torch.empty(0, dtype=dtype).set_(storage, view.offset, view.shape, view.stride)
    if view.conjugated:
        tensor = tensor.conj()
    if view.negated:
        tensor = torch._neg_view(tensor)
    stored, note = _stored_values(tensor)
    return stored, ", ".join(filter(None, (view.note, note)))


def _mapped(path: Path, archive: Archive, folder: str) -> _Storages:
    """The storages of an archive, of one mapping of the file."""
    records = archive.storages(folder)
    whole = torch.UntypedStorage.from_file(str(path), False, path.stat().st_size)

    def storage(key: str) -> torch.UntypedStorage | None:
        record = records.get(key)
        if record is None:
            return None
        part: torch.UntypedStorage = whole[record.start : record.start + record.size]
        return part

    return storage


def _old_pickles(path: Path, shown: str) -> list[Walked]:
    """What the pickles at the beginning of a file of torch's old format hold.

    Raises:
        InputError: damaged, or too large.
    """
    with path.open("rb") as file:
        check_pickles(file, _OLD_PICKLES, _MOST_STEPS, shown)
        found: list[Walked] = []
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            for _ in range(_OLD_PICKLES):
                found.append(walked(data, found[-1].end if found else 0, shown))
    return found


def _is_swapped(old: Sequence[Walked]) -> bool:
    """Whether what the pickles say of the system is of another byte order than this machine's."""
    system = old[2].root
    little = system.texts().get("little_endian") if isinstance(system, Table) else None
    return little is not (sys.byteorder == "little")


def _old_storages(path: Path, old: Sequence[Walked]) -> _Storages:
    """The storages of a file of torch's old format: each has its elements' number before it."""
    keys = [
        key
        for key in (old[4].root if isinstance(old[4].root, list) else ())
        if isinstance(key, (str, int))
    ]
    sizes: dict[object, int] = {}
    for kept in old[3].kept:
        match kept.identity:
            case ("storage", Named(name=kind), str() | int() as key, *_):
                sizes[key] = STORAGE_BYTES.get(kind, 0)
    records: dict[str, tuple[int, int]] = {}
    at, end = old[4].end, path.stat().st_size
    with path.open("rb") as file:
        for key in keys:
            if key not in sizes or at + 8 > end:
                break
            file.seek(at)
            size = sizes[key] * int.from_bytes(file.read(8), "little")
            at += 8
            records[str(key)] = at, min(size, end - at)
            at += size

    def storage(key: str) -> torch.UntypedStorage | None:
        if key not in records:
            return None
        start, size = records[key]
        with path.open("rb") as file:
            file.seek(start)
            data = bytearray(file.read(size))
        return torch.frombuffer(data, dtype=torch.uint8).untyped_storage() if data else None

    return storage


# -- tensors ---------------------------------------------------------------------------------------


_INTEGERS_OF = {torch.qint8: torch.int8, torch.quint8: torch.uint8, torch.qint32: torch.int32}


def _stored_values(tensor: Tensor) -> tuple[Tensor | None, str]:
    """What of a tensor is read, and a note where that is not simply all of it."""
    if tensor.is_meta:
        return None, "on the meta device: the file has no data of it"
    if tensor.is_nested:
        return None, "nested tensors are not read"
    if tensor.is_quantized:
        integers = _INTEGERS_OF.get(tensor.dtype)
        if integers is None:
            return None, f"{tensor.dtype} is not read"
        plain = torch.empty(0, dtype=integers).set_(
            tensor.untyped_storage(), tensor.storage_offset(), tensor.shape, tensor.stride()
        )
        return plain, "quantised: its stored integers are read"
    if tensor.layout is torch.sparse_coo:
        values = tensor._values()  # as stored: coalescing would add some up
        note = "sparse: its stored values are read"
    elif tensor.layout is not torch.strided:
        if not hasattr(tensor, "values") or tensor.is_mkldnn:
            return None, f"layout {tensor.layout} is not read"
        values, note = tensor.values(), "sparse: its stored values are read"
    else:
        values, note = tensor, ""
    real = values.dtype.to_real() if values.dtype.is_complex else values.dtype
    if not is_readable(real):
        return None, f"{real} is not read"
    if values.dtype.is_complex:
        note = f"{note}, {COMPLEX_NOTE}" if note else COMPLEX_NOTE
    return values, note


def _torch_entry(name: str, tensor: Tensor, pages: _Pages | None) -> TensorEntry:
    """An entry that reads in the order of the storage: of a mapped file, each page once."""
    axes = tuple(sorted(range(tensor.dim()), key=tensor.stride, reverse=True))
    shape, order, dtype, place = tuple(tensor.shape), axes, tensor.dtype, layout_of(tensor)
    whole = tuple(map(range, shape))
    if dtype.is_complex:
        shape, order, dtype = (*shape, 2), (*axes, len(axes)), dtype.to_real()
        strides = (*(2 * stride for stride in place.stride), 1)
        place = replace(place, stride=strides, offset=2 * place.offset)

    def read(limit: int) -> Iterator[Tensor]:
        return _stored_order(tensor, axes, whole, limit, pages)

    def read_box(limit: int, box: Box) -> Iterator[Tensor]:
        return _stored_order(tensor, axes, box, limit, pages)

    in_rows = order == tuple(range(len(order)))
    return TensorEntry(
        name, origin_of(dtype), shape, read, None if in_rows else order, layout=place,
        read_box=read_box,
    )  # fmt: skip


def _stored_order(
    tensor: Tensor, axes: tuple[int, ...], box: Box, limit: int, pages: _Pages | None
) -> Iterator[Tensor]:
    """A part of a tensor in the order of its storage.

    Args:
        tensor: of a complex one, the box may have an axis for real and imaginary parts.
        axes: the tensor's axes, the slowest first.
        box: the part.
        limit: elements of a block, at most.
        pages: given back as they are read.
    """
    part = tensor[tuple(slice(along.start, along.stop) for along in box[: tensor.dim()])]
    if part.numel() == 0:
        return
    # of a view with gaps, fewer elements at a time: what is between them is mapped too
    steps = zip(part.shape, part.stride(), strict=True)
    span = 1 + sum((length - 1) * stride for length, stride in steps)
    gaps = max(span // part.numel(), 1)
    halves = slice(None) if len(box) == tensor.dim() else slice(box[-1].start, box[-1].stop)
    most = max(limit // 2, 1) if tensor.dtype.is_complex else limit
    if gaps > 1:
        most = min(most, max(_RELEASE_EVERY // (gaps * tensor.itemsize), 1))
    for block in row_major_blocks(part.permute(axes), most):
        plain = block.resolve_conj().resolve_neg()
        if not tensor.dtype.is_complex:
            yield plain
        elif limit > 1:
            yield torch.view_as_real(plain)[:, halves].reshape(-1)
        else:
            yield from torch.view_as_real(plain)[:, halves].reshape(-1, 1)
        if pages is not None:
            pages.read(block.nbytes * gaps)


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
        self._since = 0
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

    def read(self, nbytes: int) -> None:
        """Hears that so many bytes more were read, and now and then gives back what was."""
        self._since += nbytes
        if self._since >= _RELEASE_EVERY:
            self._since = 0
            self._release()

    def _release(self) -> None:
        for start, end in self._ranges:
            assert start % mmap.PAGESIZE == 0
            self._madvise(
                ctypes.c_void_p(start), ctypes.c_size_t(end - start), ctypes.c_int(_MADV_DONTNEED)
            )
