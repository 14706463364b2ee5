"""What torch's pickles say of tensors: which views of which storages, and what they are called.

A tensor is pickled as a call of one of torch's own functions (torch/_utils.py), and a module by its
attributes. Both are read off the records of `fpx.tensors.files.pickles`, and nothing is made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import TypeVar

from fpx.errors import InputError
from fpx.tensors.entry import Scalar, Scalars
from fpx.tensors.files.pickles import Kept, Made, Named, Table
from fpx.words import listed, quoted

_DEEPEST = 64  # nesting of what has names
_MOST_PLACES = 1 << 18  # tensors and other things
_LARGEST = 1 << 62  # elements, and places in a storage
_MOST_TEXT = 64 << 20  # characters of names and texts beside tensors
_Taken = TypeVar("_Taken")


@dataclass(frozen=True)
class View:
    """A tensor in a storage.

    Attributes:
        storage: the storage's key.
        dtype: torch's name of its elements.
        offset: the element of the storage that index 0, … is.
        shape, stride: along each axis; in elements.
        note: where these are not simply all its numbers.
        conjugated, negated: whether the numbers are to be.
    """

    storage: str
    dtype: str
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]
    note: str = ""
    conjugated: bool = False
    negated: bool = False

    @property
    def end(self) -> int:
        """Elements that its storage must have."""
        if 0 in self.shape:
            return 0
        steps = zip(self.shape, self.stride, strict=True)
        return self.offset + 1 + sum((length - 1) * step for length, step in steps)

    @property
    def count(self) -> int:
        """Its elements."""
        return prod(self.shape)


@dataclass(frozen=True)
class Views:
    """The tensors of a pickle.

    Attributes:
        found: name -> the view, or why there is none, in the order of the pickle.
        notes: what was left out.
        made: classes and functions of which there were objects that fpx does not make, as text.
    """

    found: tuple[tuple[str, View | str], ...]
    notes: tuple[str, ...]
    made: tuple[str, ...]

    def classes(self) -> str:
        """`made`, for a message."""
        return listed([quoted(name) for name in self.made], 3)


def views_in(root: object, name: str = "") -> Views:
    """The tensors in what a pickle holds, named by their path; of modules, as `state_dict()` does.

    Args:
        root: of `fpx.tensors.files.pickles.walk`.
        name: where that is.

    Raises:
        InputError: more places than any checkpoint has.
    """
    walk = _Walk()
    found: tuple[tuple[str, View | str], ...] = tuple(walk.visit(root, name, (), tensor_of))
    left_out = f"left out, as state_dict() does: {listed(map(quoted, walk.passing), 3)}"
    notes = (left_out,) if walk.passing else ()
    return Views(found, notes, tuple(walk.made))


def scalars_in(root: object, name: str = "") -> Scalars:
    """The numbers, texts and Nones in what a pickle holds, named as its tensors are.

    Args:
        root, name: as of `views_in`.

    Raises:
        InputError: more places, or longer texts, than any checkpoint has.
    """
    found: dict[str, Scalar] = {}
    room = _MOST_TEXT
    for called, (value,) in _Walk().visit(root, name, (), _scalar):
        room -= len(called) + (len(value) if isinstance(value, str) else 0)
        if room < 0:
            raise InputError(f"over {_MOST_TEXT:,} characters of text beside tensors")
        found[called] = value
    return found


def _scalar(item: object) -> tuple[Scalar] | None:
    return (item,) if item is None or isinstance(item, (str, int, float)) else None


class _Walk:
    """Goes through what a pickle holds, and keeps what is to be said of it."""

    def __init__(self) -> None:
        self.places = 0
        self.passing: list[str] = []
        self.made: dict[str, None] = {}

    def visit(
        self,
        item: object,
        name: str,
        inside: tuple[int, ...],
        take: Callable[[object], _Taken | None],
    ) -> Iterator[tuple[str, _Taken]]:
        """What `take` makes something of in an item of that name, by its own name."""
        self.places += 1
        if self.places > _MOST_PLACES:
            raise InputError(f"over {_MOST_PLACES:,} things in one collection of tensors")
        if id(item) in inside or len(inside) > _DEEPEST:
            return
        taken = take(item)
        if taken is not None:
            yield name, taken
            return
        for key, child in self.children(item, name):
            below = f"{name}.{key}" if name else key
            yield from self.visit(child, below, (*inside, id(item)), take)

    def children(self, item: object, name: str) -> Iterator[tuple[str, object]]:
        """What is in an item that is no tensor, by its key."""
        if isinstance(item, (list, tuple)) and not isinstance(item, Named):
            yield from ((str(at), child) for at, child in enumerate(item))
        elif isinstance(item, Table):
            yield from ((_key_text(key, at), child) for at, (key, child) in enumerate(item.pairs()))
        elif isinstance(item, Made):
            yield from self.of_object(item, name)

    def of_object(self, item: Made, name: str) -> Iterator[tuple[str, object]]:
        """What is in an object of any class: as a dict, as a list, and its attributes."""
        kind = _class(item.kind)
        wrapped = _arguments(item)
        if kind in _WRAPPERS and wrapped:
            yield from self.children(wrapped[0], name)
        elif kind is None or not (kind in _COLLECTIONS or _is_script(kind)):
            self.made[str(kind) if kind else "a call of what a call gave"] = None
        yield from self.children(item.table or (), name)
        yield from self.children(item.items or (), name)
        if kind in _COLLECTIONS:  # the state of an OrderedDict hides none of its keys
            return
        for state in item.state if isinstance(item.state, tuple) else (item.state,):
            table = _table(state)
            if table is None:
                yield from self.children(state, name)
            elif {"_parameters", "_modules"} <= table.texts().keys():
                yield from self.of_module(table.texts(), name)
            else:
                yield from self.children(table, name)

    def of_module(self, state: dict[str, object], name: str) -> Iterator[tuple[str, object]]:
        """What `state_dict()` has of a module, and then what it has of those in it."""
        passing = set(_texts(state.get("_non_persistent_buffers_set")))
        for group in ("_parameters", "_buffers", "_modules"):
            table = _table(state.get(group))
            for key, child in table.texts().items() if table else ():
                if group == "_buffers" and key in passing:
                    if child is not None:
                        self.passing.append(f"{name}.{key}" if name else key)
                else:
                    yield key, child


_COLLECTIONS = frozenset(
    Named(module, name)
    for module, name in (
        ("collections", "OrderedDict"), ("collections", "defaultdict"), ("collections", "Counter"),
        ("builtins", "set"), ("builtins", "frozenset"), ("__builtin__", "set"),
        ("__builtin__", "frozenset"), ("torch", "Size"), ("torch", "device"),
        ("torch.serialization", "_get_layout"), ("_codecs", "encode"),
    )
)  # fmt: skip
"""What torch's pickles are full of, and what holds nothing but what is in it."""


