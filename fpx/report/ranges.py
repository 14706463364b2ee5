"""The reports of `fpx range`: the constants of formats, and how two of them compare."""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal
from fractions import Fraction
from typing import ClassVar

from fpx.core.dyadic import Dyadic, place_point
from fpx.core.spec import FormatSpec, NanEncoding
from fpx.report.base import JsonValue, Report, exact_text, to_json
from fpx.report.columns import Cell, Table, table_of

_LONG_INTEGER = 10**13
_JSON_INTEGER = 1 << 53  # the largest integer that every JSON reader keeps


def log2(value: Dyadic) -> float:
    """log2 of a positive value, correct to float64's precision or so, at any exponent."""
    return math.log2(value.significand) + value.exponent


def _json_integer(number: int) -> int | str:
    """An integer, as text where a JSON reader might round it."""
    return number if abs(number) <= _JSON_INTEGER else str(number)


@dataclass(frozen=True, eq=False, repr=False)
class FormatReport(Report):
    """The constants of one format, all derived from its row."""

    schema: ClassVar[str] = "fpx.range/1"

    spec: FormatSpec

    KEYS: ClassVar[tuple[str, ...]] = (
        "format", "bits", "exponent_bits", "fraction_bits", "precision", "bias", "emin", "emax",
        "max_finite", "smallest_normal", "smallest_subnormal", "machine_epsilon", "unit_roundoff",
        "digits10", "max_digits10", "max_consecutive_integer", "first_missing_integer",
        "dynamic_range_log2",
    )  # fmt: skip
    EXACT: ClassVar[frozenset[str]] = frozenset(
        ("max_finite", "smallest_normal", "smallest_subnormal", "machine_epsilon", "unit_roundoff")
    )

    @property
    def format(self) -> str:
        """The format's full name."""
        return self.spec.name

    @property
    def max_finite(self) -> Fraction:
        """The largest finite value."""
        return self.spec.max_finite.fraction

    @property
    def smallest_normal(self) -> Fraction:
        """The smallest positive normal value."""
        return self.spec.smallest_normal.fraction

    @property
    def smallest_subnormal(self) -> Fraction | None:
        """The smallest positive subnormal value; None where there are none."""
        value = self.spec.smallest_subnormal
        return None if value is None else value.fraction

    @property
    def machine_epsilon(self) -> Fraction:
        """2^(1-p)."""
        return self.spec.machine_epsilon.fraction

    @property
    def unit_roundoff(self) -> Fraction:
        """2^-p."""
        return self.spec.unit_roundoff.fraction

    @property
    def dynamic_range_log2(self) -> float:
        """log2 of the largest finite value over the smallest positive one: how many binades."""
        return log2(self.spec.max_finite) - log2(self.spec.smallest_positive)

    @property
    def constants(self) -> dict[str, JsonValue]:
        """`KEYS` and what they are; exact constants as decimal text, integers as integers.

        Integers beyond 2^53 are text too.
        """
        entry: dict[str, JsonValue] = {}
        for key in self.KEYS:
            if key in self.EXACT:
                entry[key] = exact_text(getattr(self.spec, key))
            else:
                value = getattr(self if key in ("format", "dynamic_range_log2") else self.spec, key)
                entry[key] = _json_integer(value) if isinstance(value, int) else value
        return entry

    def about(self) -> str:
        """The format."""
        return self.format

    def results(self) -> list[dict[str, JsonValue]]:
        """One entry: the constants."""
        return [self.constants]


@dataclass(frozen=True)
class Difference:
    """One thing that a change of format gains, loses or keeps.

    Attributes:
        change: `gained`, `lost` or `same`.
        what: the thing, such as `largest value`.
        old, new: what the two formats have: exact values as decimal text, counts as integers
            (beyond 2^53 as text), and whether there is such a thing as a boolean.
        text: the same in a few words.
    """

    change: str
    what: str
    old: Cell
    new: Cell
    text: str


