"""Whole blocks of codes that all became the same: merged, and explained by their ends."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from fpx.casts.rounding import Span, plain
from fpx.conformance.causes import Differences, explain
from fpx.conformance.stretches import Explained, explain_ends
from fpx.core.spec import FormatSpec
from fpx.tensors.dtypes import Origin, container, wrapped

_FEW = 1 << 16  # codes that are explained one by one where their ends do not tell


class Run(NamedTuple):
    """All codes of a span of the origin, for which `expected` should have come and `got` came."""

    expected: int
    got: int
    span: Span


def run_of(
    codes: Tensor, expected: Tensor, got: Tensor, span: Span | None, origin: Origin, target: Origin
) -> Run | None:
    """The run that a block of differing codes is, if it is one."""
    if span is None or codes.numel() != span.high - span.low + 1:
        return None
    if not (isinstance(origin, FormatSpec) and isinstance(target, FormatSpec)):
        return None
    if plain(span, origin, target) and _constant(expected) and _constant(got):
        return Run(int(expected[0]), int(got[0]), span)
    return None


def merged(runs: Iterable[Run]) -> Iterator[Run]:
    """The same runs, those that continue each other as one."""
    last: Run | None = None
    for run in sorted(runs, key=lambda run: (run.span.negative, run.span.low)):
        if last is not None and _continues(run, last):
            last = last._replace(span=last.span._replace(high=run.span.high))
            continue
        if last is not None:
            yield last
        last = run
    if last is not None:
        yield last


def _continues(run: Run, last: Run) -> bool:
    same = run[:2] == last[:2] and run.span.negative == last.span.negative
    return same and run.span.low == last.span.high + 1


def explain_run(run: Run, origin: FormatSpec, target: FormatSpec, keep: int) -> Iterator[Explained]:
    """Each cause in a run, with the first `keep` codes of it.

    Where the ends do not tell (see `explain_ends`), each half is explained by itself.
    """
    low, high, _ = run.span
    ends = _differences(run, torch.tensor([low, high]), origin, target)
    [(cause, _)] = explain_ends(ends)
    if cause is not None:
        first = torch.arange(low, min(low + keep, high + 1))
        yield Explained(cause, high - low + 1, _differences(run, first, origin, target))
    elif high - low < _FEW:
        for cause, its in explain(_differences(run, torch.arange(low, high + 1), origin, target)):
            yield Explained(cause, its.codes.numel(), its)
    else:
        middle = (low + high) // 2
        for span in (run.span._replace(high=middle), run.span._replace(low=middle + 1)):
            yield from explain_run(run._replace(span=span), origin, target, keep)


def _differences(
    run: Run, magnitudes: Tensor, origin: FormatSpec, target: FormatSpec
) -> Differences:
    sign = origin.sign_mask if run.span.negative else 0
    codes = (magnitudes | wrapped(sign, torch.int64)).to(container(origin))
    expected, got = (
        torch.full_like(codes, code, dtype=container(target)) for code in (run.expected, run.got)
    )
    return Differences(codes, origin, target, expected, got, run.span)


def _constant(x: Tensor) -> bool:
    low, high = x.aminmax()
    return bool(low == high)
