"""Numbers to elements with scales: vectors, every code, and searches among all that is allowed."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fpx.core.blocks import BLOCK_FORMATS
from fpx.core.choices import POWERS_OF_TWO, NonFinite, ScaleRule
from fpx.core.elements import emax, largest
from fpx.core.packing import Packing, unpack
from fpx.core.quantise import (
    Datum,
    QuantisedBlock,
    dequantise,
    global_scale,
    quantise,
    scale_code,
    scale_value,
    wanted_scale,
)
from fpx.core.scaled_names import with_rule
from fpx.core.scaling import ScaledFormat
from fpx.core.targets import find_target
from fpx.errors import InputError
from tests import scaled_oracle as oracle

VECTORS: dict[str, Any] = json.loads(Path(__file__).with_name("block_vectors.json").read_text())
MX = [BLOCK_FORMATS[name] for name in oracle.MX]
NAN, INFINITY = Datum(None), Datum(None, infinite=True)
MINUS_INFINITY, MINUS_ZERO = Datum(None, True, True), Datum(Fraction(0), True)
ZERO, ONE = Datum.of(0), Datum.of(1)


def scaled(name: str) -> ScaledFormat:
    found = find_target(name)
    assert isinstance(found, ScaledFormat)
    return found


def datum(text: str) -> Datum:
    value = float.fromhex(text)
    negative = math.copysign(1, value) < 0
    finite = math.isfinite(value)
    return Datum(Fraction(value) if finite else None, negative, math.isinf(value))


def block_of(texts: Iterable[str], size: int) -> list[Datum]:
    found = [datum(text) for text in texts]
    return found + [ZERO] * (size - len(found))


def value_of(text: str) -> Fraction | None:
    """`3*2^126`, `0.5`, `-0`, `nan`."""
    if text == "nan":
        return None
    number, _, power = text.partition("*2^")
    return Fraction(number) * Fraction(2) ** int(power or 0)


def named(vectors: str) -> pytest.MarkDecorator:
    found = VECTORS[vectors]
    return pytest.mark.parametrize("vector", found, ids=[each["id"] for each in found])


# -- vectors ---------------------------------------------------------------------------------------


def test_all_vectors_are_here() -> None:
    assert sum(len(VECTORS[key]) for key in VECTORS if key != "about") == 45


@named("encode")
def test_vectors_of_one_block(vector: dict[str, Any]) -> None:
    target = scaled(vector["target"])
    block = quantise(block_of(vector["input"].split(), 32), target)
    values = [value_of(text) for text in vector["values"].split()]
    assert block.scale_code == vector["scale"]
    if vector["codes"] is None:
        assert block.values == (None,) * 32
        return
    codes = [int(each, 16) for each in vector["codes"].split()]
    assert block.codes == (*codes, *[0] * (32 - len(codes)))
    assert block.values == (*values, *[Fraction(0)] * (32 - len(values)))
    assert sum(block.clipped) == vector["clipped"]
    assert sum(block.flushed) == vector.get("flushed", sum(block.flushed))
    assert dequantise(block.codes, target, block.scale) == block.values
    for key, packing in (("low_first", Packing.LOW_FIRST), ("high_first", Packing.HIGH_FIRST)):
        found = list(unpack([bytes.fromhex(vector.get(key, ""))], target.bits, packing))
        assert all(block.codes[at] == code for at, code in enumerate(found))
    if "gguf" in vector:
        scale, *halves = bytes.fromhex(vector["gguf"])
        assert scale == block.scale_code
        assert [each & 15 for each in halves] + [each >> 4 for each in halves] == [*block.codes]


@named("tensors")
def test_vectors_of_tensors_with_a_global_scale(vector: dict[str, Any]) -> None:
    target = scaled(vector["target"])
    blocks = [block_of(texts, 16) for texts in vector["blocks"]]
    amax = max(abs(each.value or Fraction(0)) for block in blocks for each in block)
    assert amax == Fraction(float.fromhex(vector["amax"]))
    _, shared = global_scale(amax, target)
    assert shared == Fraction(vector["global"])
    found = [quantise(block, target, shared) for block in blocks]
    assert [block.scale_code for block in found] == vector["scales"]
    assert "".join(f"{code:x}" for block in found for code in block.codes) == vector["codes"]
    for block, texts in zip(found, vector["values"], strict=True):
        assert [*block.values] == [value_of(text) for text in texts.split()]
        assert dequantise(block.codes, target, block.scale, shared) == block.values
    assert sum(sum(block.clipped) for block in found) == vector["clipped"]
    assert sum(sum(block.flushed) for block in found) == vector["flushed"]
    for key, packing in (("low_first", Packing.LOW_FIRST), ("high_first", Packing.HIGH_FIRST)):
        codes = unpack([bytes.fromhex(vector[key])], 4, packing)
        assert [*codes] == [code for block in found for code in block.codes]


@named("decode")
def test_vectors_that_are_decoded(vector: dict[str, Any]) -> None:
    target = scaled(vector["target"])
    scale = scale_value(vector["scale"], target)
    found = dequantise(vector["codes"], target, scale)
    assert [*found] == [value_of(text) for text in vector["values"]]


@named("open")
def test_vectors_on_which_nobody_agrees_become_nan_blocks_of_the_nan_alone(
    vector: dict[str, Any],
) -> None:
    target = scaled(vector["target"])
    if "input" in vector:
        block = quantise(block_of(vector["input"].split(), 32), target)
        assert (block.scale_code, block.scale) == (0xFF, None)
        assert block.values == (None,) * 32
        return
    first, second = (quantise(block_of(texts, 16), target) for texts in vector["blocks"])
    assert None not in first.values
    assert (second.scale_code, second.values) == (0x7F, (None,) * 16)


def test_the_vector_of_tiles() -> None:
    vector = VECTORS["layouts"]["fp8-128x128"]
    target = scaled("e4m3fn:block=128x128")
    (row, column), (rows, columns) = vector["element"], (target.reach.rows, target.reach.columns)
    assert [row // rows, column // columns] == vector["scale_index"]
    scale = Fraction(float.fromhex(vector["scale_inv"]))
    found = dequantise([int(vector["weight_code"], 16)], target, scale)
    assert found == (Fraction(vector["value"]),)


def test_the_vector_of_nibbles() -> None:
    vector = VECTORS["layouts"]["nibbles"]
    codes = [int(each, 16) for each in vector["codes"]]
    low, high = (
        bytes.fromhex(vector["low_nibble_first"]),
        bytes.fromhex(vector["high_nibble_first"]),
    )
    assert [*unpack([low], 4, Packing.LOW_FIRST)] == codes
    assert [*unpack([high], 4, Packing.HIGH_FIRST)] == codes


# -- decoding --------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", MX, ids=lambda target: target.name)
def test_every_code_at_every_scale_is_decoded_exactly(target: ScaledFormat) -> None:
    element = oracle.MX[target.name]
    every = range(1 << target.bits)
    if element == "int8":
        elements = np.arange(256, dtype=np.uint8).view(np.int8).astype(np.float64) / 64
    else:
        dtype = np.dtype(getattr(ml_dtypes, element))
        elements = np.arange(1 << target.bits, dtype=np.uint8).view(dtype).astype(np.float64)
    scales = np.arange(256, dtype=np.uint8).view(ml_dtypes.float8_e8m0fnu).astype(np.float64)
    for code in range(256):
        scale = scale_value(code, target)
        if code == 255:
            assert scale is None
            assert np.isnan(scales[code])
            assert dequantise(every, target, scale) == (None,) * len(every)
            continue
        assert scale == Fraction(2) ** (code - 127) == Fraction(float(scales[code]))
        products = elements * scales[code]  # in float64 nothing of it is rounded
        finite = np.isfinite(products).tolist()
        expected = [Fraction(x) if ok else None
                    for x, ok in zip(products.tolist(), finite, strict=True)]  # fmt: skip
        assert [*dequantise(every, target, scale)] == expected


@pytest.mark.parametrize("name", ["nvfp4", "nf4", "fp4_bnb"])
def test_other_blocks_are_decoded_exactly(name: str) -> None:
    target = BLOCK_FORMATS[name]
    codes = range(16)
    table = oracle.table("float4_e2m1fn" if name == "nvfp4" else name)
    if name == "nvfp4":
        kinds = np.arange(256, dtype=np.uint8).view(ml_dtypes.float8_e4m3fn).astype(np.float64)
        scales = dict(enumerate(kinds.tolist()))
    else:
        some = np.array([0, 1, 0x3F800000, 0x7F7FFFFF, 0x3DCCCCCD, 0x7FC00000], np.uint32)
        scales = {int(code): float(code.view(np.float32)) for code in some}
    for shared in (Fraction(1), Fraction(float(np.float32(1) / np.float32(2688)))):
        for code, number in scales.items():
            scale = scale_value(code, target)
            assert (scale is None) == math.isnan(number)
            found = dequantise(codes, target, scale, shared)
            if scale is None:
                assert found == (None,) * 16
            else:
                assert [*found] == [value * Fraction(number) * shared for value in table if
                                    value is not None]  # fmt: skip


def test_wide_codes_are_refused() -> None:
    with pytest.raises(InputError, match=r"^0x10 is no code of float4_e2m1fn, which has 4 bits$"):
        dequantise([3, 16], BLOCK_FORMATS["mxfp4"], Fraction(1))
    with pytest.raises(InputError, match=r"^-0x1 is no code of int8, which has 8 bits$"):
        dequantise([-1], BLOCK_FORMATS["mxint8"], None)


def test_infinities_and_nans_of_elements_stay_their_own() -> None:
    target = BLOCK_FORMATS["mxfp8_e5m2"]
    assert dequantise([0x7C, 0x7E, 0x3C], target, Fraction(4)) == (None, None, Fraction(4))


# -- encoding --------------------------------------------------------------------------------------


def _grid(element: str) -> list[Fraction]:
    """Values, what is just between two and a little beside, and what is beyond; of both signs."""
    line = sorted({abs(v) for v in oracle.table(element) if v is not None})
    middles = [(low + high) / 2 for low, high in itertools.pairwise(line)]
    if len(line) > 20:
        line, middles = line[:3] + line[-4:], middles[:2] + middles[-3:]
    little = Fraction(1, 2**40)
    edge = oracle.top(element)
    grid = [*line, *middles, *(x + little for x in middles), *(x - little for x in middles)]
    grid += [edge * Fraction(9, 8), 2 * oracle.largest_power(element) - little]
    return grid + [-x for x in grid[1::2]]


def _nearest(block: QuantisedBlock, data: list[Fraction], element: str, ties: str) -> None:
    step = (block.scale or 0) * block.global_scale
    for code, value, x, clipped, flushed in zip(
        block.codes, block.values, data, block.clipped, block.flushed, strict=True
    ):
        if not step:
            assert value == 0
            assert (clipped, flushed) == (False, x != 0)
            beyond = ((x > 0) - (x < 0)) * oracle.top(element)
            assert code in oracle.allowed(Fraction(beyond), element, ties)
            continue
        assert code in oracle.allowed(x / step, element, ties), (x, step, code)
        assert value is not None
        assert abs(value - x) == step * oracle.distance(x / step, element)
        beyond = abs(x) / (oracle.top(element) * step)
        if not 1 < beyond <= 1 + Fraction(1, 1 << 23):  # which a float32 scale's rounding does
            assert clipped == (beyond > 1)
        assert flushed == (x != 0 and value == 0)


@pytest.mark.parametrize("rule", POWERS_OF_TWO)
@pytest.mark.parametrize("name", oracle.MX)
def test_small_blocks_get_the_scale_of_the_rule_and_the_nearest_elements(
    name: str, rule: ScaleRule
) -> None:
    element = oracle.MX[name]
    targets = {
        ties: scaled(f"{name}:rule={rule.value},ties={ties}") for ties in ("even", "away", "zero")
    }
    grid = _grid(element)
    pairs = [*itertools.product(grid, grid[::3])]
    triples = [(x, y, x - y) for x, y in pairs[::7]]
    for at, data in enumerate([*pairs, *triples]):
        ties = ("even", "away", "zero")[at % 3]
        block = quantise([Datum.of(x) for x in data], targets[ties])
        amax = max(abs(x) for x in data)
        if not amax:
            assert (block.scale_code, {*block.values}) == (0, {Fraction(0)})
            continue
        assert block.scale == oracle.scale(amax, element, rule.value), data
        _nearest(block, [*data], element, ties)


@pytest.mark.parametrize("shared", ["1", "1/2688", "3"])
def test_nvfp4_gets_the_nearest_scale_and_the_nearest_elements(shared: str) -> None:
    target, element = BLOCK_FORMATS["nvfp4"], "float4_e2m1fn"
    global_ = Fraction(shared)
    little = Fraction(1, 2**30)
    for code in range(126):
        low, high = oracle.E4M3_SCALES[code : code + 2]
        for wanted in (low, (low + high) / 2, (low + high) / 2 + little, (low + high) / 2 - little):
            amax = abs(wanted) * 6 * global_
            data = [amax, -amax / 2, amax * Fraction(5, 24), amax / 13]
            block = quantise([Datum.of(x) for x in data], target, global_)
            expected = oracle.nearest_scale(amax / global_ / 6, oracle.E4M3_SCALES)
            assert block.scale_code == expected
            if any(data):
                _nearest(block, data, element, "even")
    beyond = quantise([Datum.of(10**6 * global_)], target, global_)
    assert (beyond.scale_code, beyond.codes, beyond.clipped) == (0x7E, (7,), (True,))


def test_float32_scales_are_rounded_once() -> None:
    target = scaled("e4m3fn:channel")
    for amax in map(Fraction, ["1/3", "0.1", "7", "448", "1e-30", "3e38", "1e-37", "449/448"]):
        block = quantise([Datum.of(amax), Datum.of(-amax / 3)], target)
        assert block.scale == oracle.float32(amax / 448)
        _nearest(block, [amax, -amax / 3], "float8_e4m3fn", "even")


def test_what_the_rounding_of_a_float32_scale_leaves_beyond_the_largest_is_not_clipped() -> None:
    """Or every second block would count as clipped; of coarser scales anything beyond is."""
    numbers = [Fraction(each) for each in ("1/3", "1/7", "2/7", "5/11")]
    assert any(oracle.float32(amax / 448) * 448 < amax for amax in numbers)
    for amax in numbers:
        block = quantise([Datum.of(amax), Datum.of(-amax)], scaled("e4m3fn:tensor"))
        assert block.clipped == (False, False)
    beyond = 1 + Fraction(1, 1 << 30)
    for name, top in (("nvfp4", 6), ("mxfp4", 6), ("e4m3fn:tensor,scale=bf16", 448)):
        data = [Datum.of(top * beyond), Datum.of(top), Datum.of(-top * beyond)]
        block = quantise(data, scaled(name))
        assert block.scale == 1, name
        assert block.clipped == (True, False, True), name


def test_the_global_scale_is_rounded_once() -> None:
    for top, rule in ((448, "amax"), (256, "4over6")):
        target = scaled(f"nvfp4:rule={rule}")
        for amax in map(Fraction, ["0.1", "2688", "1", "7", "3.4e38", "1e-30", "1/3"]):
            code, value = global_scale(amax, target)
            assert value == oracle.float32(amax / (top * 6))
            assert Fraction(float(np.uint32(code).view(np.float32))) == value
    nvfp4 = BLOCK_FORMATS["nvfp4"]
    assert global_scale(Fraction(0), nvfp4) == (0x3F800000, Fraction(1))
    tiny = Fraction(2) ** -149
    assert global_scale(tiny, nvfp4) == (1, tiny)
    assert global_scale(tiny * 2688, nvfp4) == (1, tiny)
    huge = Fraction(2) ** 400
    assert global_scale(huge, nvfp4)[0] == 0x7F7FFFFF
    powers = scaled("nvfp4:global=e8m0")
    assert global_scale(Fraction(2) ** -300, powers) == (0, Fraction(2) ** -127)


# -- the rules at their thresholds -----------------------------------------------------------------

THRESHOLDS = {
    ("rceil", "float4_e2m1fn"): "1.5", ("even", "float4_e2m1fn"): "1.75",
    ("rceil", "float6_e2m3fn"): "1.875", ("even", "float6_e2m3fn"): "1.9375",
    ("rceil", "float6_e3m2fn"): "1.75", ("even", "float6_e3m2fn"): "1.875",
    ("rceil", "float8_e4m3fn"): "1.75", ("even", "float8_e4m3fn"): "1.9375",
    ("rceil", "float8_e5m2"): "1.75", ("even", "float8_e5m2"): "1.875",
    ("rceil", "int8"): "1.984375", ("even", "int8"): "1.9921875",
}  # fmt: skip
"""Significands of amax from which (even) or beyond which (rceil) the exponent is bumped."""

PRECISION = {"float32": (24, -126, 127), "bfloat16": (8, -126, 127), "float64": (53, -1022, 1023)}


@pytest.mark.parametrize("dtype", PRECISION)
@pytest.mark.parametrize("name", oracle.MX)
def test_rules_at_their_thresholds_and_one_ulp_beside(name: str, dtype: str) -> None:
    precision, lowest, highest = PRECISION[dtype]
    ulp = Fraction(2) ** (1 - precision)
    element = oracle.MX[name]
    power = oracle.largest_power(element)
    targets = {rule: with_rule(BLOCK_FORMATS[name], rule) for rule in POWERS_OF_TWO}
    even, rceil = (Fraction(THRESHOLDS[rule, element]) for rule in ("even", "rceil"))
    exponents = {lowest, lowest + 1, -120, -100, -1, 0, 1, 2, 9, 77, 119, 126, highest - 1, highest}
    for exponent in exponents:
        unit = Fraction(2) ** exponent

        def check(significand: Fraction, unit: Fraction = unit, **bumps: bool) -> None:
            amax = significand * unit
            for rule, target in targets.items():
                wanted = unit / power * (2 if bumps[rule.value] else 1)
                assert wanted_scale(amax, target) == wanted, (rule, amax)
                within = min(max(wanted, Fraction(2) ** -127), Fraction(2) ** 127)
                assert scale_value(scale_code(amax, target), target) == within
                assert quantise([Datum.of(-amax)], target).scale == within
                if Fraction(2) ** -200 < unit < Fraction(2) ** 200:
                    assert oracle.scale(amax, element, rule.value) == within

        check(Fraction(1), floor=False, ceil=False, even=False, rceil=False)
        check(1 + ulp, floor=False, ceil=True, even=False, rceil=False)
        check(rceil, floor=False, ceil=True, even=False, rceil=False)
        check(rceil + ulp, floor=False, ceil=True, even=rceil + ulp >= even, rceil=True)
        check(rceil - ulp, floor=False, ceil=True, even=False, rceil=False)
        check(even, floor=False, ceil=True, even=True, rceil=True)
        check(even - ulp, floor=False, ceil=True, even=False, rceil=even - ulp > rceil)
        if even + ulp < 2:
            check(even + ulp, floor=False, ceil=True, even=True, rceil=True)
        check(2 - ulp, floor=False, ceil=True, even=True, rceil=True)


def test_scales_end_where_e8m0_ends() -> None:
    for name, power in (("mxfp4", 2), ("mxfp8_e5m2", 15), ("mxint8", 0)):
        target = BLOCK_FORMATS[name]
        for exponent, code in ((-127, 0), (-128, 0), (-500, 0), (-126, 1), (126, 253), (127, 254),
                               (128, 254), (900, 254)):  # fmt: skip
            amax = Fraction(2) ** (exponent + power)
            assert scale_code(amax, target) == code, (name, exponent)
    block = quantise([Datum.of(Fraction(2) ** 200)], BLOCK_FORMATS["mxfp4"])
    assert (block.scale_code, block.codes, block.clipped) == (254, (7,), (True,))


# -- four over six ---------------------------------------------------------------------------------


@given(
    st.lists(st.integers(-96, 96), min_size=2, max_size=4),
    st.sampled_from([1, 3, 64]),
    st.sampled_from(["1", "1/3", "5/1536"]),
)
def test_four_over_six_takes_the_scale_with_the_smaller_error(
    data: list[int], over: int, shared: str
) -> None:
    target, element = scaled("nvfp4:rule=4over6"), "float4_e2m1fn"
    global_ = Fraction(shared)
    numbers = [Fraction(each, over) * global_ for each in data]
    block = quantise([Datum.of(x) for x in numbers], target, global_)
    amax = max(abs(x) for x in numbers)
    if not amax:
        assert block.scale_code == 0
        return
    errors = {}
    for top in (6, 4):
        code = oracle.nearest_scale(amax / top / global_, oracle.E4M3_SCALES)
        step = oracle.E4M3_SCALES[code] * global_
        best = [min(abs(v * step - x) for v in oracle.table(element) if v is not None)
                for x in numbers]  # fmt: skip
        errors[top] = (sum(each**2 for each in best), code)
    expected = errors[4] if errors[4][0] < errors[6][0] else errors[6]
    assert block.scale_code == expected[1]
    _nearest(block, numbers, element, "even")


def test_four_over_six_takes_six_of_equals() -> None:
    target = scaled("e2m1:block=4,scale=float32,rule=4over6")
    six = quantise([Datum.of(6), Datum.of(0)], target)  # 6 x 1 and 4 x 1.5 are both exact
    assert six.scale == 1
    assert six.codes == (7, 0)
    four = quantise([Datum.of(4), Datum.of(3)], target)
    assert four.scale == 1
    assert four.codes == (6, 5)


def test_four_over_six_leaves_room_for_three_halves_of_the_largest_scale() -> None:
    target = scaled("nvfp4:rule=4over6")
    _, shared = global_scale(Fraction(1536), target)
    assert shared == 1
    block = quantise([Datum.of(1536), Datum.of(1152)], target, shared)  # 4 and 3 of 384
    assert block.scale == 384
    assert (block.codes, block.clipped) == ((6, 5), (False, False))


# -- policies --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "code"),
    [("mxfp4", 0), ("mxint8", 0), ("nvfp4", 0), ("nf4", 0), ("fp4_bnb", 0),
     ("e4m3fn:tensor", 0x3F800000), ("nvfp4:zeros=0x38", 0x38), ("mxfp4:zeros=104", 104),
     ("nvfp4:like=torchao", 8), ("nvfp4:like=compressed-tensors", 0x20),
     ("nvfp4:like=modelopt", 0x38)],
)  # fmt: skip
def test_blocks_of_zeros(name: str, code: int) -> None:
    target = scaled(name)
    block = quantise([ZERO, MINUS_ZERO], target)
    assert block.scale_code == code == scale_code(Fraction(0), target)
    assert block.values == (Fraction(0), Fraction(0))
    assert (block.clipped, block.flushed) == ((False, False), (False, False))


def test_without_a_code_of_their_own_zeros_get_what_the_smallest_amax_would() -> None:
    tiny = Fraction(2) ** -3000
    for name in ("nvfp4", "nvfp4:least=8", "nvfp4:underflow=0x20", "mxfp4", "mxfp4:least=3"):
        target = scaled(name)
        target = replace(target, encoding=replace(target.encoding, zero_block=None))
        assert scale_code(Fraction(0), target) == scale_code(tiny, target)


@pytest.mark.parametrize(
    ("name", "wanted", "code"),
    [
        ("nvfp4", "1/1024", 0), ("nvfp4", "1025/1048576", 1), ("nvfp4", "1/512", 1),
        ("nvfp4:least=1", "1/100000", 1), ("nvfp4:least=8", "1/512", 8),
        ("nvfp4:least=8", "1/64", 8), ("nvfp4:least=8", "9/512", 9),
        ("nvfp4:underflow=0x20", "1/2000", 0x20), ("nvfp4:underflow=0x20", "1/512", 1),
        ("nvfp4:underflow=0x20,least=4", "1/2000", 0x20),
        ("nvfp4:underflow=0x20,least=4", "1/512", 4),
        ("nvfp4:underflow=2,least=4", "1/2000", 2),
        ("mxfp4:least=5", "1", 127), ("mxfp4:underflow=9,least=0", "1e-300", 0),
    ],
)  # fmt: skip
def test_scales_that_underflow(name: str, wanted: str, code: int) -> None:
    assert scale_code(Fraction(wanted) * 6, scaled(name)) == code


def test_a_scale_of_zero_gives_zeros_back() -> None:
    tiny = Fraction(1, 10**6)
    data = [Datum.of(tiny), Datum.of(-tiny / 9), ZERO, MINUS_ZERO]
    block = quantise(data, BLOCK_FORMATS["nvfp4"])
    assert (block.scale_code, block.codes) == (0, (7, 15, 0, 8))
    assert set(block.values) == {Fraction(0)}
    assert block.clipped == (False,) * 4
    assert block.flushed == (True, True, False, False)


@pytest.mark.parametrize("name", [*oracle.MX, "nvfp4"])
@pytest.mark.parametrize("poison", [NAN, INFINITY, MINUS_INFINITY])
def test_what_is_not_finite_makes_its_block_nan(name: str, poison: Datum) -> None:
    block = quantise([ONE, poison, ZERO], BLOCK_FORMATS[name])
    assert block.scale_code == (0x7F if name == "nvfp4" else 0xFF)
    assert block.scale is None
    assert scale_value(block.scale_code, BLOCK_FORMATS[name]) is None
    assert block.values == (None,) * 3
    assert (block.codes, block.clipped, block.flushed) == ((0,) * 3, (False,) * 3, (False,) * 3)


@pytest.mark.parametrize(
    ("name", "codes", "values"),
    [
        ("mxfp4:nan=element", (2 + 4, 7, 15, 0), ("4", "6", "-6", "0")),
        ("mxfp8_e4m3:nan=element", (0x78, 0x7E, 0xFE, 0x7F), ("256", "448", "-448", None)),
        ("mxfp8_e5m2:nan=element", (0x78, 0x7C, 0xFC, 0x7E), ("32768", None, None, None)),
        ("mxint8:nan=element", (0x40, 0x7F, 0x81, 0), ("1", "127/64", "-127/64", "0")),
        ("nf4", (15, 15, 0, 7), ("1", "1", "-1", "0")),
        ("fp4_bnb", (3, 3, 11, 0), ("1", "1", "-1", "0")),
    ],
)
def test_or_becomes_what_the_element_has_for_it(
    name: str, codes: tuple[int, ...], values: tuple[str | None, ...]
) -> None:
    target = scaled(name)
    assert target.encoding.nonfinite is NonFinite.ELEMENT
    block = quantise([ONE, INFINITY, MINUS_INFINITY, NAN], target)
    assert block.codes == codes
    step = block.scale
    assert step is not None
    assert block.values == tuple(None if v is None else Fraction(v) * step for v in values)
    assert step == Fraction(1) / Fraction(values[0] or 0)
    assert (block.clipped, block.flushed) == ((False,) * 4, (False,) * 4)


def test_a_block_of_nothing_finite_has_the_scale_of_zeros() -> None:
    block = quantise([NAN, INFINITY], scaled("nvfp4:nan=element,zeros=0x38"))
    assert (block.scale_code, block.codes) == (0x38, (0, 7))
    assert block.values == (Fraction(0), Fraction(6))


def test_the_sign_of_zeros() -> None:
    data = [Datum.of(4), MINUS_ZERO, Datum.of(Fraction(-1, 8)), ZERO, Datum.of(Fraction(1, 8))]
    kept, dropped = (quantise(data, scaled(f"mxfp4:-0={each}")) for each in ("keep", "drop"))
    assert kept.codes == (6, 8, 8, 0, 0)
    assert dropped.codes == (6, 0, 0, 0, 0)
    assert kept.flushed == dropped.flushed == (False, False, True, False, True)
    for name in ("mxint8", "nf4", "fp4_bnb", "e4m3fnuz:tensor"):
        block = quantise(data, scaled(name))
        assert block.codes[1] == block.codes[3], name
        assert block.values[1] == 0


def test_ties_of_elements() -> None:
    data = [Datum.of(Fraction(x, 4)) for x in (24, 1, 3, 5, 7, 10, 14, 20, -1, -3, -5)]
    expected = {
        "even": (7, 0, 2, 2, 4, 4, 6, 6, 8, 10, 10),
        "away": (7, 1, 2, 3, 4, 5, 6, 7, 9, 10, 11),
        "zero": (7, 0, 1, 2, 3, 4, 5, 6, 8, 9, 10),
    }
    for ties, codes in expected.items():
        assert quantise(data, scaled(f"mxfp4:ties={ties}")).codes == codes


# -- properties ------------------------------------------------------------------------------------

ALL = [
    *BLOCK_FORMATS, "mxfp4:rule=rceil", "mxfp8:rule=even", "mxfp6_e2m3:rule=ceil,ties=zero",
    "e4m3fn:channel", "int8:tensor", "bf16:block=4,scale=e8m0", "nvfp4:rule=4over6",
    "mxfp4:ties=away",
]  # fmt: skip

numbers = st.one_of(
    st.floats(-1e6, 1e6, allow_nan=False).map(Fraction),
    st.builds(lambda n, k: n * Fraction(2) ** k, st.integers(-511, 511), st.integers(-12, 12)),
)


@given(st.lists(numbers, min_size=1, max_size=5), st.sampled_from(ALL))
def test_signs_are_symmetric(data: list[Fraction], name: str) -> None:
    if name == "nf4":
        return  # whose table is not
    target = scaled(name)
    there = quantise([Datum.of(x) for x in data], target)
    back = quantise([Datum.of(-x) for x in data], target)
    assert back.scale_code == there.scale_code
    assert back.values == tuple(-x for x in there.values if x is not None)
    assert (back.clipped, back.flushed) == (there.clipped, there.flushed)


@given(
    st.lists(numbers, min_size=1, max_size=5),
    st.sampled_from([name for name in ALL if scaled(name).scale.name == "float8_e8m0fnu"]),
    st.integers(-60, 60),
)
def test_powers_of_two_change_the_scale_alone(data: list[Fraction], name: str, power: int) -> None:
    target, factor = scaled(name), Fraction(2) ** power
    there = quantise([Datum.of(x) for x in data], target)
    if not any(data) or not 60 < there.scale_code < 194:
        return
    moved = quantise([Datum.of(x * factor) for x in data], target)
    assert moved.scale_code == there.scale_code + power
    assert moved.codes == there.codes
    assert (moved.clipped, moved.flushed) == (there.clipped, there.flushed)


@given(st.lists(numbers, min_size=1, max_size=5), st.sampled_from(ALL))
def test_what_is_quantised_stays(data: list[Fraction], name: str) -> None:
    """Where the largest element is again the largest: floor, even and rceil lose nothing more."""
    target = scaled(name)
    rule = target.encoding.rule
    if rule not in (ScaleRule.FLOOR, ScaleRule.EVEN, ScaleRule.RCEIL):
        return
    once = quantise([Datum.of(x) for x in data], target)
    again = quantise([Datum.of(x) for x in once.values if x is not None], target)
    if once.scale_code > 0:
        assert again.values == once.values


@given(st.lists(numbers, min_size=1, max_size=5), st.sampled_from(ALL))
def test_rceil_and_ceil_clip_nothing_and_the_others_only_what_they_may(
    data: list[Fraction], name: str
) -> None:
    target = scaled(name)
    if target.encoding.rule not in POWERS_OF_TWO:
        return
    block = quantise([Datum.of(x) for x in data], target)
    if target.encoding.rule in (ScaleRule.RCEIL, ScaleRule.CEIL):
        assert not any(block.clipped)
    amax = max(abs(x) for x in data)
    reach = amax * largest(target.element) / 2 ** (emax(target.element) + 1)
    for x, clipped in zip(data, block.clipped, strict=True):
        assert not clipped or abs(x) > reach
