"""What is told of stochastic rounding, and how it looks."""

from __future__ import annotations

import json
from fractions import Fraction

import pytest

import fpx
from fpx.core.formats import FORMATS
from fpx.core.literals import parse_literal
from fpx.core.policy import Overflow, Scheme, Stochastic
from fpx.errors import FpxError
from fpx.report.distribution import DistributionReport
from tests.helpers import call

E4M3 = FORMATS["float8_e4m3fn"]


def report(
    text: str, rounding: Stochastic | None = None, overflow: Overflow = Overflow.IEEE
) -> DistributionReport:
    return DistributionReport.of(parse_literal(text), E4M3, rounding, overflow)


def test_the_entry_of_a_number() -> None:
    (entry,) = report("3.14159", Stochastic(8)).results()
    assert entry == {
        "input": "3.14159",
        "format": "float8_e4m3fn",
        "rounding": "stochastic:8:a",
        "random_bits": 8,
        "scheme": "a",
        "overflow": "ieee",
        "ulp": "0.25",
        "distance_ulp": "0.56636",
        "outcomes": [
            {"code": "0x44", "value": "3", "probability": "0.4375", "flags": ["inexact"]},
            {"code": "0x45", "value": "3.25", "probability": "0.5625", "flags": ["inexact"]},
        ],
        "expectation": "3.140625",
        "variance": "0.015380859375",
        "bias": "-0.000965",
        "bias_ulp": "-0.00386",
        "overflow_probability": "0",
        "smallest_growth": {"ulps": "0.00390625", "counts": True},
        "smallest_shrinking": {"ulps": "0", "counts": False},
    }


def test_what_does_not_apply_is_null() -> None:
    (entry,) = report("nan").results()
    assert [entry[key] for key in ("random_bits", "scheme", "ulp", "expectation", "bias")] == (
        [None] * 5
    )
    assert entry["outcomes"] == [
        {"code": "0x7f", "value": "nan", "probability": "1", "flags": ["exact"]}
    ]


def test_the_table_has_a_row_for_each_outcome() -> None:
    table = report("450").table()
    rows = [dict(zip(table.columns, row, strict=True)) for row in table.rows]
    assert [(row["code"], row["probability"], row["flags"]) for row in rows] == [
        ("0x7e", "0.9375", "inexact"),
        ("0x7f", "0.0625", "inexact overflow"),
    ]
    assert {row["overflow_probability"] for row in rows} == {"0.0625"}


def test_the_command_and_the_function_agree() -> None:
    for number, dtype, rounding, overflow in (
        ("3.14159", "e4m3fn", "stochastic", "ieee"),
        ("-1/3", "bf16", "stochastic:8:c", "ieee"),
        ("450", "e4m3fn", "stochastic:4", "saturate"),
    ):
        code, out, _ = call(
            "decode", number, "--dtype", dtype, "--rounding", rounding, "--overflow", overflow,
            "--json",
        )  # fmt: skip
        assert code == 0
        found = fpx.distribution(number, dtype, rounding=rounding, overflow=overflow)
        assert json.loads(out)["results"] == found.results()
        lines = call(
            "decode", number, "--dtype", dtype, "--rounding", rounding, "--overflow", overflow,
            "--jsonl",
        )[1]  # fmt: skip
        assert json.loads(lines) == found.results()[0]


def test_a_stream_has_a_line_for_each_outcome() -> None:
    code, out, err = call(
        "decode", "1", "-1/3", "-", "--dtype", "e4m3fn", "--rounding", "stochastic:4",
        stdin="450\n", columns=120,
    )  # fmt: skip
    assert (code, err) == (0, "")
    head, _, columns, _, *rows = out.splitlines()
    assert head.startswith("stochastic:4:a")
    names = ("input", "format", "code", "becomes", "probability", "bias in ulps", "result")
    assert [name for name in names if name in columns] == list(names)
    assert [row.split() for row in rows] == [
        ["1", "float8_e4m3fn", "0x38", "1", "1", "0", "exact"],
        ["-1/3", "float8_e4m3fn", "0xaa", "-0.3125", "0.375", "+1/24"],
        ["-1/3", "float8_e4m3fn", "0xab", "-0.34375", "0.625", "+1/24"],
        ["450", "float8_e4m3fn", "0x7e", "448", "0.9375", "-"],
        ["450", "float8_e4m3fn", "0x7f", "nan", "0.0625", "-", "overflow"],
    ]


