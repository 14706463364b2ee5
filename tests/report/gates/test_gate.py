"""Exceptions to conditions, and how all that is asked of casts works together."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from fpx.errors import InputError
from fpx.report.checks import parse_condition
from fpx.report.gates.exemptions import parse_exemption
from fpx.report.gates.gate import Gate
from fpx.report.metrics import METRICS
from tests.helpers import call
from tests.report.test_checks import Row


def rows(**overflows: int | None) -> list[Row]:
    """A row for each tensor (`_` for a dot), in two targets, with that many overflows."""
    return [
        Row({**dict.fromkeys(METRICS), "overflow_count": count}, tensor=name.replace("_", "."),
            to=to)
        for name, count in overflows.items()
        for to in ("float16", "bfloat16")
    ]  # fmt: skip


def failing(gate: Gate, given: list[Row]) -> list[tuple[str, str]]:
    return [(f.row.tensor, f.row.to) for f in gate.failures(given)]


ANY = (parse_condition("overflow_count>0"),)


@pytest.mark.parametrize(
    ("tensors", "fail_if", "to", "expected"),
    [
        (["b.*"], [], None, "a.w:16 a.w:b"),
        (["b.*"], [], ["fp16"], "a.w:16 a.w:b b.w:b b.v:b"),
        (["b.*"], [], ["fp16", "bf16"], "a.w:16 a.w:b"),
        (["re:w$"], [], None, "b.v:16 b.v:b"),
        (["a.w", "b.v"], [], None, "b.w:16 b.w:b"),
        (["b.*"], ["overflow_count>5"], None, "a.w:16 a.w:b b.v:16 b.v:b"),
        (["b.*"], ["overflow_count>5", "overflow_count>7"], None,
         "a.w:16 a.w:b b.v:16 b.v:b b.v:16 b.v:b"),
        (["c.*"], [], None, "a.w:16 a.w:b b.w:16 b.w:b b.v:16 b.v:b"),
    ],
)  # fmt: skip
def test_exceptions_replace_conditions(
    tensors: list[str], fail_if: list[str], to: list[str] | None, expected: str
) -> None:
    given = rows(a_w=1, b_w=5, b_v=8, d_w=0)
    gate = Gate(ANY, (parse_exemption(tensors, fail_if, to),))
    short = {"float16": "16", "bfloat16": "b"}
    assert [f"{name}:{short[of]}" for name, of in failing(gate, given)] == expected.split()


def test_the_first_that_matches_counts() -> None:
    given = rows(a_w=1)
    lax, strict = parse_exemption(["*"], []), parse_exemption(["a.*"], ["overflow_count>=0"])
    assert failing(Gate(ANY, (lax, strict)), given) == []
    assert len(failing(Gate(ANY, (strict, lax)), given)) == 2
    assert Gate(ANY, (lax, strict)).to_dict(given)["exceptions"][1]["rows"] == 0


def test_exceptions_are_told_of() -> None:
    given = rows(a_w=1, b_w=1)
    used = parse_exemption(["a.*"], [], None, "kept in float32")
    unused = parse_exemption(["c.*", "d.*"], ["sqnr_db<20"], ["fp16"])
    gate = Gate(ANY, (used, unused))
    assert gate.notes(given) == [
        "an exception holds for 2 of 4 rows: a.* (kept in float32)",
        "an exception matches no tensor: c.*, d.*",
    ]
    assert gate.to_dict(given)["exceptions"] == [
        {"tensors": ["a.*"], "to": None, "fail-if": [], "reason": "kept in float32", "rows": 2},
        {"tensors": ["c.*", "d.*"], "to": ["float16"], "fail-if": ["sqnr_db<20"], "reason": None,
         "rows": 0},
    ]  # fmt: skip
    json.dumps(gate.to_dict(given), allow_nan=False)


def test_an_exceptions_own_conditions_may_be_all() -> None:
    gate = Gate((), (parse_exemption(["a.*"], ["overflow_count>0"]),))
    assert {name for name, _ in failing(gate, rows(a_w=1, b_w=1))} == {"a.w"}


@pytest.mark.parametrize(
    ("fail_if", "to", "tensors"),
    [(["sqnr<1"], None, ["*"]), ([], ["fp17"], ["*"]), ([], None, ["re:("])],
)
def test_wrong_exceptions(fail_if: list[str], to: list[str] | None, tensors: list[str]) -> None:
    with pytest.raises(InputError):
        parse_exemption(tensors, fail_if, to)


def test_hostile_texts_are_escaped() -> None:
    text = parse_exemption(["\x1b[31m*"], [], None, "\u202e").text
    assert text.isprintable()


def test_what_could_not_be_checked() -> None:
    gate = Gate(ANY)
    assert gate.unchecked(rows(a=1)) == []
    assert gate.unchecked(rows(a=None)) == [
        "overflow_count>0: not checked, as it was measured in no row"
    ]
    assert gate.unchecked(rows(a=None, b=1)) == [
        "overflow_count>0: not checked, as it was measured in 2 of 4 rows"
    ]
    assert gate.unchecked([]) == ["nothing was checked: no tensor was cast"]
    assert Gate().unchecked([]) == []
    # of what is excepted nothing is asked
    assert Gate(ANY, (parse_exemption(["a"], []),)).unchecked(rows(a=None, b=1)) == []
    asked = parse_exemption(["a"], ["sqnr_db<1"])
    assert Gate((), (asked,)).unchecked(rows(a=1)) == [
        "sqnr_db<1: not checked, as it was measured in no row"
    ]


CONFIG = """
[tool.fpx.cast-compare]
to = ["float16"]
fail-if = ["verdict!=fits"]

[[tool.fpx.cast-compare.exceptions]]
tensors = ["*.running_var"]
fail-if = ["outcome==saturated"]
reason = "statistics stay in float32"
"""


def test_a_gate_from_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    over = torch.tensor([1.0, 1e6])
    torch.save({"a.running_var": over, "a.weight": torch.ones(3)}, "m.pt")
    (tmp_path / "pyproject.toml").write_text(CONFIG)
    code, out, err = call("cast-compare", "m.pt", "--json")
    assert code == 0, err
    assert err == (
        "fpx: note: options from pyproject.toml: to, fail-if, 1 exception\n"
        "fpx: note: an exception holds for 1 of 2 rows: *.running_var "
        "(statistics stay in float32)\n"
    )
    found = json.loads(out)
    assert [row["to"] for row in found["results"]] == ["float16", "float16"]
    assert found["checks"][0]["check"] == "verdict!=fits"
    assert found["exceptions"][0]["reason"] == "statistics stay in float32"
    assert found["failures"] == []
    assert call("cast-compare", "m.pt", "--no-config", "--fail-if", "verdict!=fits")[0] == 1
    # the command line takes the place of what is in the file, and the exceptions stay
    assert call("cast-compare", "m.pt", "--fail-if", "overflow_count>0")[0] == 0
    torch.save({"a.running_var": over, "a.weight": over}, "m.pt")
    code, out, err = call("cast-compare", "m.pt", "--json")
    assert code == 1
    assert [f["tensor"] for f in json.loads(out)["failures"]] == ["a.weight"]
    assert call("cast-compare", "m.pt", "--fail-if", "sqnr_db>-300")[0] == 0
