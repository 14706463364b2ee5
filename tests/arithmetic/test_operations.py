"""Single operations, rounded once: against ml_dtypes, numpy, and a second rounding by search."""

from __future__ import annotations

import math
import operator
import random
from bisect import bisect_right
from collections.abc import Callable
from fractions import Fraction
from functools import lru_cache
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from fpx.arithmetic.operations import OPERATIONS, Context
from fpx.arithmetic.results import Coded, Target, coded, value_of
from fpx.arithmetic.surds import Tower
from fpx.core import codec
from fpx.core.formats import FORMATS
from fpx.core.names import find_format
from fpx.core.policy import Overflow, Rounding
from fpx.core.spec import FormatSpec
from fpx.report.calc import DIVIDE_BY_ZERO, INEXACT, INVALID, OVERFLOW, UNDERFLOW
from fpx.tensors.dtypes import array_dtype, cast_dtype, container, wrapped
from tests import oracle
from tests.helpers import BF16, E4M3, E5M2, E8M0, F16, F32

PLAIN: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
}
FP4 = FORMATS["float4_e2m1fn"]


_value_of = lru_cache(1 << 14)(value_of)


def run(operation: str, target: Target, *codes: int) -> Coded:
    """What fpx makes of an operation on codes."""
    operands = (_value_of(code, target.spec) for code in codes)
    return coded(OPERATIONS[operation](Context(target.rounding, Tower()), *operands), target)


def array(codes: Any, spec: FormatSpec) -> Any:
    dtype = array_dtype(spec)
    assert dtype is not None
    return np.asarray(codes, f"u{dtype.itemsize}").view(dtype)


def codes_of(x: Any) -> list[int]:
    found: list[int] = x.view(f"u{x.dtype.itemsize}").tolist()
    return found


def differences(operation: str, spec: FormatSpec, a: Any, b: Any) -> list[tuple[int, int]]:
    """Pairs of codes for which ml_dtypes or numpy gives something else. NaNs are one another.

    ml_dtypes computes in float32 and rounds that: of formats with up to 11 bits of precision, the
    second rounding changes nothing (Figueroa, "When is double rounding innocuous?", 1995).
    """
    with np.errstate(all="ignore"):
        theirs = codes_of(PLAIN[operation](array(a, spec), array(b, spec)))
    target = Target(spec)
    found = []
    for x, y, code in zip(a, b, theirs, strict=True):
        mine = run(operation, target, x, y).code
        if mine != code and not (codec.is_nan(mine, spec) and codec.is_nan(code, spec)):
            found.append((x, y))
    return found


@pytest.mark.parametrize(
    ("operation", "spec"),
    [("+", E4M3), ("*", E4M3), ("/", E4M3), *((name, E5M2) for name in PLAIN)],
    ids=lambda item: getattr(item, "name", item),
)
def test_all_pairs_of_8_bit_codes(operation: str, spec: FormatSpec) -> None:
    pairs = [divmod(pair, 256) for pair in range(1 << 16)]
    a, b = zip(*pairs, strict=True)
    assert differences(operation, spec, a, b) == []


OTHERS = [
    FORMATS[name]
    for name in (
        "float16", "bfloat16", "float8_e4m3fnuz", "float8_e5m2fnuz", "float8_e4m3b11fnuz",
        "float8_e4m3", "float8_e3m4",
    )
]  # fmt: skip


@pytest.mark.parametrize("spec", OTHERS, ids=lambda spec: spec.name)
@pytest.mark.parametrize("operation", PLAIN)
def test_pairs_of_other_codes(operation: str, spec: FormatSpec) -> None:
    draw = random.Random(1)
    a, b = ([draw.randrange(1 << spec.bits) for _ in range(2500)] for _ in "ab")
    # near each other too, where sums cancel
    near = [min(max(code + draw.randrange(-9, 9), 0), (1 << spec.bits) - 1) for code in a]
    assert differences(operation, spec, a + a, b + near) == []


