"""torch's distributed checkpoints: every way to cut a tensor, and every way to lie about it."""

from __future__ import annotations

import io
import json
import os
import pickle
import subprocess
import zipfile
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.distributed.checkpoint.filesystem import FileSystemWriter
from torch.distributed.checkpoint.metadata import (
    BytesStorageMetadata,
    ChunkStorageMetadata,
    Metadata,
    MetadataIndex,
)
from torch.distributed.checkpoint.state_dict_saver import save

import fpx
from fpx.errors import InputError
from fpx.tensors.opening import open_all
from tests.forks import with_torch
from tests.helpers import PATIENCE, call, memory_of, results
from tests.tensors.reading import open_files, read, refused
from tests.test_imports import loaded
from tests.writers import Chunks, distributed

X = torch.arange(60.0).reshape(6, 10)
ROWS = [((0, 0), (4, 10)), ((4, 0), (2, 10))]


def same(found: torch.Tensor, expected: torch.Tensor) -> bool:
    """To the bit, of every dtype."""
    if expected.is_complex():
        expected = torch.view_as_real(expected)
    if (found.dtype, found.shape) != (expected.dtype, expected.shape):
        return False
    kind = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}[found.itemsize]
    return torch.equal(found.contiguous().view(kind), expected.contiguous().view(kind))


DTYPES = [
    torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.float8_e4m3fn,
    torch.float8_e5m2, torch.float8_e4m3fnuz, torch.float8_e5m2fnuz, torch.float8_e8m0fnu,
    torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.uint16, torch.uint32,
    torch.uint64, torch.bool, torch.complex64, torch.complex128, torch.complex32,
]  # fmt: skip


def of_dtype(dtype: torch.dtype, *shape: int) -> torch.Tensor:
    """A tensor of random bytes."""
    if dtype == torch.bool:
        return torch.arange(max(int(np.prod(shape)), 1)).reshape(shape) % 3 == 0
    generator = torch.Generator().manual_seed(0)
    count = int(np.prod(shape)) * dtype.itemsize
    raw = torch.randint(0, 256, (count,), dtype=torch.uint8, generator=generator)
    return raw.view(dtype).reshape(shape)


# -- as torch writes them --------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore")
def test_what_torch_saves(tmp_path: Path) -> None:
    base = torch.randn(10, 10)
    state = {
        "model": {str(dtype): of_dtype(dtype, 5, 3) for dtype in DTYPES},
        "views": {"t": base.t(), "row": base[3], "part": base[2:5, 3:7],
                  "wide": base[:1].expand(3, 10)},
        "optim": {"state": [{"step": torch.tensor(3.0)}, {"none": torch.empty(0, 4)}], "lr": 0.1},
        "epoch": 3,
    }  # fmt: skip
    save(state, checkpoint_id=tmp_path, no_dist=True)
    found = read(tmp_path)
    expected: dict[str, Any] = {f"model.{name}": x for name, x in state["model"].items()}  # type: ignore[attr-defined]
    expected |= {f"views.{name}": x for name, x in state["views"].items()}  # type: ignore[attr-defined]
    expected |= {"optim.state.0.step": torch.tensor(3.0), "optim.state.1.none": torch.empty(0, 4)}
    assert set(found) == set(expected)
    assert all(same(found[name], expected[name]) for name in expected)
    (source,) = open_files(str(tmp_path))
    assert (source.name, source.kind) == (str(tmp_path), "torch distributed")
    assert source.notes[0] == "'optim.lr', 'epoch': no tensors, passed over"
    report = fpx.diff(tmp_path, tmp_path)
    assert (report.passed_over, report.equal) == (0, True)
    assert source.metadata["version"]


@pytest.mark.filterwarnings("ignore")
def test_several_files_of_a_rank(tmp_path: Path) -> None:
    state = {f"x{at}": torch.randn(40, at + 1) for at in range(6)}
    writer = FileSystemWriter(tmp_path, single_file_per_rank=False)
    save(state, storage_writer=writer, no_dist=True)
    assert len(list(tmp_path.glob("*.distcp"))) == 6
    found = read(tmp_path)
    assert all(same(found[name], state[name]) for name in state)


