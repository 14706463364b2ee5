"""What the parts of the screen say, and what a click on them means."""

from __future__ import annotations

from dataclasses import replace

import pytest
from rich.console import Console
from rich.segment import Segment

import fpx
from fpx.core.policy import Overflow, Rounding
from fpx.errors import InputError
from fpx.explore import pictures
from fpx.explore.arithmetic import arithmetic, calc_of
from fpx.explore.bits import Others, one_line, strip, title
from fpx.explore.blocks import block_bits
from fpx.explore.codes import beside, codes
from fpx.explore.formats import choices, says, why_none
from fpx.explore.marks import BIT, CODE, LEAD, PLACE
from fpx.explore.state import State, View
from fpx.explore.typed import reason, typed
from tests.explore.screens import block_of, state_of
from tests.helpers import drawn, results

CONSOLE = Console(width=80, force_terminal=True, color_system="truecolor")


def segments(renderable: object, width: int = 80) -> list[Segment]:
    found = CONSOLE.render(renderable, CONSOLE.options.update(width=width))  # type: ignore[arg-type]
    return [segment for segment in found if segment.style is not None]


def marks(renderable: object, what: str) -> list[tuple[str, int]]:
    """(text, number) of everything that a click of that kind may hit."""
    return [
        (segment.text, segment.style.meta[what])
        for segment in segments(renderable)
        if segment.style is not None and what in segment.style.meta
    ]


@pytest.mark.parametrize("name", ["bfloat16", "float64", "float128", "e8m0", "fp4"])
@pytest.mark.parametrize("width", [200, 80, 40])
def test_every_bit_has_its_position(name: str, width: int) -> None:
    state = state_of("1", [name])
    found = [
        (segment.text, segment.style.meta[BIT])
        for segment in segments(strip(state), width)
        if segment.style is not None and BIT in segment.style.meta
    ]
    top = state.lead.bits - 1
    assert [at for _, at in found] == list(range(top, -1, -1))
    assert "".join(text for text, _ in found) == state.report.bits


def test_the_cursor_is_one_bit() -> None:
    (cursor,) = [
        segment.style.meta[BIT]
        for segment in segments(strip(state_of().pointed(9)))
        if segment.style is not None and segment.style.reverse
    ]
    assert cursor == 9


def test_others_say_how_far_they_are_off() -> None:
    text = drawn(Others(state_of("0.1", ["bfloat16", "float16", "float32", "float4_e2m1fn"])))
    report = fpx.decode("0.1", "fp16")
    assert report.error_ulp == "-0.4"
    assert "0.099976  inexact  -0.4 ulp" in text
    assert "float4_e2m1fn 0 00 0" in text
    assert "0  inexact" not in text.splitlines()[2]
    assert "underflow" in text.splitlines()[2]


def test_others_are_clicked_by_their_place() -> None:
    found = {at for _, at in marks(Others(state_of()), LEAD)}
    assert found == {1, 2}
    assert state_of().formats[2].name == "float32"


def test_others_need_two_lines_where_one_is_too_short() -> None:
    state = state_of("3.14", ["bfloat16", "float64", "float16"])
    assert len(drawn(Others(state), 120).splitlines()) == 2
    narrow = drawn(Others(state), 50).splitlines()
    assert max(map(len, narrow)) <= 50
    bits = "".join(narrow).partition("float16")[0].replace(" ", "")
    assert fpx.decode("3.14", "float64").bits in bits


def test_infinite_errors_are_no_ulps() -> None:
    text = drawn(Others(state_of("1e30", ["bfloat16", "float16"])))
    assert text.endswith("inf  overflow")


def test_refusals_are_told() -> None:
    text = drawn(Others(state_of("nan", ["bfloat16", "fp4"])))
    assert text == "float4_e2m1fn float4_e2m1fn has no NaN: every code is a number"


def test_the_title_names_number_and_code() -> None:
    assert title(state_of()).plain == "3.14 as bfloat16  0x4049  3.140625  inexact"
    assert title(state_of().flipped()).plain == "bfloat16  0x4048  3.125  exact"
    assert one_line(state_of().report).plain == "0 10000000 1001001"


# -- codes -----------------------------------------------------------------------------------------


def table(name: str, value: str = "1") -> State:
    return replace(state_of(value, [name]), view=View.TABLE)


@pytest.mark.parametrize("name", ["e4m3fn", "e5m2", "fp4", "e8m0", "binary8p3ue", "e3m0", "e2m5"])
@pytest.mark.parametrize("sign", [False, True])
def test_the_table_has_each_code_once(name: str, sign: bool) -> None:
    state = table(name)
    if sign:
        state = state.negated()
    codes_ = [code for _, code in marks(codes(state), CODE)]
    low = state.code & state.lead.sign_mask
    assert sorted(set(codes_)) == list(range(low, low + state.lead.magnitude_mask + 1))
    assert len(codes_) == len(set(codes_))
    (cursor,) = [
        segment.style.meta[CODE]
        for segment in segments(codes(state))
        if segment.style is not None and segment.style.reverse
    ]
    assert cursor == state.code


def test_arrows_move_in_the_table() -> None:
    state = table("e4m3fn")  # three fraction bits across
    assert beside(state, 1, 0).code == state.code + 1
    assert beside(state, 0, 1).code == state.code + 8
    assert beside(state.negated(), 0, -1).code == state.negated().code - 8
    first = state.with_code(0)
    assert beside(first, -1, 0) == beside(first, 0, -1) == first
    last = state.with_code(0x7F)
    assert beside(last, 1, 0) == beside(last, 0, 1) == last
    tall = table("e2m5")  # exponent bits across
    assert beside(tall, 1, 0).code == tall.code + 32
    assert beside(tall, 0, 1).code == tall.code + 1


