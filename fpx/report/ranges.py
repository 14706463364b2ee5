"""The reports of `fpx range`: the constants of formats, and how two of them compare."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar

from fpx.core.dyadic import Dyadic
from fpx.core.spec import FormatSpec, NanEncoding
from fpx.report.base import JsonValue, Report, Reports, exact_text

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

    def results(self) -> list[dict[str, JsonValue]]:
        """One entry, with `KEYS`; exact constants as decimal text, integers as integers.

        Integers beyond 2^53 are text too.
        """
        entry: dict[str, JsonValue] = {}
        for key in self.KEYS:
            if key in self.EXACT:
                entry[key] = exact_text(getattr(self.spec, key))
            else:
                value = getattr(self if key in ("format", "dynamic_range_log2") else self.spec, key)
                entry[key] = _json_integer(value) if isinstance(value, int) else value
        return [entry]


class RangeReport(Reports):
    """The constants of several formats."""

    items: tuple[FormatReport, ...]


@dataclass(frozen=True)
class Difference:
    """One thing that a change of format gains, loses or keeps."""

    change: str
    """`gained`, `lost` or `same`."""
    what: str
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
            _measured("size", -old.bits, -new.bits, f"{new.bits} bits", f"{old.bits}"),
            _measured(
                "largest value", old.max_finite.fraction, new.max_finite.fraction,
                _power(new.max_finite), _power(old.max_finite), _times(old, new, "max_finite"),
            ),
            _measured(
                "smallest normal", -old.smallest_normal.fraction, -new.smallest_normal.fraction,
                _power(new.smallest_normal), _power(old.smallest_normal),
                _times(old, new, "smallest_normal"),
            ),
            _measured(
                "smallest value", -old.smallest_positive.fraction, -new.smallest_positive.fraction,
                _power(new.smallest_positive), _power(old.smallest_positive),
                _times(old, new, "smallest_positive"),
            ),
            _measured(
                "precision", old.precision, new.precision,
                f"{_bits(new.precision)} (epsilon 2^{new.machine_epsilon.exponent})",
                f"{old.precision} (2^{old.machine_epsilon.exponent})",
            ),
            _measured(
                "decimal digits", old.digits10, new.digits10, str(new.digits10), str(old.digits10)
            ),
            _measured(
                "exact integers", old.max_consecutive_integer, new.max_consecutive_integer,
                f"to {new.max_consecutive_integer:,}", f"{old.max_consecutive_integer:,}",
            ),
        ]  # fmt: skip
        for what, before, after in (
            ("infinity", old.infinity, new.infinity),
            ("NaN", old.nan is not NanEncoding.NONE, new.nan is not NanEncoding.NONE),
            ("sign", old.signed, new.signed),
            ("zero", old.zero, new.zero),
        ):
            if before != after:
                change = "gained" if after else "lost"
                found.append(Difference(change, what, "has it" if after else "has none"))
        return tuple(found)

    @property
    def summary(self) -> str:
        """The two formats in one sentence."""
        old, new = self.old, self.new
        same_range = (old.emax, old.emin) == (new.emax, new.emin)
        scope = "the same exponent range as" if same_range else "another exponent range than"
        values = "every" if self.keeps_every_value else "not every"
        return (
            f"{new.name} has {scope} {old.name} and {_bits(new.precision)} of precision instead of "
            f"{old.precision}; {values} value of {old.name} is a value of {new.name}."
        )

    def results(self) -> list[dict[str, JsonValue]]:
        """One entry."""
        return [
            {
                "old": self.old.name,
                "new": self.new.name,
                "keeps_every_value": self.keeps_every_value,
                "summary": self.summary,
                "differences": [
                    {"change": d.change, "what": d.what, "text": d.text} for d in self.differences
                ],
            }
        ]


def _measured(
    what: str, old: Fraction | int, new: Fraction | int, text: str, before: str, factor: str = ""
) -> Difference:
    """A difference in something of which more is better."""
    if old == new:
        return Difference("same", what, text)
    change = "gained" if new > old else "lost"
    return Difference(change, what, f"{text} instead of {before}{factor}")


def _bits(count: int) -> str:
    return f"{count} bit{'s' if count > 1 else ''}"


def _power(value: Dyadic) -> str:
    """A positive value, exactly: a small integer, 2^e, (2 - 2^-n) × 2^e or the like."""
    fraction, exponent = value.fraction, value.log2_floor
    if fraction.denominator == 1 and fraction < 1_000_000:
        return str(fraction)
    significand = fraction / Fraction(2) ** exponent
    if significand == 1:
        return f"2^{exponent}"
    short = 2 - significand
    if short.numerator == 1:
        return f"(2 - 2^-{short.denominator.bit_length() - 1}) × 2^{exponent}"
    return f"{significand} × 2^{exponent}"


def _times(old: FormatSpec, new: FormatSpec, constant: str) -> str:
    """How many binades lie between a constant of the two."""
    binades = getattr(new, constant).log2_floor - getattr(old, constant).log2_floor
    return f" ({abs(binades)} binade{'s' if abs(binades) > 1 else ''})" if binades else ""
