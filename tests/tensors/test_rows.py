"""Blocks in row-major order and in whole groups, of every kind of source."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from math import prod
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from fpx.errors import InputError
from fpx.tensors.draws import Sample, named_source
from fpx.tensors.entry import TensorEntry
from fpx.tensors.memory import entry_of
from fpx.tensors.rows import boxes
from tests.forks import with_torch
from tests.helpers import F16
from tests.tensors.reading import open_files
from tests.writers import gguf

SHAPES = [(), (0,), (3, 0, 2), (1,), (7,), (5, 1), (1, 5), (13, 17), (3, 4, 5), (2, 1, 3, 1, 4)]


def numbered(shape: tuple[int, ...], dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """A tensor whose elements are 1, 2, 3, … in row-major order."""
    return (torch.arange(prod(shape), dtype=torch.int64) % 120 + 1).view(shape).to(dtype)


def transposed(x: torch.Tensor) -> torch.Tensor:
    """The same, with its last axis the slowest in its storage."""
    axes = tuple(range(x.dim()))[::-1]
    return x.permute(axes).contiguous().permute(axes)


def one(path: Path) -> TensorEntry:
    (source,) = open_files(str(path))
    (entry,) = source.entries
    return entry


# -- writers: how a tensor is stored, and its entry ------------------------------------------------

Store = Callable[[torch.Tensor, Path], TensorEntry]


def in_memory(x: torch.Tensor, _: Path) -> TensorEntry:
    return entry_of("x", x)


def in_memory_transposed(x: torch.Tensor, _: Path) -> TensorEntry:
    return entry_of("x", transposed(x))


def npy(x: torch.Tensor, path: Path) -> TensorEntry:
    np.save(path / "x.npy", x.numpy())
    return one(path / "x.npy")


def npy_fortran(x: torch.Tensor, path: Path) -> TensorEntry:
    np.save(path / "x.npy", np.asfortranarray(x.numpy()))
    return one(path / "x.npy")


def npy_fortran_swapped(x: torch.Tensor, path: Path) -> TensorEntry:
    np.save(path / "x.npy", np.asfortranarray(x.numpy()).astype(">f4"))
    return one(path / "x.npy")


def npz_fortran(x: torch.Tensor, path: Path) -> TensorEntry:
    np.savez_compressed(path / "x.npz", x=np.asfortranarray(x.numpy()))
    return one(path / "x.npz")


def torch_plain(x: torch.Tensor, path: Path) -> TensorEntry:
    torch.save({"x": x}, path / "x.pt")
    return one(path / "x.pt")


def torch_transposed(x: torch.Tensor, path: Path) -> TensorEntry:
    torch.save({"x": transposed(x)}, path / "x.pt")
    return one(path / "x.pt")


def torch_rotated_and_cut(x: torch.Tensor, path: Path) -> TensorEntry:
    """The first axis is the fastest in the storage, and every other element there is not x's."""
    axes = (*range(1, x.dim()), 0) if x.dim() else ()
    wide = torch.zeros([x.shape[axis] for axis in axes] + [2])
    wide[..., 1] = x.permute(axes)
    back = [axes.index(axis) for axis in range(x.dim())]
    torch.save({"x": wide[..., 1].permute(back)}, path / "x.pt")
    return one(path / "x.pt")


def torch_legacy(x: torch.Tensor, path: Path) -> TensorEntry:
    torch.save({"x": transposed(x)}, path / "x.pt", _use_new_zipfile_serialization=False)
    return one(path / "x.pt")


def safetensors(x: torch.Tensor, path: Path) -> TensorEntry:
    save_file({"x": x}, path / "x.safetensors")
    return one(path / "x.safetensors")


def gguf_file(x: torch.Tensor, path: Path) -> TensorEntry:
    (path / "x.gguf").write_bytes(gguf({"x": (0, tuple(x.shape), x.numpy().tobytes())}))
    return one(path / "x.gguf")


def hdf5(x: torch.Tensor, path: Path) -> TensorEntry:
    with h5py.File(path / "x.h5", "w") as file:
        file["x"] = x.numpy()
    return one(path / "x.h5")


