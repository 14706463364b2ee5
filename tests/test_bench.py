"""What scripts/bench makes of figures; no test takes the time of anything."""

from __future__ import annotations

import json
import math
import subprocess
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
import torch

import fpx
from fpx.casts.device import find_device
from fpx.conformance.codes import every_code
from fpx.core.formats import FORMATS
from scripts.benchmarks import casts, files, processes, results, sweeps, turns
from scripts.benchmarks.__main__ import main
from scripts.benchmarks.machine import machine
from scripts.benchmarks.output import SCHEMA, document, heading, text
from scripts.benchmarks.plain import Plain, check, plain
from scripts.benchmarks.results import FULL, QUICK, Found, NotRunError, Result, Row, Target, run
from scripts.benchmarks.rows import ROWS
from tests.helpers import F32

LEAST, MOST = Target("× copy", 0.5), Target("s", 12, at_most=True)


def _found(*figures: float, **kinds: object) -> Callable[[results.Sizes], Found]:
    return lambda sizes: Found(figures, **kinds)  # type: ignore[arg-type]


def _absent(sizes: results.Sizes) -> Found:
    raise NotRunError("no card")


@pytest.mark.parametrize(
    ("target", "figure", "outcome"),
    [
        (LEAST, 0.5, "met"),
        (LEAST, 0.4999, "not met"),
        (LEAST, 100, "met"),
        (MOST, 12, "met"),
        (MOST, 12.001, "not met"),
        (MOST, 0, "met"),
        (LEAST, math.nan, "not met"),
        (MOST, math.nan, "not met"),
    ],
)
def test_a_bound_has_a_side(target: Target, figure: float, outcome: str) -> None:
    assert run(Row("a", "b", (target,), _found(figure)), QUICK).outcomes == (outcome,)


def test_every_figure_has_its_own_target() -> None:
    assert run(Row("a", "b", (LEAST, MOST), _found(13, 0.4)), QUICK).outcomes == ("met", "met")
    assert run(Row("a", "b", (LEAST, MOST), _found(0.4, 13)), QUICK).outcomes == (
        ("not met", "not met")
    )
    with pytest.raises(ValueError, match="shorter"):
        _ = run(Row("a", "b", (LEAST, MOST), _found(1)), QUICK).outcomes


def test_what_cannot_run_says_why() -> None:
    result = run(Row("a", "b", (LEAST, MOST), _absent), QUICK)
    assert result.outcomes == ("not run", "not run")
    assert "not run: no card" in text(result)


def test_rows() -> None:
    names = [row.name for row in ROWS]
    assert len(set(names)) == len(names)
    assert len({row.what for row in ROWS}) == len(names)
    assert all(row.targets for row in ROWS)


def test_a_row_as_text() -> None:
    row = Row("name", "float32 -> bfloat16", (LEAST, Target("values a second", 60_000)), _absent)
    beside = {"fpx": 2.512, "x.to(d)": 4.7, "gfloat": None, "torchao": None}
    found = Found((0.51234, 59_999.4), beside, note="2 threads")
    assert text(Result(row, found)).splitlines() == [
        "float32 -> bfloat16  [name]",
        "      0.512  at least 0.5       met      × copy",
        "     59,999  at least 60,000    not met  values a second",
        "    GB/s: fpx 2.51, x.to(d) 4.7",
        "    not installed: gfloat, torchao",
        "    2 threads",
    ]


def test_the_table_fits_80_columns() -> None:
    beside = dict.fromkeys([f"{'x' * 20} {n}" for n in range(9)], 123456.789)
    for row in ROWS:
        figures = tuple(target.bound for target in row.targets)
        for found in (Found(figures, beside, note="many words " * 20), None):
            lines = text(Result(row, found, "many words " * 20)).splitlines()
            assert max(map(len, lines)) <= 80, lines
    assert max(map(len, heading(machine(), QUICK).splitlines())) <= 80


def test_a_quick_look_says_so() -> None:
    assert "targets are for 134,217,728 elements" in heading({}, QUICK)
    assert "quick" not in heading({}, FULL)


def test_json() -> None:
    rows = [
        Row("a", "one", (LEAST, MOST), _found(0.25, math.inf, beside={"x": 1.0, "y": None})),
        Row("b", "two", (LEAST,), _absent),
    ]
    found = document({"cpu": "some"}, QUICK, [run(row, QUICK) for row in rows])
    assert json.loads(json.dumps(found, allow_nan=False)) == {
        "schema": SCHEMA,
        "quick": True,
        "sizes": {
            "elements": 1 << 24, "tensors": 8, "slices": 16, "values": 100_000, "rounds": 3
        },
        "machine": {"cpu": "some"},
        "results": [
            {
                "name": "a",
                "what": "one",
                "reason": None,
                "targets": [
                    {"figure": "× copy", "value": 0.25, "bound": 0.5, "at_most": False,
                     "outcome": "not met"},
                    {"figure": "s", "value": None, "bound": 12, "at_most": True,
                     "outcome": "not met"},
                ],
                "unit": "GB/s",
                "beside": {"x": 1.0, "y": None},
                "note": None,
            },
            {
                "name": "b",
                "what": "two",
                "reason": "no card",
                "targets": [
                    {"figure": "× copy", "value": None, "bound": 0.5, "at_most": False,
                     "outcome": "not run"}
                ],
                "unit": None,
                "beside": {},
                "note": None,
            },
        ],
    }  # fmt: skip
    assert document({}, FULL, [])["quick"] is False


