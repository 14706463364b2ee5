"""ONNX models: the tensors in them, without the library that owns the format, which loads all.

Layout: onnx.proto of https://github.com/onnx/onnx, and its docs/ExternalData.md. Tensors are
initializers, and the values of Constant nodes; those of graphs in graphs (the branches of an If)
and of functions are named by the way to them. The numbers of a DequantizeLinear are not applied.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from math import prod
from pathlib import Path, PurePosixPath
from typing import Any

from fpx.errors import InputError
from fpx.tensors.entry import COMPLEX_NOTE, Source, TensorEntry, Unread
from fpx.tensors.files.onnx_entries import ONNX_TYPES, Data, onnx_entry
from fpx.tensors.files.protobuf import BYTES, VARINT, Field, Walker
from fpx.words import escape, quoted, quoted_path, reason

_LONGEST_NAME = 1 << 12  # bytes
_KEPT_TEXT = 1 << 12  # bytes of a value of the metadata
_KEPT_KEYS = 1 << 12
_MOST_AXES = 64
_MOST_TENSORS = 1 << 17
_MOST_PIECES = 1 << 16  # of the data of all tensors; each has one, as writers write them
_DEEPEST = 16  # graphs in graphs
_STRING = 8  # data_type

_ABOUT = {1: "ir_version", 2: "producer_name", 3: "producer_version", 4: "domain",
          5: "model_version", 6: "doc_string"}  # fmt: skip
_TYPED = {  # field of a tensor -> the data types that it may have
    4: {1, 14}, 5: {2, 3, 4, 5, 6, 9, 10, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28},
    7: {7}, 10: {11, 15}, 11: {12, 13},
}  # fmt: skip
_RAW, _EXTERNAL = 9, 13
_LAST_FIELD = 32  # of any message here
_SCALES = b"DequantizeLinear"


@dataclass
class _Tensor:
    """A TensorProto.

    Attributes:
        name: its own.
        shape: its dims.
        data_type: a number of `TensorProto.DataType`.
        parts: by field, where its elements are.
        external: what is said of its elements in another file.
        is_external: whether they are there.
        has_segment: whether it is a part of a larger one.
    """

    name: str = ""
    shape: list[int] = field(default_factory=list)
    data_type: int = 0
    parts: dict[int, list[tuple[int, int]]] = field(default_factory=dict)
    external: dict[str, str] = field(default_factory=dict)
    is_external: bool = False
    has_segment: bool = False


def open_onnx(path: Path) -> Source:
    """The tensors of an ONNX model.

    Raises:
        InputError: damaged.
    """
    size = path.stat().st_size
    with path.open("rb") as file:

        def at(place: int, count: int) -> bytes:
            file.seek(place)
            return file.read(count)

        model = _Model(path, Walker(at, size))
        try:
            model.read()
        except ValueError as error:
            raise InputError(
                f"{quoted_path(path)} is a damaged ONNX model: {reason(error)}"
            ) from None
    return Source(
        str(path), tuple(model.entries), tuple(model.notes), metadata=model.metadata,
        unread=tuple(model.unread), damaged=model.damaged, stored=size + model.elsewhere,
    )  # fmt: skip


class _Model:
    """What is found in a model, while it is read."""

    def __init__(self, path: Path, walker: Walker) -> None:
        self.entries: list[TensorEntry] = []
        self.unread: list[Unread] = []
        self.notes: list[str] = []
        self.metadata: dict[str, Any] = {}
        self._path, self._walker = path, walker
        self._names: dict[str, int] = {}
        self._renamed = self._scaled = 0
        self._damage: dict[str, list[str]] = {}
        self._pieces = 0
        self._others: dict[Path, int] = {}

    @property
    def elsewhere(self) -> int:
        """Bytes of the other files that tensors are in."""
        return sum(self._others.values())

    @property
    def damaged(self) -> tuple[str, ...]:
        """What is wrong with tensors, a line for each thing that is."""
        return tuple(
            f"{escape(first)} cannot be read: {why}"
            + (f"; nor can {len(others):,} more" if others else "")
            for why, (first, *others) in self._damage.items()
        )

    def read(self) -> None:
        """Reads the whole model.

        Raises:
            ValueError: damaged.
        """
        for item in self._walker.fields(0, self._walker.size):
            if item.number in _ABOUT:
                value = item.signed if item.wire == VARINT else self._text(item, _KEPT_TEXT)
                self.metadata[_ABOUT[item.number]] = value
            elif item.wire != BYTES:
                continue
            elif item.number == 8:
                told = self._message(item)
                name = f"opset {self._text(told[1]) if 1 in told else ''}".strip()
                if len(self.metadata) < _KEPT_KEYS and 2 in told:
                    self.metadata[name] = told[2].signed
            elif item.number == 14:
                key, value = self._pair(item)
                if len(self.metadata) < _KEPT_KEYS:
                    self.metadata[key] = value
            elif item.number == 7:
                self._graph(item, "", 0)
            elif item.number == 20:
                for part in self._walker.fields(item.at, item.end):
                    if part.number in (1, 2) and part.wire == BYTES:
                        self._graph(part, "training/", 0)
            elif item.number == 25:
                self._function(item)
        if self._renamed:
            self.notes.append(
                f"{self._renamed:,} tensors have names that others have: they are called NAME#2 "
                "and so on"
            )
        if self._scaled:
            self.notes.append(
                f"{self._scaled:,} DequantizeLinear nodes: what they scale is read as it is stored"
            )

    def _message(self, item: Field) -> dict[int, Field]:
        """The fields of a small message; of one that comes again the last."""
        parts = self._walker.fields(item.at, item.end)
        return {part.number: part for part in parts if part.number <= _LAST_FIELD}

    def _text(self, item: Field, most: int = _LONGEST_NAME) -> str:
        if item.wire != BYTES:
            raise ValueError(f"field {item.number} is no text")
        return self._walker.text(item, most)

    def _pair(self, item: Field) -> tuple[str, str]:
        told = self._message(item)
        return tuple(self._text(told[n], _KEPT_TEXT) if n in told else "" for n in (1, 2))  # type: ignore[return-value]

    # -- graphs ------------------------------------------------------------------------------------

    def _graph(self, item: Field, prefix: str, depth: int) -> None:
        if depth > _DEEPEST:
            raise ValueError(f"its graphs are more than {_DEEPEST} deep")
        nodes = 0
        for part in self._walker.fields(item.at, item.end):
            if part.wire != BYTES:
                continue
            if part.number == 1:
                self._node(part, prefix, nodes, depth)
                nodes += 1
            elif part.number == 5:
                self._tensor(part, prefix)
            elif part.number == 15:
                self._sparse(part, prefix)

    def _function(self, item: Field) -> None:
        told = self._message(item)
        name = self._text(told[1]) if 1 in told else "function"
        nodes = 0
        for part in self._walker.fields(item.at, item.end):
            if part.number == 7 and part.wire == BYTES:
                self._node(part, f"{name}/", nodes, 0)
                nodes += 1

    def _node(self, item: Field, prefix: str, number: int, depth: int) -> None:
        """The tensors of a node: the value of a Constant, and those of its graphs."""
        told: dict[int, Field] = {}  # of its outputs the first
        for part in self._walker.fields(item.at, item.end):
            if part.number in (2, 3, 4, 5) and part.wire == BYTES:
                told.setdefault(part.number, part)
        kind = told.get(4)
        if kind is not None and kind.end - kind.at == len(_SCALES):
            self._scaled += self._walker.read(kind.at, len(_SCALES)) == _SCALES
        if 5 not in told:
            return
        for part in self._walker.fields(item.at, item.end):
            if part.number == 5 and part.wire == BYTES:
                self._attribute(part, told, prefix, number, depth)

    def _attribute(
        self, item: Field, node: dict[int, Field], prefix: str, number: int, depth: int
    ) -> None:
        name, holds = "", False
        for part in self._walker.fields(item.at, item.end):
            if part.number == 1:
                name = self._text(part)
            holds |= part.number in (5, 6, 11, 22)
        if not holds:
            return
        kind, called, output = (self._text(node[n]) if n in node else "" for n in (4, 3, 2))
        for part in self._walker.fields(item.at, item.end):
            if part.number in (6, 11) and part.wire == BYTES:
                way = f"{prefix}{called or f'{kind}_{number}'}/{name}/"
                self._graph(part, way, depth + 1)
            elif kind == "Constant" and part.number == 5 and part.wire == BYTES:
                self._tensor(part, prefix, output)
            elif kind == "Constant" and part.number == 22 and part.wire == BYTES:
                self._sparse(part, prefix, output)

    # -- tensors -----------------------------------------------------------------------------------

    def _unique(self, name: str) -> str:
        """The name of a tensor, if need be with a number so that no two have one."""
        if len(self._names) >= _MOST_TENSORS:
            raise ValueError(f"it has more than {_MOST_TENSORS:,} tensors")
        found = name = name or "unnamed"
        while found in self._names:
            self._names[name] += 1
            found = f"{name}#{self._names[name]}"
        self._renamed += found != name
        self._names[found] = 1
        return found

    def _sparse(self, item: Field, prefix: str, name: str = "") -> None:
        told = self._message(item)
        values = self._proto(told[1]) if 1 in told else _Tensor()
        shape: list[int] = []
        for part in self._walker.fields(item.at, item.end):
            if part.number == 3 and len(shape) < _MOST_AXES:
                shape += self._numbers(part)
        called = self._unique(prefix + (name or values.name))
        kind = ONNX_TYPES[values.data_type].name if values.data_type in ONNX_TYPES else "tensor"
        self.unread.append(Unread(called, f"sparse {kind}", tuple(shape), None))

    def _tensor(self, item: Field, prefix: str, name: str = "") -> None:
        tensor = self._proto(item)
        called = self._unique(prefix + (name or tensor.name))
        type_ = ONNX_TYPES.get(tensor.data_type)
        shape = tuple(tensor.shape)
        if type_ is None:
            kind = "STRING" if tensor.data_type == _STRING else f"data type {tensor.data_type}"
            self.unread.append(Unread(called, kind, shape, None))
            return
        if tensor.has_segment:
            self.unread.append(
                Unread(called, type_.name, shape, None, why="it is a part of a tensor")
            )
            return
        if type_.parts == 2:
            shape = (*shape, 2)
        try:
            if min(shape, default=0) < 0 or len(shape) > _MOST_AXES:
                raise _OddError("its shape is damaged")
            data = self._data(tensor, -(-prod(shape) * type_.bits // 8))
        except _OddError as error:
            self._damage.setdefault(str(error), []).append(called)
            return
        if type_.parts == 2:
            self.notes.append(f"{called}: {COMPLEX_NOTE}")
        self.entries.append(onnx_entry(called, type_, shape, data))

    def _proto(self, item: Field) -> _Tensor:
        found = _Tensor()
        for part in self._walker.fields(item.at, item.end):
            match part.number:
                case 1:
                    found.shape += self._numbers(part)
                    if len(found.shape) > _MOST_AXES:
                        raise ValueError(f"a tensor has more than {_MOST_AXES} axes")
                case 2:
                    found.data_type = part.signed
                case 3:
                    found.has_segment = True
                case 8:
                    found.name = self._text(part)
                case 14:
                    found.is_external = part.value == 1
                case number if number == _EXTERNAL and part.wire == BYTES:
                    if len(found.external) < 16:
                        found.external.update([self._pair(part)])
                case number if number == _RAW and part.wire == BYTES:
                    found.parts[_RAW] = [(part.at, part.end)]
                case number if number in _TYPED:
                    self._pieces += 1
                    if self._pieces > _MOST_PIECES + len(self._names):
                        raise ValueError(f"its data are in more than {_MOST_PIECES:,} pieces")
                    found.parts.setdefault(number, []).append((part.at, part.end))
        return found

    def _numbers(self, item: Field) -> Iterator[int]:
        """The whole numbers of a repeated field, one or many of them."""
        if item.wire == VARINT:
            yield item.signed
        elif item.wire == BYTES:
            at = item.at
            while at < item.end:
                if at - item.at > 10 * _MOST_AXES:
                    raise ValueError(f"a tensor has more than {_MOST_AXES} axes")
                value, at = self._walker.varint(at, item.end)
                yield value - (1 << 64) if value >> 63 else value

    def _data(self, tensor: _Tensor, nbytes: int) -> Data:
        """Where a tensor's elements are; `nbytes` is what they take where they lie as they are."""
        if tensor.is_external:
            return self._external(tensor.external, nbytes)
        raw = tensor.parts.get(_RAW)
        if raw:
            _check_size(raw[0][1] - raw[0][0], nbytes)
            return Data(self._path, tuple(raw))
        typed = [number for number in tensor.parts if tensor.data_type in _TYPED.get(number, ())]
        if not typed:
            if nbytes:
                raise _OddError("it has no data")
            return Data(self._path, ())
        parts = tuple(tensor.parts[typed[0]])
        varying = typed[0] in (5, 7, 11)
        if not varying:
            _check_size(sum(end - at for at, end in parts), nbytes)
        return Data(self._path, parts, varying)

    def _external(self, told: dict[str, str], nbytes: int) -> Data:
        """The data in another file: one in the model's own directory, links resolved."""
        location = told.get("location", "")
        shown = quoted(location)
        pure = PurePosixPath(location)
        odd = pure.is_absolute() or ".." in pure.parts or "\\" in location or "\0" in location
        if odd or not pure.parts:
            raise _OddError(f"its data are at {shown}, and only files beside the model are read")
        try:
            where = (self._path.parent / location).resolve(strict=True)
            # of a model that is a link itself, as in a cache, also where it really is
            homes = {self._path.parent.resolve(), self._path.resolve().parent}
        except (OSError, RuntimeError):
            raise _OddError(f"its data are in {shown}, which is not there") from None
        if not any(where.is_relative_to(home) for home in homes):
            raise _OddError(f"its data are in {shown}, a link out of the model's directory")
        if not where.is_file():
            raise _OddError(f"its data are in {shown}, which is no regular file")
        size = where.stat().st_size
        offset = _whole(told.get("offset", "0"), shown)
        length = _whole(told["length"], shown) if "length" in told else size - offset
        if offset + max(length, 0) > size or length < 0:
            raise _OddError(f"its data run past the end of {shown}")
        _check_size(length, nbytes)
        self._others[where] = size
        return Data(where, ((offset, offset + length),))


class _OddError(Exception):
    """Why one tensor cannot be read, in a few words."""


def _check_size(found: int, wanted: int) -> None:
    if found != wanted:
        raise _OddError(f"it has {found:,} bytes, and its shape takes {wanted:,}")


def _whole(text: str, shown: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise _OddError(f"its place in {shown} is {quoted(text)}, which is no number of bytes")
    return int(text)
