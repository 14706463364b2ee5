"""Bytes of files: parts of arrays, without the rest."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch

from fpx.errors import InputError
from fpx.tensors.files.raw import box_blocks, raw_blocks

HEAD = b"twelve bytes"


def read(x: np.ndarray[Any, Any], box: tuple[range, ...], limit: int, seek: int) -> list[list[int]]:
    file = io.BytesIO(HEAD + x.tobytes())
    blocks = box_blocks(file, len(HEAD), x.shape, box, x.itemsize, limit, "x", seek=seek)
    return [block.view(x.dtype).tolist() for block in blocks]


@pytest.mark.parametrize("dtype", ["<i4", ">i2", "u1"])
@pytest.mark.parametrize("shape", [(7,), (4, 5), (3, 4, 2), (2, 1, 3, 2)], ids=str)
def test_parts_of_arrays(shape: tuple[int, ...], dtype: str) -> None:
    x = np.arange(np.prod(shape)).astype(dtype).reshape(shape)
    along = [[range(n), range(1), range(n // 2, n), range(n // 3, n // 3 + 1)] for n in shape]
    for box in product(*along):
        expected = x[tuple(slice(r.start, r.stop) for r in box)].reshape(-1).tolist()
        for limit, seek in product((1, 3, 100), (0, 8, 1000)):
            blocks = read(x, box, limit, seek)
            assert [item for block in blocks for item in block] == expected
            assert max(map(len, blocks)) <= limit


def test_a_part_that_the_file_lacks() -> None:
    x = np.arange(20, dtype="<i4").reshape(4, 5)
    file = io.BytesIO(x.tobytes()[:-4])
    blocks = box_blocks(file, 0, x.shape, (range(3, 4), range(5)), 4, 2, "x.npy")
    with pytest.raises(InputError, match=r"x\.npy' ends too early"):
        list(blocks)


KEEPS: Mapping[str, Callable[[Any], Any]] = {
    "itself": lambda block: block,
    "a part": lambda block: block[100:70_000],
    "a part of another dtype": lambda block: block.view(np.int32)[5:][::3],
    "a tensor": torch.from_numpy,
    "an array of a tensor": lambda block: torch.from_numpy(block).view(torch.int32).numpy(),
}


@pytest.mark.parametrize("keep", KEEPS.values(), ids=KEEPS)
@pytest.mark.parametrize("size", [1 << 10, 1 << 17])
def test_memory_that_somebody_has_is_not_written_to(keep: Callable[[Any], Any], size: int) -> None:
    content = np.random.default_rng(1).integers(0, 256, 20 * size + 8, dtype=np.uint8)
    held: list[Any] = []
    for block in raw_blocks(io.BytesIO(content.tobytes()), len(content), 1, size, "x"):
        if len(held) < 20:
            held.append(keep(block))
    for number, kept in enumerate(held):
        assert np.array_equal(kept, keep(content[number * size : (number + 1) * size]))


def test_memory_that_nobody_has_is_written_to_again() -> None:
    content = bytes(100 << 17)
    places = set()
    for block in raw_blocks(io.BytesIO(content), len(content), 1, 1 << 17, "x"):
        places.add(block.ctypes.data)
    assert len(places) <= 2  # the loop has one while the next is read
