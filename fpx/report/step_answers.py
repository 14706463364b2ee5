"""What `fpx step-compare` comes to in a format, in words: one answer for each total."""

from __future__ import annotations

from fpx.report.base import JsonValue
from fpx.report.step_rows import ChangeRow, GivenStepRow, StateRow, StepRow, UpdateRow, WeightRow
from fpx.words import counted, percentage, with_share


def answer(total: StepRow) -> dict[str, JsonValue]:
    """The entry of a total among the JSON document's `answers`."""
    return {
        "source": total.source,
        "to": total.to,
        "kind": total.kind,
        "fits": total.verdict is next(iter(total.verdicts)),
        "text": in_words(total),
    }


def in_words(total: StepRow) -> str:
    """A total in a sentence or two."""
    if isinstance(total, StateRow):
        found = of_state(total)
        return f"the state {total.verdict.value}{found and ': '}{found}."
    assert isinstance(total, WeightRow)
    return of_weights(total)


def of_weights(total: WeightRow) -> str:
    """How many weights move, and what it takes: a sentence or two."""
    if isinstance(total, ChangeRow):
        return _changed(total)
    weights = total.comparable_count
    text = f"{_share(total.unmoved_count, weights)} of {counted(weights, 'weight')} do not move"
    if isinstance(total, GivenStepRow) and total.half_step is not None:
        text += f"; steps above {total.half_step:.3g} move half of them"
        text += f", above {total.most_step:.3g} 99%"
    if isinstance(total, UpdateRow):
        if total.max_update is not None:
            text += f"; the largest update is {total.max_update:.3g} lr"
        if total.undefined_count:
            text += f"; {total.undefined_count:,} have no update that is a number"
    return f"{text}{_expected(total)}."


def _expected(total: WeightRow) -> str:
    """What stochastic rounding would do."""
    if not isinstance(total, (GivenStepRow, UpdateRow)) or total.expected_moved_count is None:
        return ""
    weights = total.comparable_count
    share = f"{100 * total.expected_moved_count / weights:.3g}%" if weights else "0%"
    text = f"; rounded stochastically, {share} are expected to"
    if isinstance(total, GivenStepRow) and total.never_moved_count:
        text += f", {_share(total.never_moved_count, weights)} never do"
    return text


def _changed(total: ChangeRow) -> str:
    text = f"{_share(total.moved_count, total.count)} of {counted(total.count, 'weight')} moved"
    if total.max_distance:
        text += f", by up to {counted(total.max_distance, 'code')}"
    if total.lost_count:
        text += f"; {_share(total.lost_count, total.count)} changed without moving"
    return f"{text}. {total.change_bytes:,} of {counted(total.whole_bytes, 'byte')} tell it."


def _share(part: int, whole: int) -> str:
    return percentage(part, whole) if part else "0%"


def of_state(total: StateRow) -> str:
    """What becomes of all moments in a format, after the verdict; empty where there is nothing."""
    parts = []
    if total.not_finite_count:
        parts.append(f"{total.not_finite_count:,} become infinite or NaN")
    if total.second_lost_count:
        lost = with_share(total.second_lost_count, total.count)
        parts.append(f"v becomes 0 under an m that is not 0 in {lost} of {total.count:,}")
    if total.vanishes:
        before = total.first_zero_count + total.first_left_count
        parts.append(f"m becomes 0 in {with_share(total.first_zero_count, before)}")
    if total.stuck_rate:
        parts.append(f"a step leaves {_stuck(total)} as it is")
    if total.max_update is not None:
        parts.append(f"the largest update is {total.max_update:.3g} lr")
    if total.eps_is_zero:
        parts.append("eps rounds to 0")
    return "; ".join(parts)


def _stuck(row: StateRow) -> str:
    """Which moments are stuck, and how many of them."""
    found = [
        f"{percentage(count, left)} of {name}"
        for name, count, left in (
            ("m", row.first_stuck_count, row.first_left_count),
            ("v", row.second_stuck_count, row.second_left_count),
        )
        if count and left
    ]
    return " and ".join(found)
