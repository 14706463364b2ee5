"""Encode and decode against numpy, ml_dtypes and an independent oracle."""

from __future__ import annotations

import random
import struct
from fractions import Fraction
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, reject
from hypothesis import strategies as st

from fpx.core import codec
from fpx.core.codec import Classification
from fpx.core.formats import FORMATS
from fpx.core.literals import ReadAs, parse_literal, to_literal
from fpx.core.names import find_format
from fpx.core.policy import Overflow, Rounding
from fpx.core.shortest import shortest_decimal
from fpx.core.spec import FormatSpec
from fpx.errors import InputError
from fpx.report.decode import DecodeReport
from tests import oracle
from tests.helpers import BF16, F16, F32, F64, encode, results

SIXTEEN = [F16, BF16]
SMALL = [*oracle.SMALL, *oracle.FAMILIES]


def numpy_dtype(spec: FormatSpec) -> np.dtype[Any]:
    kind: Any = getattr(ml_dtypes, spec.name, None) or getattr(np, spec.name)
    dtype: np.dtype[Any] = np.dtype(kind)
    return dtype


@pytest.mark.parametrize("spec", [*SIXTEEN, *oracle.SMALL], ids=lambda s: s.name)
def test_every_code_decodes_as_the_libraries_say(spec: FormatSpec) -> None:
    storage = np.uint16 if spec.bits > 8 else np.uint8
    with np.errstate(invalid="ignore"):  # signaling NaNs
        codes = np.arange(1 << spec.bits, dtype=storage)
        oracle = codes.view(numpy_dtype(spec)).astype(np.float64)
    for code, expected in enumerate(oracle.tolist()):
        value = codec.decode(code, spec)
        kind = codec.classify(code, spec)
        if value is None:
            assert (kind is Classification.INFINITY) == np.isinf(expected)
            assert codec.is_nan(code, spec) == np.isnan(expected)
        else:
            assert value.fraction == Fraction(expected)
            assert bool(code & spec.sign_mask) == (np.copysign(1, expected) < 0)


@pytest.mark.parametrize("spec", [*SIXTEEN, *SMALL], ids=lambda s: s.name)
def test_every_value_encodes_to_its_code(spec: FormatSpec) -> None:
    for code in range(1 << spec.bits):
        value = codec.decode(code, spec)
        if value is None or (value.significand == 0 and code):
            continue
        assert encode(value.fraction, spec) == code
        for text in (value.decimal, value.hex_float, shortest_decimal(code, spec)):
            found = codec.encode(parse_literal(text, read_as=ReadAs.VALUE), spec)
            assert found.code == code, text


@pytest.mark.parametrize("spec", SIXTEEN, ids=lambda s: s.name)
@pytest.mark.parametrize("power", [30, 80])
def test_every_midpoint_and_both_its_sides(spec: FormatSpec, power: int) -> None:
    ladder, finite = oracle.values(spec)
    tiny = Fraction(1, 1 << power)
    for low in range(finite):
        midpoint = (ladder[low] + ladder[low + 1]) / 2
        assert encode(midpoint * (1 - tiny), spec) == low
        assert encode(midpoint, spec) == low + low % 2
        assert encode(midpoint * (1 + tiny), spec) == low + 1
    assert encode(-midpoint, spec) == (spec.sign_mask | finite)


MODES = [(rounding, overflow) for rounding in Rounding for overflow in Overflow]


@pytest.mark.parametrize("spec", [*SIXTEEN, *SMALL], ids=lambda s: s.name)
def test_every_mode_against_the_reference(spec: FormatSpec) -> None:
    _check_every_mode(spec, step=97 if spec.bits > 8 else 1)


@pytest.mark.slow
@pytest.mark.parametrize("spec", SIXTEEN, ids=lambda s: s.name)
def test_every_mode_at_every_value_of_16_bits(spec: FormatSpec) -> None:
    _check_every_mode(spec, step=1)


def _check_every_mode(spec: FormatSpec, step: int) -> None:
    """Values, midpoints and both their sides, every `step`-th of them, in every mode."""
    ladder, finite = oracle.values(spec)
    tiny = Fraction(1, 1 << 60)
    for low in sorted({*range(0, finite, step), 0, 1, 2, finite - 2, finite - 1}):
        around = [ladder[low], (ladder[low] + ladder[low + 1]) / 2, ladder[low + 1]]
        for x in [y * (1 + k * tiny) for y in around for k in (-1, 0, 1)]:
            for signed in (x, -x):
                if signed:
                    _check_modes(signed, spec)


def _check_modes(x: Fraction, spec: FormatSpec) -> None:
    literal = to_literal(x)
    for rounding, overflow in MODES:
        expected = oracle.encode(x, spec, rounding.value, overflow.value)
        if expected is None:
            with pytest.raises(InputError, match="no NaN"):
                codec.encode(literal, spec, rounding, overflow)
            continue
        got = codec.encode(literal, spec, rounding, overflow).code
        assert got == expected, (spec.name, x, rounding, overflow, hex(got), hex(expected))


