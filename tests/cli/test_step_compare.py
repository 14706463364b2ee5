"""`fpx step-compare`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fpx.report.step_compare import StepReport
from tests.helpers import PATIENCE, call, document, results, running
from tests.training.checkpoints import train, trained


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    model, optimizer = trained(named=True, lr=1e-4)
    path = tmp_path / "checkpoint.pt"
    torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict()}, path)
    return path


def test_one_command_says_what_stands_still_and_what_breaks(checkpoint: Path) -> None:
    code, out, err = call(
        "step-compare", checkpoint, "--weights-to", "bf16", "--state-to", "bf16,e4m3fn"
    )
    assert (code, err) == (0, "")
    assert "bfloat16: " in out
    assert "do not move" in out
    assert "bfloat16 state cannot decay: a step leaves 100% of v as it is" in out
    assert "exp_avg_sq (0.999) in bfloat16: 32,512 of 32,512 normal values cannot decay" in out
    assert "State in float8_e4m3fn" in out
    found = document(
        "step-compare", checkpoint, "--weights-to", "bf16", "--state-to", "bf16", "--state-to",
        "e4m3fn",
    )  # fmt: skip
    assert found["schema"] == StepReport.schema
    assert {entry["kind"] for entry in found["results"]} == {"update", "state"}
    assert [entry["to"] for entry in found["totals"]] == ["bfloat16", "bfloat16", "float8_e4m3fn"]
    assert found["optimizers"][0]["settings"]["beta2"] == 0.999


def test_options_reach_the_counting(checkpoint: Path, tmp_path: Path) -> None:
    def entries(*options: object) -> list[dict[str, Any]]:
        return results("step-compare", checkpoint, *options)

    assert {e["tensor"] for e in entries("--weights-to", "bf16", "--include", "3.*")} == {
        "3.weight", "3.bias",
    }  # fmt: skip
    assert len(entries("--weights-to", "bf16", "--exclude", "*.bias")) == 4
    scaled = entries("--state-to", "e4m3fn", "--scale", "block:4", "--scale-format", "e8m0")
    assert {e["to"] for e in scaled} == {"float8_e4m3fn:block=4,scale=float8_e8m0fnu"}
    both = entries("--state-to", "mxfp4", "--scale-rule", "floor", "--scale-rule",
                   "ceil")  # fmt: skip
    assert len({e["to"] for e in both}) == 2
    still = {e["verdict"] for e in entries("--weights-to", "fp32", "--still", "0")}
    assert still <= {"moves", "stands still"}
    optimizer = tmp_path / "optimizer.pt"
    torch.save(torch.load(checkpoint)["optimizer"], optimizer)
    beside = results("step-compare", optimizer, "--model", checkpoint, "--weights-to", "bf16")
    assert [e["unmoved_count"] for e in beside] == [
        e["unmoved_count"] for e in entries("--weights-to", "bf16")
    ]


def test_a_step_and_a_change(checkpoint: Path, tmp_path: Path) -> None:
    code, out, err = call("step-compare", checkpoint, "--lr", "1e-3", "--json")
    entries = json.loads(out)["results"]
    assert {(e["kind"], e["to"]) for e in entries} == {("step", "bfloat16"), ("step", "float16")}
    assert "24 tensors of an optimizer's state" in err
    model, optimizer = trained(named=True, lr=1e-4)
    train(model, optimizer, 1)
    torch.save({"model": model.state_dict()}, tmp_path / "after.pt")
    code, out, _ = call("step-compare", checkpoint, tmp_path / "after.pt", "--to", "fp16")
    assert code == 0
    assert "float16: codes that moved by" in out
    assert "bytes tell it." in out


def test_conditions_end_with_1_and_say_who(tmp_path: Path) -> None:
    np.save(tmp_path / "ones.npy", np.ones(8))
    path = tmp_path / "ones.npy"
    np.save(tmp_path / "nine.npy", np.array([1.0] * 9 + [1e-9]))
    nine = ("step-compare", tmp_path / "nine.npy", "--lr", "1e-5", "--to", "bf16", "--fail-if")
    assert call(*nine, "unmoved_rate>0.9")[0] == 0  # it is 0.9
    assert call(*nine, "unmoved_rate>=0.9")[0] == call(*nine, "unmoved_rate>0.89")[0] == 1
    code, _, err = call("step-compare", path, "--lr", "1e-5", "--to", "bf16", "--fail-if",
                        "unmoved_rate>0.9")  # fmt: skip
    assert code == 1
    assert err.endswith("ones -> bfloat16: unmoved_rate>0.9 holds (unmoved_rate is 1)\n")
    assert call("step-compare", path, "--lr", "1", "--fail-if", "stands_still")[0] == 0
    code, _, err = call("step-compare", path, "--lr", "1", "--fail-if", "breaks")
    assert (code, err) == (3, "fpx: breaks: not checked, no row has a breaks\n")
    code, _, err = call("step-compare", path, "--lr", "1", "--fail-if", "unmoved")
    assert code == 2
    assert "did you mean 'unmoved_rate'?" in err or "did you mean 'unmoved_count'?" in err


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ([], "say what moves the weights: --lr is a step of one size"),
        (["--lr", "1", "--weights-to", "bf16"], "--lr is a step of one size"),
        (["--state-to", "bf16", "--to", "bf16"], "write --weights-to or --state-to, not --to"),
        (["--lr", "1", "--model", "x"], "--model is for an optimizer's state"),
        (["--lr", "1", "--optimizer", "sgd"], "--optimizer is for an optimizer's state"),
        (["--lr", "1", "--optimizer", "adagrad"], "'adagrad' is not one of"),
        (["--lr", "-1"], "--lr must be a finite number, 0 or more, not '-1'"),
        (["--lr", "1e400"], "--lr must be a finite number, 0 or more, not '1e400'"),
        (["--lr", "1", "--scale", "tensor"], "--scale is for an optimizer's state: --state-to"),
        (["--lr", "1", "--scale-rule", "all"], "--scale-rule is for an optimizer's state"),
        (["--weights-to", "bf16", "--scale-format", "e8m0"], "--scale-format is for an optimizer"),
        (["--state-to", "bf16", "--rounding", "stochastic"], "weights are what --rounding is of"),
        (["--lr", "1", "--fail-if", "verdict!=moves"], "'stands_still' or 'unmoved_rate>0.9'"),
        (["--lr", "1", "--stored"], "no such option: '--stored' (see"),
        (["--lr", "1", "--still", "2"], "--still must be from 0 to 1, not 2"),
        (["--lr", "1", "--to", "e8m0"], "float8_e8m0fnu has no sign"),
        (["--lr", "1", "--to", "mxfp4"], "mxfp4"),
        (["--lr", "1", "--top", "0"], "--top must be at least 1"),
        (["--lr", "1", "--top", "1", "--all"], "--top and --all exclude each other"),
        (["--weights-to", "bf16"], "has no optimizer's state (state.KEY.exp_avg"),
    ],
)
def test_what_does_not_go_together(args: list[str], words: str, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.ones(3))
    code, out, err = call("step-compare", tmp_path / "x.npy", *args)
    assert (code, out) == (2, "")
    assert words in err
    assert err.count("\n") == 1


def test_two_checkpoints_have_one_state_at_a_time(checkpoint: Path) -> None:
    code, _, err = call("step-compare", checkpoint, checkpoint, "--weights-to", "bf16")
    assert (code, err) == (
        2, "fpx: give one checkpoint with a state; --model may name its weights\n",
    )  # fmt: skip


def test_top_and_all(tmp_path: Path) -> None:
    path = tmp_path / "many.npz"
    np.savez(path, **{f"w{at:02}": np.ones(at + 1) for at in range(30)})  # type: ignore[arg-type]
    args = ("step-compare", path, "--lr", "1e-9", "--to", "bf16")
    for options, shown, more in (((), 20, "10 more"), (("--top", 3), 3, "27 more"),
                                 (("--all",), 30, None)):  # fmt: skip
        out = call(*args, *options)[1]
        assert sum(f"w{at:02}" in out for at in range(30)) == shown
        assert ("more tensors" in out) == (more is not None)
        assert more is None or f"{more} tensors (--all shows every one)." in out


def test_saved_forms(checkpoint: Path, tmp_path: Path) -> None:
    args = ["step-compare", checkpoint, "--weights-to", "bf16", "--state-to", "e4m3fn"]
    saves = [tmp_path / f"x.{suffix}" for suffix in ("json", "csv", "md", "html", "xml")]
    code, out, err = call(*args, *(part for path in saves for part in ("--save", path)))
    assert (code, err) == (0, "")
    whole = json.loads(saves[0].read_text())
    lines = saves[1].read_text().splitlines()
    assert len(lines) == 1 + len(whole["results"]) == 17
    assert {"kind", "second_lost_count", "unmoved_rate"} <= set(lines[0].split(","))
    assert "0.weight" in saves[2].read_text()
    assert all(path.stat().st_size for path in saves)
    assert "0.weight" in out


def test_answers_are_the_lines_of_the_screen(checkpoint: Path, tmp_path: Path) -> None:
    """In JSON, on the page, and for GitHub."""
    args = ("step-compare", checkpoint, "--weights-to", "bf16", "--state-to", "bf16,fp32")
    page = tmp_path / "x.html"
    _, out, err = call(*args, "--save", page, "--github")
    answers = document(*args)["answers"]
    assert [(each["kind"], each["to"], each["fits"]) for each in answers] == [
        ("update", "bfloat16", False), ("state", "bfloat16", False), ("state", "float32", True),
    ]  # fmt: skip
    lines = out.splitlines()
    for each in answers:
        text = each["text"].removeprefix("the state ")
        line = f"{each['to']}{': ' if text == each['text'] else ' state '}{text}"
        assert line in lines
        level = "notice" if each["fits"] else "warning"
        told = f"{each['to']}: {each['text']}".replace("%", "%25")
        assert f"::{level} title=fpx step-compare::{told}\n" in err
        assert each["text"] in page.read_text()
    whole = json.loads(call("step-compare", checkpoint, checkpoint, "--to", "bf16", "--json")[1])
    (one,) = whole["answers"]
    assert (one["fits"], one["text"][:12]) == (False, "0% of 131 we")


def test_each_row_is_a_case_of_its_own(checkpoint: Path, tmp_path: Path) -> None:
    """JUnit's, where weights and state go to the same format."""
    args = ("step-compare", checkpoint, "--weights-to", "bf16", "--state-to", "bf16")
    call(*args, "--fail-if", "cannot_decay", "--save", tmp_path / "x.xml")
    found = ElementTree.parse(tmp_path / "x.xml").getroot()
    cases = [(case.get("classname"), case.get("name")) for case in found.iter("testcase")]
    assert len(cases) == len(set(cases)) == 16
    failed = {case.get("classname") for case in found.iter("testcase") if len(case) > 1}
    assert failed == {f"state of {checkpoint} -> bfloat16"}