@pytest.mark.parametrize("spec", oracle.SMALL + oracle.FAMILIES, ids=lambda spec: spec.name)
def test_every_rounding_and_overflow(spec: FormatSpec) -> None:
    draw = random.Random(2)
    for rounding in Rounding:
        for overflow in Overflow:
            if overflow is Overflow.NAN and spec.nan_code is None:
                continue
            target = Target(spec, rounding, overflow)
            for _ in range(30):
                a, b, c = (draw.randrange(1 << spec.bits) for _ in "abc")
                x, y, z = (value_of(code, spec).number for code in (a, b, c))
                if not (isinstance(x, Fraction) and isinstance(y, Fraction) and x and y):
                    continue
                expected = {name: plain(x, y) for name, plain in PLAIN.items()}
                for name, exact in expected.items():
                    if exact:
                        found = run(name, target, a, b).code
                        assert found == oracle.encode(exact, spec, rounding.value, overflow.value)
                if isinstance(z, Fraction) and x * y + z:
                    fused = oracle.encode(x * y + z, spec, rounding.value, overflow.value)
                    assert run("fma", target, a, b, c).code == fused


@pytest.mark.parametrize("spec", [F16, BF16], ids=lambda spec: spec.name)
def test_roots_of_all_16_bit_codes(spec: FormatSpec) -> None:
    every = array(range(1 << 16), spec)
    with np.errstate(all="ignore"):
        expected = codes_of(np.sqrt(every.astype(np.float32)).astype(every.dtype))
    target = Target(spec)
    for code, root in enumerate(expected):
        found = run("sqrt", target, code).code
        assert found == root or (codec.is_nan(found, spec) and codec.is_nan(root, spec)), hex(code)


def test_roots_of_float32() -> None:
    draw = random.Random(10)
    codes = [draw.randrange(0x7F800000) for _ in range(3000)]
    expected = np.sqrt(array(codes, F32)).view(np.uint32).tolist()
    assert [run("sqrt", Target(F32), code).code for code in codes] == expected


@pytest.mark.parametrize("rounding", Rounding)
def test_roots_in_every_rounding(rounding: Rounding) -> None:
    """A root is between two values exactly if its square is between their squares."""
    for spec in (E4M3, E5M2, E8M0, FP4, find_format("e4m6")):
        ladder, finite = oracle.values(spec)
        values = ladder[:finite]
        squares = [value * value for value in values]
        for code in range(finite):
            x = ladder[code]
            below = max(bisect_right(squares, x) - 1, 0)
            found = run("sqrt", Target(spec, rounding), code).code
            if squares[below] >= x or below + 1 == finite:
                assert found == below
                continue
            middle = (values[below] + values[below + 1]) / 2
            if rounding in (Rounding.TIES_TO_EVEN, Rounding.TIES_TO_AWAY):
                up = x > middle * middle
            elif rounding is Rounding.TO_ODD:
                up = below % 2 == 0
            else:
                up = rounding is Rounding.TOWARD_POSITIVE
            assert found == below + up


SPECIAL = (
    0x0000, 0x8000, 0x7C00, 0xFC00, 0x7E00, 0x3C00, 0xBC00, 0x7BFF, 0xFBFF, 0x0001, 0x8001,
)  # fmt: skip


@pytest.mark.parametrize("operation", PLAIN)
def test_special_values(operation: str) -> None:
    """Signs of zeros, infinities, and what is invalid, as the processor has them."""
    for a in SPECIAL:
        for b in SPECIAL:
            assert differences(operation, F16, [a], [b]) == [], (hex(a), hex(b))
            single = np.array([a, b], np.uint16).view(np.float16).astype(np.float32)
            with np.errstate(all="ignore"):
                wide = PLAIN[operation](*single)
            codes = [int(x) for x in single.view(np.uint32)]
            found = run(operation, Target(F32), *codes).code
            assert found == int(wide.view(np.uint32)) or (
                np.isnan(wide) and codec.is_nan(found, F32)
            )


def test_the_sign_of_a_zero_sum() -> None:
    one, minus = 0x3C00, 0xBC00
    for rounding in Rounding:
        zero = 0x8000 if rounding is Rounding.TOWARD_NEGATIVE else 0
        target = Target(F16, rounding)
        assert run("+", target, one, minus).code == zero
        assert run("-", target, one, one).code == zero
        assert run("+", target, 0, 0x8000).code == zero
        assert run("fma", target, one, one, minus).code == zero
        assert run("sum", target, one, minus).code == zero
        assert run("+", target, 0x8000, 0x8000).code == 0x8000
        assert run("-", target, 0x8000, 0).code == 0x8000
        assert run("+", target, 0, 0).code == 0
        assert run("sqrt", target, 0x8000).code == 0x8000
    assert run("-", Target(FORMATS["float8_e4m3fnuz"], Rounding.TOWARD_NEGATIVE), 8, 8).code == 0


