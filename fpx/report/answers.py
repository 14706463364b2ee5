"""The answer to what people ask of a checkpoint and a format: does it fit, what breaks, what helps.

One answer per source and target, from the rows of its tensors.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from statistics import median_low

from fpx.core.spec import FormatSpec
from fpx.core.targets import bits_of, find_target, largest_of
from fpx.report.base import JsonValue, once, to_json
from fpx.report.cast_row import CastRow
from fpx.report.verdicts import USUAL, Tolerance, Verdict
from fpx.words import escape, listed

_MOST_NAMES = 3
_FEW_BITS = 8
_LARGEST_SHIFT = 126  # float32, in which scales are held, has no normal 2^-127


@dataclass(frozen=True)
class Answer:
    """Whether the tensors of a source fit a format.

    Attributes:
        source: the file or distribution.
        to: the target.
        rows: what the cast did to each tensor of the source.
        tolerance: how much a tensor may lose and still fit.
        partial: whether the work was interrupted: rows are missing, or of a part of their tensor.
    """

    source: str
    to: str
    rows: tuple[CastRow, ...] = field(repr=False)
    tolerance: Tolerance = USUAL
    partial: bool = False

    @property
    def label(self) -> str:
        """The target as people read it: `float8_e4m3fn with a float32 scale per channel`."""
        target = find_target(self.to)
        return self.to if isinstance(target, FormatSpec) else target.label

    def _named(self, row: CastRow) -> str:
        """A tensor's name; with its source, where rows are of several."""
        own = row.source in (self.source, row.tensor)
        return escape(row.tensor if own else f"{row.source} {row.tensor}")

    @property
    def fits(self) -> bool:
        """Whether every tensor fits; False too where not all was seen."""
        return not (self.unfit or self.partial)

    @property
    def tensors(self) -> int:
        """How many tensors there are."""
        return len(self.rows)

    @once
    def unfit(self) -> tuple[CastRow, ...]:
        """The rows of tensors that do not fit, the worst first."""
        found = [row for row in self.rows if not row.fits]
        return tuple(sorted(found, key=CastRow.badness))

    @property
    def keep(self) -> tuple[str, ...]:
        """The names of the tensors that do not fit, in the order of the source."""
        return tuple(row.tensor for row in self.rows if not row.fits)

    @property
    def loses_range(self) -> int:
        """How many tensors have values beyond the target's largest one."""
        return sum(row.verdict is Verdict.LOSES_RANGE for row in self.rows)

    @property
    def loses_small_values(self) -> int:
        """How many tensors lose small values."""
        return sum(row.verdict is Verdict.LOSES_SMALL_VALUES for row in self.rows)

    @property
    def worst(self) -> CastRow | None:
        """The row that hurts most; None without rows."""
        return min(self.rows, key=CastRow.badness, default=None)

    @property
    def least_sqnr(self) -> CastRow | None:
        """The row of the lowest SQNR, which `worst` need not be; None where none has one."""
        return _noisiest(self.rows)

    @property
    def median_sqnr_db(self) -> float:
        """The (lower) median of the tensors' SQNR, in dB; NaN where none has one."""
        found = [row.metrics["sqnr_db"] for row in self.rows]
        numbers = [value for value in found if value is not None and value == value]
        return median_low(numbers) if numbers else math.nan

    def to_dict(self) -> dict[str, JsonValue]:
        """Its entry in the JSON document's `answers`."""
        worst = self.worst
        return {
            "source": self.source,
            "to": self.to,
            "fits": self.fits,
            "tensors": self.tensors,
            "loses_range": self.loses_range,
            "loses_small_values": self.loses_small_values,
            "keep": list(self.keep),
            "worst": worst and worst.tensor,
            "worst_sqnr_db": worst and to_json(worst.metrics["sqnr_db"]),
            "median_sqnr_db": to_json(self.median_sqnr_db),
            "text": self.text,
        }

    @once
    def text(self) -> str:
        """It in words, without the name of the format."""
        sentences = [*(self._no() if self.unfit else self._yes()), *self._nonfinite_inputs()]
        so_far = "so far " if self.partial else ""
        return so_far + " ".join(sentences)

    def _yes(self) -> list[str]:
        if self.partial and not _total(self.rows, "count"):
            return ["nothing was cast."]
        if all(row.outcome.value == "empty" for row in self.rows):
            return ["yes, but there are no finite values in it."]
        of = "It fits" if self.tensors == 1 else f"All {self.tensors:,} tensors fit"
        return [f"yes. {of}{self._remains(self.rows)}."]

    def _no(self) -> list[str]:
        worst, bad = self.unfit[0], len(self.unfit)
        if self.tensors == 1:
            head = f"no. It {_ails(worst)}: "
        elif bad == 1:
            head = f"no. 1 of {self.tensors:,} tensors {_ails(worst)}: {self._named(worst)}, "
        else:
            kinds = {Verdict.LOSES_RANGE: "range", Verdict.LOSES_SMALL_VALUES: "small values"}
            counts = [
                f"{found:,} lose{'s' * (found == 1)} {what}"
                for verdict, what in kinds.items()
                if (found := sum(row.verdict is verdict for row in self.unfit))
            ]
            head = (
                f"no. {bad:,} of {self.tensors:,} tensors do not fit: {' and '.join(counts)}. "
                f"The worst {_ails(worst)}: {self._named(worst)}, "
            )
        sentences = [f"{head}{_how(worst)}.", self._remedy(worst, bad)]
        others = [row for row in self.rows if row.fits]
        if others:
            of = "The other fits" if len(others) == 1 else "The others fit"
            sentences.append(f"{of}{self._remains(others)}.")
        return sentences

    def _remedy(self, worst: CastRow, bad: int) -> str:
        keep = "Keep it wider" if bad == 1 else "Keep them wider"
        shift = helpful_shift(worst, self.tolerance)
        if shift is None:
            scalable = _usually_scaled(self.to) and not worst.number("nan_lost_count")
            each = "it" if bad == 1 else "each"
            return f"{keep}, or give {each} a scale." if scalable else f"{keep}."
        it = "it" if bad == 1 else self._named(worst)
        return f"{keep}, or scale {it} by 2^{shift}."

    def _remains(self, rows: Sequence[CastRow]) -> str:
        """What tensors that fit lose all the same: `; worst 72.5 dB (a.weight), 22 underflow`."""
        parts = []
        worst = _noisiest(rows)
        if worst is not None and worst.number("sqnr_db") < math.inf:
            name = f" ({self._named(worst)})" if len(rows) > 1 else ""
            parts.append(f"{'worst ' if name else ''}{decibels(worst.number('sqnr_db'))}{name}")
        for metric, one, many in _TOLD:
            plain = metric == "overflow_count"  # of scaled targets, clipping is told
            count = _total([row for row in rows if not (plain and is_scaled(row))], metric)
            if count:
                parts.append(f"{count:,} value{'s' * (count > 1)} {one if count == 1 else many}")
        parts = parts or ["nothing is lost"]
        return f"; {', '.join(parts)}"

    def _nonfinite_inputs(self) -> list[str]:
        """A sentence on NaN and infinities that were there before the cast, if any were."""
        found = [
            row
            for row in self.rows
            if row.number("nan_input_count") or row.number("inf_input_count")
        ]
        if not found:
            return []
        nans, infinities = _total(found, "nan_input_count"), _total(found, "inf_input_count")
        what = " and ".join(
            f"{count:,} {name}"
            for count, name in ((nans, "NaN"), (infinities, "infinite"))
            if count
        )
        where = listed((self._named(row) for row in found), _MOST_NAMES)
        return [f"Before the cast already: {what} ({where})."]