@pytest.mark.parametrize(
    ("rounding", "says"),
    [
        ("stochastic", ["bias         0"]),
        ("stochastic:8", [
            "bias         -0.000965  (-0.00386 ulp)",
            "growth       changes survive from 2^-8 ulp on (0.0009765625)",
            "shrinking    every change may survive",
        ]),
        ("stochastic:8:b", [
            "growth       changes survive from 2^-9 ulp on",
            "shrinking    changes survive beyond 2^-9 ulp",
        ]),
        ("stochastic:8:c", [
            "growth       changes survive beyond 2^-9 ulp",
            "shrinking    changes survive beyond 2^-9 ulp",
        ]),
    ],
)  # fmt: skip
def test_the_panel(rounding: str, says: list[str]) -> None:
    code, out, _ = call("decode", "3.14159", "--dtype", "e4m3fn", "--rounding", rounding)
    assert code == 0
    for line in says:
        assert line in out


def test_no_overflow_is_hidden_in_a_saturated_result() -> None:
    out = call(
        "decode", "450", "--dtype", "e4m3fn", "--rounding", "stochastic", "--overflow", "saturate"
    )[1]
    assert "448      0x7e  0.0625       overflow" in out
    assert "bias         -2  (-0.0625 ulp)" in out


@pytest.mark.parametrize(
    ("args", "says"),
    [
        ("encode 3.14 --dtype bf16 --rounding stochastic", "has no one code to print"),
        ("decode 1 --dtype mxfp4 --rounding stochastic", "--rounding is for formats without"),
        ("decode 1 --dtype bf16 --rounding stochastic --libraries", "leave out --libraries"),
        ("decode 1 --dtype bf16 --rounding stochastic:0", "random bits is 1 to 32"),
        ("decode 1 --dtype bf16 --rounding al", "to_odd, stochastic, all"),
        ("decode 1e-99999 --dtype bf16 --rounding stochastic", "choose another --rounding"),
        ("calc 1+1 --dtype bf16 --rounding stochastic --trace", "--trace is of one result"),
        ("calc 1+1 --dtype bf16 --rounding stochastic --libraries", "--libraries is of one"),
        ("calc 1+1 --dtype bf16 --rounding stochastic --fail-if inexact", "--fail-if is of one"),
    ],
)
def test_what_has_no_answer_is_one_line(args: str, says: str) -> None:
    code, out, err = call(*args.split())
    assert (code, out) == (2, "")
    assert says in err
    assert err.count("\n") == 1


def test_functions_refuse_what_is_not_stochastic() -> None:
    with pytest.raises(FpxError, match=r"`rounding` is stochastic here, not 'to_odd'"):
        fpx.distribution("1", "bf16", rounding="to_odd")
    assert fpx.distribution("1", "bf16", rounding=Stochastic(4, Scheme.B)).is_certain


def test_calc_tells_all_results() -> None:
    args = ("calc", "(1/3) + 2/7", "--dtype", "e4m3fn", "--rounding", "stochastic:8")
    code, out, _ = call(*args, "--json")
    document = json.loads(out)
    assert (code, document["schema"]) == (0, "fpx.calc-stochastic/1")
    (entry,) = document["results"]
    found = fpx.calc("(1/3) + 2/7", "e4m3fn", rounding="stochastic:8")
    assert found.results() == [entry]
    assert sum(Fraction(item["probability"]) for item in entry["outcomes"]) == 1
    assert entry["outcome_count"] == len(entry["outcomes"]) == 3
    assert entry["operation_count"] == 3
    screen = call(*args)[1]
    assert "to nearest" in screen
    assert "rounding     stochastic:8:a" in screen


def test_of_many_results_the_likeliest_are_shown() -> None:
    text = "*".join(["1.0234375"] * 40)
    out = call("calc", text, "--dtype", "bf16", "--rounding", "stochastic")[1]
    rows = [line for line in out.splitlines() if " 0x" in line]
    assert len(rows) == 12
    assert "less likely ones (--json has all)" in out
