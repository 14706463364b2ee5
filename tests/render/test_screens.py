"""On a terminal no number and no code is cut: what a narrow screen shows, a pipe shows too."""

from __future__ import annotations

import re
from functools import cache
from itertools import pairwise

import pytest

import fpx
from fpx.render.decode import decode_panel
from tests.helpers import call, drawn
from tests.render.test_devices import LACKING, SUPPORT, report_of

COMMANDS = [
    "decode 3.14",
    "decode 1e30",
    "decode -1e-40",
    "decode 1/3 --overflow saturate --rounding toward_zero",
    "decode nan",
    "decode 0.1 --dtype float128",
    "decode -max --dtype float128",
    "decode 1e-320 --dtype float64",
    "decode 1e300 --dtype float64",
    "decode 1e300 --dtype tf32",
    "decode 0x7c01 --dtype fp16",
    "decode 2 --dtype e8m0",
    "decode 0.1 --dtype all",
    "decode 1e30 --dtype all",
    "decode nan --dtype all",
    "decode -1/3 --dtype float64 --rounding all",
    "decode 0.1 --dtype float128 --dtype float64 --rounding all",
    "decode 1 -3.14e300 1e-320 1/3 --dtype float64",
    "decode 1 0.1 --dtype float128",
    "decode 1 -3.14 0.1",
    "decode 257.00001 --dtype bf16 --libraries",
    "decode 1e30 --dtype fp32 --libraries",
    "encode 0.1 -max --dtype float128",
    "encode 0.1 --dtype float128 --output bin",
    "distance 0.3 0.30000000000000004",
    "distance -inf inf --dtype float64",
    "distance -max max --dtype float128",
    "distance 1 2 --dtype float128 --dtype float64 --dtype e4m3fn",
    "distance 1e-300 1 --dtype all",
    "range",
    "range --dtype float128",
    "range --compare float64 float128",
    "range --compare float128 e4m3fn",
    "formats",
    "formats e5m7 binary8p4se",
    "table e2m1fn",
    "table e4m3fn",
    "table e8m0",
    "table e8m0 --list",
    "table e4m3fn --list",
    "table float64 --around 1e-300 --count 5",
    "table float128 --around 0.1 --count 3",
    "table float32 --around 1e-40 --count 3",
    "bits - --dtype bf16",
    "bits - --dtype float64",
    "bits - --dtype float128",
    "cast-verify --from uint8 --to e8m0 --to fp16 --backend ml_dtypes",
    "cast-verify --from float64 --to float16 --size 100",
    "cast-verify --from float16 --from float64 --size 100",
    "cast-verify --from int64 --to e8m0 --to fp32 --size 100",
]

_STRIP = re.compile(r"^╭.*?(?=^│ code)", re.DOTALL | re.MULTILINE)
_NUMBER_LINE = re.compile(r"^.*\n(?:.*[█░].*\n)+", re.MULTILINE)
_OFFSET = re.compile("[0-9a-f]{8}:")
_BITS = re.compile(r"[01]{8,}₂?|[01]\.[01]{8,}₂?|[01]+₂")


def numbers(text: str) -> list[str]:
    """The words with a digit in them, but for pictures: rulers of bits, number lines, offsets."""
    text = _NUMBER_LINE.sub("", _STRIP.sub("", text))
    words = (word.strip("()[],:│\x1b") for word in text.split() if not _OFFSET.fullmatch(word))
    return [word for word in words if re.search("[0-9]", word)]


def lacking(narrow: str, wide: str) -> list[str]:
    """The numbers of a narrow screen that the wide one has not, in one piece or in several."""
    whole, pieces, missing = set(numbers(wide)), "", []
    for number in numbers(narrow):
        # bits fold anywhere: rulers have a test of their own
        if number in whole or (not pieces and _BITS.fullmatch(number)):
            continue
        pieces += number
        if pieces in whole:
            pieces = ""
        elif not any(known.startswith(pieces) for known in whole):
            missing.append(pieces)
            pieces = ""
    return [*missing, *([pieces] if pieces else [])]


