"""The update that a state stands for: against torch's own steps, and against long integers."""

from __future__ import annotations

import copy
from fractions import Fraction
from itertools import product
from math import isqrt
from typing import Any

import pytest
import torch
from torch import Tensor

from fpx.training.optimizers import SGD, Adam, AdamW, Optimizer
from fpx.training.powers import PRECISIONS, correction
from fpx.training.settings import optimizer_of

KINDS: dict[str, tuple[Any, dict[str, Any]]] = {
    "AdamW": (torch.optim.AdamW, {"lr": 1e-3, "weight_decay": 0.3}),
    "AdamW without decay": (torch.optim.AdamW, {"lr": 0.1, "weight_decay": 0, "eps": 1e-3}),
    "AdamW amsgrad": (torch.optim.AdamW, {"lr": 1e-2, "amsgrad": True, "betas": (0.5, 0.7)}),
    "Adam": (torch.optim.Adam, {"lr": 1e-3, "weight_decay": 0.3}),
    "Adam maximize": (torch.optim.Adam, {"lr": 1e-3, "maximize": True, "betas": (0.0, 0.999)}),
    "SGD": (torch.optim.SGD, {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.3}),
    "SGD dampened": (torch.optim.SGD, {"lr": 0.1, "momentum": 0.5, "dampening": 0.25}),
}


def trained(kind: str, steps: int) -> tuple[Tensor, Tensor, Any]:
    """Weights before and after the last of some steps in float64, and the optimizer after it."""
    generator = torch.Generator().manual_seed(1)
    weights = torch.randn(50, dtype=torch.float64, generator=generator).requires_grad_()
    make, settings = KINDS[kind]
    optimizer = make([weights], **settings)
    before = weights.detach().clone()
    for _ in range(steps):
        before = weights.detach().clone()
        weights.grad = torch.randn(50, dtype=torch.float64, generator=generator)
        optimizer.step()
    return before, weights.detach(), optimizer


def found_in(optimizer: Any) -> tuple[Optimizer, list[Tensor]]:
    """What fpx makes of a state dict."""
    state = copy.deepcopy(optimizer.state_dict())
    group = state["param_groups"][0]
    settings = {k: v for k, v in group.items() if k not in ("params", "betas")}
    if "betas" in group:
        settings |= {"betas.0": group["betas"][0], "betas.1": group["betas"][1]}
    held = state["state"][0]
    step = held["step"].item() if "step" in held else None
    optimizer = optimizer_of(held.keys(), settings, step)
    return optimizer, [held[slot] for slot in optimizer.slots]


@pytest.mark.parametrize("steps", [1, 7])
@pytest.mark.parametrize("kind", KINDS)
def test_it_is_the_last_step_that_torch_made(kind: str, steps: int) -> None:
    before, after, optimizer = trained(kind, steps)
    its, moments = found_in(optimizer)
    assert type(its).__name__ == kind.split()[0]
    update = its.update(before, moments)
    torch.testing.assert_close(update.total, after - before, rtol=1e-12, atol=1e-15)
    assert bool(update.sure.all())
    decay = its.shrink * 1.0 if isinstance(its, Adam) else 0
    torch.testing.assert_close(update.step, update.total + before * float(decay))


