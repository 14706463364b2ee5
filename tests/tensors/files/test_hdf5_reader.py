"""The program that reads HDF5, started by its path."""

from __future__ import annotations

import json
import subprocess
import sys
import zlib
from itertools import chain, product
from pathlib import Path

import h5py
import numpy as np
import pytest

from fpx.tensors.files import hdf5_reader
from fpx.tensors.files.hdf5_file import READER


@pytest.mark.parametrize("safe", [[], ["-P"]], ids=["plain", "-P"])
def test_its_neighbours_are_not_imported_for_libraries(safe: list[str], tmp_path: Path) -> None:
    """Without -P, Python looks for numpy and all that numpy imports beside the program first."""
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["x"] = np.arange(3, dtype=np.int16)
    result = subprocess.run(
        [sys.executable, *safe, str(READER), str(tmp_path / "x.h5"), "0", "-1"],
        input=b'{"name": "x", "limit": 2}\n', capture_output=True, timeout=60,
    )  # fmt: skip
    assert (result.returncode, result.stderr) == (0, b"")
    frames, data = [], result.stdout
    while data:
        length = int.from_bytes(data[:8], "little")
        frames.append(data[8 : 8 + length])
        data = data[8 + length :]
    assert json.loads(frames[0]) == {
        "datasets": [{"name": "x", "dtype": "<i2", "shape": [3]}],
        "notes": [],
    }
    assert frames[1:] == [b"\0\0\1\0", b"\2\0", b""]


def test_no_module_is_named_like_a_library() -> None:
    beside = {path.stem for path in READER.parent.glob("*.py")} - {"__init__"}
    libraries = {"torch", "numpy", "h5py", "safetensors", "ml_dtypes", "gguf", "rich", "typer"}
    assert not beside & (libraries | sys.stdlib_module_names)


@pytest.mark.parametrize(
    ("packed", "size"),
    [(b"", 0), (b"\0a", 1), (b"\1ab", 2), (b"\1ab\x20\1", 5), (b"\1ab\xe0\x05\1", 16),
     (b"\1ab\xe0", -1), (b"\1ab\x20", -1), (b"\5ab", -1)],
)  # fmt: skip
def test_what_lzf_unpacks_to(packed: bytes, size: int) -> None:
    assert hdf5_reader._lzf_size(packed, 100) == size


@pytest.mark.parametrize("width", [1, 2, 4, 8, 3])
@pytest.mark.parametrize("length", [0, 1, 24, 25])
def test_bytes_in_order_again(length: int, width: int) -> None:
    data = bytes(range(length))
    count = length // width
    shuffled = b"".join(data[at : count * width : width] for at in range(width))
    assert hdf5_reader._unshuffled(shuffled + data[count * width :], width) == data


LAYOUTS = [((10,), (3,)), ((7, 10), (2, 4)), ((7, 10), (7, 3)), ((3, 4, 5), (2, 3, 2))]
"""Shapes of datasets, and of their chunks."""


@pytest.mark.parametrize("limit", [1, 7, 10, 1000])
@pytest.mark.parametrize(("shape", "chunks"), LAYOUTS)
def test_what_comes_before_a_damaged_chunk_is_read(
    shape: tuple[int, ...], chunks: tuple[int, ...], limit: int, tmp_path: Path
) -> None:
    """The first elements of a large file are there at once, and no false ones come after them."""
    x = np.arange(1, np.prod(shape) + 1, dtype=np.int32).reshape(shape)
    starts = [range(0, length, chunk) for length, chunk in zip(shape, chunks, strict=True)]
    furthest = 0
    for number, at in enumerate(product(*starts)):
        path = tmp_path / f"{number}.h5"
        with h5py.File(path, "w") as file:
            dataset = file.create_dataset("x", data=x, chunks=chunks, compression="gzip")
            dataset.id.write_direct_chunk(at, zlib.compress(bytes(4)))
        seen: list[int] = []
        with h5py.File(path) as file, path.open("rb") as raw:
            found = hdf5_reader.Chunks(file["x"], raw)
            blocks = hdf5_reader.elements(file["x"], limit, found)
            with pytest.raises(ValueError, match="a chunk of 'x' does not unpack to its length"):
                seen.extend(chain.from_iterable(map(np.ndarray.tolist, blocks)))
        assert seen == [*range(1, len(seen) + 1)]
        assert len(seen) < x[at]
        furthest = max(furthest, len(seen))
    assert (furthest > 0) == (limit < x.size and len(starts[0]) > 1)


@pytest.mark.parametrize("at", [(0, 0), (0, 8), (2, 0), (2, 4), (6, 8)])
def test_no_chunk_is_looked_at_before_its_turn(at: tuple[int, int], tmp_path: Path) -> None:
    with h5py.File(tmp_path / "x.h5", "w") as file:
        x = file.create_dataset("x", data=np.ones((7, 10)), chunks=(2, 4), compression="gzip")
        x.id.write_direct_chunk(at, zlib.compress(bytes(4)))
    with h5py.File(tmp_path / "x.h5") as file, (tmp_path / "x.h5").open("rb") as raw:
        found = hdf5_reader.Chunks(file["x"], raw)
        for start in {0, 2, 4, 6} - {at[0]}:
            found.check((), start, min(start + 2, 7))
        with pytest.raises(ValueError, match="does not unpack to its length"):
            found.check((), at[0], at[0] + 1)


def test_damage_of_what_a_chunk_is_packed_by_names_the_dataset(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "x.h5", "w") as file:
        x = file.create_dataset("g/x", data=np.zeros(8), chunks=(8,), compression="gzip")
        x.id.write_direct_chunk((0,), b"none of zlib's")
    with h5py.File(tmp_path / "x.h5") as file, (tmp_path / "x.h5").open("rb") as raw:
        found = hdf5_reader.Chunks(file["g/x"], raw)
        with pytest.raises(ValueError, match=r"a chunk of 'g/x' does not unpack: .*header check"):
            found.check((), 0, 8)
