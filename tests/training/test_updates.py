"""Who is moved by an update: against Fractions, weight by weight."""

from __future__ import annotations

from fractions import Fraction
from math import isqrt

import pytest
import torch
from torch import Tensor

from fpx.core.formats import FORMATS
from fpx.core.spec import FormatSpec
from fpx.tensors.memory import entry_of
from fpx.training import updates
from fpx.training.optimizers import SGD, Adam, AdamW, Optimizer
from fpx.training.updates import Largest, Moving, together
from tests.training.test_steps import becomes

BF16, F16, E4M3 = (FORMATS[n] for n in ("bfloat16", "float16", "float8_e4m3fn"))
SPECS = [BF16, F16, E4M3]
BITS = 300


def ends(its: Optimizer, w: Fraction, moments: list[Fraction]) -> tuple[Fraction, Fraction]:
    """The update between two bounds, by integers."""
    if isinstance(its, SGD):
        return (-its.lr * moments[0],) * 2
    m, v = moments
    b1, b2 = (1 - beta**its.step for beta in its.betas)
    square = v / b2 * 4**BITS
    low = isqrt(square.numerator // square.denominator)
    roots = (low,) if low * low == square else (low, low + 1)
    decay = its.shrink * w
    found = [-its.lr * m / b1 / (Fraction(r, 2**BITS) + its.eps) - decay for r in roots]
    return min(found), max(found)


def plainly(its: Optimizer, x: Tensor, moments: list[Tensor], spec: FormatSpec) -> list[int]:
    """(count, undefined, zero, lost), one by one."""
    counts = [len(x), 0, 0, 0]
    for at, value in enumerate(x.tolist()):
        numbers = [moment[at].item() for moment in moments]
        plain = all(abs(n) < float("inf") for n in (value, *numbers))
        q = becomes(Fraction(value), spec) if plain else None
        divisor = len(numbers) == 1 or (numbers[1] >= 0 and (numbers[1] > 0 or its.eps))
        if q is None or not divisor:
            counts[1] += 1
            continue
        low, high = ends(its, q, [Fraction(n) for n in numbers])
        if low == high == 0:
            counts[2] += 1
            continue
        after = {becomes(q + update, spec) for update in (low, high)}
        assert len(after) == 1
        counts[3] += after == {q}
    return counts


def found(its: Optimizer, x: Tensor, moments: list[Tensor], spec: FormatSpec) -> list[int]:
    moving = Moving(its, spec)
    exact = [moment.double() for moment in moments]
    for start in range(0, len(x), 37):
        end = start + 37
        moving.take(x[start:end], [moment[start:end] for moment in exact])
    of = moving.moved
    return [of.count, of.undefined, of.zero, of.lost]


def adam(kind: type[Adam] = AdamW, lr: float = 1e-3, **kinds: float) -> Adam:
    betas = (Fraction(0.9), Fraction(0.999))
    decay = Fraction(kinds.get("decay", 0.01)) if kind is AdamW else Fraction(0)
    return kind(Fraction(lr), betas, Fraction(kinds.get("eps", 1e-8)), 200, decay)


def state(count: int = 300) -> tuple[Tensor, list[Tensor]]:
    """Weights and moments of every size, with zeros and what is no number among them."""
    g = torch.Generator().manual_seed(4)

    def spread(low: int, high: int) -> Tensor:
        sizes = torch.randint(low, high, (count,), generator=g)
        return torch.randn(count, generator=g) * 2.0**sizes

    x, m, v = spread(-20, 8), spread(-30, -4), spread(-24, -6).square()
    x[:8] = torch.tensor([0.0, -0.0, 1.0, -1.0, 448.0, float("nan"), float("inf"), 7e4])
    m[20:40], v[30:50] = 0, 0
    m[50], v[51], v[52] = float("inf"), float("nan"), -1.0
    return x, [m, v]


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
@pytest.mark.parametrize(
    "its",
    [
        adam(), adam(lr=1e-5), adam(Adam), adam(lr=0.5, decay=0.5), adam(eps=0.0),
        adam(lr=0.0), adam(eps=1e-3, decay=0.0),
    ],
    ids=repr,
)  # fmt: skip
def test_adam_against_fractions(its: Adam, spec: FormatSpec) -> None:
    x, moments = state()
    assert found(its, x, moments, spec) == plainly(its, x, moments, spec)


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
@pytest.mark.parametrize("lr", [0.5, 1e-3, 2.0**-12])
def test_sgd_against_fractions(lr: float, spec: FormatSpec) -> None:
    x, (m, _) = state()
    m[60:200] = m[60:200].sign() * 2.0 ** -torch.arange(140) % 17  # ties
    its = SGD(Fraction(lr), Fraction(0.9))
    assert found(its, x, [m], spec) == plainly(its, x, [m], spec)


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_updates_that_are_as_good_as_ties(spec: FormatSpec) -> None:
    """Moments that bring each weight halfway to a neighbour, and a float64's ulp off that."""
    its = adam(decay=0.0, lr=0.25, eps=0.0)
    g = torch.Generator().manual_seed(5)
    some = torch.randn(60, generator=g).tolist()
    x = torch.tensor([float(becomes(Fraction(v), spec) or 0) for v in some]).double().repeat(5)
    b1 = float(1 - its.betas[0] ** its.step)
    b2 = float(1 - its.betas[1] ** its.step)
    half = x.abs() * 2.0 ** -(spec.fraction_bits + 1)
    half = 2.0 ** half.log2().floor()  # of a number in [1, 2): its half ulp
    v = torch.full_like(x, 0.7)
    m = half * (v / b2).sqrt() * b1 / 0.25
    off = torch.arange(300) // 60 - 2
    m = (m.view(torch.int64) + off).view(torch.float64)
    counts = found(its, x, [m, v], spec)
    assert counts == plainly(its, x, [m, v], spec)
    assert 0 < counts[3] < 300


def test_most_weights_are_decided_by_float64(monkeypatch: pytest.MonkeyPatch) -> None:
    decided: list[int] = []

    def count(self: Moving, held: Tensor, moments: list[Tensor], kinds: Tensor) -> None:
        decided.append(len(held))

    monkeypatch.setattr(Moving, "_decide", count)
    g = torch.Generator().manual_seed(6)
    x, m, v = (torch.randn(20_000, generator=g) * 0.02 for _ in range(3))
    found(adam(), x, [m, v.square()], BF16)
    assert sum(decided) == 0


def test_weights_that_agree_are_decided_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Fraction] = []
    compare = SGD.compare

    def counted(self: SGD, weight: Fraction, moments: list[Fraction], x: Fraction) -> int:
        calls.append(x)
        return compare(self, weight, moments, x)

    monkeypatch.setattr(SGD, "compare", counted)
    its = SGD(Fraction(1, 4), Fraction(0))
    x = torch.ones(3000)
    # half the distance up, half the distance down, half the distance up: ties, which stay
    m = torch.tensor([-(2.0**-6), 2.0**-7, -(2.0**-6)]).repeat_interleave(1000)
    moving = Moving(its, BF16)
    moving.take(x, [m.double()])
    assert (moving.moved.count, moving.moved.lost) == (3000, 3000)
    assert 0 < len(calls) <= 6


