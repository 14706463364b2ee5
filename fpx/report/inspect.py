"""The report of `fpx inspect`: what is in tensor files, and how it lies there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

from fpx.report.base import JsonValue, Report, to_json
from fpx.report.checks import Failure, failures
from fpx.report.columns import Table, table_of
from fpx.report.gates.baseline import Baseline, Comparison, NotWorse, StillThere
from fpx.report.gates.changes import OldRow
from fpx.report.inspect_row import Element, TensorInfo
from fpx.report.quantised import QuantisedTotal, together

_NO_COLUMNS = ("stats.exponent_histogram", "quantised.scale_counts.codes",
               "quantised.scale_counts.exponent_histogram")  # fmt: skip


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
