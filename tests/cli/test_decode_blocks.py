"""`fpx decode` of numbers that share scales: what is read, and what a screen shows."""

from __future__ import annotations

import re

import pytest

from tests.helpers import call, results


@pytest.mark.parametrize(
    "args",
    [["6 -4 3"], ["6", "-4", "3"], ["6 -4", "3"], ["6, -4, 3"], ["6,\n-4 ,\t3"], ["-"],
     ["6", "-", "3"]],
    ids=str,
)  # fmt: skip
def test_numbers_come_in_one_argument_or_several(args: list[str]) -> None:
    lines = {("-",): "6 -4\n\n3\n", ("6", "-", "3"): "-4\n"}
    found = results("decode", *args, "--dtype", "mxfp4", stdin=lines.get(tuple(args)))
    assert [[row["value"] for row in entry["elements"]] for entry in found] == [["6", "-4", "3"]]


def test_arguments_that_begin_with_a_sign_are_numbers() -> None:
    (entry,) = results("decode", "-4 6", "-inf", "--dtype", "mxfp4:nan=element")
    assert [row["input"] for row in entry["elements"]] == ["-4", "6", "-inf"]


def test_what_digits_mean() -> None:
    (entry,) = results("decode", "0x6 0x1p1", "--dtype", "mxfp4", "--as", "value")
    assert [row["value"] for row in entry["elements"]] == ["6", "2"]


@pytest.mark.parametrize(
    ("args", "says"),
    [
        ("1 --dtype mxfp4,bf16", "has no scale: show them one after the other"),
        ("1 --dtype mxfp4 --rounding to_odd", "--rounding is for formats without scales"),
        ("1 --dtype mxfp4 --rounding all", "--rounding is for formats without scales"),
        ("1 --dtype mxfp4 --overflow nan", "--overflow is for formats without scales"),
        ("1 --dtype mxfp4 --libraries", "--libraries is for formats without scales"),
        ("1 --dtype bf16 --scale-rule all", "--scale-rule is about scales, and bfloat16 has none"),
        ("1 --dtype bf16 --like gguf", "--like is about scales"),
        ("1 --global-scale 1", "--global-scale is about scales"),
        ("1 --codes e7", "--codes is about scales"),
        ("1 --scale-code 1", "--scale-code is about scales"),
        ("1 --packing bytes", "--packing is about scales"),
        ("--dtype mxfp4", "no number"),
        ("--dtype mxfp4 --codes e7", "give its --scale-code"),
        ("--dtype mxfp4 0x7", "give them as --codes and --scale-code, or read it as a number with"),
        ("--dtype mxfp4 --no-such 1", "no such option: '--no-such'"),
        ("--dtype mxfp4 1 --libary", "no such option: '--libary'; did you mean '--libraries'"),
        ("--dtype nvpf4 1", "did you mean 'nvfp4'"),
        ("--dtype bf16", "VALUE... is missing (see fpx decode --help)"),
        ("", "VALUE... is missing (see fpx decode --help)"),
    ],
)  # fmt: skip
def test_what_is_refused_in_one_line(args: str, says: str) -> None:
    code, out, err = call("decode", *args.split())
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert says in err


def test_a_line_of_stdin_is_named() -> None:
    code, _, err = call("decode", "-", "--dtype", "mxfp4", stdin="1 2\n3 x\n")
    assert code == 2
    assert "line 2 of stdin: 'x'" in err


@pytest.mark.parametrize(
    "args",
    [["encode", "1", "--dtype", "mxfp4"], ["distance", "1", "2", "--dtype", "mxfp4"],
     ["bits", "-", "--dtype", "mxfp4"], ["cast-verify", "--to", "mxfp4"],
     ["cast-verify", "--from", "mxfp4"]],
    ids=" ".join,
)  # fmt: skip
def test_other_commands_say_where_block_formats_are_shown(args: list[str]) -> None:
    code, out, err = call(*args, stdin=b"")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "mxfp4 is numbers with scales: fpx decode --dtype mxfp4 shows them" in err
    assert "its elements are float4_e2m1fn" in err


# -- on a screen -----------------------------------------------------------------------------------


def lines(*args: str, columns: int = 100) -> list[str]:
    code, out, err = call("decode", *args, columns=columns)
    assert (code, err) == (0, "")
    assert max(map(len, out.splitlines())) <= columns
    return out.splitlines()


