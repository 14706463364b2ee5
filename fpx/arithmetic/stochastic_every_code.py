"""Expressions that round stochastically, over every code of one or two variables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import product
from typing import NamedTuple

from fpx.arithmetic.evaluation import exact_whole, rounded_literals
from fpx.arithmetic.every_code import check_variables, kinds_of
from fpx.arithmetic.one_format import ordered_for
from fpx.arithmetic.operations import Result
from fpx.arithmetic.parser import VARIABLE, Expression
from fpx.arithmetic.results import Target
from fpx.arithmetic.stochastic import all_codes, as_read, codes_of, ulp_at
from fpx.arithmetic.surds import TooHardError
from fpx.core.codec import decode
from fpx.core.numbers import Code
from fpx.core.policy import Overflow, Stochastic
from fpx.core.spec import FormatSpec
from fpx.errors import InputError
from fpx.report.base import hex_code
from fpx.report.calc import Order
from fpx.report.calc_all import KINDS
from fpx.report.calc_all_stochastic import (
    COUNTS,
    AllOutcomesReport,
    Kept,
    Largest,
    VariableChances,
)
from fpx.report.limits import Limit
from fpx.words import quoted


class _Errors(NamedTuple):
    """How far results are from the exact value, in ulps there.

    Attributes:
        bias: of the mean, below 0 if it is toward zero.
        error: on the average, whichever way.
        variance: of the results, in ulps squared.
        largest: of those that are possible.
    """

    bias: Fraction
    error: Fraction
    variance: Fraction
    largest: Fraction


def outcomes_over_every_code(
    expression: Expression,
    spec: FormatSpec,
    rounding: Stochastic,
    overflow: Overflow,
    *,
    order: Order = Order.SEQUENTIAL,
    precise: bool = False,
    checks: Sequence[Limit] = (),
) -> AllOutcomesReport:
    """What an expression may give over all codes of its variables, and how far that is off.

    Args:
        expression: with one variable or two.
        spec, rounding, overflow, order, precise: as of `fpx.arithmetic.stochastic.outcomes_in`.
        checks: what is asked of the report.

    Raises:
        InputError: as there; the format is too wide, or there are too many variables.
    """
    check_variables(expression, spec)
    target, names = Target(spec, overflow=overflow), expression.variables
    kinds = kinds_of(spec)
    counts = Counter(dict.fromkeys(COUNTS, 0))
    sums = dict.fromkeys(("bias_ulp", "error_ulp", "variance_ulp"), Fraction(0))
    largest: dict[str, Largest] = {}
    kept = [{kind: Kept() for kind in KINDS} for _ in names]
    for codes, outcomes, exact in _every(expression, target, rounding, order, precise):
        counts["count"] += 1
        for kind in {kinds[code] for code in codes}.intersection(("nan", "inf", "zero")):
            counts[f"{kind}_input_count"] += 1
        for kind in {kinds[code] for code in outcomes}.intersection(("nan", "inf", "zero")):
            counts[f"{kind}_result_count"] += 1
        counts["certain_count"] += len(outcomes) == 1
        for code, chances in zip(codes, kept, strict=True):
            if kinds[code] in KINDS:
                found = chances[kinds[code]]
                chances[kinds[code]] = found.with_one_more(outcomes.get(code, Fraction(0)))
        beyond = exact is not None and abs(exact) > spec.max_finite.fraction
        counts["beyond_count"] += beyond
        errors = None if beyond else _errors(outcomes, exact, spec)
        if errors is None:
            continue
        counts["measured_count"] += 1
        counts["exact_count"] += not errors.largest
        counts["unbiased_count"] += not errors.bias
        for name, number in zip(sums, errors[:3], strict=True):
            sums[name] += number
        for name, number in (
            ("max_bias_ulp", errors.bias), ("max_error_ulp", errors.largest),
            ("max_variance_ulp", errors.variance),
        ):  # fmt: skip
            if name not in largest or abs(number) > abs(largest[name].number):
                largest[name] = Largest(number, codes)
    measured = counts["measured_count"]
    return AllOutcomesReport(
        expression=expression.text,
        spec=spec,
        rounding=rounding,
        overflow=overflow,
        order=order,
        precise=precise,
        literals={} if precise else rounded_literals(expression, target),
        counts={name: counts[name] for name in COUNTS},
        means={f"mean_{name}": total / measured for name, total in sums.items() if measured},
        largest=largest,
        variables=tuple(map(VariableChances, names, kept)),
        checks=tuple(checks),
    )


def _every(
    expression: Expression, target: Target, rounding: Stochastic, order: Order, precise: bool
) -> Iterator[tuple[tuple[int, ...], Mapping[int, Fraction], Fraction | None]]:
    """The variables' codes, what the expression may give of them, and its exact value, if any."""
    read = expression if precise else as_read(expression, target)
    ordered = expression if precise else ordered_for(expression, order, target)
    for codes in product(range(1 << target.spec.bits), repeat=len(expression.variables)):
        values = dict(zip(expression.variables, codes, strict=True))
        whole, why_not = _whole(read, target, values)
        if not precise:
            outcomes = all_codes(_bound(ordered, target.spec, values), target, rounding)
        elif whole is None:
            raise InputError(f"{quoted(expression.text)}: {why_not}; leave out `precise=True`")
        else:
            outcomes = codes_of(whole, target, rounding)
        number = None if whole is None else whole.value.number
        yield codes, outcomes, number if isinstance(number, Fraction) else None


def _whole(
    expression: Expression, target: Target, values: Mapping[str, int]
) -> tuple[Result | None, str]:
    """The exact value; where there is none, why."""
    try:
        return exact_whole(expression, target, values), ""
    except TooHardError as error:
        return None, f"the exact value {error}"


def _bound(expression: Expression, spec: FormatSpec, values: Mapping[str, int]) -> Expression:
    """The expression with codes in place of its variables."""
    steps = (
        step._replace(literal=_literal(values[step.variable], spec))
        if step.operation == VARIABLE
        else step
        for step in expression.steps
    )
    return replace(expression, steps=tuple(steps))


def _literal(code: int, spec: FormatSpec) -> Code:
    return Code(code, spec.bits, hex_code(code, spec))


def _errors(
    outcomes: Mapping[int, Fraction], exact: Fraction | None, spec: FormatSpec
) -> _Errors | None:
    """How far results are off; None where one is no number, or the exact value is irrational."""
    if exact is None:
        return None
    ulp, sign = ulp_at(exact, spec), -1 if exact < 0 else 1
    bias = error = squares = largest = Fraction(0)
    for code, probability in outcomes.items():
        value = decode(code, spec)
        if value is None:
            return None
        off = sign * (value.fraction - exact) / ulp
        bias += probability * off
        error += probability * abs(off)
        squares += probability * off * off
        largest = max(largest, abs(off))
    return _Errors(bias, error, squares - bias * bias, largest)
