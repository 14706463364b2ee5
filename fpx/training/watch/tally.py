"""What was counted so far: on the devices where it was, until somebody asks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, TypeVar

import torch
from torch import Tensor

from fpx.core.spec import FormatSpec
from fpx.training.watch.counting import counter_of
from fpx.training.watch.edges import Edges

WINDOWS = 32
"""Stretches of steps that are told apart: where there are more, neighbours are merged."""

Numbers = TypeVar("Numbers", Tensor, list[int])


class Key(NamedTuple):
    """Whose numbers they are.

    Attributes:
        name: of a module or parameter; empty for all of them.
        kind: what of it, of `fpx.report.watch_rows.KINDS`, or what an optimizer calls it.
        format: that the numbers have.
        edges: between which they were counted; None of moves.
        device: where.
    """

    name: str
    kind: str
    format: FormatSpec
    edges: Edges | None
    device: torch.device


@dataclass
class Total(Generic[Numbers]):
    """Numbers of one key, added up.

    Attributes:
        numbers: counts of buckets, or the rows of `updates.moves` one after the other.
        largest: the largest finite magnitude, one number; of moves 0.
        calls: tensors that were counted.
        stride: of moves: one in so many weights was followed.
    """

    numbers: Numbers
    largest: Numbers
    calls: int = 1
    stride: int = 1


@dataclass
class Window(Generic[Numbers]):
    """Steps that follow each other, and what was counted in those that were watched.

    Attributes:
        first, last: numbers of optimizer steps, from 0.
        steps: how many of them were watched.
        totals: of all names, by kind.
    """

    first: int
    last: int
    steps: int = 0
    totals: dict[Key, Total[Numbers]] = field(default_factory=dict)


@dataclass
class Found:
    """A tally in plain numbers."""

    totals: dict[Key, Total[list[int]]]
    windows: list[Window[list[int]]]


class Tally:
    """Counts of tensors by name and kind, and of all names by steps; nothing in it waits.

    Args:
        targets: the formats that counts tell about.

    Attributes:
        step: the optimizer step that is being made, from 0.
    """

    def __init__(self, targets: tuple[FormatSpec, ...]) -> None:
        self.step = 0
        self._targets = targets
        self._totals: dict[Key, Total[Tensor]] = {}
        self._windows: list[Window[Tensor]] = []
        self._width = 1  # watched steps of a window

    def count(self, name: str, kind: str, x: Tensor, held: FormatSpec, told: FormatSpec) -> None:
        """Counts a tensor.

        Args:
            name, kind: see `Key`.
            x: dense and detached.
            held: its format.
            told: the format to tell of, where it was converted to be counted.
        """
        edges, counter = counter_of(held, self._targets, x.device)
        counts, largest = counter.count(x)
        self._add(Key(name, kind, told, edges, x.device), Total(counts, largest))

    def moves(self, name: str, own: FormatSpec, numbers: Tensor, stride: int) -> None:
        """Adds what `updates.moves` found of a parameter."""
        flat = numbers.reshape(-1)
        nothing = torch.zeros((), dtype=torch.int64, device=flat.device)
        self._add(Key(name, "update", own, None, flat.device), Total(flat, nothing, 1, stride))

    def step_done(self) -> None:
        """The step was made: what is counted from here on belongs to the next one."""
        window = self._window()
        window.steps += 1
        if window.steps >= self._width and len(self._windows) == WINDOWS:
            self._width *= 2
            pairs = zip(self._windows[::2], self._windows[1::2], strict=True)
            self._windows = [_joined(*pair) for pair in pairs]

    def _window(self) -> Window[Tensor]:
        """The window that this step is in, begun where there is none yet."""
        if not self._windows or self._windows[-1].steps >= self._width:
            self._windows.append(Window(self.step, self.step))
        self._windows[-1].last = self.step
        return self._windows[-1]

    def _add(self, key: Key, total: Total[Tensor]) -> None:
        _add(self._totals, key, total)
        _add(self._window().totals, key._replace(name=""), total)

    def fetch(self) -> Found:
        """All of it as plain numbers: each device is waited for once."""
        every = [*self._totals.values(), *(t for w in self._windows for t in w.totals.values())]
        tensors = [tensor for total in every for tensor in (total.numbers, total.largest)]
        plain = dict(zip(map(id, tensors), _plain(tensors), strict=True))

        def told(totals: dict[Key, Total[Tensor]]) -> dict[Key, Total[list[int]]]:
            return {
                key: Total(
                    plain[id(total.numbers)], plain[id(total.largest)], total.calls, total.stride
                )
                for key, total in totals.items()
            }

        windows = [Window(w.first, w.last, w.steps, told(w.totals)) for w in self._windows]
        return Found(told(self._totals), windows)


def _add(totals: dict[Key, Total[Tensor]], key: Key, more: Total[Tensor]) -> None:
    so_far = totals.get(key)
    if so_far is None:
        totals[key] = Total(more.numbers.clone(), more.largest.clone(), more.calls, more.stride)
        return
    so_far.numbers += more.numbers
    so_far.largest = torch.maximum(so_far.largest, more.largest)
    so_far.calls += more.calls
    so_far.stride = max(so_far.stride, more.stride)


def _joined(one: Window[Tensor], other: Window[Tensor]) -> Window[Tensor]:
    for key, total in other.totals.items():
        _add(one.totals, key, total)
    return Window(one.first, other.last, one.steps + other.steps, one.totals)


def _plain(tensors: Iterable[Tensor]) -> list[list[int]]:
    """int64 tensors as lists: those of a device come over together."""
    items = list(tensors)
    found: dict[int, list[int]] = {}
    for device in dict.fromkeys(tensor.device for tensor in items):
        mine = [(at, tensor) for at, tensor in enumerate(items) if tensor.device == device]
        numbers = torch.cat([tensor.reshape(-1) for _, tensor in mine]).tolist()
        start = 0
        for at, tensor in mine:
            found[at] = numbers[start : start + tensor.numel()]
            start += tensor.numel()
    return [found[at] for at in range(len(items))]
