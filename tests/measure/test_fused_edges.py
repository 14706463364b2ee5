"""What is rare in blocks that the compiled measurer takes, at the edges of its stretches."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch

from fpx.casts.backends import BACKENDS
from fpx.casts.values import values
from fpx.core.formats import FORMATS
from fpx.core.names import find_format
from fpx.core.spec import FormatSpec
from fpx.core.thresholds import Thresholds
from fpx.measure import fused, narrow
from fpx.measure.block import SourceBlock
from fpx.measure.measurement import NOTHING, Known
from fpx.measure.metrics import measure
from fpx.tensors.dtypes import container, origin_of
from tests.helpers import BF16, E4M3, E5M2, F16, F32
from tests.measure.plain import measure_plainly
from tests.measure.test_metrics import equal

pytest.importorskip("numba")
_loaded = fused.load()
assert _loaded is not None
FUSED = _loaded[0]
STRETCH = 1 << 11
TINY = 2.0**-149
TARGETS = [F16, BF16, E4M3, F32, find_format("fp4"), find_format("tf32")]
"""By each of the kernel's ways to read results, and as float64s."""

EDGES = [(1, 0), (2, 1), (STRETCH, STRETCH - 1), (STRETCH + 1, STRETCH), (5000, 0), (5000, 2047),
         (5000, 2048), (5000, 3000), (5000, 4999)]  # fmt: skip
"""How long a block is, and where in it something is."""


def cast(x: torch.Tensor, target: FormatSpec) -> torch.Tensor:
    """What correct rounding makes of numbers."""
    return BACKENDS["exact"].results(x, F32, target)


def tame(count: int) -> torch.Tensor:
    """Numbers between 1 and 2, of all bits."""
    return torch.from_numpy(np.random.default_rng(count).uniform(1, 2, count).astype(np.float32))


def both(x: torch.Tensor, q: torch.Tensor, target: FormatSpec, known: Known = NOTHING) -> None:
    """The compiled measurer says what torch's says."""
    equal(FUSED(SourceBlock(x), q, target, known), measure(SourceBlock(x), q, target, known))


@pytest.mark.parametrize("target", TARGETS, ids=lambda s: s.name)
@pytest.mark.parametrize("special", [math.nan, math.inf, -math.inf, 1e30, 0.0, -0.0, TINY, -1.0])
@pytest.mark.parametrize(("count", "at"), EDGES)
def test_one_number_that_is_unlike_the_others(
    count: int, at: int, special: float, target: FormatSpec
) -> None:
    x = tame(count)
    x[at] = special
    both(x, cast(x, target), target)
    x = torch.zeros(count)
    x[at] = special
    both(x, cast(x, target), target)


@pytest.mark.parametrize("target", TARGETS, ids=lambda s: s.name)
@pytest.mark.parametrize(("count", "at"), EDGES)
def test_one_result_that_is_wrong(count: int, at: int, target: FormatSpec) -> None:
    x = tame(count)
    right = cast(x, target)
    for wrong in (math.nan, math.inf, -math.inf, 0.0, -1.0, 0.5, 4.0):
        q = right.clone()
        q[at] = torch.tensor(wrong).to(right.dtype)
        both(x, q, target)


@pytest.mark.parametrize("target", [F16, BF16, E4M3, E5M2], ids=lambda s: s.name)
@pytest.mark.parametrize("off", [-2, -1, 0, 1, 2])
def test_results_some_ulps_off(off: int, target: FormatSpec) -> None:
    """Beside the definitions: of numbers of every size, up to less than half the smallest."""
    least = 2.0 ** (target.emin - target.fraction_bits)
    tiny = torch.tensor([0.25, 0.49, 0.5 - 2.0**-25, 0.5, 0.51, 0.75, 1, 1.4, 1.5, 2.5]) * least
    exponents = torch.arange(math.ceil(math.log2(least)) - 26, 3)
    for x in (tiny, 2.0**exponents, -1.3 * 2.0**exponents, 1.9 * 2.0**exponents, tame(9)):
        codes = cast(x, target).view(torch.uint8 if target.bits == 8 else torch.int16)
        magnitude = codes & target.magnitude_mask
        moved = codes + torch.where(magnitude.to(torch.int32) + off >= 0, off, 0).to(codes.dtype)
        q = moved.view(cast(x, target).dtype)
        for some in (slice(None), *(slice(at, at + 1) for at in range(len(x)))):
            source = SourceBlock(x[some])
            plain = measure_plainly(source, q[some], target)
            equal(measure(source, q[some], target), plain)
            equal(FUSED(source, q[some], target), plain)


