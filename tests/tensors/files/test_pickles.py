"""The walker of pickles: what it makes of each opcode, and what it refuses."""

from __future__ import annotations

import pickle
import pickletools
import struct
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fpx.tensors.files import pickles
from fpx.tensors.files.pickles import Kept, Made, Named, PickleError, Table, walk


def plain(item: object) -> Any:
    """What the walker made, as Python's own dicts and sets where they were such."""
    match item:
        case Table():
            return {plain(key): plain(value) for key, value in item.pairs()}
        case Made(kind=Named(name="set" | "frozenset" as name)):
            given: Any
            (given,) = item.arguments or ([],)  # type: ignore[misc]
            items = {plain(each) for each in (*given, *(item.items or ()))}
            return items if name == "set" else frozenset(items)
        case Made(kind=Named("collections", "OrderedDict")):
            return OrderedDict(plain(item.table or Table([])))
        case Made(kind=Named("_codecs", "encode")):
            return item.arguments[0].encode("latin-1")  # type: ignore[index]
        case list():
            return [plain(each) for each in item]
        case tuple():
            return tuple(plain(each) for each in item)
    return item


VALUES = [
    None, True, False, 0, 255, 256, 65535, 65536, -1, 2**31, -(2**31), 2**70, -(2**2100), 1.5,
    "", "x", "ü\N{SNOWMAN}\n", "x" * 300, "x" * 70_000, b"", b"\0\xff", b"x" * 300,
    bytearray(b"xy"),
    (), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4), [], [1], [1, [2]], {}, {"a": 1},
    {"a": {1: (2, 3)}, 4: []}, {1, 2}, frozenset((1, "x")), OrderedDict(a=1, b=[2]), ["same"] * 3,
]  # fmt: skip


@pytest.mark.parametrize("protocol", range(6))
def test_plain_values(protocol: int) -> None:
    # Python calls bytearray before protocol 5, and bytes before 3, as it calls any class
    values = [
        value
        for value in VALUES
        if not (protocol < 5 and isinstance(value, bytearray))
        and not (protocol < 3 and value == b"")
    ]
    for value in (*values, values):
        data = pickle.dumps(value, protocol)
        walked = walk(b"before" + data + b"after", 6)
        assert plain(walked.root) == value, (protocol, value)
        assert walked.end == 6 + len(data)


def test_every_opcode_is_known_or_refused() -> None:
    codes = {opcode.code for opcode in pickletools.opcodes}
    known = set(map(chr, pickles._DOES)) | {"."}
    assert known <= codes
    assert codes - known == {"\x82", "\x83", "\x84", "\x97", "\x98"}  # a registry; other buffers
    for code in codes - known:
        with pytest.raises(PickleError, match="with the opcode"):
            walk(code.encode("latin-1") + b"\1\0\0\0.")


class Thing:
    """Of a class that the walker must not import."""

    def __init__(self) -> None:
        self.x = 1


@pytest.mark.parametrize("protocol", range(6))
def test_objects_are_records_of_what_they_would_be(protocol: int) -> None:
    """Not even of a class that is there."""
    made: Any = walk(pickle.dumps(Thing(), protocol)).root
    assert type(made) is Made
    state: Any = made.state
    assert state.texts() == {"x": 1}
    if protocol >= 2:
        assert made.kind == Named(__name__, "Thing")
        assert made.arguments == ()


class _Call:
    def __init__(self, *call: Any) -> None:
        self.call = call

    def __reduce__(self) -> Any:
        return self.call


@pytest.mark.parametrize("protocol", range(6))
def test_nothing_is_called(protocol: int, tmp_path: Path) -> None:
    touched = tmp_path / "touched"
    made: Any = walk(pickle.dumps(_Call(Path.touch, (touched,)), protocol)).root
    assert isinstance(made, Made)
    assert not touched.exists()
    for text in (
        b"cos\nsystem\n(S'touch %s'\ntR.", b"(S'touch %s'\nios\nsystem\n.",
        b"(cos\nsystem\nS'touch %s'\no.", b"\x8c\2os\x8c\6system\x93(S'touch %s'\nt\x81.",
        b"cbuiltins\neval\n(S'open(\"%s\", \"w\")'\ntR.",
    ):  # fmt: skip
        made = walk(text % str(touched).encode()).root
        assert isinstance(made, Made)
        assert str(touched) in made.arguments[0]  # type: ignore[index]
        assert not touched.exists()