@dataclass(frozen=True, eq=False, repr=False)
class RangeComparison(Report):
    """What is gained and lost by going from one format to another."""

    schema: ClassVar[str] = "fpx.range-compare/1"

    old: FormatSpec
    new: FormatSpec

    @property
    def keeps_every_value(self) -> bool:
        """Whether every finite value of the old format is one of the new."""
        return self.new.holds(self.old)

    @property
    def differences(self) -> tuple[Difference, ...]:
        """Size, range, precision and special values, one by one."""
        old, new = self.old, self.new
        found = [
            _counted("size", old.bits, new.bits, f"{new.bits} bits", str(old.bits), less=True),
            _valued("largest value", old.max_finite, new.max_finite),
            _valued("smallest normal", old.smallest_normal, new.smallest_normal, less=True),
            _valued("smallest value", old.smallest_positive, new.smallest_positive, less=True),
            _counted(
                "precision", old.precision, new.precision,
                f"{_bits(new.precision)} (epsilon 2^{new.machine_epsilon.exponent})",
                f"{old.precision} (2^{old.machine_epsilon.exponent})",
            ),
            _counted(
                "decimal digits", old.digits10, new.digits10, str(new.digits10), str(old.digits10)
            ),
            _counted(
                "exact integers", old.max_consecutive_integer, new.max_consecutive_integer,
                f"to {_integer(new.max_consecutive_integer)}",
                _integer(old.max_consecutive_integer),
            ),
        ]  # fmt: skip
        for what, before, after in (
            ("infinity", old.infinity, new.infinity),
            ("NaN", old.nan is not NanEncoding.NONE, new.nan is not NanEncoding.NONE),
            ("sign", old.signed, new.signed),
            ("zero", old.zero, new.zero),
        ):
            if before != after:
                change, text = ("gained", "has it") if after else ("lost", "has none")
                found.append(Difference(change, what, before, after, text))
        return tuple(found)

    def parts(self) -> tuple[Difference, ...]:
        """The differences."""
        return self.differences

    def about(self) -> str:
        """The two formats."""
        return f"from {self.old.name} to {self.new.name}"

    @property
    def summary(self) -> str:
        """The two formats in one sentence."""
        old, new = self.old, self.new
        same_range = (old.emax, old.emin) == (new.emax, new.emin)
        scope = "the same exponent range as" if same_range else "another exponent range than"
        precision = f"{_bits(new.precision)} of precision instead of {old.precision}"
        if new.precision == old.precision:
            precision = f"the same precision, {_bits(new.precision)}"
        values = "every" if self.keeps_every_value else "not every"
        return (
            f"{new.name} has {scope} {old.name} and {precision}; {values} value of {old.name} is "
            f"a value of {new.name}."
        )

    def results(self) -> list[dict[str, JsonValue]]:
        """One entry."""
        return [
            {
                "old": self.old.name,
                "new": self.new.name,
                "keeps_every_value": self.keeps_every_value,
                "summary": self.summary,
                "differences": to_json(self.differences),
            }
        ]

    def table(self) -> Table:
        """A row for each difference."""
        formats = {"old_format": self.old.name, "new_format": self.new.name}
        return table_of([formats | to_json(difference) for difference in self.differences])


def _counted(
    what: str, old: int, new: int, text: str, before: str, less: bool = False
) -> Difference:
    """A difference in a count of which more is better, or less."""
    change = _change(new - old, less)
    said = text if change == "same" else f"{text} instead of {before}"
    return Difference(change, what, _json_integer(old), _json_integer(new), said)


def _valued(what: str, old: Dyadic, new: Dyadic, less: bool = False) -> Difference:
    """A difference in a positive value that is better larger, or smaller."""
    change = _change(new.minus(old).significand, less)
    said = _power(new)
    if change != "same":
        binades = abs(new.log2_floor - old.log2_floor)
        said += f" instead of {_power(old)}"
        said += f" ({binades} binade{'s' if binades > 1 else ''})" if binades else ""
    return Difference(change, what, exact_text(old), exact_text(new), said)


def _change(more: int, less: bool) -> str:
    if not more:
        return "same"
    return "gained" if (more > 0) is not less else "lost"


def _bits(count: int) -> str:
    return f"{count} bit{'s' if count > 1 else ''}"


def _integer(number: int) -> str:
    """An integer in full, or where that is long as the power of two that it is."""
    if number < _LONG_INTEGER or number & (number - 1):
        return f"{number:,}"
    return f"2^{number.bit_length() - 1}"


def _power(value: Dyadic) -> str:
    """A positive value: a small integer, or 2^e, (2 - 2^-n) × 2^e or the like and its decimal."""
    fraction, exponent = value.fraction, value.log2_floor
    if fraction.denominator == 1 and fraction < 1_000_000:
        return str(fraction)
    about = f" ≈ {_few_digits(fraction)}"
    significand = fraction / Fraction(2) ** exponent
    if significand == 1:
        return f"2^{exponent}{about}"
    short = 2 - significand
    if short.numerator == 1:
        return f"(2 - 2^-{short.denominator.bit_length() - 1}) × 2^{exponent}{about}"
    return f"{significand} × 2^{exponent}{about}"


def _few_digits(value: Fraction) -> str:
    """A positive value to four significant digits, in scientific notation."""
    few = Context(prec=4, Emax=MAX_EMAX, Emin=MIN_EMIN)
    rounded = few.divide(Decimal(value.numerator), Decimal(value.denominator)).as_tuple()
    digits = "".join(map(str, rounded.digits))
    return place_point(False, digits, int(rounded.exponent), range(0))
