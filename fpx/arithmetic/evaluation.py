"""Expressions, evaluated: every operation rounded into a format, or all of it exactly."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from fpx.arithmetic.operations import OPERATIONS, Context, Result, Value
from fpx.arithmetic.parser import VARIABLE, Expression, Step
from fpx.arithmetic.results import Coded, Target, coded, literal_coded, value_of
from fpx.arithmetic.surds import Surd, TooHardError, Tower
from fpx.core import codec
from fpx.core.numbers import Infinity, Literal, Nan, as_fraction, as_number
from fpx.core.shortest import value_text
from fpx.core.spec import FormatSpec
from fpx.errors import InputError

_MOST_WITH_ROOTS = 500  # of operands, which may have 32 long fractions each


class Done(NamedTuple):
    """A step that was taken: its exact result (of a literal None), and what that became."""

    exact: Result | None
    coded: Coded


def rounded_steps(
    expression: Expression,
    target: Target,
    variables: Mapping[str, int] | None = None,
    known: Mapping[int, Done] | None = None,
) -> list[Done]:
    """Every step of an expression, in its order, each rounded once.

    Args:
        expression: without sums or dot products, or with those that are to be rounded once.
        target: the format, and how to round.
        variables: name -> code.
        known: results of steps that are known already.

    Raises:
        InputError: a literal that the format cannot hold; the message names the column.
    """
    done: list[Done] = []
    for at, step in enumerate(expression.steps):
        if known is not None and at in known:
            done.append(known[at])
            continue
        try:
            done.append(_taken(step, done, target, variables or {}))
        except InputError as error:
            raise expression.fails(step.column, str(error)) from None
        except TooHardError as error:
            raise expression.fails(step.column, f"the exact result {error}") from None
    return done


def _taken(step: Step, done: list[Done], target: Target, variables: Mapping[str, int]) -> Done:
    if step.literal is not None:
        return Done(None, literal_coded(step.literal, target))
    if step.operation == VARIABLE:
        return Done(None, Coded(variables[step.variable], ()))
    operands = (value_of(done[at].coded.code, target.spec) for at in step.operands)
    exact = OPERATIONS[step.operation](Context(target.rounding, Tower()), *operands)
    return Done(exact, coded(exact, target))


def constant_steps(expression: Expression, target: Target) -> dict[int, Done]:
    """The results of the steps that depend on no variable, by their places.

    Raises:
        InputError: as `rounded_steps`.
    """
    free: set[int] = set()
    for at, step in enumerate(expression.steps):
        if step.operation == VARIABLE or free.intersection(step.operands):
            free.add(at)
    fixed = Expression(
        expression.text,
        tuple(step if at not in free else _PLACEHOLDER for at, step in enumerate(expression.steps)),
    )
    done = rounded_steps(fixed, target, {_PLACEHOLDER.variable: 0})
    return {at: item for at, item in enumerate(done) if at not in free}


_PLACEHOLDER = Step(VARIABLE, (), 0)


def exact_whole(
    expression: Expression, target: Target, variables: Mapping[str, int] | None = None
) -> Result:
    """The exact value of all of an expression: nothing is rounded, literals neither.

    Its exceptions are those of all the operations in it. The target says what codes and named
    constants mean, and which sign an exact zero sum has.

    Raises:
        TooHardError: it takes too many square roots or bits.
    """
    context = Context(target.rounding, Tower())
    found: list[Result] = []
    with_roots = 0
    for step in expression.steps:
        if step.literal is not None:
            found.append(Result(_literal_value(step.literal, target.spec)))
        elif step.operation == VARIABLE:
            found.append(Result(value_of((variables or {})[step.variable], target.spec)))
        else:
            operands = [found[at].value for at in step.operands]
            with_roots += sum(isinstance(item.number, Surd) for item in operands)
            if with_roots > _MOST_WITH_ROOTS:
                raise TooHardError(f"takes more than {_MOST_WITH_ROOTS} operands with square roots")
            found.append(OPERATIONS[step.operation](context, *operands))
    return found[-1]._replace(
        invalid=any(item.invalid for item in found),
        divide_by_zero=any(item.divide_by_zero for item in found),
    )


def _literal_value(literal: Literal, spec: FormatSpec) -> Value:
    """What a literal means, before it is rounded."""
    number = as_number(literal, spec)
    if number is not None:
        fraction = as_fraction(number)
        if fraction is None:
            raise TooHardError("is too large or small to compute with exactly")
        return Value(fraction, number.negative)
    if isinstance(literal, Infinity):
        return Value(None, literal.negative)
    if isinstance(literal, Nan):
        return Value(None, nan=True, signaling=literal.signaling)
    return value_of(codec.encode(literal, spec).code, spec)


def rounded_literals(expression: Expression, target: Target) -> dict[str, str]:
    """The literals that the format has not -> what they become in it."""
    found = {}
    for step in expression.steps:
        if step.literal is not None:
            code, flags = literal_coded(step.literal, target)
            if flags:
                found[step.literal.text] = value_text(code, target.spec)
    return found
