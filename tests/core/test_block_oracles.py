"""Blocks as libraries encode them, where those libraries are there; they are no dependencies.

What they compute in float32 may round a number that is a tie to within a few ulps to the other
side, so such elements and scales count as equal; how many there are is bounded. Faults that are
known stand in tests of their own.
"""

from __future__ import annotations

import importlib
import os
import warnings
from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch

from fpx.core.blocks import BLOCK_FORMATS
from fpx.core.choices import POWERS_OF_TWO
from fpx.core.elements import CODEBOOKS, element_values
from fpx.core.quantise import Datum, QuantisedBlock, global_scale, quantise
from fpx.core.scaling import ScaledFormat
from fpx.core.targets import find_target
from fpx.core.variants import like
from tests import scaled_oracle as oracle

pytestmark = pytest.mark.filterwarnings("ignore")

RANDOM = 120
"""Blocks of random numbers of each comparison."""

NEAR = Fraction(1, 1 << 20)
"""How near to a tie, of itself, a number may be that float32 rounds to the other side."""


def library(name: str, *modules: str) -> Any:
    """The library, or its modules; skips where it is not installed or cannot be imported."""
    os.environ.setdefault("TORCHDYNAMO_DISABLE", "1")  # no compiler is needed
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        reason = f"{name} is not installed: its encoder is not compared"
        pytest.importorskip(name, reason=reason, exc_type=ImportError)
        try:
            found = [importlib.import_module(module) for module in modules or (name,)]
        except ImportError as error:
            pytest.skip(f"{name} is not whole: {error}")
    return found[0] if len(found) == 1 else found


def scaled(name: str) -> ScaledFormat:
    found = find_target(name)
    assert isinstance(found, ScaledFormat)
    return found


def samples(element: str, size: int, rows: int = RANDOM, seed: int = 7) -> np.ndarray[Any, Any]:
    """Blocks of float32: random ones of all magnitudes, ties, thresholds and what is beside them.

    None has a magnitude whose scale is at an end of E8M0.
    """
    random = np.random.default_rng(seed)
    blocks = random.standard_normal((rows, size)) * 2.0 ** random.integers(-60, 60, (rows, 1))
    blocks[::3] *= 2.0 ** random.integers(-9, 3, blocks[::3].shape)
    special: list[Any] = []
    table = sorted({float(v) for v in oracle.table(element) if v is not None})
    middles = [(low + high) / 2 for low, high in pairwise(table)]
    top = float(oracle.top(element))
    for significand in (1.0, 1.5, 1.75, 1.875, 1.9375, 1.984375, 1.9921875):
        amax = np.float32(significand * 2.0 ** int(np.log2(top)))
        for edge in (amax, np.nextafter(amax, np.float32(0)), np.nextafter(amax, np.float32(1e9))):
            line = random.choice(np.array(middles + table), size)
            line = np.clip(line, -float(edge), float(edge))
            line[0] = -edge if len(special) % 2 else edge
            special.append(line * 2.0 ** random.integers(-40, 40))
    special.append(np.zeros(size))
    special.append(np.full(size, -0.0))
    return np.concatenate([blocks, np.array(special)]).astype(np.float32)


def ours(block: Any, target: ScaledFormat, shared: Fraction = Fraction(1)) -> QuantisedBlock:
    signs = np.signbit(block).tolist()
    data = [Datum(Fraction(x), sign) for x, sign in zip(block.tolist(), signs, strict=True)]
    return quantise(data, target, shared)


def nibbles(packed: Any, high_first: bool = False) -> list[int]:
    halves = (4, 0) if high_first else (0, 4)
    return [int(each) >> shift & 15 for each in packed for shift in halves]


def is_near_a_tie(x: Fraction, element: str) -> bool:
    values = element_values(CODEBOOKS[element]) if element in CODEBOOKS else oracle.table(element)
    line = sorted({v for v in values if v is not None})
    middles = ((low + high) / 2 for low, high in pairwise(line))
    return any(abs(x - middle) <= NEAR * abs(middle) for middle in middles)


