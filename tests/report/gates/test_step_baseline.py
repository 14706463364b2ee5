"""An older step-compare beside a new one, of each of its three questions."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

import fpx
from fpx.report.gates.baseline import parse_baseline
from fpx.report.gates.step_changes import OldStep, excuses_limit
from fpx.report.limits import parse_limit
from fpx.report.step_compare import NUMBERS, StepReport
from fpx.report.step_rows import ROWS, StepRow
from tests.helpers import call
from tests.report.gates.test_baseline import Document, counts, edited, old_report, told, write

STEP = ("--lr", "2^-9", "--to", "bf16")  # moves 0.1, and not 1
STILL, MOVES = [1.0, 1.0, 0.1], [1.0, 0.1, 0.1]


def state(folder: Path, second: list[float], first: float = 1e-3, name: str = "c.pt") -> Path:
    """A checkpoint with AdamW's state of a weight."""
    group = {
        "lr": 1e-3, "betas": (0.9, 0.99), "eps": 1e-6, "weight_decay": 0.0, "amsgrad": False,
        "decoupled_weight_decay": True, "params": [0], "param_names": ["w"],
    }  # fmt: skip
    moments = {
        "step": 10, "exp_avg": torch.full((len(second),), first), "exp_avg_sq": torch.tensor(second)
    }  # fmt: skip
    optimizer = {"state": {0: moments}, "param_groups": [group]}
    torch.save({"model": {"w": torch.ones(len(second))}, "optimizer": optimizer}, folder / name)
    return folder / name


KEPT, LOST = [1.0, 1.0, 1.0, 1.0], [1.0, 1e-9, 1.0, 1.0]  # in float16, 1e-9 is 0


# -- what changed ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after", "expected", "code"),
    [
        ({"w": STILL}, {"w": STILL}, (0, 1, 0, 0, 0), 0),  # stands still, but did so before
        ({"w": MOVES}, {"w": STILL}, (0, 0, 1, 0, 0), 1),
        ({"w": STILL}, {"w": MOVES}, (1, 0, 0, 0, 0), 0),
        ({"w": [0.1, 0.1, 0.1]}, {"w": MOVES}, (0, 0, 1, 0, 0), 1),  # one more, and it moves still
        ({"w": MOVES}, {"w": MOVES, "v": MOVES}, (0, 1, 0, 1, 0), 0),
        ({"w": MOVES}, {"w": MOVES, "v": STILL}, (0, 1, 0, 1, 0), 1),  # a new row must move
        ({"w": MOVES, "v": STILL}, {"w": MOVES}, (0, 1, 0, 0, 1), 0),
        ({"w": MOVES, "v": STILL}, {"w": STILL, "v": MOVES}, (1, 0, 1, 0, 0), 1),
        ({"w": [torch.nan, 0.1]}, {"w": [torch.nan, torch.inf]}, (0, 0, 1, 0, 0), 1),
        ({"w": MOVES}, {"w": [1.0, 0.101, 0.102]}, (0, 1, 0, 0, 0), 0),
    ],
)
def test_a_step(
    tmp_path: Path, before: Any, after: Any, expected: tuple[int, ...], code: int
) -> None:
    args = ("step-compare", tmp_path / "m.pt", *STEP)
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


@pytest.mark.parametrize(
    ("before", "after", "expected", "code"),
    [
        (KEPT, KEPT, (0, 2, 0, 0, 0), 0),
        (LOST, LOST, (0, 2, 0, 0, 0), 0),
        (KEPT, LOST, (1, 0, 1, 0, 0), 1),  # its update is larger: the weight moves, the state not
        (LOST, KEPT, (1, 0, 1, 0, 0), 1),
    ],
)
def test_a_state(
    tmp_path: Path, before: list[float], after: list[float], expected: tuple[int, ...], code: int
) -> None:
    args = ("step-compare", tmp_path / "c.pt", "--weights-to", "bf16", "--state-to", "fp16")
    state(tmp_path, before)
    old = old_report(tmp_path, *args)
    state(tmp_path, after)
    found, document, err = told(*args, "--baseline", old)
    assert counts(document) == expected, err
    assert found == code, err
    kinds = {failure["kind"] for failure in document["failures"]}
    assert kinds == (set() if not code else {"state"} if after is LOST else {"update"})


def test_failures_of_a_state_name_old_and_new_values(tmp_path: Path) -> None:
    args = ("step-compare", state(tmp_path, KEPT), "--state-to", "fp16")
    old = old_report(tmp_path, *args)
    path = state(tmp_path, LOST)
    code, document, err = told(*args, "--baseline", old)
    assert code == 1
    (failure,) = document["failures"]
    assert (failure["kind"], failure["tensor"], failure["check"]) == ("state", "w", "baseline")
    names = {"verdict": ("survives", "breaks"), "second_zero_count": (0, 1),
             "second_lost_count": (0, 1)}  # fmt: skip
    assert failure["baseline_value"] == {name: was for name, (was, _) in names.items()}
    assert failure["value"] == {name: now for name, (_, now) in names.items()}
    assert err.endswith(
        f"fpx: {path} w: state -> float16: worse than in {old}: verdict survives -> breaks, "
        "second_zero_count 0 -> 1, second_lost_count 0 -> 1\n"
    )