_TOLD = (
    ("overflow_count", "overflows", "overflow"),
    ("unexpected_nonfinite_count", "becomes infinite or NaN", "become infinite or NaN"),
    ("nan_lost_count", "is a NaN and becomes a number", "are NaN and become numbers"),
    ("clipped_count", "is clipped", "are clipped"),
    ("underflow_count", "underflows", "underflow"),
)
"""What tensors may lose that fit all the same, and how one value and several of them are said."""


def _noisiest(rows: Iterable[CastRow]) -> CastRow | None:
    """The row of the lowest SQNR; None where none has one."""
    found = [row for row in rows if row.metrics["sqnr_db"] == row.number("sqnr_db")]
    return min(found, key=lambda row: (row.number("sqnr_db"), row.badness()), default=None)


def _usually_scaled(to: str) -> bool:
    """Whether a target is one of those of few bits that nobody ships without scales."""
    target = find_target(to)
    return isinstance(target, FormatSpec) and target.bits <= _FEW_BITS and target.zero


def is_scaled(row: CastRow) -> bool:
    """Whether it is of a scaled target."""
    return row.metrics["block_count"] is not None


def _total(rows: Iterable[CastRow], count: str) -> int:
    """A count over several rows."""
    return sum(int(row.number(count)) for row in rows)


def _ails(row: CastRow) -> str:
    """What is wrong with a tensor that does not fit, as the predicate of a sentence."""
    if row.decided_by == "clipping_loss_db":
        return "loses its largest values"
    if row.number("overflow_count") and not is_scaled(row):
        return "overflows"
    if row.verdict is Verdict.LOSES_SMALL_VALUES:
        return "loses small values"
    return "loses NaN" if row.number("nan_lost_count") else "becomes infinite or NaN"