# Results to hold on to: each is wrong in something that goes through a float on the way.
EXACT = [
    ("3.14", "bfloat16", 0x4049),
    ("3.14", "float16", 0x4248),
    ("3.14", "float32", 0x4048F5C3),
    ("1.00390625000000000001", "bfloat16", 0x3F81),
    ("257.00001", "bfloat16", 0x4381),
    ("2049.0000000000001", "float16", 0x6801),
    ("65519.999999999999", "float16", 0x7BFF),
    ("3.3961775e38", "bfloat16", 0x7F7F),
    ("1.000000059604644775390626", "float32", 0x3F800001),
    ("1.00048828125" + "0" * 100_000 + "1", "float16", 0x3C01),
    ("65520", "float16", 0x7C00),
    ("2.98023223876953125e-8", "float16", 0x0000),
    ("460", "float8_e4m3fn", 0x7E),
    ("464", "float8_e4m3fn", 0x7E),
    ("465", "float8_e4m3fn", 0x7F),
    ("-0.0001", "float8_e4m3fnuz", 0x00),
    ("5", "float4_e2m1fn", 6),
    ("2.5", "float4_e2m1fn", 4),
    ("0.25", "float4_e2m1fn", 0),
    ("3.0", "float8_e8m0fnu", 128),
    ("0.75", "float8_e8m0fnu", 126),
    ("1e-999999999", "float32", 0),
    ("1e999999999999999999999", "float32", 0x7F800000),
    ("-1e" + "9" * 5000, "float64", 0xFFF0 << 48),
    ("0x1p-999999999999999999999", "float64", 0),
    ("1" + "0" * 1_000_000 + "e-1000000", "float16", 0x3C00),
    ("0x1." + "0" * 1_000_000 + "1", "float16", 0x3C00),
    ("1" * 500_000 + "/" + "1" * 500_000, "float16", 0x3C00),
]


@pytest.mark.parametrize(("text", "name", "code"), EXACT, ids=lambda v: str(v)[:24])
def test_exact_results(text: str, name: str, code: int) -> None:
    spec = FORMATS[name]
    assert codec.encode(parse_literal(text), spec).code == code


def test_saturation_of_e4m3fn() -> None:
    spec = FORMATS["float8_e4m3fn"]
    assert encode("465", spec, overflow=Overflow.SATURATE) == 0x7E
    assert encode("-inf", spec, overflow=Overflow.SATURATE) == 0xFE
    assert encode("inf", spec) == 0x7F


@pytest.mark.parametrize("seed", range(4))
def test_random_float32_and_float64_codes(seed: int) -> None:
    rng = np.random.default_rng(seed)
    for spec, storage, kind in ((F32, np.uint32, np.float32), (F64, np.uint64, np.float64)):
        codes = rng.integers(0, np.iinfo(storage).max, 60_000, dtype=storage, endpoint=True)
        floats = codes.view(kind)
        for code, x in zip(codes.tolist(), floats.tolist(), strict=True):
            value = codec.decode(code, spec)
            if value is None:
                assert not np.isfinite(x)
                continue
            assert value.fraction == Fraction(x)
            assert encode(x, spec) == code


@st.composite
def custom_formats(draw: st.DrawFn) -> FormatSpec:
    """Any small custom format: every kind of special values, biases of either sign."""
    exponent_bits, fraction_bits = draw(st.integers(1, 5)), draw(st.integers(0, 4))
    bias = draw(st.none() | st.integers(-60, 90))
    suffix = draw(st.sampled_from(["", "fn", "fnuz", "fnu"]))
    bias_text = "" if bias is None else f"b{bias}"
    try:
        return find_format(f"e{exponent_bits}m{fraction_bits}{bias_text}{suffix}")
    except InputError:
        reject()


@st.composite
def number_texts(draw: st.DrawFn) -> str:
    sign, digits = draw(st.sampled_from(["", "-"])), draw(st.integers(1, 10**9))
    power = draw(st.integers(-45, 45))
    return draw(
        st.sampled_from(
            [
                f"{sign}{digits}e{power}",
                f"{sign}{digits}.{digits}",
                f"{sign}{digits}/{abs(power) + 1}",
                f"{sign}0x{digits:x}p{3 * power}",
            ]
        )
    )


@given(
    custom_formats(), number_texts(), st.sampled_from(list(Rounding)),
    st.sampled_from(list(Overflow)),
)  # fmt: skip
def test_any_custom_format_rounds_as_the_reference_does(
    spec: FormatSpec, text: str, rounding: Rounding, overflow: Overflow
) -> None:
    literal, x = parse_literal(text), value_of(text)
    expected = oracle.encode(x, spec, rounding.value, overflow.value)
    try:
        code = codec.encode(literal, spec, rounding, overflow).code
    except InputError:
        assert expected is None
        return
    assert code == expected
    (entry,) = DecodeReport.of(literal, spec, rounding, overflow).results()
    if codec.decode(code, spec) is not None:
        assert Fraction(entry["rounding_error"]) == Fraction(entry["value"]) - x
    if not codec.is_nan(code, spec):
        shortest = parse_literal(shortest_decimal(code, spec))
        assert codec.encode(shortest, spec).code == code