class Tally:
    """Blocks that were compared, and elements on which float32 decided."""

    def __init__(self) -> None:
        self.blocks = self.elements = self.near = 0

    def compare(
        self, block: Any, mine: QuantisedBlock, codes: list[int], element: str, exact: bool = False
    ) -> None:
        assert mine.scale is not None
        step = mine.scale * mine.global_scale
        self.blocks += 1
        for x, own, other in zip(block.tolist(), mine.codes, codes, strict=True):
            self.elements += 1
            if own != other:
                assert not exact, (x, own, other)
                assert step, (x, own, other)
                assert is_near_a_tie(Fraction(x) / step, element), (x, float(step), own, other)
                self.near += 1

    def done(self, at_least: int, near: int = 0) -> None:
        assert self.blocks >= at_least
        assert self.near <= near, f"{self.near} of {self.elements}"


# -- torchao ---------------------------------------------------------------------------------------

TORCHAO = [name for name in oracle.MX if name != "mxint8"]


def _to_mx(data: Any, name: str, rule: str) -> tuple[list[int], list[list[int]]]:
    mx, config = library(
        "torchao", "torchao.prototype.mx_formats.mx_tensor", "torchao.prototype.mx_formats.config"
    )
    kinds = {
        "mxfp8_e4m3": torch.float8_e4m3fn, "mxfp8_e5m2": torch.float8_e5m2,
        "mxfp6_e3m2": mx.DTYPE_FP6_E3M2, "mxfp6_e2m3": mx.DTYPE_FP6_E2M3,
        "mxfp4": torch.float4_e2m1fn_x2,
    }  # fmt: skip
    mode = config.ScaleCalculationMode(rule)
    scales, elements = mx.to_mx(torch.from_numpy(np.array(data)), kinds[name], 32, mode)
    codes = elements.view(torch.uint8).numpy()
    rows = [nibbles(row) for row in codes] if name == "mxfp4" else codes.tolist()
    return scales.view(torch.uint8).flatten().tolist(), rows


@pytest.mark.parametrize("rule", POWERS_OF_TWO, ids=lambda rule: rule.value)
@pytest.mark.parametrize("name", TORCHAO)
def test_torchao_mx(name: str, rule: Any) -> None:
    element, tally = oracle.MX[name], Tally()
    data = samples(element, 32)
    scales, codes = _to_mx(data, name, rule.value)
    target, late = scaled(f"{name}:rule={rule.value}"), 0
    for block, scale, row in zip(data, scales, codes, strict=True):
        mine = ours(block, target)
        if mine.scale_code != scale:  # its logarithm is float32: one ulp above the largest element
            amax = Fraction(float(np.abs(block).max()))
            above = amax / (oracle.top(element) * Fraction(2) ** (scale - 127))
            assert rule.value == "rceil"
            assert mine.scale_code == scale + 1
            assert 1 < above < 1 + Fraction(1, 1 << 20)
            late += 1
        else:
            tally.compare(block, mine, row, element, exact=True)
    tally.done(at_least=RANDOM)
    assert late <= 3


@pytest.mark.parametrize("rule", POWERS_OF_TWO, ids=lambda rule: rule.value)
def test_torchao_mx_of_bfloat16(rule: Any) -> None:
    data = torch.from_numpy(samples("float4_e2m1fn", 32, seed=3)).bfloat16().float().numpy()
    scales, codes = _to_mx(data, "mxfp4", rule.value)
    for block, scale, row in zip(data, scales, codes, strict=True):
        mine = ours(block, scaled(f"mxfp4:rule={rule.value}"))
        assert (mine.scale_code, [*mine.codes]) == (scale, row)


