"""`fpx watch`: somebody's script runs as ever, and the report comes after it."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from tests.helpers import call, run, running

_SCRIPT = """
import os, sys
import helper
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(4, 3), nn.ReLU())
        self.head = nn.Linear(3, 1)
    def forward(self, x):
        return self.head(self.body(x))

torch.manual_seed(0)
net = Net()
optimizer = torch.optim.SGD(net.parameters(), lr=1e-5)
print("argv", *sys.argv, "as", __name__, helper.NAME)
for step in range(int(sys.argv[1])):
    (net(torch.ones(2, 4)) * 1e-9).sum().backward()
    optimizer.step()
    print("step", step)
os.system("echo from a child")
sys.stdout.flush()
exec(" ".join(sys.argv[2:]))
print("done")
"""


@pytest.fixture
def script(tmp_path: Path) -> Path:
    (tmp_path / "helper.py").write_text("NAME = 'helped'\n")
    path = tmp_path / "train.py"
    path.write_text(_SCRIPT)
    return path


def watch(*args: object, **kinds: Any) -> CompletedProcess[str]:
    return run("watch", *args, warm=True, **kinds)


def document(*args: object) -> Any:
    ran = watch("--json", *args)
    return json.loads(ran.stdout)


def test_the_script_runs_as_ever_and_then_comes_the_report(script: Path) -> None:
    ran = watch(script, 2)
    own, report = ran.stdout.split("done\n")
    assert own == f"argv {script} 2 as __main__ helped\nstep 0\nstep 1\nfrom a child\n"
    assert report.startswith(
        "Net: 5 modules, 4 parameters; SGD, learning rate 1e-05; 2 steps\n\nfloat32: "
    )
    assert "body.0.weight" in report
    assert (ran.returncode, ran.stderr) == (0, "")


def test_options_after_the_script_are_the_scripts(script: Path) -> None:
    ran = watch("--to", "bf16", script, 1, "print(sys.argv[3]) #", "--to", "--help")
    assert "\n--to\ndone\n" in ran.stdout
    assert "bfloat16: " in ran.stdout
    assert "float16: " not in ran.stdout.replace("bfloat16: ", "")


def test_a_document_is_alone_on_stdout(script: Path) -> None:
    ran = watch("--json", script, 1)
    found = json.loads(ran.stdout)
    assert found["schema"] == "fpx.watch/1"
    assert {row["model"] for row in found["results"]} == {"Net"}
    assert ran.stderr.startswith("argv ")
    assert ran.stderr.endswith("step 0\nfrom a child\ndone\n")


def test_it_is_saved_too(script: Path, tmp_path: Path) -> None:
    files = [tmp_path / f"report.{form}" for form in ("json", "csv", "html", "md", "xml")]
    ran = watch(*(part for file in files for part in ("--save", file)), script, 1)
    assert "done\nNet: " in ran.stdout
    found, table, page, markdown, junit = (file.read_text() for file in files)
    document = json.loads(found)
    assert document["schema"] == "fpx.watch/1"
    assert len(table.splitlines()) == 1 + len(document["results"])
    assert document["answers"][1]["to"] == "float16"
    for text in (page, markdown, junit):
        assert "eight" in text


@pytest.mark.parametrize(
    ("ends", "code", "err"),
    [
        ("sys.exit(7)", 7, ""),
        ("sys.exit()", 0, ""),
        ("sys.exit('bye')", 1, "bye\n"),
        ("sys.exit(-1)", 255, ""),
        ("raise KeyboardInterrupt", 130, ""),
        ("raise ValueError('boom')", 1, "ValueError: boom\n"),
    ],
)
def test_however_it_ends_there_is_a_report_and_its_exit_code(
    script: Path, ends: str, code: int, err: str
) -> None:
    ran = watch(script, 1, ends)
    assert ran.returncode == code
    assert "from a child\nNet: 5 modules" in ran.stdout
    assert ran.stderr.endswith(err)
    assert "Traceback" in ran.stderr if "boom" in err else ran.stderr == err


def test_a_traceback_is_that_of_the_script_alone(script: Path) -> None:
    err = watch(script, 1, "raise ValueError('boom')").stderr
    head, first, *_ = err.splitlines()
    assert head == "Traceback (most recent call last):"
    assert str(script) in first
    assert "fpx" not in err.replace(str(script.parent), "")


def test_ctrl_c_ends_it_with_a_report(script: Path) -> None:
    waits = "import time; print('waiting', flush=True); time.sleep(60)"
    with running("watch", script, 1, waits) as process:
        assert process.stdout is not None
        while process.stdout.readline() != "waiting\n":
            pass
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert out.startswith("Net: 5 modules")
    assert err == ""


def test_so_many_steps_and_the_script_goes_on(script: Path) -> None:
    ran = watch("--steps", 2, script, 5)
    assert "step 4\n" in ran.stdout
    assert "; 2 steps\n" in ran.stdout


def test_so_many_steps_and_the_script_ends(script: Path) -> None:
    ran = watch("--steps", 2, "--stop", script, 5)
    assert ran.returncode == 0
    assert "step 0\nNet: 5 modules" in ran.stdout  # the second step ends it
    assert "; 2 steps\n" in ran.stdout


def test_one_step_in_so_many(script: Path) -> None:
    found = document("--every", 2, "--tensors", "update", "--include", "head*", script, 5)
    (model,) = found["models"]
    assert (model["steps"], model["watched_steps"]) == (5, 3)
    assert {(row["name"], row["kind"], row["calls"]) for row in found["results"]} == {
        ("head.weight", "update", 3), ("head.bias", "update", 3)
    }  # fmt: skip


def test_a_module_by_its_name(script: Path) -> None:
    package = script.parent / "package"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "train.py").write_text(_SCRIPT)
    ran = watch("-m", "package.train", 1, cwd=script.parent)
    assert ran.stdout.startswith(f"argv {package / 'train.py'} 1 as __main__ helped\n")
    assert "done\nNet: 5 modules" in ran.stdout
    assert watch("-m", "pakkage.train").stderr == "fpx: there is no module 'pakkage.train' here\n"


def test_all_rows(tmp_path: Path) -> None:
    path = tmp_path / "deep.py"
    path.write_text(
        "import torch\nnet = torch.nn.Sequential(*(torch.nn.Linear(2, 2) for _ in range(12)))\n"
        "optimizer = torch.optim.SGD(net.parameters(), lr=1e-9)\n"
        "(net(torch.ones(1, 2)) * 1e-30).sum().backward()\noptimizer.step()\n"
    )
    some, every = (watch("--to", "fp16", *more, path).stdout for more in ((), ("--all",)))
    assert "26 more in --json or with --all." in some  # of 12 gradients, 24 of weights
    assert "with --all" not in every
    assert len(every.splitlines()) > len(some.splitlines())


_MODELS = """
import torch
from torch import nn

