"""Two tensors side by side: how far apart their elements are."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from fpx.core.spec import FormatSpec
from fpx.measure.apart import Distances, Elements, may_be_unusual, places
from fpx.measure.block import SourceBlock
from fpx.measure.derived import metrics_of
from fpx.measure.metrics import measure
from fpx.measure.stats import CastStats
from fpx.report.base import hex_code
from fpx.report.cast_row import Location
from fpx.report.diff_row import Comparison, Spot
from fpx.tensors.dtypes import Origin, codes_of, origin_of
from fpx.tensors.entry import TensorEntry
from fpx.tensors.progress import Progress

LARGEST = "max_distance_spot"

_ERRORS = ("max_abs_error", "max_rel_error", "max_error_ulp", "rms_error", "sqnr_db")


def side_by_side(
    first: TensorEntry, second: TensorEntry, limit: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Blocks of both in row-major order, cut so that two that come together are of one length.

    Raises:
        InputError: damage that shows only in the data.
    """
    blocks = [entry.blocks(limit, row_major=True) for entry in (first, second)]
    return in_step(blocks, first.count)


def in_step(sides: Sequence[Iterator[Tensor]], count: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Blocks of both sides, cut as those of `side_by_side` are.

    Args:
        sides: two, in one order.
        count: elements that each has.
    """
    held: list[Tensor | None] = [None, None]
    while count:
        for side, blocks in enumerate(sides):
            if held[side] is None:
                held[side] = next(blocks)
        x, y = held
        assert x is not None
        assert y is not None
        length = min(len(x), len(y))
        yield x[:length], y[:length]
        count -= length
        held = [rest if len(rest := item[length:]) else None for item in (x, y)]


@dataclass
class Tally:
    """What was found of some elements of two tensors.

    Attributes:
        counts: name -> elements.
        total, distant: the sum of distances, and how many there are.
        largest: the largest distance.
        spots: where things are.
        stats: of errors.
    """

    counts: Counter[str] = field(default_factory=Counter)
    total: int = 0
    distant: int = 0
    largest: int = 0
    spots: dict[str, Spot] = field(default_factory=dict)
    stats: CastStats = field(default_factory=CastStats)

    def add(self, other: Tally) -> None:
        """Takes in what was found of elements that come after."""
        if other.largest > self.largest:
            self.largest = other.largest
            self.spots[LARGEST] = other.spots[LARGEST]
        for name, spot in other.spots.items():
            self.spots.setdefault(name, spot)
        self.counts.update(other.counts)
        self.total += other.total
        self.distant += other.distant
        self.stats.add(other.stats)


class Comparing:
    """Two tensors of one shape, and what is known of how far apart they are.

    Args:
        first, second: the tensors.
        tolerance: codes that values may be apart.

    Attributes:
        tally: what was found so far.
    """

    def __init__(self, first: TensorEntry, second: TensorEntry, tolerance: int) -> None:
        self._first, self._second, self._tolerance = first, second, tolerance
        self._types = origin_of(first.dtype), origin_of(second.dtype)
        self._same = first.dtype == second.dtype
        self._start = 0
        self.tally = Tally()

    def read(self, progress: Progress, block: int, known: int) -> None:
        """Reads both; of the first `known` elements, somebody was told already."""
        for x, y in side_by_side(self._first, self._second, block):
            self._take(x, y)
            self._start += len(x)
            fresh = self._start - max(known, self._start - len(x))
            if fresh > 0:
                progress.advance(fresh)

    def _take(self, x: Tensor, y: Tensor) -> None:
        """Takes in the next block of both."""
        b_type = self._types[1]
        if isinstance(b_type, FormatSpec):
            found = measure(SourceBlock(x), y, b_type, self.tally.stats.known)
            self.tally.stats.take(found, lambda at: self._location(at, x, y))
        self.tally.counts["count"] += len(x)
        positions = None if self._same else may_be_unusual(x, y)
        if positions is None:
            elements = Elements(x, y)
            self.tally.distant += int(elements.comparable.count_nonzero())
            positions = elements.unusual
            if 2 * len(positions) > len(x):  # to pick them would take longer than to take all
                positions = torch.arange(len(x))
            elif len(positions):
                elements = elements.at(positions)
        else:
            self.tally.distant += len(x)
            x, y = (codes_of(block)[positions].view(block.dtype) for block in (x, y))
            elements = Elements(x, y)
        if len(positions):
            self._take_unusual(elements, positions)

    def _location(self, at: int, x: Tensor, y: Tensor) -> Location:
        index = self._first.index(self._start + at, row_major=True)
        return Location(self._first.name, index, _value(x[at]), _value(y[at]))

    def _take_unusual(self, elements: Elements, at: Tensor) -> None:
        """Takes in elements of a block that may not be as expected, and their positions in it."""
        comparable = elements.comparable
        usual = bool(comparable.all())
        beyond = torch.zeros_like(comparable)
        differs = elements.wanted.codes != elements.b
        if not usual:
            for name, mask in elements.losses().items():
                self.tally.counts[name] += int(mask.count_nonzero())
                beyond |= mask
            if "first_lost_spot" not in self.tally.spots and beyond.any():
                first = int(beyond.to(torch.uint8).argmax())
                self.tally.spots["first_lost_spot"] = self._spot(elements, first, at)
            both_nan = elements.both_nan
            if self._same:
                self.tally.counts["nan_bits_count"] += int((both_nan & differs).count_nonzero())
            else:
                differs &= ~both_nan
            differs |= beyond
        self.tally.counts["differing_count"] += int(differs.count_nonzero())
        if usual or comparable.any():
            some = slice(None) if usual else comparable
            wanted, got = (
                places(codes[some], elements.b_type)
                for codes in (elements.wanted.codes, elements.b)
            )
            signs = (wanted == got) & differs[some]
            self.tally.counts["zero_sign_count"] += int(signs.count_nonzero())
            distances = Distances(wanted, got)
            self.tally.total += distances.total()
            largest, place = distances.largest()
            if largest > self.tally.largest:
                self.tally.largest = largest
                place = int(comparable.nonzero()[place])
                self.tally.spots[LARGEST] = self._spot(elements, place, at)
            beyond[some] |= distances.beyond(self._tolerance)
        self.tally.counts["beyond_count"] += int(beyond.count_nonzero())

    def _spot(self, elements: Elements, place: int, at: Tensor) -> Spot:
        """One of some elements, which has that position in the block."""
        a_type, b_type = self._types
        wanted = elements.wanted.codes[place]
        holds = isinstance(b_type, FormatSpec) or bool(elements.wanted.finite[place])
        return Spot(
            index=self._first.index(self._start + int(at[place]), row_major=True),
            a=_value(elements.x[place]),
            b=_value(elements.y[place]),
            a_code=_hex(int(elements.a[place]), a_type),
            b_code=_hex(int(elements.b[place]), b_type),
            expected=_value(wanted.view(elements.y.dtype)) if holds else None,
            expected_code=_hex(int(wanted), b_type) if holds else None,
        )

    def result(self) -> Comparison:
        """What is known of all blocks so far."""
        counts, spots = self.tally.counts, self.tally.spots
        target = self._types[1]
        errors = (
            metrics_of(self.tally.stats, target, on_device=False)
            if isinstance(target, FormatSpec)
            else {}
        )
        return Comparison(
            count=counts["count"],
            differing_count=counts["differing_count"],
            beyond_count=counts["beyond_count"],
            max_distance=self.tally.largest if self.tally.distant else None,
            mean_distance=self.tally.total / self.tally.distant if self.tally.distant else None,
            nan_appeared_count=counts["nan_appeared_count"],
            nan_vanished_count=counts["nan_vanished_count"],
            inf_appeared_count=counts["inf_appeared_count"],
            inf_vanished_count=counts["inf_vanished_count"],
            out_of_range_count=counts["out_of_range_count"],
            nan_bits_count=counts["nan_bits_count"] if self._same else None,
            zero_sign_count=counts["zero_sign_count"],
            **{name: errors.get(name) for name in _ERRORS},
            max_distance_spot=spots.get(LARGEST),
            first_lost_spot=spots.get("first_lost_spot"),
        )


def all_equal(first: TensorEntry, second: TensorEntry) -> Comparison:
    """What holds of two tensors of the same bits: nothing of it has to be measured."""
    bits = 0 if first.dtype == second.dtype else None
    if not first.count:
        return Comparison(0, nan_bits_count=bits)
    found = Comparison(first.count, max_distance=0, mean_distance=0.0, nan_bits_count=bits)
    if not isinstance(origin_of(second.dtype), FormatSpec):
        return found
    return replace(
        found, max_abs_error=0.0, max_rel_error=0.0, max_error_ulp=0.0, rms_error=0.0,
        sqnr_db=math.inf,
    )  # fmt: skip


def _value(element: Tensor) -> int | float:
    if element.is_floating_point():
        return float(element.to(torch.float64))
    return int(element.item())  # which uint64 has too, unlike int()


def _hex(code: int, type_: Origin) -> str:
    """A code of a `container` in hexadecimal."""
    if isinstance(type_, FormatSpec):
        return hex_code(code & ((1 << type_.bits) - 1), type_)
    bits = max(type_.bits, 8)
    return f"0x{code & ((1 << bits) - 1):0{bits // 4}x}"
