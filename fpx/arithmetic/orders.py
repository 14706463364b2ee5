"""Sums and dot products as additions and products, in the order that was asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from fpx.arithmetic.parser import Expression, Step
from fpx.report.calc import Order


def in_order(expression: Expression, order: Order) -> Expression:
    """The expression with every sum and dot product as the single operations of an order."""
    if order is Order.EXACT:
        return expression
    steps: list[Step] = []
    moved: list[int] = []  # place of a step -> that of its result now
    add = _ADDED[order]
    for step in expression.steps:
        operands = tuple(moved[at] for at in step.operands)

        def made(operation: str, *of: int, column: int = step.column) -> int:
            steps.append(Step(operation, of, column))
            return len(steps) - 1

        if step.operation == "sum":
            moved.append(add(made, operands))
        elif step.operation == "dot":
            half = len(operands) // 2
            pairs = zip(operands[:half], operands[half:], strict=True)
            moved.append(add(made, tuple(made("*", a, b) for a, b in pairs)))
        else:
            steps.append(step._replace(operands=operands))
            moved.append(len(steps) - 1)
    return replace(expression, steps=tuple(steps))


_Make = Callable[..., int]


def _sequential(made: _Make, terms: tuple[int, ...]) -> int:
    total = terms[0]
    for term in terms[1:]:
        total = made("+", total, term)
    return total


def _pairwise(made: _Make, terms: tuple[int, ...]) -> int:
    if len(terms) == 1:
        return terms[0]
    half = (len(terms) + 1) // 2
    return made("+", _pairwise(made, terms[:half]), _pairwise(made, terms[half:]))


def _kahan(made: _Make, terms: tuple[int, ...]) -> int:
    total, compensation = terms[0], None
    for at, term in enumerate(terms[1:], 2):
        corrected = term if compensation is None else made("-", term, compensation)
        following = made("+", total, corrected)
        if at < len(terms):
            compensation = made("-", made("-", following, total), corrected)
        total = following
    return total


_ADDED: dict[Order, Callable[[_Make, tuple[int, ...]], int]] = {
    Order.SEQUENTIAL: _sequential,
    Order.PAIRWISE: _pairwise,
    Order.KAHAN: _kahan,
}