def test_minimum_and_maximum() -> None:
    """IEEE 754-2019, 9.6: NaNs propagate, -0 < +0."""
    target = Target(F16)
    order = [0xFC00, 0xFBFF, 0xBC00, 0x8001, 0x8000, 0x0000, 0x0001, 0x3C00, 0x7BFF, 0x7C00]
    for i, a in enumerate(order):
        for j, b in enumerate(order):
            assert run("min", target, a, b) == Coded(order[min(i, j)], ())
            assert run("max", target, a, b) == Coded(order[max(i, j)], ())
            assert run("max", target, a, 0x3C00, b).code == order[max(i, j, 7)]
        for name in ("min", "max"):
            assert run(name, target, 0x7E01, a) == Coded(0x7E00, ())
            assert run(name, target, a, 0x7D01) == Coded(0x7E00, (INVALID,))


def test_signs_are_changed_without_rounding() -> None:
    target = Target(F16)
    for code in (0x0000, 0x8000, 0x7C00, 0xFC00, 0x3555):
        assert run("negate", target, code) == Coded(code ^ 0x8000, ())
        assert run("abs", target, code) == Coded(code & 0x7FFF, ())
    assert run("negate", target, 0x7D01) == Coded(0x7E00, ())  # signals nothing
    assert run("negate", Target(E8M0), 0x7F) == Coded(0xFF, (INEXACT, INVALID))
    assert run("negate", Target(FORMATS["float8_e4m3fnuz"]), 0) == Coded(0, ())


@pytest.mark.parametrize(
    ("operation", "codes", "code", "flags"),
    [
        ("-", (0x7C00, 0x7C00), 0x7E00, (INVALID,)),
        ("*", (0x0000, 0xFC00), 0x7E00, (INVALID,)),
        ("/", (0x0000, 0x8000), 0x7E00, (INVALID,)),
        ("/", (0x7C00, 0xFC00), 0x7E00, (INVALID,)),
        ("sqrt", (0xBC00,), 0x7E00, (INVALID,)),
        ("sqrt", (0xFC00,), 0x7E00, (INVALID,)),
        ("fma", (0x7C00, 0x0000, 0x3C00), 0x7E00, (INVALID,)),
        ("fma", (0x7C00, 0x3C00, 0xFC00), 0x7E00, (INVALID,)),
        ("+", (0x7D00, 0x3C00), 0x7E00, (INVALID,)),
        ("+", (0x7E00, 0x3C00), 0x7E00, ()),
        ("/", (0x3C00, 0x8000), 0xFC00, (DIVIDE_BY_ZERO,)),
        ("/", (0x7C00, 0x8000), 0xFC00, ()),
        ("/", (0xBC00, 0x7C00), 0x8000, ()),
        ("*", (0x7BFF, 0xC000), 0xFC00, (INEXACT, OVERFLOW)),
        ("*", (0x0001, 0x3800), 0x0000, (INEXACT, UNDERFLOW)),
        ("*", (0x0002, 0x3800), 0x0001, ()),  # a subnormal result that is exact
        ("dot", (0x3C00, 0x7C00, 0x3C00, 0x0000), 0x7E00, (INVALID,)),
        ("sum", (0x7C00, 0xFC00, 0x7E00), 0x7E00, (INVALID,)),
    ],
)
def test_exceptions(
    operation: str, codes: tuple[int, ...], code: int, flags: tuple[str, ...]
) -> None:
    assert run(operation, Target(F16), *codes) == Coded(code, flags)


@pytest.mark.parametrize(
    ("spec", "operation", "codes", "expected"),
    [
        (E4M3, "/", (0x38, 0x00), {"ieee": 0x7F, "saturate": 0x7E, "nan": 0x7F}),
        (E4M3, "/", (0x00, 0x00), {"ieee": 0x7F, "saturate": 0x7F, "nan": 0x7F}),
        (E4M3, "*", (0x7E, 0xFE), {"ieee": 0xFF, "saturate": 0xFE, "nan": 0xFF}),
        (FP4, "/", (0x2, 0x8), {"ieee": 0xF, "saturate": 0xF}),
        (FP4, "/", (0x0, 0x0), {"ieee": 0x0, "saturate": 0x0}),
        (FP4, "*", (0x7, 0xF), {"ieee": 0xF, "saturate": 0xF}),
        (E8M0, "-", (0x7F, 0x7F), {"ieee": 0xFF, "saturate": 0x00, "nan": 0xFF}),
    ],
)
def test_formats_without_infinity_or_nan(
    spec: FormatSpec, operation: str, codes: tuple[int, ...], expected: dict[str, int]
) -> None:
    for overflow, code in expected.items():
        assert run(operation, Target(spec, overflow=Overflow(overflow)), *codes).code == code


