"""Results as text for 80 columns, and as JSON."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator, Mapping, Sequence

from scripts.benchmarks.results import FULL, Result, Sizes, Target, shown

SCHEMA = "fpx.bench/1"
WIDTH = 80


def heading(machine: Mapping[str, object], sizes: Sizes) -> str:
    """What stands above the rows: where and how much was measured."""
    lines = [", ".join(f"{name} {value}" for name, value in machine.items())]
    lines.append(
        f"Tensors of {sizes.elements:,} elements, {sizes.rounds} turns, of which the least time "
        "counts."
    )
    if sizes != FULL:
        lines.append(f"This is a quick look: targets are for {FULL.elements:,} elements.")
    return "\n".join(part for line in lines for part in textwrap.wrap(line, WIDTH)) + "\n"


def text(result: Result) -> str:
    """A row: a line for each of its targets, and what is beside."""
    row, found = result.row, result.found
    lines = [f"{row.what}  [{row.name}]"]
    if found is None:
        for target in row.targets:
            lines += _line("-", target, result.outcomes[0])
        return "\n".join([*lines, *_indented(f"not run: {result.reason}")]) + "\n"
    for target, figure, outcome in zip(row.targets, found.figures, result.outcomes, strict=True):
        lines += _line(shown(figure), target, outcome)
    there = [f"{name} {shown(at)}" for name, at in found.beside.items() if at is not None]
    absent = [name for name, at in found.beside.items() if at is None]
    if there:
        lines += _indented(f"{found.unit}: {', '.join(there)}")
    if absent:
        lines += _indented(f"not installed: {', '.join(absent)}")
    if found.note:
        lines += _indented(found.note)
    return "\n".join(lines) + "\n"


def _line(figure: str, target: Target, outcome: str) -> Iterator[str]:
    start = f"  {figure:>9}  {target.says:17}  {outcome:7}  "
    yield from textwrap.wrap(
        target.figure, WIDTH, initial_indent=start, subsequent_indent=" " * len(start)
    )


def _indented(line: str) -> list[str]:
    return textwrap.wrap(line, WIDTH, initial_indent=" " * 4, subsequent_indent=" " * 6)


def document(
    machine: Mapping[str, object], sizes: Sizes, results: Sequence[Result]
) -> dict[str, object]:
    """All of it for programs: strict JSON, whose numbers are null where there is none."""
    return {
        "schema": SCHEMA,
        "quick": sizes != FULL,
        "sizes": sizes._asdict(),
        "machine": dict(machine),
        "results": [_entry(result) for result in results],
    }


def _entry(result: Result) -> dict[str, object]:
    row, found = result.row, result.found
    figures = [None] * len(row.targets) if found is None else found.figures
    return {
        "name": row.name,
        "what": row.what,
        "reason": result.reason or None,
        "targets": [
            {
                "figure": target.figure,
                "value": _number(figure),
                "bound": target.bound,
                "at_most": target.at_most,
                "outcome": outcome,
            }
            for target, figure, outcome in zip(row.targets, figures, result.outcomes, strict=True)
        ],
        "unit": None if found is None else found.unit,
        "beside": {} if found is None else {k: _number(v) for k, v in found.beside.items()},
        "note": (found.note or None) if found else None,
    }


def _number(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
