"""The scaled casts of a tensor, which is read once or twice for them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from math import lcm

import torch
from torch import Tensor

from fpx.casts.device import Device
from fpx.casts.sweep import BLOCKS, pieces, sweep, threads_for
from fpx.measure.block import SourceBlock
from fpx.measure.casting import Where
from fpx.measure.scaled_casting import ScaledCasting, ScaledMeasurer
from fpx.tensors.entry import TensorEntry
from fpx.tensors.progress import Progress, Silent

_TOGETHER = 1 << 12
"""Elements, at most, that the blocks of several targets may have as a common multiple."""


def scale_entry(
    entry: TensorEntry,
    casts: Sequence[ScaledCasting],
    device: Device,
    progress: Progress,
    measure: ScaledMeasurer | None = None,
) -> None:
    """Reads a tensor, once or twice, and takes its scaled casts in.

    Args:
        entry: the tensor.
        casts: of it.
        device: where they run.
        progress: hears how far it is.
        measure: who casts and measures blocks of whole groups on the CPU, several at a time; None
            is torch's operations.

    Raises:
        InputError: damage that shows only here.
    """
    surveyed = [cast for cast in casts if cast.needs_survey]
    if surveyed and measure is not None and all(cast.width is not None for cast in surveyed):
        _survey_in_threads(entry, surveyed, device, progress)
    elif surveyed:
        start = 0
        for block in entry.blocks(device.block, row_major=True):
            source = SourceBlock(block.to(device.torch))
            for cast in surveyed:
                cast.survey(source, start)
            start += len(block)
            progress.advance(len(block))
    for cast in surveyed:
        cast.prepare()
    for number, (multiple, together) in enumerate(_batches(casts)):
        told = Silent() if number else progress
        if measure is not None:
            _scale_in_threads(entry, multiple, together, device, told, measure)
            continue
        start = 0
        for block in entry.blocks(device.block, row_major=True, multiple_of=multiple):
            source = SourceBlock(block.to(device.torch))
            on_cpu = SourceBlock(block)
            where = _where(entry, start)
            for cast in together:
                result = cast.take(source, start, where)
                if cast.on_cpu is not None:
                    expected = cast.on_cpu.take(on_cpu, start, where)
                    cast.take_mismatches(block, result, expected, where)
            start += len(block)
            told.advance(len(block))


def _survey_in_threads(
    entry: TensorEntry, casts: Sequence[ScaledCasting], device: Device, progress: Progress
) -> None:
    """Looks at a tensor for casts of which each needs the largest magnitude alone."""
    size = device.block * BLOCKS

    def work(piece: tuple[int, Tensor]) -> tuple[int, float]:
        _, block = piece
        return len(block), _largest(block)

    def done(found: tuple[int, float]) -> None:
        count, largest = found
        for cast in casts:
            cast.survey_largest(largest)
        progress.advance(count)

    blocks = pieces(entry.blocks(size), entry.lasting)
    sweep(work, blocks, threads_for(-(-entry.count // size)), done)


def _largest(block: Tensor) -> float:
    """The largest finite magnitude; 0 where there is none."""
    if block.dtype is torch.float32:  # which torch need not write down first
        lowest, highest = map(float, torch.aminmax(block))
        if math.isfinite(lowest) and math.isfinite(highest):  # false of NaN
            return max(-lowest, highest)
    return SourceBlock(block).exact_largest


def _scale_in_threads(
    entry: TensorEntry,
    multiple: int,
    casts: Sequence[ScaledCasting],
    device: Device,
    progress: Progress,
    measure: ScaledMeasurer,
) -> None:
    """As `scale_entry`, on the CPU, several blocks at a time; taken in in their order."""
    size = device.block * BLOCKS
    row = entry.shape[-1] if entry.shape else 1
    whole = row % multiple == size % multiple == 0  # every block has whole groups as it is
    lasting = whole and entry.lasting and entry.order is None

    blocks = entry.blocks(size, row_major=True, multiple_of=1 if whole else multiple)

    def work(piece: tuple[int, Tensor]) -> tuple[int, list[Callable[[], object]]]:
        start, block = piece
        source, where = SourceBlock(block), _where(entry, start)
        return len(block), [cast.measured(source, start, where, measure) for cast in casts]

    def done(result: tuple[int, list[Callable[[], object]]]) -> None:
        count, found = result
        for take in found:
            take()
        progress.advance(count)

    sweep(work, pieces(blocks, lasting), threads_for(-(-entry.count // size)), done)


def _where(entry: TensorEntry, start: int) -> Where:
    """Where the elements of a row-major block are that begins there."""
    return lambda at: (entry.name, entry.index(start + at, row_major=True))


def _batches(casts: Sequence[ScaledCasting]) -> list[tuple[int, list[ScaledCasting]]]:
    """Casts that can share a reading, with what the lengths of its blocks are a multiple of."""
    found: list[tuple[int, list[ScaledCasting]]] = []
    for cast in casts:
        width = cast.width or 1
        for at, (multiple, together) in enumerate(found):
            common = lcm(multiple, width)
            if common <= max(_TOGETHER, multiple, width):
                found[at] = common, [*together, cast]
                break
        else:
            found.append((width, [cast]))
    return found
