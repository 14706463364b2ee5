"""Circumstances that compute alike: as ranges, and what follows for a batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise, product

from rich.text import Text

from fpx.render.text import GOOD_STYLE, WARNING_STYLE
from fpx.report.reveal import RevealRow
from fpx.report.reveal_case import Case, ranges
from fpx.words import escape, listed

_BATCH = "batch"


def case_lines(rows: Sequence[RevealRow]) -> list[tuple[RevealRow, dict[str, str]]]:
    """A line for each class, or several where its circumstances are no combination of sets.

    Returns:
        Of each line, its row, and the circumstances that are not the same in all rows: name ->
        text, with sizes of a batch as ranges.
    """
    every = [_columns(case, rows) for row in rows for case in row.cases]
    batches = [case.size.m for row in rows for case in row.cases]
    names = [name for name in every[0] if len({columns[name] for columns in every}) > 1]
    found: list[tuple[RevealRow, dict[str, str]]] = []
    for row in rows:
        groups: dict[tuple[str, ...], list[int]] = {}
        for case in row.cases:
            columns = _columns(case, rows)
            key = tuple(columns[name] for name in names if name != _BATCH)
            groups.setdefault(key, []).append(case.size.m)
        by_batch: dict[str, list[tuple[str, ...]]] = {}
        for key, sizes in groups.items():
            by_batch.setdefault(ranges(sizes, batches), []).append(key)
        others = [name for name in names if name != _BATCH]
        for text, keys in by_batch.items():
            for cells in _merged(keys):
                line = dict(zip(others, cells, strict=True))
                found.append((row, {n: text if n == _BATCH else line[n] for n in names}))
    return found


def _columns(case: Case, rows: Sequence[RevealRow]) -> dict[str, str]:
    """A case's circumstances; of matrices that differ in m alone, that is a batch."""
    sizes = {one.size._replace(m=1) for row in rows for one in row.cases}
    columns = case.columns()
    if case.size.matrix and len(sizes) == 1:
        del columns["shape"]
        return {_BATCH: str(case.size.m), **columns}
    return columns


def _merged(keys: Sequence[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Combinations as one line, where they are all those of some values; else each alone."""
    sets = [list(dict.fromkeys(values)) for values in zip(*keys, strict=True)]
    if len(keys) > 1 and set(product(*sets)) == set(keys):
        return [tuple(", ".join(values) for values in sets)]
    return list(keys)


def _of_batches(rows: Sequence[RevealRow]) -> Iterator[str]:
    """At which batches bits of the first row change, and in which rows differ from each other."""
    every = [case.size.m for row in rows for case in row.cases]
    of = sorted((case.size.m, row.signature) for row in rows for case in row.cases)
    changes = [now[0] for before, now in pairwise(of) if now[1] != before[1]]
    if changes:
        yield f"Not batch invariant: the first row's bits change at batch {listed(changes, 20)}."
    unlike = [case.size.m for row in rows if not row.alike for case in row.cases]
    if unlike:
        yield (
            f"At batch {ranges(unlike, every)}, equal rows and columns of one batch give "
            "other bits at other places."
        )


def verdicts_of_classes(rows: Sequence[RevealRow]) -> list[Text]:
    """What the classes mean, in a sentence."""
    cases = [case for row in rows for case in row.cases]
    if len(rows) == 1:
        return [Text(f"All {len(cases):,} give the same bits.", GOOD_STYLE)]
    columns = [_columns(case, rows) for case in cases]
    varied = [name for name in columns[0] if len({one[name] for one in columns}) > 1]
    if varied == [_BATCH]:
        return [Text(line, WARNING_STYLE) for line in _of_batches(rows)]
    if len({case.size.k for case in cases}) == len(rows):
        return []
    names = " or ".join(escape(name) for name in varied)
    return [Text(f"Bits depend on {names}: {len(rows):,} classes.", WARNING_STYLE)]