def test_known_faults_of_torchao() -> None:
    block = np.zeros((1, 32), np.float32)
    block[0, :2] = 2.0**-127, -(2.0**-128)
    # at scale code 0 it divides by 2^-126 and decodes with 2^-127
    scales, codes = _to_mx(block, "mxfp4", "floor")
    assert (scales, codes[0][:2]) == ([0], [1, 8])
    assert ours(block[0], BLOCK_FORMATS["mxfp4"]).codes[:2] == (2, 9)
    # an infinity makes a scale instead of a NaN
    block[0, :2] = np.inf, 1
    assert _to_mx(block, "mxfp4", "floor")[0] == [253]
    assert _to_mx(block, "mxfp4", "rceil")[0] == [254]
    # what is one ulp beyond the largest element is clipped by rceil
    block[0, :2] = np.float32(1.75 + 2.0**-23), 1
    assert _to_mx(block, "mxfp8_e4m3", "rceil")[0] == [119]
    assert ours(block[0], scaled("mxfp8:rule=rceil")).scale_code == 120
    # NaN is as here
    block[0, 0] = np.nan
    assert _to_mx(block, "mxfp4", "floor")[0] == [255]
    assert quantise([Datum(None)], BLOCK_FORMATS["mxfp4"]).scale_code == 255


def test_torchao_is_as_its_row_says() -> None:
    config = library("torchao", "torchao.prototype.mx_formats.inference_workflow")
    made = config.MXDynamicActivationMXWeightConfig()
    theirs = like("torchao", BLOCK_FORMATS["mxfp8_e4m3"]).encoding.rule
    assert made.scaling_mode.value == theirs.value


# -- NVFP4 -----------------------------------------------------------------------------------------


def _tensors() -> Iterator[np.ndarray[Any, Any]]:
    """Tensors of blocks of 16, with scales from 448 to those that underflow and blocks of zeros."""
    random = np.random.default_rng(11)
    for size in (1.0, 3e-3, 2e4, 1.7):
        rows = random.standard_normal((90, 16)) * size
        rows[:40] *= 2.0 ** random.integers(-24, 1, (40, 1))
        rows[50] = 0.0
        rows[51, ::2] = -0.0
        rows[52, 3] = -0.0
        yield rows.astype(np.float32)
    exact = random.choice([-6, -5, -3.5, -1.75, -0.25, 0, 0.75, 1.25, 2.5, 4, 6], (90, 16))
    exact[:, 0] = 6
    exact *= 2.0 ** random.integers(-12, 1, (90, 1))
    exact[-1] = 0
    exact[0, 0] = 2688  # the global scale is 1
    yield exact.astype(np.float32)


def _compare_nvfp4(
    encode: Any, name: str, near_scales: int, near: int, minus_zero: bool = True
) -> None:
    """Against `encode(tensor, amax)`: (global scale as a factor, scales' codes, rows of codes)."""
    target, tally, others = like(name, BLOCK_FORMATS["nvfp4"]), Tally(), 0
    for data in _tensors():
        amax = Fraction(float(np.abs(data).max()))
        _, shared = global_scale(amax, target)
        given, scales, codes = encode(data, float(amax))
        assert abs(Fraction(given) / shared - 1) < Fraction(1, 1 << 22)
        for block, scale, row in zip(data, scales, codes, strict=True):
            mine = ours(block if minus_zero else block + np.float32(0), target, shared)
            if mine.scale_code != scale:
                wanted = Fraction(float(np.abs(block).max())) / shared / 6
                steps = oracle.E4M3_SCALES
                middle = (steps[mine.scale_code] + steps[scale]) / 2
                assert abs(mine.scale_code - scale) == 1
                assert abs(wanted / middle - 1) < NEAR
                others += 1
                continue
            tally.compare(block, mine, row, "float4_e2m1fn")
    assert others <= near_scales, others
    tally.done(400, near)


