"""What shares a scale, the names of rules, and what a scaled format says of itself."""

from __future__ import annotations

import pickle
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fpx.core.blocks import BLOCK_FORMATS
from fpx.core.choices import POWERS_OF_TWO, NonFinite, ScaleRule, find_rule
from fpx.core.scaling import Reach, ScaledFormat, Scope, even_bits
from fpx.core.targets import find_target
from fpx.errors import InputError


def scaled(name: str) -> ScaledFormat:
    found = find_target(name)
    assert isinstance(found, ScaledFormat)
    return found


# -- reach -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "reach", "says"),
    [
        ("tensor", Reach(Scope.TENSOR), "a scale per tensor"),
        ("channel", Reach(Scope.CHANNEL), "a scale per channel"),
        ("channel:0", Reach(Scope.CHANNEL), "a scale per channel"),
        (" Channel=1 ", Reach(Scope.CHANNEL, axis=1), "a scale per channel (axis 1)"),
        ("channel:-2", Reach(Scope.CHANNEL, axis=-2), "a scale per channel (axis -2)"),
        ("block:32", Reach(Scope.BLOCK, columns=32), "a scale per block of 32"),
        ("BLOCK=128x64", Reach(Scope.BLOCK, rows=128, columns=64), "a scale per block of 128 x 64"),
        ("block:1x16", Reach(Scope.BLOCK, columns=16), "a scale per block of 16"),
        ("block:16x1", Reach(Scope.BLOCK, rows=16), "a scale per block of 16 x 1"),
        ("block:9999999", Reach(Scope.BLOCK, columns=9999999), "a scale per block of 9999999"),
    ],
)
def test_reaches(text: str, reach: Reach, says: str) -> None:
    assert Reach.parse(text) == reach
    assert reach.says == says
    assert Reach.parse(str(reach)) == reach == Reach.parse(reach.option)
    assert ":" not in reach.option
    assert "=" not in str(reach)


@pytest.mark.parametrize(
    "text",
    ["", "row", "block", "block:", "block:x", "block:-1", "block:1.5", "block:3x", "block:x3",
     "block:1x2x3", "tensor:1", "channel:", "channel:x", "channel:123", "channel:1,2",
     "block:٣", "block: 3"],
)  # fmt: skip
def test_what_is_no_reach(text: str) -> None:
    with pytest.raises(InputError) as caught:
        Reach.parse(text)
    assert str(caught.value) == (
        f"'{text}' is not what shares a scale: write tensor, channel, channel:AXIS, block:N or "
        "block:NxM"
    )


@pytest.mark.parametrize("text", ["block:0", "block:0x3", "block:3x0", "block=00"])
def test_blocks_have_an_element(text: str) -> None:
    with pytest.raises(InputError, match=rf"^'{text}': a block has at least one element$"):
        Reach.parse(text)


@pytest.mark.parametrize("text", ["block=10000000", "block:2x12345678", f"block:{'9' * 10**4}"])
def test_blocks_of_too_many(text: str) -> None:
    with pytest.raises(InputError, match=r"^'block.*: a block has up to 9,999,999 ") as caught:
        Reach.parse(text)
    assert len(str(caught.value)) < 300
    assert Reach.parse("block:9999999") == Reach(Scope.BLOCK, columns=9_999_999)


# -- rules -----------------------------------------------------------------------------------------


def test_rules_have_names() -> None:
    names = ["floor", "even", "ceil", "rceil", "amax", "4over6"]
    assert [find_rule(name.upper()) for name in names] == list(ScaleRule)
    assert find_rule(" pow2 ") is ScaleRule.RCEIL
    assert tuple(ScaleRule)[:4] == POWERS_OF_TWO


def test_what_is_no_rule() -> None:
    with pytest.raises(InputError) as caught:
        find_rule("round\n")
    assert str(caught.value) == (
        "no scale rule is called 'round\\n': use one of floor, even, ceil, rceil, amax, 4over6, "
        "pow2"
    )


def test_bits_that_even_counts() -> None:
    assert [even_bits(BLOCK_FORMATS[name]) for name in list(BLOCK_FORMATS)[:6]] == [
        3, 2, 2, 3, 1, 6,
    ]  # fmt: skip
    assert even_bits(scaled("mxfp8:rule=even,even-bits=1")) == 1
    assert even_bits(scaled("mxfp8:rule=even,even-bits=0")) == 0


# -- formats ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "bits", "each", "says"),
    [
        ("mxfp4", 4, 4.25, "float4_e2m1fn with a float8_e8m0fnu scale per block of 32"),
        ("mxfp6_e3m2", 6, 6.25, "float6_e3m2fn with a float8_e8m0fnu scale per block of 32"),
        ("mxint8", 8, 8.25, "int8 with a float8_e8m0fnu scale per block of 32"),
        ("nvfp4", 4, 4.5,
         "float4_e2m1fn with a float8_e4m3fn scale per block of 16 and a float32 one per tensor"),
        ("nf4", 4, 4.5, "nf4 with a float32 scale per block of 64"),
        ("e4m3fn:channel", 8, 8.0, "float8_e4m3fn with a float32 scale per channel"),
        ("e5m2:channel=1,scale=bf16", 8, 8.0,
         "float8_e5m2 with a bfloat16 scale per channel (axis 1)"),
        ("e4m3fn:block=128x128", 8, 8 + 32 / 128**2,
         "float8_e4m3fn with a float32 scale per block of 128 x 128"),
        ("bf16:tensor", 16, 16.0, "bfloat16 with a float32 scale per tensor"),
    ],
)  # fmt: skip
def test_what_a_format_says_of_itself(name: str, bits: int, each: float, says: str) -> None:
    target = scaled(name)
    assert target.bits == bits
    assert target.bits_per_element == each
    assert target.says == says


