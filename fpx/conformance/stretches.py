"""Differences that follow each other and all became the same: explained by the first and the last.

Every rule is monotonic in the magnitudes of one sign, so what becomes of both ends of a stretch
becomes of all between. Where all that the tests of causes consult is the same at both ends, they
say the same of every code.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from fpx.casts.rounding import plain
from fpx.conformance.causes import CAUSES, Cause, Differences, explain
from fpx.core.spec import FormatSpec

_WORTHWHILE = 8
"""Differences in a stretch, on average, from which on its ends tell sooner than each of them."""

_SHORT = 64
"""Differences at most in a stretch, where ends of longer ones did not tell."""


class Explained(NamedTuple):
    """A cause, how many differences it explains, and the first of those, or all."""

    cause: Cause
    number: int
    first: Differences


def explain_in_order(
    differences: Differences, keep: int, longest: int | None = None
) -> Iterator[Explained]:
    """Each cause, with the first `keep` differences of it or more; a cause may come twice.

    Args:
        differences: in the order of their codes.
        keep: at least 1.
        longest: differences at most in a stretch; None for any number.
    """
    cuts = _cuts(differences, longest)
    if cuts is None:
        for each, its in explain(differences):
            yield Explained(each, its.codes.numel(), its)
        return
    starts, stops = cuts[:-1], cuts[1:]
    ends = differences.at(torch.cat([starts, stops - 1]))
    for cause, chosen in explain_ends(ends):
        if cause is None:
            untold = differences.at(positions(chosen.repeat_interleave(stops - starts)))
            # a rule's result changes in few places, which most short ones do not hold
            yield from explain_in_order(untold, keep, 1 if longest else _SHORT)
            continue
        begin, end = starts[chosen], stops[chosen]
        pairs = zip(begin[:keep].tolist(), end[:keep].tolist(), strict=True)
        first = torch.cat([torch.arange(low, min(low + keep, high)) for low, high in pairs])
        yield Explained(cause, int((end - begin).sum()), differences.at(first[:keep]))


def explain_ends(ends: Differences) -> Iterator[tuple[Cause | None, Tensor]]:
    """Each cause, and which stretches it explains, as bools (n,); None where ends do not tell.

    Args:
        ends: the first difference of each of n stretches, then the last of each, of codes of a
            `plain` span.
    """
    left = ends
    numbers = torch.arange(ends.codes.numel() // 2)
    untold = torch.zeros_like(numbers, dtype=torch.bool)
    for cause in CAUSES:
        explained = cause.test(left)
        told = _alike(explained)
        while left.consulted:
            told &= _alike(left.consulted.pop())
        its = told & explained[: numbers.numel()]
        some = bool(its.any())
        if some:
            yield cause, torch.zeros_like(untold).index_fill_(0, numbers[its], True)
        if some or not bool(told.all()):
            untold[numbers[~told]] = True
            rest = told & ~its
            numbers = numbers[rest]
            if not numbers.numel():
                break
            left = left.where(rest.repeat(2))
    if bool(untold.any()):
        yield None, untold


def positions(chosen: Tensor) -> Tensor:
    """Where bools (n,) are true, int64 (m,), on the same device."""
    if chosen.is_cpu:
        return torch.from_numpy(np.flatnonzero(chosen.numpy()))  # several times as fast as torch's
    return chosen.nonzero().reshape(-1)


def _cuts(differences: Differences, longest: int | None) -> Tensor | None:
    """Where each stretch begins, and the end of the last; None if each is to be looked at."""
    d = differences
    count = d.codes.numel()
    if d.span is None or not isinstance(d.origin, FormatSpec) or not d.codes.is_cpu or not count:
        return None
    if not plain(d.span, d.origin, d.target):
        return None
    new = torch.ones(count + 1, dtype=torch.bool)
    torch.ne(d.expected[1:], d.expected[:-1], out=new[1:-1])
    new[1:-1] |= d.got[1:] != d.got[:-1]
    if longest is not None:
        new[:-1:longest] = True
    cuts = positions(new)
    return cuts if _WORTHWHILE * cuts.numel() < count else None


def _alike(found: Tensor) -> Tensor:
    """Whether what was found of the first and of the last of each stretch is the same."""
    first, last = found.chunk(2)
    return first == last
