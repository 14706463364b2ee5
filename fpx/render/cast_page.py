"""The page of `fpx cast-compare`: a row per tensor and target, with all that was measured."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any

from fpx.core.formats import FORMATS
from fpx.core.spec import FormatSpec
from fpx.core.targets import find_target
from fpx.render.cast_columns import COLUMNS, Column, Severity, places
from fpx.render.number_lines import lowest
from fpx.render.page import Paged
from fpx.report.base import Report
from fpx.report.cast_compare import CastReport
from fpx.report.cast_row import CastRow
from fpx.report.metrics import BLOCKS, DECIBELS, ELEMENTS, METRICS, RATIO, ULP, Metric

_KINDS = {ELEMENTS: "count", BLOCKS: "count", DECIBELS: "decibels"}
_CLASSES = {Severity.WARNING: "warn", Severity.BAD: "bad"}
_NUMBERS = {metric.name: at for at, metric in enumerate(METRICS.values())}


def cast_rows(reports: Sequence[Report]) -> Paged:
    """The rows, the worst first; under each its metrics, places and exponents."""
    casts = [report for report in reports if isinstance(report, CastReport)]
    rows = [row for report in casts for row in report.worst_first()]
    targets = list(dict.fromkeys(row.to for row in rows))
    ranged = [spec for spec in map(find_target, targets) if isinstance(spec, FormatSpec)]
    drawn = ranged or [FORMATS["float32"]]  # scaled targets alone have no range of their own
    exponents: dict[tuple[str, str], int] = {}  # the same for all targets
    histograms: list[list[int]] = []
    for row in rows:
        if exponents.setdefault((row.source, row.tensor), len(histograms)) == len(histograms):
            histograms.append([*chain.from_iterable(sorted(row.exponent_histogram.items()))])
    columns, shown = _columns(rows)
    return Paged(
        heading="Tensors",
        columns=columns,
        rows=[
            {
                "cells": [row.tensor, row.source, row.to, row.verdict.value, row.backend,
                          *(cell for column in shown for cell in column.cells(row))],
                "detail": {
                    "metrics": _metrics(row),
                    "histogram": exponents[row.source, row.tensor],
                    "formats": sorted((spec.name for spec in drawn), key=row.to.__ne__),
                    "places": [
                        (place.what, f"{list(place.location.index)}: {place.location.shown}")
                        for place in places(row)
                    ],
                },
            }
            for row in rows
        ],
        metrics=[{"name": metric.name, "says": _says(metric)} for metric in METRICS.values()],
        histograms=histograms,
        ranges={spec.name: (lowest(spec), spec.emin, spec.emax) for spec in drawn},
    )  # fmt: skip


class _Shown:
    """A column of the screen's table as columns of the page.

    Args:
        column: which one.
        at: the number of its first cell.
    """

    def __init__(self, column: Column, at: int) -> None:
        self._column = column
        self._metric = METRICS[column.metrics[0]]
        label = column.heading.replace("\n", " ")
        self.columns: list[dict[str, Any]] = [
            {
                "key": self._metric.name,
                "label": label,
                "kind": _KINDS.get(column.unit, "number"),
                "says": "; ".join(_says(METRICS[name]) for name in column.metrics),
                "shown": True,
            }
        ]
        if column.severity in _CLASSES:
            self.columns[0] |= {"bad": _CLASSES[column.severity], "above": column.above or 0}
        if column.unit == ULP:
            self.columns[0]["digits"] = 3
        if column.share:
            rate = f"share of {label}"
            self.columns[0]["rate"] = at + 1
            self.columns.append({"key": rate, "label": rate, "kind": "number", "shown": False})

    def cells(self, row: CastRow) -> list[float | None]:
        """Its cells in a row."""
        names = self._column.metrics
        value = row.metrics[names[0]] if len(names) == 1 else self._column.value(row)
        if value != value:  # NaN: there is none
            value = None
        return [value, self._column.rate(row)] if self._column.share else [value]


def _columns(rows: Sequence[CastRow]) -> tuple[list[dict[str, Any]], list[_Shown]]:
    """All columns, and those with numbers."""

    def choice(key: str, of: Sequence[str]) -> dict[str, Any]:
        several = list(dict.fromkeys(of))
        found = {"key": key, "label": key, "kind": "text", "shown": len(several) > 1}
        return {**found, "choices": several} if len(several) > 1 else found

    columns = [
        {"key": "tensor", "label": "tensor", "kind": "text", "shown": True, "opens": True},
        choice("source", [row.source for row in rows]),
        {**choice("to", [row.to for row in rows]), "shown": True},
        {**choice("verdict", [row.verdict.value for row in rows]), "shown": True},
        {**choice("backend", [row.backend for row in rows]), "label": "by"},
    ]
    shown = []
    # of a window that is too narrow the first ones are in sight: the SQNR should be
    for column in sorted(COLUMNS, key=lambda column: column.unit != DECIBELS):
        if column.earns_its_place(rows):
            shown.append(_Shown(column, len(columns)))
            columns += shown[-1].columns
    return columns, shown


def _metrics(row: CastRow) -> list[float]:
    """Numbers of metrics, each with its value after it, without counts and rates that are 0."""
    return [
        number
        for name, value in row.metrics.items()
        if value is not None and (value or METRICS[name].unit not in (BLOCKS, ELEMENTS, RATIO))
        for number in (_NUMBERS[name], value)
    ]


def _says(metric: Metric) -> str:
    return f"{metric.says[0].upper()}{metric.says[1:]}."
