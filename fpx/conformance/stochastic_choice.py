"""Some of the inputs of a stochastic rounding, where there is no time for all."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from fpx.conformance.stochastic_seen import Seen


def chosen(inputs: Sequence[Seen], most: int) -> list[Seen]:
    """Inputs of which every kind that a cause could show in has one of each sign, in their order.

    One after the other, that of a kind and a sign that none of those before it has, or else that
    which has most of what they lack: a distance, a binade.

    Args:
        inputs: before they are tried.
        most: how many are wanted, at least 1.
    """
    if len(inputs) <= most:
        return list(inputs)
    left = {at: _features(seen) for at, seen in enumerate(inputs)}
    taken: list[int] = []
    met: set[Hashable] = set()
    while len(taken) < most:
        best = max(left, key=lambda at: (left[at][0] not in met, len({*left[at]} - met)))
        if met.issuperset(left[best]):  # all were met: once more
            met = set()
            continue
        met.update(left.pop(best))
        taken.append(best)
    return [inputs[at] for at in sorted(taken)]


def _features(seen: Seen) -> tuple[Hashable, ...]:
    """Its kind and its sign, then what else a function may do right or wrong with it."""
    kind = _kind(seen), seen.negative
    if not seen.is_left_to_chance:
        return kind, seen.code if seen.nan else None
    spec = seen.expected.spec
    exponent = (seen.codes[0] & spec.magnitude_mask) >> spec.fraction_bits
    return kind, seen.expected.distance, ("binade", exponent)


def _kind(seen: Seen) -> str:
    """Which causes may show in it."""
    if seen.nan or seen.infinite:
        return "nan" if seen.nan else "infinity"
    if seen.may_overflow:
        return "overflow"
    if not seen.is_left_to_chance:
        return "representable"
    spec = seen.expected.spec
    fraction = (1 << spec.fraction_bits) - 1
    lower, upper = (code & spec.magnitude_mask for code in seen.codes)
    if spec.zero and upper <= fraction:
        return "subnormal" if lower else "underflow"
    return "normal" if upper & fraction else "carry"
