"""`fpx devices` as a table for each device."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from fpx.render.tables import plain_table
from fpx.render.text import BAD_STYLE, GOOD_STYLE, LABEL_STYLE
from fpx.report.devices import DevicesReport, DeviceSupport
from fpx.words import escape


def devices_tables(report: DevicesReport) -> RenderableType:
    """The software, then each device with its formats."""
    known = {key: value for key, value in report.details.items() if value is not None}
    parts: list[RenderableType] = [
        Text(", ".join(f"{key} {escape(str(value))}" for key, value in known.items()), LABEL_STYLE)
    ]
    if report.details.get("cuda") is None and report.details.get("hip") is None:
        parts.append(Text("This torch was built without CUDA.", LABEL_STYLE))
    for device in report.devices:
        parts += ["", _heading(device), _table(device)]
    return Group(*parts)


def _heading(device: DeviceSupport) -> Text:
    more = "" if device.capability is None else f", compute capability {device.capability}"
    if device.memory_bytes is not None:
        more += f", {device.memory_bytes / 2**30:.1f} GiB"
    return Text(f"{escape(device.label)}{more}", "bold")


def _table(device: DeviceSupport) -> Table:
    table = plain_table()
    for column in ("format", "storage", "cast", "matmul", "sub-\nnormals"):
        table.add_column(column, no_wrap=True)
    for column in ("bytes", "cast\nGB/s", "copy\nGB/s"):
        table.add_column(column, justify="right", no_wrap=True)
    for row in device.formats:
        table.add_row(
            row.format,
            *(_said(tried) for tried in (row.storage, row.cast, row.product, row.subnormals)),
            *(_number(n) for n in (row.bytes_per_element, row.cast_gb_per_s, row.copy_gb_per_s)),
        )
    return table


def _said(answer: bool | None) -> Text:
    if answer is None:
        return Text("-", LABEL_STYLE)
    return Text("yes", GOOD_STYLE) if answer else Text("no", BAD_STYLE)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"
