"""Files that have fewer bytes than they claim: no number is shown that is not in the file."""

from __future__ import annotations

import io
import json
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from tests.helpers import call, results
from tests.tensors.reading import read
from tests.writers import gguf, npy, rewritten, safetensors

FOUR = torch.tensor([1.0, 2.0, 3.0, 4.0])
WRITERS: dict[str, Callable[[Path], object]] = {}


def short(writer: Callable[[Path], object]) -> Callable[[Path], object]:
    """Registers a writer of a file that lacks bytes."""
    WRITERS[writer.__name__] = writer
    return writer


# -- torch -----------------------------------------------------------------------------------------


def cut(path: Path, count: int, value: object = None) -> None:
    """What torch.save writes, with `count` bytes in the record of the first storage."""
    rewritten(
        path,
        {"x": FOUR} if value is None else value,
        lambda name, data: data[:count] if name.endswith("data/0") else data,
    )


@short
def torch_3_bytes_for_4_floats(path: Path) -> None:
    cut(path, 3)


@short
def torch_no_bytes(path: Path) -> None:
    cut(path, 0)


@short
def torch_a_byte_too_few(path: Path) -> None:
    cut(path, 15)


@short
def torch_beside_a_whole_one(path: Path) -> None:
    cut(path, 3, {"x": FOUR, "y": FOUR * 2})


@short
def torch_before_a_record_that_nobody_uses(path: Path) -> None:
    cut(path, 3)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("archive/data/1", b"\1" * 64)


@short
def torch_without_the_record(path: Path) -> None:
    data = io.BytesIO()
    torch.save({"x": FOUR}, data)
    with zipfile.ZipFile(data) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            if not name.endswith("data/0"):
                new.writestr(name, old.read(name))


@short
def torch_of_the_other_byte_order(path: Path) -> None:
    def change(name: str, data: bytes) -> bytes:
        return b"big" if name.endswith("byteorder") else data[:3] if "/data/" in name else data

    rewritten(path, {"x": FOUR}, change)


@short
def torch_whose_directory_lies(path: Path) -> None:
    """The directory gives the record more bytes than there are before the next one."""
    cut(path, 4)
    data = bytearray(path.read_bytes())
    entry = next(
        at
        for at in range(len(data))
        if data[at : at + 4] == b"PK\1\2" and data[at + 46 :].startswith(b"archive/data/0")
    )
    struct.pack_into("<II", data, entry + 20, 16, 16)
    path.write_bytes(data)


@short
def torch_quantised(path: Path) -> None:
    x = torch.quantize_per_tensor(FOUR, 0.5, 0, torch.qint8)  # torch warns, once a process
    cut(path, 3, {"x": x})


@short
def legacy_torch_that_ends_early(path: Path) -> None:
    torch.save({"x": FOUR}, path, _use_new_zipfile_serialization=False)
    path.write_bytes(path.read_bytes()[:-3])


@short
def legacy_torch_whose_storage_is_shorter(path: Path) -> None:
    torch.save({"x": FOUR}, path, _use_new_zipfile_serialization=False)
    data = path.read_bytes()
    assert data.endswith(struct.pack("<Q4f", 4, *FOUR.tolist()))
    path.write_bytes(data[:-24] + struct.pack("<Q2f", 2, 1, 2))


# -- numpy -----------------------------------------------------------------------------------------

HEADER = b"{'descr':'<f4','fortran_order':False,'shape':(4,)}"


@short
def npy_that_ends_early(path: Path) -> None:
    path.write_bytes(npy(HEADER) + b"\1" * 15)


@short
def npy_in_fortran_order(path: Path) -> None:
    path.write_bytes(npy(HEADER.replace(b"False", b"True").replace(b"4,", b"2,2")) + b"\1" * 15)


