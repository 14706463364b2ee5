"""ONNX models: against the library where it is installed, and by hand."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fpx.core.elements import element_values
from fpx.core.formats import FORMATS
from fpx.core.packing import Packing
from fpx.errors import InputError
from fpx.tensors.entry import TensorEntry
from fpx.tensors.files.onnx_entries import ONNX_TYPES, OnnxType
from fpx.tensors.files.onnx_values import varying
from fpx.tensors.opening import list_all, open_all
from fpx.tensors.quantised.model import Evidence
from tests.helpers import call, memory_of
from tests.tensors.reading import notes, open_files, read, refused
from tests.writers import X, onnx, onnx_node, onnx_tensor, proto, varint

Array = np.ndarray[Any, Any]

NO_ONNX = "onnx is not installed: pip install fpx-cli[dev]"
FLOAT, INT32, INT64 = 1, 6, 7
RAW = 9
FEW = [row for row in ONNX_TYPES.values() if row.bits < 8]


def named(row: OnnxType) -> str:
    return row.name


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def entries(path: Path) -> dict[str, TensorEntry]:
    return {entry.name: entry for source in open_files(str(path)) for entry in source.entries}


def damage(path: Path) -> list[str]:
    """What is wrong with tensors, without the name of the file."""
    return [line.removeprefix(f"'{path}': ") for line in open_all([path]).errors]


def whole(path: Path) -> dict[str, TensorEntry]:
    """The tensors with which nothing is wrong."""
    return {entry.name: entry for source in open_all([path]).sources for entry in source.entries}


def plain(name: str, *numbers: float) -> bytes:
    """An initializer of float32."""
    return onnx_tensor(
        name, FLOAT, (len(numbers),), (RAW, struct.pack(f"<{len(numbers)}f", *numbers))
    )


def attribute(name: str, number: int, content: bytes) -> bytes:
    return proto((1, name), (number, content))


def graph(*tensors: bytes, nodes: Sequence[bytes] = ()) -> bytes:
    return proto(*((1, node) for node in nodes), *((5, each) for each in tensors))


# -- against the library ---------------------------------------------------------------------------


def library_model(tmp_path: Path, raw: bool) -> tuple[Path, dict[str, Any]]:
    """A model with a tensor of every type, and what the library reads it as."""
    library = pytest.importorskip("onnx", reason=NO_ONNX)
    rng = np.random.default_rng(3)
    made, wanted = [], {}
    for code, row in ONNX_TYPES.items():
        kind = library.helper.tensor_dtype_to_np_dtype(code)
        codes: Array = rng.integers(0, 256, 15 * 16, dtype=np.uint8)
        array: Array
        if row.bits < 8:
            codes = codes[:15] & ((1 << row.bits) - 1)
            array = codes.astype(kind) if row.name.startswith("U") else codes.view(kind)
            if row.name.startswith("INT"):
                array = (codes.astype(np.int8) - (1 << row.bits - 1)).astype(kind)
        else:
            codes = codes & 1 if row.name == "BOOL" else codes
            array = codes[: 15 * row.bits * row.parts // 8].view(kind)
            if array.dtype.kind in "fc":
                array = np.nan_to_num(array)  # numpy warns where signalling ones are copied
        array = array.reshape(3, 5)
        if raw:
            tensor = library.numpy_helper.from_array(array, row.name)
            assert tensor.raw_data
        else:
            tensor = library.helper.make_tensor(row.name, code, array.shape, array.flatten())
            assert not tensor.raw_data
        made.append(tensor)
        wanted[row.name] = library.numpy_helper.to_array(tensor)
    model = library.helper.make_model(library.helper.make_graph([], "g", [], [], made))
    return write(tmp_path / "x.onnx", model.SerializeToString()), wanted


@pytest.mark.filterwarnings("ignore:invalid value encountered")
@pytest.mark.filterwarnings("ignore:overflow encountered")
@pytest.mark.parametrize("raw", [True, False], ids=["raw", "typed"])
def test_every_type_is_what_the_library_reads(raw: bool, tmp_path: Path) -> None:
    path, wanted = library_model(tmp_path, raw)
    found = read(path)
    assert set(found) == {row.name for row in ONNX_TYPES.values()} == set(wanted)
    for row in ONNX_TYPES.values():
        tensor, array = found[row.name], wanted[row.name]
        if row.bits < 8:  # numbers, -0 among them
            ours, theirs = tensor.double().numpy(), array.astype(np.float64)
            assert np.array_equal(ours, theirs), row.name
            assert np.array_equal(np.signbit(ours), np.signbit(theirs)), row.name
        else:
            codes = tensor.contiguous().view(torch.uint8).numpy().tobytes()
            assert codes == array.tobytes(), row.name
        assert tuple(tensor.shape) == ((3, 5, 2) if row.parts == 2 else (3, 5))
    assert len(notes(path)) == 2  # of complex numbers
    library = pytest.importorskip("onnx", reason=NO_ONNX)
    assert {code: row.name for code, row in ONNX_TYPES.items()} == {
        code: name for name, code in library.TensorProto.DataType.items()
        if name not in ("UNDEFINED", "STRING")
    }  # fmt: skip


def test_external_data_as_the_library_writes_them(tmp_path: Path) -> None:
    library = pytest.importorskip("onnx", reason=NO_ONNX)
    tensors = [library.numpy_helper.from_array((X + n).numpy(), f"w{n}") for n in range(3)]
    model = library.helper.make_model(library.helper.make_graph([], "g", [], [], tensors))
    path = tmp_path / "x.onnx"
    library.save_model(model, path, save_as_external_data=True, location="x.data",
                       size_threshold=0)  # fmt: skip
    found = read(path)
    assert all(torch.equal(found[f"w{n}"], X + n) for n in range(3))
    box = (range(2, 5), range(1, 4))
    assert torch.equal(entries(path)["w1"].part(box, 4), (X + 1)[2:5, 1:4])


# -- by hand ---------------------------------------------------------------------------------------


def test_initializers(tmp_path: Path) -> None:
    path = write(tmp_path / "x.onnx", onnx(
        onnx_tensor("raw", FLOAT, (7, 5), (RAW, X.numpy().tobytes())),
        onnx_tensor("packed", FLOAT, (2,), (4, struct.pack("<2f", 1.5, -2))),
        onnx_tensor("apart", FLOAT, (3,), (4, 1.0), (4, struct.pack("<f", 2)), (4, 3.0)),
        onnx_tensor("int32", INT32, (4,), (5, b"".join(map(varint, (0, -1, 1 << 30, -(1 << 31)))))),
        onnx_tensor("int64", INT64, (3,), (7, -(1 << 63)), (7, varint(5) + varint((1 << 63) - 1))),
        onnx_tensor("uint64", 13, (2,), (11, varint((1 << 64) - 1) + varint(300))),
        onnx_tensor("half", 10, (2,), (5, varint(0x3C00) + varint(0xFC00))),
        onnx_tensor("scalar", 11, (), (10, struct.pack("<d", 2.5))),
        onnx_tensor("none", FLOAT, (0, 3)),
        onnx_tensor("none either", INT64, (0,)),
        proto((1, varint(2) + varint(1)), (2, 2), (8, "dims in one"), (RAW, b"\7\x08")),
        onnx_tensor("here", 2, (1,), (13, proto((1, "location"), (2, "x"))), (14, 0), (RAW, b"\7")),
    ))  # fmt: skip
    found = read(path)
    assert torch.equal(found.pop("raw"), X)
    assert found.pop("dims in one").tolist() == [[7], [8]]
    assert found.pop("none").shape == (0, 3)
    assert {name: tensor.tolist() for name, tensor in found.items()} == {
        "packed": [1.5, -2], "apart": [1, 2, 3], "int32": [0, -1, 1 << 30, -(1 << 31)],
        "int64": [-(1 << 63), 5, (1 << 63) - 1], "uint64": [(1 << 64) - 1, 300],
        "half": [1, float("-inf")], "scalar": 2.5, "none either": [],
        "here": [7],
    }  # fmt: skip
    assert notes(path) == []
    (source,) = open_files(str(path))
    assert source.kind == "onnx"
    assert dict(source.metadata) == {
        "ir_version": 10, "producer_name": "fpx", "opset": 17, "author": "nobody",
    }  # fmt: skip


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 1 << 20])
@pytest.mark.parametrize("row", FEW, ids=named)
def test_codes_of_few_bits(row: OnnxType, limit: int, tmp_path: Path) -> None:
    """Every code, the first in the lowest bits; one more than whole bytes have."""
    codes = [*range(1 << row.bits), 1]
    number = sum(code << row.bits * place for place, code in enumerate(codes))
    data = number.to_bytes(-(-len(codes) * row.bits // 8), "little")
    kind = next(code for code, other in ONNX_TYPES.items() if other is row)
    typed = b"".join(map(varint, codes if row.bits == 6 else data))
    path = write(tmp_path / "x.onnx", onnx(
        onnx_tensor("raw", kind, (len(codes),), (RAW, data)),
        onnx_tensor("typed", kind, (len(codes),), (5, typed)),
    ))  # fmt: skip
    half = 1 << row.bits - 1
    if row.name.startswith("FLOAT"):
        spec = FORMATS[row.type.name]
        values = element_values(spec)
        wanted = [float(values[code] or 0) for code in codes]
        about = entries(path)["raw"].quantised
        assert about is not None
        assert (about.element, about.packing, about.reach) == (spec.name, Packing.LOW_FIRST, None)
        assert (about.layout, about.stored_type) == (f"ONNX {row.name}", row.name)
        assert (about.evidence, about.scales) == (Evidence.METADATA, ())
        assert about.stored_shape == (len(data),)
        assert about.follow is not None
        for place, code in enumerate(codes):
            followed = about.follow((place,))
            (part,) = followed.parts
            assert (part.code, followed.value) == (code, Fraction(wanted[place]))
            assert part.index == (place * row.bits // 8,)
            assert part.stored == data[part.index[0]]
    else:
        signed = row.name.startswith("INT")
        wanted = [code - 2 * half * (signed and code >= half) for code in codes]
    for name, entry in entries(path).items():
        blocks = [block.clone() for block in entry.blocks(limit)]
        assert max(map(len, blocks)) <= limit
        found = torch.cat(blocks)
        assert found.tolist() == wanted, name
        if row.name.startswith("FLOAT"):
            assert torch.signbit(found).tolist() == [code >= half for code in codes], name


def test_other_tensors_than_initializers(tmp_path: Path) -> None:
    """Constants, and what is in graphs of nodes, in functions and in graphs for training."""
    inner = graph(plain("w", 2), nodes=[onnx_node("Constant", attribute("value", 5, plain("", 3)))])
    branch = onnx_node("If", attribute("then_branch", 6, inner), name="choice")
    nested = graph(nodes=[branch])
    loop = onnx_node("Loop", attribute("body", 6, nested), attribute("i", 7, b"\1"))
    function = proto((1, "f"), (7, onnx_node("Constant", attribute("value", 5, plain("k", 4)))))
    data = onnx(plain("w", 1), nodes=[
        onnx_node("Relu"), branch, loop,
        onnx_node("Constant", attribute("value", 5, plain("x", 5)), output="five"),
        onnx_node("ConstantOfShape", attribute("value", 5, plain("x", 6)), output="six"),
        onnx_node("Constant", attribute("value_float", 2, b""), output="seven"),
    ])  # fmt: skip
    training = proto((1, graph(plain("start", 8))), (2, graph(plain("step", 9))))
    path = write(tmp_path / "x.onnx", data + proto((25, function), (20, training)))
    assert {name: tensor.tolist() for name, tensor in read(path).items()} == {
        "w": [1], "choice/then_branch/w": [2], "choice/then_branch/out": [3],
        "Loop_2/body/choice/then_branch/w": [2], "Loop_2/body/choice/then_branch/out": [3],
        "five": [5], "f/out": [4], "training/start": [8], "training/step": [9],
    }  # fmt: skip


def test_names_that_clash(tmp_path: Path) -> None:
    tensors = [plain("x", 1), plain("x", 2), plain("x#2", 3), plain("", 4), plain("x", 5)]
    path = write(tmp_path / "x.onnx", onnx(*tensors))
    found = {name: tensor.item() for name, tensor in read(path).items()}
    assert found == {"x": 1, "x#2": 2, "x#2#2": 3, "unnamed": 4, "x#3": 5}
    assert notes(path) == [
        "3 tensors have names that others have: they are called NAME#2 and so on"
    ]


def test_what_is_not_read(tmp_path: Path) -> None:
    values, indices = plain("sparse", 1, 2), onnx_tensor("", INT64, (2,), (7, b"\1\2"))
    sparse = proto((1, values), (2, indices), (3, varint(9) + varint(8)))
    deep = proto((1, plain("deep", 1)), *[(3, 1)] * 100)
    constant = onnx_node("Constant", attribute("sparse_value", 22, sparse), output="c")
    path = write(tmp_path / "x.onnx", onnx(
        plain("x", 1),
        onnx_tensor("text", 8, (1,), (6, b"words")),
        onnx_tensor("new", 99, (1,), (RAW, b"1234")),
        onnx_tensor("segment", FLOAT, (1,), (3, proto((1, 0), (2, 1))), (RAW, b"1234")),
        nodes=[constant, *[onnx_node("DequantizeLinear")] * 2],
        more=proto((15, sparse), (15, deep)),
    ))  # fmt: skip
    assert notes(path) == [
        "2 DequantizeLinear nodes: what they scale is read as it is stored",
        "c: sparse FLOAT is not read",
        "text: STRING is not read",
        "new: data type 99 is not read",
        "segment: FLOAT is not read: it is a part of a tensor",
        "sparse: sparse FLOAT is not read",
        "deep: sparse FLOAT is not read",
    ]
    assert set(read(path)) == {"x"}
    (source,) = list_all([path]).sources
    shapes = {item.name: item.shape for item in source.unread}
    assert shapes["sparse"] == (9, 8)
    assert len(shapes["deep"]) == 64


def test_data_of_another_size(tmp_path: Path) -> None:
    """A line for each thing that is wrong; what is whole is read."""
    path = write(tmp_path / "x.onnx", onnx(
        plain("x", 1),
        onnx_tensor("short", FLOAT, (2,), (RAW, b"1234")),
        onnx_tensor("short too", FLOAT, (2,), (4, 1.0)),
        onnx_tensor("long", FLOAT, (1,), (RAW, b"12345678")),
        onnx_tensor("odd", 23, (3,), (RAW, b"1")),
        onnx_tensor("nothing", FLOAT, (2,)),
        onnx_tensor("other", FLOAT, (2,), (7, b"\1\2")),
        onnx_tensor("negative", FLOAT, (-1,), (RAW, b"1234")),
        onnx_tensor("huge", FLOAT, (1 << 62, 1 << 62), (RAW, b"1234")),
    ))  # fmt: skip
    assert damage(path) == [
        "short cannot be read: it has 4 bytes, and its shape takes 8; nor can 1 more",
        "long cannot be read: it has 8 bytes, and its shape takes 4",
        "odd cannot be read: it has 1 bytes, and its shape takes 2",
        "nothing cannot be read: it has no data; nor can 1 more",
        "negative cannot be read: its shape is damaged",
        f"huge cannot be read: it has 4 bytes, and its shape takes {1 << 126:,}",
    ]
    assert set(whole(path)) == {"x"}
    code, out, err = call("cast-compare", path, "--to", "fp16", "--json")
    assert code == 2
    assert '"tensor": "x"' in out
    assert err.count("cannot be read") == 6
    refused(
        write(path, onnx(onnx_tensor("x", FLOAT, (2,)))), "holds no tensors that fpx reads (x c"
    )


@pytest.mark.parametrize(
    "data",
    [b"\1\2", b"\1\2\3\4", b"\1\2\x80", b"\x80" * 12, b"\1" + b"\xff" * 10 + b"\1\2", b""],
    ids=["few", "many", "open", "no end", "long", "none"],
)
def test_numbers_that_do_not_fit_the_shape(data: bytes, tmp_path: Path) -> None:
    """Seen when they are read; the other tensor is not lost."""
    path = write(tmp_path / "x.onnx", onnx(onnx_tensor("n", INT64, (3,), (7, data)), plain("x", 1)))
    found = entries(path)
    assert next(found["x"].blocks(5)).tolist() == [1]
    with pytest.raises(InputError, match="has not the 3 numbers of its shape"):
        list(found["n"].blocks(5))


# -- external data ---------------------------------------------------------------------------------


def external(name: str, shape: tuple[int, ...] = (2,), **told: object) -> bytes:
    pairs = [(13, proto((1, key), (2, str(value)))) for key, value in told.items()]
    return onnx_tensor(name, FLOAT, shape, *pairs, (14, 1))


def test_external_data(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "data").write_bytes(struct.pack("<4f", 1, 2, 3, 4))
    (tmp_path / "deep" / "data").write_bytes(struct.pack("<2f", 5, 6))
    (tmp_path / "link").symlink_to("deep/data")
    path = write(tmp_path / "x.onnx", onnx(
        external("a", location="data", offset=4, length=8),
        external("b", location="data", offset=8),
        external("c", location="deep/data"),
        external("d", location="./link"),
        external("e", (4,), location="data", checksum="0"),
    ))  # fmt: skip
    wanted = {"a": [2, 3], "b": [3, 4], "c": [5, 6], "d": [5, 6], "e": [1, 2, 3, 4]}
    assert {name: tensor.tolist() for name, tensor in read(path).items()} == wanted
    assert notes(path) == []
    cache = tmp_path / "cache"  # as of Hugging Face: links to where files really are
    cache.mkdir()
    (cache / "x.onnx").symlink_to(path)
    (cache / "data").symlink_to(tmp_path / "data")
    assert next(whole(cache / "x.onnx")["b"].blocks(5)).tolist() == [3, 4]


def test_external_data_elsewhere(tmp_path: Path) -> None:
    home, away = tmp_path / "home", tmp_path / "away"
    home.mkdir()
    away.mkdir()
    (away / "data").write_bytes(bytes(8))
    (home / "data").write_bytes(bytes(8))
    (home / "out").symlink_to(away / "data")
    (home / "folder").symlink_to(away)
    (home / "loop").symlink_to("loop")
    beside = "and only files beside the model are read"
    cases: dict[str, tuple[dict[str, object], str]] = {
        "absolute": ({"location": away / "data"}, beside),
        "above": ({"location": "../away/data"}, beside),
        "back": ({"location": "folder/../../away/data"}, beside),
        "windows": ({"location": "..\\away\\data"}, beside),
        "nul": ({"location": "data\0"}, beside),
        "nowhere": ({}, beside),
        "here": ({"location": "."}, beside),
        "link": ({"location": "out"}, "a link out of the model's directory"),
        "linked folder": ({"location": "folder/data"}, "a link out of the model's directory"),
        "loop": ({"location": "loop"}, "which is not there"),
        "absent": ({"location": "none"}, "which is not there"),
        "too long": ({"location": "x" * 300}, "which is not there"),
        "past": ({"location": "data", "offset": 4}, "it has 4 bytes, and its shape takes 8"),
        "far past": ({"location": "data", "offset": 40}, "run past the end of 'data'"),
        "long": ({"location": "data", "length": 80}, "run past the end of 'data'"),
        "short": ({"location": "data", "length": 4}, "it has 4 bytes, and its shape takes 8"),
        "negative": ({"location": "data", "offset": -8}, "'-8', which is no number of bytes"),
        "text": ({"location": "data", "length": "8 "}, "'8 ', which is no number of bytes"),
        "huge": ({"location": "data", "offset": 10**19}, "which is no number of bytes"),
    }  # fmt: skip
    tensors = [external(name, (2,), **told) for name, (told, _) in cases.items()]
    path = write(home / "x.onnx", onnx(*tensors, external("good", location="data")))
    assert next(whole(path)["good"].blocks(5)).tolist() == [0, 0]
    assert len(damage(path)) == len(cases) - 2  # two lack 4 bytes, two run past the end
    for name, (told, why) in cases.items():
        write(path, onnx(external(name, (2,), **told), plain("good", 1)))
        (line,) = damage(path)
        assert line.startswith(f"{name} cannot be read: ")
        assert why in line, line
    write(path, onnx(plain("x", 1), *[external(f"w{n}", location="none") for n in range(5)]))
    missing = "w0 cannot be read: its data are in 'none', which is not there; nor can 4 more"
    assert damage(path) == [missing]


def test_external_data_count_for_the_size_of_the_file(tmp_path: Path) -> None:
    """A model of a hundred bytes may have gigabytes beside it; it may not claim them twice over."""
    count = 300_000_000
    path = write(tmp_path / "x.onnx", onnx(external("w", (count,), location="data")))
    with (tmp_path / "data").open("wb") as file:
        file.truncate(4 * count)
    (source,) = list_all([path]).sources
    assert source.entries[0].count == count
    path.write_bytes(onnx(*[external(f"w{n}", (count,), location="data") for n in range(101)]))
    refused(path, "claims tensors of 121,200,000,000")


# -- damage ----------------------------------------------------------------------------------------


def test_truncated(tmp_path: Path) -> None:
    data = onnx(onnx_tensor("raw", FLOAT, (7, 5), (RAW, X.numpy().tobytes())))
    path = tmp_path / "x.onnx"
    for length in (30, 60, len(data) - 60, len(data) - 1):
        refused(write(path, data[:length]), "is a damaged ONNX model: ")
    write(path, data)
    (entry,) = entries(path).values()
    write(path, data[:-60])  # while it is open
    with pytest.raises(InputError, match="ends too early"):
        list(entry.blocks(100))


@pytest.mark.parametrize(
    ("field", "why"),
    [
        (b"\x2f", "a field has the wire type 7"),
        (b"\x2b", "a field has the wire type 3"),
        (b"\x02\x00", "a field has the number 0"),
        (b"\x2a\x7f", "field 5 runs past the end of what it is in"),
        (b"\xff" * 11, "a number does not end"),
        (b"\x80", "a number does not end"),
        (b"\x08", "a number does not end"),  # there, though more of the file follows
        (proto((5, proto(*[(1, 1)] * 65))), "more than 64 axes"),
        (proto((5, proto((1, b"\1" * 700)))), "more than 64 axes"),
        (proto((5, proto((8, 1)))), "field 8 is no text"),
    ],
)
def test_damaged(field: bytes, why: str, tmp_path: Path) -> None:
    refused(write(tmp_path / "x.onnx", onnx(plain("x", 1), more=field)), why)


def test_graphs_in_graphs(tmp_path: Path) -> None:
    inner = graph(plain("x", 1))
    for _ in range(17):
        inner = graph(nodes=[onnx_node("If", attribute("then_branch", 6, inner), name="n")])
    whole = proto((1, 10), (7, inner))
    refused(write(tmp_path / "x.onnx", whole), "its graphs are more than 16 deep")


@pytest.mark.parametrize(
    ("bomb", "why"),
    [
        (b"\x52\x00" * 5_000_000, "it has more than 4,194,304 fields"),
        (b"\x2a\x00" * 200_000, "it has more than 131,072 tensors"),
        (proto((5, b"\x25\0\0\0\0" * 200_000)), "more than 65,536 pieces"),
        (proto((1, b"\x2a\x00" * 3_000_000)), "it has more than 4,194,304 fields"),
    ],
    ids=["fields", "tensors", "pieces", "attributes"],
)
def test_bombs(bomb: bytes, why: str, tmp_path: Path) -> None:
    path = write(tmp_path / "x.onnx", onnx(plain("x", 1), more=bomb))
    found = memory_of("cast-compare", path, "--to", "fp16")
    assert (found.code, found.out) == (2, "")
    assert why in found.err
    assert found.err.count("\n") == 1
    assert found.megabytes < 300
    assert found.seconds < 20


def test_memory_stays_flat(tmp_path: Path) -> None:
    """Raw data of 240 MB, numbers of varying length of 60 MB, and codes of 4 bits of 30 MB."""
    count = 60_000_000
    path = tmp_path / "x.onnx"
    for head, size in (
        (proto((1, count), (2, FLOAT)) + varint(RAW << 3 | 2), 4 * count),
        (proto((1, count), (2, 10)) + varint(5 << 3 | 2), count),
        (proto((1, count), (2, 23)) + varint(RAW << 3 | 2), count // 2),
    ):
        tensor = head + varint(size)
        in_graph = varint(5 << 3 | 2) + varint(len(tensor) + size)
        whole = varint(7 << 3 | 2) + varint(len(in_graph) + len(tensor) + size)
        path.write_bytes(proto((1, 10)) + whole + in_graph + tensor)
        with path.open("r+b") as file:
            file.truncate(path.stat().st_size + size)
        found = memory_of("cast-compare", path, "--to", "bf16", "--json")
        assert (found.code, found.err) == (0, "")
        assert f'"count": {count}' in found.out
        assert found.megabytes < 250


# -- as files --------------------------------------------------------------------------------------


def test_it_is_known_by_its_content(tmp_path: Path) -> None:
    write(tmp_path / "x.bin", onnx(plain("x", 70000)))
    code, out, err = call("cast-compare", tmp_path / "x.bin", "--to", "fp16", "--json")
    assert (code, err) == (0, "")
    assert '"overflow_count": 1' in out
    write(tmp_path / "y.onnx", onnx(plain("y", 1)))
    (source,) = [s for s in list_all([tmp_path]).sources if s.name.endswith("y.onnx")]
    assert [entry.name for entry in source.entries] == ["y"]
    for other in (b"\x08", b"\x08\x0a", b"\x08\x0a" + bytes(100), b"\x08\x0a" * 2000 + b"\x3a\0",
                  b"\x3a\0", b"\x08\x0a\x12\x7f"):  # fmt: skip
        refused(write(tmp_path / "z.onnx", other), "is no tensor file that fpx knows")
    refused(write(tmp_path / "z.onnx", proto((1, 10), (7, b""))), "holds no tensors")


def test_a_number_of_varying_length_that_does_not_end_is_damage() -> None:
    data = b"\x01\x82\x01"
    (found,) = varying(BytesIO(data), 2, 8, "x.onnx")
    assert found.tolist() == [1, 130]
    for damaged in (data + b"\x80", data[:2], data + b"\x01"):
        with pytest.raises(InputError, match="has not the 2 numbers of its shape"):
            list(varying(BytesIO(damaged), 2, 8, "x.onnx"))