def test_choices_name_every_choice() -> None:
    usual = {
        "scale rule": "floor",
        "ties": "to even",
        "scale of zeros": "0x00",
        "smallest scale": "0x00",
        "NaN and infinity": "make the block NaN",
        "-0": "kept",
    }
    assert BLOCK_FORMATS["mxfp4"].choices() == usual
    other = scaled("mxfp4:rule=4over6,ties=away,zeros=104,least=3,nan=element,-0=drop,underflow=9")
    assert other.choices() == {
        "scale rule": "4over6",
        "ties": "away from zero",
        "scale of zeros": "0x68",
        "smallest scale": "0x03",
        "NaN and infinity": "leave the scale alone",
        "-0": "becomes 0",
        "scale that underflows": "0x09",
    }
    nvfp4 = scaled("nvfp4:ties=zero,top=256").choices()
    assert nvfp4["ties"] == "toward zero"
    assert nvfp4["global scale"] == "amax / (256 x largest element)"
    assert scaled("e4m3fn:tensor").choices()["scale of zeros"] == "0x3f800000"
    target = BLOCK_FORMATS["nvfp4"]
    open_ = replace(target, encoding=replace(target.encoding, zero_block=None))
    assert open_.choices()["scale of zeros"] == "the smallest"


def test_bits_that_even_counts_are_a_choice_to_name() -> None:
    choices = scaled("mxfp8:like=compressed-tensors").choices()
    assert choices["scale rule"] == "even (of 1 fraction bit)"
    assert scaled("mxfp8:rule=even").choices()["scale rule"] == "even"
    assert scaled("mxfp8:rule=even,even-bits=2").choices()["scale rule"] == (
        "even (of 2 fraction bits)"
    )
    assert scaled("mxfp8:like=compressed-tensors,rule=ceil").choices()["scale rule"] == "ceil"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("e8m0:channel", "float8_e8m0fnu has no sign or no zero: it is no element"),
        ("float32:channel", "float32 has 32 bits: elements have up to 16"),
        ("e5m11:tensor", "e5m11 has 17 bits: elements have up to 16"),
        ("nf4:rule=even",
         "the rule even counts fraction bits, of which nf4 has none: choose floor, ceil, rceil or "
         "amax"),
        ("mxfp4:scale=float64", "float64 is no format of scales: use one of up to 32 bits"),
        ("mxfp4:scale=e2m29", "e2m29 is no format of scales: use one of up to 32 bits"),
        ("nvfp4:global=float64", "float64 is no format of scales: use one of up to 32 bits"),
        ("mxfp8:rule=4over6", "the rule 4over6 is for float4_e2m1fn, not for float8_e4m3fn"),
        ("nf4:rule=4over6", "the rule 4over6 is for float4_e2m1fn, not for nf4"),
        ("mxfp4:zeros=0xff",
         "0xff is no finite scale of float8_e8m0fnu: its codes are 0x0 to 0xfe"),
        ("mxfp4:zeros=-1", "-0x1 is no finite scale of float8_e8m0fnu: its codes are 0x0 to 0xfe"),
        ("nvfp4:least=0x7f",
         "0x7f is no finite scale of float8_e4m3fn: its codes are 0x0 to 0x7e"),
        ("nvfp4:underflow=0x88",
         "0x88 is no finite scale of float8_e4m3fn: its codes are 0x0 to 0x7e"),
        ("e2m1:block=32,scale=e3m2fn,nan=block",
         "float6_e3m2fn has no NaN, which the scale of a block would be: choose nan=element"),
    ],
)  # fmt: skip
def test_what_has_no_meaning(name: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        find_target(name)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    "name",
    ["mxfp4:zeros=0xfe", "nvfp4:least=0x7e", "e2m13:tensor", "mxfp4:scale=e8m23", "nf4:rule=floor",
     "mxfp4:rule=4over6", "e2m1:block=32,scale=e3m2fn", "e4m3fnuz:channel", "fp16:tensor"],
)  # fmt: skip
def test_what_has_one(name: str) -> None:
    scaled(name).check()


def test_scales_without_a_nan_leave_it_to_elements() -> None:
    assert scaled("mxfp4:scale=e3m2fn").encoding.nonfinite is NonFinite.ELEMENT
    assert scaled("mxfp4:scale=e4m3fn").encoding.nonfinite is NonFinite.BLOCK


@given(st.sampled_from(sorted(BLOCK_FORMATS)))
def test_copies_are_equal(name: str) -> None:
    target = BLOCK_FORMATS[name]
    copy = pickle.loads(pickle.dumps(target))
    assert copy == target
    assert hash(copy) == hash(target)
    assert replace(target, name="other") != target