def digits_of(its: Adam, w: float, m: float, v: float) -> tuple[Fraction, Fraction]:
    """The update, by integers of 400 bits, between two bounds."""
    bits = 400
    b1, b2 = (1 - beta**its.step for beta in its.betas)
    square = Fraction(v) / b2 * 4**bits
    low = isqrt(square.numerator // square.denominator)
    decay = its.shrink * Fraction(w)
    ends = [
        -its.lr * Fraction(m) / b1 / (Fraction(root, 2**bits) + its.eps) - decay
        for root in (low, low + 1)
    ]
    return min(ends), max(ends)


ADAMS: list[Adam] = [
    Adam(Fraction(1e-3), (Fraction(0.9), Fraction(0.999)), Fraction(1e-8), 200),
    AdamW(Fraction(1e-3), (Fraction(0.9), Fraction(0.95)), Fraction(1e-8), 3, Fraction(0.1)),
    AdamW(Fraction(0.5), (Fraction(0), Fraction(0.5)), Fraction(0), 1, Fraction(0.5)),
]


@pytest.mark.parametrize("its", ADAMS)
def test_exact_comparison_and_the_bound_of_the_error(its: Adam) -> None:
    generator = torch.Generator().manual_seed(2)
    w, m = (torch.randn(40, dtype=torch.float64, generator=generator) for _ in range(2))
    v = torch.randn(40, dtype=torch.float64, generator=generator).square() * 1e-4
    v[:5] = 1e-30
    m[3] = 0
    update = its.update(w, [m, v])
    for at in range(40):
        numbers = w[at].item(), m[at].item(), v[at].item()
        low, high = digits_of(its, *numbers)
        total, error = Fraction(update.total[at].item()), Fraction(update.error[at].item())
        assert low - error <= total <= high + error
        exact = [Fraction(x) for x in numbers]
        gap = max(abs(high), Fraction(1, 1 << 300)) / (1 << 200)
        assert its.compare(exact[0], exact[1:], low - gap) == 1
        assert its.compare(exact[0], exact[1:], high + gap) == -1


def test_ties_are_found() -> None:
    """With short numbers everywhere, updates are rational: lr m / b1 / (2 / root(b2))."""
    half = Fraction(1, 2)
    its = AdamW(half, (half, Fraction(0)), half, 1, half)
    # b1 = 1/2, b2 = 1: 0.5 * 3 / 0.5 / (root(0.25) + 0.5) = 3, and a quarter of the weight
    for w, m in product((Fraction(0), Fraction(8)), (Fraction(3), Fraction(-3))):
        total = -m - w / 4
        compared = [its.compare(w, [m, Fraction(1, 4)], total + d) for d in (-half, 0, half)]
        assert compared == [1, 0, -1]
    its = AdamW(half, (half, half), half, 1, Fraction(0))  # b2 = 1/2: the root of 1/2
    assert its.compare(Fraction(0), [Fraction(1), Fraction(1, 8)], Fraction(-1)) == 0
    assert its.compare(Fraction(0), [Fraction(1), Fraction(1, 4)], Fraction(-1)) == 1


def test_of_sgd_everything_is_a_product() -> None:
    its = SGD(Fraction(1, 4), Fraction(1, 2))
    assert [its.compare(Fraction(1), [Fraction(3)], Fraction(n, 4)) for n in (-4, -3, -2)] == [
        1, 0, -1,
    ]  # fmt: skip
    assert its.eps is None
    assert its.decays == (Fraction(1, 2),)


def test_what_divides_by_zero_is_nan_and_what_float64_has_no_room_for_is_not_sure() -> None:
    its = Adam(Fraction(1), (Fraction(0.5), Fraction(0.5)), Fraction(0), 1)
    m = torch.tensor([1.0, 0.0, 1e300, 1e-290, 1.0], dtype=torch.float64)
    v = torch.tensor([0.0, 0.0, 1e-300, 1.0, -1.0], dtype=torch.float64)
    update = its.update(torch.zeros(5, dtype=torch.float64), [m, v])
    assert update.total.isnan().tolist() == [True, True, False, False, True]
    assert update.sure.tolist()[2:4] == [False, False]


@pytest.mark.parametrize("beta", [0.0, 1e-90, 0.5, 0.9, 0.999, 1 - 2.0**-53])
@pytest.mark.parametrize("step", [1, 2, 3, 1000])
def test_bounds_hold_the_power_and_end_with_it(beta: float, step: int) -> None:
    exact = 1 - Fraction(beta) ** step
    widths = []
    for bits in PRECISIONS:
        low, high = correction(Fraction(beta), step, bits)
        assert low <= exact <= high
        assert high - low <= Fraction(4 * step, 2 ** min(bits, 10_000))
        widths.append(high - low)
    assert widths[-1] == 0
    assert widths == sorted(widths, reverse=True)


def test_many_steps_take_no_time() -> None:
    low, high = correction(Fraction(0.999), 10**15, PRECISIONS[0])
    assert 0 < high - low < Fraction(1, 2**150)
    its = Adam(Fraction(1e-3), (Fraction(0.9), Fraction(0.999)), Fraction(1e-8), 10**15)
    assert its.compare(Fraction(1), [Fraction(1), Fraction(1)], Fraction(-1, 1000)) == 1
