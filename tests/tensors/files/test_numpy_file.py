"""npy and npz files."""

from __future__ import annotations

import io
import struct
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fpx.tensors.entry import COMPLEX_NOTE
from fpx.tensors.files.numpy_file import open_stdin
from tests.tensors.reading import check_file, notes, read, refused, rows_of
from tests.writers import npy, tensors


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("endian", ["<", ">"])
def test_numpy_files(tmp_path: Path, order: Any, endian: str) -> None:
    array = np.asarray(tensors()["weight"].numpy(), dtype=f"{endian}f4", order=order)
    np.save(tmp_path / "weight.npy", array)
    check_file(tmp_path / "weight.npy", str, ["weight"])
    at = rows_of(str(tmp_path / "weight.npy"))["weight"].max_abs_error_location
    assert at is not None
    assert array[at.index] == at.value


def test_npz(tmp_path: Path) -> None:
    arrays = {name: t.numpy() for name, t in tensors().items() if name != "brain"}
    np.savez_compressed(tmp_path / "x.npz", allow_pickle=False, **arrays)
    check_file(tmp_path / "x.npz", str, list(arrays))


def test_zip_bomb(tmp_path: Path) -> None:
    import zipfile

    path = tmp_path / "x.npz"
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<f4", "fortran_order": False, "shape": (1 << 29,)}
    )
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", header.getvalue() + b"\0" * (1 << 20))
    start = time.process_time()
    refused(path, "claims tensors of")
    assert time.process_time() - start < 2


def test_complex_numpy(tmp_path: Path) -> None:
    for dtype in ("<c8", ">c16"):
        np.save(tmp_path / "x.npy", np.array([[1 + 2j, 3 - 4j]]).astype(dtype))
        assert read(tmp_path / "x.npy")["x"].tolist() == [[[1, 2], [3, -4]]]


def test_complex_arrays_are_noted(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.ones(2, complex))
    np.savez(tmp_path / "y.npz", z=np.ones(2, np.complex64), real=np.ones(2))
    assert notes(tmp_path / "x.npy") == [f"x: {COMPLEX_NOTE}"]
    assert notes(tmp_path / "y.npz") == [f"z: {COMPLEX_NOTE}"]
    data = io.BytesIO((tmp_path / "x.npy").read_bytes())
    assert open_stdin(data).notes == (f"stdin: {COMPLEX_NOTE}",)


def test_complex_in_fortran_order(tmp_path: Path) -> None:
    z = np.asfortranarray(np.arange(6).reshape(2, 3) * (1 + 2j))
    np.save(tmp_path / "x.npy", z)
    assert np.array_equal(read(tmp_path / "x.npy")["x"].numpy(), np.stack([z.real, z.imag], -1))


