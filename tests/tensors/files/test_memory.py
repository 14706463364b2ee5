"""Files larger than the memory that reading them takes."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from tests.helpers import memory_of
from tests.writers import gguf


def measured(path: Path) -> tuple[int, int, int]:
    """(elements, overflows, megabytes beyond `import torch`) of a comparison in its own process."""
    command = ("cast-compare", path, "--to", "fp16", "--to", "bf16", "--json")
    found = memory_of(*command)
    assert (found.code, found.err) == (0, "")
    total = json.loads(found.out)["totals"][0]
    return total["count"], total["overflow_count"], found.megabytes


@pytest.mark.parametrize("kind", ["h5", "h5 chunked", "gguf"])
def test_memory_stays_flat_for_other_kinds(kind: str, tmp_path: Path) -> None:
    count = 60_000_000  # 240 MB of zeros and one value too large
    path = tmp_path / "x"
    if kind == "gguf":
        path.write_bytes(gguf({"x": (0, (2, count // 2), b"")}))
        with path.open("r+b") as file:
            file.seek(0, 2)
            file.write(struct.pack("<f", 1e9))
            file.truncate(file.tell() + 4 * count - 4)
    else:
        with h5py.File(path, "w") as file:
            chunks = (1, 1 << 18) if kind == "h5 chunked" else None
            data = file.create_dataset("x", (2, count // 2), "f4", chunks=chunks)
            data[:] = np.zeros((2, count // 2), "f4")
            data[0, 0] = 1e9
    found, overflows, megabytes = measured(path)
    assert (found, overflows) == (count, 1)
    assert megabytes < 200  # less than the file


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["safetensors", "npy", "pt"])
def test_memory_stays_flat_on_6_gb(kind: str, tmp_path: Path) -> None:
    count = 1_500_000_000
    path = tmp_path / f"x.{kind}"
    block = np.random.default_rng(0).standard_normal(1 << 24, dtype=np.float32)
    block[12345] = 1e9
    whole, rest = divmod(count, len(block))
    with path.open("wb") as file:
        if kind == "npy":
            header = {"descr": "<f4", "fortran_order": False, "shape": (count,)}
            np.lib.format.write_array_header_1_0(file, header)
        elif kind == "safetensors":
            entry = f'{{"dtype":"F32","shape":[{count}],"data_offsets":[0,{4 * count}]}}'
            text = f'{{"x":{entry}}}'.encode()
            file.write(struct.pack("<Q", len(text)) + text)
        for _ in range(whole):
            file.write(block.data)
        file.write(block[:rest].data)
    if kind == "pt":  # from the raw numbers, mapped: nothing of 6 GB is in memory at once
        raw = path.rename(tmp_path / "raw")
        torch.save({"x": torch.from_file(str(raw), size=count)}, path)
        raw.unlink()
    written = whole + (rest > 12345)
    found, overflows, megabytes = measured(path)
    path.unlink()
    assert (found, overflows) == (count, written)
    assert megabytes < 500


def sparse_safetensors(path: Path, tensors: int, count: int) -> None:
    """Many tensors of that many float32: zeros that take no room, and one value too large each."""
    size = 4 * count
    entries = (
        f'"{n}":{{"dtype":"F32","shape":[{count}],"data_offsets":[{n * size},{(n + 1) * size}]}}'
        for n in range(tensors)
    )
    header = ("{" + ",".join(entries) + "}").encode()
    header += b" " * (-len(header) % 8)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(header)) + header)
        start = file.tell()
        file.truncate(start + tensors * size)
        for n in range(tensors):
            file.seek(start + n * size + 4 * (n % count))
            file.write(struct.pack("<f", 1e9))


@pytest.mark.slow
def test_memory_stays_flat_on_many_tensors(tmp_path: Path) -> None:
    """What one tensor took is given back before the next; little is kept of each."""
    sparse_safetensors(tmp_path / "x.safetensors", 400, 1 << 18)  # 1 MB each
    found, overflows, megabytes = measured(tmp_path / "x.safetensors")
    assert (found, overflows) == (400 << 18, 400)
    assert megabytes < 200  # less than the file
    sparse_safetensors(tmp_path / "many.safetensors", 2000, 7)
    found, overflows, megabytes = measured(tmp_path / "many.safetensors")
    assert (found, overflows) == (14_000, 2000)
    assert megabytes < 200


@pytest.mark.parametrize("kind", ["safetensors", "npy", "pt"])
def test_memory_stays_flat(kind: str, tmp_path: Path) -> None:
    count = 150_000_000  # 600 MB; zeros that take no room, but in torch's own file
    path = tmp_path / f"x.{kind}"
    if kind == "safetensors":
        sparse_safetensors(path, 1, count)
    elif kind == "npy":
        header = {"descr": "<f4", "fortran_order": False, "shape": (2, count // 2)}
        with path.open("wb") as file:
            np.lib.format.write_array_header_1_0(file, header)
            file.truncate(file.tell() + 4 * count)
    else:
        torch.save({"x": torch.zeros(2, count // 2)}, path)
    compared, _, megabytes = measured(path)
    path.unlink()
    assert compared == count
    assert megabytes < 500


def test_a_thin_slice_of_a_large_storage_stays_small(tmp_path: Path) -> None:
    torch.save({"x": torch.zeros(1_000_000, 200)[:, 3]}, tmp_path / "x.pt")
    found = memory_of("cast-compare", tmp_path / "x.pt", "--to", "fp16")
    (tmp_path / "x.pt").unlink()
    assert found.code == 0
    assert found.megabytes < 300  # of 800


def test_memory_is_that_of_the_command_alone(tmp_path: Path) -> None:
    """However much the tests hold themselves, which is what getrusage would begin with."""
    held = np.ones(700 << 20, np.uint8)
    np.save(tmp_path / "x.npy", np.ones(1 << 20, np.float32))
    found = memory_of("inspect", tmp_path / "x.npy", "--stats")
    assert held[-1] == 1
    assert (found.code, found.err) == (0, "")
    assert 20 < found.megabytes < 300
    assert 0 < found.seconds < 20