def test_the_command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    rows = (Row("a", "one", (LEAST,), _found(1)), Row("b", "two", (LEAST,), _absent))
    monkeypatch.setattr("scripts.benchmarks.__main__.ROWS", rows)
    assert main([]) == 0
    out = capsys.readouterr().out
    assert out.index("one  [a]") < out.index("two  [b]")
    assert "quick" not in out
    assert main(["--quick", "--only", "b", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [entry["name"] for entry in found["results"]] == ["b"]
    assert found["quick"]
    with pytest.raises(SystemExit):
        main(["--only", "c"])


# -- what is measured ------------------------------------------------------------------------------


def _strange(dtype: torch.dtype) -> torch.Tensor:
    """Numbers of all sizes, with zeros of both signs, NaNs and infinities among them."""
    x = torch.randn(5000, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    x *= torch.linspace(-140, 126, 5000, dtype=torch.float64).exp2()
    x[::97] = 0.0
    x[1::97] = -0.0
    x[2::97] = torch.nan
    x[3::97] = -torch.inf
    return x.to(dtype)


@pytest.mark.parametrize("target", ["bfloat16", "float16", *casts.FLOAT8, "float8_e8m0fnu"])
@pytest.mark.parametrize("source", ["float64", "float32", "bfloat16", "float16"])
def test_the_plain_measurer_finds_what_fpx_finds(source: str, target: str) -> None:
    dtype = getattr(torch, source)
    for x in (_strange(dtype), _strange(dtype)[4::97], casts.normal(5000, source)):
        check(fpx.cast_compare(x, target).rows[0], plain(x, getattr(torch, target)))


@pytest.mark.parametrize("target", ["float32", "float64"])
def test_a_cast_that_loses_nothing(target: str) -> None:
    x = casts.normal(5000, "bfloat16")
    check(fpx.cast_compare(x, target).rows[0], plain(x, getattr(torch, target)))


@pytest.mark.parametrize("part", Plain._fields)
def test_what_differs_from_the_plain_measurer_is_found(part: str) -> None:
    x = _strange(torch.float32)
    row, told = fpx.cast_compare(x, "float16").rows[0], plain(x, torch.float16)
    for name, value in getattr(told, part).items():
        wrong = 1 if value is None or math.isnan(value) else value * (1 + 1e-6) + 1
        with pytest.raises(ValueError, match="float32 to float16"):
            check(row, told._replace(**{part: {**getattr(told, part), name: wrong}}))


@pytest.mark.parametrize("source", ["bfloat16", "float16"])
def test_eight_targets(source: str) -> None:
    targets = casts.eight(source)
    assert len(set(targets)) == 8
    assert source not in targets
    x = casts.normal(10, source)
    assert all(x.to(getattr(torch, name)).dtype is not x.dtype for name in targets)


@pytest.mark.parametrize("target", ["bfloat16", "float16"])
def test_strange_data_is_strange_throughout(target: str) -> None:
    beyond, below = casts.outside(10_000, target)
    over = fpx.cast_compare(beyond, target).rows[0]
    under = fpx.cast_compare(below, target).rows[0]
    assert over.overflow_count == 10_000
    assert over.inf_input_count == 0
    assert under.subnormal_count == 10_000
    assert over.max_abs != over.min_abs
    assert under.max_abs != under.min_abs


def test_a_safetensors_file_holds_its_tensors(tmp_path: Path) -> None:
    x = casts.normal(1000)
    files.write_safetensors(tmp_path / "x.safetensors", x, ["a", "b"])
    rows = fpx.cast_compare(tmp_path / "x.safetensors", "bfloat16").rows
    assert [row.tensor for row in rows] == ["a", "b"]
    expected = fpx.cast_compare(x, "bfloat16").rows[0]
    assert all(row.metrics == expected.metrics for row in rows)


def test_slices_are_spread_over_all_codes() -> None:
    every = every_code(F32, find_device("cpu"))
    some = sweeps.sliced(every, 16)
    assert (some.count, some.blocks) == (1 << 28, every.blocks // 16)
    firsts = [int(some.block(number)[0][0]) % (1 << 32) for number in range(some.blocks)]
    size = (1 << 32) // every.blocks
    assert len(set(firsts)) == some.blocks
    assert all(b - a in (size, (16 * 64 + 1) * size) for a, b in pairwise(firsts))
    assert (firsts[0], firsts[-1]) == (0, (1 << 32) - size)


def test_every_second_code_differs() -> None:
    codes = torch.arange(100, dtype=torch.int32)
    cast = (codes.view(torch.float32).to(torch.float16).view(torch.int16)).tolist()
    found = sweeps.EverySecond().cast(codes, F32, FORMATS["float16"]).tolist()
    assert [a == b for a, b in zip(found, cast, strict=True)] == [True, False] * 50


def test_competitors_take_turns() -> None:
    said: list[str] = []

    def work(name: str) -> Callable[[], str]:
        def one() -> str:
            said.append(name)
            return name

        return one

    found = turns.turns({"a": work("a"), "b": work("b")}, 3)
    assert said == ["a", "b"] * 3
    assert [len(each.seconds) for each in found.values()] == [3, 3]
    assert found["b"].result == "b"
    assert turns.rates({"a": turns.Turns([4.0, 2.0, 3.0], None)}, 10**9) == {"a": 0.5}


def test_slow_competitors_have_fewer_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "PATIENCE", 0.0)
    assert len(turns.turns({"a": lambda: None}, 3)["a"].seconds) == 1


def test_busy_processes_are_started_and_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[subprocess.Popen[bytes]] = []
    there = subprocess.Popen

    def start(*args: object, **kinds: object) -> object:
        started.append(there(*args, **kinds))  # type: ignore[call-overload]
        return started[-1]

    monkeypatch.setattr(processes, "_SETTLE", 0.0)
    monkeypatch.setattr(subprocess, "Popen", start)
    with processes.busy_cores():
        assert started
        assert all(process.poll() is None for process in started)
    assert all(process.returncode is not None for process in started)