_WRAPPERS = frozenset(
    Named("torch.jit._pickle", name)
    for name in ("restore_type_tag", "build_tensorlist", "build_intlist", "build_doublelist",
                 "build_boollist")
)  # fmt: skip
"""What TorchScript calls with a collection, and gives it back."""


def _is_script(kind: Named) -> bool:
    return kind in _WRAPPERS or kind.module.partition(".")[0] == "__torch__"


def _class(kind: object) -> Named | None:
    """What is called, also as torch's old format keeps classes of modules beside their sources."""
    match kind:
        case Named():
            return kind
        case Kept(("module", Named() as kept, *_)):
            return kept
    return None


def _arguments(made: Made) -> tuple[object, ...]:
    return made.arguments if isinstance(made.arguments, tuple) else ()


def _table(item: object) -> Table | None:
    """A dict, or the dict in an OrderedDict."""
    if isinstance(item, Made) and _class(item.kind) in _COLLECTIONS:
        return item.table or Table([])
    return item if isinstance(item, Table) else None


def _texts(item: object) -> Iterator[str]:
    """The text in a set."""
    if isinstance(item, Made) and _class(item.kind) in _COLLECTIONS:
        for group in (item.items, *_arguments(item)):
            if isinstance(group, list):
                yield from (text for text in group if isinstance(text, str))


def _key_text(key: object, at: int) -> str:
    """A key as part of a name; of one that could be of any size, its place."""
    match key:
        case str():
            return key
        case bool() | float() | None:
            return str(key)
        case int() if abs(key) < 10**30:
            return str(key)
        case tuple() if len(key) < 8 and not isinstance(key, Named):
            parts = (_key_text(item, at) for item in key if not isinstance(item, tuple))
            return f"({', '.join(parts)})"
    return f"<key {at}>"


# -- tensors ---------------------------------------------------------------------------------------


