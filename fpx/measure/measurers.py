"""Who measures: torch's operations, or for much data a compiled pass over each block."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from threading import Timer
from typing import NamedTuple

import torch

from fpx.casts.device import Device
from fpx.core.scaling import ScaledFormat, Scope
from fpx.core.spec import FormatSpec
from fpx.measure import fused
from fpx.measure.distinct import Tally, has_few_codes, tally_codes
from fpx.measure.measurement import Measurer, SegmentMeasurer
from fpx.measure.metrics import measure
from fpx.measure.scaled_casting import ScaledMeasurer
from fpx.tensors.entry import TensorEntry

WORTHWHILE = 1 << 24
"""Elements from which on the compiled measurer saves more time than it takes to import numba."""


COMPILING = "numba compiles what measures, which it keeps for next time"
"""What is said where that takes its time."""


_CALL = 1 << 12
"""Elements that a compiled pass measures in the time that it saves whenever it is called."""


_COUNTED = 4
"""Elements whose codes are counted in the time of a cast that is measured."""


_SCALED = 4
"""Casts that are measured in the time in which torch's operations give an element its scale."""


SMALL = 1 << 13
"""Elements up to which tensors are measured together: of longer ones, a call takes little time."""


_COMPILED = 1 << 20
"""Elements below which nothing is compiled, in however many tensors they are."""


_PATIENCE = 1.0  # seconds that compiling may take without a word


class Cast(NamedTuple):
    """A cast of a tensor: from what, to what, and how many elements it has."""

    dtype: torch.dtype
    target: FormatSpec
    elements: int


class Chosen(NamedTuple):
    """Who measures.

    Attributes:
        measurer: who does.
        says: who it is, and why, for people.
        threaded: whether several blocks are measured at a time.
        tally: who counts codes of few bits.
        scaled: who casts and measures blocks with scales; None is torch's operations.
        apart: who measures several tensors in a block; None where each is measured by itself.
    """

    measurer: Measurer
    says: str
    threaded: bool = False
    tally: Tally = tally_codes
    scaled: ScaledMeasurer | None = None
    apart: SegmentMeasurer | None = None


def measurer_for(
    entries: Sequence[TensorEntry],
    targets: Sequence[FormatSpec],
    scaled: Sequence[ScaledFormat],
    device: Device,
    tell: Callable[[str], None],
    worthwhile: int,
) -> Chosen:
    """Who measures the casts of these tensors.

    Args:
        entries: the tensors.
        targets, scaled: to what they are cast.
        device: where.
        tell: hears that compiling takes its time.
        worthwhile: elements from which on tensors are measured by distinct code.
    """
    if not device.is_cpu:
        return Chosen(measure, f"torch's operations: the casts run on {device.torch}")
    casts = (
        Cast(entry.dtype, target, entry.count)
        for entry in entries
        for target in targets
        if entry.only_for in (None, target.name)
    )
    few = (entry.count for entry in entries if targets and has_few_codes(entry, worthwhile))
    blocks = sum(target.reach.scope is Scope.BLOCK for target in scaled)
    scaling = sum(entry.count for entry in entries if entry.only_for is None) * blocks
    return choose(casts, tell, counted=sum(few), scaled=scaling)


def choose(
    casts: Iterable[Cast],
    tell: Callable[[str], None],
    worthwhile: int = WORTHWHILE,
    counted: int = 0,
    scaled: int = 0,
) -> Chosen:
    """Who measures casts on the CPU.

    Args:
        casts: of every tensor that is measured block by block.
        tell: hears that compiling takes its time.
        worthwhile: casts of elements below which nothing is compiled or loaded.
        counted: elements whose codes are counted.
        scaled: elements that get scales, once for each target.
    """
    taken = [cast for cast in casts if _is_taken(cast)]
    plain = sum(cast.elements + _CALL for cast in taken)
    if plain + counted // _COUNTED + scaled * _SCALED < worthwhile:
        few = f"fewer than {worthwhile:,} casts that a compiled pass would measure"
        return Chosen(measure, f"torch's operations: {few}")
    found = fused.load()
    if found is None:
        return Chosen(measure, "torch's operations: numba is not installed")
    measurer, compiler = found
    elements = sum(cast.elements for cast in taken) + counted + scaled
    if elements < _COMPILED and not measurer.is_kept():
        return Chosen(measure, "torch's operations: too little data to compile what measures")
    try:
        _compile(measurer, {cast.dtype for cast in taken}, counted > 0, scaled > 0, tell)
    except OSError as error:  # of the folder that keeps what is compiled
        return Chosen(measure, f"torch's operations: numba compiled nothing, {error}")
    return Chosen(
        measurer, f"one pass, compiled by {compiler}", True, measurer.tally, measurer.scaled,
        measurer.apart,
    )  # fmt: skip


def _is_taken(cast: Cast) -> bool:
    takes = fused.takes_apart if cast.elements <= SMALL else fused.takes
    return takes(cast.dtype, cast.target)


def _compile(
    measurer: fused.FusedMeasurer,
    dtypes: Iterable[torch.dtype],
    tally: bool,
    scaled: bool,
    tell: Callable[[str], None],
) -> None:
    """Has everything compiled that is needed, or read from disk."""
    said = Timer(_PATIENCE, tell, [COMPILING])
    said.daemon = True
    said.start()
    try:
        for dtype in dtypes:
            measurer.prepare(dtype)
        if tally:
            measurer.prepare_tally()
        if scaled:
            measurer.prepare_scaled()
    finally:
        said.cancel()
        said.join()