def value_of(text: str) -> Fraction:
    """A decimal, fraction or hex float, read another way."""
    if "p" not in text:
        return Fraction(text)
    mantissa, _, power = text.partition("p")
    return int(mantissa, 16) * Fraction(2) ** int(power)


def test_random_decimals_round_as_python_and_the_reference_do() -> None:
    rng = random.Random(7)
    for _ in range(20_000):
        text = f"{rng.randrange(10 ** rng.randrange(1, 25))}e{rng.randrange(-345, 320)}"
        (expected,) = struct.unpack("Q", struct.pack("d", float(text)))
        assert encode(text, F64) == expected
    for _ in range(3_000):
        text = f"{rng.randrange(10 ** rng.randrange(1, 30))}e{rng.randrange(-40, 10)}"
        if x := Fraction(text):
            assert encode(text, F16) == oracle.encode(x, F16, "ties_to_even", "ieee")


def test_neighbours_are_numpys() -> None:
    up, down = np.float16(np.inf), np.float16(-np.inf)
    for code in range(1 << 16):
        x = np.uint16(code).view(np.float16)
        if np.isnan(x):
            assert codec.neighbours(code, F16) == (None, None)
            continue
        lower, upper = codec.neighbours(code, F16)
        for found, direction in ((lower, down), (upper, up)):
            if found is None:
                assert x == direction
            else:
                with np.errstate(all="ignore"):
                    assert np.uint16(found).view(np.float16) == np.nextafter(x, direction)


def test_ulp_changes_at_a_power_of_two() -> None:
    below = codec.encode(parse_literal("0.999"), BF16).ulp_exponent
    above = codec.encode(parse_literal("1.001"), BF16).ulp_exponent
    assert (below, above) == (-8, -7)
    assert codec.encode(parse_literal("1e-45"), BF16).ulp_exponent == BF16.quantum_exponent
    assert codec.encode(parse_literal("1e40"), BF16).ulp_exponent == 127 - 7


def test_nan_literals() -> None:
    for text, code in (
        ("nan", 0x7E00), ("-nan", 0xFE00), ("nan(0x1)", 0x7E01), ("snan", 0x7C01),
        ("-snan(3)", 0xFC03),
    ):  # fmt: skip
        assert encode(text, F16) == code
    assert codec.classify(0x7C01, F16) is Classification.SIGNALING_NAN
    assert encode("-nan", FORMATS["float8_e4m3fnuz"]) == 0x80


@pytest.mark.parametrize(
    ("text", "exponent"),
    [
        ("0x3c00", -10),
        ("0x3bff", -11),
        ("0x0400", -24),  # the smallest normal
        ("0x0001", -24),  # a subnormal: never less than the quantum
        ("0x8000", -24),
        ("0x7bff", 5),
        ("0x7c00", None),
    ],
)
def test_a_given_code_has_an_ulp(text: str, exponent: int | None) -> None:
    (entry,) = results("decode", text, "--dtype", "fp16")
    expected = None if exponent is None else Fraction(2) ** exponent
    assert (entry["ulp"] and Fraction(entry["ulp"])) == expected


@pytest.mark.parametrize(
    ("overflow", "codes"),
    [("ieee", ["0xff"] * 3), ("nan", ["0xff"] * 3), ("saturate", ["0x00"] * 3)],
)
def test_numbers_that_no_value_is_near_are_invalid(overflow: str, codes: list[str]) -> None:
    """float8_e8m0fnu has neither sign nor zero (IEEE 754-2019, 7.2: an invalid operation)."""
    found = results("encode", "-1", "-inf", "0", "--dtype", "e8m0", "--overflow", overflow)
    assert [entry["code"] for entry in found] == codes
    assert [entry["flags"] for entry in found] == [["inexact", "invalid"]] * 3


@pytest.mark.parametrize("overflow", ["ieee", "saturate"])
@pytest.mark.parametrize("name", ["e8m0", "e4m0b20fnu", "binary8p4uf", "binary8p1ue"])
def test_a_number_below_all_values_has_the_ulp_of_its_magnitude(name: str, overflow: str) -> None:
    spec = find_format(name)
    for value in map(Fraction, ("-8", "-0.3", "-1e-3", "-1e40", "-1e-40")):
        (entry,) = results("decode", str(value), "--dtype", name, "--overflow", overflow)
        if "invalid" not in entry["flags"]:  # so near to a zero that it becomes that
            continue
        binade = max(n for n in range(-200, 200) if Fraction(2) ** n <= -value)
        ulp = Fraction(2) ** (min(max(binade, spec.emin), spec.emax) - spec.fraction_bits)
        assert Fraction(entry["ulp"]) == ulp
        if entry["error_ulp"] is not None:
            assert Fraction(entry["error_ulp"]) == (Fraction(entry["value"]) - value) / ulp
            (calculated,) = results("calc", f"[{value}]", "--dtype", name, "--overflow", overflow)
            assert calculated["error_ulp"] == entry["error_ulp"]
