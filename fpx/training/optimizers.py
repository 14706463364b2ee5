"""Optimizers: the update of a weight that the state of its parameter stands for.

An update is computed from the numbers as they are stored, as real numbers: nothing is rounded on
the way. It is the one that the optimizer made when it left this state, and the next one too if the
gradients leave the moments as they are. Blocks are computed in float64 with a bound for the error;
where that does not decide, `compare` does, exactly.

Formulas: torch.optim's (`adam.py`, `sgd.py`), which are those of Kingma & Ba, "Adam: a method for
stochastic optimization" (2015), algorithm 1, and, with the decay of the weights beside it, of
Loshchilov & Hutter, "Decoupled weight decay regularization" (2019), algorithm 2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import product
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from fpx.errors import InputError
from fpx.training.powers import PRECISIONS, correction

_SLACK = 2.0**-48  # of sums and products of a few float64s, generously
_DEEP = 2.0**-900  # below it float64 may lose bits to underflow on the way


class Update(NamedTuple):
    """Updates of some weights, float64 of shape (n,).

    Attributes:
        total: what is added to each weight.
        step: of that, what the optimizer's moments give, without the decay of the weight.
        error: how far `total` is from the real number, at most.
        sure: where that bound holds, bool.
    """

    total: Tensor
    step: Tensor
    error: Tensor
    sure: Tensor


@dataclass(frozen=True)
class SGD:
    """Stochastic gradient descent with momentum; what decays the weight is in the buffer.

    Attributes:
        lr: the learning rate.
        momentum: what the buffer is multiplied with at each step.
    """

    name: ClassVar[str] = "SGD"

    lr: Fraction
    momentum: Fraction

    @property
    def slots(self) -> tuple[str, ...]:
        """What the moments are called in a state."""
        return ("momentum_buffer",)

    @property
    def decays(self) -> tuple[Fraction | None, ...]:
        """What each of the `slots` is multiplied with at each step; None if with nothing."""
        return (self.momentum,)

    @property
    def eps(self) -> Fraction | None:
        """What is added to divisors; there are none."""
        return None

    def update(self, weights: Tensor, moments: Sequence[Tensor]) -> Update:
        """Updates of weights, all float64 of shape (n,)."""
        total = moments[0] * -float(self.lr)
        return Update(total, total, total.abs() * _SLACK, _whole(total, moments[0]))

    def compare(self, weight: Fraction, moments: Sequence[Fraction], x: Fraction) -> int:
        """-1, 0 or 1: whether the update is below x, is x, or above."""
        return _sign(-self.lr * moments[0] - x)


@dataclass(frozen=True)
class Adam:
    """Adam; what decays the weight is in the moments.

    Attributes:
        lr: the learning rate.
        betas: what the first and the second moment are multiplied with at each step.
        eps: what is added to the root of the second moment.
        step: how many steps were made, at least 1.
        weight_decay: how much weights decay; the update has it with AdamW, and else the moments.
        amsgrad: whether the largest second moment so far takes the place of the second moment.
    """

    name: ClassVar[str] = "Adam"

    lr: Fraction
    betas: tuple[Fraction, Fraction]
    eps: Fraction
    step: int
    weight_decay: Fraction = Fraction(0)
    amsgrad: bool = False

    @property
    def slots(self) -> tuple[str, ...]:
        """What the moments are called in a state."""
        return ("exp_avg", "max_exp_avg_sq" if self.amsgrad else "exp_avg_sq")

    @property
    def decays(self) -> tuple[Fraction | None, ...]:
        """What each of the `slots` is multiplied with at each step; None if with nothing."""
        first, second = self.betas
        return (first, None if self.amsgrad else second)

    @property
    def shrink(self) -> Fraction:
        """The share of itself that a weight loses beside the optimizer's step."""
        return Fraction(0)

    def update(self, weights: Tensor, moments: Sequence[Tensor]) -> Update:
        """Updates of weights, all float64 of shape (n,); NaN where the divisor is 0."""
        first, second = (float(correction(b, self.step, PRECISIONS[0]).low) for b in self.betas)
        m, v = moments
        scaled = m * (float(self.lr) / first)
        root = v.sqrt() / second**0.5 + float(self.eps)
        step = torch.where(root == 0, torch.nan, -scaled / root)
        decay = weights * float(self.shrink)
        sure = _whole(scaled, m) & _whole(step, m)
        if self.shrink:
            sure &= _whole(decay, weights)
        return Update(step - decay, step, (step.abs() + decay.abs()) * _SLACK, sure)

    def compare(self, weight: Fraction, moments: Sequence[Fraction], x: Fraction) -> int:
        """-1, 0 or 1: whether the update is below x, is x, or above.

        Raises:
            InputError: after so many steps that cannot be told.
        """
        m, v = moments
        z = -x - self.shrink * weight  # is lr m / b1 / (root(v / b2) + eps) below that?
        for bits in PRECISIONS:
            # what is asked for grows or falls with each of the two: the ends tell
            ends = product(*(correction(beta, self.step, bits) for beta in self.betas))
            signs = {self._side(m, v, z, *pair) for pair in ends}
            if len(signs) == 1:
                return signs.pop()
        raise InputError(f"an update after {self.step:,} steps cannot be told from a tie")

    def _side(self, m: Fraction, v: Fraction, z: Fraction, b1: Fraction, b2: Fraction) -> int:
        """The sign of z (root(v / b2) + eps) - lr m / b1."""
        root, rest = z * z * v / b2, z * self.eps - self.lr * m / b1
        signs = _sign(z) if v else 0, _sign(rest)
        if 0 in signs or signs[0] == signs[1]:
            return signs[0] or signs[1]
        return signs[0] * _sign(root - rest * rest)


@dataclass(frozen=True)
class AdamW(Adam):
    """Adam that decays weights beside its step, not in its moments."""

    name: ClassVar[str] = "AdamW"

    @property
    def shrink(self) -> Fraction:
        """The share of itself that a weight loses at each step."""
        return self.lr * self.weight_decay


Optimizer = SGD | Adam


def _sign(x: Fraction) -> int:
    return (x > 0) - (x < 0)


def _whole(found: Tensor, of: Tensor) -> Tensor:
    """Where products have float64's full precision: finite, and not deep down unless 0 is due."""
    return found.isfinite() & ((found.abs() >= _DEEP) | (of == 0))
