"""Steps and stochastic rounding: against the exact distributions of single numbers."""

from __future__ import annotations

from fractions import Fraction

import pytest
import torch

from fpx.core.codec import decode
from fpx.core.formats import FORMATS
from fpx.core.names import find_format
from fpx.core.policy import Scheme, Stochastic
from fpx.core.spec import FormatSpec
from fpx.core.stochastic import distribute
from fpx.errors import InputError
from fpx.report.step_rows import GivenStepRow, UpdateRow
from fpx.training.by_step import by_step
from fpx.training.chance import probabilities, probability, stochastic
from fpx.training.optimizers import SGD
from fpx.training.steps import class_count, classes, reach
from fpx.training.updates import Moving
from tests.training.test_by_step import weights
from tests.training.test_steps import becomes, interesting_steps, signed, tensor

ROUNDINGS = [Stochastic(), *(Stochastic(bits, scheme) for bits in (1, 3, 8) for scheme in Scheme)]
FORMATS_TRIED = [find_format(name) for name in ("e4m3fn", "e5m2", "e4m3fnuz", "e2m1fn", "e3m2fn")]


def moves(x: Fraction, step: Fraction, spec: FormatSpec, rounding: Stochastic) -> Fraction:
    """How probably x + step is another value than x."""
    found = distribute(x + step, spec, rounding, negative=x < 0)
    stays = [p for code, p in found.codes.items() if (value := decode(code, spec)) is not None
             and value.fraction == x]  # fmt: skip
    return 1 - sum(stays, Fraction(0))


@pytest.mark.parametrize("rounding", ROUNDINGS, ids=lambda rounding: rounding.value)
@pytest.mark.parametrize("spec", FORMATS_TRIED, ids=lambda spec: spec.name)
def test_every_code_moves_as_its_distribution_says(spec: FormatSpec, rounding: Stochastic) -> None:
    codes = [*range(1 << spec.bits)]
    for code, number in zip(codes, classes(tensor(codes, spec), spec).tolist(), strict=True):
        x = signed(code, spec)
        if x is None or number == class_count(spec) - 1:
            continue
        sign = -1 if x < 0 else 1
        steps = sorted(interesting_steps(code, spec))[:: max(1, spec.bits // 4)]
        for step in steps:
            for toward in (False, True):
                expected = moves(x, (-sign if toward else sign) * step, spec, rounding)
                found = probability(reach(number, spec), step, toward, rounding)
                assert found == expected, (code, step, toward)


@pytest.mark.parametrize("rounding", ROUNDINGS, ids=lambda rounding: rounding.value)
def test_blocks_as_single_numbers(rounding: Stochastic) -> None:
    its = reach(*classes(torch.tensor([0x3F85], dtype=torch.int16), FORMATS["bfloat16"]).tolist(),
                FORMATS["bfloat16"])  # fmt: skip
    shares = [0.0, 0.001, 0.25, 0.5, 0.625, 0.9999, 1.0, 3.0]
    for toward in (False, True):
        half = its.toward if toward else its.away
        assert half is not None
        found = probabilities(
            torch.tensor(shares, dtype=torch.float64), torch.full((8,), toward), rounding
        )
        exact = [
            float(probability(its, Fraction(share) * 2 * half, toward, rounding))
            for share in shares
        ]
        assert found.tolist() == exact


@pytest.mark.parametrize("rounding", ["stochastic", "stochastic:4:a", "stochastic:2:c"])
@pytest.mark.parametrize("step", ["1e-5", "0.003"])
def test_expectations_of_weights(step: str, rounding: str) -> None:
    spec, chosen, x = FORMATS["float8_e5m2"], stochastic(rounding), weights()
    assert chosen is not None
    expected, never = Fraction(0), 0
    for value in x.tolist():
        q = None if abs(value) in (float("inf"),) or value != value else becomes(
            Fraction(value), spec)  # fmt: skip
        if q is not None:
            both = [moves(q, sign * Fraction(step), spec, chosen) for sign in (1, -1)]
            expected += sum(both, Fraction(0)) / 2
            never += both == [0, 0]
    (row,) = by_step([x], Fraction(step), [spec], rounding=chosen).rows
    assert isinstance(row, GivenStepRow)
    assert row.expected_moved_count == float(expected)
    assert row.never_moved_count == never
    (nearest,) = by_step([x], Fraction(step), [spec]).rows
    assert isinstance(nearest, GivenStepRow)
    assert (nearest.expected_moved_count, nearest.never_moved_count) == (None, None)
    assert nearest.unmoved_count == row.unmoved_count


@pytest.mark.parametrize("rounding", [Stochastic(), Stochastic(4, Scheme.B)])
def test_expectations_of_updates(rounding: Stochastic) -> None:
    spec, its = FORMATS["bfloat16"], SGD(Fraction(1, 8), Fraction(0))
    g = torch.Generator().manual_seed(8)
    x, m = torch.randn(200, generator=g), torch.randn(200, generator=g) * 0.02
    moving = Moving(its, spec, rounding)
    moving.take(x, [m.double()])
    exact = Fraction(0)
    for weight, buffer in zip(x.tolist(), m.tolist(), strict=True):
        q = becomes(Fraction(weight), spec)
        assert q is not None
        exact += moves(q, -Fraction(buffer) / 8, spec, rounding)
    assert moving.moved.expected == pytest.approx(float(exact), rel=1e-12)
    assert "expected_moved_count" in UpdateRow.measured


def test_other_roundings_are_refused() -> None:
    assert stochastic("ties_to_even") is None
    assert stochastic("stochastic:8:b") == Stochastic(8, Scheme.B)
    for name in ("toward_zero", "stochastic:0", "x"):
        with pytest.raises(InputError):
            stochastic(name)