@pytest.mark.filterwarnings("ignore")
def test_items_that_were_packed_are_listed_and_not_read(tmp_path: Path) -> None:
    def packed(metadata: Metadata) -> None:
        at = MetadataIndex("y", torch.Size([0, 0]))
        places: Any = metadata.storage_data
        places[at] = replace(places[at], transform_descriptors=["stream.zstd"])

    distributed(tmp_path, {"x": (X, ROWS), "y": (X, ROWS)}, packed)
    assert list(read(tmp_path)) == ["x"]
    rows = {
        row["tensor"]: row for row in json.loads(call("inspect", tmp_path, "--json")[1])["results"]
    }
    assert rows["y"]["dtype"] == "float32, packed by 'stream.zstd'"
    opened = open_all([tmp_path])
    assert opened.errors == ()
    assert opened.notes == (f"{tmp_path}: y: float32, packed by 'stream.zstd' is not read",)


# -- every way to cut a tensor ---------------------------------------------------------------------


def grid(shape: tuple[int, ...], cuts: tuple[tuple[int, ...], ...]) -> Chunks:
    """The parts between cuts along each axis."""
    spans = [
        list(zip((0, *cut), (*cut, length), strict=True))
        for cut, length in zip(cuts, shape, strict=True)
    ]
    return [
        ([start for start, _ in box], [end - start for start, end in box])
        for box in product(*spans)
    ]


PINWHEEL: Chunks = [
    ((0, 0), (2, 7)), ((0, 7), (4, 3)), ((4, 3), (2, 7)), ((2, 0), (4, 3)), ((2, 3), (2, 4)),
]  # fmt: skip

LAYOUTS: dict[str, tuple[tuple[int, ...], Chunks]] = {
    "whole": ((6, 10), [((0, 0), (6, 10))]),
    "rows": ((6, 10), ROWS),
    "columns": ((6, 10), grid((6, 10), ((), (3, 4)))),
    "grid": ((6, 10), grid((6, 10), ((1, 5), (4,)))),
    "pinwheel": ((6, 10), PINWHEEL),
    "backwards": ((6, 10), PINWHEEL[::-1]),
    "three axes": ((3, 4, 5), grid((3, 4, 5), ((1,), (2,), (1, 3)))),
    "inner axis": ((3, 4, 5), grid((3, 4, 5), ((), (1, 2), ()))),
    "one": ((1,), [((0,), (1,))]),
    "scalar": ((), [((), ())]),
    "vector": ((7,), grid((7,), ((2, 3),))),
    "with empty parts": ((4, 2), [*grid((4, 2), ((2,), ())), ((4, 0), (0, 2))]),
    "empty": ((0, 3), [((0, 0), (0, 3))]),
    "empty without parts": ((0, 3), []),
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.complex64], ids=str)
@pytest.mark.parametrize("name", LAYOUTS)
def test_parts_are_one_tensor(name: str, dtype: torch.dtype, tmp_path: Path) -> None:
    shape, chunks = LAYOUTS[name]
    x = of_dtype(dtype, *shape)
    distributed(tmp_path, {"x": (x, chunks), "y": (X, ROWS)})
    found = read(tmp_path)
    assert same(found["x"], x)
    assert same(found["y"], X)


