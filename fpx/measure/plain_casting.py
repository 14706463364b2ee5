"""The plain casts of one tensor: it is read once, and every cast takes each block in."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import torch
from torch import Tensor

from fpx.casts.device import Device
from fpx.casts.sweep import BLOCKS, pieces, sweep, threads_for
from fpx.measure.block import SourceBlock
from fpx.measure.casting import Casting, where_in
from fpx.measure.distinct import DistinctValues, has_few_codes
from fpx.measure.measurers import Chosen
from fpx.tensors.entry import TensorEntry
from fpx.tensors.progress import Progress


def _is_counted(
    entry: TensorEntry, casts: Sequence[Casting], device: Device, worthwhile: int
) -> bool:
    """Whether casts of a tensor are measured by distinct code."""
    few = device.is_cpu and has_few_codes(entry, worthwhile)
    return few and all(cast.elementwise for cast in casts)


def cast_entry(
    entry: TensorEntry,
    casts: Sequence[Casting],
    device: Device,
    progress: Progress,
    chosen: Chosen,
    worthwhile: int,
) -> None:
    """Reads a tensor once and takes its casts to every target in."""
    if _is_counted(entry, casts, device, worthwhile):
        threads = torch.get_num_threads() if chosen.threaded else 1
        seen = DistinctValues(entry, chosen.tally, threads)
        try:
            seen.read(progress.advance)
        finally:  # whoever interrupts is told of what was read
            found = seen.distinct()
            if found is not None:
                where = where_in(entry, found.first.__getitem__)
                for cast in casts:
                    cast.take(found.block, cast.results(found.block.x), where, chosen.measurer)
        return
    drawn = device.is_cpu and not all(cast.elementwise for cast in casts)
    size = device.block * (BLOCKS if chosen.threaded else 1)
    if (chosen.threaded or drawn) and entry.count > size:  # draws take torch long, block by block
        _cast_in_threads(entry, casts, size, progress, chosen)
        return
    start = 0
    for block in entry.blocks(device.block):
        source = SourceBlock(block.to(device.torch))
        where = where_in(entry, start.__add__)
        for cast in casts:
            at = entry.start + start
            if device.is_cpu:
                cast.take(source, cast.results(block, at), where, chosen.measurer, at)
            else:
                cast.take_beside_cpu(source, block, where, chosen.measurer, at)
        start += block.numel()
        progress.advance(block.numel())


def _cast_in_threads(
    entry: TensorEntry,
    casts: Sequence[Casting],
    size: int,
    progress: Progress,
    chosen: Chosen,
) -> None:
    """As `cast_entry`, on the CPU, several blocks of that size at a time; taken in in order."""

    def work(piece: tuple[int, Callable[[], Tensor]]) -> tuple[int, list[Callable[[], None]]]:
        start, read = piece
        block = read()
        source, where = SourceBlock(block), where_in(entry, start.__add__)
        at = entry.start + start
        found = [
            cast.measured(source, cast.results(block, at), where, chosen.measurer, at)
            for cast in casts
        ]
        return len(block), found

    def done(result: tuple[int, list[Callable[[], None]]]) -> None:
        count, found = result
        for take in found:
            take()
        progress.advance(count)

    sweep(work, _pieces(entry, size), threads_for(-(-entry.count // size)), done)


def _same(block: Tensor) -> Tensor:
    return block


def _pieces(entry: TensorEntry, size: int) -> Iterator[tuple[int, Callable[[], Tensor]]]:
    """Where each block begins, and what reads it, in the thread that measures it if it can."""
    if entry.read_part is None:
        for start, block in pieces(entry.blocks(size), entry.lasting):
            yield start, partial(_same, block)
        return
    for start in range(0, entry.count, size):
        yield start, partial(entry.read_part, start, min(size, entry.count - start))
