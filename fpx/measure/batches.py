"""Small tensors, cast and measured together: what a call takes by itself, they take once."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from itertools import accumulate, groupby, islice
from typing import TypeVar

import torch
from torch import Tensor

from fpx.casts.device import Device
from fpx.casts.sweep import pieces
from fpx.errors import InputError
from fpx.measure.casting import Casting, take_apart, where_in
from fpx.measure.measurement import SegmentMeasurer
from fpx.tensors.entry import TensorEntry
from fpx.tensors.progress import Progress

_MOST = 1 << 9  # tensors that are taken together, which Ctrl-C loses


_Item = TypeVar("_Item")


def batches(
    items: Iterable[_Item], kind: Callable[[_Item], Hashable | None]
) -> Iterator[tuple[bool, list[_Item]]]:
    """The items in their order: those that follow each other and are of a kind in a list.

    Args:
        items: any.
        kind: of an item; None if it is taken by itself.

    Returns:
        Whether they are taken together, and which; those of a kind are if there is but one, too.
    """
    for shared, same in groupby(items, kind):
        most = 1 if shared is None else _MOST
        while some := list(islice(same, most)):
            yield shared is not None, some


def cast_together(
    entries: Sequence[TensorEntry],
    casts: Sequence[Sequence[Casting]],
    device: Device,
    progress: Progress,
    measure: SegmentMeasurer,
) -> list[InputError | None]:
    """Reads tensors and takes their casts in, as if each were cast by itself.

    Args:
        entries: of one dtype, none empty, none longer than a block.
        casts: of each tensor: the same, of which each element is cast by itself.
        device: the CPU.
        progress: hears how many elements were measured.
        measure: who measures.

    Returns:
        What is damaged in each of them.
    """
    errors: list[InputError | None] = [None] * len(entries)
    blocks: list[Tensor] = []
    whole: list[int] = []  # those that are read
    ends: list[int] = []
    for number, entry in enumerate(entries):
        try:
            read = [block for _, block in pieces(entry.blocks(device.block), entry.lasting)]
        except InputError as error:
            errors[number] = error
            continue
        blocks += read
        whole.append(number)
        ends.append(sum(map(len, read)))
    if whole:
        x, ends = torch.cat(blocks), [*accumulate(ends)]
        wheres = [where_in(entries[number]) for number in whole]
        for same in zip(*(casts[number] for number in whole), strict=True):
            take_apart(same, x, ends, wheres, measure)
        progress.advance(len(x))
    return errors
