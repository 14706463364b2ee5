"""torch's files: zip archives, which are mapped, and the older format, which is loaded."""

from __future__ import annotations

import pickle
import warnings
import zipfile
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from fpx.errors import InputError
from fpx.tensors.dtypes import is_readable
from fpx.tensors.entry import Scalars, Source
from fpx.tensors.files.mapped_pages import Pages
from fpx.tensors.files.pickles import Table
from fpx.tensors.files.torch_archive import Archive, archive_of
from fpx.tensors.files.torch_entries import stored_values, torch_entry
from fpx.tensors.files.torch_objects import View, Views, scalars_in, views_in
from fpx.tensors.files.torch_storages import (
    Storages,
    is_swapped,
    mapped_storages,
    old_pickles,
    old_storages,
)
from fpx.tensors.memory import TooManyPlacesError, named_leaves
from fpx.words import quoted, quoted_path, reason

_LOADED_LIMIT = 256 << 20  # bytes of a file that is loaded, not mapped

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
    old = old_pickles(path, shown) if archive is None else []
    notes: tuple[str, ...] = ()
    try:
        found = _loaded(path, shown, mapped=archive is not None)
    except pickle.UnpicklingError:
        if archive.swapped if archive is not None else is_swapped(old):
            raise InputError(
                f"{shown} is of the other byte order, and {_CODE}: save a state_dict"
            ) from None
        storages = (
            old_storages(path, old) if archive is None else mapped_storages(path, archive, "data")
        )
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
        return scalars_in(old_pickles(path, shown)[3].root)
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
        found += _tensors(views, mapped_storages(path, archive, folder), shown)
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
            return [(name, *stored_values(tensor)) for name, tensor in named]
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
    pages = Pages(path) if mapped else None
    entries = tuple(
        torch_entry(name or "tensor", stored, pages)
        for name, stored, _ in found
        if stored is not None
    )
    told = tuple(f"{name or 'tensor'}: {note}" for name, _, note in found if note)
    return Source(str(path), entries, (*notes, *told))


# -- without code ----------------------------------------------------------------------------------


def _without_code(root: object, storages: Storages, shown: str) -> tuple[_Found, tuple[str, ...]]:
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


def _tensors(views: Views, storages: Storages, shown: str) -> _Found:
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
    stored, note = stored_values(tensor)
    return stored, ", ".join(filter(None, (view.note, note)))
