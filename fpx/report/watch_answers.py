"""What a watched model means for a format, in words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from fpx.report.answers import percent
from fpx.report.watch_rows import ACTIVATION, GRADIENTS, LossScale, UpdateRow, ValueRow
from fpx.words import listed

_NAMED = 3  # of those that are worst, by name


@dataclass(frozen=True)
class Answer:
    """What a format would have done to the model, in words.

    Attributes:
        to: the format.
        good: whether nothing is lost.
        verdict: the shortest form.
        rest: a sentence for each thing that is lost, and what helps.
    """

    to: str
    good: bool
    verdict: str
    rest: tuple[str, ...]

    @property
    def says(self) -> str:
        """Verdict and sentences in one line."""
        return " ".join((f"{self.verdict}.", *self.rest))


def answers(
    formats: Iterable[str],
    values: Sequence[ValueRow],
    updates: Sequence[UpdateRow],
    loss_scales: Sequence[LossScale],
    vanished_eps: Mapping[str, float],
) -> tuple[Answer, ...]:
    """One for each format; the other arguments are those of `fpx.report.watch.WatchedModel`."""
    return tuple(
        _answer(
            to,
            [row for row in values if row.to == to],
            [row for row in updates if row.to == to],
            next((scale for scale in loss_scales if scale.to == to), None),
            vanished_eps.get(to),
        )
        for to in formats
    )


def _answer(
    to: str,
    values: Sequence[ValueRow],
    updates: Sequence[UpdateRow],
    scale: LossScale | None,
    eps: float | None,
) -> Answer:
    activations = [row for row in values if row.kind == ACTIVATION]
    gradients = [row for row in values if row.kind in GRADIENTS]
    states = [row for row in values if row.kind not in (ACTIVATION, *GRADIENTS)]
    rest = (
        *_broken(updates),
        *_destroyed("activations", activations),
        *_vanished("activations", activations),
        *_destroyed("gradients", gradients),
        *_gradients(gradients, scale),
        *_states(states),
        *([] if eps is None else [f"The optimizer's eps of {eps:g} is zero there."]),
        *_updates(updates),
    )
    lost = {
        "activations": any(row.loses for row in activations),
        "gradients": any(row.loses for row in gradients),
        "optimizer state": any(row.loses for row in states),
        "updates": any(row.lost_update_count or row.nonfinite_count for row in updates),
        "eps": eps is not None,
    }
    if any(lost.values()):
        return Answer(
            to, False, f"loses {_joined([what for what, is_ in lost.items() if is_])}", rest
        )
    return Answer(to, True, "nothing is lost" if values or updates else "nothing was seen", rest)


def _joined(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _destroyed(what: str, rows: Sequence[ValueRow]) -> Iterable[str]:
    over = [row for row in rows if row.overflow_count]
    if over:
        count, whole = sum(row.overflow_count for row in over), sum(row.count for row in rows)
        yield f"{count:,} of {whole:,} {what} overflow, worst in {_worst(over)}."
    broken = [row for row in rows if row.inf_count or row.nan_count]
    if broken:
        count, whole = sum(r.inf_count + r.nan_count for r in broken), sum(r.count for r in rows)
        yield (
            f"{count:,} of {whole:,} {what} are infinite or NaN already, worst in {_worst(broken)}."
        )


def _vanished(what: str, rows: Sequence[ValueRow]) -> Iterable[str]:
    gone, nonzero = _gone(rows)
    if gone:
        worst = sorted((r for r in rows if r.underflow_count), key=_by_underflow, reverse=True)
        yield (
            f"{gone:,} of {nonzero:,} non-zero {what} ({percent(gone / nonzero)}) become zero, "
            f"worst in {_worst(worst)}."
        )


def _gone(rows: Sequence[ValueRow]) -> tuple[int, int]:
    return sum(row.underflow_count for row in rows), sum(row.nonzero_count for row in rows)


def _by_underflow(row: ValueRow) -> float:
    return row.underflow_count / max(row.nonzero_count, 1)


def _gradients(rows: Sequence[ValueRow], scale: LossScale | None) -> Iterable[str]:
    yield from _vanished("gradients", rows)
    if scale is None:
        return
    power, most = f"2^{scale.exponent}", f"2^{scale.limit_exponent}"
    if scale.limit_exponent < 0:
        yield f"A loss scale of {power} or less keeps gradients from overflow."
    elif not scale.underflow_count:
        return
    elif not scale.saved_count:
        yield f"No loss scale saves any of them: beyond {most}, others overflow."
    else:
        every = scale.saved_count == scale.underflow_count
        saved = "all" if every else f"{scale.saved_count:,}"
        yield f"A loss scale of {power} saves {saved} of them, and up to {most} none overflows."


def _states(rows: Sequence[ValueRow]) -> Iterable[str]:
    for kind in dict.fromkeys(row.kind for row in rows):
        mine = [row for row in rows if row.kind == kind]
        yield from _destroyed(f"numbers of {kind}", mine)
        yield from _vanished(f"numbers of {kind}", mine)


def _updates(rows: Sequence[UpdateRow]) -> Iterable[str]:
    count = sum(row.count for row in rows)
    if not count:
        return
    stayed = sum(row.unmoved_count for row in rows)
    lost = sum(row.lost_update_count for row in rows)
    if lost:  # others stay because no update was wanted
        steps = max(row.calls for row in rows)
        per = "that step" if steps == 1 else "an average step"
        yield (
            f"Stored in it, {percent(stayed / count)} of the weights stay what they are in {per}: "
            f"{lost:,} of {count:,} updates are lost."
        )


def _broken(rows: Sequence[UpdateRow]) -> Iterable[str]:
    broken = [row for row in rows if row.nonfinite_count and row.to == row.from_]
    if broken:
        count = sum(row.nonfinite_count for row in broken)
        yield f"Steps made {count:,} weights infinite or NaN, worst in {_worst(broken)}."


def _worst(rows: Sequence[ValueRow | UpdateRow]) -> str:
    return listed(dict.fromkeys(row.name for row in rows[:_NAMED]))
