"""Sums and dot products in every order, against plain loops of numpy's float32 and fsum."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from fpx.arithmetic.evaluation import rounded_steps
from fpx.arithmetic.one_format import ordered_for
from fpx.arithmetic.orders import in_order
from fpx.arithmetic.parser import parse
from fpx.arithmetic.results import Target
from fpx.errors import InputError
from fpx.report.calc import Order
from tests import oracle
from tests.helpers import E8M0, F32, F64, FP8


def sequential(terms: Sequence[Any]) -> Any:
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total


def pairwise(terms: Sequence[Any]) -> Any:
    if len(terms) == 1:
        return terms[0]
    half = len(terms) - len(terms) // 2
    return pairwise(terms[:half]) + pairwise(terms[half:])


def kahan(terms: Sequence[Any]) -> Any:
    total, lost = terms[0], terms[0] - terms[0]
    for term in terms[1:]:
        corrected = term - lost
        after = total + corrected
        lost = (after - total) - corrected
        total = after
    return total


PLAIN: dict[Order, Callable[[Sequence[Any]], Any]] = {
    Order.SEQUENTIAL: sequential,
    Order.PAIRWISE: pairwise,
    Order.KAHAN: kahan,
}


def drawn(draw: random.Random, count: int) -> list[np.float32]:
    return [np.float32(draw.gauss(0, 1) * 2.0 ** draw.randrange(-6, 6)) for _ in range(count)]


def code_of(expression: str, order: Order, target: Target) -> int:
    ordered = in_order(parse(expression), order)
    assert order is Order.EXACT or not {"sum", "dot"} & {step.operation for step in ordered.steps}
    return rounded_steps(ordered, target)[-1].coded.code


def written(terms: Sequence[np.float32]) -> str:
    return ", ".join(f"{term.view(np.uint32):#010x}" for term in terms)


@pytest.mark.parametrize("order", PLAIN)
def test_sums_and_dot_products(order: Order) -> None:
    draw = random.Random(3)
    for count in (1, 2, 3, 4, 5, 7, 8, 13, 33):
        for _ in range(6):
            a, b = drawn(draw, count), drawn(draw, count)
            expected = PLAIN[order](a)
            assert code_of(f"sum({written(a)})", order, Target(F32)) == expected.view(np.uint32)
            expected = PLAIN[order]([x * y for x, y in zip(a, b, strict=True)])
            text = f"dot({written(a)} | {written(b)})"
            assert code_of(text, order, Target(F32)) == expected.view(np.uint32)


def test_exact_sums() -> None:
    draw = random.Random(4)
    for count in (1, 2, 3, 20):
        for _ in range(20):
            terms = [draw.gauss(0, 1) * 2.0 ** draw.randrange(-60, 60) for _ in range(count)]
            terms += [-term for term in terms[: count // 2]]
            expected = int(np.float64(math.fsum(terms)).view(np.uint64))
            text = ", ".join(term.hex() for term in terms)
            assert code_of(f"sum({text})", Order.EXACT, Target(F64)) == expected


@pytest.mark.parametrize("spec", FP8, ids=lambda spec: spec.name)
def test_exact_dot_products(spec: Any) -> None:
    draw = random.Random(5)
    ladder, finite = oracle.values(spec)
    for _ in range(100):
        a, b = ([draw.randrange(finite) for _ in range(5)] for _ in "ab")
        exact = sum((ladder[x] * ladder[y] for x, y in zip(a, b, strict=True)), Fraction())
        if exact:
            vectors = (", ".join(f"{code:#04x}" for code in codes) for codes in (a, b))
            found = code_of(f"dot({' | '.join(vectors)})", Order.EXACT, Target(spec))
            assert found == oracle.encode(exact, spec, "ties_to_even", "ieee")


def test_what_stands_around_a_sum_stays() -> None:
    for order in Order:
        assert code_of("2 * sum(1, 2, 3 - 1) - sum(4)", order, Target(F64)) == code_of(
            "6", order, Target(F64)
        )
        assert code_of("sum(sum(1, 2), 3, dot(1, 2 | 3, 4))", order, Target(F64)) == code_of(
            "17", order, Target(F64)
        )


def test_compensation_needs_zeros_and_signs() -> None:
    with pytest.raises(InputError, match=r"column 5: float8_e8m0fnu has no zero"):
        ordered_for(parse("1 + sum(1, 2)"), Order.KAHAN, Target(E8M0))
    plain = parse("1 + 2")
    assert ordered_for(plain, Order.KAHAN, Target(E8M0)) == plain
