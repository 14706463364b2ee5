"""HDF5 files, Keras archives among them."""

from __future__ import annotations

import struct
import sys
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from fpx.errors import InputError
from fpx.tensors.files.hdf5_file import open_hdf5
from tests.helpers import call
from tests.tensors.reading import notes, open_files, read
from tests.writers import X, keras_archive


@pytest.mark.parametrize("chunks", [None, (2, 5), (7, 1), (3, 3)])
@pytest.mark.parametrize("dtype", ["<f4", ">f4", "<f8", "<f2", "<i4", ">i2", "?"])
def test_hdf5(tmp_path: Path, dtype: str, chunks: tuple[int, ...] | None) -> None:
    values = (X.numpy() % 100).astype(dtype)
    with h5py.File(tmp_path / "x.h5", "w") as file:
        packed = {"compression": "gzip"} if chunks else {}
        file.create_dataset("model/layer/kernel", data=values, chunks=chunks, **packed)
        file["model/scalar"] = 1.5
        file["empty"] = np.zeros((0, 3))
    found = read(tmp_path / "x.h5")
    assert set(found) == {"model/layer/kernel", "model/scalar", "empty"}
    assert np.array_equal(found["model/layer/kernel"].numpy(), values.astype(values.dtype.str[1:]))
    assert found["model/scalar"].item() == 1.5


