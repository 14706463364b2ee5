"""Weights before and after: which codes moved in a format, how far, and what it takes to tell.

The bytes are those of the smallest of three ways to tell a change: every code that moved with its
place; a bit for each place and the codes that moved; all codes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from fpx.core.spec import FormatSpec
from fpx.measure.apart import finite, places
from fpx.tensors.entry import TensorEntry
from fpx.tensors.progress import Progress
from fpx.training.steps import rounded
from fpx.training.updates import together

BLOCK = 1 << 17
"""Elements that are read at a time."""

_BINS = torch.tensor([1 << power for power in range(63)])  # the largest distance of each


class Delta(NamedTuple):
    """The bytes of a change.

    Attributes:
        size: how many.
        form: `places`, `bits` or `whole`: what is sent beside the codes that moved, or instead.
        whole: bytes of all codes.
    """

    size: int
    form: str
    whole: int


@dataclass
class Changed:
    """What became of the weights of a tensor in a format.

    Attributes:
        spec: the format.
        count: all elements.
        moved: elements whose code changed.
        lost: elements whose stored value changed, but not their code.
        special: elements that moved and are no finite number before or after.
        zero_sign: zeros that changed their sign.
        distances: of all others that moved, by the power of two that is their distance in codes, or
            the next above it.
        furthest: the largest distance.
    """

    spec: FormatSpec
    count: int = 0
    moved: int = 0
    lost: int = 0
    special: int = 0
    zero_sign: int = 0
    distances: Counter[int] = field(default_factory=Counter)
    furthest: int = 0

    def take(self, before: Tensor, after: Tensor) -> None:
        """Takes in blocks of shape (n,), as they are stored."""
        old, new = rounded(before, self.spec), rounded(after, self.spec)
        moved = old != new
        kept = before.to(torch.float64) == after.to(torch.float64)
        kept |= before.isnan() & after.isnan()
        self.count += len(old)
        self.moved += int(moved.count_nonzero())
        self.lost += int((~kept & ~moved).count_nonzero())
        if not moved.any():
            return
        old, new = old[moved], new[moved]
        both = finite(old, self.spec) & finite(new, self.spec)
        self.special += int((~both).count_nonzero())
        far = (places(old[both], self.spec) - places(new[both], self.spec)).abs()
        self.zero_sign += int((far == 0).count_nonzero())
        far = far[far != 0]
        if len(far):
            bins = torch.bincount(torch.searchsorted(_BINS, far), minlength=len(_BINS))
            for power in bins.nonzero().view(-1).tolist():
                self.distances[1 << power] += int(bins[power])
            self.furthest = max(self.furthest, int(far.max()))

    def add(self, other: Changed) -> None:
        """Takes in what was found of others."""
        self.count += other.count
        self.moved += other.moved
        self.lost += other.lost
        self.special += other.special
        self.zero_sign += other.zero_sign
        self.distances.update(other.distances)
        self.furthest = max(self.furthest, other.furthest)

    def delta(self) -> Delta:
        """What it takes to tell the change."""
        codes = _bytes(self.moved * self.spec.bits)
        index = 4 if self.count <= 1 << 32 else 8
        whole = _bytes(self.count * self.spec.bits)
        ways = {
            "places": self.moved * index + codes,
            "bits": _bytes(self.count) + codes if self.moved else 0,
            "whole": whole,
        }
        form = min(ways, key=lambda way: ways[way])
        return Delta(ways[form], form, whole)


def _bytes(bits: int) -> int:
    return -(-bits // 8)


def changed(
    before: TensorEntry, after: TensorEntry, targets: Sequence[FormatSpec], progress: Progress
) -> list[Changed]:
    """Two tensors of one shape, in some formats.

    Raises:
        InputError: damage that shows only in their data.
    """
    found = [Changed(spec) for spec in targets]
    for old, new in together([before, after], BLOCK):
        for each in found:
            each.take(old, new)
        progress.advance(len(old))
    return found
