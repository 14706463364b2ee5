"""Which tensors of what was opened are weights: no whole numbers, and no optimizer's state."""

from __future__ import annotations

from dataclasses import replace

from fpx.errors import InputError
from fpx.tensors.entry import TensorEntry
from fpx.tensors.opening import Opened
from fpx.tensors.types import IntegerType
from fpx.training.states import optimizers_in
from fpx.words import counted, escape, listed


def weights_in(opened: Opened) -> tuple[Opened, list[str]]:
    """The sources without their other tensors, and a line on those of each.

    Raises:
        InputError: there are no weights.
    """
    sources, left = [], []
    for source in opened.sources:
        of_states = {
            entry.name for optimizer in optimizers_in(source) for entry in optimizer.entries
        }
        kept: list[TensorEntry] = []
        integers: list[TensorEntry] = []
        for entry in source.entries:
            if entry.name not in of_states:
                (integers if isinstance(entry.type, IntegerType) else kept).append(entry)
        told = []
        if of_states:
            told.append(f"{counted(len(of_states), 'tensor')} of an optimizer's state")
        if integers:
            names = listed(dict.fromkeys(entry.type.name for entry in integers))
            told.append(f"{counted(len(integers), 'tensor')} of {names}")
        if told:
            left.append(f"{escape(source.name)}: no weights, passed over: {', '.join(told)}")
        if kept:
            sources.append(replace(source, entries=tuple(kept)))
    if opened.sources and not sources:
        raise InputError(f"there are no weights: {left[0]}")
    return replace(opened, sources=tuple(sources)), left
