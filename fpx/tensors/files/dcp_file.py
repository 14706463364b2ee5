"""torch's distributed checkpoints: a directory of .distcp files, and .metadata that describes them.

What `torch.distributed.checkpoint` writes (metadata.py, filesystem.py there). `.metadata` is a
pickle, which is walked and never run. It says of each tensor which parts of it there are, and of
each part in which file and where: there lies what `torch.save` writes of one tensor.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from math import prod
from pathlib import Path
from typing import Any

from fpx.errors import InputError
from fpx.tensors.entry import COMPLEX_NOTE, NO_TENSORS, Scalar, Scalars, Source, TensorEntry, Unread
from fpx.tensors.files.dcp_parts import (
    LARGEST,
    DamagedError,
    Files,
    Part,
    Span,
    are_numbers,
    checked_spans,
    index_text,
)
from fpx.tensors.files.dcp_values import COMPLEX, PartedTensor, archive_at
from fpx.tensors.files.kinds import DAMAGE, no_metadata
from fpx.tensors.files.pickles import Made, Named, PickleError, Table, walk
from fpx.tensors.files.torch_objects import scalars_in
from fpx.tensors.types import itemsize, type_named
from fpx.words import escape, listed, quoted, quoted_path, reason

_LARGEST_METADATA = 64 << 20  # bytes
_LONG = 40  # characters of a dtype's name
_SETTINGS = "param_groups"  # in the names of numbers that are worth reading

_CALLS = {Named("torch", "Size"): lambda given: given[0] if given else ()}


def open_distributed(path: Path) -> Source:
    """The tensors of a distributed checkpoint, named as in its state dict.

    Args:
        path: its `.metadata`; the other files are beside it.

    Raises:
        InputError: no such metadata.
    """
    reader, described = _read(path)
    version = described.get("version")
    return Source(
        str(path.parent), tuple(reader.entries), reader.told(),
        metadata={"version": version} if isinstance(version, str) else {},
        unread=tuple(reader.unread), damaged=tuple(reader.damaged),
        stored=reader.files.size() + path.stat().st_size, scalars=partial(_scalars, path),
    )  # fmt: skip


def _scalars(path: Path) -> Scalars:
    """The numbers and texts of optimizers' groups in a distributed checkpoint.

    Raises:
        InputError: one is damaged, or lies where it cannot.
    """
    return _read(path)[0].scalars()


def _read(path: Path) -> tuple[_Reader, dict[str, object]]:
    """What there is in a checkpoint, and what its `.metadata` says of all of it.

    Raises:
        InputError: no such metadata.
    """
    shown = quoted_path(path)
    size = path.stat().st_size
    if size > _LARGEST_METADATA:
        raise InputError(f"{shown} has {size:,} bytes: {_LARGEST_METADATA:,} are read")
    try:
        root = walk(path.read_bytes(), calls=_CALLS).root
    except PickleError as error:
        raise no_metadata(shown, str(error)) from None
    described = _attributes(root, "Metadata")
    tensors = described.get("state_dict_metadata")
    if not isinstance(tensors, Table):
        raise no_metadata(shown, "it has no state_dict_metadata")
    stored = described.get("storage_data")
    if not isinstance(stored, Table):
        raise InputError(
            f"{shown} describes no files: fpx reads what torch's FileSystemWriter wrote"
        )
    reader = _Reader(Files(path.parent), _places(stored))
    for key, item in tensors.pairs():
        reader.take(key, item)
    return reader, described


def _attributes(item: object, name: str) -> dict[str, object]:
    """The attributes of an object of one of torch's classes; none of another's.

    Only the name counts: the modules that the classes are in have changed.
    """
    match item:
        case Made(kind=Named(module, own), state=Table() as state) if (
            own == name and module.startswith("torch.distributed")
        ):
            return state.texts()
    return {}


_Places = Mapping[tuple[str, tuple[int, ...] | None], dict[str, object]]
"""Name and offsets of a part -> where it lies, as `_StorageInfo` says it."""


def _places(stored: Table) -> _Places:
    found: dict[tuple[str, tuple[int, ...] | None], dict[str, object]] = {}
    for key, place in stored.pairs():
        index = _attributes(key, "MetadataIndex")
        name, offset = index.get("fqn"), index.get("offset")
        if isinstance(name, str) and (offset is None or are_numbers(offset)):
            found[name, offset] = _attributes(place, "_StorageInfo")  # type: ignore[index]
    return found


class _Reader:
    """Goes through the tensors that the metadata describes.

    Attributes:
        entries: those that can be read.
        unread: those of types that cannot.
        damaged: what is wrong with others, a line each.
    """

    def __init__(self, files: Files, places: _Places) -> None:
        self.files, self.places = files, places
        self.entries: list[TensorEntry] = []
        self.unread: list[Unread] = []
        self.damaged: list[str] = []
        self.others: list[str] = []
        self._names: set[str] = set()
        self.notes: list[str] = []

    def told(self) -> tuple[str, ...]:
        """What is to be said of the checkpoint; settings of optimizers are what `scalars` reads."""
        others = [name for name in self.others if not _is_setting(name)]
        if not others:
            return tuple(self.notes)
        named = listed(map(quoted, others), 3)
        return (f"{named}: {NO_TENSORS}", *self.notes)

    def scalars(self) -> Scalars:
        """The numbers and texts of optimizers' groups, each of which is a pickle of its own.

        Raises:
            InputError: one is damaged, or lies where it cannot.
        """
        found: dict[str, Scalar] = {}
        for name in self.others:
            place = self.places.get((name, None))
            if not place or not _is_setting(name):
                continue
            told = f"{quoted_path(self.files.folder)}: {quoted(name)}"
            try:
                part = Part((), (), *self._lies(place, "for its numbers"))
                root = archive_at(part, told).walked["data.pkl"].root
            except (DamagedError, *DAMAGE) as error:
                raise InputError(f"{told} cannot be read: {reason(error)}") from None
            found.update(scalars_in(root, name))
        return found

    def take(self, key: object, item: object) -> None:
        """One entry of the state dict."""
        name = key if isinstance(key, str) else escape(type(key).__name__)
        described = _attributes(item, "TensorStorageMetadata")
        if not described:
            self.others.append(name)
            return
        try:
            if name in self._names:
                raise DamagedError("comes twice in the metadata")
            self._names.add(name)
            self._tensor(name, described)
        except DamagedError as error:
            self.damaged.append(f"{quoted(name)} {error}")

    def _tensor(self, name: str, described: dict[str, object]) -> None:
        shape: Any = described.get("size")
        dtype = _dtype(described.get("properties"))
        if not are_numbers(shape) or dtype is None or prod(shape) >= LARGEST:
            raise DamagedError("has no shape and dtype in the metadata")
        chunks = [
            _attributes(chunk, "ChunkStorageMetadata") for chunk in _items(described.get("chunks"))
        ]
        spans = checked_spans(shape, chunks)
        type_ = type_named("torch", COMPLEX.get(dtype, dtype))
        packed = self._packing(name, spans)
        if type_ is None or itemsize(type_) is None or packed:
            called = dtype if dtype.isidentifier() and len(dtype) < _LONG else quoted(dtype)
            self.unread.append(Unread(name, f"{called}{packed}", shape, None))
            return
        parts = [self._part(name, start, lengths) for start, lengths in spans]
        tensor = PartedTensor(name, dtype, type_, shape, tuple(parts))
        self.entries.append(tensor.entry())
        if dtype in COMPLEX:
            self.notes.append(f"{name}: {COMPLEX_NOTE}")

    def _place(self, name: str, start: tuple[int, ...]) -> dict[str, object]:
        place = self.places.get((name, start))
        if not place:
            raise DamagedError(f"has no place for its part at {index_text(start)}")
        return place

    def _packing(self, name: str, spans: list[Span]) -> str:
        """What packed the parts, for the name of a type that is not read."""
        for start, _ in spans:
            by = self._place(name, start).get("transform_descriptors")
            if by:
                names = [quoted(item) for item in _items(by) if isinstance(item, str)]
                return f", packed by {listed(names, 3)}"
        return ""

    def _part(self, name: str, start: tuple[int, ...], shape: tuple[int, ...]) -> Part:
        place = self._place(name, start)
        return Part(start, shape, *self._lies(place, f"for its part at {index_text(start)}"))

    def _lies(self, place: dict[str, object], of: str) -> tuple[Path, int, int]:
        """The file that something lies in, and which bytes of that: their first, their number."""
        at, size = place.get("offset"), place.get("length")
        if not are_numbers((at, size)):
            raise DamagedError(f"has no place {of}")
        assert isinstance(at, int)
        assert isinstance(size, int)
        return self.files.path(place.get("relative_path"), at + size), at, size


def _is_setting(name: str) -> bool:
    return _SETTINGS in name


def _items(item: object) -> Sequence[object]:
    return item if isinstance(item, (list, tuple)) else ()


def _dtype(properties: object) -> str | None:
    """torch's name of a dtype, of `TensorProperties`."""
    match properties:
        case Made(kind=Named(name="TensorProperties"), state=(Named("torch", name), *_)):
            return name
    found = _attributes(properties, "TensorProperties").get("dtype")
    return found.name if isinstance(found, Named) and found.module == "torch" else None
