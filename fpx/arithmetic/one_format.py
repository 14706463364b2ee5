"""What an expression gives in one format."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from fpx.arithmetic.absorption import absorbed
from fpx.arithmetic.evaluation import Done, exact_whole, rounded_steps
from fpx.arithmetic.operations import Result
from fpx.arithmetic.orders import in_order
from fpx.arithmetic.parser import LITERAL, Expression, Step
from fpx.arithmetic.results import Coded, Target, coded
from fpx.arithmetic.surds import TooHardError
from fpx.arithmetic.texts import errors, exact_text
from fpx.core.codec import Rounded
from fpx.core.numbers import Code, as_number
from fpx.core.shortest import shortest_decimal
from fpx.errors import InputError
from fpx.report.base import hex_code
from fpx.report.calc import FLAGS, INEXACT, Absorbed, CalcReport, Exact, Order, TracedStep
from fpx.report.decode import DecodeReport
from fpx.report.limits import Limit
from fpx.words import quoted


def calc_in(
    expression: Expression,
    target: Target,
    *,
    order: Order = Order.SEQUENTIAL,
    precise: bool = False,
    traced: bool = False,
    checks: Sequence[Limit] = (),
) -> CalcReport:
    """What an expression without variables gives.

    Args:
        expression: the expression.
        target: the format, and how to round.
        order: how sums and dot products add.
        precise: whether the whole is computed exactly and rounded once.
        traced: whether the report shows every step.
        checks: what the result must not meet.

    Raises:
        InputError: a literal that the format cannot hold, an order that it has no codes for, a
            result that overflows to a NaN that it lacks, or a whole that takes too much to compute
            exactly and is to be.
    """
    spec = target.spec
    why_not, whole = "", None
    try:
        whole = exact_whole(expression, target)
    except TooHardError as error:
        why_not = f"the exact value {error}"
    try:
        correct = None if whole is None else coded(whole, target)
    except InputError:  # the whole overflows to a NaN that the format lacks
        if precise:
            raise
        correct = None
    if precise:
        if whole is None or correct is None:
            raise InputError(f"{quoted(expression.text)}: {why_not}; leave out `precise=True`")
        result, flags = correct, correct.flags
        steps: tuple[TracedStep, ...] = (_whole_step(expression, whole, correct, target),)
        lost: tuple[Absorbed, ...] = ()
    else:
        ordered = ordered_for(expression, order, target)
        done = rounded_steps(ordered, target)
        result, flags = done[-1].coded, raised(done)
        steps = tuple(
            _traced(step, done, item, target)
            for step, item in zip(ordered.steps, done, strict=True)
        )
        lost = _absorptions(ordered, done, steps, target)
    found = None if whole is None else errors(whole.value, result.code, spec)
    literal = Code(result.code, 4 * spec.code_digits, hex_code(result.code, spec))
    return CalcReport(
        expression=expression.text,
        result=DecodeReport(literal, spec, target.rounding, target.overflow, Rounded(result.code)),
        order=order,
        precise=precise,
        flags=flags,
        exact=None if whole is None else exact_text(whole.value),
        why_not=why_not,
        correct=None if correct is None else correct.code,
        error=None if found is None else found[0],
        error_ulp=None if found is None else found[1],
        absorbed=lost,
        steps=steps,
        traced=traced,
        checks=tuple(checks),
    )


def ordered_for(expression: Expression, order: Order, target: Target) -> Expression:
    """The expression with its sums in an order.

    Raises:
        InputError: Kahan's needs zeros and signs, which the format lacks.
    """
    spec = target.spec
    if order is Order.KAHAN and not (spec.zero and spec.signed):
        for step in expression.steps:
            if step.operation in ("sum", "dot"):
                lacks = "sign" if spec.zero else "zero"
                raise expression.fails(
                    step.column,
                    f'{spec.name} has no {lacks} for the errors that `order="kahan"` keeps',
                )
    return in_order(expression, order)


def raised(done: Iterable[Done]) -> tuple[str, ...]:
    """The exceptions that any of some steps raised."""
    every = {flag for item in done for flag in item.coded.flags}
    return tuple(flag for flag in FLAGS if flag in every)


def _traced(step: Step, done: Sequence[Done], item: Done, target: Target) -> TracedStep:
    spec = target.spec
    operands = tuple(done[at].coded.code for at in step.operands)
    code, flags = item.coded
    if item.exact is not None:
        exact, found = exact_text(item.exact.value), errors(item.exact.value, code, spec)
    else:
        exact, found = _literal_exact(step, code, target)
    return TracedStep(
        operation=_operation_text(step, [shortest_decimal(at, spec) for at in operands]),
        column=step.column,
        operands=operands,
        exact=exact,
        code=code,
        error_ulp=None if found is None else found[1],
        flags=flags,
    )


def _literal_exact(step: Step, code: int, target: Target) -> tuple[Exact, tuple[str, str] | None]:
    """A literal as it was written, and the errors of its code."""
    spec, literal = target.spec, step.literal
    assert literal is not None
    report = DecodeReport.of(literal, *target)
    text = report.value_text if as_number(literal, spec) is None else literal.text
    if report.rounding_error is None or report.error_ulp is None or report.dyadic is None:
        return Exact(text), None
    return Exact(text), (report.rounding_error, report.error_ulp)


def _whole_step(
    expression: Expression, whole: Result, correct: Coded, target: Target
) -> TracedStep:
    found = errors(whole.value, correct.code, target.spec)
    return TracedStep(
        operation=expression.text,
        column=1,
        operands=(),
        exact=exact_text(whole.value),
        code=correct.code,
        error_ulp=None if found is None else found[1],
        flags=correct.flags,
    )


def _operation_text(step: Step, operands: Sequence[str]) -> str:
    """An operation with its operands."""
    if step.operation == LITERAL:
        assert step.literal is not None
        return step.literal.text
    if step.operation == "negate":
        return f"-({operands[0]})" if operands[0].startswith("-") else f"-{operands[0]}"
    if step.operation in "+-*/":
        second = f"({operands[1]})" if operands[1].startswith("-") else operands[1]
        return f"{operands[0]} {step.operation} {second}"
    if step.operation == "dot":
        half = len(operands) // 2
        return f"dot({', '.join(operands[:half])} | {', '.join(operands[half:])})"
    return f"{step.operation}({', '.join(operands)})"


def _absorptions(
    expression: Expression, done: Sequence[Done], steps: Sequence[TracedStep], target: Target
) -> tuple[Absorbed, ...]:
    found = (
        absorbed(step.operation, shown.operands, item.coded, target, shown.operation, step.column)
        for step, item, shown in zip(expression.steps, done, steps, strict=True)
        if INEXACT in item.coded.flags
    )
    return tuple(item for item in found if item is not None)
