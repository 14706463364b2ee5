"""`fpx decode` of scaled formats: blocks as tables, and formats side by side."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from fractions import Fraction

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from fpx.core.packing import Packing
from fpx.core.scaling import ScaledFormat
from fpx.render.side_by_side import Pieces, SideBySide
from fpx.render.tables import plain_table
from fpx.render.text import (
    BAD_STYLE,
    GOOD_STYLE,
    LABEL_STYLE,
    ROUNDED_HERE,
    WARNING_STYLE,
    Legible,
)
from fpx.report.block import BlockReport, BlocksReport, block_size
from fpx.report.block_row import BlockRow, Loss
from fpx.report.verdicts import Outcome
from fpx.words import shortened

_BLOCKS_SHOWN = 4
_ROWS_SHOWN = 64  # of a block, and of numbers side by side
_DIGITS = 7
_LONGEST = 14  # characters of an exact number that is shown whole
_LONGEST_INPUT = 20

_PACKED = {
    Packing.LOW_FIRST: "first number in the low bits",
    Packing.HIGH_FIRST: "first number in the high bits",
    Packing.SPLIT_HALVES: "each block's first half in the low nibbles",
    Packing.BYTES: "a byte for each",
}


def block_tables(report: BlockReport) -> RenderableType:
    """One block."""
    return BlocksDrawing()(BlocksReport((report,)))


def blocks_tables(report: BlocksReport) -> RenderableType:
    """The blocks of one format, or what several make of the same numbers."""
    return BlocksDrawing()(report)


class BlocksDrawing:
    """Draws blocks.

    Args:
        packing: how bytes are shown; None is the usual way.
    """

    def __init__(self, packing: Packing | None = None) -> None:
        self._packing = packing

    def __call__(self, report: BlocksReport) -> RenderableType:
        """Blocks of one format one after the other, those of several side by side."""
        each = report.by_target
        if len(each) > 1:
            return _beside(each, report.losses)
        ((target, items),) = each.items()
        return Group(*self._one(target, items, report.losses.get(target)))

    def _one(
        self, target: ScaledFormat, items: Sequence[BlockReport], loss: Loss | None
    ) -> Iterator[RenderableType]:
        yield Text.assemble((target.name, "bold"), f": {target.says}")
        if items[0].global_text is not None:
            yield _labelled(("global scale", _scale(items[0].global_hex, items[0].global_text)))
        for item in items[:_BLOCKS_SHOWN]:
            yield Text()
            yield from self._block(item, len(items))
        if len(items) > _BLOCKS_SHOWN:
            yield Text(f"\n… and {len(items) - _BLOCKS_SHOWN:,} more blocks (--json has all)")
        if loss is not None:
            rows = [("encoded with", _choices(target))]
            if len(items) > 1:
                rows.insert(0, (f"{len(items):,} blocks", _told(loss)))
            yield Text()
            yield _labelled(*rows)

    def _block(self, item: BlockReport, blocks: int) -> Iterator[RenderableType]:
        size, count = block_size(item.target), len(item.rows)
        name = f"block {item.number}" if blocks > 1 else "scale"
        yield _labelled((name, _scale(item.scale_hex, item.scale_text)))
        yield _rows_table(item)
        if count > _ROWS_SHOWN:
            yield Text(f" … and {count - _ROWS_SHOWN:,} more numbers (--json has all)\n")
        packing = self._packing or item.packings[0]
        data = item.packed(packing)
        rows: list[tuple[str, RenderableType]] = []
        if item.loss is not None:
            rows.append(("lost", _told(item.loss)))
        rows += [(label, Text(text)) for label, text in _notes(item)]
        whole = "" if size in (None, count) else f"; {count} of {size} numbers of a block"
        told = f"{len(data):,} bytes (--json has them)"
        rows += [
            ("packed", Pieces(data.hex(), 8, 16) if len(data) <= _ROWS_SHOWN else Text(told)),
            ("", Text(f"{_PACKED[packing]}{whole}", LABEL_STYLE)),
        ]
        yield _labelled(*rows)


def _labelled(*rows: tuple[str, RenderableType]) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style=LABEL_STYLE, no_wrap=True)
    table.add_column(overflow="fold")
    for label, cell in rows:
        table.add_row(label, cell)
    return table


def _scale(code: str | None, value: str) -> Text:
    """A scale as its code and its value, which is a power of two where it can be."""
    shown = Legible()(value, _DIGITS, _LONGEST)
    power = _power(value)
    if power is not None:
        shown = f"{power} {'=' if shown == value else '≈'} {shown}"
    elif shown != value:
        shown = f"≈ {shown}"
    return Text(f"{code}  {shown}", BAD_STYLE if value == "nan" else "")


def _power(value: str) -> str | None:
    """`2^k` of an exact decimal that is one."""
    if value.lstrip("-") in ("nan", "0"):
        return None
    over, under = Fraction(value).as_integer_ratio()
    if over < 0 or over & (over - 1) or under & (under - 1):
        return None
    return f"2^{over.bit_length() - under.bit_length()}"


def _rows_table(item: BlockReport) -> Table:
    legible, given = Legible(), item.given is not None
    title = Text()
    table = plain_table(title, first_out=("bits", "in ulps", "element", "error"))
    names = ["number", "code", "bits", "element", "result"]
    ulps = any(row.ulp is not None for row in item.rows)  # a table of numbers has none
    names += ["error", *(["in ulps"] if ulps else []), ""] if given else []
    for name in names if given else ["index", *names[1:]]:
        justify = "left" if name in ("code", "bits", "") else "right"
        table.add_column(name, justify=justify, no_wrap=True)
    for row in item.rows[:_ROWS_SHOWN]:
        cells: list[Text | str] = [
            _input(row), row.hex, row.bits, legible(row.element_text, _DIGITS, _LONGEST),
            legible(row.value_text, _DIGITS, _LONGEST),
        ]  # fmt: skip
        if given:
            cells.append(legible.signed(row.error, 5, 10))
            cells += [legible.ulps(row.error_ulp, 4)] if ulps else []
            cells.append(_mark(row))
        table.add_row(*cells)
    if legible.rounds:
        title.append(ROUNDED_HERE, LABEL_STYLE)
    else:
        table.title = None
    return table


def _input(row: BlockRow) -> str:
    if row.given is None:
        return str(row.index)
    return shortened(row.given.text, _LONGEST_INPUT)


def _mark(row: BlockRow) -> Text:
    if row.clipped:
        return Text("clipped", BAD_STYLE)
    return Text("flushed to 0", WARNING_STYLE) if row.flushed else Text()


def _told(loss: Loss) -> Text:
    """Clipped, flushed and SQNR in words."""
    text = Text()
    for count, says, style in (
        (loss.clipped_count, "clipped", BAD_STYLE),
        (loss.flushed_count, "flushed to 0", WARNING_STYLE),
    ):
        text.append(f"{count:,} {says}", style if count else "").append(", ")
    return text.append(f"of {loss.count:,}; ").append_text(_sqnr(loss))


def _sqnr(loss: Loss) -> Text:
    if loss.outcome is Outcome.EMPTY:
        return Text("no finite number")
    if loss.outcome is Outcome.DESTROYED:
        return Text("finite numbers became NaN", BAD_STYLE)
    assert loss.sqnr_db is not None
    if math.isinf(loss.sqnr_db):
        return Text("exact", GOOD_STYLE)
    return Text(f"SQNR {loss.sqnr_db:.2f} dB")


def _notes(item: BlockReport) -> Iterator[tuple[str, str]]:
    """What else there is to say of a block."""
    if item.block.scale is None:
        why = "" if item.given is None else ": there is a NaN or an infinity in it"
        yield "NaN", f"the scale is NaN, and so is all of the block{why}"
    found = [row.in_float32 for row in item.rows]
    for kind, says in (
        ("overflow", "beyond float32's largest value"),
        ("subnormal", "subnormal in float32, which some decoders make 0"),
        ("zero", "below float32's smallest value"),
    ):
        count = found.count(kind)
        if count:
            yield "float32", f"{count} value{'s are' if count > 1 else ' is'} {says}"


def _choices(target: ScaledFormat) -> Text:
    found = Text()
    for label, value in target.choices().items():
        found.append("; " if found else "")
        found.append(f"{label}: ", LABEL_STYLE).append(value)
    return found


# -- several formats -------------------------------------------------------------------------------


def _beside(
    each: dict[ScaledFormat, tuple[BlockReport, ...]], losses: dict[ScaledFormat, Loss]
) -> RenderableType:
    legible = Legible()
    columns: dict[str, list[RenderableType]] = {}
    labels: list[str] = []
    rounds = len(_all_rows(next(iter(each.values()))))
    for target, items in each.items():
        rows = _all_rows(items)
        cells: list[tuple[str, RenderableType]] = []
        if any(other.global_scale for other in each):
            cells.append(("global scale", items[0].global_hex or "-"))
        cells.append(("scales", "\n".join(item.scale_hex for item in items[:_BLOCKS_SHOWN])
                      + ("\n…" if len(items) > _BLOCKS_SHOWN else "")))  # fmt: skip
        cells += [(_input(row), _marked(row, legible)) for row in rows[:_ROWS_SHOWN]]
        loss = losses[target]
        cells += [
            ("clipped", f"{loss.clipped_count:,}"),
            ("flushed to 0", f"{loss.flushed_count:,}"),
            ("SQNR", _decibels(loss)),
            ("bits each", f"{target.bits_per_element:g}"),
        ]
        labels = [label for label, _ in cells]
        columns[target.name] = [cell for _, cell in cells]
    title = Text(f"{rounds:,} number{'' if rounds == 1 else 's'}", "bold")
    if rounds > _ROWS_SHOWN:
        title.append(f", {_ROWS_SHOWN} shown", LABEL_STYLE)
    if legible.rounds:
        title.append(f"  {ROUNDED_HERE}", LABEL_STYLE)
    return SideBySide(title, labels, columns)


def _all_rows(items: Sequence[BlockReport]) -> list[BlockRow]:
    return [row for item in items for row in item.rows]


def _marked(row: BlockRow, legible: Legible) -> Text:
    text = Text(legible(row.value_text, _DIGITS, _LONGEST))
    mark = _mark(row)
    if not mark:
        return text
    return Text.assemble(text, " ", Text(mark.plain.split()[0], mark.style))


def _decibels(loss: Loss) -> Text:
    told = _sqnr(loss)
    return Text(told.plain.removeprefix("SQNR "), told.style)