def test_before_and_after(tmp_path: Path) -> None:
    first, second = tmp_path / "first.pt", tmp_path / "m.pt"
    args = ("step-compare", first, second, "--to", "bf16")
    torch.save({"w": torch.ones(4)}, first)
    write(tmp_path, w=[1.1, 1.2, 1.3, 1.00001])
    old = old_report(tmp_path, *args)
    assert told(*args, "--baseline", old)[0] == 0
    write(tmp_path, w=[1.1, 1.2, 1.00001, 1.00001])
    code, document, _ = told(*args, "--baseline", old)
    assert (code, counts(document)) == (1, (0, 0, 1, 0, 0))
    assert document["failures"][0]["value"] == {
        "verdict": "stands still", "unmoved_count": 2, "lost_count": 2,
    }  # fmt: skip
    write(tmp_path, w=[1.1, 1.2, 1.9, 1.9])  # further, and all of them
    assert counts(told(*args, "--baseline", old)[1]) == (1, 0, 0, 0, 0)


WAYS: dict[str, dict[str, int]] = {
    "step": {"not_finite_count": 1, "unmoved_count": 1, "half_step": 1, "most_step": 1,
             "expected_moved_count": -1, "never_moved_count": 1},
    "update": {"undefined_count": 1, "unmoved_count": 1, "lost_count": 1,
               "expected_moved_count": -1},
    "change": {"unmoved_count": 1, "lost_count": 1, "special_count": 1},
    "state": {"not_finite_count": 1, "first_zero_count": 1, "second_zero_count": 1,
              "second_lost_count": 1, "first_stuck_count": 1, "second_stuck_count": 1,
              "eps_is_zero": 1},
}  # fmt: skip
"""Kind -> the numbers that get better or worse, and which way they get worse."""


def reports() -> list[StepReport]:
    """Reports with rows of every kind, and every number."""
    weights = torch.tensor([1.0, 0.1, 0.3])
    moments = {"step": 10, "exp_avg": weights * 1e-3, "exp_avg_sq": weights * 1e-4}
    group = {"lr": 1e-3, "betas": (0.9, 0.99), "eps": 1e-6, "weight_decay": 0.0, "amsgrad": False,
             "decoupled_weight_decay": True, "params": [0], "param_names": ["w"]}  # fmt: skip
    saved = {"w": weights, "optimizer": {"state": {0: moments}, "param_groups": [group]}}
    return [
        fpx.step_compare(weights, lr=1e-3, to="bf16", rounding="stochastic:8"),
        fpx.step_compare(saved, weights_to="bf16", state_to="fp16", rounding="stochastic"),
        fpx.step_compare([weights, weights * 1.01], to="bf16"),
    ]


def of_kind(kind: str) -> tuple[StepReport, StepRow, int]:
    """A report with a row of a kind, that row, and the number of its entry."""
    return next(
        (report, row, at)
        for report in reports()
        for at, row in enumerate(report.rows)
        if row.kind == kind
    )


@pytest.mark.parametrize(
    ("kind", "name"), [(row.kind, name) for row in ROWS for name in row.measured]
)
def test_the_direction_of_every_number(kind: str, name: str) -> None:
    report, row, at = of_kind(kind)
    now = getattr(row, name)
    assert now is not None
    for old in (now - 1, now + 1):
        document = report.to_dict()
        document["results"][at][name] = old
        changed = read(document).compared([row], {**report.environment(), **report.asked}).changes
        found = [change for of in changes_of(changed) for change in of if change.what == name]
        way = WAYS[kind].get(name, 0)
        assert [change.worse for change in found] == ([(now > old) == (way > 0)] if way else [])


def read(document: Document) -> Any:
    return parse_baseline(json.dumps(document).encode(), "old.json", StepReport.schema)


def changes_of(changed: Any) -> list[Any]:
    return list(changed.values())


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("update", ("moves", "stands still")),
        ("state", ("survives", "cannot decay", "vanishes", "breaks")),
    ],
)
def test_the_order_of_verdicts(kind: str, words: tuple[str, ...]) -> None:
    report, row, at = of_kind(kind)
    now = words.index(row.verdict.value)
    for before, word in enumerate(words):
        document = report.to_dict()
        document["results"][at]["verdict"] = word
        changed = read(document).compared([row], {**report.environment(), **report.asked}).changes
        found = [change for of in changes_of(changed) for change in of if change.what == "verdict"]
        assert [change.worse for change in found] == ([] if before == now else [now > before])


