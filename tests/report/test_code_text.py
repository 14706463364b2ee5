"""Lines that are put together are those that are encoded whole, for all codes and ways to round."""

from __future__ import annotations

import json
import random
from itertools import product

import pytest

from fpx.core.codec import encode, is_nan, neighbours
from fpx.core.formats import FORMATS
from fpx.core.literals import ReadAs, parse_literal
from fpx.core.names import find_format
from fpx.core.policy import Overflow, Rounding
from fpx.core.spec import FormatSpec
from fpx.errors import InputError
from fpx.report.code_text import is_inside
from fpx.report.decode import DecodeReport

ENCODE = json.JSONEncoder(allow_nan=False).encode
SMALL = [name for name, spec in FORMATS.items() if spec.bits <= 16] + ["e5m7", "binary8p4se"]
LARGE = ["float32", "float64", "e8m15", "e11m20", "e12m20", "float128"]
WAYS = list(product(Rounding, Overflow))


def _slow(*values: object) -> object:
    return pytest.param(*values, marks=pytest.mark.slow)


def check(text: str, spec: FormatSpec, rounding: Rounding, overflow: Overflow) -> None:
    """A number's line, twice: when its code is new, and when it was there before."""
    try:
        literal = parse_literal(text, ReadAs.AUTO)
        report = DecodeReport.of(literal, spec, rounding, overflow)
    except InputError:  # NaN or overflow to it in a format without
        return
    whole = [ENCODE(entry) for entry in report.results()]
    for _ in range(2):
        assert DecodeReport.of(literal, spec, rounding, overflow).lines(ENCODE) == whole


@pytest.mark.parametrize(
    ("name", "step"), [*((name, 7) for name in SMALL), *(_slow(name, 1) for name in SMALL)]
)
def test_codes_of_small_formats(name: str, step: int) -> None:
    spec = find_format(name)
    for code in range(0, 1 << spec.bits, step if spec.bits > 8 else 1):
        check(f"0x{code:0{spec.code_digits}x}", spec, Rounding.TIES_TO_EVEN, Overflow.IEEE)


@pytest.mark.parametrize("name", LARGE)
def test_random_and_marginal_codes_of_large_formats(name: str) -> None:
    spec, draw = find_format(name), random.Random(name)
    ends = [0, spec.max_finite_magnitude, 1 << spec.fraction_bits, 2 << spec.fraction_bits]
    near = [end + step for end in ends for step in range(-3, 4)]
    some = [draw.getrandbits(spec.bits) for _ in range(300 if spec.bits <= 64 else 10)]
    for code in {*(abs(each) for each in near), *some}:
        for sign in (0, spec.sign_mask):
            text = f"0x{code ^ sign:0{spec.code_digits}x}"
            check(text, spec, Rounding.TIES_TO_EVEN, Overflow.IEEE)


@pytest.mark.parametrize(
    ("name", "count"),
    [
        *((name, 3_000) for name in ("float32", "float64")),
        *(_slow(name, 300_000) for name in ("float32", "float64")),
    ],
)
def test_many_random_codes(name: str, count: int) -> None:
    spec, draw = FORMATS[name], random.Random(count)
    for _ in range(count):
        text = f"0x{draw.getrandbits(spec.bits):0{spec.code_digits}x}"
        check(text, spec, draw.choice(list(Rounding)), Overflow.IEEE)


@pytest.mark.parametrize("name", ["float16", "bfloat16", "float32", "float64", "e8m15", "e11m20"])
def test_where_values_get_another_digit(name: str) -> None:
    spec = find_format(name)
    first, last = -spec.bias * 3 // 10, spec.bias * 3 // 10
    for power in range(first, last, 1 if spec.exponent_bits <= 8 else 7):
        for digit in ("1", "9", "9.99999999"):  # and to which the shortest decimal is rounded up
            text = f"{digit}e{power}"
            code = encode(parse_literal(text), spec).code
            for near in range(max(code - 4, 0), min(code + 5, spec.max_finite_magnitude)):
                for sign in (0, spec.sign_mask):
                    shown = f"0x{near | sign:0{spec.code_digits}x}"
                    check(shown, spec, Rounding.TIES_TO_EVEN, Overflow.IEEE)


@pytest.mark.parametrize("name", ["float32", "float64", "bfloat16"])
def test_whole_numbers_and_halves(name: str) -> None:
    for halves in range(3_000):
        check(f"{halves}.5", FORMATS[name], Rounding.TIES_TO_EVEN, Overflow.IEEE)
        check(f"-{halves * 997}", FORMATS[name], Rounding.TIES_TO_AWAY, Overflow.IEEE)


@pytest.mark.parametrize(("rounding", "overflow"), WAYS, ids=str)
def test_numbers_in_all_ways_to_round(rounding: Rounding, overflow: Overflow) -> None:
    draw = random.Random(1)
    texts = ["0", "-0", "1/3", "-1e400", "1e-400", "inf", "-nan", "max", "65519.99", "-1e99999999"]
    texts += [f"{draw.choice('-+')}{draw.random():.6}e{draw.randint(-45, 40)}" for _ in range(60)]
    for name in ("float32", "bfloat16", "float16", "float8_e4m3fn", "float8_e4m3fnuz", "e3m4"):
        for text in texts:
            check(text, find_format(name), rounding, overflow)


@pytest.mark.parametrize("name", ["float8_e4m3fn", "float8_e5m2", "float16", "float8_e8m0fnu"])
def test_what_is_inside_has_neighbours_of_its_kind(name: str) -> None:
    spec = FORMATS[name]
    found = 0
    for code in range(1 << spec.bits):
        if is_inside(code, spec):
            found += 1
            assert not is_nan(code, spec)
            for other in neighbours(code, spec):
                assert other is not None
                assert other != spec.infinity_magnitude
                assert other >> spec.fraction_bits == code >> spec.fraction_bits
    assert (found > 0) == (spec.fraction_bits > 1)
