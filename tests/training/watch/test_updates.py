"""Whether updates move weights, against exact arithmetic on every one of them."""

from __future__ import annotations

from fractions import Fraction

import pytest
import torch
from torch import Tensor

from fpx.core.codec import decode, round_exact
from fpx.core.formats import FORMATS
from fpx.core.spec import FormatSpec
from fpx.tensors.dtypes import codes_of, spec_of
from fpx.training.watch.targets import watched_formats
from fpx.training.watch.updates import MOVES, Moves, moves
from tests.training.watch.oracle import code

TARGETS = watched_formats("all")


def values(x: Tensor) -> list[Fraction | None]:
    source = spec_of(x.dtype)
    assert source is not None
    found = (decode(code(each, source), source) for each in codes_of(x).tolist())
    return [None if value is None else value.fraction for value in found]


def stored(value: Fraction, spec: FormatSpec) -> Fraction | None:
    """The number that a format holds of it; None where it is infinite or NaN there."""
    found = decode(round_exact(*value.as_integer_ratio(), spec).code, spec)
    return None if found is None else found.fraction


def expected(before: Tensor, after: Tensor, wanted: Tensor, target: FormatSpec | None) -> Moves:
    count = moved = lost = broken = 0
    pairs = zip(values(before), values(after), wanted.tolist(), strict=True)
    for old, new, meant in pairs:
        held = old if old is None or target is None else stored(old, target)
        if old is None or held is None:
            continue
        count += 1
        broken += new is None
        if new is None:
            moved += 1
            continue
        there = new if target is None else stored(held + (new - old), target)
        moved += there != held
        lost += there == held and (meant or new != old)
    return Moves(count, moved, lost, broken)


def weights(dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Weights and what steps of many sizes make of them: lost, just lost, just not, far off."""
    generator = torch.Generator().manual_seed(5)
    n = 4000
    exponents = torch.randint(-20, 12, (n,), generator=generator).double()
    before = torch.randn(n, generator=generator).double() * 2.0**exponents
    before[: n // 4] = before[: n // 4].bfloat16().double()  # so that ties occur
    before[n // 4 : n // 2] = before[n // 4 : n // 2].half().double()
    before[:40] = 0
    step = 2.0 ** torch.randint(-30, 3, (n,), generator=generator).double()
    step *= torch.randn(n, generator=generator).sign().double()
    ties = 2.0 ** (before.abs().clamp(min=1e-30).log2().floor() - 8 - torch.arange(n) % 4)
    step = torch.where(torch.arange(n) % 2 == 0, ties * step.sign(), step * before.abs())
    step[::7] = 0
    before = before.to(dtype)
    after = (before.double() + step).to(dtype)
    after[5], before[6], after[7], before[8] = torch.nan, torch.inf, torch.inf, torch.nan
    before[100], after[100] = 0.0, -0.0
    before[101:105] = torch.tensor([65504.0, -65504.0, 448.0, 6.0])
    after[101:105] = torch.tensor([65536.0, -65536.0, 1000.0, 7.0])
    return before, after


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16],
                         ids=str)  # fmt: skip
def test_moves_are_those_of_exact_arithmetic(dtype: torch.dtype) -> None:
    before, after = weights(dtype)
    wanted = torch.arange(before.numel()) % 3 != 0
    own = spec_of(dtype)
    assert own is not None
    targets = tuple(target for target in TARGETS if target != own)
    rows = moves(before, after, wanted, own, targets).tolist()
    found = [Moves(*row) for row in rows]
    assert found[0] == expected(before, after, wanted, None)
    for target, row in zip(targets, found[1:], strict=True):
        assert row == expected(before, after, wanted, target), target.name
    assert all(row.lost_update_count and row.moved_count for row in found)


@pytest.mark.parametrize("target", TARGETS, ids=lambda spec: spec.name)
def test_ties_go_to_what_is_even(target: FormatSpec) -> None:
    """Every value of a format, half a gap up and down, and a hair more and less."""
    tops = range(min(target.max_finite_magnitude + 1, 300))
    olds, news = [], []
    for magnitude in tops:
        value = target.finite(magnitude).fraction
        for other in (magnitude - 1, magnitude + 1):
            if 0 <= other <= target.max_finite_magnitude:
                half = (target.finite(other).fraction - value) / 2
                for factor in (Fraction(1), 1 + Fraction(1, 1 << 20), 1 - Fraction(1, 1 << 20)):
                    olds += [float(value), -float(value)]
                    news += [float(value + half * factor), -float(value + half * factor)]
    before, after = (torch.tensor(each, dtype=torch.float64) for each in (olds, news))
    wanted = torch.ones(len(olds), dtype=torch.bool)
    found = moves(before, after, wanted, FORMATS["float64"], (target,))
    assert Moves(*found[1].tolist()) == expected(before, after, wanted, target)


def test_differences_that_float64_rounds_are_compared_exactly() -> None:
    """float16 stores 1e-30 as 0; what it takes to move it is just more than half of 2^-24."""
    half = FORMATS["float16"]
    before = torch.tensor([1e-30, -1e-30, 1e-30, 0.0], dtype=torch.float32)
    after = torch.tensor([2.0**-25, 2.0**-25, -(2.0**-25), 2.0**-25], dtype=torch.float32)
    found = moves(before, after, torch.ones(4, dtype=torch.bool), FORMATS["float32"], (half,))
    # less than the half; more; more; the half itself, which goes to zero
    assert found[1].tolist() == [4, 2, 2, 0]


def test_nothing_is_nothing() -> None:
    nothing = torch.empty(0)
    found = moves(nothing, nothing, nothing.bool(), FORMATS["float32"], (FORMATS["float16"],))
    assert found.tolist() == [[0] * MOVES] * 2