class Two(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(3, 3)
class Teacher(nn.Linear): pass
class Frozen(nn.Linear): pass

two, other = Two(), nn.Linear(3, 1)
teacher, frozen = Teacher(3, 3), Frozen(3, 3).requires_grad_(False)
optimizers = [torch.optim.SGD(two.parameters(), lr=1), torch.optim.Adam(other.parameters())]
scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
for _ in range(2):
    x = torch.ones(2, 3)
    teacher(x), frozen(x)
    scaler.scale(other(two.inner(x)).sum()).backward()
    for optimizer in optimizers:
        scaler.step(optimizer)
    scaler.update()
"""


def test_every_model_that_is_stepped_is_told_of_by_its_whole(tmp_path: Path) -> None:
    path = tmp_path / "models.py"
    path.write_text(_MODELS)
    found = document(path)
    assert [model["model"] for model in found["models"]] == ["Two", "Linear"]
    assert {row["name"] for row in found["results"] if row["model"] == "Two"} == {
        "inner", "inner.weight", "inner.bias"
    }  # fmt: skip
    assert [model["scaled_by"] for model in found["models"]] == [[1024, 1024]] * 2
    (gradient,) = (row for row in found["results"] if row["model"] == "Linear"
                   and (row["kind"], row["to"]) == ("grad_output", "float16"))  # fmt: skip
    assert gradient["amax"] == 1  # not 1024


def test_no_optimizer_steps(tmp_path: Path) -> None:
    path = tmp_path / "infer.py"
    path.write_text("import torch\ntorch.nn.Linear(2, 2)(torch.ones(1, 2))\n")
    ran = watch(path)
    assert ran.returncode == 0
    assert "note: no optimizer was seen to step" in " ".join(ran.stdout.split())


def test_no_model_runs(tmp_path: Path) -> None:
    path = tmp_path / "nothing.py"
    path.write_text("print('hello')\n")
    ran = watch(path)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout == "hello\nNothing was watched: no model with anything to train ran.\n"


def test_more_models_than_are_watched(tmp_path: Path) -> None:
    path = tmp_path / "many.py"
    path.write_text(
        "import torch\nfor _ in range(20):\n    net = torch.nn.Linear(1, 1)\n"
        "    o = torch.optim.SGD(net.parameters(), lr=1)\n"
        "    net(torch.ones(1, 1)).sum().backward()\n    o.step()\n"
    )
    assert len(document(path)["models"]) == 16


def test_a_script_that_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "wrong.py"
    path.write_text("def (\n")
    ran = watch(path)
    assert ran.returncode == 1
    assert "SyntaxError" in ran.stderr
    assert "runpy" not in ran.stderr


def test_of_several_processes_the_first_tells(script: Path) -> None:
    ran = watch(script, 1, env={**os.environ, "RANK": "1", "WORLD_SIZE": "2"})
    assert ran.stdout.endswith("from a child\ndone\n")


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["nowhere.py"], "'nowhere.py' is no file: name a Python script"),
        (["--stop", __file__], "--stop ends the script after --steps: say how many"),
        (["--to", "fp32", __file__], "--to: float32 has 32 bits: what is watched is counted for "
         "formats of up to 20"),
        (["--tensors", "weights", __file__], "--tensors: 'weights' is not one of activation, "
         "grad_output, weight_grad, update, state"),
    ],
)  # fmt: skip
def test_what_is_refused_before_anything_runs(args: list[str], message: str) -> None:
    code, out, err = call("watch", *args)
    assert (code, out) == (2, "")
    assert err.startswith(f"fpx: {message}")
    assert err.count("\n") == 1


def test_options_that_show_only_when_a_model_runs(script: Path) -> None:
    ran = watch("--every", 0, script, 1)
    assert ran.returncode == 2
    assert ran.stderr == "fpx: --every must be at least 1, not 0\n"
    ran = watch("--include", "nothing", script, 1)
    assert ran.returncode == 2
    assert ran.stderr.startswith("fpx: none of 5 modules is left: check --include and --exclude")


def test_the_interpreter_is_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "quiet.py"
    path.write_text("import sys; sys.argv.append('more'); sys.path.append('there')\n")
    before = [*sys.argv], [*sys.path], sys.modules["__main__"]
    assert call("watch", path, "x")[0] == 0
    assert ([*sys.argv], [*sys.path], sys.modules["__main__"]) == before
