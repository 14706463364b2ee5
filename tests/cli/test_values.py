"""Values from arguments and from stdin, line by line."""

from __future__ import annotations

import json

import pytest

import fpx
from tests.helpers import PATIENCE, call, running


def test_stdin_names_the_bad_line() -> None:
    code, out, err = call("encode", "-", "--dtype", "fp16", stdin="1\n2\nx\n4\n")
    assert (code, out) == (2, "0x3c00\n0x4000\n")
    assert err.startswith("fpx: line 3 of stdin: 'x'")


def test_jsonl_is_one_object_per_line() -> None:
    code, out, _ = call("decode", "-", "--dtype", "bf16", "--jsonl", stdin="1\n-0x1p3\ninf\n")
    assert code == 0
    assert [json.loads(line)["code"] for line in out.splitlines()] == ["0x3f80", "0xc100", "0x7f80"]


@pytest.mark.parametrize(
    "args",
    [
        ["encode", "-", "--dtype", "bf16"], ["decode", "-", "--jsonl"],
        ["decode", "-", "--dtype", "bf16"],
    ],
)  # fmt: skip
def test_a_line_is_answered_before_the_next_is_read(args: list[str]) -> None:
    with running(*args) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for value in ("3.14", "-1", "2"):
            process.stdin.write(f"{value}\n")
            process.stdin.flush()
            assert process.stdout.readline()
            if "--jsonl" in args:  # float64, float32, float16, bfloat16
                assert all(process.stdout.readline() for _ in range(3))
            elif args[0] == "decode" and value == "3.14":  # title and head
                assert [process.stdout.readline() for _ in range(4)][-1].split()[:2] == [
                    value, "0x4049"
                ]  # fmt: skip
        process.stdin.close()
        assert process.wait(PATIENCE) == 0


@pytest.mark.parametrize("end", ["\n", ""])
def test_lines_longer_and_shorter_than_what_is_read_at_a_time(end: str) -> None:
    lengths = (1, 8190, 8191, 8192, 8193, 20_000, 2, 3, 16_384, 1)
    lines = ["2" + "0" * (length - 1) for length in lengths]
    code, out, _ = call("encode", "-", "--dtype", "fp32", stdin="\n".join(lines) + end)
    assert code == 0
    assert out.split() == [hex(fpx.encode(line, "fp32").code) for line in lines]


def test_an_empty_line_is_named_by_its_number_after_many_chunks() -> None:
    code, _, err = call("encode", "-", "--dtype", "fp32", stdin="1.25\n" * 10_000 + "\n1\n")
    assert (code, err.split(":")[1]) == (2, " line 10001 of stdin")


def test_a_mark_of_utf_8_before_the_first_line_is_no_part_of_it() -> None:
    mark = b"\xef\xbb\xbf"
    for command in (["decode", "-", "--csv"], ["encode", "-"], ["decode", "-", "--jsonl"]):
        args = (*command, "--dtype", "bf16")
        assert call(*args, stdin=mark + b"1\r\n2") == call(*args, stdin="1\n2\n")
        code, _, err = call(*args, stdin=b"1\n" + mark + b"2\n")
        assert (code, err.partition(" is not")[0]) == (2, "fpx: line 2 of stdin: '\\ufeff2'")
    assert call("decode", "-", "--dtype", "mxfp4", stdin=mark + b"6 1")[0] == 0