def test_torchao_nvfp4() -> None:
    nvfp4 = library("torchao", "torchao.prototype.mx_formats.nvfp4_tensor")

    def encode(data: Any, amax: float) -> tuple[float, list[int], list[list[int]]]:
        shared = nvfp4.per_tensor_amax_to_scale(torch.tensor(amax))
        scales, packed = nvfp4.nvfp4_quantize(torch.from_numpy(data), 16, shared)
        rows = [nibbles(row) for row in packed.numpy()]
        return float(shared), scales.view(torch.uint8).flatten().tolist(), rows

    _compare_nvfp4(encode, "torchao", near_scales=2, near=4)


def test_modelopt_nvfp4() -> None:
    kind = library("modelopt", "modelopt.torch.quantization.qtensor.nvfp4_tensor").NVFP4QTensor

    def encode(data: Any, amax: float) -> tuple[float, list[int], list[list[int]]]:
        made, scales, shared = kind.quantize(torch.from_numpy(data.copy()), 16)
        rows = [nibbles(row) for row in made._quantized_data.numpy()]
        return float(shared), scales.view(torch.uint8).flatten().tolist(), rows

    _compare_nvfp4(encode, "modelopt", near_scales=2, near=4, minus_zero=False)


def test_compressed_tensors_nvfp4() -> None:
    args, utils, helpers = _compressed_tensors()

    def encode(data: Any, amax: float) -> tuple[float, list[int], list[list[int]]]:
        shared = utils.generate_gparam(torch.tensor(-amax), torch.tensor(amax))
        kind = args.QuantizationArgs(
            num_bits=4, type="float", strategy="tensor_group", group_size=16, symmetric=True,
            scale_dtype=torch.float8_e4m3fn, zp_dtype=torch.float8_e4m3fn,
        )  # fmt: skip
        rows = torch.from_numpy(data)
        low, high = rows.amin(1, keepdim=True), rows.amax(1, keepdim=True)
        scales, _ = utils.calculate_qparams(low, high, kind, global_scale=shared)
        packed = helpers.quantize_and_pack_fp4(rows, scales, global_scale=shared, group_size=16)
        codes = scales.to(torch.float8_e4m3fn).view(torch.uint8).flatten().tolist()
        return 1 / float(shared), codes, [nibbles(row) for row in packed.numpy()]

    _compare_nvfp4(encode, "compressed-tensors", near_scales=2, near=4, minus_zero=False)


# -- others of OCP's formats -----------------------------------------------------------------------


def _compressed_tensors() -> Any:
    return library(
        "compressed_tensors",
        "compressed_tensors.quantization",
        "compressed_tensors.quantization.utils",
        "compressed_tensors.compressors.nvfp4.helpers",
    )


@pytest.mark.parametrize("name", ["mxfp4", "mxfp6_e2m3", "mxfp8_e4m3"])
def test_compressed_tensors_mx(name: str) -> None:
    args, utils, helpers = _compressed_tensors()
    forward = library("compressed_tensors", "compressed_tensors.quantization.lifecycle.forward")
    mx = library("compressed_tensors", "compressed_tensors.compressors.mx_utils")
    element, target = oracle.MX[name], like("compressed-tensors", BLOCK_FORMATS[name])
    rows = torch.from_numpy(samples(element, 32))
    kind = args.QuantizationArgs(
        num_bits=target.bits, type="float", strategy="group", group_size=32, symmetric=True,
        scale_dtype=torch.uint8, zp_dtype=torch.uint8,
    )  # fmt: skip
    low, high = rows.amin(1, keepdim=True), rows.amax(1, keepdim=True)
    factors, zeros = utils.calculate_qparams(low, high, kind)
    scales = mx.compress_mx_scale(factors, torch.uint8).flatten().tolist()
    if name == "mxfp4":
        packed = helpers.quantize_and_pack_fp4(rows, factors, group_size=32)
        codes = [nibbles(row) for row in packed.numpy()]
    else:
        codes = forward.quantize(rows, factors, torch.zeros_like(zeros), kind).tolist()
    table = oracle.table(element)
    for block, scale, row in zip(rows.numpy(), scales, codes, strict=True):
        mine = ours(block + np.float32(0), target)
        assert mine.scale_code == scale
        assert [*mine.codes] == row if name == "mxfp4" else [table[c] for c in mine.codes] == row