_STORAGES = {
    "DoubleStorage": ("float64", 8), "FloatStorage": ("float32", 4), "HalfStorage": ("float16", 2),
    "BFloat16Storage": ("bfloat16", 2), "LongStorage": ("int64", 8), "IntStorage": ("int32", 4),
    "ShortStorage": ("int16", 2), "CharStorage": ("int8", 1), "ByteStorage": ("uint8", 1),
    "BoolStorage": ("bool", 1), "ComplexDoubleStorage": ("complex128", 16),
    "ComplexFloatStorage": ("complex64", 8), "QInt8Storage": ("int8", 1),
    "QUInt8Storage": ("uint8", 1), "QInt32Storage": ("int32", 4), "UntypedStorage": ("uint8", 1),
}  # fmt: skip
"""torch's classes of storages -> the elements, of quantised ones the integers that are stored; and
bytes of one."""

STORAGE_BYTES: Mapping[str, int] = {name: size for name, (_, size) in _STORAGES.items()}
"""torch's classes of storages -> bytes of an element."""

_QUANTISED = "quantised: its stored integers are read"
_SPARSE = "sparse: its stored values are read"


def tensor_of(item: object) -> View | str | None:
    """The tensor that an object is, or why it cannot be read; None if it is no tensor."""
    note = ""
    while isinstance(item, Made):  # each wrapper is around an older object
        kind, given = item.kind, _arguments(item)
        if not isinstance(kind, Named) or kind.module not in _REBUILDERS:
            return None
        match kind.name.removeprefix("_rebuild_"), given:
            case (("parameter" | "parameter_with_state"), (inner, *_)):
                item = inner
            case "from_type_v2", (Named() as function, _, tuple() as arguments, *_):
                item = Made(function, arguments)
            case "sparse_tensor", (
                _,
                (_, _, Made(kind=Named(module="torch._utils")) as values, *_),
            ):
                item, note = values, _SPARSE  # compressed: two tensors of places before the values
            case "sparse_tensor", (_, (_, Made() as values, *_)):
                item, note = values, _SPARSE
            case rebuilt, (Kept() as kept, *rest) if rebuilt in _PLAIN:
                view = _view(rebuilt, kept.identity, rest)
                return replace(view, note=note) if note and isinstance(view, View) else view
            case name, _ if name == kind.name:
                return None
            case _:
                return f"made by {quoted(str(kind))}, which is not read"
    return None


_REBUILDERS = frozenset(("torch._utils", "torch._tensor"))
# what their names end in
_PLAIN = frozenset(("tensor", "tensor_v2", "tensor_v3", "qtensor"))


def _view(function: str, storage: object, rest: Sequence[object]) -> View | str:
    """The view that torch's functions make of a storage, or why it cannot be read.

    Args:
        function: one of _PLAIN.
        storage: (`storage`, its class, key, device, elements, and of old files a view of it).
        rest: offset, shape, stride, and what the function takes beyond those.
    """
    match storage:
        case ("storage", Named(name=kind), str() | int() as key, _, int(), *views) if (
            kind in _STORAGES and not any(views)
        ):
            dtype, quantised = _STORAGES[kind][0], kind.startswith("Q")
        case _:
            return "its storage is not read"
    match rest:
        case (int() as offset, tuple() as shape, tuple() as stride, *more):
            pass
        case _:
            return "it is damaged: a view of its storage has an offset, a shape and strides"
    if len(shape) != len(stride) or not all(map(_is_place, (offset, *shape, *stride))):
        return "it is damaged: a view of its storage has other numbers than places"
    # requires_grad, hooks; v3: dtype; then what it is of the numbers in the storage
    if function == "tensor_v3":
        match more:
            case (_, _, Named("torch", named), *more):
                dtype = named
            case _:
                return "it is damaged: it has no dtype"
    else:
        more = more[2:]
    lazy = _lazy(more)
    note = _QUANTISED if quantised else ""
    numbers = [int(number) for number in (*shape, *stride)]
    return View(
        str(key), dtype, offset, tuple(numbers[: len(shape)]), tuple(numbers[len(shape) :]),
        note, "conj" in lazy, "neg" in lazy,
    )  # fmt: skip


def _is_place(number: object) -> bool:
    return isinstance(number, int) and 0 <= number < _LARGEST


def _lazy(more: Sequence[object]) -> set[str]:
    """Operations that torch has not done on the numbers yet."""
    if more and isinstance(more[0], Table):
        return {key for key, value in more[0].texts().items() if value is True}
    return set()
