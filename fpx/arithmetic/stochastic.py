"""Expressions whose operations round stochastically: every result, with its exact probability.

What is computed is the distribution of all codes that are still needed, together; states that agree
in those are one. So the work grows with the codes that a step may give, not with the paths there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

from fpx.arithmetic.evaluation import exact_whole, rounded_literals, rounded_steps
from fpx.arithmetic.one_format import ordered_for
from fpx.arithmetic.operations import OPERATIONS, Context, Result
from fpx.arithmetic.parser import Expression, Step
from fpx.arithmetic.results import Target, coded, literal_coded, stand_in, value_of
from fpx.arithmetic.surds import TooHardError, Tower, log2_floor, negated, sign
from fpx.arithmetic.texts import exact_text
from fpx.core.codec import is_nan, ordinal
from fpx.core.dyadic import Dyadic
from fpx.core.numbers import Code
from fpx.core.policy import Overflow, Stochastic
from fpx.core.spec import FormatSpec
from fpx.core.stochastic import distribute
from fpx.errors import InputError
from fpx.report.base import hex_code
from fpx.report.calc import Order
from fpx.report.calc_stochastic import StochasticReport
from fpx.words import quoted

_MOST_STATES = 10_000  # combinations of codes that are needed at a time


def outcomes_in(
    expression: Expression,
    spec: FormatSpec,
    rounding: Stochastic,
    overflow: Overflow,
    *,
    order: Order = Order.SEQUENTIAL,
    precise: bool = False,
) -> StochasticReport:
    """What an expression may give in a format. Its numbers are read to nearest, ties to even.

    Args:
        expression: without variables.
        spec: the format.
        rounding, overflow: of every operation.
        order: how sums and dot products add.
        precise: whether the whole is computed exactly and rounded once.

    Raises:
        InputError: as `fpx.arithmetic.one_format.calc_in`; there are more results than can be
            followed, or a probability is irrational.
    """
    target = Target(spec, overflow=overflow)
    read = expression if precise else as_read(expression, target)
    why_not, whole = "", None
    try:
        whole = exact_whole(read, target)
    except TooHardError as error:
        why_not = f"the exact value {error}"
    if precise:
        if whole is None:
            raise InputError(f"{quoted(expression.text)}: {why_not}; leave out `precise=True`")
        codes = codes_of(whole, target, rounding)
        nearest = coded(whole, target)
        literals: dict[str, str] = {}
        steps: Sequence[Step] = ()
    else:
        ordered = ordered_for(expression, order, target)
        codes = all_codes(ordered, target, rounding)
        nearest = rounded_steps(ordered, target)[-1].coded
        literals = rounded_literals(ordered, target)
        steps = ordered.steps
    exact = None if whole is None else whole.value.number
    number = exact if isinstance(exact, Fraction) else None
    return StochasticReport(
        expression=expression.text,
        spec=spec,
        rounding=rounding,
        overflow=overflow,
        order=order,
        precise=precise,
        codes=dict(sorted(codes.items(), key=lambda item: _place(item[0], spec))),
        number=number,
        ulp=None if number is None else ulp_at(number, spec),
        exact=None if whole is None else exact_text(whole.value),
        why_not=why_not,
        nearest=nearest.code,
        literals=literals,
        operations=1 if precise else sum(step.literal is None for step in steps),
    )


def as_read(expression: Expression, target: Target) -> Expression:
    """The expression with the numbers that the format has in place of those that were written."""
    spec, steps = target.spec, []
    for step in expression.steps:
        if step.literal is None:
            steps.append(step)
        else:
            code = literal_coded(step.literal, target).code
            steps.append(step._replace(literal=Code(code, spec.bits, hex_code(code, spec))))
    return replace(expression, steps=tuple(steps))


def all_codes(expression: Expression, target: Target, rounding: Stochastic) -> dict[int, Fraction]:
    """Code of the whole -> probability."""
    steps = expression.steps
    last_use = {at: at for at in range(len(steps))}
    for at, step in enumerate(steps):
        last_use.update(dict.fromkeys(step.operands, at))
    states: dict[tuple[int, ...], Fraction] = {(): Fraction(1)}
    held: list[int] = []  # the steps whose codes a state has
    for at, step in enumerate(steps):
        kept = [place for place in held if last_use[place] > at]
        known: dict[tuple[int, ...], dict[int, Fraction]] = {}
        following: dict[tuple[int, ...], Fraction] = {}
        for state, probability in states.items():
            codes = dict(zip(held, state, strict=True))
            operands = tuple(codes[place] for place in step.operands)
            if operands not in known:
                known[operands] = _step_codes(expression, step, operands, target, rounding)
            rest = tuple(codes[place] for place in kept)
            for code, share in known[operands].items():
                new = (*rest, code)
                following[new] = following.get(new, Fraction(0)) + probability * share
        if len(following) > _MOST_STATES:
            raise expression.fails(
                step.column,
                f"more than {_MOST_STATES:,} combinations of results are possible here: compute a "
                "part of it, or choose another `rounding`",
            )
        states, held = following, [*kept, at]
    return {state[-1]: probability for state, probability in states.items()}


def _step_codes(
    expression: Expression,
    step: Step,
    operands: Sequence[int],
    target: Target,
    rounding: Stochastic,
) -> dict[int, Fraction]:
    """What one step may give."""
    try:
        if step.literal is not None:
            return {literal_coded(step.literal, target).code: Fraction(1)}
        values = (value_of(code, target.spec) for code in operands)
        exact = OPERATIONS[step.operation](Context(target.rounding, Tower()), *values)
        return codes_of(exact, target, rounding)
    except InputError as error:
        raise expression.fails(step.column, str(error)) from None
    except TooHardError as error:
        raise expression.fails(step.column, f"the exact result {error}") from None


def codes_of(exact: Result, target: Target, rounding: Stochastic) -> dict[int, Fraction]:
    """What the exact result of an operation may become."""
    number, negative = exact.value.number, exact.value.negative
    if number is None:
        return {coded(exact, target).code: Fraction(1)}
    if not isinstance(number, Fraction):
        if rounding.bits is None:
            raise InputError(
                "the result is irrational, and so are its probabilities: with a number of random "
                'bits they are not, as in `rounding="stochastic:32"`'
            )
        magnitude = negated(number) if sign(number) < 0 else number
        # between the same two multiples of half the least probability
        over, under = stand_in(magnitude, target.spec, rounding.bits)
        number = Fraction(-over if sign(number) < 0 else over, under)
    found = distribute(number, target.spec, rounding, target.overflow, negative=negative)
    return found.codes


def _place(code: int, spec: FormatSpec) -> tuple[bool, int, bool]:
    """A sort key: where a code is on the line of values, -0 before +0; NaNs come last."""
    if is_nan(code, spec):
        return True, 0, False
    return False, ordinal(code, spec), not code & spec.sign_mask


def ulp_at(number: Fraction, spec: FormatSpec) -> Fraction:
    """The spacing of a format at a number."""
    if not number:
        return Dyadic(1, spec.quantum_exponent).fraction
    exponent = min(max(log2_floor(abs(number)), spec.emin), spec.emax) - spec.fraction_bits
    return Dyadic(1, exponent).fraction