def test_known_faults_of_compressed_tensors() -> None:
    _, utils, _ = _compressed_tensors()
    poison = torch.tensor([float("nan"), float("inf")])
    assert not utils.generate_mx_scales(poison).eq(255).any()  # a NaN is silently another scale


@pytest.mark.parametrize("name", ["mxfp4", "mxfp8_e4m3"])
def test_modelopt_mx(name: str) -> None:
    element, target = oracle.MX[name], like("modelopt", BLOCK_FORMATS[name])
    data = samples(element, 32)
    if name == "mxfp4":
        kind = library("modelopt", "modelopt.torch.quantization.qtensor.mxfp4_tensor").MXFP4QTensor
        made, scales = kind.quantize(torch.from_numpy(data.copy()), 32)
        codes = [nibbles(row) for row in made._quantized_data.numpy()]
    else:
        kind = library("modelopt", "modelopt.torch.quantization.qtensor.mxfp8_tensor").MXFP8QTensor
        made, scales = kind.quantize(torch.from_numpy(data.copy()))
        codes = made._quantized_data.view(torch.uint8).tolist()
    tally, late = Tally(), 0
    for block, scale, row in zip(data, scales.flatten().tolist(), codes, strict=True):
        mine = ours(block, target)
        if name == "mxfp4":  # a known oddity: +0 is written as -0
            row = [0 if code == 8 and x >= 0 and not np.signbit(x) else code
                   for code, x in zip(row, block, strict=True)]  # fmt: skip
        if mine.scale_code != scale:  # its logarithm is float32, as torchao's
            assert mine.scale_code == scale + 1
            late += 1
        else:
            tally.compare(block, mine, row, element, exact=True)
    tally.done(at_least=RANDOM)
    assert late <= 3


def test_quark_scales() -> None:
    utils, config = library(
        "quark", "quark.torch.quantization.utils", "quark.torch.quantization.config.type"
    )
    kinds = {"mxfp8_e4m3": "fp8_e4m3", "mxfp8_e5m2": "fp8_e5m2", "mxfp6_e3m2": "fp6_e3m2",
             "mxfp6_e2m3": "fp6_e2m3", "mxfp4": "fp4"}  # fmt: skip
    for name, kind in kinds.items():
        target = like("quark", BLOCK_FORMATS[name])
        data = samples(oracle.MX[name], 32)
        amax = torch.from_numpy(np.abs(data).max(axis=1))
        scales = utils.even_round(amax, config.Dtype(kind)).tolist()
        for block, scale in zip(data, scales, strict=True):
            assert ours(block, target).scale == Fraction(scale)


@pytest.mark.parametrize("name", oracle.MX)
def test_gfloat(name: str) -> None:
    gfloat, formats = library("gfloat", "gfloat", "gfloat.formats")
    element = oracle.MX[name]
    info = getattr(formats, f"format_info_{'mxfp4_e2m1' if name == 'mxfp4' else name}")
    data = samples(element, 32, rows=25).astype(np.float64)
    tally = Tally()
    for block in data:
        factor = gfloat.compute_scale_amax(info.etype.emax, block)
        scale, *codes = gfloat.encode_block(info, factor, block / factor)
        mine = ours(block, BLOCK_FORMATS[name])
        assert mine.scale_code == scale
        decoded = [Fraction(float(x)) for x in gfloat.decode_block(info, [scale, *mine.codes])]
        assert [*mine.values] == decoded
        if element == "int8":  # it goes down to -2, which OCP leaves open and fpx does not
            codes = [0x81 if code == 0x80 else code for code in codes]
        tally.compare(block, mine, codes, element, exact=True)
    tally.done(at_least=25)


