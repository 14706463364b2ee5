"""`fpx devices` as a table for each device."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from fpx.render.tables import plain_table
from fpx.render.text import BAD_STYLE, GOOD_STYLE, LABEL_STYLE, WARNING_STYLE
from fpx.report.devices import DevicesReport, DeviceSupport, FormatSupport
from fpx.words import escape


def devices_tables(report: DevicesReport) -> RenderableType:
    """The software, then each device with its formats."""
    known = {name: value for name, value in report.details.to_dict().items() if value is not None}
    known.pop("device")  # the headings say it
    parts: list[RenderableType] = [
        Text(", ".join(f"{key} {escape(str(value))}" for key, value in known.items()), LABEL_STYLE)
    ]
    if report.details.cuda is None and report.details.hip is None:
        parts.append(Text("This torch was built without CUDA.", LABEL_STYLE))
    for device in report.devices:
        parts += ["", _heading(device), _table(device), *_note(device, report.size)]
    return Group(*parts)


def _heading(device: DeviceSupport) -> Text:
    more = "" if device.capability is None else f", compute capability {device.capability}"
    if device.memory_bytes is not None:
        more += f", {device.memory_bytes / 2**30:.1f} GiB"
    return Text(f"{escape(device.label)}{more}", "bold")


def _table(device: DeviceSupport) -> Table:
    table = plain_table(first_out=("bytes",))
    for column in ("format", "stored", "cast", "matmul", "sub-\nnormal"):
        table.add_column(column, no_wrap=True)
    for column in ("bytes", "cast\nGB/s", "copy\nGB/s"):
        table.add_column(column, justify="right", no_wrap=True)
    for row in device.formats:
        table.add_row(
            row.format,
            *(_said(tried) for tried in (row.storage, row.cast, row.product)),
            _kept(row),
            "-" if row.bytes_per_element is None else f"{row.bytes_per_element:.3g}",
            _rate(
                row.cast_gb_per_s, row.cast_gb_per_s_min, row.cast_gb_per_s_max, row.cast_in_cache
            ),
            _rate(
                row.copy_gb_per_s, row.copy_gb_per_s_min, row.copy_gb_per_s_max, row.copy_in_cache
            ),
        )
    return table


def _note(device: DeviceSupport, size: int) -> list[RenderableType]:
    """What the marks in the table mean."""
    lines = [f"Rates of {size:,} elements: the median, and how far the others are from it."]
    if any(row.cast_in_cache or row.copy_in_cache for row in device.formats):
        lines.append(
            f"* fits the cache of {(device.cache_bytes or 0) / 2**20:.3g} MiB, whose rate it is: "
            "not that of memory."
        )
    return [Text(line, LABEL_STYLE) for line in lines]


def _kept(row: FormatSupport) -> Text:
    """What keeps subnormals: yes, no, or where not."""
    tried = {
        "cast": row.subnormals_cast,
        "elementwise": row.subnormals,
        "small matmul": row.subnormals_product_small,
        "large matmul": row.subnormals_product_large,
    }
    known = {name: kept for name, kept in tried.items() if kept is not None}
    if not known or len(set(known.values())) == 1:
        return _said(next(iter(known.values()), None))
    lost = [name.replace(" ", "\n") for name, kept in known.items() if not kept]
    return Text("\n".join(("not in", *lost)), BAD_STYLE)


def _said(answer: bool | None) -> Text:
    if answer is None:
        return Text("-", LABEL_STYLE)
    return Text("yes", GOOD_STYLE) if answer else Text("no", BAD_STYLE)


def _rate(
    median: float | None, low: float | None, high: float | None, in_cache: bool | None
) -> Text:
    """The median, and how far the slowest and the fastest measurement are from it: the farther."""
    if median is None or low is None or high is None:
        return Text("-")
    farther = max(high - median, median - low) / median
    spread = f"±{100 * farther:.0f}%" if farther < 0.995 else f"×{high / low:.0f}"
    style = WARNING_STYLE if farther > 0.2 else LABEL_STYLE
    return Text.assemble(f"{median:.3g}{'*' if in_cache else ''} ", (f"{spread:>4}", style))
