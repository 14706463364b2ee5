"""Single results are correctly rounded, and what rows of the catalogue promise holds."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from fractions import Fraction

import pytest

from fpx.arithmetic.functions.catalogue import FUNCTIONS
from fpx.arithmetic.functions.ziv import approximate, number, refer
from fpx.core.spec import FormatSpec
from tests.arithmetic.functions import independent
from tests.helpers import BF16, E4M3, E5M2, F16, F32, F64, encode

UNARY = [name for name, row in FUNCTIONS.items() if row.arity == 1]
BINARY = [name for name, row in FUNCTIONS.items() if row.arity == 2]


def code_of(name: str, *operands: object, spec: FormatSpec = BF16) -> int | None:
    codes = [encode(x, spec) for x in operands]
    return refer(FUNCTIONS[name], tuple(number(code, spec) for code in codes), spec).code


def test_every_function_has_another_formula() -> None:
    assert set(independent.FORMULAS) == set(FUNCTIONS)


@pytest.mark.parametrize("name", UNARY)
def test_every_result_of_8_bits_is_that_of_another_formula(name: str) -> None:
    """All finite codes but zeros, whose results special rows of the catalogue tell."""
    compared = 0
    for code in range(256):
        operand = number(code, E4M3)
        if not isinstance(operand, Fraction):
            continue
        found = refer(FUNCTIONS[name], (operand,), E4M3).code
        wanted = independent.rounded(name, (operand,), E4M3)
        if wanted is None:
            exact = FUNCTIONS[name].exact(operand)
            assert isinstance(exact, float)
            assert math.isnan(exact) or math.isinf(exact)
            continue
        compared += 1
        zeros = {wanted & 0x7F, (found or 0) & 0x7F} == {0}  # whose sign formulas do not tell
        assert found == wanted or zeros, hex(code)
    assert compared > 20


@pytest.mark.parametrize("name", BINARY)
@pytest.mark.parametrize("spec", [E5M2, BF16], ids=lambda spec: spec.name)
def test_results_of_two_operands_are_those_of_another_formula(name: str, spec: FormatSpec) -> None:
    draw = random.Random(name)
    middle = spec.bias << spec.fraction_bits
    for _ in range(150):
        codes = [
            draw.choice([0, spec.sign_mask])
            | draw.randint(max(middle - (12 << spec.fraction_bits), 1),
                           min(middle + (9 << spec.fraction_bits), spec.max_finite_magnitude))
            for _ in range(2)
        ]  # fmt: skip
        operands = tuple(number(code, spec) for code in codes)
        assert all(isinstance(x, Fraction) for x in operands)
        wanted = independent.rounded(name, operands, spec)  # type: ignore[arg-type]
        found = refer(FUNCTIONS[name], operands, spec)
        if wanted is None:
            assert isinstance(found.exact, float)
            assert math.isnan(found.exact)
        else:
            zeros = {wanted & spec.magnitude_mask, (found.code or 0) & spec.magnitude_mask} == {0}
            assert found.code == wanted or zeros, codes


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("spec", [BF16, F32], ids=lambda spec: spec.name)
def test_approximations_keep_their_bound(name: str, spec: FormatSpec) -> None:
    """Near 0 and 1, where terms cancel; at the ends of the range; anywhere."""
    draw = random.Random(name)
    one = spec.bias << spec.fraction_bits
    sizes = [1, 2, 3, 7, one - 2, one - 1, one, one + 1, one + 3, one // 2]
    sizes += [spec.max_finite_magnitude, *(draw.randrange(1, one) for _ in range(5))]
    sizes += [one - (2 << spec.fraction_bits) + draw.randrange(1 << spec.fraction_bits)]
    sizes += [one + draw.randrange(5 << spec.fraction_bits) for _ in range(15)]
    codes = [*sizes, *(size | spec.sign_mask for size in sizes)]
    function = FUNCTIONS[name]
    for code in codes:
        operands = tuple(
            number(one_of, spec) for one_of in [code, draw.choice(codes)][: function.arity]
        )
        if function.exact(*operands) is not None:
            continue
        (man, exp), (wanted, unit) = (approximate(function, operands, bits) for bits in (64, 640))
        if abs(abs(wanted).bit_length() + unit) > 1 << 12:
            continue  # beyond every format: only its size matters
        low = min(exp, unit)
        off = abs((man << (exp - low)) - (wanted << (unit - low)))
        assert off << 64 <= abs(wanted << (unit - low)), (hex(code), operands)


@pytest.mark.parametrize(
    ("name", "operands", "value"),
    [
        ("exp", ["-inf"], "0"), ("exp", ["inf"], "inf"), ("exp", ["-0"], "1"),
        ("exp2", ["-133"], "2^-133"), ("exp2", ["-134"], "0"),  # a tie, to even
        ("exp2", ["127"], "2^127"), ("exp2", ["128"], "inf"), ("exp2", ["-135"], "0"),
        ("exp2", ["3e38"], "inf"), ("exp2", ["-3e38"], "0"),
        ("log2", ["2^-133"], "-133"), ("log2", ["1"], "0"), ("log10", ["100"], "2"),
        ("log", ["0"], "-inf"), ("log", ["-0"], "-inf"), ("log", ["-1"], "nan"),
        ("log1p", ["-1"], "-inf"), ("log1p", ["-1.01"], "nan"), ("log1p", ["-0"], "-0"),
        ("sqrt", ["9"], "3"), ("sqrt", ["-0"], "-0"), ("sqrt", ["-1"], "nan"),
        ("rsqrt", ["4"], "0.5"), ("rsqrt", ["-0"], "-inf"), ("rsqrt", ["inf"], "0"),
        ("reciprocal", ["-0"], "-inf"), ("reciprocal", ["-inf"], "-0"),
        ("acos", ["1"], "0"), ("acos", ["-1"], "3.14159265"), ("acos", ["0"], "1.5707963"),
        ("atan", ["inf"], "1.5707963"), ("atan", ["-inf"], "-1.5707963"),
        ("acosh", ["1"], "0"), ("acosh", ["0.5"], "nan"), ("atanh", ["1"], "inf"),
        ("atanh", ["-1"], "-inf"), ("erfinv", ["1"], "inf"), ("sin", ["inf"], "nan"),
        ("sinc", ["3"], "0"), ("sinc", ["0"], "1"), ("lgamma", ["2"], "0"),
        ("lgamma", ["-3"], "inf"), ("digamma", ["-3"], "nan"), ("digamma", ["0"], "-inf"),
        ("digamma", ["-0"], "inf"), ("logit", ["0.5"], "0"), ("logit", ["1"], "inf"),
        ("logit", ["0"], "-inf"), ("logit", ["2"], "nan"), ("softplus", ["0"], "0.693147"),
        ("logsigmoid", ["-0"], "-0.693147"), ("logsigmoid", ["200"], "-0"),
        ("gelu", ["-inf"], "-0"), ("gelu", ["-100"], "-0"), ("silu", ["-inf"], "-0"),
        ("silu", ["2^-133"], "2^-133"),  # just above a tie with 0
        ("silu", ["-2^-133"], "-0"),
        ("hardsigmoid", ["-7"], "0"), ("selu", ["-inf"], "-1.7580993"),
        ("tanhshrink", ["-0"], "-0"), ("tanhshrink", ["64"], "63"),
        ("round", ["2.5"], "2"), ("round", ["-0.3"], "-0"), ("floor", ["-0.3"], "-1"),
        ("ceil", ["-0.3"], "-0"),
        ("add", ["1", "-1"], "0"), ("add", ["-0", "-0"], "-0"), ("add", ["inf", "-inf"], "nan"),
        ("add", ["-inf", "1"], "-inf"), ("add", ["0", "-3"], "-3"), ("sub", ["-0", "0"], "-0"),
        ("sub", ["2", "inf"], "-inf"), ("mul", ["0", "inf"], "nan"), ("mul", ["-0", "3"], "-0"),
        ("mul", ["-3", "inf"], "-inf"), ("div", ["1", "-0"], "-inf"), ("div", ["0", "0"], "nan"),
        ("div", ["inf", "inf"], "nan"), ("div", ["-3", "inf"], "-0"),
        ("div", ["inf", "-2"], "-inf"),
        ("pow", ["nan", "0"], "1"), ("pow", ["1", "nan"], "1"), ("pow", ["-1", "inf"], "1"),
        ("pow", ["-8", "3"], "-512"), ("pow", ["-8", "0.5"], "nan"), ("pow", ["4", "0.5"], "2"),
        ("pow", ["16", "0.75"], "8"), ("pow", ["-0", "-3"], "-inf"), ("pow", ["-0", "-2"], "inf"),
        ("pow", ["0.5", "inf"], "0"), ("pow", ["0.5", "-inf"], "inf"),
        ("pow", ["-inf", "3"], "-inf"),
        ("pow", ["-inf", "-3"], "-0"), ("pow", ["inf", "-0.5"], "0"), ("pow", ["2", "-134"], "0"),
        ("pow", ["2", "1e30"], "inf"), ("pow", ["-2", "-1e30"], "0"), ("pow", ["2", "nan"], "nan"),
        ("pow", ["-1", "3"], "-1"), ("pow", ["3", "-1"], "1/3"),
        ("fmod", ["-7", "2"], "-1"), ("fmod", ["-6", "2"], "-0"), ("fmod", ["3", "inf"], "3"),
        ("fmod", ["inf", "3"], "nan"), ("fmod", ["3", "0"], "nan"), ("fmod", ["-0", "3"], "-0"),
        ("remainder", ["-7", "2"], "1"), ("remainder", ["3", "-inf"], "-inf"),
        ("remainder", ["3", "inf"], "3"), ("remainder", ["7", "-2"], "-1"),
        ("atan2", ["0", "-1"], "3.14159265"), ("atan2", ["-0", "-0"], "-3.14159265"),
        ("atan2", ["0", "0"], "0"), ("atan2", ["-0", "2"], "-0"),
        ("atan2", ["2", "0"], "1.5707963"),
        ("atan2", ["-inf", "-inf"], "-2.3561945"), ("atan2", ["inf", "inf"], "0.78539816"),
        ("atan2", ["inf", "-3"], "1.5707963"), ("atan2", ["-3", "inf"], "-0"),
        ("atan2", ["-3", "-inf"], "-3.14159265"), ("atan2", ["nan", "1"], "nan"),
        ("hypot", ["3", "4"], "5"), ("hypot", ["-inf", "nan"], "inf"), ("hypot", ["-0", "-3"], "3"),
        ("hypot", ["0", "-0"], "0"), ("hypot", ["1", "nan"], "nan"),
        ("maximum", ["1", "nan"], "nan"), ("maximum", ["-inf", "3"], "3"),
        ("fmax", ["nan", "-3"], "-3"), ("fmin", ["2", "nan"], "2"), ("fmin", ["nan", "nan"], "nan"),
        ("minimum", ["-inf", "3"], "-inf"),
    ],
)  # fmt: skip
def test_special_operands(name: str, operands: list[str], value: str) -> None:
    found = code_of(name, *operands)
    if value == "nan":
        assert found == BF16.nan_code
    else:
        assert found == encode(value, BF16), hex(found or 0)


def test_ties_below_the_smallest_number_are_told_by_what_follows() -> None:
    """silu x is x / 2 + x^2 / 4 ...: hundreds of bits behind a tie."""
    tiny = number(3, F64)
    found = refer(FUNCTIONS["silu"], (tiny,), F64)
    assert found.code == 2
    assert found.bits > 1024
    assert refer(FUNCTIONS["silu"], (-tiny,), F64).code == F64.sign_mask | 1


@pytest.mark.parametrize("x", ["16857600", "-16857600", "64.5", "2^90"])
def test_tanhshrink_of_large_numbers_is_not_a_tie(x: str) -> None:
    code = encode(x, F32)
    found = refer(FUNCTIONS["tanhshrink"], (number(code, F32),), F32).code
    operand = number(code, F32)
    assert isinstance(operand, Fraction)
    exact = abs(operand) - 1 + Fraction(1, 1 << 90)
    wanted = encode(exact, F32) | (F32.sign_mask if x[0] == "-" else 0)
    assert found == wanted


def test_a_missing_exact_case_is_said() -> None:
    exp = FUNCTIONS["exp2"]
    lacking = replace(exp, exact=lambda x: None)
    assert refer(lacking, (Fraction(3),), F16).code == encode(8, F16)  # no boundary
    with pytest.raises(ArithmeticError, match="exp2"):
        refer(lacking, (Fraction(-25),), F16)  # half of the smallest subnormal


def test_what_is_rational_is_not_approximated() -> None:
    with pytest.raises(ArithmeticError):
        FUNCTIONS["add"].real(None, 1, 2)
