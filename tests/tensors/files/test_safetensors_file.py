"""safetensors files; the library that owns the format is the oracle of what is damaged."""

from __future__ import annotations

import json
import random
import struct
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from fpx.errors import InputError
from fpx.tensors.files.safetensors_file import open_safetensors
from fpx.tensors.opening import list_all, open_all
from fpx.tensors.types import itemsize, type_named
from tests.tensors.reading import check_file, notes, open_files, read, refused
from tests.writers import safetensors, tensors


def test_safetensors(tmp_path: Path) -> None:
    save_file(tensors(), tmp_path / "x.safetensors")
    check_file(tmp_path / "x.safetensors", str)


def test_safetensors_with_a_key_twice(tmp_path: Path) -> None:
    entry = '{"dtype":"F32","shape":[1],"data_offsets":[0,4]}'
    header = f'{{"a":{entry},"a":{entry}}}'.encode()
    path = tmp_path / "x.safetensors"
    path.write_bytes(struct.pack("<Q", len(header)) + header + b"\0" * 4)
    refused(path, "a key comes twice")


def test_metadata_and_names_of_any_kind(tmp_path: Path) -> None:
    names = ['quote "', "back\\slash", "brace }", "brace {", "new\nline", "Ω", "🙂", "", "a,b: c"]
    metadata = {"format": "pt", "nested": json.dumps({"a": [{"b": "}"}]}), "empty": ""}
    path = tmp_path / "x.safetensors"
    save_file({name: torch.full((2,), float(n)) for n, name in enumerate(names)}, path, metadata)
    (source,) = open_files(str(path))
    assert dict(source.metadata) == metadata
    found = read(path)
    assert {name: x.tolist() for name, x in found.items()} == {
        name: [n, n] for n, name in enumerate(names)
    }
    assert list(found) == sorted(names)
    save_file({}, path, metadata)
    with pytest.raises(InputError, match="holds no tensors"):
        open_files(str(path))


ONE = '"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}'
TWO = '"b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}'
SOUND = {
    "one": (f"{{{ONE}}}", 4),
    "two": (f"{{{ONE},{TWO}}}", 8),
    "in another order": (f"{{{TWO},{ONE}}}", 8),
    "blanks": (f' {{ \n{ONE} ,\t{TWO} }}  '[1:], 8),
    "more keys": (f"{{{ONE[:-1]},\"x\":1}}}}", 4),
    "nothing": ("{}", 0),
    "scalar": ('{"a":{"dtype":"F64","shape":[],"data_offsets":[0,8]}}', 8),
    "empty": ('{"a":{"dtype":"F64","shape":[0,7],"data_offsets":[0,0]}}', 0),
    "bits": ('{"a":{"dtype":"F4","shape":[4],"data_offsets":[0,2]}}', 2),
    "complex": ('{"a":{"dtype":"C64","shape":[2],"data_offsets":[0,16]}}', 16),
}  # fmt: skip
UNSOUND = {
    "begins late": (ONE.replace("[0,4]", "[1,5]"), 5),
    "a hole": (f"{ONE},{TWO.replace('[4,8]', '[5,9]')}", 9),
    "an overlap": (f"{ONE},{TWO.replace('[4,8]', '[0,4]')}", 4),
    "bytes after it": (ONE, 5),
    "too few bytes": (ONE, 3),
    "another shape": (ONE.replace("[1]", "[2]"), 4),
    "backwards": (ONE.replace("[0,4]", "[4,0]"), 4),
    "negative": (ONE.replace("[1]", "[-1]"), 4),
    "a fraction": (ONE.replace("[1]", "[1.0]"), 4),
    "true": (ONE.replace("[1]", "[true]"), 4),
    "huge": (ONE.replace("[1]", "[4611686018427387904,4]"), 0),
    "no dtype": (ONE.replace("dtype", "type"), 4),
    "a list": ('"a":[1]', 0),
    "a number": ('"a":1', 0),
    "metadata of numbers": ('"__metadata__":{"a":1}', 0),
    "three offsets": (ONE.replace("[0,4]", "[0,4,4]"), 4),
    "a comma": (f"{ONE},", 4),
    "no quotes": (ONE.replace('"a"', "a"), 4),
    "a control character": (ONE.replace('"a"', '"a\n"'), 4),
    "half a pair": (ONE.replace('"a"', '"\\ud800"'), 4),
    "half a byte": ('"a":{"dtype":"F4","shape":[3],"data_offsets":[0,2]}', 2),
}


