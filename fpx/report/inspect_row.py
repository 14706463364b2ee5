"""One tensor of a source: what it is, how it lies there, and what values it has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fpx.report.base import JsonValue, to_json
from fpx.report.quantised import QuantisedInfo
from fpx.words import escape


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
