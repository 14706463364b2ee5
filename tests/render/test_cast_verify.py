"""`fpx cast-verify` as a matrix of verdicts and the table behind them."""

from __future__ import annotations

import json
from dataclasses import replace

from fpx.report.cast_verify import CastExample, CauseCount, VerifyReport, VerifyRow
from fpx.report.environment import Environment
from tests.helpers import call, cells, drawn


def example(code: int, got: int) -> CastExample:
    return CastExample(f"{code:#06x}", "1.5", "0x7f", "nan", f"{got:#04x}", "448")


def cause(name: str, kind: str, count: int, code: int = 0x5F41, got: int = 0x7E) -> CauseCount:
    return CauseCount(name, f"reason {name}", kind, f"word {name}", count, (example(code, got),))


def report_of(*causes: CauseCount) -> VerifyReport:
    """More casts than are told one by one: a cause each, and right ones."""
    froms = [*(f"from{n}" for n in range(len(causes)))]
    rows = [
        VerifyRow(
            name,
            "target",
            "library",
            "1.2",
            "cpu",
            "exact",
            "all",
            checked_count=9,
            causes=(cause,),
        )
        for name, cause in zip(froms, causes, strict=True)
    ]
    right = [
        VerifyRow(
            f"right{n}",
            "target",
            "library",
            "1.2",
            "cpu",
            "exact",
            "all",
            checked_count=9,
            equal_count=9,
        )
        for n in range(6)
    ]
    details = Environment(
        python="3", torch="2", numpy="2", ml_dtypes="0", device="cpu", cuda=None, hip=None,
        driver=None, cpu_capability="none", threads=1,
    )  # fmt: skip
    return VerifyReport((*rows, *right), "exact", details)


def why(text: str) -> list[list[str]]:
    """The rows of the table Why: cast, cause, count, first."""
    return [row for row in cells(text.partition("Why")[2]) if " -> " in row[0]]


def test_the_worst_kind_comes_first_then_the_commonest() -> None:
    causes = [
        cause("a", "nan_bits", 900), cause("b", "wrong_rounding", 3), cause("c", "policy", 50),
        cause("d", "wrong_rounding", 70), cause("e", "policy", 2000),
    ]  # fmt: skip
    text = drawn(report_of(*causes), 120)
    assert [(row[1], row[2]) for row in why(text)] == [
        ("reason d", "70"), ("reason b", "3"), ("reason e", "2,000"), ("reason c", "50"),
        ("reason a", "900"),
    ]  # fmt: skip


def test_the_first_example_shows_what_came() -> None:
    text = drawn(report_of(cause("saturates", "policy", 5, 0x5F41, 0x7E)), 120)
    assert [row[3] for row in why(text)] == ["0x5f41 -> 0x7e"]


def test_every_cast_has_a_verdict_in_the_matrix() -> None:
    report = report_of(cause("a", "policy", 5))
    table = [row for row in cells(drawn(report, 120)) if row[0] in ("to \\ from", "target")]
    found: dict[str, str] = {}
    for head, verdicts in zip(table[::2], table[1::2], strict=True):
        found.update(zip(head[1:], verdicts[1:], strict=True))
    assert found == {"from0": "word a"} | {f"right{n}": "right" for n in range(6)}


def test_casts_that_a_library_lacks_are_named() -> None:
    report = report_of(cause("a", "policy", 5))
    absent = VerifyRow("from0", "lacking", "library", "1.2", "cpu", "exact", "none", offered=False)
    text = drawn(replace(report, rows=(*report.rows, absent)), 120)
    assert "library offers no cast to lacking." in text


def test_more_causes_than_are_shown_are_counted() -> None:
    causes = [cause(f"{n}", "policy", 1000 - n) for n in range(20)]
    text = drawn(report_of(*causes), 120)
    assert [row[1] for row in why(text)] == [f"reason {n}" for n in range(16)]
    assert "The worst 16 causes; 4 more" in text


def test_what_the_command_draws_of_many_casts() -> None:
    """The matrix has the verdicts of `--json`, each in the row and column of its cast."""
    args = ["cast-verify", *(f"--from={name}" for name in ("float8_e4m3fn", "fp16", "bf16"))]
    args += [f"--to={name}" for name in ("float8_e4m3fn", "float8_e8m0fnu", "float16")]
    code, out, _ = call(*args)
    assert code in (0, 1)
    verdicts = {
        (e["from"], e["to"]): e["verdict"] for e in json.loads(call(*args, "--json")[1])["results"]
    }
    table = cells(out)
    (at,) = (n for n, row in enumerate(table) if row[0] == "to \\ from")
    assert table[at][1:] == ["float8_e4m3fn", "float16", "bfloat16"]
    rows = {
        row[0]: dict(zip(table[at][1:], row[1:], strict=True)) for row in table[at + 2 : at + 5]
    }
    assert set(rows) == {"float8_e4m3fn", "float8_e8m0fnu", "float16"}
    for to, row in rows.items():
        assert row == {from_: verdicts.get((from_, to), "-") for from_ in table[at][1:]}
