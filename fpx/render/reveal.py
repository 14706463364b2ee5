"""`fpx reveal` as a table of operations, of classes, or as one computation in full."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from fpx.core.policy import Rounding
from fpx.render.reveal_classes import case_lines, verdicts_of_classes
from fpx.render.tables import plain_table
from fpx.render.text import BAD_STYLE, GOOD_STYLE, LABEL_STYLE, WARNING_STYLE
from fpx.report.reveal import RevealReport, RevealRow
from fpx.report.reveal_row import FUSED, MIXED, Subnormals, Verdict
from fpx.words import counted, escape

_FEW = 4  # rows that are shown in full
_SHORT = 14  # characters of a cell that need not fold
_FORMULA = 8  # lines of one, where it was not asked for

_STYLES = {
    Verdict.CERTIFIED: GOOD_STYLE,
    Verdict.WEAK: WARNING_STYLE,
    Verdict.HYPOTHESIS: BAD_STYLE,
    Verdict.VARIES: BAD_STYLE,
    Verdict.NOT_RESOLVABLE: LABEL_STYLE,
}

_IN_TABLES = {
    Verdict.CERTIFIED: "yes",
    Verdict.WEAK: "weak",
    Verdict.HYPOTHESIS: "no",
    Verdict.VARIES: "varies",
    Verdict.NOT_RESOLVABLE: "-",
}

_MODES = {
    Rounding.TIES_TO_EVEN: "ties to even",
    Rounding.TIES_TO_AWAY: "ties away from zero",
    Rounding.TOWARD_ZERO: "toward zero",
    Rounding.TOWARD_POSITIVE: "toward positive",
    Rounding.TOWARD_NEGATIVE: "toward negative",
    Rounding.TO_ODD: "to odd",
}


def reveal_tables(report: RevealReport) -> RenderableType:
    """The machine, tables, notes, and orders in full where they are few or asked for."""
    parts: list[RenderableType] = [_heading(report)]
    by_question: dict[tuple[str, str], list[RevealRow]] = {}
    for row in report.rows:
        by_question.setdefault((row.operation, row.dtype), []).append(row)
    swept = [rows for rows in by_question.values() if sum(len(row.cases) for row in rows) > 1]
    single = [rows[0] for rows in by_question.values() if rows not in swept]
    full = report.trees or len(report.rows) <= _FEW
    if len(single) > _FEW or (single and not full):
        parts.append(_survey(single))
        parts += [Text(line, LABEL_STYLE) for line in _notes(single)]
        if report.trees:
            parts += [part for row in single for part in _formula(row, report.trees)]
    else:
        parts += [part for row in single for part in _panel(row, report.trees)]
    for rows in swept:
        parts += ["", _classes(rows), *verdicts_of_classes(rows)]
        parts += [Text(line, LABEL_STYLE) for line in _notes(rows)]
        if full:
            parts += [part for row in rows for part in _formula(row, report.trees)]
    parts += _absent(report)
    return Group(*parts)


def _heading(report: RevealReport) -> Text:
    known, details = report.details.versions, report.details
    parts = [f"torch {known.torch} on {escape(known.device)}", counted(known.threads, "thread")]
    if known.device.startswith("cpu"):
        parts.append(known.cpu_capability)
    parts += [f"{name}={escape(value)}" for name, value in details.variables.items()]
    return Text(", ".join(parts), LABEL_STYLE)


# -- tables ----------------------------------------------------------------------------------------


def _survey(rows: Sequence[RevealRow]) -> Table:
    table = plain_table(first_out=("depth", "size", "replayed"))
    table.add_column("operation", no_wrap=True)
    table.add_column("dtype")
    table.add_column("size", no_wrap=True)
    _computation_columns(table, rows)
    before = None
    for row in rows:
        name = "" if row.operation == before else escape(row.operation)
        before = row.operation
        table.add_row(name, row.dtype, row.cases[0].size.text, *_computation_cells(row, rows))
    return table


def _classes(rows: Sequence[RevealRow]) -> Table:
    first = rows[0]
    table = plain_table(
        Text(f"{escape(first.operation)} in {first.dtype}", "bold"), ("depth", "replayed")
    )
    table.add_column("class", no_wrap=True)
    lines = case_lines(rows)
    names = list(lines[0][1])
    for name in names:
        table.add_column(name, overflow="fold", min_width=5)
    _computation_columns(table, rows)
    before = None
    for row, cells in lines:
        shown = _computation_cells(row, rows) if row is not before else []
        table.add_row(row.class_ if row is not before else "", *cells.values(), *shown)
        before = row
    return table


def _computation_columns(table: Table, rows: Sequence[RevealRow]) -> None:
    table.add_column("order", no_wrap=all(len(row.order or "") <= _SHORT for row in rows))
    table.add_column("depth", justify="right", no_wrap=True)
    table.add_column("adds in", no_wrap=all(len(_adds_in(row)) <= _SHORT for row in rows))
    if any(row.computation is not None and row.computation.products for row in rows):
        table.add_column("prod-\nucts", no_wrap=True)
    if _odd_modes(rows):
        table.add_column("rounds", min_width=8)
    if _short_inputs(rows):
        table.add_column("reads", no_wrap=True)
    table.add_column("sub-\nnormals", no_wrap=True)
    table.add_column("certi-\nfied", no_wrap=True)
    table.add_column("replayed", justify="right", no_wrap=True)


def _computation_cells(row: RevealRow, rows: Sequence[RevealRow]) -> list[RenderableType]:
    found = row.computation
    tree = None if found is None else found.tree
    cells: list[RenderableType] = [
        row.order or "-",
        str(tree.depth) if tree else "-",
        _adds_in(row),
    ]
    if any(one.computation is not None and one.computation.products for one in rows):
        cells.append((found.products if found is not None else None) or "-")
    if _odd_modes(rows):
        mode = None if found is None else found.rounding
        cells.append("-" if mode is None else _MODES[mode])
    if _short_inputs(rows):
        cells.append("-" if found is None else _reads(row))
    cells.append(_subnormals(found.subnormals) if found is not None else Text("-"))
    cells.append(Text(_IN_TABLES[row.verdict], _STYLES[row.verdict]))
    given = row.certificate
    cells.append("-" if given is None else f"{given.equal:,}/{given.rows:,}")
    return cells


def _odd_modes(rows: Sequence[RevealRow]) -> bool:
    modes = {row.computation.rounding for row in rows if row.computation is not None}
    return bool(modes - {None, Rounding.TIES_TO_EVEN})


def _short_inputs(rows: Sequence[RevealRow]) -> bool:
    return any(_reads(row) != "all" for row in rows)


def _reads(row: RevealRow) -> str:
    """How many bits of inputs are read, if it is not all."""
    found = row.computation
    if found is None or all(item.rounding is None for item in found.inputs):
        return "all"
    bits = " and ".join(str(bits) for bits in dict.fromkeys(item.bits + 1 for item in found.inputs))
    return f"{bits} bits"


def _adds_in(row: RevealRow) -> str:
    if row.accumulator is None:
        return "-"
    extra = f", {row.extra_bits} more inside" if row.extra_bits else ""
    return f"{row.accumulator}{extra}{f', parts {row.partial}' if row.partial else ''}"


def _verdict(row: RevealRow) -> Text:
    return Text(row.verdict.value.replace("_", " "), _STYLES[row.verdict])


def _subnormals(found: Subnormals) -> Text:
    kept = {"in": found.input, "product": found.product, "out": found.output}
    known = {name: value for name, value in kept.items() if value is not None}
    if not known:
        return Text("-", LABEL_STYLE)
    if all(known.values()):
        return Text("kept", GOOD_STYLE)
    if not any(known.values()):
        return Text("zero", BAD_STYLE)
    if not found.input and not found.output:
        return Text("zero", BAD_STYLE)
    lost = [name for name, value in known.items() if not value]
    return Text(f"{lost[0]} zero", WARNING_STYLE)


# -- one computation -------------------------------------------------------------------------------


def _panel(row: RevealRow, whole: bool) -> list[RenderableType]:
    found = row.computation
    out = "" if row.out_dtype in (None, row.dtype) else f" to {row.out_dtype}"
    title = Text.assemble(
        (f"{escape(row.operation)}", "bold"),
        f" of {row.cases[0].size.text} in {row.dtype}{out}: ",
        _verdict(row),
    )
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for name, text in _facts(row):
        grid.add_row(f"  {name}", text)
    parts: list[RenderableType] = ["", title, grid]
    if found is not None:
        parts += _formula(row, whole, titled=False)
    return parts


def _facts(row: RevealRow) -> Iterator[tuple[str, RenderableType]]:
    found, given = row.computation, row.certificate
    if row.reason is not None:
        yield "because", escape(row.reason)
    if given is not None:
        yield (
            "replayed",
            (
                f"{given.equal:,} of {given.rows:,} random rows with the same bits "
                f"(in other orders, {given.telling:,} or more would differ)"
            ),
        )
    if found is None:
        return
    depth = "" if found.tree is None else f", {counted(found.tree.depth, 'addition')} deep"
    yield "order", f"{row.order}{depth}"
    mode = "" if found.rounding is None else f", rounded {_mode(found.rounding)}"
    yield "adds in", f"{_adds_in(row)}{mode}" if found.tree is not None else "an exact sum"
    if found.result_rounding is not None:
        yield "result", f"{row.out_dtype}, rounded {_mode(found.result_rounding)}"
    if found.products is not None:
        yield "products", _products(row)
    if _reads(row) != "all":
        modes = dict.fromkeys(_mode(i.rounding) for i in found.inputs if i.rounding is not None)
        yield "inputs", f"{_reads(row)} of each significand are read, rounded {', '.join(modes)}"
    yield "subnormals", _each_subnormal(found.subnormals)
    if not row.alike:
        yield "elements", Text("others of the result compute another way", BAD_STYLE)
    yield "fingerprint", row.fingerprint or "-"


def _mode(mode: Rounding) -> str:
    return f"toward {_MODES[mode].removeprefix('toward ')}" if "toward" in mode.value else (
        f"to nearest, {_MODES[mode]}" if "ties" in mode.value else _MODES[mode]
    )  # fmt: skip


def _products(row: RevealRow) -> str:
    found = row.computation
    if found is None:
        return "-"
    says = {
        "exact": "exact: the accumulator holds all their bits",
        "rounded": "rounded, then added",
        "fused": "fused into their additions (FMA)",
        "mixed": "some fused into their additions, some rounded before",
    }[found.products or "exact"]
    count = f": {sum(found.whole):,} of {len(found.whole):,}"
    return says + (count if found.products in (FUSED, MIXED) else "")


def _each_subnormal(found: Subnormals) -> Text:
    parts = [
        (name, kept)
        for name, kept in (
            ("inputs", found.input), ("products", found.product), ("results", found.output)
        )
        if kept is not None
    ]  # fmt: skip
    if not parts:
        return Text("cannot be asked in these formats", LABEL_STYLE)
    texts = [
        Text(f"{name} {'kept' if kept else 'taken as zero'}", GOOD_STYLE if kept else BAD_STYLE)
        for name, kept in parts
    ]
    return Text(", ").join(texts)


def _formula(row: RevealRow, whole: bool, titled: bool = True) -> list[RenderableType]:
    """The order as definitions; cut where nobody asked for all of it."""
    if row.shape is None or row.computation is None:
        return []
    lines = row.shape.formula()
    letter = f" class {row.class_}" if row.class_count > 1 else ""
    head = f"{escape(row.operation)} in {row.dtype}{letter}, {row.cases[0].size.text}"
    parts: list[RenderableType] = ["", *([Text(head, "bold")] if titled else [])]
    shown = lines if whole else lines[:_FORMULA]
    width = max(len(line.text.partition(" = ")[0]) for line in shown)
    for line in shown:
        name, _, value = line.text.partition(" = ")
        parts.append(Text(f"  {name:<{width}} = {value}"))
    if len(lines) > len(shown):
        parts.append(Text(f"  and {len(lines) - len(shown):,} more lines: --tree", LABEL_STYLE))
    if row.computation.products is not None:
        parts.append(Text("  x[i] is a product a[i] * b[i]", LABEL_STYLE))
    return parts


# -- notes -----------------------------------------------------------------------------------------


def _notes(rows: Sequence[RevealRow]) -> Iterator[str]:
    certified = [row for row in rows if row.verdict is Verdict.CERTIFIED]
    given = [row.certificate.rows for row in certified if row.certificate is not None]
    if given:
        least = f"{min(given):,}" if min(given) == max(given) else f"{min(given):,} or more"
        yield (
            f"Certified, {len(certified):,} of {len(rows):,}: computed again on {least} random "
            "rows, every sum has the same bits."
        )
    if not _odd_modes(rows) and certified:
        yield "Every addition rounds to nearest, ties to even."
    for row in rows:
        where = f"{escape(row.operation)} in {row.dtype}"
        where += f", class {row.class_}" if row.class_count > 1 else ""
        if row.reason is not None:
            yield f"{where}: {row.verdict.value.replace('_', ' ')}, {escape(row.reason)}."
        found = row.computation
        mode = None if found is None else found.result_rounding
        if mode not in (None, Rounding.TIES_TO_EVEN):
            assert mode is not None
            yield f"{where}: the result is rounded {_mode(mode)}."
        if not row.alike:
            yield f"{where}: this is the first element; others of the result compute another way."


def _absent(report: RevealReport) -> list[RenderableType]:
    if not report.absent:
        return []
    names = (f"{operation} in {dtype}" for operation, dtype, _ in report.absent)
    return [Text(f"Not offered by this torch: {', '.join(names)}.", LABEL_STYLE)]
