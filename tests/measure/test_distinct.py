"""Tensors of few codes, measured by code."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from fpx.core.spec import FormatSpec
from fpx.measure.block import SourceBlock
from fpx.measure.distinct import DistinctValues
from fpx.measure.stats import CastStats
from fpx.tensors.dtypes import cast_dtype
from fpx.tensors.entry import entry_of
from tests.measure.definitions import TARGETS, same


@pytest.mark.parametrize("target", TARGETS, ids=lambda s: s.name)
@pytest.mark.parametrize(
    "dtype",
    [torch.bfloat16, torch.float16, torch.float8_e5m2, torch.int8, torch.uint8, torch.bool,
     torch.int16],
    ids=str,
)  # fmt: skip
def test_distinct_codes_tell_the_same(dtype: torch.dtype, target: FormatSpec) -> None:
    rng = np.random.default_rng(3)
    raw = torch.from_numpy(rng.integers(0, 256, 3 * 800 * dtype.itemsize, dtype=np.uint8))
    x = (raw % 2).bool() if dtype is torch.bool else raw.view(dtype)
    entry = entry_of("x", x[: len(x) // 3 * 3].view(-1, 3))
    read: list[int] = []
    seen = DistinctValues(replace(entry, blocks=lambda limit: entry.blocks(min(limit, 100))))
    assert seen.block() is None
    seen.read(read.append)
    source = seen.block()
    assert source is not None
    assert sum(read) == entry.count
    assert max(read) <= 100
    assert len(source.x) <= 1 << (8 * dtype.itemsize)
    by_code, direct = CastStats(), CastStats()
    by_code.add(source, source.x.to(cast_dtype(target)), target)
    flat = next(iter(entry.blocks(1 << 20)))
    whole = SourceBlock(flat, lambda i: ("x", entry.index(i)))
    direct.add(whole, flat.to(cast_dtype(target)), target)
    same(by_code, direct)