def to_precision(x: Fraction, spec: FormatSpec, rounding: Rounding) -> Fraction:
    """x rounded to the format's precision, with exponents that have no end."""
    exponent = math.floor(math.log2(abs(x)))  # few bits: exact enough, and mended below
    while abs(x) >= Fraction(2) ** (exponent + 1):
        exponent += 1
    while abs(x) < Fraction(2) ** exponent:
        exponent -= 1
    spacing = Fraction(2) ** (exponent - spec.fraction_bits)
    to_integer: Any = math.ceil if rounding is Rounding.TOWARD_POSITIVE else round
    return spacing * int(to_integer(x / spacing))


@pytest.mark.parametrize("rounding", [Rounding.TIES_TO_EVEN, Rounding.TOWARD_POSITIVE])
def test_tininess_is_detected_after_rounding(rounding: Rounding) -> None:
    between = 0
    for spec in (E5M2, find_format("e3m4")):
        target, smallest = Target(spec, rounding), spec.smallest_normal.fraction
        for a in range(1 << (spec.bits - 1)):
            for b in range(0, 1 << (spec.bits - 1), 5):
                x, y = (value_of(code, spec).number for code in (a, b))
                if not (isinstance(x, Fraction) and isinstance(y, Fraction) and x and y):
                    continue
                code, flags = run("*", target, a, b)
                assert (INEXACT in flags) == (value_of(code, spec).number != x * y)
                tiny = abs(to_precision(x * y, spec, rounding)) < smallest
                assert (UNDERFLOW in flags) == (tiny and INEXACT in flags)
                between += x * y < smallest and not tiny
    assert between  # some are tiny before they are rounded, and not after


_TORCH: dict[str, Callable[..., Tensor]] = {
    "+": torch.add, "-": torch.sub, "*": torch.mul, "/": torch.div, "sqrt": torch.sqrt,
    "negate": torch.neg, "abs": torch.abs, "min": torch.minimum, "max": torch.maximum,
}  # fmt: skip


# torch's roots of float32 are a library's, which rounds some of them wrongly
@pytest.mark.parametrize(
    ("operation", "spec"),
    [
        pytest.param(name, spec, id=f"{name}-{spec.name}")
        for spec in (F16, BF16, F32)
        for name in _TORCH
        if (name, spec) != ("sqrt", F32)
    ],
)
def test_as_torch_computes(operation: str, spec: FormatSpec) -> None:
    draw, target = random.Random(8), Target(spec)
    count = 1 if operation in ("sqrt", "negate", "abs") else 2
    kind, dtype = container(spec), cast_dtype(spec)
    codes = [[draw.randrange(1 << spec.bits) for _ in range(800)] for _ in range(count)]
    operands = [
        torch.tensor([wrapped(code, kind) for code in each], dtype=kind).view(dtype)
        for each in codes
    ]
    theirs = _TORCH[operation](*operands).view(kind).tolist()
    for *each, code in zip(*codes, theirs, strict=True):
        code %= 1 << spec.bits
        found = run(operation, target, *each).code
        if not (codec.is_nan(code, spec) and codec.is_nan(found, spec)):
            assert found == code, [hex(item) for item in each]


@pytest.mark.parametrize("spec", [F16, BF16], ids=lambda spec: spec.name)
def test_fused_products_of_16_bits(spec: FormatSpec) -> None:
    draw, (ladder, finite) = random.Random(9), oracle.values(spec)
    for rounding in Rounding:
        for _ in range(60):
            a, b = draw.randrange(finite), draw.randrange(finite)
            near = oracle.encode(ladder[a] * ladder[b], spec, "toward_zero", "saturate") or 0
            c = min(max(near - draw.randrange(-3, 300), 0), finite - 1)
            exact = ladder[a] * ladder[b] - ladder[c]
            if exact:
                code = run("fma", Target(spec, rounding), a, b, c | spec.sign_mask).code
                assert code == oracle.encode(exact, spec, rounding.value, "ieee")
