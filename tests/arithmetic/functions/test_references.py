"""References of arrays are those of single results, whether an estimate told them or not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fpx.arithmetic.functions.catalogue import FUNCTIONS
from fpx.arithmetic.functions.codes import Codes, Floats
from fpx.arithmetic.functions.function import Function
from fpx.arithmetic.functions.references import MARGIN, UNDEFINED, references
from fpx.core.formats import FORMATS
from fpx.core.spec import FormatSpec
from tests.helpers import BF16, E4M3, F16, F32, F64, encode


def one_by_one(function: Function, columns: list[Codes], spec: FormatSpec) -> Codes:
    """Without estimates."""
    return references(replace(function, estimate=None), columns, spec)


def some(spec: FormatSpec, count: int, arity: int, seed: int) -> list[Codes]:
    """Random codes, and those of small sizes, near 1 and near the end."""
    draw = np.random.default_rng(seed)
    assert spec.nan_code is not None
    near = [0, 1, 2, *(encode(n, spec) + k for n in (0.5, 1, 2) for k in range(-5, 6)),
            spec.max_finite_magnitude, spec.max_finite_magnitude + 1, spec.nan_code]  # fmt: skip
    codes = np.array([*near, *(code | spec.sign_mask for code in near)], np.int64)
    every = np.concatenate([codes, draw.integers(0, 1 << spec.bits, count)])
    return [draw.permutation(every) for _ in range(arity)]


@pytest.mark.parametrize("spec", [BF16, F16, F32], ids=lambda spec: spec.name)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_estimates_are_as_close_as_they_say(name: str, spec: FormatSpec) -> None:
    columns = some(spec, 400, FUNCTIONS[name].arity, 0)
    found = references(FUNCTIONS[name], columns, spec)
    assert (found == one_by_one(FUNCTIONS[name], columns, spec)).all()


@pytest.mark.slow
@pytest.mark.parametrize("spec", [BF16, F16], ids=lambda spec: spec.name)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_estimate_of_16_bits(name: str, spec: FormatSpec) -> None:
    codes = np.arange(1 << 16)
    draw = np.random.default_rng(1)
    columns = [codes, draw.permutation(codes)][: FUNCTIONS[name].arity]
    found = references(FUNCTIONS[name], columns, spec)
    assert (found == one_by_one(FUNCTIONS[name], columns, spec)).all()


def test_most_results_are_told_by_estimates(monkeypatch: pytest.MonkeyPatch) -> None:
    from fpx.arithmetic.functions import references as module
    from fpx.arithmetic.functions import ziv

    looked: list[int] = []
    refer = ziv.refer

    def counting(*arguments: object) -> object:
        looked.append(1)
        return refer(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "refer", counting)
    references(FUNCTIONS["exp"], [np.arange(1 << 16)], BF16)
    assert 5 <= len(looked) < 400  # zeros, infinities, NaN; few are close to a tie
    looked.clear()
    references(FUNCTIONS["log"], [np.arange(1 << 15, 1 << 16)], BF16)
    assert len(looked) == 3  # all the rest is below the domain


def test_an_estimate_off_by_less_than_the_margin_changes_nothing() -> None:
    codes = [np.arange(0, 1 << 16, 7)]
    right = references(FUNCTIONS["exp"], codes, BF16)
    for factor in (1 - 0.9 * MARGIN, 1 + 0.9 * MARGIN):
        off = replace(FUNCTIONS["exp"], estimate=lambda x, f=factor: np.exp(x) * f)
        assert (references(off, codes, BF16) == right).all()
    wrong = replace(FUNCTIONS["exp"], estimate=lambda x: np.exp(x) * (1 + 2**-9))
    assert (references(wrong, codes, BF16) != right).any()


def test_an_absolute_margin_is_absolute() -> None:
    """lgamma is 0 at 1 and 2, and near them an absolute error is all that is promised."""
    lgamma = FUNCTIONS["lgamma"]
    assert lgamma.absolute
    codes = np.concatenate([encode(n, F32) + np.arange(-40, 40) for n in (1, 2)])
    right = one_by_one(lgamma, [codes], F32)

    def off(x: Floats) -> Floats:
        assert lgamma.estimate is not None
        found: Floats = lgamma.estimate(x) + 0.9 * MARGIN
        return found

    assert (references(replace(lgamma, estimate=off), [codes], F32) == right).all()


@pytest.mark.parametrize("nothing", [0.0, -0.0, np.nan, 1e-306])
def test_an_estimate_of_nothing_tells_nothing(nothing: float) -> None:
    codes = [np.arange(0, 1 << 16, 97)]
    exp = replace(FUNCTIONS["exp"], estimate=lambda x: np.full_like(x, nothing))
    assert (references(exp, codes, BF16) == one_by_one(exp, codes, BF16)).all()


def test_wide_formats_and_such_without_nan() -> None:
    codes = np.array([encode(2, F64), encode(-1, F64) - (1 << 64), 0], np.int64)
    found = references(FUNCTIONS["log"], [codes], F64)
    assert found[0] == encode("0.693147180559945309417232121458", F64)
    assert found[1] == F64.nan_code
    assert found[2] == (0xFFF << 52) - (1 << 64)
    e2m1 = FORMATS["float4_e2m1fn"]
    found = references(FUNCTIONS["sqrt"], [np.arange(16)], e2m1)
    assert (found[:3] == [0, encode("0.7071", e2m1), 2]).all()
    assert found[8] == 8
    assert (found[9:] == UNDEFINED).all()
    assert (references(FUNCTIONS["exp"], [np.arange(256)], E4M3) < 256).all()