@pytest.mark.parametrize(
    ("kind", "name", "old", "changes"),
    [
        ("update", "unmoved_count", 1.0, True),  # a count, however it is written
        ("update", "expected_moved_count", 1.009, False),
        ("update", "expected_moved_count", 0.991, False),
        ("update", "expected_moved_count", 1.01005, False),  # the larger one says how much 1% is
        ("update", "expected_moved_count", 1.0102, True),
        ("update", "expected_moved_count", 0.9899, True),
        ("step", "half_step", 1.001, True),
    ],
)
def test_what_differs(kind: str, name: str, old: float, changes: bool) -> None:
    """Measured numbers do within 1%, all others wherever they are not equal."""
    report, row, at = of_kind(kind)
    document = report.to_dict()
    document["results"][at][name] = getattr(row, name) * old + (name == "unmoved_count")
    changed = read(document).compared([row], {**report.environment(), **report.asked}).changes
    assert (name in {change.what for of in changes_of(changed) for change in of}) == changes


# -- conditions ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("condition", "before", "after", "code"),
    [
        ("stands_still", STILL, STILL, 0),
        ("stands_still", MOVES, STILL, 1),
        ("stands_still", STILL, [1.0, 1.0, 1.0], 0),  # more of them, but it stood still before
        ("unmoved_count>1", STILL, [1.0, 1.0, 1.0], 1),
        ("unmoved_count>1", [1.0, 1.0, 1.0], STILL, 0),
        ("unmoved_rate>=0.6", [1.0] * 10 + [0.1], [1.0] * 20 + [0.1], 1),
        ("unmoved_count<9", [1.0, 1.0, 1.0], STILL, 1),
        ("unmoved_count<9", STILL, [1.0, 1.0, 1.0], 0),
        ("unmoved_count!=0", STILL, MOVES, 0),
        ("unmoved_count!=0", MOVES, STILL, 1),
        ("one_way_count!=5", [0.1], [0.5], 1),  # neither way is better
        ("one_way_count!=5", [0.1], [0.1], 0),
        ("not_finite_count>0", MOVES, STILL, 0),  # worse, but nobody asked
    ],
)
def test_a_condition_that_held_before_is_excused(
    tmp_path: Path, condition: str, before: list[float], after: list[float], code: int
) -> None:
    args = ("step-compare", tmp_path / "m.pt", *STEP)
    write(tmp_path, w=before)
    old = old_report(tmp_path, *args)
    write(tmp_path, w=after)
    found, document, err = told(*args, "--fail-if", condition, "--baseline", old)
    assert found == code, err
    if code:
        (failure,) = document["failures"]
        assert failure["check"] == condition
        assert err.endswith(f"; it was {failure['baseline_value']:.6g}\n")


def test_a_condition_of_a_new_row_or_a_new_number(tmp_path: Path) -> None:
    args = ("step-compare", write(tmp_path, w=STILL), *STEP)
    old = old_report(tmp_path, *args)
    write(tmp_path, w=STILL, v=STILL)
    code, document, _ = told(*args, "--fail-if", "unmoved_count>0", "--baseline", old)
    assert code == 1
    assert [(f["tensor"], f["value"], f["baseline_value"]) for f in document["failures"]] == [
        ("v", 2, None)
    ]
    write(tmp_path, w=STILL)
    edited(old, lambda document: document["results"][0].pop("unmoved_count"))
    assert told(*args, "--baseline", old)[0] == 0
    assert told(*args, "--fail-if", "unmoved_count>0", "--baseline", old)[0] == 1


def test_a_new_row_is_told_with_its_verdict(tmp_path: Path) -> None:
    args = ("step-compare", write(tmp_path, w=MOVES), *STEP)
    old = old_report(tmp_path, *args)
    write(tmp_path, w=MOVES, v=STILL)
    _, document, err = told(*args, "--baseline", old)
    assert [f["value"] for f in document["failures"]] == ["stands still"]
    assert f"v -> bfloat16: the verdict is stands still (a new row: {old} does not have it)" in err


def test_flags_of_an_older_row() -> None:
    for report in reports():
        document = report.to_dict()
        for row, old in zip(report.rows, read(document).rows, strict=True):
            assert isinstance(old, OldStep)
            assert old.title == row.title
            assert old.numbers() == row.numbers()
            for name in set(NUMBERS) & set(row.numbers()):
                limit = parse_limit(f"{name}>=0", NUMBERS)
                assert excuses_limit(limit, old, row)


