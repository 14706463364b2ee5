"""The number line: columns that follow from exact values, at every zoom."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fpx
from fpx.core.literals import parse_literal
from fpx.core.names import find_format
from fpx.core.policy import Overflow
from fpx.explore.number_line import NumberLine, WholeLine
from fpx.explore.state import LEVELS, State
from tests.explore.screens import state_of
from tests.helpers import drawn

WIDTH = 81


def line_of(state: State, zoom: int = 0, width: int = WIDTH) -> list[str]:
    for _ in range(zoom):
        state = state.zoomed(out=True)
    return drawn(NumberLine(state), width).splitlines()


def column(number: Fraction, value: Fraction, reach: Fraction) -> Fraction:
    """Where a number belongs, `reach` x 5/4 on each side of the value being the whole width."""
    half = Fraction(WIDTH - 1, 2)
    return half + (number - value) / (reach * Fraction(5, 4)) * half


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from(["bf16", "fp16", "fp64", "float128", "e4m3fn", "fp4", "e8m0", "e5m7"]),
    st.integers(0),
    st.integers(0, 3),
)
def test_everything_is_where_it_belongs(name: str, code: int, zoom: int) -> None:
    spec = find_format(name)
    state = State.of(fpx.decode("1", spec).literal, [spec]).with_code(code % (1 << spec.bits))
    report, lines = state.report, line_of(state, zoom)
    value = report.value
    if value is None:
        assert lines == [f"{report.shortest} has no place on the line of numbers"]
        return
    near = [value]
    for up in (True, False):
        at = state
        for _ in range(1 << zoom):
            at = at.stepped(up)
            if at.report.value is not None:
                near.append(at.report.value)
    reach = max(abs(each - value) for each in near)
    marks = {round(column(each, value, reach)) for each in near} - {WIDTH // 2}
    found = {at for at, cell in enumerate(lines[1]) if cell == "┼"}
    assert lines[1][WIDTH // 2] == "●"
    assert {min(abs(at - mark) for mark in marks) for at in found} <= {0, 1}  # of a half, either
    assert {min(abs(at - mark) for at in (*found, WIDTH // 2)) for mark in marks} <= {0, 1}
    interval = report.interval
    if interval is None:
        assert lines[2] == "no other number rounds here"
        return
    for end, marks_ in ((interval.low, "[("), (interval.high, "])")):
        if end is None or abs(end.fraction - value) > reach * Fraction(5, 4):
            continue
        place = column(end.fraction, value, reach)
        if abs(place - WIDTH // 2) < 2:  # both ends in one column
            continue
        assert any(abs(at - place) <= 1 for at, cell in enumerate(lines[2]) if cell in marks_ + "▲")


def test_the_number_that_was_given_is_marked() -> None:
    lines = line_of(state_of("3.1328126"))
    assert lines[2].index("▲") == WIDTH // 2 - 16  # half an ulp below, over the bracket there
    for number in ("3.134", "3.14", "3.146", "3.1484374"):
        place = column(Fraction(number), Fraction("3.140625"), Fraction("0.015625"))
        assert abs(line_of(state_of(number))[2].index("▲") - place) <= 1
    assert "▲" not in line_of(state_of("3.140625"))[2]
    assert line_of(state_of())[2].endswith("rounds here, ▲ 3.14")


def test_the_ulp_is_a_length() -> None:
    lines = line_of(state_of())
    start, end = lines[3].index("└"), lines[3].index("┘")
    assert (start, end) == (WIDTH // 2, WIDTH // 2 + 32)
    assert lines[1][end] == "┼"
    below = line_of(state_of("-3.14"))
    assert (below[3].index("└"), below[3].index("┘")) == (WIDTH // 2 - 32, WIDTH // 2)
    assert "1 ulp = 2^-6" in lines[3]
    assert line_of(state_of("max"))[3].strip("─└┘ ") == "1 ulp = 2^120"


def test_labels_are_values_over_their_columns() -> None:
    lines = line_of(state_of())
    assert lines[0].split() == ["3.125", "3.140625", "3.15625"]
    for label in lines[0].split():
        middle = lines[0].index(label) + len(label) // 2
        assert lines[1][middle] in "┼●"
    crowded = line_of(state_of("3.14", ["float64"]), width=40)
    assert crowded[0].split() == ["3.1400000000000001"]


def test_zooming_out_ends_at_the_whole_range() -> None:
    state = state_of()
    heads = [line_of(state, zoom)[0].split() for zoom in range(6, LEVELS + 1)]
    for labels in heads:
        exponents = [int(each) for each in labels]
        assert exponents == sorted(exponents)
        assert exponents[0] <= 1
    spans = [int(labels[-1]) - int(labels[0]) for labels in heads]
    assert spans == sorted(spans)
    assert len(set(spans)) > 4
    whole = line_of(state, LEVELS)
    assert (whole[1].split()[0], whole[2].split()[0]) == ("bfloat16", "float16")
    assert line_of(state, LEVELS + 5) == whole
    assert whole[-1].endswith("▲ 2^1: 3.14")
    arrow = whole[-1].index("▲")
    assert whole[1][arrow] == "█"
    assert whole[2][arrow] == "█"


@pytest.mark.parametrize("value", ["0", "-0", "inf", "nan"])
def test_what_has_no_exponent_says_so(value: str) -> None:
    last = line_of(state_of(value), 8)[-1]
    assert last == f" {value} has no exponent"


def test_a_format_without_zero_has_a_line() -> None:
    assert line_of(state_of("1", ["e8m0"]))[1].count("┼") == 2


def test_the_large_line_has_both() -> None:
    lines = drawn(WholeLine(state_of()), WIDTH).splitlines()
    assert lines[:4] == line_of(state_of())
    assert lines[5:] == line_of(state_of(), LEVELS)
    zoomed = state_of()
    for _ in range(7):
        zoomed = zoomed.zoomed(out=True)
    assert drawn(WholeLine(zoomed), WIDTH).splitlines()[5:] == line_of(state_of(), 7)


def test_brackets_say_whether_an_end_rounds_here() -> None:
    state = state_of("3.140625")  # an odd code
    assert line_of(state)[2].split()[0].replace("━", "") == "()"
    assert line_of(state.stepped(up=True))[2].split()[0].replace("━", "") == "[]"
    assert line_of(state.rounded(1))[2].split()[0].replace("━", "") == "[)"


@pytest.mark.parametrize("number", ["inf", "-inf"])
@pytest.mark.parametrize(
    ("name", "overflow"), [("fp4", Overflow.IEEE), ("fp16", Overflow.SATURATE)]
)
def test_an_infinity_that_became_a_number_has_no_ulp(
    number: str, name: str, overflow: Overflow
) -> None:
    state = State.of(parse_literal(number), [find_format(name)], overflow=overflow)
    assert state.report.value is not None
    for zoom in range(LEVELS + 1):
        lines = line_of(state, zoom)
        assert not any("ulp" in line for line in lines)
    assert "●" in line_of(state)[1]
