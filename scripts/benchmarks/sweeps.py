"""cast-verify of every code of float32: of all 2^32, or of slices all over them."""

from __future__ import annotations

import time
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor

from fpx.casts.backends import BACKENDS, Backend
from fpx.conformance import cast_verify as command
from fpx.conformance.codes import Codes, choose_codes
from fpx.core.formats import FORMATS
from fpx.report.cast_verify import VerifyRow
from scripts.benchmarks.results import Found, Sizes

_RUN = 64  # blocks of a slice that follow each other, as they do in a whole sweep


def sliced(codes: Codes, slices: int) -> Codes:
    """One in so many blocks, in runs that are spread evenly over all.

    Each run begins a little further into its part, so that no place of a binade weighs more than
    another, nor subnormal numbers and NaNs, which take longest.
    """
    blocks = codes.blocks // slices

    def block(number: int) -> Any:
        run, rest = divmod(number, _RUN)
        return codes.block((run * slices + run % slices) * _RUN + rest)

    return Codes(codes.kind, codes.count // slices, blocks, block)


class EverySecond(Backend):
    """torch's casts, but for every second code, which gets a neighbour of its result."""

    name = "every second"
    version = "0"

    def cast(self, codes: Tensor, origin: Any, target: Any, *_: Any, **__: Any) -> Tensor:
        """As `Backend.cast`."""
        right = BACKENDS["torch"].cast(codes, origin, target)
        return right ^ (codes & 1).to(right.dtype)


def _verify(target: str, backend: Backend, slices: int) -> tuple[float, VerifyRow]:
    """Seconds that all of 2^32 codes take, by those of slices, and what was found."""

    def chosen(*args: Any) -> Codes:
        codes = choose_codes(*args)
        return codes if slices == 1 else sliced(codes, slices)

    with patch.object(command, "choose_codes", chosen):
        start = time.perf_counter()
        report = command.cast_verify([FORMATS["float32"]], [FORMATS[target]], backends=[backend])
        return slices * (time.perf_counter() - start), report.rows[0]


def sweep(targets: tuple[str, ...], sizes: Sizes) -> Found:
    """torch's cast of float32 to each target against correct rounding, code by code; once."""
    taken = {}
    for target in targets:
        taken[target], row = _verify(target, BACKENDS["torch"], sizes.slices)
        _checked(row, sizes)
    return Found(tuple(taken.values()), taken if len(taken) > 1 else {}, "s", _note(sizes))


def every_second(sizes: Sizes) -> Found:
    """The same of a cast to float16 of which every second code differs and is explained."""
    taken, row = _verify("float16", EverySecond(), sizes.slices)
    _checked(row, sizes)
    if row.equal_count > 0.51 * row.checked_count:
        raise ValueError("too few codes differ")
    return Found((taken,), unit="s", note=_note(sizes))


def _checked(row: VerifyRow, sizes: Sizes) -> None:
    if row.checked_count + row.undefined_count != (1 << 32) // sizes.slices:
        raise ValueError(f"{row.checked_count:,} codes were checked")


def _note(sizes: Sizes) -> str:
    parts = f"one code in {sizes.slices} was verified, and the time multiplied"
    threads = f"{torch.get_num_threads()} threads"
    return threads if sizes.slices == 1 else f"{threads}; {parts}"
