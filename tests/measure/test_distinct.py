"""Tensors of few codes, measured by code."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch

from fpx.core.spec import FormatSpec
from fpx.measure import fused
from fpx.measure.block import SourceBlock
from fpx.measure.distinct import DistinctValues, Tally, tally_codes
from fpx.tensors.dtypes import cast_dtype
from fpx.tensors.memory import entry_of
from tests.measure.definitions import TARGETS, same, taken


def tallies() -> list[Tally]:
    """Who counts: torch's operations, and the compiled loop where numba is."""
    loaded = fused.load()
    return [tally_codes, *([loaded[0].tally] if loaded else [])]


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("tally", tallies())
@pytest.mark.parametrize("target", TARGETS, ids=lambda s: s.name)
@pytest.mark.parametrize(
    "dtype",
    [torch.bfloat16, torch.float16, torch.float8_e5m2, torch.int8, torch.uint8, torch.bool,
     torch.int16],
    ids=str,
)  # fmt: skip
def test_distinct_codes_tell_the_same(
    dtype: torch.dtype, target: FormatSpec, tally: Tally, threads: int
) -> None:
    rng = np.random.default_rng(3)
    raw = torch.from_numpy(rng.integers(0, 256, 3 * 800 * dtype.itemsize, dtype=np.uint8))
    x = (raw % 2).bool() if dtype is torch.bool else raw.view(dtype)
    entry = entry_of("x", x[: len(x) // 3 * 3].view(-1, 3))
    read: list[int] = []
    seen = DistinctValues(entry, tally, threads, block=100)
    assert seen.distinct() is None
    seen.read(read.append)
    found = seen.distinct()
    assert found is not None
    assert sum(read) == entry.count
    assert len(found.block.x) <= 1 << (8 * dtype.itemsize)
    flat = next(iter(entry.blocks(1 << 20)))
    codes = flat.view(container_of(dtype)).tolist()
    own = found.block.x.view(container_of(dtype)).tolist()
    first = {code: at for at, code in reversed([*enumerate(codes)])}
    assert found.first == [first[code] for code in own] == sorted(found.first)
    assert found.block.weights is not None
    counts = Counter(codes)
    assert found.block.weights.tolist() == [counts[code] for code in own]
    q = found.block.x.to(cast_dtype(target))
    by_code = taken(found.block, q, target, found.first.__getitem__)
    same(by_code, taken(SourceBlock(flat), flat.to(cast_dtype(target)), target))


def container_of(dtype: torch.dtype) -> torch.dtype:
    return torch.uint8 if dtype.itemsize == 1 else torch.int16


def test_blocks_that_are_written_over() -> None:
    """By the next, which may be read while they are counted."""
    x = torch.arange(5000, dtype=torch.int16)
    held = torch.empty(100, dtype=torch.int16)

    def read(limit: int) -> Iterator[torch.Tensor]:
        for start in range(0, len(x), 100):
            held.copy_(x[start : start + 100])
            yield held

    def slowly(codes: torch.Tensor, start: int, counts: torch.Tensor, first: torch.Tensor) -> None:
        time.sleep(0.001)
        tally_codes(codes, start, counts, first)

    seen = DistinctValues(replace(entry_of("x", x), read=read, lasting=False), slowly, 2, block=100)
    seen.read(lambda more: None)
    found = seen.distinct()
    assert found is not None
    assert found.first == list(range(5000))
