"""Counting the casts that differ, by cause, with the first few of each."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

import torch
from torch import Tensor

from fpx.casts.rounding import Span
from fpx.casts.unpacked import nans
from fpx.conformance.causes import CAUSES, Cause, Differences
from fpx.conformance.runs import Run, explain_run, merged, run_of
from fpx.conformance.stretches import explain_in_order, positions
from fpx.core.policy import Rounding
from fpx.core.shortest import hex_text, value_text
from fpx.core.spec import FormatSpec
from fpx.report.cast_verify import KINDS, CastExample, CauseCount
from fpx.tensors.dtypes import IntegerType, Origin


@dataclass
class Tally:
    """What is known of one cast so far; blocks may come in any order, from any thread."""

    origin: Origin
    target: FormatSpec
    keep: int
    rounding: Rounding = Rounding.TIES_TO_EVEN
    checked: int = 0
    differing: int = 0
    undefined: int = 0
    counts: dict[Cause, int] = field(default_factory=dict)
    examples: dict[Cause, list[tuple[int, int, int]]] = field(default_factory=dict)
    runs: list[Run] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, codes: Tensor, expected: Tensor, got: Tensor, span: Span | None = None) -> None:
        """Takes in one block; `span` as for `round_codes`."""
        count = codes.numel()
        if _same(expected, got):
            if self.target.nan_code is None:
                count -= self._leave_out(codes)
            with self.lock:
                self.checked += count
            return
        run = run_of(codes, expected, got, span, self.origin, self.target)
        if run is not None:
            with self.lock:
                self.runs.append(run)
                self.checked += count
                self.differing += count
            return
        at = positions(expected != got)
        if self.target.nan_code is None:
            count -= self._leave_out(codes)
            at = at[~nans(codes[at], self.origin)]
        with self.lock:
            self.checked += count
            self.differing += at.numel()
        if at.numel() < codes.numel():
            codes, expected, got = (x.index_select(0, at) for x in (codes, expected, got))
        differences = Differences(
            codes, self.origin, self.target, expected, got, span, self.rounding
        )
        for found in explain_in_order(differences, self.keep):
            self._note(*found)

    def _leave_out(self, codes: Tensor) -> int:
        undefined = int(nans(codes, self.origin).count_nonzero())
        with self.lock:
            self.undefined += undefined
        return undefined

    def _note(self, cause: Cause, count: int, its: Differences) -> None:
        """Counts differences, of which these are the first."""
        rows = zip(*(part[: self.keep].tolist() for part in its.tensors), strict=True)
        wide = (self.origin.bits, self.target.bits, self.target.bits)
        found = [
            tuple(code % (1 << bits) for code, bits in zip(row, wide, strict=True)) for row in rows
        ]
        with self.lock:
            self.counts[cause] = self.counts.get(cause, 0) + count
            known = self.examples.get(cause, [])
            self.examples[cause] = sorted(known + found)[: self.keep]

    def _explain_runs(self) -> None:
        runs, self.runs = self.runs, []
        if isinstance(self.origin, FormatSpec):
            for run in merged(runs):
                for found in explain_run(run, self.origin, self.target, self.keep):
                    self._note(*found)

    def causes(self) -> tuple[CauseCount, ...]:
        """The causes, the worst kind first."""
        self._explain_runs()

        def rank(cause: Cause) -> tuple[int, int, int]:
            return KINDS.index(cause.kind), -self.counts[cause], CAUSES.index(cause)

        return tuple(
            CauseCount(
                cause.name,
                cause.reason,
                cause.kind,
                cause.word,
                self.counts[cause],
                tuple(self._example(*found) for found in self.examples[cause]),
            )
            for cause in sorted(self.counts, key=rank)
        )

    def _example(self, code: int, expected: int, got: int) -> CastExample:
        return CastExample(
            *_named(code, self.origin), *_named(expected, self.target), *_named(got, self.target)
        )


def _named(code: int, type_: Origin) -> tuple[str, str]:
    """(hexadecimal, exact value) of a code."""
    digits = hex_text(code, type_.bits)
    if isinstance(type_, IntegerType):
        negative = type_.signed and code >> (type_.bits - 1)
        return digits, str(code - (1 << type_.bits) if negative else code)
    return digits, value_text(code, type_)


def _same(a: Tensor, b: Tensor) -> bool:
    """Whether all codes are equal; eight bytes at a time where they divide so."""
    if _is_whole_words(a) and _is_whole_words(b):
        a, b = (x.contiguous().view(torch.int64) for x in (a, b))
    return torch.equal(a, b)


def _is_whole_words(x: Tensor) -> bool:
    return x.storage_offset() == 0 and x.numel() * x.itemsize % 8 == 0
