"""Names of scaled formats: what they find, what they say, and who encodes otherwise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import product
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from fpx.core.blocks import BLOCK_FORMATS
from fpx.core.choices import LIKE, POWERS_OF_TWO, NonFinite, ScaleRule, Ties
from fpx.core.elements import CODEBOOKS
from fpx.core.formats import FORMATS
from fpx.core.scaled_names import named, scaled, split_names, with_library, with_rule
from fpx.core.scaling import Encoding, Reach, ScaledFormat, Scope
from fpx.core.targets import Target, asked_targets, find_target, find_targets, with_scaling
from fpx.core.variants import like, rules_for, with_scale
from fpx.errors import InputError

BF16, E4M3, E5M2, E8M0, FLOAT32 = (
    FORMATS[name]
    for name in ("bfloat16", "float8_e4m3fn", "float8_e5m2", "float8_e8m0fnu", "float32")
)
ONE = 0x3F800000


def found(name: str) -> ScaledFormat:
    target = find_target(name)
    assert isinstance(target, ScaledFormat)
    return target


def refusal(name: str) -> str:
    with pytest.raises(InputError) as caught:
        find_target(name)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# -- rows ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "element", "block", "aliases"),
    [
        ("mxfp8_e4m3", "float8_e4m3fn", 32, "MXFP8 mxfp8_e4m3fn"),
        ("mxfp8_e5m2", "float8_e5m2", 32, ""),
        ("mxfp6_e3m2", "float6_e3m2fn", 32, "mxfp6_e3m2fn"),
        ("mxfp6_e2m3", "float6_e2m3fn", 32, "mxfp6_e2m3fn"),
        ("mxfp4", "float4_e2m1fn", 32, "MXFP4_E2M1 mxfp4_e2m1fn"),
        ("mxint8", "int8", 32, ""),
        ("nvfp4", "float4_e2m1fn", 16, "NVFP4"),
        ("nf4", "nf4", 64, ""),
        ("fp4_bnb", "fp4_bnb", 64, ""),
    ],
)
def test_rows(name: str, element: str, block: int, aliases: str) -> None:
    row = BLOCK_FORMATS[name]
    assert row.name == name
    assert row.element == (CODEBOOKS.get(element) or FORMATS[element])
    assert row.reach == Reach(Scope.BLOCK, columns=block)
    assert row.citation
    assert all(find_target(f" {alias} ") is row for alias in [name, *aliases.split()])
    mx, nvfp4 = name.startswith("mx"), name == "nvfp4"
    assert row.scale == (E8M0 if mx else E4M3 if nvfp4 else FLOAT32)
    assert row.global_scale == (FLOAT32 if nvfp4 else None)
    if mx:
        assert row.encoding == Encoding(ScaleRule.FLOOR, zero_block=0)
    elif nvfp4:
        assert row.encoding == Encoding(ScaleRule.AMAX, zero_block=0)
    else:
        assert row.encoding == Encoding(
            ScaleRule.AMAX, Ties.ZERO, zero_block=0, nonfinite=NonFinite.ELEMENT,
            negative_zero=False,
        )  # fmt: skip
    row.check()


def test_there_are_no_other_rows() -> None:
    assert len(BLOCK_FORMATS) == 9


# -- names -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("bf16", "bfloat16"),
        ("mxfp8", "mxfp8_e4m3"),
        ("E4M3FN:Channel", "float8_e4m3fn:channel"),
        ("e4m3:channel", "float8_e4m3fn:channel"),
        ("fp8:tensor", "float8_e4m3fn:tensor"),
        ("e2m1:block=32", "float4_e2m1fn:block=32"),
        ("e5m2:channel=0", "float8_e5m2:channel"),
        ("e5m2:channel=-1", "float8_e5m2:channel=-1"),
        ("e4m3fn:block=128x128", "float8_e4m3fn:block=128x128"),
        ("e4m3fn:block=1x128", "float8_e4m3fn:block=128"),
        ("e4m3fn:rule=pow2", "float8_e4m3fn:tensor,rule=rceil"),
        ("e2m1:block=32,scale=e8m0", "float4_e2m1fn:block=32,scale=float8_e8m0fnu"),
        ("e2m1:block=32,scale=e8m0,rule=rceil", "float4_e2m1fn:block=32,scale=float8_e8m0fnu"),
        ("e2m1:rule=floor,scale=e8m0,block=32",
         "float4_e2m1fn:block=32,scale=float8_e8m0fnu,rule=floor"),
        ("int8:channel", "int8:channel"),
        ("nf4:block=128", "nf4:block=128"),
        ("nf4:block=64", "nf4"),
        ("mxfp4:rule=floor,ties=even,zeros=0,least=0,nan=block,-0=keep", "mxfp4"),
        ("mxfp4: rule=RCEIL , ties=away", "mxfp4:rule=rceil,ties=away"),
        ("mxfp4_e2m1:zeros=104,least=1", "mxfp4:zeros=0x68,least=0x1"),
        ("mxfp4:-0=drop,nan=element", "mxfp4:nan=element,-0=drop"),
        ("mxfp4:scale=bf16", "mxfp4:scale=bfloat16"),
        ("mxfp4:scale=e8m0", "mxfp4"),
        ("nvfp4:global=none", "nvfp4:global=none"),
        ("nvfp4:global=fp32", "nvfp4"),
        ("nvfp4:global=bf16", "nvfp4:global=bfloat16"),
        ("mxfp4:global=fp32", "mxfp4:global=float32"),
        ("nvfp4:rule=4over6", "nvfp4:rule=4over6"),
        ("nvfp4:rule=4over6,top=256", "nvfp4:rule=4over6"),
        ("nvfp4:rule=4over6,top=448", "nvfp4:rule=4over6,top=448"),
        ("nvfp4:top=256", "nvfp4:top=256"),
        ("nvfp4:top=448", "nvfp4"),
        ("nvfp4:underflow=0x20", "nvfp4:underflow=0x20"),
        ("mxfp8:rule=even,even-bits=1", "mxfp8_e4m3:rule=even,even-bits=1"),
        ("mxfp4:like=TorchAO", "mxfp4:like=torchao"),
        ("mxfp4:like=torchao,rule=floor", "mxfp4:like=torchao,rule=floor"),
        ("mxfp4:like=torchao,rule=rceil", "mxfp4:like=torchao"),
        ("nvfp4:like=modelopt,zeros=0", "nvfp4:like=modelopt,zeros=0x0"),
    ],
)  # fmt: skip
def test_names_say_what_is_not_usual(text: str, name: str) -> None:
    target = find_target(text)
    assert target.name == name
    assert find_target(name) == target
    assert find_target(target) is target


def test_options_do_what_they_say() -> None:
    target = found(
        "e2m1:block=8,scale=e4m3fn,global=bf16,rule=4over6,ties=zero,zeros=0x38,least=2,"
        "underflow=0x20,nan=element,-0=drop,top=448"
    )
    assert target.element == FORMATS["float4_e2m1fn"]
    assert (target.scale, target.global_scale) == (E4M3, BF16)
    assert target.reach == Reach(Scope.BLOCK, columns=8)
    assert target.encoding == Encoding(
        ScaleRule.FOUR_OVER_SIX, Ties.ZERO, 0x38, 2, 0x20, NonFinite.ELEMENT, False, 448
    )
    assert found("mxfp8:rule=even,even-bits=1").encoding.even_bits == 1
    assert found("nvfp4:rule=4over6").encoding.global_top == 256
    assert found("nvfp4:top=256").encoding.global_top == 256
    assert found("nvfp4:global=none").global_scale is None


def test_the_rule_and_the_scale_of_zeros_follow_the_scale() -> None:
    usual = found("e4m3fn:channel").encoding
    assert usual == Encoding(ScaleRule.AMAX, zero_block=ONE, nonfinite=NonFinite.ELEMENT)
    powers = found("e4m3fn:channel,scale=e8m0").encoding
    assert (powers.rule, powers.zero_block) == (ScaleRule.RCEIL, 0)
    half = found("e4m3fn:channel,scale=bf16").encoding
    assert (half.rule, half.zero_block) == (ScaleRule.AMAX, 0)
    floats = found("mxfp4:scale=float32").encoding
    assert (floats.rule, floats.zero_block) == (ScaleRule.AMAX, ONE)
    row = BLOCK_FORMATS["mxfp4"]
    assert with_scale(row, E8M0) is row
    assert scaled(E5M2, Reach.parse("block:32"), E8M0) == found("e5m2:block=32,scale=e8m0")


OPTIONS = "tensor, channel, block, scale, global, like, rule, ties, zeros, least, underflow, nan, top, even-bits, -0"  # noqa: E501


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("mxfp4:", f"'mxfp4:': no option is called '': use {OPTIONS}"),
        ("mxfp4:foo=1", f"'mxfp4:foo=1': no option is called 'foo': use {OPTIONS}"),
        ("mxfp4:rul=floor", "'mxfp4:rul=floor': no option is called 'rul'; did you mean 'rule'?"),
        ("mxfp4:rule=flor",
         "no scale rule is called 'flor': use one of floor, even, ceil, rceil, amax, 4over6, pow2"),
        ("mxfp4:rule", "no scale rule is called '': use one of floor, even, ceil, rceil, amax, "
         "4over6, pow2"),
        ("mxfp4:ties=up", "ties is one of even, away, zero, not 'up'"),
        ("mxfp4:nan=keep", "nan is one of block, element, not 'keep'"),
        ("mxfp4:zeros=x", "'x' is no code of a scale: write 0x38"),
        ("mxfp4:-0=x", "-0 is keep or drop, not 'x'"),
        ("nvfp4:top=500", "the largest scale under a global one is 448 or 256, not '500'"),
        ("mxfp4:top=256", "'mxfp4:top=256': top is of formats with a global scale, as nvfp4 has"),
        ("nvfp4:global=none,top=256",
         "'nvfp4:global=none,top=256': top is of formats with a global scale, as nvfp4 has"),
        ("mxfp8:rule=ceil,even-bits=1", "'mxfp8:rule=ceil,even-bits=1': even-bits is of the rule "
         "even"),
        ("mxfp8:even-bits=-1", "even-bits is a number of fraction bits, not '-1'"),
        ("mxfp4:block=0", "'block=0': a block has at least one element"),
        ("mxfp4:block", "'block' is not what shares a scale: write tensor, channel, channel:AXIS, "
         "block:N or block:NxM"),
        ("mxfp4:tensor=2", "'tensor=2' is not what shares a scale: write tensor, channel, "
         "channel:AXIS, block:N or block:NxM"),
        ("mxfp4:block=3,channel", "'mxfp4:block=3,channel': channel, block exclude each other"),
        ("mxfp4:rule=even,ties=zero,rule=even",
         "'mxfp4:rule=even,ties=zero,rule=even': rule comes twice"),
        ("mxfp4:like=tochao", "no encoder is called 'tochao'; did you mean 'torchao'?"),
        ("mxfp4:like=x", "no encoder is called 'x': use one of torchao, transformer-engine, "
         "compressed-tensors, modelopt, quark, gguf"),
        ("mxint8:like=torchao", "torchao writes no mxint8, as far as fpx knows: it has mxfp8_e4m3, "
         "mxfp8_e5m2, mxfp6_e3m2, mxfp6_e2m3, mxfp4, nvfp4"),
        ("e4m3fn:channel,like=gguf",
         "gguf writes no float8_e4m3fn, as far as fpx knows: it has mxfp4"),
        ("mxfp4:rule=ev\x1ben",
         "no scale rule is called 'ev\\x1ben': use one of floor, even, ceil, rceil, amax, 4over6, "
         "pow2"),
    ],
)  # fmt: skip
def test_errors_name_what_is_wrong_and_say_what_to_do(text: str, message: str) -> None:
    assert refusal(text) == message


@pytest.mark.parametrize("text", ["mxfp5", "foo:tensor", "mxfp4:scale=foo", "nvfp4:global="])
def test_what_is_no_format(text: str) -> None:
    assert refusal(text).startswith("unknown format ")


def test_long_input_makes_short_errors() -> None:
    for text in ("x" * 10**5, f"mxfp4:{'y' * 10**5}", f"mxfp4:zeros={'9' * 10**5}",
                 f"mxfp4:rule={'z' * 10**5}", f"nvfp4:top={'1' * 10**5}"):  # fmt: skip
        assert len(refusal(text)) < 500


# -- names of anything -----------------------------------------------------------------------------

CODES = st.integers(0, 0x7E)
BASES = [*BLOCK_FORMATS, "e4m3fn", "e5m2", "bf16", "int8", "e2m1", "e3m4"]
CHOICES: dict[str, Any] = {
    "": st.sampled_from(["tensor", "channel", "channel=1", "block=16", "block=4x32"]),
    "scale=": st.sampled_from(["float32", "e8m0", "e4m3fn", "bf16", "e3m2fn"]),
    "global=": st.sampled_from(["none", "float32", "bf16"]),
    "like=": st.sampled_from(sorted(LIKE)),
    "rule=": st.sampled_from([rule.value for rule in ScaleRule]),
    "ties=": st.sampled_from([ties.value for ties in Ties]),
    "zeros=": CODES,
    "least=": CODES,
    "underflow=": CODES,
    "nan=": st.sampled_from(["block", "element"]),
    "top=": st.sampled_from([256, 448]),
    "even-bits=": st.integers(0, 4),
    "-0=": st.sampled_from(["keep", "drop"]),
}


@st.composite
def targets(draw: st.DrawFn) -> ScaledFormat:
    """A scaled format of some options, in any order."""
    keys = draw(st.lists(st.sampled_from(sorted(CHOICES)), unique=True, max_size=6))
    options = ",".join(f"{key}{draw(CHOICES[key])}" for key in keys)
    base = draw(st.sampled_from(BASES))
    if not options:
        assume(base in BLOCK_FORMATS)
    try:
        return found(f"{base}:{options}" if options else base)
    except InputError:
        assume(False)
        raise


@given(targets())
def test_names_find_what_they_name(target: ScaledFormat) -> None:
    assert find_target(target.name) == target
    assert find_targets(f"bf16,{target.name},mxfp4") == list(
        dict.fromkeys([BF16, target, BLOCK_FORMATS["mxfp4"]])
    )


def test_different_choices_have_different_names() -> None:
    options = (
        ["", "like=compressed-tensors", "like=torchao", "like=gguf"],
        ["", "rule=even", "rule=4over6", "rule=amax", "rule=floor"],
        ["", "zeros=0x20", "zeros=0"],
        ["", "least=8", "least=0"],
        ["", "underflow=0x20"],
        ["", "top=256", "top=448"],
        ["", "even-bits=1", "even-bits=0"],
        ["", "-0=drop"],
    )
    seen: dict[str, ScaledFormat] = {}
    for base, *some in product(("mxfp8", "mxfp4", "nvfp4", "e2m1:block=16"), *options):
        text = ",".join(each for each in some if each)
        try:
            target = found((f"{base},{text}" if ":" in base else f"{base}:{text}").rstrip(":,"))
        except InputError:
            continue
        assert seen.setdefault(target.name, target) == target, text
    assert len(set(seen.values())) == len(seen) > 1000


@given(targets(), st.sampled_from(ScaleRule), st.sampled_from(sorted(LIKE)))
def test_what_is_changed_is_named_anew(target: ScaledFormat, rule: ScaleRule, library: str) -> None:
    changes: list[Callable[[], ScaledFormat]] = [
        lambda: with_rule(target, rule),
        lambda: with_library(target, library),
        lambda: with_rule(with_library(target, library), rule),
        lambda: with_library(with_rule(target, rule), library),
    ]
    for change in changes:
        try:
            made = change()
        except InputError:
            continue
        assert find_target(made.name) == made


def test_a_rule_brings_its_top_and_takes_it_away() -> None:
    nvfp4 = BLOCK_FORMATS["nvfp4"]
    six = with_rule(nvfp4, ScaleRule.FOUR_OVER_SIX)
    assert six == found("nvfp4:rule=4over6")
    assert with_rule(six, ScaleRule.AMAX) == nvfp4
    wide = found("nvfp4:rule=4over6,top=448")
    assert with_rule(wide, ScaleRule.FOUR_OVER_SIX) == wide
    narrow = found("nvfp4:top=256")
    assert with_rule(narrow, ScaleRule.AMAX) == narrow


def test_another_rule_forgets_the_bits_that_even_counts() -> None:
    theirs = found("mxfp8:like=compressed-tensors")
    assert with_rule(theirs, ScaleRule.EVEN).encoding == theirs.encoding
    assert with_rule(theirs, ScaleRule.EVEN).name == "mxfp8_e4m3:rule=even,even-bits=1"
    assert with_rule(theirs, ScaleRule.RCEIL) == found("mxfp8:rule=rceil")
    floor = found("mxfp8:like=compressed-tensors,rule=floor")
    assert floor.encoding == BLOCK_FORMATS["mxfp8_e4m3"].encoding


def test_a_library_brings_its_rule_and_what_belongs_to_it() -> None:
    six = found("mxfp4:rule=4over6")
    assert six.encoding.global_top == 256
    assert with_library(six, "compressed-tensors") == found("mxfp4:like=compressed-tensors")
    bits = found("mxfp4:rule=even,even-bits=2")
    assert with_library(bits, "torchao") == found("mxfp4:like=torchao")


def test_names_are_refused_with_what_they_name() -> None:
    row = BLOCK_FORMATS["mxfp4"]
    with pytest.raises(InputError, match="is no finite scale of"):
        named(replace(row, encoding=replace(row.encoding, zero_block=255)))


# -- several ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("bf16", ["bf16"]),
        ("bf16,mxfp4", ["bf16", "mxfp4"]),
        ("bf16,e2m1:block=32,scale=e8m0", ["bf16", "e2m1:block=32,scale=e8m0"]),
        ("e2m1:block=32,scale=e8m0,bf16,nvfp4", ["e2m1:block=32,scale=e8m0", "bf16", "nvfp4"]),
        ("mxfp4:rule=even,mxfp4:rule=floor", ["mxfp4:rule=even", "mxfp4:rule=floor"]),
        ("e4m3fn:rule=amax,channel,-0=drop", ["e4m3fn:rule=amax,channel,-0=drop"]),
        ("mxfp4:ties=away, Rule = even", ["mxfp4:ties=away, Rule = even"]),
        ("bf16,rule=even", ["bf16", "rule=even"]),
        ("mxfp4:rule=even,e4m3fn:channel", ["mxfp4:rule=even", "e4m3fn:channel"]),
        ("mxfp4:even-bits=1,like=quark,x", ["mxfp4:even-bits=1,like=quark", "x"]),
    ],
)
def test_commas(text: str, parts: list[str]) -> None:
    assert split_names(text) == parts


def test_several_targets() -> None:
    mxfp4, nvfp4 = BLOCK_FORMATS["mxfp4"], BLOCK_FORMATS["nvfp4"]
    assert find_targets("mxfp4,bf16,MXFP4") == [mxfp4, BF16]
    assert find_targets(["nvfp4", mxfp4, BF16, "bfloat16", nvfp4]) == [nvfp4, mxfp4, BF16]
    assert find_targets(mxfp4) == [mxfp4]
    assert find_targets(BF16) == [BF16]
    every = find_targets("all,mxfp4")
    assert every == [*FORMATS.values(), mxfp4]
    assert find_targets("all", [BF16]) == [BF16]
    with pytest.raises(InputError, match=r"^unknown format 'rule=even'"):
        find_targets("bf16,rule=even")


# -- rules and options of commands -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "rules"),
    [
        ("mxfp4", POWERS_OF_TWO),
        ("mxint8", POWERS_OF_TWO),
        ("nf4:scale=e8m0", (ScaleRule.FLOOR, ScaleRule.CEIL, ScaleRule.RCEIL)),
        ("e4m3fn:channel,scale=e8m0", POWERS_OF_TWO),
        ("nvfp4", (ScaleRule.AMAX, ScaleRule.FOUR_OVER_SIX)),
        ("nvfp4:global=none", (ScaleRule.AMAX, ScaleRule.RCEIL)),
        ("e4m3fn:channel", (ScaleRule.AMAX, ScaleRule.RCEIL)),
        ("nf4", (ScaleRule.AMAX, ScaleRule.RCEIL)),
    ],
)
def test_rules_worth_comparing(name: str, rules: tuple[ScaleRule, ...]) -> None:
    assert rules_for(found(name)) == rules


def _made(*arguments: Any, **kinds: Any) -> list[str]:
    return [target.name for target in with_scaling(*arguments, **kinds)]


def test_options_make_targets() -> None:
    mxfp4, nvfp4 = BLOCK_FORMATS["mxfp4"], BLOCK_FORMATS["nvfp4"]
    channel = Reach.parse("channel")
    plain: list[Target] = [BF16, mxfp4]
    assert with_scaling(plain) == plain
    assert _made([E4M3, mxfp4], channel) == ["float8_e4m3fn:channel", "mxfp4"]
    assert _made([E4M3, E5M2], channel, E8M0) == [
        "float8_e4m3fn:channel,scale=float8_e8m0fnu", "float8_e5m2:channel,scale=float8_e8m0fnu",
    ]  # fmt: skip
    assert _made([mxfp4, BF16], rules=[ScaleRule.EVEN, ScaleRule.FLOOR, ScaleRule.EVEN]) == [
        "mxfp4:rule=even", "mxfp4", "bfloat16",
    ]  # fmt: skip
    assert _made([mxfp4, nvfp4], rules=None) == [
        "mxfp4", "mxfp4:rule=even", "mxfp4:rule=ceil", "mxfp4:rule=rceil",
        "nvfp4", "nvfp4:rule=4over6",
    ]  # fmt: skip
    assert _made([E4M3], channel, rules=None) == [
        "float8_e4m3fn:channel", "float8_e4m3fn:channel,rule=rceil",
    ]  # fmt: skip
    assert _made([nvfp4, BF16], library="modelopt") == ["nvfp4:like=modelopt", "bfloat16"]
    assert _made([mxfp4], library="gguf", rules=[ScaleRule.EVEN]) == [
        "mxfp4:rule=even,ties=zero,-0=drop"
    ]
    assert _made([nvfp4], library="torchao", rules=None) == [
        "nvfp4:zeros=0x8,least=0x8", "nvfp4:rule=4over6,zeros=0x8,least=0x8",
    ]  # fmt: skip


def test_options_that_apply_to_nothing_are_refused() -> None:
    mxfp4, channel = BLOCK_FORMATS["mxfp4"], Reach.parse("channel")
    nothing = "none of the targets has a scale: say what shares one (`scale`)"
    cases: list[tuple[list[Target], dict[str, Any], str]] = [
        ([E4M3], {"scale": E8M0},
         "`scale_format` is of the scales of `scale`: say what shares one"),
        ([mxfp4], {"reach": channel},
         "`scale` is of formats without scales: the targets have theirs already"),
        ([E4M3], {"rules": None}, nothing),
        ([E4M3], {"rules": [ScaleRule.FLOOR]}, nothing),
        ([E4M3], {"library": "torchao"}, nothing),
        ([FLOAT32], {"reach": channel}, "float32 has 32 bits: elements have up to 16"),
        ([E4M3], {"reach": channel, "library": "gguf"},
         "gguf writes no float8_e4m3fn, as far as fpx knows: it has mxfp4"),
        ([mxfp4], {"library": "x"}, "no encoder is called 'x': use one of torchao, "
         "transformer-engine, compressed-tensors, modelopt, quark, gguf"),
    ]  # fmt: skip
    for given_, kinds, message in cases:
        with pytest.raises(InputError) as caught:
            with_scaling(given_, **kinds)
        assert str(caught.value) == message


# -- libraries -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("library", "name", "choices"),
    [
        ("torchao", "mxfp8_e4m3 mxfp8_e5m2 mxfp6_e3m2 mxfp6_e2m3 mxfp4", {"rule": "rceil"}),
        ("torchao", "nvfp4", {"zeros": "8", "least": "8"}),
        ("transformer-engine", "mxfp8_e4m3 mxfp8_e5m2", {"rule": "rceil"}),
        ("transformer-engine", "nvfp4", {}),
        ("compressed-tensors", "mxfp6_e2m3 mxfp4", {"rule": "even"}),
        ("compressed-tensors", "mxfp8_e4m3", {"rule": "even", "even-bits": "1"}),
        ("compressed-tensors", "nvfp4", {"zeros": "0x20", "underflow": "0x20"}),
        ("modelopt", "mxfp8_e4m3", {"rule": "rceil"}),
        ("modelopt", "mxfp4", {"rule": "rceil", "ties": "zero"}),
        ("modelopt", "nvfp4", {"zeros": "0x38", "least": "1"}),
        ("quark", "mxfp8_e4m3 mxfp8_e5m2 mxfp6_e3m2 mxfp6_e2m3 mxfp4", {"rule": "even"}),
        ("gguf", "mxfp4", {"ties": "zero", "-0": "drop"}),
    ],
)
def test_libraries_choose(library: str, name: str, choices: dict[str, str]) -> None:
    options = ",".join(f"{key}={value}" for key, value in choices.items())
    for each in name.split():
        theirs = like(f" {library.upper()} ", BLOCK_FORMATS[each])
        assert theirs.encoding == found(f"{each}:{options}" if options else each).encoding
        assert with_library(BLOCK_FORMATS[each], library.upper()).name == f"{each}:like={library}"


def test_libraries_have_these_rows_and_no_others() -> None:
    count = {library: len(rows) for library, rows in LIKE.items()}
    assert count == {
        "torchao": 6, "transformer-engine": 3, "compressed-tensors": 4, "modelopt": 3,
        "quark": 5, "gguf": 1,
    }  # fmt: skip
    for library, rows in LIKE.items():
        for name in rows:
            like(library, BLOCK_FORMATS[name]).check()


def test_tables_of_elements_are_targets_once_it_is_said_what_shares_a_scale() -> None:
    assert asked_targets("int8", (), scale="channel:0") == [found("int8:channel=0")]
    assert asked_targets(["INT8, nf4", "mxfp4"], (), scale="block:32", scale_format="e8m0") == [
        found("int8:block=32,scale=e8m0"), found("nf4"), found("mxfp4"),
    ]  # fmt: skip
    with pytest.raises(InputError, match=r"int8 is nothing without scales: .* \(`scale`\)"):
        asked_targets("int8", ())
    with pytest.raises(InputError, match="int8 is nothing without scales"):
        with_scaling([CODEBOOKS["int8"]])
