"""Replays against sums of fractions, rounded by another way; and what random rows are like."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest

from fpx.arithmetic.reveal.arithmetic import add_to_odd, rounded
from fpx.arithmetic.reveal.certificate import answers
from fpx.arithmetic.reveal.data import draw
from fpx.arithmetic.reveal.probing import number
from fpx.core import codec
from fpx.core.literals import to_literal
from fpx.core.policy import Rounding
from fpx.core.spec import FormatSpec
from tests.arithmetic.reveal import simulators as sim
from tests.arithmetic.reveal.simulators import Simulated, cut, log2_floor
from tests.helpers import BF16, E4M3, E5M2, F16, F32, F64

SPECS = [F32, BF16, F16, E5M2, E4M3, F64]


@pytest.mark.parametrize("precision", [8, 11, 14, 24, 27])
@pytest.mark.parametrize("mode", list(Rounding))
def test_sums_are_rounded_once(precision: int, mode: Rounding) -> None:
    rows = draw(F32, F32, 2, 400, products=False).a
    few = [[1.0, 2.0**-60], [1.5, -(2.0**-70)]]
    rows = np.concatenate([rows, rows * 2.0**-40 + rows[::-1], few])
    got = rounded(add_to_odd(rows[:, 0], rows[:, 1]), precision, mode)
    for (x, y), sum_ in zip(rows.tolist(), got.tolist(), strict=True):
        exact = Fraction(x) + Fraction(y)
        if exact:
            assert Fraction(sum_) == cut(exact, log2_floor(exact) - precision + 1, mode)
        else:
            assert sum_ == 0


def test_what_is_inexact_is_odd() -> None:
    rows = draw(F32, F32, 2, 400, products=False).a
    x, y = rows[:, 0], rows[::-1, 1] * 2.0**-45
    for a, b, got in zip(x.tolist(), y.tolist(), add_to_odd(x, y).tolist(), strict=True):
        exact = Fraction(a) + Fraction(b)
        below, above = np.nextafter(got, -np.inf), np.nextafter(got, np.inf)
        assert Fraction(below) < exact < Fraction(above)
        assert Fraction(got) == exact or np.float64(got).view(np.int64) & 1


@pytest.mark.parametrize("mode", list(Rounding))
def test_no_result_is_finer_than_the_format(mode: Rounding) -> None:
    x = np.array([2.0**-24 * part for part in (0.25, 0.5, 0.75, 1, 1.5, 2.5, -0.5, -1.5, 1000.3)])
    for one, result in zip(x.tolist(), rounded(x, 11, mode, -24).tolist(), strict=True):
        assert Fraction(result) == cut(Fraction(one), -24, mode)
        assert np.signbit(result) == np.signbit(one)


@pytest.mark.parametrize("spec", [F32, BF16, F16, E4M3, E5M2], ids=lambda spec: spec.name)
def test_codes_are_read_by_their_bits(spec: FormatSpec) -> None:
    step = max((1 << spec.bits) // 4096, 1)
    for code in range(0, 1 << spec.bits, step):
        value = codec.decode(code, spec)
        got = number(code, spec)
        if value is not None:
            assert Fraction(got) == value.fraction
        elif codec.is_nan(code, spec):
            assert np.isnan(got)
        else:
            assert got == (-np.inf if code & spec.sign_mask else np.inf)
        assert np.isnan(got) or bool(np.signbit(got)) == bool(code & spec.sign_mask)


@pytest.mark.parametrize("products", [False, True])
@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_random_rows(spec: FormatSpec, products: bool) -> None:
    data = draw(spec, spec, 8, 100, products)
    every = draw(spec, spec, 8, 100, products, seed=1)
    assert data.a.shape == data.b.shape == (100, 8)
    assert not np.array_equal(data.a, every.a)
    assert np.array_equal(data.a, draw(spec, spec, 8, 100, products).a)
    for table in data:  # each is a number of the format
        x = table[np.abs(table) > 0]
        scaled = np.ldexp(x, -np.maximum(np.frexp(x)[1] - spec.precision, spec.quantum_exponent))
        assert np.array_equal(scaled, np.rint(scaled))
        assert np.abs(x).max() <= float(spec.max_finite.fraction)
    sums = [
        sum((Fraction(x) * Fraction(y) for x, y in zip(a, b, strict=True)), Fraction(0))
        for a, b in zip(data.a.tolist(), data.b.tolist(), strict=True)
    ]
    assert all(abs(total) <= spec.max_finite.fraction for total in sums)
    assert all(total == 0 for total in sums[1::2])  # every other row cancels
    assert sum(total != 0 for total in sums[::2]) > 45
    assert np.array_equal(data.b, np.ones((100, 8))) is not products


def test_the_same_rows_everywhere() -> None:
    """What a fingerprint of another machine is compared with."""
    data = draw(F32, F32, 4, 16, products=True)
    assert data.a[0, :2].tolist() == FIRST_A
    assert data.b[0, :2].tolist() == FIRST_B


FIRST_A = [68.87141418457031, -25.656938552856445]
FIRST_B = [-0.011314203031361103, -9.946268081665039]


@pytest.mark.parametrize(
    "make",
    [
        lambda: Simulated(8, sim.sequential(), F32, BF16, products=True),
        lambda: Simulated(8, sim.exact, BF16, F32, products=True),
    ],
)
def test_answers_are_in_the_order_of_rows(make: Callable[[], Simulated]) -> None:
    one = make()
    data = draw(one.leaf, one.out, 8, 20, one.products)
    codes = answers(one, data)
    for row in (0, 7, 19):
        pairs = [
            (Fraction(x), Fraction(y))
            for x, y in zip(data.a[row].tolist(), data.b[row].tolist(), strict=True)
        ]
        total = one.add(pairs)
        assert codes[row] == (codec.encode(to_literal(total), one.out).code if total else 0)
