"""The report of `fpx inspect`: what is in tensor files, and how it lies there."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import prod
from typing import ClassVar

from fpx.report.base import JsonValue, Report, to_json
from fpx.report.checks import Failure, failures
from fpx.report.columns import Table, table_of
from fpx.report.gates.baseline import Baseline, Comparison, NotWorse, StillThere
from fpx.report.gates.changes import OldRow
from fpx.report.quantised import QuantisedInfo, QuantisedTotal, together
from fpx.words import escape

_NO_COLUMNS = ("stats.exponent_histogram", "quantised.scale_counts.codes",
               "quantised.scale_counts.exponent_histogram")  # fmt: skip


@dataclass(frozen=True)
class Element:
    """One element of a tensor.

    Attributes:
        index: its multi-index.
        value: its value; of a 64-bit integer all of it.
        shortest: the shortest decimal that rounds to it in the tensor's format; `inf`, `nan`.
    """

    index: tuple[int, ...]
    value: float
    shortest: str


@dataclass(frozen=True)
class Channel:
    """The channel of a tensor that sticks out: that with the largest magnitude.

    Attributes:
        axis: the axis whose indexes are the channels.
        channels: how many there are.
        index: of that one.
        max_abs: its largest finite magnitude.
        median: that of all channels' largest finite magnitudes.
        ratio: `max_abs` over `median`; None where that is zero.
    """

    axis: int
    channels: int
    index: int
    max_abs: float
    median: float
    ratio: float | None


@dataclass(frozen=True)
class TensorStats:
    """What values a tensor has.

    Attributes:
        min, max: smallest and largest finite value; None without any, as are the next four.
        max_abs: largest finite magnitude.
        min_abs: smallest non-zero magnitude.
        mean: of the finite values.
        std: their standard deviation: the square root of the mean of (x - mean)².
        zero_count, nan_count, inf_count: such elements.
        subnormal_count: elements that are subnormal in the tensor's own format; 0 for integers.
        exponent_histogram: finite non-zero elements by unbiased exponent.
        channel: the one that sticks out; None where no axis was asked for, or the tensor lacks it.
    """

    min: float | None
    max: float | None
    max_abs: float | None
    min_abs: float | None
    mean: float | None
    std: float | None
    zero_count: int
    subnormal_count: int
    nan_count: int
    inf_count: int
    exponent_histogram: Mapping[int, int]
    channel: Channel | None = None


@dataclass(frozen=True)
class TensorInfo:
    """One tensor of a source.

    Attributes:
        source: where it is: a file, or what reports call something in memory.
        kind: what kind of source that is.
        tensor: the tensor's name.
        dtype: torch's name of its dtype, or the file's own where fpx cannot read such; of a
            quantised weight its scaled format.
        shape: elements along each axis; of a quantised weight those that its codes stand for.
        stride: elements of the storage between neighbours along each axis.
        storage_offset: where in the storage the first element is.
        contiguous: whether the elements lie one after the other in row-major order.
        count: elements.
        bytes: of its elements, codes and scales of a quantised weight; None where fpx does not know
            the dtype.
        storage: the storage's name in its source, the same for the tensors that share it: `#1`,
            `#2`, … in the order of their first use, where tensors can share one; else the tensor's.
        storage_bytes: of the whole storage.
        readable: whether fpx can read its values.
        shares_with: names of the other tensors in that storage.
        stats: its values; None where they were not asked for, or cannot be read.
        quantised: how it is stored, if its values are made of codes and scales.
    """

    source: str
    kind: str
    tensor: str
    dtype: str
    shape: tuple[int, ...]
    stride: tuple[int, ...]
    storage_offset: int
    contiguous: bool
    count: int
    bytes: int | None
    storage: str
    storage_bytes: int | None
    readable: bool = True
    shares_with: tuple[str, ...] = ()
    stats: TensorStats | None = None
    quantised: QuantisedInfo | None = None

    @property
    def title(self) -> str:
        """Which tensor it is, in a line."""
        return escape(f"{self.source} {self.tensor}")

    def identity(self) -> dict[str, JsonValue]:
        """The keys of its JSON entry that tell which tensor it is."""
        return {"source": self.source, "tensor": self.tensor}

    @property
    def bits_per_element(self) -> float | None:
        """Bits that an element takes, its share of scales included; None where that is unknown."""
        return None if self.bytes is None or not self.count else 8 * self.bytes / self.count

    @property
    def is_plain(self) -> bool:
        """Whether it lies row-major in a storage of its own, without gaps: all there is to say."""
        return (
            self.contiguous
            and not self.storage_offset
            and not self.shares_with
            and self.storage_bytes == self.bytes
        )

    def entry(self) -> dict[str, JsonValue]:
        """Its JSON entry."""
        found = {name: getattr(self, name) for name in _KEYS}
        for name in ("shape", "stride", "shares_with"):
            found[name] = list(found[name])
        found["bits_per_element"] = self.bits_per_element
        found["stats"] = to_json(self.stats)
        found["quantised"] = to_json(self.quantised)
        return found


_KEYS = tuple(TensorInfo.__dataclass_fields__)


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


@dataclass(frozen=True)
class DtypeTotal:
    """The tensors of one dtype.

    Attributes:
        dtype: its name.
        tensors: how many there are.
        elements: of all of them.
        bytes: of their elements; None where fpx does not know.
        bits_per_element: that they take, scales included; None without elements too.
    """

    dtype: str
    tensors: int
    elements: int
    bytes: int | None
    bits_per_element: float | None


@dataclass(frozen=True, eq=False, repr=False)
class InspectReport(Report):
    """What tensor files hold.

    Attributes:
        tensors: in the order of the files.
        metadata: what each source says of itself, by its name: keys and JSON values; of a list that
            is too long, `items` and the `first` of them.
        notes: one line per tensor that was passed over or is stored in a special way.
        errors: one line per file that could not be read.
        baseline: an older report: what got worse since then, or is gone, fails.
    """

    schema: ClassVar[str] = "fpx.inspect/2"

    tensors: tuple[TensorInfo, ...]
    metadata: Mapping[str, Mapping[str, JsonValue]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()
    baseline: Comparison | None = None

    @property
    def bytes(self) -> int:
        """Bytes of all tensors, each on its own."""
        return sum(tensor.bytes or 0 for tensor in self.tensors)

    @property
    def storage_bytes(self) -> int:
        """Bytes of all storages, each once."""
        return sum({(t.source, t.storage): t.storage_bytes or 0 for t in self.tensors}.values())

    @property
    def storage_count(self) -> int:
        """Number of storages."""
        return len({(tensor.source, tensor.storage) for tensor in self.tensors})

    @property
    def elements(self) -> int:
        """Elements of all tensors."""
        return sum(tensor.count for tensor in self.tensors)

    def dtypes(self) -> tuple[DtypeTotal, ...]:
        """The tensors of each dtype together, those of most bytes first."""
        return dtype_totals(self.tensors)

    def sources(self) -> dict[str, list[TensorInfo]]:
        """The tensors of each source, by its name."""
        found: dict[str, list[TensorInfo]] = {}
        for tensor in self.tensors:
            found.setdefault(tensor.source, []).append(tensor)
        return found

    def parts(self) -> tuple[TensorInfo, ...]:
        """The tensors."""
        return self.tensors

    def results(self) -> list[dict[str, JsonValue]]:
        """One entry per tensor."""
        return [tensor.entry() for tensor in self.tensors]

    def table(self) -> Table:
        """One row per tensor, without the histograms."""
        return table_of(self.results(), _NO_COLUMNS)

    def about(self) -> str:
        """How large it is."""
        return f"{self.bytes:,} bytes"

    def beside(self) -> dict[str, JsonValue]:
        """Sizes, `dtypes`, `quantised`, `metadata`, `errors`, `notes`, what got worse."""
        return {
            "elements": self.elements,
            "bytes": self.bytes,
            "storage_bytes": self.storage_bytes,
            "storage_count": self.storage_count,
            "dtypes": to_json(self.dtypes()),
            "quantised": to_json(quantised_totals(self.tensors)),
            "metadata": to_json(self.metadata),
            "errors": list(self.errors),
            "notes": list(self.notes),
            "baseline": None if self.baseline is None else self.baseline.to_dict(),
            "failures": [failure.to_dict() for failure in self.failures()],
        }

    def since(self, older: Baseline) -> InspectReport:
        """This report beside an older one.

        Raises:
            InputError: they are about different questions.
        """
        return replace(self, baseline=older.compared(self.parts(), self.environment()))

    def failures(self) -> list[Failure[TensorInfo] | Failure[OldRow]]:
        """The tensors that got worse since the baseline, and those that are gone."""
        if self.baseline is None:
            return []
        worse = NotWorse(self.baseline).failures(self.tensors)
        return [*worse, *failures(self.baseline.missing, [StillThere(self.baseline)])]


def dtype_totals(tensors: Sequence[TensorInfo]) -> tuple[DtypeTotal, ...]:
    """The tensors of each dtype together, those of most bytes first."""
    found: dict[str, list[TensorInfo]] = {}
    for tensor in tensors:
        found.setdefault(tensor.dtype, []).append(tensor)
    totals = []
    for dtype, items in found.items():
        elements, size = sum(item.count for item in items), together([t.bytes for t in items])
        bits = None if size is None or not elements else 8 * size / elements
        totals.append(DtypeTotal(dtype, len(items), elements, size, bits))
    return tuple(sorted(totals, key=lambda total: (-(total.bytes or 0), total.dtype)))


def quantised_totals(tensors: Sequence[TensorInfo]) -> tuple[QuantisedTotal, ...]:
    """The quantised weights of each layout together, in the order of their first one."""
    found: dict[tuple[str, str, str, str], list[TensorInfo]] = {}
    for tensor in tensors:
        how = tensor.quantised
        if how is not None:
            key = (how.layout, tensor.dtype, how.evidence, how.recognised_by)
            found.setdefault(key, []).append(tensor)
    return tuple(
        QuantisedTotal(
            *key, len(items), sum(t.count for t in items), together([t.bytes for t in items])
        )
        for key, items in found.items()
    )


# -- groups ----------------------------------------------------------------------------------------


_NUMBER = re.compile(r"(?<![0-9])([0-9]{1,18})(?![0-9])")
_RUNS_SHOWN = 6  # runs of numbers in a set, as in {0,2,4..9}


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


# -- one tensor ------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False, repr=False)
class TensorReport(Report):
    """The values of one tensor: all of a small one, the corners of a large one.

    Attributes:
        info: which tensor, and its statistics where those were asked for.
        indexes: the indexes along each axis that are shown.
        elements: those at all combinations of them, row-major.
    """

    schema: ClassVar[str] = "fpx.inspect-tensor/1"

    info: TensorInfo
    indexes: tuple[tuple[int, ...], ...]
    elements: tuple[Element, ...]

    @property
    def whole(self) -> bool:
        """Whether these are all of its elements."""
        return len(self.elements) == self.info.count

    def results(self) -> list[dict[str, JsonValue]]:
        """One entry: the tensor's as in `InspectReport`, with `whole` and `elements`."""
        return [
            {**self.info.entry(), "whole": self.whole, "elements": to_json(self.elements)},
        ]

    def table(self) -> Table:
        """One row per element."""
        return table_of({"tensor": self.info.tensor, **to_json(item)} for item in self.elements)

    def about(self) -> str:
        """Whose values they are."""
        return self.info.tensor


