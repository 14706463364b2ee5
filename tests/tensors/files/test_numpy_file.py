"""npy and npz files."""

from __future__ import annotations

import io
import struct
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

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


def test_complex_in_fortran_order(tmp_path: Path) -> None:
    z = np.asfortranarray(np.arange(6).reshape(2, 3) * (1 + 2j))
    np.save(tmp_path / "x.npy", z)
    assert np.array_equal(read(tmp_path / "x.npy")["x"].numpy(), np.stack([z.real, z.imag], -1))


def test_text_beside_numbers_and_python_2(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", a=np.ones(3), words=np.array(["x"]))
    assert set(read(tmp_path / "x.npz")) == {"a"}
    assert notes(tmp_path / "x.npz") == ["words: no numbers that torch has, not read"]
    header = b"{'descr':'<f4','fortran_order':False,'shape':(2L,)}"
    (tmp_path / "old.npy").write_bytes(npy(header) + struct.pack("<2f", 1, 2))
    assert read(tmp_path / "old.npy")["old"].tolist() == [1, 2]


def test_many_members_of_an_archive(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", *[np.ones(3)] * 3000)
    found = read(tmp_path / "x.npz")
    assert len(found) == 3000