def _how(row: CastRow) -> str:
    """By how much a tensor does not fit."""
    count = f"{row.metrics['count']:,} values"
    overflows, destroyed = row.number("overflow_count"), row.number("destroyed_count")
    if overflows and not is_scaled(row):
        largest, top = row.number("max_abs"), largest_of(find_target(row.to))
        into = {"overflow_to_inf_count": "inf", "overflow_to_nan_count": "NaN"}
        became = [what for name, what in into.items() if row.number(name)]
        if row.number("saturated_count"):
            became.append("the maximum")
        return (
            f"{overflows:,} of {count} become {' or '.join(became)}, largest {brief(largest)} "
            f"({_times(Fraction(largest) / top)} the maximum)"
        )
    if row.decided_by == "clipping_loss_db":
        clipped, sqnr = row.number("clipped_count"), row.number("sqnr_db")
        costs = row.number("clipping_loss_db")
        what = f"costs it {decibels(costs)}" if math.isfinite(costs) else "is all of its error"
        return f"{clipped:,} of {count} are clipped, which {what}; its SQNR is {decibels(sqnr)}"
    if row.verdict is Verdict.LOSES_SMALL_VALUES:
        lost, rate = row.number("underflow_count"), row.number("underflow_rate")
        zeros = f"{lost:,} of {count} ({percent(rate)} of the non-zero) underflow"
        if row.decided_by in ("underflow_rate", "underflow_excess"):
            return zeros
        under, sqnr = row.number("small_value_loss_db"), row.number("sqnr_db")
        where = "of normal numbers" if is_scaled(row) else "in its range"
        return (
            f"its SQNR is {decibels(sqnr)}, {decibels(under)} under what the format gives {where}; "
            f"{zeros}"
        )
    lost_nans = row.number("nan_lost_count")
    if lost_nans and not destroyed:
        return f"{lost_nans:,} of {count} are NaN and become numbers"
    return f"{destroyed:,} of {count}"


def _times(ratio: Fraction) -> str:
    if ratio < 10**6:
        return f"{float(ratio):.2g} ×" if ratio < 10 else f"{float(ratio):,.0f} ×"
    return f"2^{round(math.log2(ratio.numerator) - math.log2(ratio.denominator))} ×"


def helpful_shift(row: CastRow, tolerance: Tolerance) -> int | None:
    """The k for which a tensor scaled by 2^k would fit; None where none helps.

    It is the one nearest to 0 that brings the largest value within the target's range, or of a
    tensor that loses small values the largest one that keeps it there; what the values' exponents
    then say of underflow must be within the tolerance.
    """
    target, largest = find_target(row.to), row.number("max_abs")
    if not isinstance(target, FormatSpec):
        return None  # it has scales of its own
    # no scale helps a format that lacks NaN, a sign or a zero
    lacking = row.number("nan_lost_count") or row.number("unexpected_nonfinite_count")
    if not largest or lacking:
        return None
    shift = -_binades_above(Fraction(largest), target.max_finite.fraction)
    helps = shift < 0 if row.number("overflow_count") else shift > 0
    usable = helps and abs(shift) <= _LARGEST_SHIFT
    return shift if usable and _keeps(row.exponent_histogram, shift, target, tolerance) else None


def _binades_above(value: Fraction, top: Fraction) -> int:
    """The smallest k for which value * 2^-k is not above `top`."""
    ratio = value / top
    k = ratio.numerator.bit_length() - ratio.denominator.bit_length() - 1
    while ratio > Fraction(2) ** k:
        k += 1
    return k


def _keeps(
    exponents: Mapping[int, int], shift: int, target: FormatSpec, tolerance: Tolerance
) -> bool:
    """Whether hardly any value scaled by 2^shift would be below the smallest normal one."""
    total = sum(exponents.values())
    small = sum(count for e, count in exponents.items() if e + shift < target.emin)
    return small <= max(tolerance.underflow_rate, 0.01) * total


def brief(value: float) -> str:
    """A measured number with six digits: `497,160`, `0.000123457`, `1.5e+30`."""
    return f"{value:,.6g}"


def decibels(value: float) -> str:
    """`72.51 dB`."""
    return f"{value:.2f} dB"


def percent(rate: float) -> str:
    """A share with three digits: `7.95%`, `0.0026%`."""
    return f"{100 * rate:.3g}%"


@dataclass(frozen=True)
class Recommendation:
    """The smallest of the targets asked for that a tensor fits.

    Attributes:
        source, tensor: which tensor.
        to: the target of the fewest bits, of several the one with the best SQNR; None where the
            tensor fits none of them and is best kept as it is.
    """

    source: str
    tensor: str
    to: str | None


def recommend(rows: Iterable[CastRow]) -> tuple[Recommendation, ...]:
    """A recommendation for each tensor, in the order of the rows."""
    by_tensor: dict[tuple[str, str], list[CastRow]] = {}
    for row in rows:
        by_tensor.setdefault((row.source, row.tensor), []).append(row)
    return tuple(
        Recommendation(source, tensor, _smallest(found))
        for (source, tensor), found in by_tensor.items()
    )


def _smallest(rows: Sequence[CastRow]) -> str | None:
    fitting = [row for row in rows if row.fits]
    best = min(
        fitting,
        key=lambda row: (bits_of(find_target(row.to)), -row.number("sqnr_db")),
        default=None,
    )
    return None if best is None else best.to