@dataclass(frozen=True, eq=False, repr=False)
class ExtremesReport(Report):
    """The most extreme elements of one tensor.

    Attributes:
        source, tensor, dtype: which tensor.
        largest, smallest: elements by value, the most extreme first; NaNs are left out.
        closest_to_zero: non-zero elements by magnitude.
    """

    schema: ClassVar[str] = "fpx.inspect-top/1"

    source: str
    tensor: str
    dtype: str
    largest: tuple[Element, ...]
    smallest: tuple[Element, ...]
    closest_to_zero: tuple[Element, ...]

    def table(self) -> Table:
        """One row per element; `extreme` is the name of the list that it is in."""
        return table_of(
            {"tensor": self.tensor, "extreme": name, **to_json(element)}
            for name in ("largest", "smallest", "closest_to_zero")
            for element in getattr(self, name)
        )

    def about(self) -> str:
        """Whose elements they are."""
        return self.tensor


@dataclass(frozen=True, eq=False, repr=False)
class LayoutReport(Report):
    """How one tensor lies in its storage."""

    schema: ClassVar[str] = "fpx.inspect-layout/2"

    info: TensorInfo

    def place(self, index: tuple[int, ...]) -> int:
        """The storage's element that an index of the tensor is."""
        steps = zip(index, self.info.stride, strict=True)
        return self.info.storage_offset + sum(at * stride for at, stride in steps)

    def results(self) -> list[dict[str, JsonValue]]:
        """One entry, as in `InspectReport`."""
        return [self.info.entry()]

    def table(self) -> Table:
        """One row, without the histogram."""
        return table_of(self.results(), _NO_COLUMNS)

    def about(self) -> str:
        """Whose layout it is."""
        return self.info.tensor