def test_of_float64_too() -> None:
    its = SGD(Fraction(1), Fraction(0))
    tiny = 2.0**-1074
    x = torch.tensor([1.0, 1.0, 0.0, 0.0, tiny], dtype=torch.float64)
    m = torch.tensor([2.0**-53, 2.0**-54 * 1.5, tiny, 0.0, -tiny], dtype=torch.float64)
    moving = Moving(its, FORMATS["float64"])
    moving.take(x, [m])
    # 1 - 2^-53 is a value; a zero and the smallest value move by what is a whole step
    assert (moving.moved.zero, moving.moved.lost) == (1, 0)
    moving = Moving(SGD(Fraction(1, 4), Fraction(0)), FORMATS["float64"])
    moving.take(x, [m])
    assert (moving.moved.zero, moving.moved.lost) == (1, 4)


def test_the_largest_step_is_over_the_learning_rate() -> None:
    largest = Largest()
    largest.take(torch.tensor([0.5, -2.0, float("nan"), float("inf")]), Fraction(1, 2))
    assert largest.value == 4
    largest.take(torch.tensor([0.1]), Fraction(1, 2))
    other = Largest()
    other.take(torch.tensor([9.0]), Fraction(0))
    assert other.value is None
    largest.add(other)
    assert largest.value == 4


@pytest.mark.parametrize("multiple_of", [1, 3])
def test_blocks_side_by_side_are_of_the_same_elements(multiple_of: int) -> None:
    x = torch.arange(70.0).view(10, 7)
    entries = [entry_of("a", x), entry_of("b", (x.t().contiguous() * 2).t()), entry_of("c", -x)]
    parts = [[block.clone() for block in blocks] for blocks in together(entries, 9, multiple_of)]
    a, b, c = (torch.cat(side) for side in zip(*parts, strict=True))
    assert torch.equal(a, x.view(-1))
    assert torch.equal(b, 2 * a)
    assert torch.equal(c, -a)
    assert max(len(part[0]) for part in parts) <= 9
    assert list(together([entry_of("a", torch.empty(0, 3))], 4)) == []


def test_limits_say_what_they_cannot_hold() -> None:
    held = updates.limits(FORMATS["float64"])
    assert bool(held.away[0].isnan())
    assert updates.limits(BF16).away[0] == 2.0**-134
