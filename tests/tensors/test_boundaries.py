"""Numbers around every rounding boundary of a format."""

from __future__ import annotations

import math

import pytest
import torch

from fpx.core.formats import FORMATS
from fpx.core.spec import FormatSpec
from fpx.tensors.boundaries import boundaries
from fpx.tensors.dtypes import cast_dtype
from tests import oracle
from tests.helpers import BF16, F16, F32


@pytest.mark.parametrize("target", [F16, BF16], ids=lambda s: s.name)
def test_boundaries_have_every_midpoint_and_both_sides(target: FormatSpec) -> None:
    x = {*boundaries(target, torch.float64).tolist()}
    ladder, finite = oracle.values(target)
    for low in range(finite):
        exact = (ladder[low] + ladder[low + 1]) / 2
        midpoint = float(exact)
        assert midpoint == exact
        above, below = math.nextafter(midpoint, math.inf), math.nextafter(midpoint, 0)
        assert {midpoint, above, below, -midpoint, -above, -below} <= x


CAST_TYPES = [spec for spec in FORMATS.values() if spec.torch is not None and spec.bits >= 8]


@pytest.mark.parametrize("source", CAST_TYPES, ids=lambda s: s.name)
def test_boundaries_in_every_source(source: FormatSpec) -> None:
    dtype = cast_dtype(source)
    for target in CAST_TYPES:
        x = boundaries(target, dtype)
        assert x.dtype == dtype
        values = x.to(torch.float64)
        assert values.isfinite().all()
        steps = values.diff()
        assert ((steps > 0) | ((values[1:] == 0) & (values[:-1] == 0))).all()  # -0 before 0
        assert (values.signbit().any()) == (source.signed and target.signed)
        assert float(values[-1]) == source.max_finite.fraction
        if source.signed and target.signed:
            assert torch.equal(values[values > 0], -values[values < 0].flip(0))


def test_boundaries_of_a_wide_target() -> None:
    x = boundaries(F32, torch.float64)
    assert 1e3 < x.numel() < 1e4
    assert (2.0**128 - 2.0**103) in x.tolist()


@pytest.mark.parametrize("target", [F32, FORMATS["tfloat32"]], ids=lambda s: s.name)
def test_boundaries_of_a_wide_target_end_with_its_largest_value(target: FormatSpec) -> None:
    """The last value of every binade, the largest above all, with float64's beside it."""
    found = set(boundaries(target, torch.float64).tolist())
    step = 1 << target.fraction_bits
    last = range(step - 1, target.max_finite_magnitude + 1, step)
    assert last[-1] == target.max_finite_magnitude
    for magnitude in last:
        x = float(target.finite(magnitude).fraction)
        around = {math.nextafter(x, 0), x, math.nextafter(x, math.inf)}
        assert around | {-y for y in around} <= found