@pytest.mark.parametrize("slab", [4, 40, 1 << 20])
@pytest.mark.parametrize("name", ["rows", "columns", "pinwheel", "three axes"])
def test_slabs_of_every_size(
    name: str, slab: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fpx.tensors.files.dcp_values._SLAB", slab)
    shape, chunks = LAYOUTS[name]
    x = torch.arange(float(np.prod(shape))).reshape(shape)
    distributed(tmp_path, {"x": (x, chunks)})
    (source,) = open_files(str(tmp_path))
    for limit in (1, 3, 1000):
        blocks = [block.clone() for block in source.entries[0].blocks(limit)]
        assert torch.equal(torch.cat(blocks), x.flatten())
        assert max(map(len, blocks)) <= limit


def spans(length: int) -> list[range]:
    return [range(a, b) for a in range(length) for b in range(a + 1, length + 1)]


def test_every_box(tmp_path: Path) -> None:
    distributed(
        tmp_path, {"x": (X, PINWHEEL), "t": (X, PINWHEEL)}, item=lambda x: x.t().clone().t()
    )
    (source,) = open_files(str(tmp_path))
    for entry in source.entries:
        for rows, columns in product(spans(6), spans(10)):
            expected = X[rows.start : rows.stop, columns.start : columns.stop]
            assert torch.equal(entry.part((rows, columns), 7), expected)


@pytest.mark.parametrize(
    "item",
    [lambda x: x.t().contiguous().t(), lambda x: x.clone(), lambda x: torch.nn.Parameter(x.clone()),
     lambda x: torch.cat([x.flatten(), x.flatten()])[x.numel() :].view(x.shape)],
)  # fmt: skip
def test_parts_of_every_order(item: Callable[[torch.Tensor], object], tmp_path: Path) -> None:
    """As they come from other strides, or as a view of more."""
    z = of_dtype(torch.complex64, 3, 4)
    distributed(tmp_path, {"x": (X, PINWHEEL), "z": (z, [((0, 0), (3, 4))])}, item=item)
    assert same(read(tmp_path)["x"], X)
    assert same(read(tmp_path)["z"], z)


# -- every way to lie ------------------------------------------------------------------------------


def chunks_of(metadata: Metadata, chunks: Chunks, name: str = "x") -> None:
    described: Any = metadata.state_dict_metadata[name]
    described.chunks = [
        ChunkStorageMetadata(torch.Size(at), torch.Size(size)) for at, size in chunks
    ]


def place(metadata: Metadata, **changes: object) -> None:
    places: Any = metadata.storage_data
    at = MetadataIndex("x", torch.Size([0, 0]))
    places[at] = replace(places[at], **changes)


def attribute(metadata: Metadata, name: str, value: object) -> None:
    described: Any = metadata.state_dict_metadata["x"]
    setattr(described, name, value)


def without_place(metadata: Metadata) -> None:
    del metadata.storage_data[MetadataIndex("x", torch.Size([4, 0]))]


FIRST, LAST = ROWS
MANY = [((0,) * 9, (1,) * 9), ((1,) * 9, (1,) * 9)]
LIES: dict[str, tuple[Callable[[Metadata], object], str]] = {
    "gap": (lambda m: chunks_of(m, [FIRST]), "lacks 20 of its 60 elements"),
    "none": (lambda m: chunks_of(m, []), "lacks 60 of its 60 elements"),
    "overlap": (lambda m: chunks_of(m, [FIRST, ((3, 0), (3, 10))]), "has parts that overlap"),
    "twice": (lambda m: chunks_of(m, [FIRST, FIRST, LAST]), "has parts that overlap"),
    "overlap and gap": (lambda m: chunks_of(m, [FIRST, ((3, 0), (2, 10))]), "parts that overlap"),
    "outside": (lambda m: chunks_of(m, [FIRST, ((4, 0), (3, 10))]), "reaches beyond its shape"),
    "outside, empty": (lambda m: chunks_of(m, [FIRST, ((4, 5), (2, 10))]), "beyond its shape"),
    "axes": (lambda m: chunks_of(m, [((0,), (60,))]), "has 2 axes, and a part at [0] has others"),
    "more axes": (lambda m: chunks_of(m, [((0, 0, 0), (6, 10, 1))]), "has others"),
    "negative": (lambda m: chunks_of(m, [FIRST, ((-4, 0), (2, 10))]), "without offsets and sizes"),
    "no numbers": (lambda m: attribute(m, "chunks", [3]), "without offsets and sizes"),
    "no chunks": (lambda m: attribute(m, "chunks", None), "lacks 60 of its 60"),
    "no size": (lambda m: attribute(m, "size", None), "has no shape and dtype"),
    "huge": (lambda m: attribute(m, "size", torch.Size([2**61, 8])), "has no shape and dtype"),
    "no dtype": (lambda m: attribute(m, "properties", None), "has no shape and dtype"),
    "no place": (without_place, "has no place for its part at [4, 0]"),
    "no offset": (lambda m: place(m, offset=None), "has no place for its part at [0, 0]"),
    "negative offset": (lambda m: place(m, offset=-1), "has no place"),
    "no length": (lambda m: place(m, length="7"), "has no place"),
    "no path": (lambda m: place(m, relative_path=None), "lies in 'None', which is no file beside"),
    "absolute": (lambda m: place(m, relative_path="/etc/passwd"), "which is no file beside it"),
    "above": (lambda m: place(m, relative_path="../secret.distcp"), "which is no file beside it"),
    "below": (lambda m: place(m, relative_path="in/secret.distcp"), "which is no file beside it"),
    "parent": (lambda m: place(m, relative_path=".."), "which is no file beside it"),
    "zero": (lambda m: place(m, relative_path="a\0b"), "which is no file beside it"),
    "link": (lambda m: place(m, relative_path="link.distcp"), "is a link out of the directory"),
    "folder": (lambda m: place(m, relative_path="in"), "is not a regular file"),
    "fifo": (lambda m: place(m, relative_path="fifo"), "is not a regular file"),
    "gone": (lambda m: place(m, relative_path="gone.distcp"), "which is not there"),
    "long": (lambda m: place(m, relative_path="x" * 5000), "which is not there"),
    "beyond": (lambda m: place(m, offset=10**6), "lies beyond the end of '__0_0.distcp'"),
    "longer": (lambda m: place(m, length=10**6), "lies beyond the end"),
}  # fmt: skip


@pytest.mark.parametrize("name", LIES)
def test_what_the_metadata_say_that_is_not_so(name: str, tmp_path: Path) -> None:
    """One line, exit code 2, and the other tensors as if nothing were."""
    change, words = LIES[name]
    folder = tmp_path / "ck"
    good = distributed(tmp_path / "secret", {"x": (X, ROWS)}) / "__0_0.distcp"
    (tmp_path / "secret.distcp").write_bytes(good.read_bytes())
    (folder / "in").mkdir(parents=True)
    (folder / "in/secret.distcp").write_bytes(good.read_bytes())
    (folder / "link.distcp").symlink_to(tmp_path / "secret.distcp")
    os.mkfifo(folder / "fifo")
    distributed(folder, {"a": (X, ROWS), "x": (X, ROWS), "z": (X.half(), PINWHEEL)}, change)
    for args in (["inspect", folder, "--stats"], ["cast-compare", folder, "--to", "fp16"]):
        code, out, err = call(*args, "--json")
        assert code == 2
        (line,) = [line for line in err.splitlines() if "note:" not in line]
        assert words in line
        assert f"'{folder}': 'x' " in line
        assert len(line) < 500
        assert [row["tensor"] for row in json.loads(out)["results"]] == ["a", "z"]


def test_a_link_within_the_directory(tmp_path: Path) -> None:
    distributed(tmp_path, {"x": (X, ROWS)}, lambda m: place(m, relative_path="other.distcp"))
    (tmp_path / "other.distcp").symlink_to("__0_0.distcp")
    assert same(read(tmp_path)["x"], X)


def test_more_axes_than_are_read(tmp_path: Path) -> None:
    x = torch.zeros((2,) * 9)
    cuts = grid((2,) * 9, ((1,),) * 7 + ((), ()))
    distributed(tmp_path, {"x": (x, cuts), "y": (x, grid((2,) * 9, ((1,),) * 6 + ((),) * 3))})
    opened = open_all([tmp_path])
    assert [entry.name for source in opened.sources for entry in source.entries] == ["y"]
    assert opened.errors == (f"'{tmp_path}': 'x' is cut along 7 axes: 6 are read",)


def item(
    x: torch.Tensor, change: dict[str, bytes] | None = None, kind: int = zipfile.ZIP_STORED
) -> bytes:
    """What torch.save writes of a tensor, some of its records changed."""
    data, other = io.BytesIO(), io.BytesIO()
    torch.save(x.clone(), data)
    with zipfile.ZipFile(data) as old, zipfile.ZipFile(other, "w", kind) as new:
        for name in old.namelist():
            raw = (change or {}).get(name.partition("/")[2], old.read(name))
            new.writestr(name, raw)
    return other.getvalue()


ITEMS: dict[str, tuple[Callable[[torch.Tensor], Any], str]] = {
    "dtype": (lambda x: x.double(), "is of 'float64', not of float32"),
    "same size": (lambda x: x.view(torch.int32).clone(), "is of 'int32', not of float32"),
    "shape": (lambda x: x.t().clone(), "has the shape [10, 4] there"),
    "less": (lambda x: x[:1].clone(), "has the shape [1, 10] there"),
    "more axes": (lambda x: x[None].clone(), "has the shape [1, 4, 10] there"),
    "list": (lambda x: [x], "is no plain tensor"),
    "text": (lambda x: "words", "is no plain tensor"),
    "sparse": (lambda x: x.to_sparse(), "is no plain tensor"),
    "wide": (lambda x: x[:1].clone().expand(x.shape), "is not stored as plain numbers"),
    "gaps": (lambda x: torch.zeros(4, 20)[: len(x), ::2], "is not stored as plain numbers"),
    "negative": (lambda x: torch.complex(x, -x).conj().imag, "is not stored as plain numbers"),
}


@pytest.mark.parametrize("name", ITEMS)
def test_items_that_are_something_else(name: str, tmp_path: Path) -> None:
    item, words = ITEMS[name]
    distributed(tmp_path / "x", {"x": (X, ROWS)}, item=item)
    distributed(tmp_path / "y", {"y": (X, ROWS)})
    check_item(tmp_path / "x", words)
    code, out, err = call("cast-compare", tmp_path / "x", tmp_path / "y", "--to", "fp16", "--json")
    assert code == 2
    assert [row["tensor"] for row in json.loads(out)["results"]] == ["y"]
    assert words in err


def check_item(folder: Path, words: str) -> None:
    (source,) = open_files(str(folder))
    with pytest.raises(InputError) as error:
        list(source.entries[0].blocks(7))
    assert words in str(error.value)
    assert str(error.value).startswith(f"'{folder}': 'x', part [0:4, 0:10] in '__0_0.distcp' ")
    assert "\n" not in str(error.value)


def written(folder: Path, data: bytes) -> None:
    """The first part of `x` is these bytes."""
    distributed(folder, {"x": (X, ROWS)}, lambda m: place(m, length=len(data)))
    (folder / "__0_0.distcp").write_bytes(data)


class _Evil:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


def test_items_that_are_damaged(tmp_path: Path) -> None:
    part = X[:4]
    evil = io.BytesIO()
    torch.save(_Evil(tmp_path / "touched"), evil)
    for number, (data, words) in enumerate([
        (item(part, {"byteorder": b"big"}), "is not stored as plain numbers"),
        (item(part)[:-30], "is not what torch.save writes"),
        (item(part) + b"junk" * 20_000, "is not what torch.save writes"),
        (b"junk" * 500, "is not what torch.save writes"),
        (b"", "is not what torch.save writes"),
        (item(part, kind=zipfile.ZIP_DEFLATED), "is compressed"),
        (item(part, {"data/0": bytes(159)}), "is larger than its record"),
        (item(part, {"data.pkl": b"junk"}), "is a damaged torch file"),
        (evil.getvalue(), "is no plain tensor"),
    ]):  # fmt: skip
        written(tmp_path / str(number), data)
        check_item(tmp_path / str(number), words)
    assert not (tmp_path / "touched").exists()


def test_types_that_torch_only_stores(tmp_path: Path) -> None:
    distributed(tmp_path, {"x": (X, ROWS), "y": (X, ROWS)}, lambda m: attribute(m, "size", X.shape))
    path = tmp_path / ".metadata"
    metadata = pickle.loads(path.read_bytes())
    metadata.state_dict_metadata["x"].properties.dtype = torch.float4_e2m1fn_x2
    path.write_bytes(pickle.dumps(metadata))
    opened = open_all([tmp_path])
    assert opened.notes == (f"{tmp_path}: x: float4_e2m1fn_x2 is not read",)
    assert list(read(tmp_path)) == ["y"]
    path.write_bytes(path.read_bytes().replace(b"float4_e2m1fn_x2", b"\x1b[31m" + b"x" * 11))
    (note,) = open_all([tmp_path]).notes
    assert note.isprintable()


def test_a_name_that_comes_twice(tmp_path: Path) -> None:
    distributed(tmp_path, {"x": (X, ROWS), "y": (X.half(), ROWS)})
    path = tmp_path / ".metadata"
    path.write_bytes(path.read_bytes().replace(b"\x8c\1y", b"\x8c\1x"))
    opened = open_all([tmp_path])
    assert opened.errors == (f"'{tmp_path}': 'x' comes twice in the metadata",)


def test_a_file_cut_short_after_it_was_opened(tmp_path: Path) -> None:
    distributed(tmp_path, {"x": (X, ROWS)})
    (source,) = open_files(str(tmp_path))
    os.truncate(tmp_path / "__0_0.distcp", 500)
    with pytest.raises(InputError):
        list(source.entries[0].blocks(7))


# -- the metadata themselves -----------------------------------------------------------------------

HEAD = pickle.dumps(Metadata({}))[:60]


def opcodes(body: bytes) -> bytes:
    """A pickle that begins as metadata do."""
    name = b"torch.distributed.checkpoint.metadata"
    return b"\x80\x04\x8c" + bytes([len(name)]) + name + b"\x94\x8c\x08Metadata\x94\x93\x940" + body


BAD: dict[str, tuple[bytes, str]] = {
    "text": (b"hello", "does not begin as torch's do"),
    "another program's": (pickle.dumps({"x": 1}), "does not begin as torch's do"),
    "only code": (b"cos\nsystem\n(S'touch x'\ntR.", "does not begin as torch's do"),
    "ends": (HEAD, "a pickle that ends too early"),
    "nothing": (opcodes(b"N."), "it has no state_dict_metadata"),
    "another class": (
        opcodes(b"cos\nMetadata\n)\x81}(\x8c\x13state_dict_metadata}ub."), "has no state_dict",
    ),
    "code": (opcodes(b"cos\nsystem\n\x8c\x07touch x\x85R."), "it has no state_dict_metadata"),
    "no storage": (pickle.dumps(Metadata({})), "describes no files"),
    "empty": (pickle.dumps(Metadata({}, storage_data={})), "holds no tensors"),
    "bytes": (
        pickle.dumps(Metadata({"x": BytesStorageMetadata()}, storage_data={})),
        "holds no tensors that fpx reads ('x': no tensors, passed over)",
    ),
    "memo": (opcodes(b"Nr\xff\xff\xff\x01."), "more things than checkpoints have"),
    "key": (opcodes(b"})" + b"\x85" * 10**5 + b"Ns."), "a key of many parts"),
    "long": (opcodes(b"N0" * (33 << 20)), "67,108,864 are read"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_metadata_that_are_none(name: str, tmp_path: Path) -> None:
    data, words = BAD[name]
    (tmp_path / ".metadata").write_bytes(data)
    (tmp_path / "__0_0.distcp").write_bytes(b"")
    for source in (tmp_path, tmp_path / ".metadata"):
        refused(source, words)
        if name not in ("no storage", "empty", "bytes", "long"):
            refused(source, "is no metadata of a checkpoint: ")
            refused(source, ": save the checkpoint again")


_slow = partial(pytest.param, marks=pytest.mark.slow)


@pytest.mark.parametrize(
    "piece", [b"]", b")\x85", b"ca\nb\n)R", _slow(b"}"), _slow(b"X\0\0\0\0"), _slow(b"(")]
)
def test_metadata_that_would_take_all_memory(piece: bytes, tmp_path: Path) -> None:
    (tmp_path / ".metadata").write_bytes(opcodes(piece * ((60 << 20) // len(piece)) + b"."))
    (tmp_path / "__0_0.distcp").write_bytes(b"")
    found = memory_of("inspect", tmp_path)
    assert (found.code, found.out, found.err.count("\n")) == (2, "", 1)
    assert "more things than checkpoints have" in found.err
    assert found.megabytes < 500
    assert found.seconds < 20


def test_tensors_that_share_their_parts_cannot_claim_the_world(tmp_path: Path) -> None:
    folder = distributed(tmp_path, {"x": (torch.zeros(1 << 20), [((0,), (1 << 20,))])})
    metadata = pickle.loads((folder / ".metadata").read_bytes())
    for number in range(2000):
        name = f"y{number}"
        metadata.state_dict_metadata[name] = metadata.state_dict_metadata["x"]
        place = metadata.storage_data[MetadataIndex("x", torch.Size([0]))]
        metadata.storage_data[MetadataIndex(name, torch.Size([0]))] = place
    (folder / ".metadata").write_bytes(pickle.dumps(metadata))
    refused(folder, "claims tensors of")


def test_large_checkpoints_are_no_bombs(tmp_path: Path) -> None:
    """What the tensors claim is held against all files, not the metadata's."""
    x = torch.zeros(300 << 20, dtype=torch.uint8)
    distributed(tmp_path, {"x": (x, [((0,), x.shape)])})
    (source,) = open_files(str(tmp_path))
    assert source.stored is not None
    assert source.stored > x.nbytes


def test_memory_stays_flat_on_a_distributed_checkpoint(tmp_path: Path) -> None:
    x = torch.zeros(2048, 40_960)  # 320 MiB in float32
    x[17, 40_000] = 1e9
    columns = grid((2048, 40_960), ((1024,), tuple(range(4096, 40_960, 4096))))
    distributed(tmp_path, {"x": (x, columns)})
    del x
    found = memory_of("cast-compare", tmp_path, "--to", "fp16", "--json")
    assert found.code == 0
    assert json.loads(found.out)["totals"][0]["overflow_count"] == 1
    assert found.megabytes < 300


def test_what_is_named(tmp_path: Path) -> None:
    """The directory, or the metadata; a part alone is told to be one."""
    distributed(tmp_path, {"x": (X, ROWS)})
    assert same(read(tmp_path / ".metadata")["x"], X)
    refused(tmp_path / "__0_0.distcp", "is a part of a distributed checkpoint: name its directory")
    (tmp_path / ".metadata").rename(tmp_path / "__0.metadata")
    refused(tmp_path, "has no .metadata of all ranks: name one, such as __0.metadata")
    assert same(read(tmp_path / "__0.metadata")["x"], X)
    (tmp_path / "__0.metadata").unlink()
    refused(tmp_path, "no .metadata, which is written last")


def test_it_is_listed_without_torch(tmp_path: Path) -> None:
    distributed(tmp_path, {"x": (X, ROWS)})
    command = f"from fpx.cli.app import app; app(['inspect', {str(tmp_path)!r}])"
    assert loaded(command) == set()
    (row,) = results("inspect", tmp_path)
    assert (row["tensor"], row["dtype"], row["shape"]) == ("x", "float32", [6, 10])


def test_metadata_of_older_classes_and_protocols(tmp_path: Path) -> None:
    """torch has moved and renamed what the properties are of."""
    distributed(tmp_path, {"x": (X, ROWS)})
    data = pickle.dumps(pickle.loads((tmp_path / ".metadata").read_bytes()), 2)
    old = data.replace(
        b"ctorch.distributed.checkpoint.metadata\nTensorProperties\n",
        b"ctorch.distributed._shard.sharded_tensor.metadata\nTensorProperties\n",
    )
    assert old != data
    (tmp_path / ".metadata").write_bytes(old)
    assert same(read(tmp_path)["x"], X)


_RANK = """
import warnings; warnings.simplefilter("ignore")
import sys, torch, torch.distributed as dist, torch.distributed.checkpoint as dcp
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import Replicate, Shard, distribute_tensor
folder, rank = sys.argv[1], int(sys.argv[2])
dist.init_process_group("gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=2)
mesh = init_device_mesh("cpu", (2,))
x = torch.arange(35.0).reshape(5, 7)
dcp.save({
    "rows": distribute_tensor(x, mesh, [Shard(0)]),
    "columns": distribute_tensor(x.bfloat16(), mesh, [Shard(1)]),
    "one": distribute_tensor(x[:1], mesh, [Shard(0)]),
    "whole": distribute_tensor(x, mesh, [Replicate()]),
    "plain": x, "step": rank,
}, checkpoint_id=f"{folder}/ck")
dist.destroy_process_group()
"""


def test_what_two_processes_save(tmp_path: Path) -> None:
    """Uneven parts, and a rank that has nothing of a tensor."""
    ranks = [
        subprocess.Popen([*with_torch(), "-c", _RANK, str(tmp_path), str(rank)])
        for rank in range(2)
    ]
    assert [rank.wait(PATIENCE) for rank in ranks] == [0, 0]
    x = torch.arange(35.0).reshape(5, 7)
    found = read(tmp_path / "ck")
    assert set(found) == {"rows", "columns", "one", "whole", "plain"}
    assert all(same(found[name], x) for name in ("rows", "whole", "plain"))
    assert same(found["columns"], x.bfloat16())
    assert same(found["one"], x[:1])
