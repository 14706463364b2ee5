"""Columns and rows of exact text: what every output form but the drawing is made of."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, NamedTuple

Cell = str | int | float | bool | None
"""One field of a row: exact numbers as text, codes as hex strings, None where nothing applies."""


class Table(NamedTuple):
    """A report as rows that all have the same columns.

    Attributes:
        columns: their names, which are the JSON keys where there is one.
        rows: a cell for each column.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


def table_of(entries: Iterable[Mapping[str, Any]], leave_out: Collection[str] = ()) -> Table:
    """JSON entries as a table.

    A mapping in an entry becomes a column for each of its keys, as in `interval.low`; a list
    becomes its items, separated by spaces. A list of mappings has no place in a row and is left
    out. A column that some entries lack is None there.

    Args:
        entries: JSON objects, as `Report.results` has them.
        leave_out: keys of entries that are no columns, such as histograms.
    """
    flat = [dict(_flat(entry, "", leave_out)) for entry in entries]
    columns = tuple(dict.fromkeys(name for row in flat for name in row))
    # what is None in one entry and a mapping in another has columns for its keys alone
    parents = {name.rpartition(".")[0] for name in columns}
    kept = tuple(
        name
        for name in columns
        if name not in parents or any(row.get(name) is not None for row in flat)
    )
    return Table(kept, tuple(tuple(row.get(name) for name in kept) for row in flat))


def _flat(
    entry: Mapping[str, Any], prefix: str, leave_out: Collection[str]
) -> Iterable[tuple[str, Cell]]:
    for key, value in entry.items():
        name = f"{prefix}{key}"
        if name in leave_out:
            continue
        if isinstance(value, Mapping):
            yield from _flat(value, f"{name}.", leave_out)
        elif isinstance(value, (list, tuple)):
            if any(isinstance(item, Mapping) for item in value):
                continue
            yield name, " ".join(map(str, value))
        else:
            yield name, value
