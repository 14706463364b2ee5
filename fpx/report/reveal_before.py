"""An older report of `fpx reveal` beside a new one: whose fingerprints are others now."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from os import PathLike
from typing import Any, Protocol

from fpx.errors import InputError
from fpx.report.base import JsonValue
from fpx.report.older import read_older
from fpx.report.reveal_case import Case
from fpx.words import quoted, quoted_path, reason

SCHEMA = "fpx.reveal/1"

Key = str
"""An operation, a format and circumstances, as one text."""


class _Row(Protocol):
    """What of a row is compared."""

    @property
    def operation(self) -> str:
        """Its operation."""

    @property
    def dtype(self) -> str:
        """Its format."""

    @property
    def cases(self) -> tuple[Case, ...]:
        """Its circumstances."""

    @property
    def fingerprint(self) -> str | None:
        """Its fingerprint."""

    @property
    def order(self) -> str | None:
        """Its order in words."""


@dataclass(frozen=True)
class Change:
    """A fingerprint that is another now.

    Attributes:
        title: what it is of.
        old, new: the fingerprints; None of what cannot be told of at all.
        old_order, new_order: orders in words.
    """

    title: str
    old: str | None
    new: str | None
    old_order: str | None
    new_order: str | None

    @property
    def text(self) -> str:
        """It on one line."""
        was, now = self.old_order or "not resolvable", self.new_order or "not resolvable"
        how = f"{was}, then {now}" if was != now else f"{now} both times"
        return f"{self.title} computes another way: {self.old} then, {self.new} now ({how})"


@dataclass(frozen=True)
class Changes:
    """A report beside an older one.

    Attributes:
        file: the older one.
        changed: what has another fingerprint now.
        equal_count: circumstances with the same.
        new_count: those that only the new report has.
        missing_count: those that only the older one has.
        environment: what differs in what decides how a machine adds: name -> (then, now).
    """

    file: str
    changed: tuple[Change, ...]
    equal_count: int
    new_count: int
    missing_count: int
    environment: Mapping[str, tuple[JsonValue, JsonValue]]

    @property
    def text(self) -> str:
        """`against a.json: 255 equal, 1 changed, 0 new, 0 missing`."""
        return (
            f"against {quoted_path(self.file)}: {self.equal_count:,} equal, "
            f"{len(self.changed):,} changed, {self.new_count:,} new, {self.missing_count:,} missing"
        )

    def lines(self) -> list[str]:
        """What there is to say of it."""
        differs = [
            f"{name} was {json.dumps(old)}, and is {json.dumps(new)} now"
            for name, (old, new) in self.environment.items()
        ]
        return [self.text, *differs]

    def to_dict(self) -> dict[str, JsonValue]:
        """What the JSON document has of it."""
        return {
            "file": self.file,
            "equal": self.equal_count,
            "new": self.new_count,
            "missing": self.missing_count,
            "changed": [
                {"title": change.title, "old": change.old, "new": change.new}
                for change in self.changed
            ],
            "environment": {k: list(pair) for k, pair in self.environment.items()},
        }


@dataclass(frozen=True)
class Before:
    """An older report, read.

    Attributes:
        file: its name.
        fingerprints: of each operation, format and circumstances; with its order.
        environment: what produced it.
    """

    file: str
    fingerprints: Mapping[Key, tuple[str | None, str | None]]
    environment: Mapping[str, JsonValue]

    def compared(self, rows: Iterable[_Row], environment: Mapping[str, JsonValue]) -> Changes:
        """A new report's rows beside it.

        Raises:
            InputError: the two have nothing in common.
        """
        now = {
            _key(row.operation, row.dtype, case.to_dict()): (row, case)
            for row in rows
            for case in row.cases
        }
        both = [key for key in now if key in self.fingerprints]
        if not both:
            raise InputError(
                f"{quoted_path(self.file)} has none of what was revealed now: use the options that "
                "it was made with"
            )
        changed = []
        for key in both:
            (row, case), (old, order) = now[key], self.fingerprints[key]
            if row.fingerprint != old:
                title = f"{row.operation} in {row.dtype}, {case.size.text}"
                changed.append(Change(title, old, row.fingerprint, order, row.order))
        names = dict.fromkeys([*self.environment, *environment])
        return Changes(
            self.file,
            tuple(changed),
            len(both) - len(changed),
            len(now) - len(both),
            len(self.fingerprints) - len(both),
            {
                name: (self.environment.get(name), environment.get(name))
                for name in names
                if self.environment.get(name) != environment.get(name)
            },
        )


def _key(operation: str, dtype: str, case: Mapping[str, JsonValue]) -> Key:
    return json.dumps([operation, dtype, case], sort_keys=True)


def read_before(path: str | PathLike[str]) -> Before:
    """The older report in a file.

    Raises:
        InputError: it cannot be read, or is no such report.
    """
    name, text = read_older(path, "against")
    return parse_before(text, name)


def parse_before(text: bytes, file: str) -> Before:
    """The older report that a file holds.

    Raises:
        InputError: it is no such report, of another version of its form, or damaged.
    """
    shown = quoted_path(file)
    try:
        document: Any = json.loads(text)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise InputError(f"`against`: {shown} is no report: save one with --save FILE.json")
    schema = document.get("schema")
    if schema != SCHEMA:
        raise InputError(f"`against`: {shown} is {quoted(str(schema))}, not {SCHEMA}")
    try:
        found = {
            _key(entry["operation"], entry["dtype"], case): _told(entry)
            for entry in document["results"]
            for case in entry["cases"]
        }
        environment = dict(document["environment"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"`against`: {shown} is damaged: {reason(error)}") from None
    return Before(file, found, environment)


def _told(entry: Mapping[str, Any]) -> tuple[str | None, str | None]:
    order = entry["order"]
    return entry["fingerprint"], None if order is None else order["class"]
