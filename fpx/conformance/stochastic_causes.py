"""Why a stochastic rounding is not what it should be: inputs judged, and causes by name."""

from __future__ import annotations

from collections.abc import Sequence

from fpx.conformance.stochastic_seen import NO_VALUE, Cause, Judge, Seen
from fpx.conformance.stochastic_shares import share_causes
from fpx.core.codec import is_nan
from fpx.core.policy import Stochastic
from fpx.core.spec import FormatSpec


def causes_of(
    inputs: Sequence[Seen], target: FormatSpec, rounding: Stochastic, judge: Judge, bits: int
) -> list[Cause]:
    """What is wrong, by cause, that of most inputs first.

    Args:
        inputs: what was tried.
        target: the format.
        rounding: what was asked for.
        judge: of shares.
        bits: the most random bits that may have decided.
    """
    found: dict[tuple[str, str], list[Seen]] = {}
    clean = []
    for seen in inputs:
        named = _result_cause(seen, target)
        if named is not None:
            found.setdefault(named, []).append(seen)
        elif seen.is_left_to_chance:
            clean.append(seen)
    wrong = [seen for seen in clean if not judge.accepts(seen, seen.asked)]
    over = [seen for seen in wrong if seen.may_overflow and seen.away == 0]
    if over:
        found["saturates", "gives the largest value where it should overflow"] = over
        wrong = [seen for seen in wrong if seen not in over]
    within = [seen for seen in clean if not seen.may_overflow]
    for name, reason, its in share_causes(wrong, within, rounding, judge, bits):
        found.setdefault((name, reason), []).extend(its)
    causes = [Cause(name, reason, tuple(seen)) for (name, reason), seen in found.items()]
    return sorted(causes, key=lambda cause: -len(cause.inputs))


def is_right(seen: Seen, target: FormatSpec, judge: Judge) -> bool:
    """Whether an input became what it should, as often as it should."""
    if _result_cause(seen, target) is not None:
        return False
    return not seen.is_left_to_chance or judge.accepts(seen, seen.asked)


def _result_cause(seen: Seen, target: FormatSpec) -> tuple[str, str] | None:
    """Why results of an input are none that it should have; None if all are."""
    if seen.nan:
        lost = target.nan_code is not None and any(
            code == NO_VALUE or not is_nan(code, target) for code in seen.counts
        )
        return ("nan_lost", "makes a number of a NaN") if lost else None
    strays = seen.strays
    if not strays or _all_nan(seen, target):
        return None
    if NO_VALUE in strays:
        return "no_value", f"gives numbers that {target.name} has not"
    if seen.infinite:
        return "infinity_lost", "makes something else of an infinity"
    kinds = {_stray(code, seen, target) for code in strays}
    return next(named for named in _STRAYS if named[0] in kinds)


def _all_nan(seen: Seen, target: FormatSpec) -> bool:
    """Whether NaNs came, of other bits, where a NaN was due."""
    due = [code for code in seen.codes if is_nan(code, target)]
    return bool(due) and all(is_nan(code, target) for code in seen.strays)


_STRAYS = (
    ("carry_lost", "loses the carry into the exponent"),
    ("sign_lost", "gives the other sign"),
    ("flushes_subnormals", "flushes subnormal results to zero"),
    ("saturates", "gives the largest value where it should overflow"),
    ("overflows_to_infinity", "gives infinity where it should not"),
    ("gives_nan", "gives NaN where it should not"),
    ("moves_representable", "moves numbers that the format has"),
    ("not_a_neighbour", "gives numbers that are no neighbours"),
)
"""Kinds of results that are none of the neighbours, those that tell most first."""


def _stray(code: int, seen: Seen, target: FormatSpec) -> str:
    """What kind of result it is."""
    magnitude = code & target.magnitude_mask
    due = [item & target.magnitude_mask for item in seen.codes]
    fraction = (1 << target.fraction_bits) - 1
    if is_nan(code, target):
        return "gives_nan"
    if magnitude == target.infinity_magnitude:
        return "overflows_to_infinity"
    if magnitude in due:
        return "sign_lost"
    carries = len(due) == 2 and fraction and not due[1] & fraction and due[0] & fraction
    if carries and magnitude == due[0] & ~fraction:
        return "carry_lost"
    if seen.may_overflow and magnitude == target.max_finite_magnitude:
        return "saturates"
    if magnitude == 0 and max(due) <= fraction + 1 and target.zero:
        return "flushes_subnormals"
    return "not_a_neighbour" if seen.is_left_to_chance else "moves_representable"