def test_calls_of_fpx_are_made_at_once() -> None:
    data = pickle.dumps([np.dtype("f4"), OrderedDict()])
    calls = {Named("collections", "OrderedDict"): lambda given: ("ours", *given)}
    found: Any = walk(data, calls=calls).root
    assert found[1] == ("ours",)


def test_what_is_kept_elsewhere() -> None:
    walked = walk(b"\x80\x02(X\1\0\0\0aK\1\x86QPb\nl.")
    assert isinstance(walked.root, list)
    assert [kept.identity for kept in walked.kept] == [("a", 1), "b"]
    assert all(isinstance(kept, Kept) for kept in walked.root)


def test_a_key_that_comes_twice_has_its_last_value() -> None:
    table: Any = walk(b"}(X\1\0\0\0aK\1X\1\0\0\0aK\2K\3K\4u.").root
    assert table.texts() == {"a": 2}
    assert table.pairs() == [("a", 1), ("a", 2), (3, 4)]


DEEP = b")" + b"\x85" * 100_000
NESTED = b")\x85q\0" + b"0h\0h\0\x86q\0" * 40  # 2 ** 40 parts, hashed one by one

BOMBS = {
    "key": b"}" + DEEP + b"Ns.", "key of many": b"}" + NESTED + b"Ns.",
    "keys": b"}(" + DEEP + b"Nu.", "dict": b"(" + DEEP + b"Nd.",
    "set": b"\x8f(" + DEEP + b"\x90.", "frozenset": b"(" + DEEP + b"\x91.",
    "call of set": b"cbuiltins\nset\n]" + DEEP + b"a\x85R.",
    "call of Counter": b"ccollections\nCounter\n(" + DEEP + b"t\x85R.",
    "key of an object": b"ca\nb\n)R" + DEEP + b"Ns.",
}  # fmt: skip


@pytest.mark.parametrize("name", BOMBS)
def test_keys_that_no_stack_can_hash(name: str) -> None:
    with pytest.raises(PickleError, match="a key of many parts"):
        walk(BOMBS[name])


def test_deep_values_are_no_matter() -> None:
    walk(DEEP + b".")
    walk(b"]" * 500_000 + b"a" * 499_999 + b".")
    walk(b"}(X\1\0\0\0a" + b"K\1K\2\x86" + b"u.")


DAMAGED = {
    "nothing": b"", "no end": b"N", "no value": b".", "no mark": b"t.", "no tuple": b"N\x87.",
    "no memo": b"h\0.", "negative memo": b"g-1\n.", "a memo of nothing": b"Nq\5h\4.",
    "text too short": b"X\5\0\0\0ab.", "exabytes": b"\x8e" + struct.pack("<Q", 2**63) + b"ab.",
    "negative length": b"T\xff\xff\xff\xffab.", "no line": b"V" + b"x" * 100,
    "long name": b"c" + b"x" * 5000 + b"\ny\n.", "name of numbers": b"K\1K\2\x93.",
    "add to none": b"NK\1a.", "keys of none": b"NK\1K\2s.", "odd keys": b"}(K\1u.",
    "state of none": b"NNb.", "state of a name": b"ca\nb\n}b.", "half of a pair": b"}(K\1K\2K\3u.",
    "no number": b"Ix\n.", "a number of a million digits": b"L" + b"9" * 10**6 + b"\n.",
    "no text": b"\x8c\1\xff.", "memo of gigabytes": b"Nr\xff\xff\xff\x7f.",
    "call of nothing": b"(o.",
}  # fmt: skip


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_pickles(name: str) -> None:
    with pytest.raises(PickleError) as error:
        walk(DAMAGED[name])
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "piece",
    [b"]", b"}", b"(", b")\x85", b"X\0\0\0\0", b"ca\nb\n", b"\x8f", b"(l", b"NQ", b"N", b"2"],
)
def test_memory_is_bounded(piece: bytes) -> None:
    with pytest.raises(PickleError, match="more things than checkpoints have"):
        walk(b"N" + piece * (1 << 18), room=1 << 20)


def test_the_smallest_pickle_of_everything_has_room(tmp_path: Path) -> None:
    walk(pickle.dumps(list(range(10_000))), room=1 << 20)
