"""How far tensors are the same: against the position of the first difference."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from fpx.errors import InputError
from fpx.measure.equal import equal_elements
from fpx.tensors.blocks import Box
from fpx.tensors.entry import TensorEntry
from fpx.tensors.memory import entry_of
from tests.helpers import memory_of
from tests.tensors.reading import open_files

BLOCK = 6
BYTES = 8 * BLOCK


@pytest.fixture(params=[1, 2, 3])
def threads(request: pytest.FixtureRequest) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield
    torch.set_num_threads(before)


def stored(x: Tensor, path: Path) -> TensorEntry:
    """A tensor in a file."""
    if path.suffix == ".safetensors":
        save_file({"x": x.contiguous()}, path)
    elif path.suffix == ".pt":
        torch.save({"x": x}, path)
    else:
        np.save(path, x.numpy())
    ((entry,),) = (source.entries for source in open_files(str(path)))
    return entry


def found(first: TensorEntry, second: TensorEntry, block: int = BLOCK) -> int:
    """What is found of two tensors, of which all is told."""
    told: list[int] = []
    equal = equal_elements(first, second, block, told.append)
    assert sum(told) == equal
    return equal


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.int8])
@pytest.mark.parametrize("kind", ["safetensors", "npy", "pt", "memory"])
def test_all_parts_before_the_first_that_differs(
    kind: str, dtype: torch.dtype, tmp_path: Path
) -> None:
    if kind == "npy" and dtype is torch.bfloat16:
        dtype = torch.float16
    x = torch.arange(2001).to(dtype)

    def entry(tensor: Tensor, name: str) -> TensorEntry:
        return entry_of("x", tensor) if kind == "memory" else stored(tensor, tmp_path / name)

    first = entry(x, f"a.{kind}")
    blocks = 1 if kind == "memory" else 4  # that come together, since parts of files can be read
    part = blocks * BYTES // x.itemsize
    for position in (0, 1, part - 1, part, 5 * part + 7, 2000):
        other = x.clone()
        other.view(torch.uint8)[(position + 1) * x.itemsize - 1] ^= 1
        assert found(first, entry(other, f"b.{kind}")) == position // part * part
    assert found(first, entry(x.clone(), f"b.{kind}")) == 2001


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize(
    "shape", [(), (0,), (1,), (7, 0), (1, 1, 5), (40, 13), (3, 500), (2, 3, 70)]
)
def test_tensors_of_any_shape(shape: tuple[int, ...], tmp_path: Path) -> None:
    x = torch.randn(shape)
    first, second = (stored(x, tmp_path / f"{name}.safetensors") for name in "ab")
    assert found(first, second) == x.numel()
    for position in range(0, x.numel(), 17):
        other = x.clone()
        other.view(-1)[position] += 1
        assert found(first, stored(other, tmp_path / "c.safetensors")) <= position


def test_bits_count_not_values() -> None:
    nan = torch.tensor([0x7FC00000, 0x7FC00001], dtype=torch.int32).view(torch.float32)
    for a, b in ((nan[0], nan[1]), (torch.tensor(0.0), torch.tensor(-0.0))):
        x, y = (value.expand(1000).contiguous() for value in (a, b))
        assert found(entry_of("x", x), entry_of("x", y)) == 0
        assert found(entry_of("x", x), entry_of("x", x.clone())) == 1000


@pytest.mark.usefixtures("threads")
def test_other_layouts(tmp_path: Path) -> None:
    x = torch.arange(3000.0).view(600, 5)
    plain = stored(x, tmp_path / "x.safetensors")
    columns = x.t().contiguous().t()
    alike = [
        stored(columns, tmp_path / "x.npy"), stored(columns, tmp_path / "x.pt"),
        entry_of("x", columns), entry_of("x", torch.arange(6000.0)[::2].div(2).view(600, 5)),
    ]  # fmt: skip
    for other in alike:
        assert found(plain, other) == found(other, plain) == 3000
    columns[310, 2] = -1
    for other in (entry_of("x", columns), stored(columns, tmp_path / "y.npy")):
        assert found(plain, other) <= 310 * 5 + 2


def in_parts(x: Tensor, most: int, read: list[int]) -> TensorEntry:
    """A tensor that can be read in parts, in blocks of at most so many; notes what was read."""

    def read_box(limit: int, box: Box) -> Iterator[Tensor]:
        for block in torch.split(x[box[0].start : box[0].stop], min(limit, most)):
            read.append(len(block))
            yield block

    return replace(entry_of("x", x), read_box=read_box)


@pytest.mark.usefixtures("threads")
def test_blocks_that_are_cut_in_other_places() -> None:
    x = torch.arange(1000.0)
    read: list[int] = []
    assert found(in_parts(x, 5, read), in_parts(x, 7, read)) == 1000
    assert sum(read) == 2000


@pytest.mark.usefixtures("threads")
def test_what_comes_after_a_difference_is_not_read() -> None:
    x = torch.arange(100_000.0)
    read: list[int] = []
    assert found(in_parts(x, 1000, read), in_parts(x + 1, 1000, read)) == 0
    assert 0 < sum(read) < 2000


@pytest.mark.usefixtures("threads")
def test_a_file_that_was_cut_meanwhile(tmp_path: Path) -> None:
    first, second = (stored(torch.zeros(5000), tmp_path / f"{name}.npy") for name in "ab")
    with (tmp_path / "b.npy").open("r+b") as file:
        file.truncate(15_000)
    with pytest.raises(InputError, match=r"b\.npy' ends too early"):
        found(first, second)


@pytest.mark.parametrize("kind", ["safetensors", "pt"])
def test_memory_stays_flat(kind: str, tmp_path: Path) -> None:
    x = torch.zeros(60_000_000)  # 240 MB
    for name in "ab":
        stored(x, tmp_path / f"{name}.{kind}")
    result = memory_of("diff", tmp_path / f"a.{kind}", tmp_path / f"b.{kind}")
    assert (result.code, result.err) == (0, "")
    assert result.megabytes < 240  # less than one of the two