def hdf5_chunked(x: torch.Tensor, path: Path) -> TensorEntry:
    with h5py.File(path / "x.h5", "w") as file:
        chunks = tuple(min(2, length) for length in x.shape) if x.numel() and x.dim() else None
        packed = {"compression": "gzip", "shuffle": True} if chunks else {}
        file.create_dataset("x", data=x.numpy(), chunks=chunks, **packed)
    return one(path / "x.h5")


STORES: list[Store] = [
    in_memory, in_memory_transposed, npy, npy_fortran, npy_fortran_swapped, npz_fortran,
    torch_plain, torch_transposed, torch_rotated_and_cut, torch_legacy, safetensors, gguf_file,
    hdf5, hdf5_chunked,
]  # fmt: skip


def cuts(shape: tuple[int, ...], group: int, limit: int) -> list[int]:
    """The lengths of blocks: as many whole groups of the rows as a block has room for."""
    row = shape[-1] if shape else 1
    groups = [min(group, row - at) for _ in range(prod(shape[:-1])) for at in range(0, row, group)]
    found: list[int] = []
    for length in groups:
        if found and found[-1] + length <= limit:
            found[-1] += length
        else:
            found.append(length)
    return found


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("store", STORES, ids=lambda store: store.__name__)
def test_row_major_blocks_and_whole_groups(
    store: Store, shape: tuple[int, ...], tmp_path: Path
) -> None:
    x = numbered(shape)
    entry = store(x, tmp_path)
    row = shape[-1] if shape else 1
    for limit in (1, 3, 16, 1000):
        for slab in (4, 28, 1 << 20):  # bytes: one element, seven, all
            blocks = [block.clone() for block in entry.blocks(limit, row_major=True, slab=slab)]
            assert max(map(len, blocks), default=0) <= limit
            assert torch.cat([torch.empty(0), *blocks]).tolist() == x.reshape(-1).tolist()
        for group in (2, 3, 4, 16, 1000):
            if min(group, row) > limit:
                with pytest.raises(InputError, match="no room for groups"):
                    list(entry.blocks(limit, multiple_of=group))
                continue
            blocks = [block.clone() for block in entry.blocks(limit, multiple_of=group, slab=28)]
            assert torch.cat([torch.empty(0), *blocks]).tolist() == x.reshape(-1).tolist()
            assert [len(block) for block in blocks] == cuts(shape, group, limit)


def test_a_row_that_groups_do_not_divide() -> None:
    entry = entry_of("x", torch.arange(20).view(2, 10))
    blocks = [block.tolist() for block in entry.blocks(5, multiple_of=4)]
    assert blocks == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9], [10, 11, 12, 13], [14, 15, 16, 17],
                      [18, 19]]  # fmt: skip
    (whole,) = entry.blocks(100, multiple_of=4)
    assert whole.tolist() == list(range(20))


@pytest.mark.parametrize("group", [0, -1])
def test_groups_have_elements(group: int) -> None:
    with pytest.raises(InputError, match="multiple_of"):
        entry_of("x", torch.ones(3)).blocks(5, multiple_of=group)


BOTH = [torch.float64, torch.float16, torch.int8, torch.uint8, torch.int16, torch.uint16,
        torch.int64, torch.uint64, torch.bool]  # fmt: skip
TORCHS = [torch.bfloat16, torch.float8_e4m3fn, torch.float8_e5m2]


@pytest.mark.parametrize(
    ("store", "dtype"),
    [(npy_fortran, dtype) for dtype in BOTH]
    + [(torch_transposed, dtype) for dtype in BOTH + TORCHS],
    ids=lambda item: getattr(item, "__name__", str(item)),
)
def test_every_dtype_in_row_major_order(store: Store, dtype: torch.dtype, tmp_path: Path) -> None:
    x = numbered((6, 9), dtype)
    entry = store(x, tmp_path)
    for slab in (8, 100, 1 << 20):
        blocks = [block.clone() for block in entry.blocks(4, row_major=True, slab=slab)]
        assert all(block.dtype is dtype for block in blocks)
        assert torch.equal(torch.cat(blocks).view(torch.uint8), x.reshape(-1).view(torch.uint8))


