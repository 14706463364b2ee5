"""The report of `fpx inspect`: what is in tensor files, and how it lies there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from fpx.report.base import JsonValue, Report, to_json
from fpx.report.checks import Failure, failures
from fpx.report.columns import Table, table_of
from fpx.report.gates.baseline import Baseline, Comparison, NotWorse, StillThere
from fpx.report.gates.changes import OldRow

_NO_COLUMNS = ("stats.exponent_histogram",)


@dataclass(frozen=True)
class Element:
    """One element of a tensor.

    Attributes:
        index: its multi-index.
        value: its value.
    """

    index: tuple[int, ...]
    value: float


@dataclass(frozen=True)
class TensorStats:
    """What values a tensor has.

    Attributes:
        min, max: smallest and largest value, infinities included, NaNs not; None without any.
        zero_count, nan_count, inf_count: such elements.
        subnormal_count: elements that are subnormal in the tensor's own format; 0 for integers.
        exponent_histogram: finite non-zero elements by unbiased exponent.
    """

    min: float | None
    max: float | None
    zero_count: int
    subnormal_count: int
    nan_count: int
    inf_count: int
    exponent_histogram: Mapping[int, int]


@dataclass(frozen=True)
class TensorInfo:
    """One tensor of a source.

    Attributes:
        source: where it is: a file, or what reports call something in memory.
        kind: what kind of source that is.
        tensor: the tensor's name.
        dtype: torch's name of its dtype.
        shape: elements along each axis.
        stride: elements of the storage between neighbours along each axis.
        storage_offset: where in the storage the first element is.
        contiguous: whether the elements lie one after the other in row-major order.
        count: elements.
        bytes: of its elements.
        storage: the storage's name in its source, the same for the tensors that share it: `#1`,
            `#2`, … in the order of their first use, where tensors can share one; else the tensor's.
        storage_bytes: of the whole storage.
        shares_with: names of the other tensors in that storage.
        stats: its values; None where they were not asked for.
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
    bytes: int
    storage: str
    storage_bytes: int
    shares_with: tuple[str, ...] = ()
    stats: TensorStats | None = None

    @property
    def title(self) -> str:
        """Which tensor it is, in a line."""
        return f"{self.source} {self.tensor}"

    def identity(self) -> dict[str, JsonValue]:
        """The keys of its JSON entry that tell which tensor it is."""
        return {"source": self.source, "tensor": self.tensor}


@dataclass(frozen=True, eq=False, repr=False)
class InspectReport(Report):
    """What tensor files hold.

    Attributes:
        tensors: in the order of the files.
        notes: one line per tensor that was passed over or is stored in a special way.
        errors: one line per file that could not be read.
        baseline: an older report: what got worse since then, or is gone, fails.
    """

    schema: ClassVar[str] = "fpx.inspect/1"

    tensors: tuple[TensorInfo, ...]
    notes: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()
    baseline: Comparison | None = None

    @property
    def bytes(self) -> int:
        """Bytes of all tensors, each on its own."""
        return sum(tensor.bytes for tensor in self.tensors)

    @property
    def storage_bytes(self) -> int:
        """Bytes of all storages, each once."""
        return sum({(t.source, t.storage): t.storage_bytes for t in self.tensors}.values())

    @property
    def storage_count(self) -> int:
        """Number of storages."""
        return len({(tensor.source, tensor.storage) for tensor in self.tensors})

    def parts(self) -> tuple[TensorInfo, ...]:
        """The tensors."""
        return self.tensors

    def results(self) -> list[dict[str, JsonValue]]:
        """One entry per tensor."""
        return [to_json(tensor) for tensor in self.tensors]

    def table(self) -> Table:
        """One row per tensor, without the histograms."""
        return table_of(self.results(), _NO_COLUMNS)

    def about(self) -> str:
        """How large it is."""
        return f"{self.bytes:,} bytes"

    def beside(self) -> dict[str, JsonValue]:
        """Sizes, `errors`, `notes`, and what got worse since the baseline."""
        return {
            "bytes": self.bytes,
            "storage_bytes": self.storage_bytes,
            "storage_count": self.storage_count,
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

    schema: ClassVar[str] = "fpx.inspect-layout/1"

    info: TensorInfo

    def place(self, index: tuple[int, ...]) -> int:
        """The storage's element that an index of the tensor is."""
        steps = zip(index, self.info.stride, strict=True)
        return self.info.storage_offset + sum(at * stride for at, stride in steps)

    def results(self) -> list[dict[str, JsonValue]]:
        """One entry, as in `InspectReport`."""
        return [to_json(self.info)]

    def table(self) -> Table:
        """One row, without the histogram."""
        return table_of(self.results(), _NO_COLUMNS)

    def about(self) -> str:
        """Whose layout it is."""
        return self.info.tensor
