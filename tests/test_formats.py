"""The formats: names, constants from the specifications, custom and P3109 formats."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fpx.core import codec
from fpx.core.codec import Classification
from fpx.core.formats import AMBIGUOUS, FORMATS
from fpx.core.literals import to_literal
from fpx.core.names import find_format
from fpx.core.spec import FormatSpec
from fpx.errors import InputError

F = Fraction


# -- constants, typed from the specifications ------------------------------------------------------

# name: (bits, bias, emin, emax, max finite, smallest normal, smallest subnormal, epsilon)
CONSTANTS: dict[str, tuple[Any, ...]] = {
    # IEEE 754-2019, table 3.5
    "float128": (128, 16383, -16382, 16383, (2 - F(2) ** -112) * F(2) ** 16383, F(2) ** -16382,
                 F(2) ** -16494, F(2) ** -112),
    "float64": (64, 1023, -1022, 1023, (2 - F(2) ** -52) * F(2) ** 1023, F(2) ** -1022,
                F(2) ** -1074, F(2) ** -52),
    "float32": (32, 127, -126, 127, (2 - F(2) ** -23) * F(2) ** 127, F(2) ** -126, F(2) ** -149,
                F(2) ** -23),
    "float16": (16, 15, -14, 15, F(65504), F(2) ** -14, F(2) ** -24, F(2) ** -10),
    # NVIDIA A100 whitepaper: float32's exponent, float16's fraction
    "tfloat32": (19, 127, -126, 127, (2 - F(2) ** -10) * F(2) ** 127, F(2) ** -126, F(2) ** -136,
                 F(2) ** -10),
    # Intel, BFLOAT16 Hardware Numerics Definition
    "bfloat16": (16, 127, -126, 127, (2 - F(2) ** -7) * F(2) ** 127, F(2) ** -126, F(2) ** -133,
                 F(2) ** -7),
    # OCP OFP8 v1.0, table 2
    "float8_e4m3fn": (8, 7, -6, 8, F(448), F(2) ** -6, F(2) ** -9, F(1, 8)),
    "float8_e5m2": (8, 15, -14, 15, F(57344), F(2) ** -14, F(2) ** -16, F(1, 4)),
    # Noune et al. 2022, table 2
    "float8_e4m3fnuz": (8, 8, -7, 7, F(240), F(2) ** -7, F(2) ** -10, F(1, 8)),
    "float8_e5m2fnuz": (8, 16, -15, 15, F(57344), F(2) ** -15, F(2) ** -17, F(1, 4)),
    # ml_dtypes' README and LLVM's APFloat.h
    "float8_e4m3b11fnuz": (8, 11, -10, 4, F(30), F(2) ** -10, F(2) ** -13, F(1, 8)),
    "float8_e4m3": (8, 7, -6, 7, F(240), F(2) ** -6, F(2) ** -9, F(1, 8)),
    "float8_e3m4": (8, 3, -2, 3, F(31, 2), F(1, 4), F(1, 64), F(1, 16)),
    # OCP MX v1.0, tables 2 to 7
    "float8_e8m0fnu": (8, 127, -127, 127, F(2) ** 127, F(2) ** -127, None, F(1)),
    "float6_e2m3fn": (6, 1, 0, 2, F(15, 2), F(1), F(1, 8), F(1, 8)),
    "float6_e3m2fn": (6, 3, -2, 4, F(28), F(1, 4), F(1, 16), F(1, 4)),
    "float4_e2m1fn": (4, 1, 0, 2, F(6), F(1), F(1, 2), F(1, 2)),
}  # fmt: skip


def test_every_format_has_its_constants_in_the_table() -> None:
    assert set(CONSTANTS) == set(FORMATS)


@pytest.mark.parametrize("name", CONSTANTS)
def test_constants_are_the_specifications(name: str) -> None:
    spec = FORMATS[name]
    subnormal = spec.smallest_subnormal
    assert (
        spec.bits,
        spec.bias,
        spec.emin,
        spec.emax,
        spec.max_finite.fraction,
        spec.smallest_normal.fraction,
        None if subnormal is None else subnormal.fraction,
        spec.machine_epsilon.fraction,
    ) == CONSTANTS[name]
    assert spec.citation


@pytest.mark.parametrize("spec", [s for s in FORMATS.values() if s.ml_dtypes], ids=lambda s: s.name)
def test_constants_are_ml_dtypes(spec: FormatSpec) -> None:
    info: Any = ml_dtypes.finfo(getattr(ml_dtypes, str(spec.ml_dtypes)))  # type: ignore[no-untyped-call]
    assert info.bits == spec.bits
    assert F(float(info.max)) == spec.max_finite.fraction
    assert F(float(info.smallest_normal)) == spec.smallest_normal.fraction
    assert F(float(info.eps)) == spec.machine_epsilon.fraction
    if spec.smallest_subnormal is not None:
        assert F(float(info.smallest_subnormal)) == spec.smallest_subnormal.fraction


@pytest.mark.parametrize("spec", [s for s in FORMATS.values() if s.torch], ids=lambda s: s.name)
def test_every_code_decodes_as_torch_says(spec: FormatSpec) -> None:
    dtype = getattr(torch, str(spec.torch))
    if spec.bits > 16 or spec.name == "float4_e2m1fn":  # torch's packs two codes, casts none
        assert dtype.itemsize * 8 == max(spec.bits, 8)
        return
    storage = {8: torch.uint8, 16: torch.int16}[spec.bits]
    codes = torch.arange(1 << spec.bits).to(storage)
    for code, expected in enumerate(codes.view(dtype).to(torch.float64).tolist()):
        value = codec.decode(code, spec)
        if value is not None:
            assert value.fraction == F(expected)
        else:
            infinite = codec.classify(code, spec) is Classification.INFINITY
            assert abs(expected) == float("inf") if infinite else expected != expected


def test_libraries_have_what_the_rows_say() -> None:
    for spec in FORMATS.values():
        for module, name in ((np, spec.numpy), (ml_dtypes, spec.ml_dtypes), (torch, spec.torch)):
            assert name is None or hasattr(module, name), (spec.name, name)


# -- names -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("bf16", "bfloat16"), ("BF16", "bfloat16"), ("torch.bfloat16", "bfloat16"),
        ("half", "float16"), ("binary16", "float16"), ("np.float16", "float16"),
        ("<f4", "float32"), ("FLOAT", "float32"), ("double", "float64"), ("tf32", "tfloat32"),
        ("F8_E4M3", "float8_e4m3fn"), ("FLOAT8E4M3FN", "float8_e4m3fn"),
        ("__nv_fp8_e4m3", "float8_e4m3fn"), ("CUDA_R_8F_E4M3", "float8_e4m3fn"),
        ("F8_E8M0", "float8_e8m0fnu"), ("ue8m0", "float8_e8m0fnu"), ("F4", "?"), ("fp4",
        "float4_e2m1fn"), ("e5m2", "float8_e5m2"), ("e3m4", "float8_e3m4"),
        ("F6_E2M3", "float6_e2m3fn"), ("quad", "float128"), ("binary128", "float128"),
        ("e5m10", "float16"), ("float16_e5m10", "float16"), ("e05m010", "float16"),
        ("e5m10b15", "float16"), ("e8m23", "float32"), ("e4m3b11fnuz", "float8_e4m3b11fnuz"),
        ("e4m3b7", "float8_e4m3"), ("float8_e4m3", "float8_e4m3"), ("e2m3b1fn", "float6_e2m3fn"),
        ("float6_e2m3", "float6_e2m3"), ("e5m7", "e5m7"), ("float13_e5m7", "e5m7"),
        ("binary8p4se", "binary8p4se"), ("p3109_Binary8p4SE", "binary8p4se"),
        ("e4m3", "?"), ("fp8", "?"), ("f8", "?"), ("e2m1", "?"), ("fp6", "?"),
    ],
)  # fmt: skip
def test_names(name: str, found: str) -> None:
    if found == "?":
        with pytest.raises(InputError, match="is ambiguous: write") as error:
            find_format(name)
        for candidate in AMBIGUOUS[name.lower()]:
            assert candidate in str(error.value)
            find_format(candidate)
        return
    spec = find_format(name)
    assert spec.name == found
    assert find_format(spec.name) is spec


@pytest.mark.parametrize(
    "name",
    ["float33", "e0m4", "e20m3", "e8m60", "e4m3fnu", "float9_e4m3fn", "e2", "m3", "e1m0", "e1m3",
     "binary8p8se", "binary8p0se", "binary1p1ue", "binary65p4se", "binary8p4", "e4m3b999999", "",
     "bf16;", "e5m7\n9"],
)  # fmt: skip
def test_names_that_are_none(name: str) -> None:
    with pytest.raises(InputError) as error:
        find_format(name)
    assert "\n" not in str(error.value)


def test_one_format_is_one_object() -> None:
    assert find_format("e5m7") is find_format("float13_E5M7")
    assert find_format("binary8p4se") is find_format("p3109_binary8p4se")


def test_no_alias_names_two_formats() -> None:
    seen: dict[str, str] = {}
    for spec in FORMATS.values():
        for alias in (spec.name, *spec.aliases):
            assert seen.setdefault(alias, spec.name) == spec.name, alias
            assert alias not in AMBIGUOUS, alias


# -- families --------------------------------------------------------------------------------------


@given(st.integers(2, 11), st.integers(1, 52))
def test_custom_formats_follow_ieee(exponent_bits: int, fraction_bits: int) -> None:
    spec = find_format(f"float{1 + exponent_bits + fraction_bits}_e{exponent_bits}m{fraction_bits}")
    assert spec.bias == spec.emax == 2 ** (exponent_bits - 1) - 1
    assert spec.emin == 1 - spec.emax
    precision = fraction_bits + 1
    assert spec.max_finite.fraction == (2 - F(2) ** (1 - precision)) * F(2) ** spec.emax
    assert spec.infinity
    assert spec.nan_code == (1 << (exponent_bits + fraction_bits)) - (1 << (fraction_bits - 1))
    assert codec.encode(to_literal("inf"), spec).code == spec.nan_code & ~spec.quiet_bit


@given(st.floats(allow_nan=False))
def test_custom_formats_equal_the_libraries(x: float) -> None:
    with np.errstate(over="ignore"):
        for name, kind in (("e5m10", np.float16), ("e8m23", np.float32), ("e11m52", np.float64)):
            expected = np.asarray(kind(x))
            bits = int(expected.view(f"u{expected.itemsize}"))
            assert codec.encode(to_literal(x), find_format(name)).code == bits
    through = np.float32(x) if abs(x) < 3.5e38 else None
    if through is not None and float(through) == x:  # torch's bfloat16 goes through float32
        bits = int(torch.tensor(x, dtype=torch.float32).to(torch.bfloat16).view(torch.int16))
        assert codec.encode(to_literal(x), find_format("e8m7")).code == bits & 0xFFFF


# IEEE P3109: code x stands for, with P precision bits and exponent bias B: zero at 0, NaN at
# 2^(K-1) (signed) or 2^K - 1 (unsigned), infinity at the largest magnitude below. By hand:
P3109 = {
    "binary3p2se": ["0", "1/2", "1", "inf", "nan", "-1/2", "-1", "-inf"],
    "binary3p2sf": ["0", "1/2", "1", "3/2", "nan", "-1/2", "-1", "-3/2"],
    "binary3p1se": ["0", "1/2", "1", "inf", "nan", "-1/2", "-1", "-inf"],
    "binary3p1sf": ["0", "1/2", "1", "2", "nan", "-1/2", "-1", "-2"],
    "binary3p2ue": ["0", "1/4", "1/2", "3/4", "1", "3/2", "inf", "nan"],
    "binary3p2uf": ["0", "1/4", "1/2", "3/4", "1", "3/2", "2", "nan"],
    "binary3p1ue": ["0", "1/8", "1/4", "1/2", "1", "2", "inf", "nan"],
    "binary3p3uf": ["0", "1/4", "1/2", "3/4", "1", "5/4", "3/2", "nan"],
    "binary4p2se": ["0", "1/4", "1/2", "3/4", "1", "3/2", "2", "inf",
                    "nan", "-1/4", "-1/2", "-3/4", "-1", "-3/2", "-2", "-inf"],
    "binary4p3sf": ["0", "1/4", "1/2", "3/4", "1", "5/4", "3/2", "7/4",
                    "nan", "-1/4", "-1/2", "-3/4", "-1", "-5/4", "-3/2", "-7/4"],
    "binary5p3sf": ["0", "1/8", "1/4", "3/8", "1/2", "5/8", "3/4", "7/8", "1", "5/4", "3/2", "7/4",
                    "2", "5/2", "3", "7/2"],
}  # fmt: skip

# from the draft's definition: K, P -> (smallest positive, 1.0, largest finite, extended)
P3109_LARGER = {
    "binary6p3se": (F(1, 32), 16, F(12)),
    "binary7p3se": (F(1, 512), 32, F(192)),
    "binary8p1se": (F(2) ** -63, 64, F(2) ** 62),
    "binary8p3se": (F(2) ** -17, 64, F(49152)),
    "binary8p4se": (F(2) ** -10, 64, F(224)),
    "binary8p4sf": (F(2) ** -10, 64, F(240)),
    "binary8p5se": (F(2) ** -7, 64, F(15)),
    "binary8p7sf": (F(1, 64), 64, F(127, 64)),
}


@pytest.mark.parametrize("name", P3109)
def test_p3109_values(name: str) -> None:
    spec = find_format(name)
    for code, text in enumerate(P3109[name]):
        value, kind = codec.decode(code, spec), codec.classify(code, spec)
        if text == "nan":
            assert kind is Classification.NAN
        elif text.endswith("inf"):
            assert kind is Classification.INFINITY
            assert bool(code & spec.sign_mask) == text.startswith("-")
        else:
            assert value is not None
            assert value.fraction == F(text), hex(code)


@pytest.mark.parametrize("name", P3109_LARGER)
def test_p3109_extremes(name: str) -> None:
    spec = find_format(name)
    smallest, one, largest = P3109_LARGER[name]
    assert spec.finite(1).fraction == smallest
    assert spec.finite(one).fraction == 1
    assert spec.max_finite.fraction == largest
    assert spec.nan_code == 0x80 >> (8 - spec.bits)
    assert (spec.infinity_magnitude is None) == name.endswith("f")
