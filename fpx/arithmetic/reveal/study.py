"""All that can be told of one reduction, and how sure it is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from fpx.arithmetic.reveal.accumulator import inner_bits, kept_bits, most_bits
from fpx.arithmetic.reveal.certificate import answers, certify
from fpx.arithmetic.reveal.data import Data
from fpx.arithmetic.reveal.input_bits import read_bits
from fpx.arithmetic.reveal.probing import Asker, NotResolvableError, Reduction
from fpx.arithmetic.reveal.products import are_exact, whole_products
from fpx.arithmetic.reveal.replay import NoReplayError
from fpx.arithmetic.reveal.rounding import find_rounding, result_rounding
from fpx.arithmetic.reveal.scales import WIDEST, Scale, find_scale
from fpx.arithmetic.reveal.subnormals import find_subnormals
from fpx.arithmetic.reveal.tree import find_tree
from fpx.core.policy import Rounding
from fpx.report.reveal_row import EXACT, FUSED, MIXED, ROUNDED, Certificate, Computation, Verdict
from fpx.report.sum_tree import SumTree

MOST_LEAVES = 4096
"""Numbers whose order is looked for."""

_TELLING = 0.01  # of all rows: what a certificate needs in which another order would show
_LIKELY = (Rounding.TIES_TO_EVEN, Rounding.TOWARD_ZERO)  # where no probe tells the mode
_REPEATS = 2  # beside the first time


@dataclass(frozen=True)
class Study:
    """What was revealed of a reduction.

    Attributes:
        verdict: how sure it is.
        found: the computation; None where it is not resolvable.
        certificate: its replay; None where there was none.
        reason: why the verdict is not a better one.
        questions: how many were asked.
        codes: the reduction's sums of the certificate's rows.
    """

    verdict: Verdict
    found: Computation | None
    certificate: Certificate | None
    reason: str | None
    questions: int
    codes: tuple[int, ...]


class Sums(NamedTuple):
    """What a reduction gave for the rows of a certificate.

    Attributes:
        codes: of each row's sum.
        differing: how many had other bits when they were added again.
    """

    codes: list[int]
    differing: int


def sums_of(reduction: Reduction, data: Data) -> Sums:
    """The sums of rows, computed three times: an order that varies shows."""
    codes = answers(reduction, data)
    differing = [answers(reduction, data) for _ in range(_REPEATS)]
    each = zip(codes, *differing, strict=True)
    return Sums(codes, sum(len(set(some)) > 1 for some in each))


def study(reduction: Reduction, data: Data, sums: Sums | None = None) -> Study:
    """Probes a reduction, and replays what was found on random rows.

    Args:
        reduction: what is probed.
        data: the rows.
        sums: their sums; computed here if they are not given.
    """
    codes, differing = sums or sums_of(reduction, data)
    asker = Asker(reduction)
    if differing:
        why = f"{differing:,} of {len(codes):,} sums have other bits when they are added again"
        return Study(Verdict.VARIES, None, None, why, 0, tuple(codes))
    try:
        check_count(reduction)
        found = reveal_computation(asker)
    except NotResolvableError as error:
        return Study(Verdict.NOT_RESOLVABLE, None, None, str(error), asker.count, tuple(codes))
    found, certificate, reason = _certified(reduction, found, data, codes)
    verdict = _verdict(certificate)
    if verdict is Verdict.WEAK and certificate is not None:
        reason = (
            f"another order would show in {certificate.telling:,} of {certificate.rows:,} rows only"
        )
    return Study(verdict, found, certificate, reason, asker.count, tuple(codes))


def check_count(reduction: Reduction) -> None:
    """Whether there are few enough leaves for probes.

    Raises:
        NotResolvableError: there are not.
    """
    if reduction.count > MOST_LEAVES:
        raise NotResolvableError(
            f"orders of more than {MOST_LEAVES:,} numbers are not looked for: bits are compared"
        )


def _verdict(certificate: Certificate | None) -> Verdict:
    if certificate is None or certificate.equal < certificate.rows:
        return Verdict.HYPOTHESIS
    if certificate.telling < _TELLING * certificate.rows:
        return Verdict.WEAK
    return Verdict.CERTIFIED


def reveal_computation(asker: Asker) -> Computation:
    """What a reduction computes, by all probes.

    Raises:
        NotResolvableError: they cannot tell.
    """
    reduction = asker.reduction
    scale = find_scale(asker)
    tree = find_tree(asker, scale)
    found = Computation(
        tree, reduction.count, gain=scale.gain, subnormals=find_subnormals(asker, scale)
    )
    if tree is None:
        return replace(
            found,
            products=EXACT if reduction.products else None,
            result_rounding=result_rounding(asker, scale, [], exact=True),
        )
    kept = kept_bits(asker, scale, tree)
    inner = inner_bits(asker, scale, tree)
    _check_range(scale, [*kept, *inner.values()])
    inputs = [
        read_bits(asker, scale, tree, second)
        for second in ((False, True) if reduction.products else (False,))
    ]
    read = min(item.bits for item in inputs)
    whole = whole_products(asker, scale, tree, read) if reduction.products else []
    return replace(
        found,
        kept=tuple(kept),
        inner=inner or None,
        rounding=find_rounding(asker, scale, tree, kept),
        result_rounding=result_rounding(asker, scale, kept, exact=False),
        products=_products(tree, [*kept, *inner.values()], read + 1, whole),
        whole=tuple(whole),
        inputs=tuple(inputs),
    )


def _check_range(scale: Scale, kept: Sequence[int | None]) -> None:
    """Whether masks were large enough for what they had to hide.

    Raises:
        NotResolvableError: they were not.
    """
    most = max((bits for bits in kept if bits is not None), default=0)
    if most + 1 > scale.precision and most + 1 < WIDEST and most < most_bits(scale):
        raise NotResolvableError(
            f"masks hide units in accumulators of up to {scale.precision} bits, and this has "
            f"{most + 1}"
        )
    if most >= most_bits(scale):
        raise NotResolvableError(f"it keeps {most} bits or more, and the range ends there")


def _products(
    tree: SumTree, kept: Sequence[int | None], precision: int, whole: Sequence[bool]
) -> str | None:
    if not whole:
        return None
    if all(whole) and are_exact(precision, kept):
        return EXACT
    if not any(whole):
        return ROUNDED
    # one leaf begins a chain: there is nothing yet that its product could be fused with
    starts = sum(all(item < tree.leaf_count for item in step) for step in tree.steps)
    return FUSED if whole.count(False) <= starts else MIXED


def _certified(
    reduction: Reduction, found: Computation, data: Data, codes: list[int]
) -> tuple[Computation, Certificate | None, str | None]:
    """The computation that replays best, of those that probes leave open."""
    best: tuple[Computation, Certificate] | None = None
    reason: str | None = None
    for guess in _guesses(found):
        try:
            certificate = certify(guess, data, codes, reduction.leaf, reduction.out)
        except NoReplayError as error:
            reason = str(error)
            continue
        if best is None or certificate.equal > best[1].equal:
            best = guess, certificate
        if certificate.equal == certificate.rows:
            break
    if best is None:
        return found, None, reason
    guess, certificate = best
    if certificate.equal < certificate.rows:
        missing = certificate.rows - certificate.equal
        return found, certificate, f"{missing:,} of {certificate.rows:,} replays have other bits"
    return guess, certificate, None


def _guesses(found: Computation) -> list[Computation]:
    """What probes showed, and what would look like it to them."""
    guesses = [found]
    if found.rounding is None and found.tree is not None:
        guesses = [replace(found, rounding=mode) for mode in _LIKELY]
    if found.tree is not None and len(Counter(found.known)) == 1 and found.tree.widest == 2:
        guesses.append(replace(guesses[0], compensated=True))
    return [*guesses, replace(guesses[0], positive_zero=True)]
