"""The report of `fpx devices`: what this machine can do with each format."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from fpx.report.base import JsonValue, Report, to_json
from fpx.report.columns import Table, table_of
from fpx.report.environment import Environment


@dataclass(frozen=True)
class FormatSupport:
    """What was tried with one format on one device.

    Rates are of 10^9 bytes a second, read and written, over several measurements: the median, the
    lowest and the highest. They are None where nothing was measured.

    Attributes:
        format: its name.
        storage: whether a tensor of it can be made.
        cast: whether float32 can be cast to it and back.
        product: whether matrices of it can be multiplied.
        subnormals: whether a subnormal times one is itself, element by element; None where nothing
            multiplies.
        bytes_per_element: of a tensor of it; None without storage.
        cast_gb_per_s, cast_gb_per_s_min, cast_gb_per_s_max: of casts from float32.
        cast_in_cache: whether what a cast reads and writes fits the cache; None if it is not known.
        copy_gb_per_s, copy_gb_per_s_min, copy_gb_per_s_max: of copies of such a tensor.
        copy_in_cache: as `cast_in_cache`.
        subnormals_cast: whether one survives a cast from float32 (to float32: from float64) and
            back; None where there is no such cast.
        subnormals_product_small, subnormals_product_large: whether a matrix of them times the
            identity is itself, of 16 rows and of 64; None where nothing multiplies.
    """

    format: str
    storage: bool = False
    cast: bool = False
    product: bool = False
    subnormals: bool | None = None
    bytes_per_element: float | None = None
    cast_gb_per_s: float | None = None
    cast_gb_per_s_min: float | None = None
    cast_gb_per_s_max: float | None = None
    cast_in_cache: bool | None = None
    copy_gb_per_s: float | None = None
    copy_gb_per_s_min: float | None = None
    copy_gb_per_s_max: float | None = None
    copy_in_cache: bool | None = None
    subnormals_cast: bool | None = None
    subnormals_product_small: bool | None = None
    subnormals_product_large: bool | None = None


@dataclass(frozen=True)
class DeviceSupport:
    """One device.

    Attributes:
        device: torch's name of it.
        label: what it is.
        capability: CUDA's compute capability, or None.
        memory_bytes: of a card, or None.
        cache_bytes: of its last level of cache; None if the machine does not tell.
        formats: one per listed format.
    """

    device: str
    label: str
    capability: str | None
    memory_bytes: int | None
    cache_bytes: int | None
    formats: tuple[FormatSupport, ...]


@dataclass(frozen=True, repr=False)
class DevicesReport(Report):
    """The devices here, and the software that drives them.

    Attributes:
        devices: one per device that was tried.
        details: versions and threads.
        size: elements that rates were measured with.
    """

    schema: ClassVar[str] = "fpx.devices/1"

    devices: tuple[DeviceSupport, ...]
    details: Environment
    size: int

    def parts(self) -> tuple[DeviceSupport, ...]:
        """The devices."""
        return self.devices

    def results(self) -> list[dict[str, JsonValue]]:
        """One entry per device."""
        return [to_json(device) for device in self.devices]

    def table(self) -> Table:
        """One row per device and format."""
        return table_of(
            {"device": device.device, "label": device.label} | to_json(tried)
            for device in self.devices
            for tried in device.formats
        )

    def environment(self) -> dict[str, JsonValue]:
        """Versions of python, torch and CUDA's parts; threads; the size of what was measured."""
        return {**self.details.to_dict(), "size": self.size}
