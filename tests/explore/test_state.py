"""Whatever keys are pressed, code, value and other formats are those of `fpx decode`."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from fractions import Fraction

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import fpx
from fpx.core.blocks import BLOCK_FORMATS
from fpx.core.codec import round_exact
from fpx.core.formats import FORMATS
from fpx.core.literals import parse_literal
from fpx.core.names import find_format
from fpx.core.numbers import Code, Nan
from fpx.core.policy import Overflow, Rounding
from fpx.core.scaling import ScaledFormat
from fpx.core.spec import FormatSpec
from fpx.core.targets import find_target
from fpx.errors import InputError
from fpx.explore.block import SCALE, Block, block_of_text
from fpx.explore.history import History
from fpx.explore.keys import CHANGES, pressed
from fpx.explore.pasted import command_line
from fpx.explore.state import LEVELS, OPERATIONS, Refused, State, View
from fpx.explore.typed import typed
from fpx.report.decode import DecodeReport
from tests.explore.screens import block_of, state_of
from tests.helpers import results

NAMES = [*FORMATS, "e5m7", "binary8p4se", "binary6p3uf", "e4m3b11fnuz", "e3m0"]
TEXTS = ["3.14", "-0", "1/3", "0x1.8p-3", "inf", "-nan", "max", "smallest_normal", "1e400", "2^-24",
         "65519.99", "0x1", "-6.5", "0b1"]  # fmt: skip
SPECS = st.sampled_from([find_format(name) for name in NAMES])
STEPS = st.one_of(
    st.sampled_from(sorted(CHANGES)),
    st.sampled_from(TEXTS),
    SPECS,
    st.integers(0, 200),  # a click on a bit
)


def step(state: State, what: object) -> State:
    """What a key, a text, a format or a click makes of a state; what is refused changes nothing."""
    try:
        if isinstance(what, FormatSpec):
            return state.led_by(what)
        if isinstance(what, int):
            return state.pointed(what).flipped()
        assert isinstance(what, str)
        return pressed(what, state) if what in CHANGES else typed(what, state)
    except InputError:
        return state


def decoded(state: State) -> list[dict[str, object]]:
    """What the command prints that leaving prints."""
    return results(*shlex.split(command_line(state))[1:])


def check(state: State) -> None:
    """Holds a state to `fpx decode`."""
    entries = decoded(state)
    spec, report = state.lead, state.report
    first = entries[0]
    assert first["format"] == spec.name
    assert first["code"] == f"0x{state.code:0{-(-spec.bits // 4)}x}"
    assert first["value"] == report.value_text
    assert (first["rounding"], first["overflow"]) == (state.rounding.value, state.overflow.value)
    items = [item for item in state.others if isinstance(item, DecodeReport)]
    if isinstance(state.literal, Code) and first["input"] == state.literal.text:
        items = []  # no number becomes this code: it is shown alone
        assert report.nan_payload or state.overflow is not Overflow.IEEE or "nan" in report.shortest
    assert [entry["format"] for entry in entries[1:]] == [item.format for item in items]
    for entry, item in zip(entries[1:], items, strict=True):
        assert (entry["value"], entry["error_ulp"]) == (item.value_text, item.error_ulp)
        assert entry["bits"] == item.bits
        assert entry["input"] == first["input"]


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(TEXTS), st.lists(SPECS, min_size=1, max_size=4, unique=True),
       st.lists(STEPS, max_size=12))  # fmt: skip
@example("3.14", [find_format("bf16"), find_format("fp16")], ["nan", "flip", "next", "previous"])
@example("3", [find_format("e8m0"), find_format("fp4")], ["binade_down", "sign", "zero", "next"])
@example("inf", [find_format("bf16")], ["overflow", "round", "up", "down"])
def test_any_keys_keep_to_decode(
    text: str, formats: Sequence[FormatSpec], steps: list[object]
) -> None:
    try:
        state = State.of(parse_literal(text), formats)
    except InputError:
        return
    for what in steps:
        state = step(state, what)
        assert 0 <= state.bit < state.lead.bits
        assert 0 <= state.code < 1 << state.lead.bits
        assert 0 <= state.zoom <= LEVELS
    check(state)


# -- what single keys do ---------------------------------------------------------------------------

ANY = st.tuples(SPECS, st.integers(0)).map(
    lambda pair: State.of(parse_literal("1"), [pair[0]]).with_code(pair[1] % (1 << pair[0].bits))
)


@settings(deadline=None)
@given(ANY, st.integers(0, 127))
def test_a_bit_turned_over_twice_is_as_it_was(state: State, bit: int) -> None:
    pointed = state.pointed(bit)
    once = pointed.flipped()
    assert once.code == state.code ^ 1 << min(bit, state.lead.bits - 1)
    assert once.flipped().code == state.code


@settings(deadline=None)
@given(ANY)
def test_the_next_value_is_the_next(state: State) -> None:
    value = state.report.value
    up = state.stepped(up=True)
    if up == state:
        assert state.report.shortest.endswith(("nan", "inf")) or state.code == (
            state.lead.max_finite_magnitude
        )
        return
    if value is not None and up.report.value is not None:
        assert up.report.value > value or {value, up.report.value} == {0}
    back = up.stepped(up=False)
    assert back.report.value_text.lstrip("-") == state.report.value_text.lstrip("-")


@settings(deadline=None)
@given(ANY, st.booleans())
def test_a_binade_is_a_factor_of_two(state: State, up: bool) -> None:
    value = state.report.value
    try:
        found = state.scaled(up)
    except InputError:
        assert state.lead.nan_code is None
        return
    if not value:
        assert found == state
    else:
        exact = value * (2 if up else Fraction(1, 2))
        assert found.code == round_exact(*exact.as_integer_ratio(), state.lead).code


@settings(deadline=None)
@given(ANY)
def test_the_sign_is_turned_and_nothing_else(state: State) -> None:
    found = state.negated()
    assert found.negated().code == state.code
    assert found.code ^ state.code in (0, state.lead.sign_mask)
    value = state.report.value
    if state.lead.signed and value:
        assert found.report.value == -value


@pytest.mark.parametrize("name", NAMES)
def test_special_values(name: str) -> None:
    spec = find_format(name)
    state = State.of(parse_literal("1"), [spec])
    assert state.smallest().report.value == spec.smallest_positive.fraction
    assert state.smallest_normal().report.value == spec.smallest_normal.fraction
    assert state.largest().report.value == spec.max_finite.fraction


# -- formats ---------------------------------------------------------------------------------------


def names(state: State) -> list[str]:
    return [spec.name for spec in state.formats]


def test_formats_take_turns_in_the_lead() -> None:
    state = state_of()
    assert names(state.turned(forward=True)) == ["float16", "float32", "bfloat16"]
    assert names(state.turned(forward=False)) == ["float32", "bfloat16", "float16"]
    assert state.turned(forward=True).turned(forward=False) == state
    assert names(state.without_lead()) == ["float16", "float32"]
    alone = state_of(formats=["bfloat16"])
    assert alone.without_lead() == alone.turned(forward=True) == alone


def test_a_new_format_leads_with_the_number_not_the_code() -> None:
    turned = state_of().flipped().led_by(find_format("e5m7"))
    assert names(turned) == ["e5m7", "bfloat16", "float16", "float32"]
    assert turned.report.value == Fraction("3.125")
    assert turned.led_by(find_format("bfloat16")).code == 0x4048


def test_what_is_typed_stays_the_number_of_all_formats() -> None:
    state = state_of("0.1").led_by(find_format("float32"))
    assert state.report.input == "0.1"
    assert state.code == 0x3DCCCCCD


def test_formats_that_cannot_hold_it_say_so_and_are_passed_over() -> None:
    state = state_of("nan", ["bfloat16", "float4_e2m1fn", "float16"])
    refused, held = state.others
    assert isinstance(refused, Refused)
    assert refused.reason == "float4_e2m1fn has no NaN: every code is a number"
    assert isinstance(held, DecodeReport)
    assert state.turned(forward=True).lead.name == "float16"


def test_the_cursor_stays_inside_a_narrower_format() -> None:
    assert state_of().pointed(15).led_by(find_format("e4m3fn")).bit == 7


def test_a_nan_with_a_payload_is_pasted_as_a_code() -> None:
    state = state_of().with_literal(parse_literal("0x7fc1"))
    assert command_line(state) == "fpx decode 0x7fc1 --dtype bfloat16"
    assert isinstance(state.number, Nan)
    check(state)


def test_an_overflow_policy_without_a_code_is_passed_over() -> None:
    state = state_of("7.5", ["float4_e2m1fn"])
    assert state.overflowing().overflow is Overflow.SATURATE
    assert state.overflowing().overflowing().overflow is Overflow.IEEE
    assert state_of().overflowing().overflowing().overflow is Overflow.NAN


def test_rounding_modes_go_round() -> None:
    state = state_of("0.1")
    found = []
    for _ in Rounding:
        found.append(state.rounding)
        assert state.code == fpx.encode("0.1", "bf16", rounding=state.rounding.value).code
        state = state.rounded(1)
    assert found == [*Rounding]
    assert state.rounding is Rounding.TIES_TO_EVEN
    assert state.rounded(-1).rounding is found[-1]


# -- arithmetic ------------------------------------------------------------------------------------


def test_operands_are_codes_of_the_format_that_leads() -> None:
    state = state_of().with_second(parse_literal("0.01"))
    assert state.expression == "0x4049 + 0x3c24"
    assert [state := state.operated() for _ in OPERATIONS][-2].expression == "max(0x4049, 0x3c24)"
    code = state_of().with_second(parse_literal("0x3f80")).led_by(find_format("float16"))
    assert code.expression == "0x4248 + 0x3c00"
    assert state_of().with_second(parse_literal("max")).expression == "0x4049 + 0x7f7f"
    with pytest.raises(InputError):
        state_of().with_second(parse_literal("0x123456"))


# -- history ---------------------------------------------------------------------------------------


def test_undo_and_redo() -> None:
    first = state_of()
    history = History(first)
    assert history.undone() == history.redone() == history
    up = first.stepped(up=True)
    history = history.to(up).to(up.stepped(up=True))
    assert history.undone().now == up
    assert history.undone().undone().now == first
    assert history.undone().redone() == history
    assert history.undone().to(first).after == ()


def test_looking_elsewhere_is_no_step() -> None:
    state = state_of()
    history = (
        History(state).to(state.pointed(5)).to(state.zoomed(out=True)).to(state.seen(View.LINE))
    )
    assert history.before == ()
    block = block_of()
    assert block.block is not None
    assert History(block).to(block.with_block(block.block.moved(left=False))).before == ()
    assert len(History(state).to(state.rounded(1)).before) == 1


def test_history_is_not_endless() -> None:
    history = History(state_of("0"))
    for _ in range(1100):
        history = history.to(history.now.stepped(up=True))
    assert len(history.before) == 1000


# -- blocks ----------------------------------------------------------------------------------------

BLOCK_NAMES = [*BLOCK_FORMATS, "e4m3fn:tensor", "int8:block=4"]
BLOCK_STEPS = st.sampled_from(
    ["flip", "left", "right", "up", "down", "binade_up", "binade_down", "sign", "next", "previous"]
)


def scaled(name: str) -> ScaledFormat:
    target = find_target(name)
    assert isinstance(target, ScaledFormat)
    return target


@settings(max_examples=120, deadline=None)
@given(st.sampled_from(BLOCK_NAMES), st.sampled_from(["3.14", "6 -4 3 0.1", "-0 nan", "1 2 3"]),
       st.lists(BLOCK_STEPS, max_size=10))  # fmt: skip
def test_any_keys_keep_blocks_to_decode(name: str, numbers: str, steps: list[str]) -> None:
    state = state_of().with_block(block_of_text(numbers, scaled(name)))
    for what in steps:
        state = step(state, what)
    block = state.block
    assert block is not None
    assert SCALE <= block.at < len(block.report.rows)
    assert 0 <= block.bit < block.width
    (entry,) = results(*shlex.split(command_line(state))[1:])
    assert entry["format"] == block.target.name
    assert entry["scale_code"] == block.report.scale_hex
    assert entry["global_scale_code"] == block.report.global_hex
    assert [each["code"] for each in entry["elements"]] == [row.hex for row in block.report.rows]
    assert [each["value"] for each in entry["elements"]] == [
        row.value_text for row in block.report.rows
    ]


def test_the_cursor_goes_through_all_bits_of_a_block() -> None:
    block: Block | None = block_of("6 -4").block
    assert block is not None
    places = [(block.at, block.bit)]
    for _ in range(30):
        block = block.moved(left=False)
        places.append((block.at, block.bit))
    assert places[:8] == [(0, 3), (0, 2), (0, 1), (0, 0), (1, 3), (1, 2), (1, 1), (1, 0)]
    assert places[8:] == [(1, 0)] * 23
    for _ in range(30):
        block = block.moved(left=True)
    assert (block.at, block.bit) == (SCALE, 7)
    assert [block.turned(forward=forward).at for forward in (True, False)] == [0, 1]
    assert block.turned(forward=True).turned(forward=True).turned(forward=True).at == SCALE


def test_values_of_a_block_step() -> None:
    block = block_of("6 -4 3").block
    assert block is not None
    assert block.report.rows[0].element_text == "6"
    assert block.stepped(up=True).report.rows[0].element_text == "6"  # the largest
    assert block.stepped(up=False).report.rows[0].element_text == "4"
    assert block.scaled(up=True).report.scale_text == "2"
    table = block_of("1 -1", "nf4").block
    assert table is not None
    values = [float(Fraction(table.report.rows[0].element_text))]
    for _ in range(15):
        table = table.stepped(up=False)
        values.append(float(Fraction(table.report.rows[0].element_text)))
    assert values == sorted(set(values), reverse=True)
    assert table.stepped(up=False) == table
    assert (values[0], values[-1]) == (1, -1)


def test_more_numbers_than_a_block_are_refused() -> None:
    with pytest.raises(InputError, match="20 numbers are 2 blocks of nvfp4: give 16 or fewer"):
        block_of("1 " * 20, "nvfp4")


def test_keys_of_single_numbers_say_so_in_a_block() -> None:
    for action in ("zero", "largest", "round", "overflow", "table", "calc", "line"):
        with pytest.raises(InputError, match="mxfp4 has a scale of its own"):
            pressed(action, block_of())
    assert block_of().without_lead().block is None


def test_codes_are_never_of_another_format() -> None:
    state = state_of().flipped()
    assert isinstance(state.literal, Code)
    assert not isinstance(state.led_by(find_format("float16")).literal, Code)


def test_the_zoom_has_ends() -> None:
    state = state_of()
    assert state.zoomed(out=False) == state
    for _ in range(LEVELS + 5):
        state = state.zoomed(out=True)
    assert state.zoom == LEVELS
    assert state.zoomed(out=False).zoom == LEVELS - 1


def test_a_zero_keeps_its_sign_in_other_formats() -> None:
    state = state_of("0").negated()
    assert state.code == 0x8000
    assert [each.value_text for each in state.others if isinstance(each, DecodeReport)] == [
        "-0"
    ] * 2
    assert command_line(state) == "fpx decode -0 --dtype bfloat16,float16,float32"


def test_the_cursor_goes_from_the_scale_to_the_first_element() -> None:
    block = block_of().block
    assert block is not None
    block = block.pointed(SCALE, 0).moved(left=False)
    assert (block.at, block.bit) == (0, 3)
