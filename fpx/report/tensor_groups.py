"""Tensors whose names differ in numbers only, under one name."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod

from fpx.report.inspect_row import TensorInfo

_NUMBER = re.compile(r"(?<![0-9])([0-9]{1,18})(?![0-9])")
_RUNS_SHOWN = 6  # runs of numbers in a set, as in {0,2,4..9}


@dataclass(frozen=True)
class TensorGroup:
    """Tensors whose names differ in numbers only, and that are else described alike.

    Attributes:
        name: of one tensor, its name; of several, that with sets of numbers, as in
            `layer.{0..5}.weight`: every combination of the numbers is in the group.
        tensors: in the order of the source.
    """

    name: str
    tensors: tuple[TensorInfo, ...]


def groups(tensors: Sequence[TensorInfo]) -> tuple[TensorGroup, ...]:
    """Tensors of one source, those together whose names differ in numbers only.

    They have one dtype and one shape, and nothing is to be said of how they lie in a storage. A
    group has every combination of its numbers. It stands where its first tensor does.
    """
    found: dict[tuple[tuple[str, ...], object], list[tuple[int, tuple[str, ...]]]] = {}
    for at, tensor in enumerate(tensors):
        pieces = _NUMBER.split(tensor.tensor)
        stored = None if tensor.quantised is None else tensor.quantised.alike
        alike: object = (tensor.dtype, tensor.shape, stored) if tensor.is_plain else at
        found.setdefault((tuple(pieces[::2]), alike), []).append((at, tuple(pieces[1::2])))
    made: list[tuple[int, TensorGroup]] = []
    for (around, _), members in found.items():
        if len(members) == 1:
            ((at, _),) = members
            made.append((at, TensorGroup(tensors[at].tensor, (tensors[at],))))
            continue
        for numbers, places in _combinations(members):
            sets = (*map(_set_of, numbers), "")
            name = "".join(f"{text}{each}" for text, each in zip(around, sets, strict=True))
            made.append((places[0], TensorGroup(name, tuple(tensors[at] for at in places))))
    return tuple(group for _, group in sorted(made, key=lambda item: item[0]))


def _combinations(
    members: list[tuple[int, tuple[str, ...]]],
) -> Iterator[tuple[list[tuple[str, ...]], list[int]]]:
    """(the numbers at each place of the names, whose tensors) of groups with every combination."""
    columns = zip(*(each for _, each in members), strict=True)
    numbers = [tuple(dict.fromkeys(column)) for column in columns]
    if prod(map(len, numbers)) == len(members):
        yield numbers, [at for at, _ in members]
        return
    place = next((at for at, each in enumerate(numbers) if len(each) > 1), None)
    if place is None:  # one name several times: of a source that was named twice
        for at, _ in members:
            yield numbers, [at]
        return
    apart: dict[str, list[tuple[int, tuple[str, ...]]]] = {}
    for member in members:
        apart.setdefault(member[1][place], []).append(member)
    for part in apart.values():
        yield from _combinations(part)


def _set_of(numbers: tuple[str, ...]) -> str:
    """`3` for one number, `{0..5}` for several in a row, `{0,2,4..9}` for others."""
    if len(numbers) == 1:
        return numbers[0]
    ordered = sorted(numbers, key=lambda text: (int(text), text))
    runs: list[list[str]] = []
    for text in ordered:
        last = runs[-1][-1] if runs else ""
        if runs and int(text) == int(last) + 1 and _continues(last, text):
            runs[-1].append(text)
        else:
            runs.append([text])
    shown = [
        f"{run[0]}..{run[-1]}" if len(run) > 2 else ",".join(run)
        for run in (runs if len(runs) <= _RUNS_SHOWN else [*runs[: _RUNS_SHOWN - 2], runs[-1]])
    ]
    if len(runs) > _RUNS_SHOWN:
        shown.insert(-1, "…")
    return f"{{{','.join(shown)}}}"


def _continues(last: str, text: str) -> bool:
    """Whether two numbers in a row are written alike: both padded to one width, or neither."""
    padded = last.startswith("0") and len(last) > 1
    return len(text) == len(last) if padded else not text.startswith("0")
