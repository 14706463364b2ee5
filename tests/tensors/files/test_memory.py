"""Files larger than the memory that reading them takes."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from tests.helpers import memory_of
from tests.writers import gguf


def measured(path: Path) -> tuple[int, int, int]:
    """(elements, overflows, megabytes beyond `import torch`) of a comparison in its own process."""
    found = memory_of("cast-compare", path, "--to", "fp16", "--to", "bf16", "--json")
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


def test_memory_stays_flat_on_many_tensors(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    save_file({f"layer.{i}.weight": torch.full((7,), 1e6) for i in range(2000)}, path)
    found, overflows, megabytes = measured(path)
    assert (found, overflows) == (14_000, 14_000)
    assert megabytes < 500


@pytest.mark.parametrize("kind", ["safetensors", "npy", "pt"])
def test_memory_stays_flat(kind: str, tmp_path: Path) -> None:
    count = 150_000_000  # 600 MB; zeros, so that writing them is quick
    path = tmp_path / f"x.{kind}"
    tensor = torch.zeros(2, count // 2)
    if kind == "safetensors":
        save_file({"x": tensor}, path)
    elif kind == "npy":
        np.save(path, tensor.numpy())
    else:
        torch.save({"x": tensor}, path)
    del tensor
    compared, _, megabytes = measured(path)
    path.unlink()
    assert compared == count
    assert megabytes < 500


def test_a_thin_slice_of_a_large_storage_stays_small(tmp_path: Path) -> None:
    torch.save({"x": torch.zeros(2_000_000, 200)[:, 3]}, tmp_path / "x.pt")
    found = memory_of("cast-compare", tmp_path / "x.pt", "--to", "fp16")
    (tmp_path / "x.pt").unlink()
    assert found.code == 0
    assert found.megabytes < 500