def test_ctrl_c_shows_what_was_done(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.ones(4))
    np.lib.format.open_memmap(
        str(tmp_path / "b.npy"), mode="w+", dtype=np.float32, shape=(1 << 33,)
    ).flush()
    large = (tmp_path / "b.npy").resolve()
    args = ("step-compare", tmp_path / "a.npy", large, "--lr", "1", "--json")
    with running(*args, stdin=subprocess.DEVNULL) as process:
        fds = Path(f"/proc/{process.pid}/fd")
        deadline = time.monotonic() + PATIENCE
        while not any(os.path.realpath(fd) == str(large) for fd in fds.iterdir()):
            assert time.monotonic() < deadline  # it has not begun to read
            time.sleep(0.05)
        time.sleep(1)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert err == "fpx: interrupted: the tensors that follow are not in it\n"
    found = json.loads(out)
    assert found["partial"] is True
    assert {entry["tensor"] for entry in found["results"]} == {"a"}


def test_stochastic_rounding_says_what_to_expect(checkpoint: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "ones.npy", np.ones(4))
    args = ("step-compare", tmp_path / "ones.npy", "--lr", "2^-9", "--to", "bf16", "--rounding")
    (entry,) = results(*args, "stochastic")
    # a quarter of the distance up, half of the distance down
    assert (entry["unmoved_count"], entry["expected_moved_count"]) == (4, 1.5)
    (entry,) = results(*args, "stochastic:1:a")
    assert entry["expected_moved_count"] == 1.0
    out = call(*args, "stochastic")[1]
    assert "rounded stochastically, 37.5% are expected to." in " ".join(out.split())
    out = call("step-compare", checkpoint, "--weights-to", "bf16", "--rounding", "stochastic")[1]
    assert "rounded stochastically, " in " ".join(out.split())
    code, _, err = call("step-compare", checkpoint, checkpoint, "--rounding", "stochastic")
    assert (code, err) == (2, "fpx: two checkpoints are there already: leave out --rounding\n")
    assert call(*args, "toward_zero")[0] == 2
