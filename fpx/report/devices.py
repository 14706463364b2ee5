"""The report of `fpx devices`: what this machine can do with each format."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from fpx.report.base import JsonValue, Report, to_json


@dataclass(frozen=True)
class FormatSupport:
    """What was tried with one format on one device.

    Attributes:
        format: its name.
        storage: whether a tensor of it can be made.
        cast: whether float32 can be cast to it and back.
        product: whether matrices of it can be multiplied.
        subnormals: whether a subnormal times one is itself; None where nothing multiplies.
        bytes_per_element: of a tensor of it; None without storage.
        cast_gb_per_s: float32 read and results written, 10^9 bytes a second; None without cast.
        copy_gb_per_s: read and written by a copy of such a tensor; None without storage.
    """

    format: str
    storage: bool
    cast: bool
    product: bool
    subnormals: bool | None
    bytes_per_element: float | None
    cast_gb_per_s: float | None
    copy_gb_per_s: float | None


@dataclass(frozen=True)
class DeviceSupport:
    """One device.

    Attributes:
        device: torch's name of it.
        label: what it is.
        capability: CUDA's compute capability, or None.
        memory_bytes: of a card, or None.
        formats: one per listed format.
    """

    device: str
    label: str
    capability: str | None
    memory_bytes: int | None
    formats: tuple[FormatSupport, ...]


@dataclass(frozen=True, repr=False)
class DevicesReport(Report):
    """The devices here, and the software that drives them."""

    schema: ClassVar[str] = "fpx.devices/1"

    devices: tuple[DeviceSupport, ...]
    details: Mapping[str, JsonValue]

    def parts(self) -> tuple[DeviceSupport, ...]:
        """The devices."""
        return self.devices

    def results(self) -> list[dict[str, JsonValue]]:
        """One entry per device."""
        return [to_json(device) for device in self.devices]

    def environment(self) -> dict[str, JsonValue]:
        """Versions of python, torch and CUDA's parts; threads."""
        return dict(self.details)