@pytest.mark.parametrize("target", TARGETS, ids=lambda s: s.name)
@pytest.mark.parametrize(("count", "at"), EDGES)
def test_what_overflows_and_is_saturated(count: int, at: int, target: FormatSpec) -> None:
    """Which is half an ulp off, at the threshold itself, as is a tie below it."""
    top = float(target.max_finite.fraction)
    thresholds = Thresholds.of(target)
    for number in (thresholds.overflow, math.nextafter(thresholds.overflow, 0), top):
        x = tame(count)
        x[at] = min(number, torch.finfo(torch.float32).max)
        q = cast(x, target)
        q[at] = torch.tensor(top).to(q.dtype)
        both(x, q, target)


def test_what_does_not_overflow_has_no_larger_exponent() -> None:
    """So ulps need no bound above in float32."""
    others = ("e3m0", "e8m1", "e5m7", "binary8p1se", "binary8p4sf", "binary10p2se")
    for target in (*FORMATS.values(), *map(find_format, others)):
        if narrow.measures(target):
            assert Thresholds.of(target).overflow <= 2.0 ** (target.emax + 1)


@pytest.mark.parametrize("target", TARGETS, ids=lambda s: s.name)
def test_casts_that_are_right_are_measured_in_float32(target: FormatSpec) -> None:
    """At a third of the cost: of normal, subnormal and vanishing numbers, with zeros.

    And of every number of the target.
    """
    if target.bits <= 16:
        every = values(torch.arange(1 << target.bits).to(container(target)), target).float()
        _measured_in_float32(every[every.isfinite()], target)
    for scale in (1.0, float(target.smallest_normal.fraction), 2.0**-20, TINY):
        x = torch.cat([tame(5000) * scale, torch.zeros(3)])
        _measured_in_float32(x, target)
        _measured_in_float32(-x, target)


def _measured_in_float32(x: torch.Tensor, target: FormatSpec) -> None:
    block, q = narrow.Scanned(FUSED._kernel, x.numpy()), cast(x, target)
    assert narrow.Pass(FUSED._kernel, block, q, target, NOTHING).is_exact


KNOWN = [0.0, TINY, 0.25, 0.5, 1.0, math.nextafter(1.0, 2.0), 1.5, 3.0, math.inf, math.nan]


@pytest.mark.parametrize("target", TARGETS, ids=lambda s: s.name)
@pytest.mark.parametrize("known", KNOWN)
def test_whatever_is_known(known: float, target: FormatSpec) -> None:
    """Of blocks with relative errors below, of and above 1; only what is larger is told."""
    least = 2.0 ** (target.emin - target.fraction_bits)
    for x in (tame(3), torch.tensor([1.5, least * 0.3]), torch.zeros(2), torch.tensor([least / 2])):
        right = cast(x, target)
        above = right.clone()
        above[-1] = max(least, TINY)
        for q in (right, above):
            for name in ("max_abs", "surviving_max_abs_error", "surviving_max_rel_error",
                         "surviving_max_error_ulp"):  # fmt: skip
                found = FUSED(SourceBlock(x), q, target, Known({name: known}))
                equal(found, measure_plainly(SourceBlock(x), q, target, Known({name: known})))


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.int64], ids=str)
def test_what_is_known_of_blocks_that_are_left_to_torch(dtype: torch.dtype) -> None:
    """And of such as are measured in float64: numbers whose squares overflow, and others."""
    for most in (1e300, 3.0) if dtype is torch.float64 else (2.0**62, 3.0):
        x = torch.tensor([1, 2, most]).to(dtype)
        q = BACKENDS["exact"].results(x, origin_of(dtype), F16)
        every = measure(SourceBlock(x), q, F16)
        for known in (NOTHING, Known({"max_abs": 2.5}), Known({"max_abs": most}, every.firsts)):
            both(x, q, F16, known)


