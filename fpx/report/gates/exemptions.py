"""Exceptions to conditions: tensors of which something else is asked than of the others."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from fpx.core.targets import find_targets
from fpx.patterns import matcher
from fpx.report.base import JsonValue
from fpx.report.checks import Condition, MeasuredRow, parse_condition
from fpx.words import escape, listed


class TensorRow(MeasuredRow, Protocol):
    """A row about a tensor and a target."""

    @property
    def tensor(self) -> str:
        """The tensor's name."""

    @property
    def to(self) -> str:
        """The target."""


@dataclass(frozen=True)
class Exemption:
    """What is asked of some tensors in place of what is asked of all.

    Attributes:
        tensors: patterns of names (see `fpx.patterns.matcher`), of which one must match.
        conditions: those that hold for these tensors; none lets everything pass.
        to: targets that it is for; None means every one.
        reason: why, in the user's words.
        tests: `tensors`, as functions.
    """

    tensors: tuple[str, ...]
    conditions: tuple[Condition, ...]
    to: tuple[str, ...] | None
    reason: str | None
    tests: tuple[Callable[[str], object], ...]

    def covers(self, row: TensorRow) -> bool:
        """Whether a row is of one of these tensors."""
        return (self.to is None or row.to in self.to) and any(
            test(row.tensor) for test in self.tests
        )

    @property
    def text(self) -> str:
        """It on one line: `*.running_var (kept in float32)`."""
        why = f" ({escape(self.reason)})" if self.reason else ""
        return f"{escape(listed(self.tensors, 4))}{why}"

    def to_dict(self) -> dict[str, JsonValue]:
        """Its parts, by the names that they have in a file."""
        return {
            "tensors": list(self.tensors),
            "to": None if self.to is None else list(self.to),
            "fail-if": [condition.text for condition in self.conditions],
            "reason": self.reason,
        }


def parse_exemption(
    tensors: Sequence[str],
    fail_if: Sequence[str],
    to: Sequence[str] | None = None,
    reason: str | None = None,
) -> Exemption:
    """The exception that these texts mean.

    Raises:
        InputError: no such condition, format or pattern.
    """
    return Exemption(
        tuple(tensors),
        tuple(map(parse_condition, fail_if)),
        None if to is None else tuple(spec.name for spec in find_targets(to)),
        reason,
        tuple(map(matcher, tensors)),
    )


def exemption_of(row: TensorRow, exemptions: Iterable[Exemption]) -> Exemption | None:
    """The first of some exceptions that covers a row; None if none does."""
    return next((item for item in exemptions if item.covers(row)), None)
