"""What became of one tensor of one checkpoint in another."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from enum import Enum

from fpx.report.base import JsonValue, to_json
from fpx.words import counted, escape


class Change(Enum):
    """What became of a tensor of A in B."""

    EQUAL = "equal"
    """The same dtype and shape, and every bit."""
    SAME_VALUES = "same_values"
    """The same dtype, and other bits in zeros (their signs) and NaNs alone."""
    CONVERTED = "converted"
    """Another dtype, in which B is A correctly rounded."""
    WITHIN_TOLERANCE = "within_tolerance"
    """Other values, none of them further off than the tolerance."""
    DIFFERS = "differs"
    """Some values are further off."""
    RESHAPED = "reshaped"
    """Another shape; the values were not compared."""
    MISSING = "missing"
    """In A alone."""
    EXTRA = "extra"
    """In B alone."""
    RENAMED = "renamed"
    """The same dtype, shape and bits under another name."""
    UNREADABLE = "unreadable"
    """Its data are damaged in A or in B: a line of `errors` says how."""


COMPARED = tuple(Change)[: tuple(Change).index(Change.DIFFERS) + 1]
"""Outcomes of tensors whose values were compared, the worst last."""

STRUCTURE = tuple(change for change in Change if change not in COMPARED)
"""The others, in the order in which they are shown."""


@dataclass(frozen=True)
class Side:
    """A tensor of one of the two.

    Attributes:
        source: the file, or what reports call something in memory.
        tensor: its name there.
        dtype: the format or integer type of its elements; of a quantised weight that of its values.
        shape: elements along each axis.
        stored_as: of a quantised weight, what its codes and scales are, such as `nvfp4`; else None.
    """

    source: str
    tensor: str
    dtype: str
    shape: tuple[int, ...]
    stored_as: str | None = None

    @property
    def kind(self) -> str:
        """What people call its dtype."""
        return self.stored_as or self.dtype


@dataclass(frozen=True)
class Spot:
    """One element of both tensors.

    Attributes:
        index: its multi-index.
        a, b: its values.
        a_code, b_code: its codes, each in its own dtype, in hexadecimal.
        expected, expected_code: A's value rounded to B's dtype, and its code; `a` and `a_code`
            where the dtypes agree. None where an integer dtype has no such value.
    """

    index: tuple[int, ...]
    a: int | float
    b: int | float
    a_code: str
    b_code: str
    expected: int | float | None
    expected_code: str | None


@dataclass(frozen=True)
class Comparison:
    """How far the values of B are from those of A.

    A's values are rounded to B's dtype first, to nearest, ties to even; where that is A's own, or
    one that holds all of A's values, they stay as they are. Distances are numbers of codes of B's
    dtype between the two: neighbouring values are 1 apart, zeros of both signs are one value.
    An element has one where both are finite and B's dtype has a finite value for A's.

    Attributes:
        count: elements compared.
        differing_count: elements whose code in B is another one than expected, and those that are
            out of range; where the dtypes differ, a NaN for a NaN is as expected.
        beyond_count: of these, those that are further apart than the tolerance, and all whose NaN
            or infinity appeared or vanished, or that are out of range.
        max_distance: the largest distance, 0 where all bits are equal; else None where no element
            has one.
        mean_distance: the mean of all distances, zeros among them.
        nan_appeared_count, nan_vanished_count: NaNs in B alone, and in A alone.
        inf_appeared_count, inf_vanished_count: infinities in B alone, and in A alone. One that
            changed its sign is both.
        out_of_range_count: finite values of A that round to no finite value of B's dtype, whatever
            B has there.
        nan_bits_count: NaNs in both with other bits; None where the dtypes differ.
        zero_sign_count: zeros in both with other signs.
        max_abs_error, max_rel_error, max_error_ulp, rms_error, sqnr_db: the metrics of those names
            in `fpx.report.metrics`, of b against a; None where B holds integers.
        max_distance_spot: the first element that is so far apart; None where none is apart.
        first_lost_spot: the first element whose NaN or infinity appeared or vanished, or that is
            out of range.
    """

    count: int
    differing_count: int = 0
    beyond_count: int = 0
    max_distance: int | None = None
    mean_distance: float | None = None
    nan_appeared_count: int = 0
    nan_vanished_count: int = 0
    inf_appeared_count: int = 0
    inf_vanished_count: int = 0
    out_of_range_count: int = 0
    nan_bits_count: int | None = 0
    zero_sign_count: int = 0
    max_abs_error: float | None = None
    max_rel_error: float | None = None
    max_error_ulp: float | None = None
    rms_error: float | None = None
    sqnr_db: float | None = None
    max_distance_spot: Spot | None = None
    first_lost_spot: Spot | None = None

    @property
    def loses_range(self) -> bool:
        """Whether a NaN or infinity appeared or vanished, or a value is out of range."""
        return any(getattr(self, name) for name, _ in LOSSES)


LOSSES = (
    ("nan_appeared_count", "{} became NaN"),
    ("nan_vanished_count", "{} no longer NaN"),
    ("inf_appeared_count", "{} became inf"),
    ("inf_vanished_count", "{} no longer inf"),
    ("out_of_range_count", "{} out of range"),
)
"""Counts that no tolerance covers, and how each is said."""

_FOUND = tuple(item.name for item in fields(Comparison))


@dataclass(frozen=True)
class OwnRule:
    """What fpx's own encoder makes of A's tensor in the format that B stores it in.

    Attributes:
        rule: by which scales are chosen.
        to: the target, for `cast-compare --to`.
        sqnr_db: in dB; None or NaN where it has no value.
    """

    rule: str
    to: str
    sqnr_db: float | None


@dataclass(frozen=True)
class Quantisation:
    """What is known of a tensor that is quantised in B and lost something by it.

    Attributes:
        layout: who writes it so.
        rules: what fpx makes of A by each scale rule; none where it does not encode that format.
    """

    layout: str
    rules: tuple[OwnRule, ...] = ()

    @property
    def best(self) -> OwnRule | None:
        """The rule that gives the highest SQNR."""
        known = [rule for rule in self.rules if _value(rule.sqnr_db) > -math.inf]
        return max(known, key=lambda rule: _value(rule.sqnr_db), default=None)

    def to_dict(self) -> dict[str, JsonValue]:
        """Its JSON entry."""
        return {"layout": self.layout, "best": to_json(self.best), "rules": to_json(self.rules)}


def _value(decibels: float | None) -> float:
    return -math.inf if decibels is None or math.isnan(decibels) else decibels


@dataclass(frozen=True)
class DiffRow:
    """A tensor of A and what became of it in B, or a tensor that B alone has.

    Attributes:
        a, b: the tensor on both sides; None where there is none.
        outcome: what became of it.
        comparison: how far apart the values are; None where they were not compared.
        quantised: where B has it quantised and its values differ, what its format would allow.
    """

    a: Side | None
    b: Side | None
    outcome: Change
    comparison: Comparison | None = None
    quantised: Quantisation | None = None

    @property
    def side(self) -> Side:
        """The tensor in A; in B where A has none."""
        side = self.a or self.b
        assert side is not None
        return side

    @property
    def tensor(self) -> str:
        """Its name there."""
        return self.side.tensor

    @property
    def title(self) -> str:
        """Which row it is, on one line."""
        return escape(f"{self.side.source} {self.side.tensor}")

    @property
    def converted(self) -> bool:
        """Whether the dtypes differ."""
        return self.a is not None and self.b is not None and self.a.dtype != self.b.dtype

    def identity(self) -> dict[str, JsonValue]:
        """The keys of its JSON entry that tell which row it is."""
        return {"tensor": self.tensor, "a": to_json(self.a), "b": to_json(self.b)}

    def to_dict(self) -> dict[str, JsonValue]:
        """Its JSON entry: both tensors, the outcome, the numbers and the spots."""
        found = self.comparison
        return {
            **self.identity(),
            "outcome": self.outcome.value,
            **{name: None if found is None else to_json(getattr(found, name)) for name in _FOUND},
            "quantised": None if self.quantised is None else self.quantised.to_dict(),
        }

    @property
    def shortfall_db(self) -> float | None:
        """By how much a quantised tensor is below the best of fpx's rules; negative if above.

        Infinite where that rule loses nothing; None where either has no value.
        """
        best = None if self.quantised is None else self.quantised.best
        if best is None or self.comparison is None:
            return None
        here, there = _value(self.comparison.sqnr_db), _value(best.sqnr_db)
        return None if here == -math.inf else there - here

    def how_far(self) -> list[str]:
        """What is wrong with values, in words: how far off they are, and what is lost."""
        found = self.comparison
        assert found is not None
        counts = [(getattr(found, name), text) for name, text in LOSSES]
        lost = [text.format(f"{count:,}") for count, text in counts if count]
        if self.quantised is not None:
            known = found.sqnr_db is not None and math.isfinite(found.sqnr_db)
            return [f"SQNR {found.sqnr_db:.2f} dB", *lost] if known else lost
        far = [f"by up to {counted(found.max_distance, 'code')}"] if found.max_distance else []
        return far + lost

    def badness(self) -> tuple[float, ...]:
        """Sort key: tensors that are not there first, then the largest difference."""
        if self.outcome in STRUCTURE:
            return (0, STRUCTURE.index(self.outcome))
        found = self.comparison
        assert found is not None
        return (
            1,
            -COMPARED.index(self.outcome),
            -int(found.loses_range),
            *self._far(found),
        )

    def _far(self, found: Comparison) -> tuple[float, ...]:
        """Sort key: codes apart; after those what is quantised, the lowest SQNR first."""
        if self.quantised is None:
            return (0, -(found.max_distance or 0), -found.differing_count)
        return (1, _value(found.sqnr_db), -found.differing_count)


def outcome_of(found: Comparison, converted: bool) -> Change:
    """What a comparison says.

    Args:
        found: of both tensors.
        converted: whether their dtypes differ.
    """
    if found.beyond_count:
        return Change.DIFFERS
    if found.max_distance:
        return Change.WITHIN_TOLERANCE
    if converted:
        return Change.CONVERTED
    return Change.SAME_VALUES if found.differing_count else Change.EQUAL