def test_text_beside_numbers_and_python_2(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", a=np.ones(3), words=np.array(["x"]))
    assert set(read(tmp_path / "x.npz")) == {"a"}
    assert notes(tmp_path / "x.npz") == ["words: no numbers that torch has, not read"]
    np.savez(tmp_path / "y.npz", a=np.ones(3), things=np.array([None]))
    assert set(read(tmp_path / "y.npz")) == {"a"}
    assert notes(tmp_path / "y.npz") == ["things: Python objects (a pickle), not read"]
    header = b"{'descr':'<f4','fortran_order':False,'shape':(2L,)}"
    (tmp_path / "old.npy").write_bytes(npy(header) + struct.pack("<2f", 1, 2))
    assert read(tmp_path / "old.npy")["old"].tolist() == [1, 2]


def test_many_members_of_an_archive(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", *[np.ones(3)] * 3000)
    found = read(tmp_path / "x.npz")
    assert len(found) == 3000


KINDS = [
    f"{order}{kind}"
    for order in ("", "<", ">", "=", "|")
    for kind in (
        "f2", "f4", "f8", "f16", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1", "c8", "c16",
        "c32", "e", "f", "d", "b", "B", "h", "H", "i", "I", "q", "Q", "?", "F", "D", "U3", "S4",
        "V2", "M8[s]", "m8", "O", "float32", "uint16", "bool", "int128", "f3", "", "float8_e4m3fn",
    )
]  # fmt: skip


@pytest.mark.parametrize("descr", KINDS)
def test_a_header_says_what_numpy_understands(descr: str, tmp_path: Path) -> None:
    """Of every dtype that numpy and torch both have, in each byte order: its numbers."""
    path = tmp_path / "x.npy"
    header = f"{{'descr': {descr!r}, 'fortran_order': False, 'shape': (2,), }}\n".encode()
    try:
        dtype: np.dtype[Any] | None = np.dtype(descr)
    except TypeError:
        dtype = None
    known = dtype is not None and dtype.kind in "fiubc" and dtype.newbyteorder("=") in TORCHS
    if dtype is None or not known or descr in WORDS:
        path.write_bytes(npy(header) + bytes(64))
        refused(path, "Python objects" if dtype == np.dtype("O") else "which torch lacks")
        return
    values = np.array([1, 0]).astype(dtype)
    path.write_bytes(npy(header) + values.tobytes())
    found = read(path)["x"]
    expected = values.astype(dtype.newbyteorder("="))
    if dtype.kind == "c":
        expected = np.stack([expected.real, expected.imag], -1)
    assert np.array_equal(found.numpy(), expected)
    assert found.numpy().dtype == expected.dtype
    path.write_bytes(path.read_bytes()[:-1])
    refused(path, "ends too early")


WORDS = ("", "float32", "uint16", "bool")  # numpy takes these too, and writes none of them
TORCHS = {np.dtype(name) for name in ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4",
                                      "u8", "b1", "c8", "c16")}  # fmt: skip


@pytest.mark.parametrize(
    ("header", "words"),
    [
        (b"", "is a damaged .npy file"),
        (b"{'descr':'<f4','fortran_order':False}", "its header says other things"),
        (b"{'descr':'<f4','fortran_order':0,'shape':(2,)}", "its header says other things"),
        (b"{'descr':'<f4','fortran_order':False,'shape':[2]}", "its header says other things"),
        (b"{'descr':'<f4','fortran_order':False,'shape':(2,),'x':1}", "other things"),
        (b"{'descr':'<f4','fortran_order':False,'shape':(True,)}", "its shape is (True,)"),
        (b"{'descr':'<f4','fortran_order':False,'shape':(2.0,)}", "its shape is (2.0,)"),
        (b"{'descr':'<f4','fortran_order':False,'shape':(__import__('os'),)}", "is a damaged"),
        (b"{'descr':[('a','<f4'),('b','O')],'fortran_order':False,'shape':(2,)}", "Python objects"),
        (b"{'descr':[('a','<f4')],'fortran_order':False,'shape':(2,)}", "which torch lacks"),
    ],
)
def test_headers_that_numpy_does_not_write(header: bytes, words: str, tmp_path: Path) -> None:
    (tmp_path / "x.npy").write_bytes(npy(header) + bytes(8))
    refused(tmp_path / "x.npy", words)


def test_versions_and_magic(tmp_path: Path) -> None:
    header = b"{'descr':'<f4','fortran_order':True,'shape':(3L, 1L)}"
    data = struct.pack("<3f", 1, 2, 3)
    path = tmp_path / "x.npy"
    for version in (1, 2):
        path.write_bytes(npy(header, version) + data)
        assert read(path)["x"].tolist() == [[1], [2], [3]]
    path.write_bytes(npy(header, 3) + data)
    refused(path, ".npy version (3, 0) is not read")
    np.savez(tmp_path / "x.npz", a=np.ones(1))
    (tmp_path / "x.npz").write_bytes(rezipped(b"no array at all, but of some length"))
    refused(tmp_path / "x.npz", "it does not begin as one")


def rezipped(data: bytes) -> bytes:
    import zipfile

    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("a.npy", data)
    return archive.getvalue()