def test_wide_formats_show_what_is_around() -> None:
    text = drawn(codes(table("bf16")))
    assert "bfloat16 has 2^16 codes" in text
    assert "0x3f80  0-01111111-0000000  1" in text
    assert [code for _, code in marks(codes(table("bf16")), CODE)] == list(range(0x3F79, 0x3F88))
    assert drawn(codes(table("bf16", "nan"))) == "a NaN is beside no value"
    assert "0x7f80" in drawn(codes(table("bf16", "inf")))
    assert beside(table("bf16"), 1, 0) == table("bf16")


# -- arithmetic ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "second", "says"),
    [
        ("3.14", "1", "Rounding dropped 0.015625: 4.12 is below the exact result."),
        ("3.14", "0.01", "Rounding added 0.00561523: 3.16 is above the exact result."),
        ("-3.14", "-1", "Rounding added 0.015625: -4.12 is above the exact result."),
        ("3", "1", "Nothing was dropped: the result is exact."),
        ("max", "max", "The exact result is beyond the range: it became inf."),
        ("inf", "-inf", "The result is no number: nothing was rounded."),
    ],
)
def test_what_rounding_dropped(value: str, second: str, says: str) -> None:
    state = typed(second, state_of(value), second=True)
    assert drawn(arithmetic(state), 100).splitlines()[-1] == says


def test_arithmetic_is_that_of_calc() -> None:
    state = typed("0.01", state_of().rounded(1).overflowing(), second=True)
    for _ in range(6):
        state = state.operated()
        report = calc_of(state)
        assert report.result.rounding is Rounding.TIES_TO_AWAY
        assert report.result.overflow is Overflow.SATURATE
        entry = results(
            "calc", state.expression, "--dtype", "bf16", "--rounding", "ties_to_away",
            "--overflow", "saturate",
        )[0]  # fmt: skip
        assert entry["code"] == f"0x{report.code:04x}"


def test_a_second_number_that_the_format_has_not_is_told() -> None:
    state = typed("nan", state_of(), second=True).led_by(fpx.decode("1", "fp4").spec)
    assert drawn(arithmetic(state)) == "float4_e2m1fn has no NaN: every code is a number"


# -- blocks ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["mxfp4", "nvfp4", "nf4", "mxint8", "mxfp6_e3m2"])
def test_every_bit_of_a_block_has_its_place(name: str) -> None:
    block = block_of("6 -4 3", name).block
    assert block is not None
    target = block.target
    places = [(place, bit) for (_, place), (_, bit) in zip(
        marks(block_bits(block), PLACE), marks(block_bits(block), BIT), strict=True)]  # fmt: skip
    expected = [(-1, bit) for bit in range(target.scale.bits - 1, -1, -1)]
    expected += [(at, bit) for at in range(3) for bit in range(target.bits - 1, -1, -1)]
    assert places == expected
    text = "".join(text for text, _ in marks(block_bits(block), BIT))
    codes_ = [row.bits for row in block.report.rows]
    assert text == f"{block.report.block.scale_code:0{target.scale.bits}b}" + "".join(codes_)


# -- the bottom lines ------------------------------------------------------------------------------


def test_modes_keep_their_names() -> None:
    state = state_of().rounded(3).overflowing()
    for width in (20, 40, 79, 80, 200):
        text = pictures.modes(state, width).plain
        assert "toward_positive" in text
        assert "saturate" in text
    assert "(r)" in pictures.modes(state, 80).plain
    assert "mxfp4" in pictures.modes(block_of(), 80).plain


def test_hints_are_whole() -> None:
    assert pictures.hints(80).plain.endswith("? all keys")
    assert pictures.hints(12).plain == "? all keys"
    assert all(len(pictures.hints(width).plain) <= width for width in range(10, 120))


def test_a_long_command_is_for_the_clipboard() -> None:
    long = state_of("3.14", ["float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz"])
    assert pictures.pasted(long, 30).plain == "C copies the fpx decode line"
    assert pictures.pasted(long, 80).plain.startswith("$ fpx decode 3.14 --dtype float8_e4m3fn,")


# -- formats and texts -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "first"),
    [("bf16", "bfloat16"), ("e5m7", "e5m7"), ("binary8p4se", "binary8p4se"), ("mxfp4", "mxfp4"),
     ("e4m3fn:block=32", "e4m3fn:block=32"), ("", "float128"), ("  FP16 ", "float16"),
     ("half", "float16")],
)  # fmt: skip
def test_formats_are_found_as_one_types(text: str, first: str) -> None:
    assert choices(text)[0].target.name in (first, f"float8_{first}")


def test_fewer_formats_as_one_types() -> None:
    every = len(choices(""))
    assert every > len(choices("e4")) > len(choices("e4m3fnu")) > 0
    assert [choice.target.name for choice in choices("fp4_b")] == ["fp4_bnb"]
    assert choices("xyz") == []
    assert why_none("xyz").startswith("unknown format 'xyz'")
    assert says(fpx.decode("1", "e8m0").spec) == "8 bits: 8 exponent, 0 fraction"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "an empty value"),
        ("3,14", "the decimal separator is a point; write '3.14'"),
        ("+0x1", "a code has no sign; drop it"),
        ("0x12345", "write at most 4 hexadecimal digits"),
        ("1/0", "divides by zero"),
    ],
)
def test_reasons_are_for_people(text: str, said: str) -> None:
    with pytest.raises(InputError) as error:
        typed(text, state_of())
    assert said in reason(error.value)
    assert "`" not in reason(error.value)
