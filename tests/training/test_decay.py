"""Moving averages that cannot decay: against Fractions, value by value."""

from __future__ import annotations

from fractions import Fraction

import pytest
import torch

from fpx.core.formats import FORMATS
from fpx.core.names import find_format
from fpx.core.spec import FormatSpec
from fpx.training.decay import stuck, stuck_normals
from tests import oracle
from tests.training.test_steps import SMALL, becomes, signed, tensor

BETAS = (0.0, 0.5, 0.75, 0.875, 0.9, 0.9375, 0.95, 0.98, 0.99, 0.995, 0.999, 0.9999, 1 - 2.0**-53)


@pytest.mark.parametrize("spec", SMALL, ids=lambda spec: spec.name)
@pytest.mark.parametrize("beta", BETAS)
def test_every_code_of_small_formats(spec: FormatSpec, beta: float) -> None:
    codes = [*range(1 << spec.bits)]
    exact, normals = Fraction(beta), 0
    first = 1 << spec.fraction_bits
    for code, found in zip(codes, stuck(tensor(codes, spec), spec, exact).tolist(), strict=True):
        x = signed(code, spec)
        expected = x is not None and x != 0 and becomes(exact * x, spec) == x
        assert found == expected, code
        normals += expected and first <= code < spec.sign_mask
    assert stuck_normals(spec, exact) == (normals, oracle.values(spec)[1] - first)


def rounded_to(x: Fraction, precision: int) -> Fraction:
    """To nearest, ties to even, with no end to the exponents."""
    exponent = precision - 1
    while x * 2**exponent < 1 << (precision - 1):
        exponent += 1
    while x * Fraction(2) ** exponent >= 1 << precision:
        exponent -= 1
    return Fraction(round(x * Fraction(2) ** exponent)) / Fraction(2) ** exponent


@pytest.mark.parametrize("name", ["bfloat16", "float16"])
@pytest.mark.parametrize("beta", [0.9, 0.99, 0.995, 0.998, 0.999, 0.9999, 1 - 2.0**-9, 1 - 2.0**-8])
def test_of_16_bits_a_binade_stands_for_all(name: str, beta: float) -> None:
    spec, exact = FORMATS[name], Fraction(beta)
    first = 1 << spec.fraction_bits
    count = sum(rounded_to(exact * m, spec.precision) == m for m in range(first, 2 * first))
    # the first of the first binade has no closer neighbour below it
    lowest = exact * first
    more = (round(lowest) == first) - (rounded_to(lowest, spec.precision) == first)
    binades = spec.emax - spec.emin + 1
    assert stuck_normals(spec, exact) == (count * binades + more, first * binades)
    codes = torch.arange(spec.max_finite_magnitude + 1).to(torch.int16)
    normals = stuck(codes, spec, exact)[first:]
    assert int(normals.sum()) == count * binades + more


@pytest.mark.parametrize(
    ("name", "shares"),
    [
        ("bfloat16", [0, 0, 0, 0, 0, 1, 1]),
        ("float16", [0, 0, 0, 0, 0, 0, 1]),
        ("float8_e4m3fn", [0, 0.26, 1, 1, 1, 1, 1]),
        ("float8_e5m2", [0.008, 1, 1, 1, 1, 1, 1]),
    ],
)
def test_known_shares(name: str, shares: list[float]) -> None:
    """Of these betas as they are written."""
    found = []
    for beta in ("0.9", "0.95", "0.98", "0.99", "0.995", "0.999", "0.9999"):
        part, whole = stuck_normals(FORMATS[name], Fraction(beta))
        found.append(part / whole)
    assert [round(share, 3 if 0 < share < 0.01 else 2) for share in found] == shares


def test_a_tie_is_decided_by_the_beta_that_is_stored() -> None:
    """0.95 as a float64 is a little less, which moves what a tie would have left."""
    spec = FORMATS["float8_e4m3fn"]
    assert stuck_normals(spec, Fraction("0.95")) == (31, 119)
    assert stuck_normals(spec, Fraction(0.95)) == (16, 119)


def test_torch_leaves_the_same_values_as_they_are() -> None:
    codes = torch.arange(1 << 15).to(torch.int16)
    values = codes.view(torch.bfloat16)
    after = (values * 0.999).view(torch.int16)  # in float32, rounded once more: not always exact
    found = stuck(codes, FORMATS["bfloat16"], Fraction(0.999))
    normal = (values >= 2.0**-126) & values.isfinite()
    assert bool((found == (after == codes))[normal].all())
    assert int(found[normal].sum()) == 32512


@pytest.mark.parametrize("name", ["float32", "float64"])
def test_of_wide_formats_only_the_smallest_are_stuck(name: str) -> None:
    spec = FORMATS[name]
    assert stuck_normals(spec, Fraction(0.999))[0] == 0
    codes = torch.arange(1200).to(torch.int32 if name == "float32" else torch.int64)
    found = stuck(codes, spec, Fraction(999, 1000))
    assert found.nonzero().view(-1).tolist() == [*range(1, 501)]  # 500.5 would round to 500
    assert find_format(name) is spec