@cache  # several widths are held against one that is no screen's
def printed(command: str, columns: int | None = None) -> tuple[int, str, str]:
    data = bytes(range(3, 99)) if command.startswith("bits") else None
    return call(*command.split(), columns=columns, stdin=data)


@pytest.mark.parametrize("columns", [60, 80, 120])
@pytest.mark.parametrize("command", COMMANDS)
def test_no_number_lacks_digits(
    command: str, columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    narrow, wide = printed(command, columns), printed(command)
    assert narrow[0] == wide[0]
    assert narrow[0] in (0, 1, 3)
    if not command.startswith("encode"):  # whose lines are for programs
        assert max(map(len, narrow[1].splitlines())) <= columns
    assert lacking(narrow[1], wide[1]) == []
    assert "…" not in narrow[1]
    left_out = " ".join(narrow[1].split()).count("No room for")
    assert len(numbers(narrow[1])) >= len(numbers(wide[1])) or left_out
    assert "No room for" not in wide[1]


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_no_rate_lacks_digits(columns: int) -> None:
    report = report_of(SUPPORT, LACKING)
    assert lacking(drawn(report, columns), drawn(report, 1000)) == []


def test_that_test_can_fail() -> None:
    assert lacking("value 1.2345", "value 1.23456") == ["1.2345"]
    assert lacking("value 1.23\n456", "value 1.23456") == []
    assert lacking("1.23 456 9", "1.23456 99") == ["9"]
    assert lacking("4,503,599,…", "4,503,599,627") == ["4,503,599,…"]


@pytest.mark.parametrize("columns", [40, 60, 72, 80, 120, 200])
@pytest.mark.parametrize("name", ["float128", "float64", "float32", "tf32", "fp16", "e8m0", "fp4"])
def test_rulers_show_every_bit_in_aligned_pieces(name: str, columns: int) -> None:
    report = fpx.decode("1.1", name)
    text = drawn(decode_panel(report), columns)
    assert max(map(len, text.splitlines())) <= columns
    ruler = text.partition("│ code")[0]
    rows = [line.strip("│╭╮ ").split() for line in ruler.splitlines()]
    strips = [
        "".join(words)
        for above, words in pairwise(rows)
        if words and all(re.fullmatch("[01]+", word) for word in words)
        and above and all(word.isdigit() for word in above) and int(above[0]) <= report.spec.bits
        and len("".join(words)) > len(above)  # the positions 1 and 0 are bits too
    ]  # fmt: skip
    assert "".join(strips) == report.bits
    # below the first, every piece has as many bits, a multiple of eight
    assert len({len(strip) for strip in strips[1:]}) <= 1
    assert all(len(strip) % 8 == 0 for strip in strips[1:])
    assert "exponent" in ruler or "exp" in ruler or "e " in ruler


def test_a_title_that_is_too_long_stands_above_its_panel() -> None:
    number = "3." + "1" * 50
    lines = drawn(decode_panel(fpx.decode(number, "bf16")), 60).splitlines()
    assert lines[0] == f"{number} as"
    assert lines[1] == "bfloat16"
    assert lines[2].startswith("╭──")
    assert drawn(decode_panel(fpx.decode(number, "bf16")), 80).startswith(f"╭─ {number} as bfl")


@pytest.mark.parametrize(
    "args",
    [
        ["decode", "LONG"], ["decode", "LONG", "--dtype", "bf16"], ["decode", "LONG", "1"],
        ["decode", "LONG", "--dtype", "all"], ["decode", "-1", "LONG", "--dtype", "nvfp4"],
        ["decode", "LONG", "--dtype", "bf16", "--rounding", "stochastic"],
        ["distance", "LONG", "LONG"], ["calc", "LONG + 1"],
        ["calc", "LONG + 1", "--dtype", "bf16", "--trace"],
        ["calc", "LONG + x", "--dtype", "fp4", "--all", "x"],
        ["calc", "LONG + 1", "--dtype", "bf16", "--rounding", "stochastic"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_a_long_number_has_no_half_of_a_quotation(args: list[str]) -> None:
    code, out, _ = call(*(arg.replace("LONG", "1" * 400) for arg in args), columns=120)
    assert code == 0
    assert re.search("1…1+ ", out)
    assert not re.search(r"'\S*…|…\S*'", out)
