"""An older report beside a new one: what got better, what worse, what is new and what is gone."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import fpx
from fpx.errors import InputError
from fpx.report.cast_verify import KINDS
from fpx.report.checks import parse_condition
from fpx.report.gates.baseline import parse_baseline
from fpx.report.gates.changes import differ, excuses
from fpx.report.inspect import InspectReport
from fpx.report.metrics import METRICS
from fpx.report.verdicts import Judgement, Outcome, Verdict
from tests.helpers import call
from tests.report.test_checks import INF, NAN, Row, row_with

Document = dict[str, Any]


def write(folder: Path, **tensors: list[float] | torch.Tensor) -> Path:
    """A checkpoint with those tensors."""
    path = folder / "m.pt"
    torch.save({name: torch.as_tensor(values) for name, values in tensors.items()}, path)
    return path


def old_report(folder: Path, *args: object) -> Path:
    """The JSON of a command, in a file."""
    code, out, err = call(*args, "--json")
    assert code in (0, 1), err
    path = folder / "old.json"
    path.write_text(out)
    return path


def told(*args: object) -> tuple[int, Document, str]:
    """The exit code, the JSON document and stderr of a command."""
    code, out, err = call(*args, "--json")
    return code, json.loads(out), err


def counts(document: Document) -> tuple[int, ...]:
    """Rows: better, equal, worse, new, missing."""
    found = document["baseline"]
    assert list(found) == ["file", "better", "equal", "worse", "new", "missing"]
    return tuple(found[name] for name in ("better", "equal", "worse", "new", "missing"))


# -- cast-compare ----------------------------------------------------------------------------------


FINE, OVER, SMALL = [1.0, 2.5, 0.1], [1.0, 1e6, 0.1], [1e-9, 1.0, 0.1]
WORSE_OVER = [1e6, 1e6, 0.1]


@pytest.mark.parametrize(
    ("before", "after", "expected", "code"),
    [
        ({"w": FINE}, {"w": FINE}, (0, 1, 0, 0, 0), 0),
        ({"w": OVER}, {"w": OVER}, (0, 1, 0, 0, 0), 0),  # bad, but no worse than it was
        ({"w": FINE}, {"w": OVER}, (0, 0, 1, 0, 0), 1),
        ({"w": OVER}, {"w": WORSE_OVER}, (0, 0, 1, 0, 0), 1),
        ({"w": WORSE_OVER}, {"w": OVER}, (1, 0, 0, 0, 0), 0),
        ({"w": SMALL}, {"w": OVER}, (0, 0, 1, 0, 0), 1),
        ({"w": OVER}, {"w": FINE}, (1, 0, 0, 0, 0), 0),
        ({"w": FINE}, {"w": FINE, "v": FINE}, (0, 1, 0, 1, 0), 0),
        ({"w": FINE}, {"w": FINE, "v": OVER}, (0, 1, 0, 1, 0), 1),  # a new row must fit
        ({"w": FINE, "v": FINE}, {"w": FINE}, (0, 1, 0, 0, 1), 0),
        ({"w": FINE, "v": OVER}, {"w": OVER, "v": FINE}, (1, 0, 1, 0, 0), 1),
        ({"w": FINE}, {"w": [1.0, 2.5, 0.1000001]}, (0, 1, 0, 0, 0), 0),  # within the tolerance
        ({"w": [NAN]}, {"w": [NAN, NAN]}, (0, 0, 1, 0, 0), 1),
    ],
)
def test_cast_compare(
    tmp_path: Path, before: Any, after: Any, expected: tuple[int, ...], code: int
) -> None:
    args = ("cast-compare", tmp_path / "m.pt", "--to", "fp16")
    write(tmp_path, **before)
    old = old_report(tmp_path, *args)
    write(tmp_path, **after)
    found, document, err = told(*args, "--baseline", old)
    assert counts(document) == expected, err
    assert found == code, err
    words = ("better", "equal", "worse", "new", "missing")
    line = ", ".join(f"{n} {word}" for n, word in zip(expected, words, strict=True))
    assert f"fpx: note: against {old}: {line}\n" in err
    assert bool(document["failures"]) == bool(code)


def test_failures_name_old_and_new_values(tmp_path: Path) -> None:
    args = ("cast-compare", tmp_path / "m.pt", "--to", "fp16", "--baseline")
    write(tmp_path, w=FINE)
    old = old_report(tmp_path, *args[:-1])
    write(tmp_path, w=OVER)
    _, document, err = told(*args, old)
    (failure,) = document["failures"]
    assert failure["check"] == "baseline"
    assert failure["tensor"] == "w"
    assert failure["value"]["overflow_count"] == 1
    assert failure["baseline_value"]["overflow_count"] == 0
    assert (failure["baseline_value"]["verdict"], failure["value"]["verdict"]) == (
        "fits", "loses range",
    )  # fmt: skip
    assert failure["value"]["sqnr_db"] is None
    assert failure["baseline_value"]["sqnr_db"] > 60
    assert f"worse than in {old}: verdict fits -> loses range, overflow_count 0 -> 1" in err
    assert "-> -inf" in failure["reason"]


@pytest.mark.parametrize(
    ("condition", "before", "after", "code"),
    [
        ("overflow_count>0", OVER, OVER, 0),
        ("overflow_count>0", OVER, WORSE_OVER, 1),
        ("overflow_count>0", WORSE_OVER, OVER, 0),
        ("overflow_count>0", FINE, OVER, 1),
        ("overflow_count>0", FINE, FINE, 0),
        ("overflow_count>0", FINE, SMALL, 0),  # worse, but nobody asked
        ("verdict!=fits", OVER, OVER, 0),
        ("verdict!=fits", OVER, WORSE_OVER, 0),
        ("verdict!=fits", SMALL, OVER, 1),
        ("verdict!=fits", OVER, SMALL, 0),
        ("sqnr_db<300", FINE, OVER, 1),
        ("sqnr_db<300", OVER, OVER, 0),
        ("sqnr_db<300", OVER, FINE, 0),
        ("sqnr_db<50", FINE, OVER, 1),
        ("overflow_count>10%", OVER, WORSE_OVER, 1),
        ("overflow_count>10%", WORSE_OVER, OVER, 0),
        ("mean_error_ulp>0", OVER, OVER, 0),  # undefined before and after
    ],
)
def test_a_condition_that_held_before_is_excused(
    tmp_path: Path, condition: str, before: list[float], after: list[float], code: int
) -> None:
    args = ("cast-compare", tmp_path / "m.pt", "--to", "fp16")
    write(tmp_path, w=before)
    old = old_report(tmp_path, *args)
    write(tmp_path, w=after)
    found, document, err = told(*args, "--fail-if", condition, "--baseline", old)
    assert found == code, err
    if code:
        assert "; it was " in err.splitlines()[-1]
        assert err.rstrip().endswith("%") == condition.endswith("%")
        assert document["failures"][0]["check"] == condition
        assert "baseline_value" in document["failures"][0]


def test_a_new_row_is_judged_by_the_conditions_alone(tmp_path: Path) -> None:
    args = ("cast-compare", tmp_path / "m.pt", "--to", "fp16")
    write(tmp_path, w=OVER)
    old = old_report(tmp_path, *args)
    write(tmp_path, w=OVER, v=OVER)
    code, document, _ = told(*args, "--fail-if", "overflow_count>0", "--baseline", old)
    assert code == 1
    assert [(f["tensor"], f["value"], f["baseline_value"]) for f in document["failures"]] == [
        ("v", 1, None)
    ]


def test_missing_rows_are_told_of(tmp_path: Path) -> None:
    args = ("cast-compare", tmp_path / "m.pt", "--to", "fp16")
    write(tmp_path, w=FINE, v=FINE, u=FINE)
    old = old_report(tmp_path, *args)
    path = write(tmp_path, w=FINE)
    code, _, err = told(*args, "--baseline", old)
    assert code == 0
    assert f"note: in {old}, but not here: {path} v -> float16, and 1 more\n" in err


def test_a_checkpoint_may_have_another_name(tmp_path: Path) -> None:
    args = ("cast-compare", "--to", "fp16")
    old = old_report(tmp_path, *args, write(tmp_path, w=FINE))
    (tmp_path / "m.pt").rename(tmp_path / "next.pt")
    assert counts(told(*args, tmp_path / "next.pt", "--baseline", old)[1]) == (0, 1, 0, 0, 0)


def test_of_several_files_the_last_part_of_the_name_counts(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    for name, values in (("x", FINE), ("y", OVER)):
        torch.save({"w": torch.tensor(values)}, tmp_path / "a" / f"{name}.pt")
        torch.save({"w": torch.tensor(values)}, tmp_path / "b" / f"{name}.pt")
    args = ("cast-compare", "--to", "fp16")
    old = old_report(tmp_path, *args, tmp_path / "a" / "x.pt", tmp_path / "a" / "y.pt")
    code, found, _ = told(
        *args, tmp_path / "b" / "y.pt", tmp_path / "b" / "x.pt", "--baseline", old
    )
    assert (code, counts(found)) == (0, (0, 2, 0, 0, 0))
    code, found, _ = told(*args, tmp_path / "a" / "y.pt", tmp_path / "b" / "y.pt",
                          "--baseline", old)  # fmt: skip
    assert counts(found) == (0, 1, 0, 1, 1)  # which of the two it was is plain by its whole name


def test_files_of_one_name_are_not_taken_for_each_other(tmp_path: Path) -> None:
    for name in ("a/x", "c/x", "b/x", "b/y"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        torch.save({"w": torch.tensor(FINE)}, tmp_path / f"{name}.pt")
    args = ("cast-compare", "--to", "fp16")
    old = old_report(tmp_path, *args, tmp_path / "a" / "x.pt", tmp_path / "c" / "x.pt")
    found = told(*args, tmp_path / "b" / "x.pt", tmp_path / "b" / "y.pt", "--baseline", old)[1]
    assert counts(found) == (0, 0, 0, 2, 2)


def test_exceptions_go_before_the_baseline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    args = ("cast-compare", "m.pt", "--to", "fp16")
    write(tmp_path, w=FINE)
    old = old_report(tmp_path, *args)
    write(tmp_path, w=OVER)
    assert told(*args, "--baseline", old)[0] == 1
    (tmp_path / "fpx.toml").write_text(
        '[[cast-compare.exceptions]]\ntensors = ["w"]\nfail-if = []\n'
    )
    assert told(*args, "--baseline", old)[0] == 0


# -- what is better, what is worse -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("metric", "old", "new", "expected"),
    [
        ("overflow_count", 1_000_000, 1_000_001, True),
        ("overflow_count", 7, 7, False),
        ("max_abs_error", 1.0, 1.0099, False),
        ("max_abs_error", 1.0, 1.01005, False),  # the larger one says how much 1% is
        ("max_abs_error", 1.0, 1.0102, True),
        ("max_abs_error", 1.0, 0.9901, False),
        ("max_abs_error", 1.0, 0.9899, True),
        ("max_abs_error", 0.0, 1e-300, True),
        ("max_abs_error", 1.0, INF, True),
        ("max_abs_error", INF, INF, False),
        ("sqnr_db", 70.0, 69.91, False),
        ("sqnr_db", 70.0, 69.89, True),
        ("sqnr_db", -INF, 70.0, True),
        ("headroom_binades", 0.05, -0.04, False),
        ("headroom_binades", 0.05, -0.06, True),
    ],
)
def test_what_differs(metric: str, old: float, new: float, expected: bool) -> None:
    assert differ(metric, old, new) == differ(metric, new, old) == expected


@pytest.mark.parametrize("metric", METRICS)
def test_the_direction_of_every_metric(metric: str, tmp_path: Path) -> None:
    """A number that changes is better or worse by the direction of its metric, or neither."""
    report = fpx.cast_compare(torch.tensor(FINE), to="fp16")
    document = report.to_dict()
    (row,) = report.rows
    for old in (-1e6, 1e6):
        document["results"][0][metric] = old
        text = json.dumps(document).encode()
        known = parse_baseline(text, "old.json", report.schema)
        changes = known.compared([row], report.environment()).changes
        found = [change for of in changes.values() for change in of if change.what == metric]
        now = row.metrics[metric]
        assert isinstance(METRICS[metric].worse, int)
        judged = METRICS[metric].worse != 0 and now is not None
        judged &= not metric.endswith("_rate") and not metric.startswith("surviving_")
        assert len(found) == judged
        for change in found:
            assert now is not None
            assert change.worse == ((now > old) == (METRICS[metric].worse > 0))


@pytest.mark.parametrize(
    ("text", "old", "new", "expected"),
    [
        ("max_abs_error>1", 2.0, 2.0, True),
        ("max_abs_error>1", 2.0, 2.015, True),
        ("max_abs_error>1", 2.0, 2.03, False),
        ("max_abs_error>1", 2.0, 1.5, True),
        ("max_abs_error>1", 1.0, 2.0, False),
        ("max_abs_error>=1", INF, INF, True),
        ("max_abs_error>=1", INF, 2.0, True),
        ("max_abs_error>=1", 2.0, INF, False),
        ("sqnr_db<50", 40.0, 39.95, True),
        ("sqnr_db<50", 40.0, 39.0, False),
        ("sqnr_db<50", 40.0, 45.0, True),
        ("sqnr_db<=50", -INF, 45.0, True),
        ("sqnr_db<=50", 45.0, -INF, False),
        ("sqnr_db<50", NAN, NAN, True),
        ("sqnr_db<50", NAN, 40.0, False),
        ("sqnr_db<50", 40.0, NAN, False),
        ("sqnr_db<50", None, 40.0, False),
        ("overflow_count!=0", 5, 4, True),
        ("overflow_count!=0", 5, 6, False),
        ("max_abs!=1", 5.0, 5.0, True),
        ("max_abs!=1", 5.0, 6.0, False),
        ("max_abs!=1", 5.0, 4.0, False),
        ("count<9", 8, 7, False),
        ("underflow_count>10%", 4, 4, True),
        ("underflow_count>10%", 4, 5, False),
        ("underflow_count>10%", 4, 3, True),
    ],
)
def test_excuses(text: str, old: float | None, new: float, expected: bool) -> None:
    condition = parse_condition(text)
    before = row_with(Outcome.DESTROYED, **{condition.metric: old})
    after = row_with(Outcome.DESTROYED, **{condition.metric: new})
    assert condition.fails(after)
    assert excuses(condition, before, after) == expected


ORDER = (Verdict.FITS, Verdict.LOSES_SMALL_VALUES, Verdict.LOSES_RANGE)
WORSE = (Outcome.EXACT, Outcome.ROUNDED, Outcome.SATURATED, Outcome.DESTROYED)


@pytest.mark.parametrize("old", range(3))
@pytest.mark.parametrize("new", range(3))
def test_excuses_of_verdicts(old: int, new: int) -> None:
    condition = parse_condition("verdict!=fits")
    rows = [Row({}, judgement=Judgement(ORDER[n])) for n in (old, new)]
    assert excuses(condition, rows[0], rows[1]) == (old > 0 and new <= old)


@pytest.mark.parametrize("old", range(4))
@pytest.mark.parametrize("new", range(4))
def test_excuses_of_outcomes(old: int, new: int) -> None:
    condition = parse_condition("outcome!=exact")
    rows = [Row({}, WORSE[n]) for n in (old, new)]
    assert excuses(condition, rows[0], rows[1]) == (old > 0 and new <= old)


# -- cast-verify -----------------------------------------------------------------------------------


VERIFY = ("cast-verify", "--from", "fp16", "--to", "e4m3fn")  # torch saturates there


def edited(path: Path, change: Callable[[Document], object]) -> Path:
    """An older report, as it might have been."""
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))
    return path


def forget(document: Document) -> None:
    row = document["results"][0]
    row["causes"] = []


def halve(document: Document) -> None:
    document["results"][0]["causes"][0]["count"] //= 2


def double(document: Document) -> None:
    document["results"][0]["causes"][0]["count"] *= 2


def another(document: Document) -> None:
    document["results"][0]["to"] = "float8_e5m2"


def sampled(document: Document) -> None:
    document["results"][0]["codes"] = "sampled"
    halve(document)


def absent(document: Document) -> None:
    document["results"][0]["offered"] = False


@pytest.mark.parametrize(
    ("change", "expected", "code"),
    [
        (lambda document: None, (0, 1, 0, 0, 0), 0),
        (forget, (0, 0, 1, 0, 0), 1),
        (halve, (0, 0, 1, 0, 0), 1),
        (double, (1, 0, 0, 0, 0), 0),
        (sampled, (0, 1, 0, 0, 0), 0),  # other codes, so that counts tell nothing
        (another, (0, 0, 0, 1, 1), 1),  # a new row is judged as without baseline
        (absent, (1, 0, 0, 0, 0), 0),
    ],
)
def test_cast_verify(
    tmp_path: Path, change: Callable[[Document], None], expected: tuple[int, ...], code: int
) -> None:
    old = edited(old_report(tmp_path, *VERIFY), change)
    found, document, err = told(*VERIFY, "--baseline", old)
    assert counts(document) == expected, err
    assert found == code, err


def test_cast_verify_by_kind(tmp_path: Path) -> None:
    old = edited(old_report(tmp_path, *VERIFY), forget)
    for kind in KINDS:
        code, document, err = told(*VERIFY, "--fail-on", kind, "--baseline", old)
        causes = {cause["cause"]: cause["kind"] for cause in document["results"][0]["causes"]}
        counted = KINDS[: KINDS.index(kind) + 1]
        worse = {name for name, of in causes.items() if of in counted}
        assert code == bool(worse), err
        assert {name for f in document["failures"] for name in f["value"]} == worse
        for failure in document["failures"]:
            assert set(failure["baseline_value"].values()) == {0}
            assert f"worse than in {old}: {next(iter(worse))} 0 -> " in failure["reason"]


def test_a_cast_that_is_no_longer_offered(tmp_path: Path) -> None:
    args = ("cast-verify", "--from", "fp16", "--to", "bf16", "--to", "e5m7")
    old = old_report(tmp_path, "cast-verify", "--from", "fp16", "--to", "bf16")
    document = json.loads(old.read_text())
    document["results"].append({**document["results"][0], "to": "e5m7", "causes": []})
    old.write_text(json.dumps(document))
    code, now, err = told(*args, "--baseline", old)
    assert code == 3  # it was asked for by name
    assert "float16 -> e5m7 by torch on cpu: worse than" in err
    assert now["failures"][-1]["value"] == {"offered": False}


def test_casts_under_other_conditions_do_not_compare(tmp_path: Path) -> None:
    old = old_report(tmp_path, *VERIFY)
    code, out, err = call(*VERIFY, "--layout", "strided", "--baseline", old)
    assert (code, out) == (2, "")
    assert "is of another question: layout was contiguous, and is strided now" in err


# -- inspect ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("stats", [(), ("--stats",)])
@pytest.mark.parametrize(
    ("before", "after", "expected", "of_values", "code"),
    [
        ({"w": FINE}, {"w": FINE}, (0, 1, 0, 0, 0), False, 0),
        ({"w": FINE}, {"w": [1.0, 2.0, 3.0]}, (0, 1, 0, 0, 0), False, 0),
        ({"w": FINE}, {"w": FINE, "v": [NAN]}, (0, 1, 0, 1, 0), False, 0),
        ({"w": FINE, "v": FINE}, {"w": FINE}, (0, 1, 0, 0, 1), False, 1),
        ({"w": FINE}, {"w": [1.0, 2.0]}, (0, 0, 1, 0, 0), False, 1),
        ({"w": FINE}, {"w": torch.ones(3).half()}, (0, 0, 1, 0, 0), False, 1),
        ({"w": FINE}, {"w": [1.0, NAN, 3.0]}, (0, 0, 1, 0, 0), True, 1),
        ({"w": FINE}, {"w": [1.0, INF, 3.0]}, (0, 0, 1, 0, 0), True, 1),
        ({"w": FINE}, {"w": [1.0, 0.0, 3.0]}, (0, 0, 1, 0, 0), True, 1),
        ({"w": FINE}, {"w": [1.0, 1e-40, 3.0]}, (0, 0, 1, 0, 0), True, 1),
        ({"w": [NAN, NAN, 0.0]}, {"w": [1.0, NAN, 0.0]}, (1, 0, 0, 0, 0), True, 0),
        ({"w": [NAN, 1.0, 2.0]}, {"w": [0.0, 1.0, 2.0]}, (0, 0, 1, 0, 0), True, 1),
    ],
)
def test_inspect(
    tmp_path: Path, before: Any, after: Any, expected: tuple[int, ...], of_values: bool, code: int,
    stats: tuple[str, ...],
) -> None:  # fmt: skip
    write(tmp_path, **before)
    old = old_report(tmp_path, "inspect", tmp_path / "m.pt", *stats)
    write(tmp_path, **after)
    found, document, err = told("inspect", tmp_path / "m.pt", *stats, "--baseline", old)
    if of_values and not stats:
        expected, code = (0, 1, 0, 0, 0), 0
    assert counts(document) == expected, err
    assert found == code, err
    assert len(document["failures"]) == code


def test_a_tensor_that_is_gone(tmp_path: Path) -> None:
    write(tmp_path, w=FINE, v=FINE)
    old = old_report(tmp_path, "inspect", tmp_path / "m.pt")
    path = write(tmp_path, w=[1.0])
    code, document, err = told("inspect", path, "--baseline", old)
    assert code == 1
    assert [(f["tensor"], f["value"], f["baseline_value"]) for f in document["failures"]] == [
        ("w", {"shape": [1]}, {"shape": [3]}), ("v", None, None),
    ]  # fmt: skip
    assert f"fpx: {path} v: gone: {old} has it\n" in err
    assert "but not here" not in err  # a failure needs no note
    call("inspect", path, "--baseline", old, "--save", tmp_path / "x.xml")
    suites = ElementTree.parse(tmp_path / "x.xml").getroot()
    assert suites.get("failures") == "2"
    assert [case.get("name") for case in suites.iter("testcase")] == ["w", "v"]
    assert f"fpx: {path} w: worse than in {old}: shape [3] -> [1]\n" in err


def test_stats_that_the_baseline_lacks(tmp_path: Path) -> None:
    path = write(tmp_path, w=FINE)
    old = old_report(tmp_path, "inspect", path)
    code, _, err = told("inspect", path, "--stats", "--baseline", old)
    assert code == 0
    assert "the baseline has no stats of some tensors" in err


def test_one_tensor_has_no_baseline(tmp_path: Path) -> None:
    path = write(tmp_path, w=FINE)
    old = old_report(tmp_path, "inspect", path)
    code, _, err = call("inspect", path, "--tensor", "w", "--baseline", old)
    assert (code, err) == (2, "fpx: --baseline is of all tensors: leave out --tensor\n")
    with pytest.raises(InputError, match="`baseline` is of all tensors"):
        fpx.inspect(path, tensor="w", baseline=old)


# -- files that are no baseline --------------------------------------------------------------------


def _with(**keys: object) -> Callable[[Document], None]:
    return lambda document: document["results"][0].update(keys)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (_with(source=3), "damaged: of entry 1, 'source' is '3'"),
        (_with(tensor=None), "damaged: of entry 1, 'tensor' is 'null'"),
        (_with(outcome="fine"), "damaged: of entry 1, 'outcome' is '\"fine\"'"),
        (_with(verdict=None), "damaged: of entry 1, 'verdict' is 'null'"),
        (_with(verdict=["fits"]), "damaged: of entry 1, 'verdict' is "),
        (_with(overflow_count="1"), "damaged: of entry 1, 'overflow_count' is '\"1\"'"),
        (_with(overflow_count=True), "damaged: of entry 1, 'overflow_count' is 'true'"),
        (_with(sqnr_db=[1]), "damaged: of entry 1, 'sqnr_db' is '[1]'"),
        (lambda document: document.pop("results"), "damaged: it has no results"),
        (lambda document: document.update(results=[1]), "damaged: it has no results"),
        (lambda document: document.pop("environment"), "damaged: it has no results"),
        (lambda document: document.update(schema="fpx.cast-compare/1"),
         "of schema 'fpx.cast-compare/1', where fpx.cast-compare/2 is needed: save one with fpx "
         "cast-compare --json"),
        (lambda document: document.update(schema="fpx.inspect/1"), "of schema 'fpx.inspect/1'"),
        (lambda document: document.update(schema=2), "is no report of fpx"),
        (lambda document: document.pop("schema"), "is no report of fpx"),
    ],
)  # fmt: skip
def test_damage(tmp_path: Path, change: Callable[[Document], object], says: str) -> None:
    path = write(tmp_path, w=FINE)
    args = ("cast-compare", path, "--to", "fp16")
    old = edited(old_report(tmp_path, *args), change)
    code, out, err = call(*args, "--baseline", old)
    assert (code, out) == (2, "")
    assert err.startswith(f"fpx: '{old}' is ")
    assert err.count("\n") == 1
    assert says in err, err


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"", "is no report: it is no JSON"),
        (b"{", "is no report: it is no JSON"),
        (b"[" * 200_000, "is no report: it is nested too deeply"),
        (b"9" * 5000, "is no report: it is no JSON"),
        (b'{"schema": NaN}', "is no report: it is no JSON (NaN is not JSON)"),
        (b"\xff\xfe\xff", "is no report: it is no JSON"),
        (b"[]", "is no report of fpx"),
        (b"null", "is no report of fpx"),
    ],
)
@pytest.mark.parametrize("command", ["cast-compare", "cast-verify", "inspect", "step-compare"])
def test_other_files(tmp_path: Path, text: bytes, says: str, command: str) -> None:
    old = tmp_path / "old.json"
    old.write_bytes(text)
    path = write(tmp_path, w=FINE)
    args = ("--from", "fp16", "--to", "bf16") if command == "cast-verify" else (path,)
    code, out, err = call(command, *args, "--baseline", old)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert says in err


@pytest.mark.parametrize(
    ("name", "says"),
    [("nofile.json", "cannot be read: No such file or directory"), (".", "cannot be read: Is a "
     "directory")],
)  # fmt: skip
def test_no_file(tmp_path: Path, name: str, says: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path, w=FINE)
    code, out, err = call("cast-compare", "m.pt", "--baseline", name)
    assert (code, out) == (2, "")
    assert err == f"fpx: --baseline: '{name}' {says}\n"


@pytest.mark.parametrize(
    ("key", "value"),
    [("causes", None), ("causes", [1]), ("causes", [{"cause": "x"}]), ("offered", 1), ("to", 1)],
)
def test_damage_of_cast_verify(tmp_path: Path, key: str, value: object) -> None:
    old = edited(old_report(tmp_path, *VERIFY), _with(**{key: value}))
    code, out, err = call(*VERIFY, "--baseline", old)
    assert (code, out) == (2, "")
    assert f"is damaged: of entry 1, '{key}' is " in err


@pytest.mark.parametrize(
    ("key", "value"), [("dtype", 1), ("shape", "3"), ("stats", 1), ("stats", {"nan_count": 1.5})]
)
def test_damage_of_inspect(tmp_path: Path, key: str, value: object) -> None:
    path = write(tmp_path, w=FINE)
    old = edited(old_report(tmp_path, "inspect", path), _with(**{key: value}))
    code, out, err = call("inspect", path, "--baseline", old)
    assert (code, out) == (2, "")
    assert f"is damaged: of entry 1, '{key}' is " in err


def test_a_metric_that_the_baseline_does_not_know(tmp_path: Path) -> None:
    """Keys may be added within a schema number."""
    path = write(tmp_path, w=OVER)
    args = ("cast-compare", path, "--to", "fp16")
    old = old_report(tmp_path, *args)
    edited(old, lambda document: document["results"][0].pop("destroyed_count"))
    assert told(*args, "--baseline", old)[0] == 0
    assert told(*args, "--fail-if", "destroyed_count>0", "--baseline", old)[0] == 1


# -- Python ----------------------------------------------------------------------------------------


def test_python(tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    np.save(path, np.array(FINE, np.float32))
    old = old_report(tmp_path, "cast-compare", path, "--to", "fp16")
    assert fpx.cast_compare(path, "fp16", baseline=old).failures() == []
    np.save(path, np.array(OVER, np.float32))
    (failure,) = fpx.cast_compare(path, "fp16", baseline=str(old)).failures()
    assert failure.value["overflow_count"] == 1
    assert failure.old["overflow_count"] == 0
    old = old_report(tmp_path, *VERIFY)
    assert fpx.cast_verify("fp16", "e4m3fn", baseline=old).failures() == []
    old = old_report(tmp_path, "inspect", path)
    report = fpx.inspect(path, baseline=old)
    assert isinstance(report, InspectReport)
    assert report.baseline is not None
    assert report.baseline.equal_count == 1