@pytest.mark.parametrize("kind", ["npy", "pt", "conj"])
def test_complex_numbers_in_row_major_order(kind: str, tmp_path: Path) -> None:
    z = torch.complex(numbered((4, 3, 5)), -numbered((4, 3, 5)))
    stored = z.permute(2, 0, 1).contiguous().permute(1, 2, 0)
    if kind == "npy":
        np.save(tmp_path / "x.npy", np.asfortranarray(z.numpy()))
        entry = one(tmp_path / "x.npy")
    else:
        torch.save({"x": stored.conj() if kind == "conj" else stored}, tmp_path / "x.pt")
        entry = one(tmp_path / "x.pt")
    expected = torch.view_as_real((z.conj() if kind == "conj" else z).resolve_conj()).reshape(-1)
    assert entry.order is not None
    for limit in (1, 2, 7, 1000):
        for slab in (4, 8, 40, 1 << 20):
            blocks = [block.clone() for block in entry.blocks(limit, row_major=True, slab=slab)]
            assert max(map(len, blocks)) <= limit
            assert torch.equal(torch.cat(blocks), expected)
        in_storage = [block.clone() for block in entry.blocks(limit)]
        assert max(map(len, in_storage)) <= limit
        assert torch.cat(in_storage).sort().values.equal(expected.sort().values)


@pytest.mark.parametrize("name", ["normal", "boundaries"])
def test_distributions_in_groups(name: str) -> None:
    (entry,) = named_source(name, Sample(torch.float32, 1003, 0, [F16])).entries
    plain = torch.cat([block.clone() for block in entry.blocks(100)])
    blocks = [block.clone() for block in entry.blocks(100, multiple_of=32)]
    assert torch.equal(torch.cat(blocks), plain)
    assert {len(block) for block in blocks[:-1]} == {96}


@pytest.mark.parametrize("shape", [(1,), (7,), (3, 4, 5), (2, 1, 3, 1, 4), (50, 2)])
@pytest.mark.parametrize("most", [1, 2, 5, 12, 1000])
def test_boxes_follow_each_other(shape: tuple[int, ...], most: int) -> None:
    x = torch.arange(prod(shape)).view(shape)
    parts = [x[tuple(slice(r.start, r.stop) for r in box)] for box in boxes(shape, most)]
    assert torch.cat([part.reshape(-1) for part in parts]).equal(x.reshape(-1))
    assert max(part.numel() for part in parts) <= most


@pytest.mark.parametrize("shape", [(5, 4, 3), (1, 6), ()])
def test_positions_in_either_order(shape: tuple[int, ...], tmp_path: Path) -> None:
    x = numbered(shape)
    entry = torch_transposed(x, tmp_path)
    flat = torch.cat([block.clone() for block in entry.blocks(7, row_major=True)])
    for position, value in enumerate(flat.tolist()):
        index = entry.index(position, row_major=True)
        assert x[index].item() == value
        assert entry.position(index, row_major=True) == position


# -- memory ----------------------------------------------------------------------------------------

_MEASURE = """
import resource, sys
import torch
from fpx.tensors.opening import open_all
((entry,),) = (source.entries for source in open_all(sys.argv[1:2]).sources)
next(entry.blocks(10, multiple_of=2, slab=1 << 16))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
assert entry.order is not None
at = 0
for block in entry.blocks(1 << 16, multiple_of=32, slab=8 << 20):
    rows = torch.arange(at, at + len(block)) // entry.shape[1]
    assert torch.equal(block, (rows % 1000).to(torch.float32))
    at += len(block)
assert at == entry.count
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10)
"""


@pytest.mark.parametrize("kind", ["npy", "pt"])
def test_memory_stays_flat_where_the_storage_has_another_order(kind: str, tmp_path: Path) -> None:
    path = tmp_path / f"x.{kind}"
    rows = (torch.arange(20_000) % 1000).to(torch.float32)
    x = rows.expand(2_000, 20_000).contiguous().t()  # 160 MB: each column after the other
    if kind == "npy":
        np.save(path, x.numpy())
    else:
        torch.save({"x": x}, path)
    del x
    result = subprocess.run(
        [*with_torch(), "-c", _MEASURE, str(path)],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    path.unlink()
    assert result.returncode == 0, result.stderr
    assert int(result.stdout) < 120  # megabytes: less than the file