@pytest.mark.parametrize("target", TARGETS, ids=lambda s: s.name)
def test_the_first_of_equals_and_what_is_known_of_it(target: FormatSpec) -> None:
    """In one stretch, in two, with other signs, and beside a known maximum just below and equal."""
    for places in itertools.combinations((0, 1, 2047, 2048, 2049, 4096, 4999), 2):
        x = torch.ones(5000)
        x[list(places)] = torch.tensor([-1.3000001, 1.3000001])
        q = cast(x, target)
        source = SourceBlock(x)
        found = FUSED(source, q, target).maxima
        assert {most.position for most in found.values()} == {places[0]}
        values = {name: most.value for name, most in found.items()}
        assert FUSED(source, q, target, Known(values)).maxima == {}
        below = {name: math.nextafter(value, 0) for name, value in values.items()}
        assert FUSED(source, q, target, Known(below)).maxima == found


def _plain_scan(x: torch.Tensor) -> tuple[int, int, dict[int, int]]:
    """Zeros, the first of the largest, and exponents of finite numbers."""
    numbers = [abs(number) for number in x.tolist()]
    exponents: dict[int, int] = {}
    for number in numbers:
        if number:
            exponent = math.frexp(number)[1] - 1
            exponents[exponent] = exponents.get(exponent, 0) + 1
    return numbers.count(0), numbers.index(max(numbers)), exponents


@pytest.mark.parametrize("count", [1, 2, 5, 2047, 2048, 2049, 4097, 6000])
@pytest.mark.parametrize("scale", [1.0, 2.0**-126, 2.0**-127, 2.0**-140, TINY, 0.0])
def test_what_is_told_of_a_block_before_its_casts(scale: float, count: int) -> None:
    """Zeros of both signs among normal and subnormal numbers; the largest comes thrice."""
    rng = np.random.default_rng(count)
    x = torch.from_numpy((rng.integers(-3, 4, count) * scale).astype(np.float32))
    x[x == 0] *= torch.from_numpy(rng.choice([-1.0, 1.0], int((x == 0).sum())).astype(np.float32))
    for at in (count // 3, count // 2, count - 1):
        most = x.clone()
        most[[at, count - 1]] = 5.0
        for block in (x, most, -most):
            scanned = narrow.Scanned(FUSED._kernel, block.numpy())
            zeros, first, exponents = _plain_scan(block)
            assert (scanned.zeros, scanned.exponents) == (zeros, exponents)
            assert scanned.where_most == first
            assert scanned.most == block.abs().max()
            least = [abs(number) for number in block.tolist() if number]
            assert scanned.least == min(least) if least else math.isnan(scanned.least)
            assert scanned.signal == pytest.approx(float(block.double().square().sum()), rel=1e-12)


@pytest.mark.parametrize("name", ["binary10p2se", "binary9p1se", "binary12p4se", "e8m1"])
@pytest.mark.parametrize("scale", [1.0, 2.0**-125, 2.0**-127, 2.0**-128, 2.0**-140])
def test_formats_whose_smallest_normal_is_subnormal_in_float32(name: str, scale: float) -> None:
    target = find_format(name)
    x = torch.from_numpy(np.random.default_rng(1).standard_normal(40) * scale).float()
    for some in (x, x[:1], torch.cat([x, torch.zeros(2)])):
        source, q = SourceBlock(some), cast(some, target)
        equal(FUSED(source, q, target), measure_plainly(source, q, target))