@short
def npz_whose_member_ends_early(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", npy(HEADER) + b"\1" * 15)


@short
def npz_packed(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", npy(HEADER) + b"\1" * 15)


@pytest.mark.parametrize("unpacked", [False, True])
def test_npz_whose_directory_lies(unpacked: bool, tmp_path: Path) -> None:
    """The directory gives a member bytes of what follows it, in one of its sizes or in both."""
    path = tmp_path / "x.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", npy(HEADER) + b"\1" * 12)
        archive.writestr("y.npy", npy(HEADER) + b"\1" * 16)
    data = bytearray(path.read_bytes())
    entry, size = data.index(b"PK\1\2"), len(npy(HEADER)) + 16
    if unpacked:
        struct.pack_into("<I", data, entry + 24, size)
    else:
        struct.pack_into("<II", data, entry + 20, size, size)
    path.write_bytes(data)
    for args in (["inspect", path, "--stats"], ["cast-compare", path, "--to", "fp16"]):
        code, out, err = call(*args, "--json")
        assert (code, err.count("\n")) == (2, 1), err
        # an archive whose members overlap is refused whole; else only what lies is
        rows = {row["tensor"]: row for row in json.loads(out)["results"]} if out else {}
        assert "x" not in rows or rows["x"]["stats"] is None
        assert "y" in rows or not unpacked


# -- safetensors, GGUF -----------------------------------------------------------------------------


@short
def safetensors_that_ends_early(path: Path) -> None:
    save_file({"x": FOUR}, path)
    path.write_bytes(path.read_bytes()[:-1])


@short
def safetensors_with_a_shape_beyond_its_bytes(path: Path) -> None:
    path.write_bytes(safetensors('{"x":{"dtype":"F32","shape":[4],"data_offsets":[0,4]}}'))


@short
def gguf_that_ends_early(path: Path) -> None:
    path.write_bytes(gguf({"x": (0, (4,), FOUR.numpy().tobytes())}, alignment=1)[:-1])


# -- HDF5 ------------------------------------------------------------------------------------------


def chunk(path: Path, data: bytes, mask: int = 0, **kinds: Any) -> None:
    """A dataset of 8 floats in one chunk, whose bytes in the file are `data`."""
    with h5py.File(path, "w") as file:
        x = file.create_dataset("x", (8,), kinds.pop("dtype", "<f4"), chunks=(8,), **kinds)
        x.id.write_direct_chunk((0,), data, mask)


ONES = np.ones(3, "<f4").tobytes()


@short
def hdf5_chunk(path: Path) -> None:
    chunk(path, ONES)


@short
def hdf5_gzip(path: Path) -> None:
    chunk(path, zlib.compress(ONES), compression="gzip")


@short
def hdf5_gzip_too_long(path: Path) -> None:
    chunk(path, zlib.compress(ONES * 3), compression="gzip")


@short
def hdf5_gzip_that_ends_early(path: Path) -> None:
    chunk(path, zlib.compress(np.arange(8, dtype="<f4").tobytes())[:-9], compression="gzip")


@short
def hdf5_shuffled(path: Path) -> None:
    chunk(path, zlib.compress(ONES), compression="gzip", shuffle=True)


@short
def hdf5_lzf(path: Path) -> None:
    chunk(path, bytes([len(ONES) - 1]) + ONES, compression="lzf")


@short
def hdf5_of_which_a_filter_was_left_out(path: Path) -> None:
    chunk(path, ONES, mask=1, compression="lzf")


@short
def hdf5_scaled(path: Path) -> None:
    with h5py.File(path, "w") as file:
        x = file.create_dataset("x", (8,), "i4", chunks=(8,), scaleoffset=0, data=range(8))
        _, packed = x.id.read_direct_chunk((0,))
    chunk(path, packed[:22], dtype="i4", scaleoffset=0)  # 21, and 3 of 3 x 8 bits


@short
def hdf5_scaled_and_gzip(path: Path) -> None:
    with h5py.File(path, "w") as file:
        x = file.create_dataset("x", (8,), "i4", chunks=(8,), scaleoffset=0, data=range(8))
        _, packed = x.id.read_direct_chunk((0,))
    data = zlib.compress(packed[:22])
    chunk(path, data, dtype="i4", scaleoffset=0, compression="gzip")


@short
def hdf5_of_bits(path: Path) -> None:
    with h5py.File(path, "w") as file:
        bits(file).id.write_direct_chunk((0,), b"\1" * 19)  # of 20 bits each


def bits(file: Any) -> Any:
    """A dataset of 8 integers of 20 bits, without the 12 that are left."""
    kinds = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    kinds.set_chunk((8,))
    kinds.set_filter(5, 0, ())
    integers = h5py.h5t.STD_I32LE.copy()
    integers.set_precision(20)
    space = h5py.h5s.create_simple((8,))
    return h5py.Dataset(h5py.h5d.create(file.id, b"x", integers, space, kinds))


@short
def hdf5_in_one_piece(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["x"] = FOUR.numpy()
        place = file["x"].id.get_offset()
    data = path.read_bytes()
    where = struct.pack("<QQ", place, 16)
    assert data.count(where) == 1
    path.write_bytes(data.replace(where, struct.pack("<QQ", len(data) - 8, 16)))


@short
def hdf5_in_one_piece_of_fewer_bytes(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["x"] = FOUR.numpy()
        place = file["x"].id.get_offset()
    where = struct.pack("<QQ", place, 16)
    path.write_bytes(path.read_bytes().replace(where, struct.pack("<QQ", place, 12)))


def keras(path: Path, size: int, claimed: int) -> None:
    data = io.BytesIO()
    with h5py.File(data, "w") as file:
        file["x"] = FOUR.numpy()
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model.weights.h5", data.getvalue()[:size])
    archived = bytearray(path.read_bytes())
    struct.pack_into("<II", archived, archived.rindex(b"PK\1\2") + 20, claimed, claimed)
    path.write_bytes(archived)


@short
def keras_that_ends_early(path: Path) -> None:
    keras(path, -8, 2056)


@short
def keras_whose_directory_lies(path: Path) -> None:
    keras(path, -8, 2064)


# -- what is said of them --------------------------------------------------------------------------


def refused(path: Path) -> None:
    for args in (["inspect", path, "--stats"], ["cast-compare", path, "--to", "fp16"]):
        code, out, err = call(*args)
        assert (code, out, err.count("\n")) == (2, "", 1), err
        assert err.startswith("fpx: ")
        assert str(path) in err


@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor")
@pytest.mark.parametrize("name", WRITERS)
def test_a_file_with_too_few_bytes_is_refused(name: str, tmp_path: Path) -> None:
    WRITERS[name](tmp_path / "file")
    refused(tmp_path / "file")


def test_a_truncated_npy_is_refused_by_its_header_alone(tmp_path: Path) -> None:
    npy_that_ends_early(tmp_path / "file")
    code, out, err = call("inspect", tmp_path / "file")
    assert (code, out) == (2, "")
    assert "ends too early" in err


# -- and of whole ones -----------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["i4", "u2", "i8"])
@pytest.mark.parametrize(
    "packing",
    [{"compression": "gzip"}, {"compression": "gzip", "shuffle": True}, {"compression": "lzf"},
     {"compression": "lzf", "shuffle": True}, {"fletcher32": True}, {"scaleoffset": 0},
     {"scaleoffset": 0, "compression": "gzip", "shuffle": True},
     {"compression": "gzip", "shuffle": True, "fletcher32": True}],
    ids=str,
)  # fmt: skip
def test_every_packing_is_read(packing: dict[str, Any], dtype: str, tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    x = np.concatenate([np.arange(5000) % 97, generator.integers(0, 60_000, 5000)]).astype(dtype)
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.create_dataset("x", data=x, chunks=(1024,), **packing)
    assert np.array_equal(read(tmp_path / "x.h5", 97)["x"].numpy(), x)


def test_packed_bits_are_read(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "x.h5", "w") as file:
        bits(file)[:] = range(-4, 4)
    assert read(tmp_path / "x.h5")["x"].tolist() == list(range(-4, 4))


def test_szip_is_passed_over(tmp_path: Path) -> None:
    if not h5py.h5z.get_filter_info(h5py.h5z.FILTER_SZIP) & h5py.h5z.FILTER_CONFIG_ENCODE_ENABLED:
        pytest.skip("this h5py cannot write szip")
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["y"] = np.ones(3)
        file.create_dataset("x", data=np.arange(1024.0), chunks=(1024,), compression="szip")
    code, out, err = call("inspect", tmp_path / "x.h5", "--json")
    assert code == 0
    assert "x: szip does not tell where its data ends, and is not read" in err
    assert '"y"' in out


def test_chunks_that_were_never_written(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.create_dataset("x", (10,), "f4", chunks=(4,), compression="gzip", fillvalue=7)
        file["x"][:4] = 1
        file.create_dataset("y", (3,), "f4", fillvalue=5)
    found = read(tmp_path / "x.h5")
    assert found["x"].tolist() == [1] * 4 + [7] * 6
    assert found["y"].tolist() == [5] * 3


def test_storages_that_share_a_record_and_empty_ones(tmp_path: Path) -> None:
    base = torch.arange(6.0)
    value = {"a": base, "b": base[2:], "none": torch.empty(0), "half": base.half()}
    torch.save(value, tmp_path / "x.pt")
    found = read(tmp_path / "x.pt")
    assert all(torch.equal(found[name], value[name]) for name in value)
    assert [row["tensor"] for row in results("inspect", tmp_path / "x.pt")] == list(value)
