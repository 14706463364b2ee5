"""Conditions: what they mean of every kind of value, and what is said of wrong ones."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from fpx.errors import InputError
from fpx.report.base import JsonValue
from fpx.report.checks import SUBJECTS, Requirement, failures, measured, parse_condition
from fpx.report.gates.gate import Gate
from fpx.report.metrics import METRICS
from fpx.report.verdicts import Judgement, Outcome, Verdict
from tests.helpers import call, results

INF, NAN = math.inf, math.nan
FITS = Judgement(Verdict.FITS)
OPERATORS = (">", ">=", "<", "<=", "==", "!=")


@dataclass(frozen=True)
class Row:
    """A row of 8 elements with a few metrics; the others were not measured."""

    metrics: Mapping[str, int | float | None]
    outcome: Outcome = Outcome.ROUNDED
    judgement: Judgement = FITS
    tensor: str = "w"
    to: str = "float16"
    source: str = "m.pt"
    own: Mapping[str, JsonValue] = field(default_factory=dict)

    def share(self, metric: str) -> float:
        return (self.metrics[metric] or 0) / 8

    @property
    def title(self) -> str:
        return f"{self.source} {self.tensor} -> {self.to}"

    def identity(self) -> dict[str, JsonValue]:
        return {"source": self.source, "tensor": self.tensor, "to": self.to, **self.own}


def row_with(outcome: Outcome = Outcome.ROUNDED, /, **metrics: float | None) -> Row:
    return Row({"count": 8, **dict.fromkeys(METRICS), **metrics}, outcome)


def met(text: str, row: Row) -> bool:
    return parse_condition(text).fails(row)


# value -> the operators that hold between it and 4: > >= < <= == !=
ORDER: list[tuple[float, str]] = [
    (3, "< <= !="), (4, ">= <= =="), (5, "> >= !="), (4.5, "> >= !="), (0, "< <= !="),
    (-4, "< <= !="), (INF, "> >= !="), (-INF, "< <= !="),
]  # fmt: skip


@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize(("value", "holding"), ORDER)
@pytest.mark.parametrize("metric", ["sqnr_db", "max_abs_error", "underflow_count"])
def test_numbers(metric: str, value: float, holding: str, operator: str) -> None:
    expected = operator in holding.split()
    row = row_with(**{metric: value})
    assert met(f"{metric}{operator}4", row) == expected
    assert Requirement(parse_condition(f"{metric}{operator}4")).fails(row) != expected


# value -> the operators that hold between it and an infinite limit
INFINITE = {"inf": {3.0: "< <= !=", INF: ">= <= ==", -INF: "< <= !="},
            "-inf": {3.0: "> >= !=", INF: "> >= !=", -INF: ">= <= =="}}  # fmt: skip


@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize("limit", INFINITE)
def test_infinite_limits(limit: str, operator: str) -> None:
    for value, holding in INFINITE[limit].items():
        expected = operator in holding.split()
        assert met(f"sqnr_db{operator}{limit}", row_with(sqnr_db=value)) == expected


@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize(("value", "holding"), ORDER[:3])
def test_percentages(value: int, holding: str, operator: str) -> None:
    row = row_with(underflow_count=value)
    assert met(f"underflow_count{operator}50%", row) == (operator in holding.split())
    assert parse_condition("underflow_count>50%").value(row) == value * 12.5
    assert not met(f"overflow_count{operator}50%", row)  # which was not measured


@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize("metric", METRICS)
def test_what_was_not_measured(metric: str, operator: str) -> None:
    """It is no failure of the row: the whole check could not be made."""
    condition = parse_condition(f"{metric}{operator}0")
    row = Row(dict.fromkeys(METRICS))
    assert not condition.fails(row)
    assert condition.holds(row) is None
    assert Requirement(condition).fails(row)
    assert len(Gate((condition,)).unchecked([row])) == 1
    assert Gate((condition,)).unchecked([row_with(**{metric: 0})]) == []


@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize("outcome", [Outcome.DESTROYED, Outcome.ROUNDED, Outcome.SATURATED])
@pytest.mark.parametrize("metric", ["mean_error_ulp", "sqnr_db", "surviving_sqnr_db"])
def test_what_is_undefined_counts_as_bad(metric: str, outcome: Outcome, operator: str) -> None:
    row = row_with(outcome, **{metric: NAN})
    assert met(f"{metric}{operator}0", row)
    assert Requirement(parse_condition(f"{metric}{operator}0")).fails(row)
    assert parse_condition(f"{metric}{operator}0").reason(row) == (
        f"{metric}{operator}0 counts as met: {metric} is undefined, the outcome is {outcome.value}"
    )


@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize("outcome", [Outcome.EXACT, Outcome.EMPTY])
@pytest.mark.parametrize(
    ("metric", "like"),
    [("sqnr_db", INF), ("surviving_sqnr_db", INF), ("headroom_binades", INF), ("min_abs", INF),
     ("max_abs_error", 0), ("max_rel_error", 0), ("max_error_ulp", 0), ("mean_error_ulp", 0),
     ("rms_error", 0), ("small_value_loss_db", 0), ("underflow_rate", 0), ("max_abs", 0)],
)  # fmt: skip
def test_where_nothing_was_lost_the_cast_was_perfect(
    metric: str, like: float, outcome: Outcome, operator: str
) -> None:
    nothing, perfect = row_with(outcome, **{metric: NAN}), row_with(**{metric: like})
    for limit in ("0", "50", "-1"):
        text = f"{metric}{operator}{limit}"
        assert met(text, nothing) == met(text, perfect)
    assert measured(nothing, metric) == like


def test_zeros_in_a_format_without_zero() -> None:
    """They become something else, and yet no rate of theirs is bad for want of a number."""
    row = row_with(min_abs=NAN, headroom_binades=NAN, underflow_rate=NAN)
    assert not met("underflow_rate>0", row)
    assert not met("min_abs<1e-8", row)
    assert not met("headroom_binades<1", row)


# -- words -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("spelled", ["{}", "'{}'", '"{}"', " {} ", "' {} '"])
@pytest.mark.parametrize("between", [" ", "_", "-", "  "])
@pytest.mark.parametrize("verdict", Verdict)
def test_verdicts(verdict: Verdict, between: str, spelled: str) -> None:
    text = spelled.format(verdict.value.replace(" ", between))
    for found in Verdict:
        row = Row({}, judgement=Judgement(found))
        for written in (text, text.upper()):
            assert met(f"verdict=={written}", row) == (found is verdict)
            assert met(f"verdict != {written}", row) == (found is not verdict)
        assert Requirement(parse_condition(f"verdict=={text}")).fails(row) != (found is verdict)


@pytest.mark.parametrize("outcome", Outcome)
def test_outcomes(outcome: Outcome) -> None:
    for found in Outcome:
        assert met(f"outcome=={outcome.value}", Row({}, found)) == (found is outcome)
        assert met(f"outcome!={outcome.value}", Row({}, found)) == (found is not outcome)


# -- messages --------------------------------------------------------------------------------------


NO_CONDITION = (
    "is no condition: write METRIC OPERATOR VALUE, as in 'overflow_count>0', 'underflow_count>1%', "
    "'sqnr_db<50' or 'verdict!=fits'"
)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", f"'' {NO_CONDITION}"),
        ("overflow_count", f"'overflow_count' {NO_CONDITION}"),
        ("overflow_count>", f"'overflow_count>' {NO_CONDITION}"),
        (">5", f"'>5' {NO_CONDITION}"),
        ("sqnr_db lt 5", f"'sqnr_db lt 5' {NO_CONDITION}"),
        ("sqnr<50", "'sqnr' is no metric; did you mean 'sqnr_db'?"),
        ("overflow>0", "'overflow' is no metric; did you mean 'overflow_count'?"),
        ("Overflow-Count>0", "'Overflow-Count' is no metric; did you mean 'overflow_count'?"),
        ("verdit!=fits", "'verdit' is no metric; did you mean 'verdict'?"),
        ("xyzzy>1", "'xyzzy' is no metric: use one of count, overflow_count, "),
        ("sqnr_db=50", "'=' in 'sqnr_db=50' is no operator; did you mean '=='?"),
        ("sqnr_db=>50", "'=>' in 'sqnr_db=>50' is no operator; did you mean '>='?"),
        ("sqnr_db=<50", "'=<' in 'sqnr_db=<50' is no operator; did you mean '<='?"),
        ("sqnr_db<>50", "'<>' in 'sqnr_db<>50' is no operator; did you mean '!='?"),
        ("sqnr_db===50", "'===' in 'sqnr_db===50' is no operator; did you mean '=='?"),
        ("sqnr_db!50", "'!' in 'sqnr_db!50' is no operator; did you mean '!='?"),
        ("sqnr_db>>1", "'>>' in 'sqnr_db>>1' is no operator: use one of >, >=, <, <=, ==, !="),
        ("verdict!=fit", "'fit' is no verdict; did you mean 'fits'?"),
        ("verdict==loose range", "'loose range' is no verdict; did you mean 'loses range'?"),
        ("verdict==50", "'50' is no verdict: use one of fits, loses range, loses small values"),
        ("outcome==destroy", "'destroy' is no outcome; did you mean 'destroyed'?"),
        ("outcome=='", "''' is no outcome: use one of "),
        ("verdict<fits", "'verdict<fits': a word has no order, write verdict==… or verdict!=…"),
        ("verdict=fits", "'=' in 'verdict=fits' is no operator; did you mean '=='?"),
        ("sqnr_db<1%", "'sqnr_db<1%': only counts take a percentage, sqnr_db does not"),
        ("underflow_rate>1%", "underflow_rate does not: write 1% as 0.01"),
        ("count>1.2.3", "'1.2.3' in 'count>1.2.3' is not a number"),
        ("sqnr_db<nan", "'nan' in 'sqnr_db<nan' is not a number"),
        ("sqnr_db<fits", "'fits' in 'sqnr_db<fits' is not a number"),
        ("sqnr_db<.", "'.' in 'sqnr_db<.' is not a number"),
        ("overflow_count>%", "'%' in 'overflow_count>%' is not a number"),
        ("overflow_count>0 or sqnr_db<5", "'0 or sqnr_db<5' in "),
    ],
)
def test_messages(text: str, says: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_condition(text)
    assert says in str(caught.value)
    code, out, err = call("cast-compare", "normal", "--size", "10", f"--fail-if={text}")
    assert (code, out) == (2, "")
    assert err.startswith("fpx: ")
    assert err.count("\n") == 1


@pytest.mark.parametrize("name", SUBJECTS)
def test_a_name_with_a_typo_finds_itself(name: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_condition(f"{name}x>1")
    assert f"did you mean '{name}'?" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "limit"),
    [("sqnr_db<-3", -3), ("count>+5", 5), ("max_rel_error >= 1e-3", 1e-3), ("rms_error<.5", 0.5),
     ("sqnr_db<=-1.5E+1", -15), ("underflow_count>=0.5%", 0.5), ("exact_count==-0", 0),
     ("count<5.", 5), ("max_abs==inf", INF), ("sqnr_db==-INF", -INF), ("count > 1 %", 1),
     ("max_abs<1e999", INF)],
)  # fmt: skip
def test_good_conditions(text: str, limit: float) -> None:
    condition = parse_condition(text)
    assert condition.limit == limit
    assert condition.percent == text.endswith("%")
    assert condition.text == text


# -- failures --------------------------------------------------------------------------------------


def test_failures_tell_row_check_and_value() -> None:
    bad = row_with(underflow_count=2, sqnr_db=40.5)
    worse = row_with(underflow_count=6, sqnr_db=60.0)
    asked = [parse_condition(t) for t in ("underflow_count>=25%", "sqnr_db<50", "count>8")]
    found = failures([bad, worse], asked)
    assert [(f.row, f.check, f.value) for f in found] == [
        (bad, asked[0], 25.0), (worse, asked[0], 75.0), (bad, asked[1], 40.5),
    ]  # fmt: skip
    assert [f.text for f in found] == [
        "m.pt w -> float16: underflow_count>=25% holds (underflow_count is 2, 25%)",
        "m.pt w -> float16: underflow_count>=25% holds (underflow_count is 6, 75%)",
        "m.pt w -> float16: sqnr_db<50 holds (sqnr_db is 40.5)",
    ]
    assert found[2].to_dict() == {
        **bad.identity(),
        "check": "sqnr_db<50",
        "value": 40.5,
        "baseline_value": None,
        "reason": "sqnr_db<50 holds (sqnr_db is 40.5)",
    }
    big = row_with(underflow_count=123_456_789)
    (one,) = failures([big], [parse_condition("underflow_count>0")])
    assert "(underflow_count is 123456789)" in one.text


def test_a_failure_of_a_verdict_tells_what_decided() -> None:
    row = Row({}, judgement=Judgement(Verdict.LOSES_RANGE, "overflow_rate", 0.5, 0.0))
    (found,) = failures([row], [parse_condition("verdict!=fits")])
    assert found.reason == "verdict!=fits holds (verdict is loses range: overflow_rate is 0.5)"
    assert found.value == "loses range"


@pytest.mark.parametrize(
    ("value", "reason"),
    [(-INF, "sqnr_db<50 holds (sqnr_db is -inf)"),
     (NAN, "sqnr_db<50 counts as met: sqnr_db is undefined, the outcome is destroyed")],
)  # fmt: skip
def test_a_value_that_is_no_number_is_null_with_a_reason(value: float, reason: str) -> None:
    row = row_with(Outcome.DESTROYED, sqnr_db=value)
    (found,) = failures([row], [parse_condition("sqnr_db<50")])
    entry = found.to_dict()
    assert (entry["value"], entry["reason"]) == (None, reason)
    json.dumps(entry, allow_nan=False)


# -- on real casts ---------------------------------------------------------------------------------


def saved(folder: Path, values: list[float]) -> Path:
    path = folder / "x.npy"
    np.save(path, np.array(values, np.float32))
    return path


_LOST = "sqnr_db<50 max_abs_error>1 max_rel_error>0.01 rms_error>0 max_error_ulp>0.5 verdict!=fits"


@pytest.mark.parametrize(
    ("values", "holding", "failing"),
    [
        (
            [1e6] * 64,  # all destroyed
            f"{_LOST} outcome==destroyed mean_error_ulp>1 mean_error_ulp<1 overflow_count>=100% "
            "surviving_sqnr_db<50 surviving_sqnr_db>50",
            "verdict==fits outcome!=destroyed sqnr_db>-300",
        ),
        ([1e6, 1, 0.1], f"{_LOST} surviving_sqnr_db>50", "surviving_sqnr_db<50 rms_error<1"),
        ([NAN, INF], "verdict==fits outcome==empty sqnr_db>50 nan_input_count>0", _LOST),
        ([0, 0], "verdict==fits outcome==exact sqnr_db>50", f"{_LOST} min_abs<1"),
        ([1, 2], "verdict==fits outcome==exact sqnr_db>50 exact_count==100%", _LOST),
        ([0.1], "verdict==fits outcome==rounded rms_error>0", "sqnr_db<50 max_abs_error>1"),
        ([1e-9, 1], "verdict==loses_small_values underflow_rate>=0.5", "outcome==exact"),
        ([], "verdict==fits outcome==empty", _LOST),
    ],
)
def test_conditions_on_casts(
    tmp_path: Path, values: list[float], holding: str, failing: str
) -> None:
    path = saved(tmp_path, values)
    for text in (*holding.split(), *failing.split()):
        code, _, err = call("cast-compare", path, "--to", "fp16", "--fail-if", text)
        assert code == (text in holding.split()), (text, err)


def test_a_condition_that_cannot_be_checked_is_no_pass(tmp_path: Path) -> None:
    path = saved(tmp_path, [1])
    code, out, err = call(
        "cast-compare", path, "--to", "fp16", "--fail-if", "device_mismatch_count>0"
    )
    assert (code, err) == (
        3, "fpx: device_mismatch_count>0: not checked, as it was measured in no row\n",
    )  # fmt: skip
    assert "x" in out
    call("cast-compare", path, "--to", "fp16", "--fail-if", "device_mismatch_count>0",
         "--save", tmp_path / "x.xml")  # fmt: skip
    assert 'skipped="1"' in (tmp_path / "x.xml").read_text()


def test_a_negative_limit_is_compared_with(tmp_path: Path) -> None:
    """A cast that makes much of little has an SQNR below 0 dB."""
    path = saved(tmp_path, [0.6 * 2.0**-24, 0.0])
    args = ("cast-compare", path, "--to", "fp16", "--fail-if")
    assert 0 < results(*args, "sqnr_db<-300")[0]["sqnr_db"] < 10
    for text, code in (("sqnr_db>-3", 1), ("sqnr_db<-3", 0), ("sqnr_db!=-3", 1)):
        assert call(*args, text)[0] == code, text


def test_checks_and_failures_are_in_the_json(tmp_path: Path) -> None:
    path = saved(tmp_path, [1.0, 1e6, 0.1])
    args = ("cast-compare", path, "--to", "fp16", "--to", "bf16", "--json")
    assert call(*args)[0] == 0
    found = json.loads(call(*args)[1])
    for name in ("checks", "exceptions", "unchecked", "failures"):
        assert found[name] == []
    assert found["baseline"] is None
    conditions = ("--fail-if", "overflow_count >0", "--fail-if", "sqnr_db<1e999")
    code, out, err = call(*args, *conditions, "--fail-if", "verdict != 'fits'")
    found = json.loads(out)
    assert code == 1
    assert found["checks"] == [
        {"check": "overflow_count >0", "metric": "overflow_count", "comparison": ">", "limit": 0,
         "percent": False},
        {"check": "sqnr_db<1e999", "metric": "sqnr_db", "comparison": "<", "limit": None,
         "percent": False},
        {"check": "verdict != 'fits'", "metric": "verdict", "comparison": "!=", "limit": "fits",
         "percent": False},
    ]  # fmt: skip
    whose = [(f["tensor"], f["to"], f["check"]) for f in found["failures"]]
    assert whose == [
        ("x", "float16", "overflow_count >0"), ("x", "float16", "sqnr_db<1e999"),
        ("x", "bfloat16", "sqnr_db<1e999"), ("x", "float16", "verdict != 'fits'"),
    ]  # fmt: skip
    values = [f["value"] for f in found["failures"]]
    rows = {row["to"]: row for row in found["results"]}
    assert values == [1, None, rows["bfloat16"]["sqnr_db"], "loses range"]
    assert found["failures"][1]["reason"] == "sqnr_db<1e999 holds (sqnr_db is -inf)"
    assert err.count("\n") == len(whose)
