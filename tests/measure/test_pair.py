"""A block beside what a cast made of it."""

from __future__ import annotations

import pytest
import torch

from fpx.core.formats import FORMATS
from fpx.core.spec import FormatSpec
from fpx.measure.block import SourceBlock
from fpx.measure.pair import Pair
from fpx.tensors.dtypes import cast_dtype
from tests.helpers import F64
from tests.measure.definitions import TARGETS, adversarial, same, taken


@pytest.mark.parametrize("target", [*TARGETS, FORMATS["float8_e5m2fnuz"]], ids=lambda s: s.name)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
def test_measuring_in_float32_loses_nothing(dtype: torch.dtype, target: FormatSpec) -> None:
    narrow_blocks = 0
    for x in adversarial(dtype, 1):
        q = x.to(cast_dtype(target))
        block = SourceBlock(x)
        same(taken(block, q, target), taken(block.wide, q, target))
        narrow_blocks += Pair(block, q, target).is_narrow
    assert (narrow_blocks > 2) == (target is not F64)
