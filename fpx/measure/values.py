"""What values a tensor has: statistics, extremes, its corners, one of its elements."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable
from itertools import product
from typing import NamedTuple

import torch
from torch import Tensor

from fpx.core.formats import FORMATS
from fpx.core.numbers import Code
from fpx.core.policy import Overflow, Rounding
from fpx.core.shortest import shortest_decimal
from fpx.core.spec import FormatSpec
from fpx.errors import InputError
from fpx.measure.apart import places
from fpx.measure.block import SourceBlock
from fpx.measure.moments import Moments
from fpx.report.decode import DecodeReport
from fpx.report.inspect_row import Channel, Element, TensorStats
from fpx.tensors.dtypes import Origin, codes_of
from fpx.tensors.entry import TensorEntry
from fpx.tensors.progress import Progress
from fpx.words import quoted

_BLOCK = 1 << 16
_WIDE = FORMATS["float64"]

# -- statistics ------------------------------------------------------------------------------------


def tensor_stats(
    entry: TensorEntry,
    progress: Progress | None = None,
    *,
    axis: int | None = None,
    watch: Callable[[Tensor, int], None] | None = None,
    block: int = _BLOCK,
) -> TensorStats:
    """Counts, extremes and moments of a tensor's values, from one pass over it.

    Args:
        entry: the tensor.
        progress: hears how far it is.
        axis: of the channels, one of which may stick out; not negative.
        watch: gets each block too, and the position of its first element.
        block: elements to read at a time.
    """
    spec = entry.type if isinstance(entry.type, FormatSpec) else None
    normal = 0.0 if spec is None else float(spec.smallest_normal.fraction)
    lows: list[float] = []
    highs: list[float] = []
    nearest: list[float] = []
    zeros = subnormals = nans = infinities = 0
    moments = Moments()
    channels = None if axis is None or not entry.count else _Channels(entry, axis)
    exponents = torch.zeros(1 << _WIDE.exponent_bits, dtype=torch.int64)
    start = 0
    for part in entry.blocks(block):
        if watch is not None:
            watch(part, start)
        values = part.to(torch.float64)
        magnitude = values.abs()
        least, most = map(float, torch.aminmax(magnitude))  # NaN both where there is one
        zero = len(part) - int(magnitude.count_nonzero())
        zeros += zero
        if not least >= normal:  # also where there is a NaN
            subnormals += int((magnitude < normal).count_nonzero()) - zero
        # integers of 64 bits may round up to the next power of two
        exact = magnitude if part.is_floating_point() else SourceBlock(part).exact_magnitude
        fields = exact.view(torch.int64) >> _WIDE.fraction_bits
        exponents += torch.bincount(fields, minlength=len(exponents))
        exponents[0] -= zero  # which have the exponent of float64's subnormals
        if not math.isfinite(most):
            finite = values.isfinite()
            not_numbers = int(values.isnan().count_nonzero())
            nans += not_numbers
            infinities += len(part) - int(finite.count_nonzero()) - not_numbers
            if channels is not None:
                channels.add(torch.where(finite, magnitude, 0.0), start)
            values, magnitude = values[finite], magnitude[finite]
        elif channels is not None:
            channels.add(magnitude, start)
        if len(values):
            low, high = map(float, torch.aminmax(values))
            lows.append(low)
            highs.append(high)
            moments += Moments.of(values, max(-low, high))
            if zero:
                magnitude = magnitude[magnitude > 0]
            if len(magnitude):
                nearest.append(float(magnitude.min()))
        start += len(part)
        if progress is not None:
            progress.advance(len(part))
    histogram = {
        biased - _WIDE.bias: count
        for biased, count in enumerate(exponents[:-1].tolist())  # the last: infinities and NaNs
        if count
    }
    largest = max(-min(lows), max(highs)) if lows else None
    return TensorStats(
        min=min(lows, default=None),
        max=max(highs, default=None),
        max_abs=largest,
        min_abs=min(nearest, default=None),
        mean=None if largest is None else float(moments.mean),
        std=None if largest is None else moments.std(largest),
        zero_count=zeros,
        subnormal_count=subnormals,
        nan_count=nans,
        inf_count=infinities,
        exponent_histogram=histogram,
        channel=None if channels is None else channels.found(),
    )


class _Channels:
    """The largest magnitude of each channel, which is all that is kept of a tensor."""

    def __init__(self, entry: TensorEntry, axis: int) -> None:
        self._axis = axis
        self._step = entry.step(axis)
        self._length = entry.shape[axis]
        self._maxima = torch.zeros(self._length, dtype=torch.float64)

    def add(self, magnitude: Tensor, start: int) -> None:
        """Takes in finite magnitudes at positions from `start` on, in the order of the blocks."""
        first = start // self._step % self._length
        runs = self._runs(magnitude, start)  # one maximum of each channel in turn
        head, rest = runs[: self._length - first], runs[self._length - first :]
        self._take(head, first)
        whole = len(rest) // self._length * self._length
        if whole:
            self._take(rest[:whole].view(-1, self._length).amax(0), 0)
        self._take(rest[whole:], 0)

    def _take(self, maxima: Tensor, first: int) -> None:
        held = self._maxima[first : first + len(maxima)]
        torch.maximum(held, maxima, out=held)

    def _runs(self, magnitude: Tensor, start: int) -> Tensor:
        """The maxima of stretches of elements that are of one channel."""
        step = self._step
        if step == 1:
            return magnitude
        head = min(-start % step, len(magnitude))
        whole = (len(magnitude) - head) // step * step
        parts = [magnitude[:head].view(1, -1), magnitude[head : head + whole].view(-1, step),
                 magnitude[head + whole :].view(1, -1)]  # fmt: skip
        return torch.cat([part.amax(1) for part in parts if part.numel()])

    def found(self) -> Channel:
        """The channel of the largest maximum, the first of equals."""
        ordered = self._maxima.sort().values
        largest = float(ordered[-1])
        lower, upper = (float(ordered[at]) for at in ((self._length - 1) // 2, self._length // 2))
        median = lower if lower == upper else lower / 2 + upper / 2  # their sum may overflow
        return Channel(
            axis=self._axis,
            channels=self._length,
            index=int((self._maxima == largest).nonzero()[0]),
            max_abs=largest,
            median=median,
            ratio=_ratio(largest, median),
        )


def _ratio(over: float, under: float) -> float | None:
    """None where it is no finite number."""
    ratio = over / under if under else math.inf
    return ratio if math.isfinite(ratio) else None


# -- elements --------------------------------------------------------------------------------------


def described(entry: TensorEntry, index: tuple[int, ...], value: Tensor) -> Element:
    """An element, from a tensor of one element."""
    if isinstance(entry.type, FormatSpec):
        code = int(codes_of(value.reshape(1)).item()) % (1 << entry.type.bits)
        return Element(index, float(value), shortest_decimal(code, entry.type))
    number = int(value.item())  # `int` of a tensor has no room for uint64
    return Element(index, number, str(number))


_CORNER = 4  # indexes at each end of the last two axes of a large tensor
_EDGE = 1  # and of the two before those; of what is before them, the first alone
_WHOLE = 64  # elements of a tensor that is shown whole


class Corners:
    """The elements that stand for a tensor: all of a small one, the corners of a large one.

    Attributes:
        indexes: those along each axis; the elements are at all of their combinations.
    """

    def __init__(self, entry: TensorEntry) -> None:
        self._entry = entry
        count = len(entry.shape)
        self._ends = [
            _ends(length, count - axis, entry.count <= _WHOLE)
            for axis, length in enumerate(entry.shape)
        ]
        self.indexes = tuple(tuple(at for along in ends for at in along) for ends in self._ends)
        self._found: dict[int, Element] = {}  # by the position in the order of the blocks
        self._wanted = sorted(map(entry.position, product(*self.indexes)))

    def watch(self, part: Tensor, start: int) -> None:
        """Takes what it wants of a block, of which the first element is at position `start`."""
        low, high = (bisect_left(self._wanted, at) for at in (start, start + len(part)))
        for position in self._wanted[low:high]:
            index = self._entry.index(position)
            self._found[position] = described(self._entry, index, part[position - start])

    def read(self) -> None:
        """Takes them from where they are, without the rest where that can be."""
        if self._entry.read_box is None:
            start = 0
            for part in self._entry.blocks(_BLOCK):
                self.watch(part, start)
                start += len(part)
                if self._wanted and start > self._wanted[-1]:
                    break
            return
        for box in product(*self._ends):
            held = self._entry.part(box, _BLOCK)
            places = product(*(range(len(along)) for along in box))
            for place, index in zip(places, product(*box), strict=True):
                position = self._entry.position(index)
                self._found[position] = described(self._entry, index, held[place])

    @property
    def elements(self) -> tuple[Element, ...]:
        """The elements, row-major."""
        places = map(self._entry.position, product(*self.indexes))
        return tuple(self._found[position] for position in places)


def _ends(length: int, place: int, whole: bool) -> list[range]:
    """The indexes at both ends of an axis: all in one piece where that is nearly all.

    Args:
        length: of the axis.
        place: the last axis has 1.
        whole: whether all are wanted.
    """
    most = _CORNER if place <= 2 else _EDGE
    if not length:
        return []
    if whole or (length <= 2 * most + 1 and place <= 4):
        return [range(length)]
    return [range(most), range(length - most, length)] if place <= 4 else [range(1)]


def element(entry: TensorEntry, index: tuple[int, ...]) -> DecodeReport:
    """One element, down to its bits; negative indexes count from the end.

    Raises:
        InputError: no such element, or the tensor's dtype is no floating-point format.
    """
    spec = entry.type
    if not isinstance(spec, FormatSpec):
        raise InputError(f"{quoted(entry.name)} is {spec.name}, no floating-point format")
    wrapped = entry.within(index)
    value = entry.part(tuple(range(at, at + 1) for at in wrapped), _BLOCK)
    code = int(codes_of(value.reshape(1)).item()) % (1 << spec.bits)
    text = f"{entry.name}[{', '.join(map(str, wrapped))}]"
    literal = Code(code, spec.bits, text)
    return DecodeReport.of(literal, spec, Rounding.TIES_TO_EVEN, Overflow.IEEE)


def extremes(
    entry: TensorEntry, count: int, *, block: int = _BLOCK
) -> tuple[tuple[Element, ...], tuple[Element, ...], tuple[Element, ...]]:
    """The largest, the smallest, and the non-zero elements closest to zero of a tensor.

    Args:
        entry: the tensor.
        count: elements of each.
        block: elements to read at a time.

    Raises:
        InputError: `count` is not positive.
    """
    if count < 1:
        raise InputError(f"`top` must be at least 1, not {count}")
    largest, smallest, closest = (_Top(entry, count) for _ in range(3))
    start = 0
    for part in entry.blocks(block):
        for top, keys in zip((largest, smallest, closest), _keys(part, entry.type), strict=True):
            top.add(part, keys, start)
        start += len(part)
    return largest.elements, smallest.elements, closest.elements


class _Keys(NamedTuple):
    """What elements are ordered by, of shape (n,): float64, or int64 of integers, exactly.

    Attributes:
        keys: the larger, the more extreme.
        usable: which elements count, as bools.
    """

    keys: Tensor
    usable: Tensor


def _keys(part: Tensor, type_: Origin) -> tuple[_Keys, _Keys, _Keys]:
    """By value, by falling value, and of those that are not 0 by falling magnitude."""
    if isinstance(type_, FormatSpec):
        values = part.to(torch.float64)
        usable, nonzero, near = ~values.isnan(), values.abs() > 0, -values.abs()
    else:
        values = places(codes_of(part), type_)
        usable, nonzero = torch.ones_like(values, dtype=torch.bool), codes_of(part) != 0
        near = torch.where(values < 0, values, -values) if type_.signed else ~values
    falling = -values if values.is_floating_point() else ~values  # -2^63 has no negative
    return _Keys(values, usable), _Keys(falling, usable), _Keys(near, nonzero)


class _Top:
    """The elements of the largest keys seen; the earlier of equals first."""

    def __init__(self, entry: TensorEntry, count: int) -> None:
        self._entry = entry
        self._count = count
        self._items: list[tuple[int | float, int, Element]] = []  # key, position, element

    @property
    def elements(self) -> tuple[Element, ...]:
        """Those elements."""
        return tuple(element for _, _, element in self._items)

    def add(self, values: Tensor, by: _Keys, start: int) -> None:
        """Takes in the values at positions from `start` on."""
        keys, usable = by.keys, by.usable.nonzero().view(-1)
        if len(self._items) == self._count:
            usable = usable[keys[usable] > self._items[-1][0]]
        order = keys[usable].argsort(descending=True, stable=True)[: self._count]
        found = [
            (keys[at].item(), start + at, self._element(start + at, values[at]))
            for at in usable[order].tolist()
        ]
        merged = sorted([*self._items, *found], key=lambda item: (-item[0], item[1]))
        self._items = merged[: self._count]

    def _element(self, position: int, value: Tensor) -> Element:
        return described(self._entry, self._entry.index(position), value)
