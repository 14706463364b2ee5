"""How reports of each command are set beside older ones: a row for each that can be."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from fpx.report.gates.changes import (
    Change,
    Entry,
    Key,
    OldRow,
    cast_changes,
    cast_row,
    damaged,
    inspect_changes,
    inspect_row,
    no_stats,
    verify_changes,
    verify_row,
)
from fpx.report.gates.step_changes import step_changes, step_row


def _no_notes(old: Iterable[OldRow], new: Mapping[Key, Any]) -> Iterator[str]:
    return iter(())


class Study(NamedTuple):
    """How reports of a command are compared.

    Attributes:
        identity: the keys that tell rows apart.
        row: makes a row of an entry and its identity; raises InputError if it is damaged.
        changes: from an old row to a new one.
        same: keys of what was asked without which numbers do not compare.
        missing_fails: whether a row that is gone is a failure.
        notes: of what could not be compared.
    """

    identity: tuple[str, ...]
    row: Callable[[Entry, Mapping[str, str]], OldRow]
    changes: Callable[[Any, Any], Iterator[Change]]
    same: tuple[str, ...] = ()
    missing_fails: bool = False
    notes: Callable[[Iterable[OldRow], Mapping[Key, Any]], Iterator[str]] = _no_notes

    def read(self, entry: Entry) -> OldRow:
        """The row of an entry.

        Raises:
            InputError: the entry is damaged.
        """
        for name in self.identity:
            if not isinstance(entry.get(name), str):
                raise damaged(name, entry.get(name))
        return self.row(entry, {name: entry[name] for name in self.identity})


_CAST = ("from", "to", "backend", "device")
STUDIES: Mapping[str, Study] = {
    "cast-compare": Study(("source", "tensor", *_CAST), cast_row, cast_changes),
    "cast-verify": Study(
        _CAST,
        verify_row,
        verify_changes,
        same=("against", "layout", "compile", "flush_denormal"),
    ),
    "inspect": Study(
        ("source", "tensor"),
        inspect_row,
        inspect_changes,
        missing_fails=True,
        notes=no_stats,
    ),
    "step-compare": Study(
        ("kind", "source", "tensor", "from", "to"),
        step_row,
        step_changes,
        same=("step", "still_rate", "rounding"),
    ),
}