def test_known_faults_of_gfloat() -> None:
    gfloat, formats = library("gfloat", "gfloat", "gfloat.formats")
    block = np.array([np.nan] + [1.0] * 31)
    with pytest.raises(ValueError, match=r"."):  # where the scale would be NaN
        gfloat.quantize_block(formats.format_info_mxfp4_e2m1, block, gfloat.compute_scale_amax)


def test_gguf() -> None:
    quants = library("gguf", "gguf.quants")
    target, data = like("gguf", BLOCK_FORMATS["mxfp4"]), samples("float4_e2m1fn", 32)
    packed = quants.MXFP4.quantize_blocks(data)
    decoded = quants.MXFP4.dequantize_blocks(packed)
    tally, wrong = Tally(), 0
    for block, row, values in zip(data, packed, decoded, strict=True):
        scale, *halves = row.tolist()
        codes = [each & 15 for each in halves] + [each >> 4 for each in halves]
        mine = ours(block, target)
        if mine.scale_code != scale:  # its logarithm is float32: one ulp below a power of two
            amax = np.abs(block).max()
            assert scale == mine.scale_code + 1
            assert np.frexp(amax)[0] > 1 - 2.0**-20
            wrong += 1
            continue
        tally.compare(block, mine, codes, "float4_e2m1fn")
        if tuple(codes) == mine.codes:
            assert [*mine.values] == [Fraction(float(x)) for x in values]
    tally.done(RANDOM, near=4)
    assert wrong <= 3


def test_known_faults_of_gguf() -> None:
    quants = library("gguf", "gguf.quants")
    block = np.zeros((1, 32), np.float32)
    block[0, 0] = 2.0**-127
    assert quants.MXFP4.quantize_blocks(block)[0, 0] == 254  # the exponent wraps
    assert ours(block[0], BLOCK_FORMATS["mxfp4"]).scale_code == 0
    block[0, 0] = np.nextafter(np.float32(8), np.float32(0))
    assert quants.MXFP4.quantize_blocks(block)[0, 0] == 128
    assert ours(block[0], BLOCK_FORMATS["mxfp4"]).scale_code == 127
    nan_scale = np.array([[255, *[0x10] * 16]], np.uint8)
    assert not np.isnan(quants.MXFP4.dequantize_blocks(nan_scale)).any()  # 255 is 2^128 there


# -- bitsandbytes ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "name"), [("nf4", "nf4"), ("fp4", "fp4_bnb")])
def test_bitsandbytes(kind: str, name: str) -> None:
    functional = library("bitsandbytes", "bitsandbytes.functional")
    target, tally = BLOCK_FORMATS[name], Tally()
    data = samples(name, 64)
    packed, state = functional.quantize_4bit(torch.from_numpy(data), quant_type=kind, blocksize=64)
    codes = np.array(nibbles(packed.flatten().tolist(), high_first=True)).reshape(data.shape)
    values = functional.dequantize_4bit(packed, state).numpy()
    assert [Fraction(x) for x in state.code.tolist()] == [*oracle.table(name)]
    for at, (block, row) in enumerate(zip(data, codes.tolist(), strict=True)):
        mine = ours(block, target)
        assert mine.scale == Fraction(float(state.absmax[at]))
        if kind == "fp4":  # 8 is a 0 too, which small positive numbers get on a CPU
            row = [0 if code == 8 else code for code in row]
        if mine.scale:
            tally.compare(block, mine, row, name)
        same = np.array(row) == np.array(mine.codes)
        step = mine.scale or Fraction(0)
        exact = [float(value) for value in mine.values if value is not None]
        assert np.allclose(values[at][same], np.array(exact)[same], rtol=2**-23, atol=0)
        assert step or not values[at].any()
    tally.done(RANDOM, near=40)