# -- which reports, which rows ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--lr", "1e-3"), "step was 0.001953125, and is 0.001 now"),
        (("--lr", "2^-9", "--still", "0.25"), "still_rate was 0.5, and is 0.25 now"),
        (("--lr", "2^-9", "--rounding", "stochastic"), "rounding was none, and is stochastic now"),
        (("{}",), "step was 0.001953125, and is none now"),
    ],
)
def test_another_question(tmp_path: Path, options: tuple[str, ...], says: str) -> None:
    path = write(tmp_path, w=MOVES)
    old = old_report(tmp_path, "step-compare", path, "--lr", "2^-9")
    given = [option.format(path) for option in options]
    code, out, err = call("step-compare", path, *given, "--baseline", old)
    assert (code, out) == (2, "")
    assert err == f"fpx: '{old}' is of another question: {says}\n"


def test_checkpoints_may_have_other_folders(tmp_path: Path) -> None:
    """A folder of a Trainer has two files, of which one has the weights."""
    for number in (1, 2):
        folder = tmp_path / f"checkpoint-{number}"
        folder.mkdir()
        torch.save(torch.load(state(folder, KEPT))["optimizer"], folder / "optimizer.pt")
        (folder / "c.pt").unlink()
        save_file({"w": torch.ones(4)}, folder / "model.safetensors")
    args = ("--weights-to", "bf16", "--state-to", "fp16")
    old = old_report(tmp_path, "step-compare", tmp_path / "checkpoint-1", *args)
    found = told("step-compare", tmp_path / "checkpoint-2", *args, "--baseline", old)[1]
    assert counts(found) == (0, 2, 0, 0, 0)


def test_missing_rows_are_told_of(tmp_path: Path) -> None:
    args = ("step-compare", state(tmp_path, KEPT), "--state-to")
    old = old_report(tmp_path, *args, "fp16,bf16,fp32")
    code, _, err = told(*args, "fp32", "--baseline", old)
    assert code == 0
    assert f"note: in {old}, but not here: {tmp_path / 'c.pt'} w: state -> float16, and 1 more\n" \
        in err  # fmt: skip


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"kind": "steps"}, "damaged: of entry 1, 'kind' is '\"steps\"'"),
        ({"kind": None}, "damaged: of entry 1, 'kind' is 'null'"),
        ({"verdict": "breaks"}, "damaged: of entry 1, 'verdict' is '\"breaks\"'"),
        ({"verdict": None}, "damaged: of entry 1, 'verdict' is 'null'"),
        ({"verdict": ["moves"]}, "damaged: of entry 1, 'verdict' is "),
        ({"unmoved_count": "1"}, "damaged: of entry 1, 'unmoved_count' is '\"1\"'"),
        ({"half_step": [1]}, "damaged: of entry 1, 'half_step' is '[1]'"),
    ],
)
def test_damage(tmp_path: Path, change: dict[str, object], says: str) -> None:
    args = ("step-compare", write(tmp_path, w=MOVES), *STEP)
    old = edited(old_report(tmp_path, *args), lambda d: d["results"][0].update(change))
    code, out, err = call(*args, "--baseline", old)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert says in err


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace('"half_step": ', '"half_step": 1e999, "was": '),
        lambda text: text.replace('"asked": {', '"asked": 3, "was": {'),
    ],
)
def test_other_damage(tmp_path: Path, change: Callable[[str], str]) -> None:
    args = ("step-compare", write(tmp_path, w=MOVES), *STEP)
    old = old_report(tmp_path, *args)
    text = old.read_text()
    old.write_text(change(text))
    assert old.read_text() != text
    code, out, err = call(*args, "--baseline", old)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "is damaged: " in err


# -- elsewhere -------------------------------------------------------------------------------------


def test_python(tmp_path: Path) -> None:
    old = old_report(tmp_path, "step-compare", state(tmp_path, KEPT), "--state-to", "fp16")
    assert fpx.step_compare(tmp_path / "c.pt", state_to="fp16", baseline=old).failures() == []
    path = state(tmp_path, LOST)
    report = fpx.step_compare(path, state_to="fp16", baseline=str(old))
    (failure,) = report.failures()
    assert failure.value["second_lost_count"] == 1
    assert failure.old["second_lost_count"] == 0
    excused = fpx.step_compare(path, state_to="fp16", baseline=old, fail_if="second_left_count>3")
    assert excused.failures() == []


def test_saved_forms_and_options_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    old = old_report(tmp_path, "step-compare", write(tmp_path, w=MOVES), *STEP)
    write(tmp_path, w=STILL)
    (tmp_path / "fpx.toml").write_text(f'[step-compare]\nbaseline = "{old.name}"\n')
    code, _, err = call("step-compare", "m.pt", *STEP, "--save", "x.xml", "--github")
    assert code == 1
    assert "\n::error title=fpx step-compare::m.pt w -> bfloat16: worse than in " in err
    (case,) = ElementTree.parse(tmp_path / "x.xml").getroot().iter("testcase")
    assert [child.tag for child in case] == ["failure", "system-out"]
