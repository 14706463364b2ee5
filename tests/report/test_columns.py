"""JSON entries as columns and rows."""

from __future__ import annotations

from typing import Any

import pytest

from fpx.report.columns import Table, table_of


@pytest.mark.parametrize(
    ("entries", "table"),
    [
        ([], Table((), ())),
        ([{"a": 1, "b": None}], Table(("a", "b"), ((1, None),))),
        ([{"a": {"b": "x", "c": {"d": True}}}], Table(("a.b", "a.c.d"), (("x", True),))),
        ([{"a": ["x", "y"], "b": [1, 2], "c": []}], Table(("a", "b", "c"), (("x y", "1 2", ""),))),
        ([{"a": 1, "b": [{"c": 1}]}], Table(("a",), ((1,),))),
        ([{"a": None}, {"a": {"b": 1}}], Table(("a.b",), ((None,), (1,)))),
        ([{"a": 1}, {"b": 2}], Table(("a", "b"), ((1, None), (None, 2)))),
    ],
    ids=str,
)
def test_columns(entries: list[dict[str, Any]], table: Table) -> None:
    assert table_of(entries) == table


def test_what_is_left_out() -> None:
    entry = {"a": 1, "b": {"c": 2, "d": 3}, "e": {"f": 4}}
    assert table_of([entry], leave_out=("b.c", "e")) == Table(("a", "b.d"), ((1, 3),))