def test_a_block_has_a_row_per_number() -> None:
    out = lines("6 -4 0.1 7.9", "--dtype", "mxfp4")
    assert out[0] == "mxfp4: float4_e2m1fn with a float8_e8m0fnu scale per block of 32"
    assert "scale  0x7f  2^0 = 1" in out
    rows = [line.split() for line in out[out.index("scale  0x7f  2^0 = 1") + 4 :]]
    assert rows[:4] == [
        ["6", "0x7", "0111", "6", "6", "0", "0"],
        ["-4", "0xe", "1110", "-4", "-4", "0", "0"],
        ["0.1", "0x0", "0000", "0", "0", "-0.1", "-0.2", "flushed", "to", "0"],
        ["7.9", "0x7", "0111", "6", "6", "-1.9", "-0.95", "clipped"],
    ]
    text = "\n".join(out)
    assert "1 clipped, 1 flushed to 0, of 4; SQNR 15.00 dB" in text
    assert "packed  e770" in text
    assert "first number in the low bits; 4 of 32 numbers of a block" in text
    assert "scale rule: floor; ties: to even" in text


def test_packings_on_a_screen() -> None:
    text = "\n".join(lines("6 -4", "--dtype", "mxfp4", "--packing", "high-first"))
    assert "packed  7e" in text
    assert "in the high bits" in text
    text = "\n".join(lines("1 -1", "--dtype", "nf4"))
    assert "packed  f0" in text
    assert "of 64 numbers" in text


def test_several_blocks_have_a_heading_each_and_share_the_global_scale() -> None:
    text = "\n".join(lines(" ".join(map(str, range(1, 21))), "--dtype", "nvfp4"))
    assert text.count("global scale  0x3bf3cf3d") == 1
    assert re.findall(r"^block \d  0x\w\w", text, re.MULTILINE) == [
        "block 0  0x7b",
        "block 1  0x7e",
    ]
    assert "2 blocks      1 clipped, 0 flushed to 0, of 20" in text
    assert "block 0" not in "\n".join(lines("1 2", "--dtype", "nvfp4"))


def test_a_screen_ends_and_says_so() -> None:
    text = "\n".join(lines(" ".join(["1"] * 200), "--dtype", "mxfp4"))
    assert text.count("\nblock ") == 4
    assert "… and 3 more blocks (--json has all)" in text
    text = "\n".join(lines(" ".join(["1"] * 200), "--dtype", "e4m3fn:tensor"))
    assert "… and 136 more numbers (--json has all)" in text
    assert text.count("0x7e") == 64
    assert "200 bytes (--json has them)" in text
    assert len(results("decode", " ".join(["1"] * 200), "--dtype", "mxfp4")) == 7
    text = "\n".join(lines(" ".join(["1"] * 200), "--dtype", "mxfp4,nvfp4"))
    assert "200 numbers, 64 shown" in text


def test_nan_and_float32_are_told() -> None:
    text = "\n".join(lines("1 nan", "--dtype", "mxfp4"))
    assert "scale  0xff  nan" in text
    assert "the scale is NaN, and so is all of the block: there is a NaN or an infinity" in text
    assert "finite numbers became NaN" in text
    assert "no finite number" in "\n".join(lines("nan", "--dtype", "mxfp4"))
    codes = ["--dtype", "mxfp4", "--codes"]
    text = "\n".join(lines(*codes, "e701", "--scale-code", "0xfe"))
    assert "2 values are beyond float32's largest value" in text
    text = "\n".join(lines(*codes, "e701", "--scale-code", "0x00"))
    assert "1 value is subnormal in float32" in text
    assert "lost" not in text
    assert "clipped" not in text
    assert "index" in text
    text = "\n".join(lines("--dtype", "nvfp4", "--codes", "71", "--scale-code", "9",
                           "--global-scale", "1e-45"))  # fmt: skip
    assert "2 values are below float32's smallest value" in text


def test_rules_are_side_by_side() -> None:
    out = lines("7.9 -4 0.1", "--dtype", "mxfp4", "--scale-rule", "all", columns=100)
    head = next(line for line in out if "rule=even" in line)
    assert head.split() == ["mxfp4", *(f"mxfp4:rule={rule}" for rule in ("even", "ceil", "rceil"))]
    rows = {line[:14].strip(): line[14:].split() for line in out}
    assert rows["scales"] == ["0x7f", "0x80", "0x80", "0x80"]
    assert rows["7.9"] == ["6", "clipped", "8", "8", "8"]
    assert rows["0.1"] == ["0", "flushed"] * 4
    assert rows["clipped"] == ["1", "0", "0", "0"]
    assert rows["flushed to 0"] == ["1"] * 4
    assert rows["SQNR"][::2] == ["13.36", "35.93", "35.93", "35.93"]
    assert rows["bits each"] == ["4.25"] * 4
    narrow = lines("7.9 -4 0.1", "--dtype", "mxfp4", "--scale-rule", "all", columns=50)
    assert sum("scales" in line for line in narrow) > 1
    beside = "\n".join(lines("7", "--dtype", "mxfp4,nvfp4"))
    assert re.search(r"global scale +- +0x3b2aaaab", beside)


def test_of_a_table_of_numbers_no_ulps_are_shown() -> None:
    assert "in ulps" not in "\n".join(lines("1 0.3", "--dtype", "nf4"))
    assert "in ulps" in "\n".join(lines("1 0.3", "--dtype", "mxint8"))
