"""An older report of the same command, read from its JSON document, beside a new one.

Rows belong together whose identities are equal. What a source is called counts only where either
side has several: a checkpoint may have moved, or have a new name.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import PurePath
from typing import Any

from fpx.errors import InputError
from fpx.report.base import JsonValue
from fpx.report.checks import Check, CheckedRow, Failure, Row
from fpx.report.gates.changes import Change, Key, OldRow
from fpx.report.gates.studies import STUDIES
from fpx.report.older import read_older
from fpx.words import listed, quoted, quoted_path


@dataclass(frozen=True)
class Comparison:
    """A report beside an older one.

    Attributes:
        file: the name of the older one.
        old: the rows of it that are still there, by the identity of the new ones.
        changes: what changed of these.
        new_count: rows that it does not have.
        missing: rows that only it has.
        notes: what could not be compared, a line each.
        missing_fails: whether a missing row is a failure.
    """

    file: str
    old: Mapping[Key, OldRow]
    changes: Mapping[Key, tuple[Change, ...]]
    new_count: int
    missing: tuple[OldRow, ...]
    notes: tuple[str, ...] = ()
    missing_fails: bool = False

    def old_row(self, row: CheckedRow) -> OldRow | None:
        """The older row that belongs to a row; None of a new one."""
        return self.old.get(_key(row))

    def worse(self, row: CheckedRow) -> list[Change]:
        """What got worse of a row."""
        return [change for change in self.changes.get(_key(row), ()) if change.worse]

    @property
    def worse_count(self) -> int:
        """Rows of which anything got worse."""
        return sum(any(change.worse for change in found) for found in self.changes.values())

    @property
    def better_count(self) -> int:
        """Rows that changed, but did not get worse."""
        return sum(bool(found) for found in self.changes.values()) - self.worse_count

    @property
    def equal_count(self) -> int:
        """Rows of which nothing changed."""
        return len(self.changes) - self.worse_count - self.better_count

    @property
    def text(self) -> str:
        """`against old.json: 0 better, 42 equal, 1 worse, 0 new, 0 missing`."""
        counts = {k: v for k, v in self.to_dict().items() if k != "file"}
        return f"against {self.file}: {', '.join(f'{n:,} {name}' for name, n in counts.items())}"

    def lines(self) -> list[str]:
        """What there is to say of it."""
        lines = [self.text, *self.notes]
        if self.missing and not self.missing_fails:
            more = f", and {len(self.missing) - 1:,} more" if len(self.missing) > 1 else ""
            lines.append(f"in {self.file}, but not here: {self.missing[0].title}{more}")
        return lines

    def to_dict(self) -> dict[str, JsonValue]:
        """What the JSON document has of it, as `baseline`."""
        return {
            "file": self.file,
            "better": self.better_count,
            "equal": self.equal_count,
            "worse": self.worse_count,
            "new": self.new_count,
            "missing": len(self.missing),
        }


def _key(row: CheckedRow) -> Key:
    return tuple(row.identity().values())


@dataclass(frozen=True)
class Baseline:
    """An older report, read and looked through.

    Attributes:
        file: its name.
        command: whose report it is.
        rows: its rows.
        asked: what produced them: the report's `environment`, and what it has as `asked`.
    """

    file: str
    command: str
    rows: tuple[OldRow, ...]
    asked: Mapping[str, JsonValue]

    def compared(self, rows: Sequence[CheckedRow], asked: Mapping[str, JsonValue]) -> Comparison:
        """The rows of a new report beside those of this one.

        Args:
            rows: the new ones.
            asked: what produced them.

        Raises:
            InputError: the two are about different questions.
        """
        study = STUDIES[self.command]
        for name in study.same:
            was, now = self.asked.get(name), asked.get(name)
            if was != now:
                then, since = ("none" if value is None else value for value in (was, now))
                raise InputError(
                    f"{quoted_path(self.file)} is of another question: {name} was {then}, and is "
                    f"{since} now"
                )
        names = self._sources(rows) if "source" in study.identity else {}
        renamed = (
            replace(row, own={**row.own, "source": names[row.own["source"]]})
            if row.own.get("source") in names
            else row
            for row in self.rows
        )
        old = {_key(row): row for row in renamed}
        present = {_key(row): row for row in rows}
        matched = {key: old[key] for key in present if key in old}
        return Comparison(
            self.file,
            matched,
            {key: tuple(study.changes(old, present[key])) for key, old in matched.items()},
            sum(key not in old for key in present),
            tuple(row for key, row in old.items() if key not in present),
            tuple(study.notes(matched.values(), present)),
            study.missing_fails,
        )

    def _sources(self, rows: Sequence[CheckedRow]) -> dict[str, str]:
        """What the sources of the baseline are called now."""
        before = list(dict.fromkeys(row.own["source"] for row in self.rows))
        now = list(dict.fromkeys(str(row.identity()["source"]) for row in rows))
        if len(before) == len(now) == 1:
            return {before[0]: now[0]}
        short = {_last(name): name for name in now}
        often = Counter(map(_last, before)) + Counter(map(_last, now))
        return {
            name: name if name in now else short[_last(name)]
            for name in before
            if name in now or (_last(name) in short and often[_last(name)] == 2)
        }


def _last(name: str) -> str:
    return PurePath(name).name


# -- read ------------------------------------------------------------------------------------------


def read_baseline(path: str | PathLike[str], schema: str) -> Baseline:
    """The older report in a file.

    Args:
        path: of the file.
        schema: that of the report that it is compared with, as `fpx.cast-compare/2`.

    Raises:
        InputError: it cannot be read, or is no such report.
    """
    name, text = read_older(path, "baseline")
    return parse_baseline(text, name, schema)


def parse_baseline(text: bytes, file: str, schema: str) -> Baseline:
    """The older report that a file holds.

    Args:
        text: what is in the file.
        file: what messages call it.
        schema: that of the report that it is compared with, as `fpx.cast-compare/2`.

    Raises:
        InputError: it is no such report, of another version of its form, or damaged.
    """
    command = schema.removeprefix("fpx.").partition("/")[0]
    try:
        document = json.loads(text, parse_constant=_no_constant)
    except RecursionError:
        raise InputError(f"{quoted_path(file)} is no report: it is nested too deeply") from None
    except ValueError as error:  # no JSON, no UTF-8, or an integer of thousands of digits
        raise InputError(
            f"{quoted_path(file)} is no report: it is no JSON ({str(error)[:100]}): save one with "
            f"fpx {command} --json"
        ) from None
    found = document.get("schema") if isinstance(document, dict) else None
    if not isinstance(found, str) or not found.startswith("fpx."):
        raise InputError(
            f"{quoted_path(file)} is no report of fpx: save one with fpx {command} --json"
        )
    if found != schema:
        raise InputError(
            f"{quoted_path(file)} is a report of schema {quoted(found)}, where {schema} is needed: "
            f"save one with fpx {command} --json"
        )
    entries, environment = document.get("results"), document.get("environment")
    asked = document.get("asked", {})
    if (
        not isinstance(entries, list)
        or not (isinstance(environment, dict) and isinstance(asked, dict))
        or not all(isinstance(entry, dict) for entry in entries)
    ):
        raise InputError(f"{quoted_path(file)} is damaged: it has no results")
    rows = []
    for number, entry in enumerate(entries, 1):
        try:
            rows.append(STUDIES[command].read(entry))
        except InputError as error:
            raise InputError(
                f"{quoted_path(file)} is damaged: of entry {number}, {error}"
            ) from None
    return Baseline(file, command, tuple(rows), environment | asked)


def _no_constant(token: str) -> None:
    raise ValueError(f"{token} is not JSON")


# -- as a check ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class NotWorse:
    """The check that nothing got worse.

    Attributes:
        comparison: with the baseline.
        otherwise: what is asked of rows that the baseline does not have.
        kinds: kinds of causes that count; None means every one.
    """

    comparison: Comparison
    otherwise: Check[Any] | None = None
    kinds: tuple[str, ...] | None = None

    @property
    def text(self) -> str:
        """Its name."""
        return "baseline"

    def worse(self, row: CheckedRow) -> list[Change]:
        """What got worse, of the kinds that count."""
        return [
            change
            for change in self.comparison.worse(row)
            if self.kinds is None or change.kind is None or change.kind in self.kinds
        ]

    def value(self, row: CheckedRow) -> JsonValue:
        """What got worse, with its value now; of a new row, what else is asked of it looks at."""
        if self._is_new(row):
            return self.otherwise.value(row) if self.otherwise else None
        return {change.what: change.new for change in self.worse(row)}

    def old(self, row: CheckedRow) -> JsonValue:
        """The same, with its value in the baseline."""
        if self._is_new(row):
            return None
        return {change.what: change.old for change in self.worse(row)}

    def failures(self, rows: Sequence[Row]) -> list[Failure[Row]]:
        """The rows that fail it, with what they were."""
        return [self.failure(row) for row in rows if self.fails(row)]

    def failure(self, row: Row) -> Failure[Row]:
        """The failure of a row, with what it was."""
        return Failure(row, self, self.value(row), self.old(row))

    def fails(self, row: CheckedRow) -> bool:
        """Whether anything got worse."""
        if self._is_new(row):
            return self.otherwise is not None and self.otherwise.fails(row)
        return bool(self.worse(row))

    def reason(self, row: CheckedRow) -> str:
        """`worse than in old.json: overflow_count 0 -> 64`."""
        if self._is_new(row):
            why = self.otherwise.reason(row) if self.otherwise else "new"
            return f"{why} (a new row: {self.comparison.file} does not have it)"
        texts = [change.text for change in self.worse(row)]
        return f"worse than in {self.comparison.file}: {listed(texts)}"

    def to_dict(self) -> dict[str, JsonValue]:
        """Its parts."""
        return {"check": self.text}

    def _is_new(self, row: CheckedRow) -> bool:
        return self.comparison.old_row(row) is None


@dataclass(frozen=True)
class StillThere:
    """The check that a row of the baseline is still there, of which those fail that are not."""

    comparison: Comparison

    @property
    def text(self) -> str:
        """Its name."""
        return "baseline"

    def value(self, row: CheckedRow) -> JsonValue:
        """Nothing is left to look at."""

    def fails(self, row: CheckedRow) -> bool:
        """Of a row of the baseline."""
        return isinstance(row, OldRow)

    def reason(self, row: CheckedRow) -> str:
        """`gone: old.json has it`."""
        return f"gone: {self.comparison.file} has it"

    def to_dict(self) -> dict[str, JsonValue]:
        """Its parts."""
        return {"check": self.text}
