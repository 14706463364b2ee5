"""Pickles, read by a machine that makes nothing but plain records: no name in one is looked up.

Opcodes: Python's `pickletools`. What a pickle would import, call or build stays a record of that;
keys are not hashed, nothing is compared or printed, and nothing here goes deeper for deeper data.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from mmap import mmap
from typing import NamedTuple

_ROOM = 224 << 20  # bytes that the records of one pickle may take, roughly
_LONGEST_NAME = 1 << 12  # characters of a module's and a class's name
_LONGEST_LINE = 1 << 20  # bytes
_KEY_PARTS = 64  # tuples and items in a key, all told: hashing one takes time and stack for each


class PickleError(ValueError):
    """No pickle, a damaged one, or one that no tensors need."""


class Named(NamedTuple):
    """What a pickle would import.

    Attributes:
        module: the module's name.
        name: the name in it.
    """

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


class Table:
    """A dict, its keys and values as they came: a key may come twice, and be anything.

    Attributes:
        flat: key, value, key, value, …
    """

    __slots__ = ("flat",)

    def __init__(self, flat: list[object]) -> None:
        self.flat = flat

    def pairs(self) -> list[tuple[object, object]]:
        """Its (key, value)."""
        return list(zip(self.flat[::2], self.flat[1::2], strict=True))

    def texts(self) -> dict[str, object]:
        """Its values by those keys that are text; of a key that comes twice, the last."""
        return {key: value for key, value in self.pairs() if isinstance(key, str)}


class Made:
    """What a pickle would make by a call.

    Attributes:
        kind: what is called.
        arguments: what with.
        state: what its attributes would be set from, or None.
        items: what would be added to it as to a list or set.
        table: what would be set in it as in a dict.
    """

    __slots__ = ("arguments", "items", "kind", "state", "table")

    def __init__(self, kind: object, arguments: object) -> None:
        self.kind = kind
        self.arguments = arguments
        self.state: object = None
        self.items: list[object] | None = None
        self.table: Table | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Kept:
    """What is kept outside of the pickle, by what that says of it."""

    identity: object


@dataclass(frozen=True)
class Walked:
    """What a pickle holds.

    Attributes:
        root: numbers, text, bytes, None, lists, tuples, and records of this module.
        kept: what it keeps elsewhere, in the order of the pickle.
        end: the byte after it.
    """

    root: object
    kept: tuple[Kept, ...] = field(repr=False)
    end: int


Calls = Mapping[Named, Callable[[Sequence[object]], object]]
"""What to make at once of a call: its arguments -> a plain record."""


def walk(data: bytes | mmap, at: int = 0, calls: Calls | None = None, room: int = _ROOM) -> Walked:
    """Reads one pickle, and runs nothing.

    Args:
        data, at: the bytes, and where in them it begins.
        calls: functions of fpx for what is called often, so that little is kept of it.
        room: bytes of memory, roughly.

    Raises:
        PickleError: no pickle, a damaged one, or one that needs more memory.
    """
    machine = _Machine(data, at, calls or {}, room)
    try:
        root = machine.run()
    except PickleError:
        raise
    except (IndexError, ValueError, OverflowError, struct.error) as error:
        raise PickleError(f"a damaged pickle, at byte {machine.at:,}") from error
    return Walked(root, tuple(machine.kept), machine.at)


_OBJECT, _SLOT = 64, 8  # bytes of a small object, and of a place in a list


class _Machine:
    """The stack, the memo, and what each opcode does to them."""

    def __init__(self, data: bytes | mmap, at: int, calls: Calls, room: int) -> None:
        self.data, self.at, self.calls, self.room = data, at, calls, room
        self.stack: list[object] = []
        self.marks: list[list[object]] = []
        self.memo: list[object] = []
        self.kept: list[Kept] = []

    def run(self) -> object:
        """The object that the pickle is of."""
        data, does = self.data, _DOES
        while True:
            code = data[self.at]
            self.at += 1
            if code == _STOP:
                return self.stack.pop()
            step = does.get(code)
            if step is None:
                raise PickleError(f"a pickle with the opcode {code:#04x}")
            step(self)
            if self.room < 0:
                raise PickleError("a pickle of more things than checkpoints have")

    # -- bytes -------------------------------------------------------------------------------------

    def take(self, count: int) -> bytes:
        """The next bytes."""
        start = self.at
        self.at += count
        if count < 0 or self.at > len(self.data):
            raise PickleError("a pickle that ends too early")
        return self.data[start : self.at]

    def number(self, count: int, *, signed: bool = False) -> int:
        """The next bytes as a number."""
        return int.from_bytes(self.take(count), "little", signed=signed)

    def raw_line(self) -> bytes:
        """What is left of a line."""
        end = self.data.find(b"\n", self.at, self.at + _LONGEST_LINE)
        if end < 0:
            raise PickleError("a pickle with a line that does not end")
        line = self.data[self.at : end]
        self.at = end + 1
        return line

    def line(self) -> str:
        """What is left of a line of text."""
        return self.raw_line().decode("utf-8", "replace")

    # -- values ------------------------------------------------------------------------------------

    def push(self, value: object, size: int = _SLOT) -> None:
        """A value on the stack, and what it takes."""
        self.room -= size
        self.stack.append(value)

    def text(self, count: int) -> None:
        """Text of so many bytes."""
        text = self.take(count).decode("utf-8", "surrogatepass")
        self.push(text, sys.getsizeof(text))

    def old_text(self, count: int) -> None:
        """Text of Python 2."""
        text = self.take(count).decode("utf-8", "replace")
        self.push(text, sys.getsizeof(text))

    def raw(self, count: int) -> None:
        """Bytes, so many."""
        self.push(self.take(count), _OBJECT + count)

    def long(self, count: int) -> None:
        """A number of so many bytes."""
        self.push(self.number(count, signed=True), _OBJECT + count)

    def decimal(self) -> None:
        """A number as text, or one of two that stand for truth."""
        text = self.line()
        truth = {"00": False, "01": True}.get(text)
        self.push(int(text.removesuffix("L")) if truth is None else truth, _OBJECT)

    def quoted(self) -> None:
        """Text of Python 2 in quotation marks."""
        text = self.line()
        self.push(text[1:-1], sys.getsizeof(text))

    def line_text(self) -> None:
        """Text up to the end of the line."""
        text = self.raw_line().decode("raw-unicode-escape")
        self.push(text, sys.getsizeof(text))

    def tuple_of(self, count: int) -> None:
        """The last values as a tuple."""
        if len(self.stack) < count:
            raise IndexError
        values = tuple(self.stack[-count:])
        del self.stack[-count:]
        self.push(values, _OBJECT + _SLOT * count)

    def tuple_marked(self, values: list[object]) -> None:
        """Values as a tuple."""
        self.push(tuple(values), _OBJECT + _SLOT * len(values))

    def list_marked(self, values: list[object]) -> None:
        """Values as a list."""
        self.push(values, _OBJECT + _SLOT * len(values))

    # -- the stack ---------------------------------------------------------------------------------

    def mark(self) -> None:
        """Begins values that belong together."""
        self.room -= _OBJECT
        self.marks.append(self.stack)
        self.stack = []

    def marked(self) -> list[object]:
        """The values since the last mark, which ends with them."""
        values, self.stack = self.stack, self.marks.pop()
        return values

    def drop(self) -> None:
        """The last value, or the last mark."""
        if self.stack:
            self.stack.pop()
        else:
            self.marked()

    def double(self) -> None:
        """The last value again."""
        self.push(self.stack[-1])

    def put(self, index: int) -> None:
        """The last value into the memo."""
        value = self.stack[-1]
        if index < 0:
            raise IndexError
        more = index + 1 - len(self.memo)
        if more > 0:
            self.room -= _SLOT * more
            if self.room < 0:
                return
            self.memo += [_ABSENT] * more
        self.memo[index] = value

    def get(self, index: int) -> None:
        """A value of the memo."""
        value = self.memo[index] if index >= 0 else _ABSENT
        if value is _ABSENT:
            raise IndexError
        self.push(value)

    # -- collections -------------------------------------------------------------------------------

    def add(self, values: list[object]) -> None:
        """Values to the list or set that is last."""
        target = self.stack[-1]
        if isinstance(target, Made):
            if target.items is None:
                target.items = []
                self.room -= _OBJECT
            target.items += values
        elif isinstance(target, list):
            target += values
        else:
            raise PickleError("a pickle that adds to what is no list")
        self.room -= _SLOT * len(values)

    def add_keys(self, values: list[object]) -> None:
        """Values to a set."""
        _check_keys(values)
        self.add(values)

    def put_in(self, flat: list[object]) -> None:
        """Keys and values into the dict that is last."""
        target = self.stack[-1]
        if isinstance(target, Made):
            if target.table is None:
                target.table = Table([])
                self.room -= 2 * _OBJECT
            target = target.table
        if not isinstance(target, Table) or len(flat) % 2:
            raise PickleError("a pickle that sets keys of what is no dict")
        _check_keys(flat[::2])
        target.flat += flat
        self.room -= _SLOT * len(flat)

    def dict_of(self, flat: list[object]) -> None:
        """Keys and values as a dict."""
        self.push(Table([]), 2 * _OBJECT)
        self.put_in(flat)

    def set_of(self, values: list[object]) -> None:
        """A set that never changes."""
        _check_keys(values)
        self.call(Named("builtins", "frozenset"), (values,))

    # -- what would run ----------------------------------------------------------------------------

    def name(self, module: object, name: object) -> None:
        """What would be imported."""
        if not isinstance(module, str) or not isinstance(name, str):
            raise PickleError("a pickle that names no module")
        if max(len(module), len(name)) > _LONGEST_NAME:
            raise PickleError("a pickle with a name of no module's length")
        self.push(Named(module, name), _OBJECT)

    def stack_name(self) -> None:
        """As `name`, from the stack."""
        name = self.stack.pop()
        self.name(self.stack.pop(), name)

    def call(self, kind: object, arguments: object) -> None:
        """What would be called."""
        if isinstance(kind, Named) and isinstance(arguments, tuple):
            if kind.module in _BUILTIN:
                for items in arguments:
                    _check_keys(items if isinstance(items, (list, tuple)) else ())
            function = self.calls.get(kind)
            if function is not None:
                self.push(function(arguments), _OBJECT)
                return
        self.push(Made(kind, arguments), _OBJECT + 5 * _SLOT)

    def reduce(self) -> None:
        """As `call`, from the stack."""
        arguments = self.stack.pop()
        self.call(self.stack.pop(), arguments)

    def reduce_with_names(self) -> None:
        """As `call`, with named arguments, which are dropped."""
        self.stack.pop()
        self.reduce()

    def call_marked(self, values: list[object]) -> None:
        """As `call`, of what is first after the mark."""
        self.call(values[0], tuple(values[1:]))

    def instance(self) -> None:
        """As `call`, of a class that the opcode names."""
        arguments = tuple(self.marked())
        self.name(self.line(), self.line())
        self.call(self.stack.pop(), arguments)

    def build(self) -> None:
        """The state of the last value."""
        state = self.stack.pop()
        target = self.stack[-1]
        if not isinstance(target, Made):
            raise PickleError("a pickle that sets the state of what has none")
        target.state = state

    def keep(self, identity: object) -> None:
        """What is kept elsewhere."""
        kept = Kept(identity)
        self.kept.append(kept)
        self.push(kept, _OBJECT)


_BUILTIN = frozenset(("builtins", "__builtin__", "collections"))  # whose classes hash at once
_ABSENT = object()
_STOP = ord(".")


def _check_keys(keys: Sequence[object]) -> None:
    """Whether keys are small; of nested tuples, who hashes one runs out of stack or of time.

    Raises:
        PickleError: one is not.
    """
    for key in keys:
        if not isinstance(key, tuple):
            continue
        waiting: list[object] = [key]
        parts = 0
        while waiting:
            item = waiting.pop()
            parts += 1
            if isinstance(item, tuple):
                if parts + len(waiting) + len(item) > _KEY_PARTS:
                    raise PickleError("a pickle with a key of many parts")
                waiting += item


_DOES: Mapping[int, Callable[[_Machine], None]] = {
    ord(opcode): does
    for opcode, does in {
        "\x80": lambda m: m.take(1),  # the protocol
        "\x95": lambda m: m.take(8),  # a frame
        # values
        "N": lambda m: m.push(None),
        "\x88": lambda m: m.push(True),
        "\x89": lambda m: m.push(False),
        "I": _Machine.decimal,
        "L": _Machine.decimal,
        "J": lambda m: m.push(m.number(4, signed=True), _OBJECT),
        "K": lambda m: m.push(m.data[m.at - 1 + len(m.take(1))]),
        "M": lambda m: m.push(m.number(2), _OBJECT),
        "\x8a": lambda m: m.long(m.number(1)),
        "\x8b": lambda m: m.long(m.number(4, signed=True)),
        "F": lambda m: m.push(float(m.line()), _OBJECT),
        "G": lambda m: m.push(struct.unpack(">d", m.take(8))[0], _OBJECT),
        "S": _Machine.quoted,
        "T": lambda m: m.old_text(m.number(4, signed=True)),
        "U": lambda m: m.old_text(m.number(1)),
        "V": _Machine.line_text,
        "X": lambda m: m.text(m.number(4)),
        "\x8c": lambda m: m.text(m.number(1)),
        "\x8d": lambda m: m.text(m.number(8)),
        "B": lambda m: m.raw(m.number(4)),
        "C": lambda m: m.raw(m.number(1)),
        "\x8e": lambda m: m.raw(m.number(8)),
        "\x96": lambda m: m.raw(m.number(8)),
        ")": lambda m: m.push(()),
        "t": lambda m: m.tuple_marked(m.marked()),
        "\x85": lambda m: m.tuple_of(1),
        "\x86": lambda m: m.tuple_of(2),
        "\x87": lambda m: m.tuple_of(3),
        # the stack
        "(": _Machine.mark,
        "0": _Machine.drop,
        "1": _Machine.marked,
        "2": _Machine.double,
        "p": lambda m: m.put(int(m.line())),
        "q": lambda m: m.put(m.number(1)),
        "r": lambda m: m.put(m.number(4)),
        "\x94": lambda m: m.put(len(m.memo)),
        "g": lambda m: m.get(int(m.line())),
        "h": lambda m: m.get(m.number(1)),
        "j": lambda m: m.get(m.number(4)),
        # collections
        "]": lambda m: m.push([], _OBJECT),
        "l": lambda m: m.list_marked(m.marked()),
        "a": lambda m: m.add([m.stack.pop()]),
        "e": lambda m: m.add(m.marked()),
        "}": lambda m: m.push(Table([]), 2 * _OBJECT),
        "d": lambda m: m.dict_of(m.marked()),
        "s": lambda m: m.put_in([m.stack.pop(), m.stack.pop()][::-1]),
        "u": lambda m: m.put_in(m.marked()),
        "\x8f": lambda m: m.call(Named("builtins", "set"), ()),
        "\x90": lambda m: m.add_keys(m.marked()),
        "\x91": lambda m: m.set_of(m.marked()),
        # what would run
        "c": lambda m: m.name(m.line(), m.line()),
        "\x93": _Machine.stack_name,
        "R": _Machine.reduce,
        "\x81": _Machine.reduce,
        "\x92": _Machine.reduce_with_names,
        "o": lambda m: m.call_marked(m.marked()),
        "i": _Machine.instance,
        "b": _Machine.build,
        "P": lambda m: m.keep(m.line()),
        "Q": lambda m: m.keep(m.stack.pop()),
    }.items()
}