def accepted(path: Path) -> bool:
    try:
        with safe_open(path, framework="numpy") as file:
            file.keys()
    except SafetensorError:
        return False
    return True


@pytest.mark.parametrize("name", [*SOUND, *UNSOUND])
def test_what_the_library_refuses_is_refused(name: str, tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    header, size = SOUND[name] if name in SOUND else (f"{{{UNSOUND[name][0]}}}", UNSOUND[name][1])
    path.write_bytes(safetensors(header, bytes(size)))
    assert accepted(path) == (name in SOUND)
    if name in SOUND:
        open_safetensors(path)
        return
    with pytest.raises(InputError) as error:
        open_safetensors(path)
    assert "is a damaged safetensors file: " in str(error.value)
    assert str(error.value).isprintable()


def test_a_header_with_any_byte_changed_is_judged_as_the_library_does(tmp_path: Path) -> None:
    """But for dtypes that nobody knows: those are passed over, since new ones come."""
    path, rng = tmp_path / "x.safetensors", random.Random(0)
    header = f'{{"__metadata__":{{"k":"v"}},{ONE},{TWO}}}'.encode()
    judged = {True: 0, False: 0}
    for _ in range(1500):
        changed = bytearray(header)
        changed[rng.randrange(len(header))] = rng.choice(b'"{}[]:,0123456789\\ab \n-')
        path.write_bytes(struct.pack("<Q", len(header)) + changed + bytes(8))
        try:
            source = open_safetensors(path)
        except InputError:
            assert not accepted(path) or b'"a":{' not in changed or b'"b":{' not in changed, changed
            judged[False] += 1
        else:
            assert accepted(path) or source.unread, changed
            judged[True] += 1
    assert min(judged.values()) > 100


def test_types_that_are_not_read_are_listed(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    header = (
        '{"a":{"dtype":"F4","shape":[4],"data_offsets":[0,2]},'
        '"n":{"dtype":"NEW","shape":[3],"data_offsets":[2,9]}}'
    )
    path.write_bytes(safetensors(header, bytes(9)))
    (source,) = list_all([path], stored=True).sources
    assert [(item.name, item.type, item.shape, item.nbytes) for item in source.unread] == [
        ("a", "float4_e2m1fn", (4,), 2), ("n", "NEW", (3,), 7),
    ]  # fmt: skip
    assert (source.entries, source.notes) == ((), ())
    with pytest.raises(InputError, match=r"fpx reads \(a: float4_e2m1fn is not read\)"):
        open_all([path], stored=True)
    header = header.replace("F4", "I8").replace("[4]", "[2]")
    path.write_bytes(safetensors(header, bytes(9)))
    assert list(read(path)) == ["a"]
    assert notes(path) == ["n: NEW is not read"]


@pytest.mark.parametrize(
    "name",
    ["BOOL", "U8", "I8", "F8_E5M2", "F8_E4M3", "F8_E8M0", "I16", "U16", "F16", "BF16", "I32",
     "U32", "F32", "F64", "I64", "U64"],
)  # fmt: skip
def test_every_dtype_of_the_library_has_its_bytes(name: str, tmp_path: Path) -> None:
    type_ = type_named("safetensors", name)
    assert type_ is not None
    size = 3 * (itemsize(type_) or 0)
    path = tmp_path / "x.safetensors"
    header = f'{{"a":{{"dtype":"{name}","shape":[3],"data_offsets":[0,{size}]}}}}'
    path.write_bytes(safetensors(header, bytes(size)))
    assert accepted(path)
    (source,) = open_files(str(path))
    assert sum(map(len, source.entries[0].blocks(2))) == 3