def test_hdf5_never_leaves_the_file(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["secret"] = np.ones(3)
    (tmp_path / "raw.bin").write_bytes(b"\0" * 24)
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["mine"] = np.ones(3, "f4")
        file["link"] = h5py.ExternalLink("other.h5", "secret")
        file["soft"] = h5py.SoftLink("/mine")
        file["alias"] = file["mine"]
        file["loop"] = file["/"]
        file.create_dataset("raw", (3,), "f8", external=[(str(tmp_path / "raw.bin"), 0, 24)])
        layout = h5py.VirtualLayout((3,), "f8")
        layout[:] = h5py.VirtualSource(tmp_path / "other.h5", "secret", (3,))
        file.create_virtual_dataset("virtual", layout)
        file["text"] = "words"
        file["complex"] = np.array([1 + 2j, 3 - 4j])
        file.create_dataset("huge", (1 << 20,), "f8", chunks=(1 << 20,), compression="gzip")
        file["huge chunk"] = 0
        del file["huge chunk"]
        file.create_dataset("huge chunk", (1 << 24,), "f8", chunks=(1 << 24,))
    found = read(tmp_path / "x.h5")
    assert "mine" in found or "alias" in found
    assert set(found) <= {"mine", "alias", "complex", "huge"}
    assert found["complex"].tolist() == [[1, 2], [3, -4]]
    told = "\n".join(notes(tmp_path / "x.h5"))
    for name in ("link", "soft", "loop", "raw", "virtual", "text", "huge chunk"):
        assert f"{name}: " in told


def test_keras(tmp_path: Path) -> None:
    found = read(keras_archive(tmp_path / "x.keras"), limit=101)
    assert list(found) == ["layers/dense/vars/0", "layers/dense/vars/1", "optimizer/vars/0"]
    assert torch.equal(found["layers/dense/vars/0"], torch.arange(200_000.0).view(500, 400))
    assert torch.equal(found["layers/dense/vars/1"], torch.ones(400, dtype=torch.float16))
    assert int(found["optimizer/vars/0"]) == 3
    with pytest.raises(InputError, match="compressed"):
        open_files(str(keras_archive(tmp_path / "y.keras", zipfile.ZIP_DEFLATED)))


def test_hdf5_without_h5py_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["x"] = 1.0
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(Exception, match=r"fpx-cli\[hdf5\]") as error:
        open_files(str(tmp_path / "x.h5"))
    assert getattr(error.value, "exit_code", None) == 3


def test_a_crash_of_libhdf5_is_a_line(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["x"] = np.ones(3)
    (tmp_path / "crash.py").write_text("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)")
    with pytest.raises(InputError, match=r"x\.h5' is a damaged HDF5 file: libhdf5 gave up"):
        open_hdf5(tmp_path / "x.h5", program=tmp_path / "crash.py")


def test_a_loop_of_libhdf5_is_a_line(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["x"] = np.ones(3)
    (tmp_path / "loop.py").write_text("while True: pass")
    with pytest.raises(InputError, match="libhdf5 gave up"):
        open_hdf5(tmp_path / "x.h5", program=tmp_path / "loop.py", patience=1)


def test_hdf5_names_are_no_paths(tmp_path: Path) -> None:
    """A link called `aa/d` would be found behind the external link `aa`."""
    with h5py.File(tmp_path / "decoy.h5", "w") as file:
        file["d"] = np.full(3, 7.0)
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["a"] = np.ones(3)
        file["aa"] = h5py.ExternalLink("decoy.h5", "/")
        file["aa_d"] = np.zeros(3)
    data = (tmp_path / "x.h5").read_bytes()
    assert data.count(b"aa_d") == 1
    (tmp_path / "x.h5").write_bytes(data.replace(b"aa_d", b"aa/d"))
    assert list(read(tmp_path / "x.h5")) == ["a"]
    assert "aa/d: no name that HDF5 allows" in notes(tmp_path / "x.h5")


@pytest.mark.parametrize(
    ("shape", "chunks"),
    [((20_000, 6), (1, 6)), ((30_000,), (1,)), ((3, 20_000), (1, 1)), ((40, 40, 40), (7, 1, 3))],
)
def test_hdf5_of_many_small_chunks(
    shape: tuple[int, ...], chunks: tuple[int, ...], tmp_path: Path
) -> None:
    x = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.create_dataset("x", data=x, chunks=chunks)
    assert np.array_equal(read(tmp_path / "x.h5", limit=101)["x"].numpy(), x)
    (source,) = open_files(str(tmp_path / "x.h5"))
    flat = torch.cat([block.clone() for block in source.entries[0].blocks(1 << 17)])
    assert np.array_equal(flat.numpy(), x.reshape(-1))


def test_hdf5_is_read_by_several_at_a_time(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["x"] = np.arange(5000.0)
        file["y"] = -np.arange(5000.0)
    (source,) = open_files(str(tmp_path / "x.h5"))
    x, y = (entry.blocks(7) for entry in source.entries)
    for start in range(0, 700, 7):
        expected = torch.arange(start, start + 7, dtype=torch.float64)
        assert torch.equal(next(x), expected)
        assert torch.equal(next(y), -expected)
    del x  # in the middle
    assert sum(len(block) for block in source.entries[0].blocks(999)) == 5000


def test_hdf5_after_a_user_block_and_elements_that_are_arrays(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "x.mat", "w", userblock_size=1024) as file:
        file["x"] = np.arange(3.0)
        file.create_dataset("arrays", (4,), np.dtype(("<f4", (3,))))
    assert read(tmp_path / "x.mat")["x"].tolist() == [0, 1, 2]
    assert any(note.startswith("arrays: ") for note in notes(tmp_path / "x.mat"))


@pytest.mark.parametrize("command", ["inspect", "cast-compare"])
def test_a_chunk_that_runs_past_the_end_is_damage(command: str, tmp_path: Path) -> None:
    path = tmp_path / "x.h5"
    with h5py.File(path, "w") as file:
        dataset = file.create_dataset("x", data=np.arange(100.0), chunks=(50,))
        place = dataset.id.get_chunk_info(1).byte_offset
    data = path.read_bytes()
    key = struct.pack("<IIQQQ", 400, 0, 50, 0, place)  # bytes, filters, where in x, where here
    assert data.count(key) == 1
    for offset in (len(data) - 8, len(data) - 399, len(data), 1 << 62):
        moved = struct.pack("<IIQQQ", 400, 0, 50, 0, offset)
        path.write_bytes(data.replace(key, moved))
        code, out, err = call(command, path)
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert "a chunk of 'x' is not in it" in err
    path.write_bytes(data.replace(key, struct.pack("<IIQQQ", 400, 0, 50, 0, len(data) - 400)))
    assert call(command, path)[0] == 0
