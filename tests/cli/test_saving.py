"""`--save`: what is asked for is in the file, all of it, or nothing is touched."""

from __future__ import annotations

import errno
import json
import os
import re
import signal
import stat
import subprocess
import time
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import fpx
from fpx.cli import output
from fpx.cli.app import COMMANDS
from fpx.cli.output import show
from fpx.cli.saving import replacing
from fpx.errors import InputError
from fpx.render.writers import WRITERS
from fpx.report.base import Report
from tests.helpers import FPX, PATIENCE, REPORTING, call, running

SUFFIXES = [row.suffix for row in WRITERS.values() if row.suffix and not row.command]
PRINTED = {row.suffix: f"--{row.name}" for row in WRITERS.values() if row.option}


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COLUMNS", raising=False)


@pytest.fixture
def model() -> str:
    tensors = {
        "fits": torch.ones(3),
        "wide": torch.tensor([1.0, 1e6]),
        "tiny": torch.tensor([1e-9]),
    }
    save_file(tensors, "model.safetensors")
    return "model.safetensors"


def refuse(*_: object) -> NoReturn:
    raise PermissionError(errno.EACCES, "Permission denied")


def names() -> set[str]:
    return {path.name for path in Path().iterdir()}


def test_every_suffix_is_saved_beside_what_is_printed(model: str) -> None:
    args = ["cast-compare", model, "--to", "fp16"]
    code, text, err = call(*args)
    files = [f"report{suffix}" for suffix in SUFFIXES]
    saves = [part for file in files for part in ("--save", file)]
    assert call(*args, *saves) == (code, text, err)
    assert names() == {model, *files}
    for suffix, option in PRINTED.items():
        assert Path(f"report{suffix}").read_text() == call(*args, option)[1]
    assert Path("report.txt").read_text() == text
    assert all(Path(file).read_text().endswith("\n") for file in files)


@pytest.mark.usefixtures("quick_rates")
@pytest.mark.parametrize("command", REPORTING)
def test_every_command_saves(command: str, model: str) -> None:
    args = {
        "decode": ["3.14"], "encode": ["1", "--dtype", "bf16"], "range": [], "formats": [],
        "table": ["fp4"], "distance": ["1", "2"], "calc": ["1+1"],
        "bits": [model, "--dtype", "bf16"],
        "inspect": [model], "cast-compare": [model], "diff": [model, model],
        "cast-verify": ["--from", "uint8", "--to", "fp16"],
        "op-verify": ["relu", "--dtype", "fp16"],
        "step-compare": [model, "--lr", "1"],
        "reveal": ["index_add", "--n", "4", "--dtype", "bf16", "--rows", "50"],
        "devices": ["--device", "cpu", "--size", "1000"],
        "watch": ["-m", "keyword"],  # of the standard library; as a script it does nothing
    }[command]  # fmt: skip
    files = [f"report{suffix}" for suffix in SUFFIXES]
    code, _, err = call(command, *(part for file in files for part in ("--save", file)), *args)
    assert code == 0, err
    assert names() == {model, *files}
    assert json.loads(Path("report.json").read_text())["schema"].startswith(f"fpx.{command}/")
    assert ElementTree.parse("report.xml").getroot().get("name") == f"fpx {command}"
    assert f"fpx {command}" in Path("report.html").read_text()


def test_a_stream_is_saved_whole() -> None:
    printed = call(
        "decode", "-", "--jsonl", "--save", "all.json", "--save", "all.txt", stdin="1\n2\n"
    )
    assert printed[1].count("\n") == 8
    results = json.loads(Path("all.json").read_text())["results"]
    assert results == [json.loads(line) for line in printed[1].splitlines()]
    assert Path("all.txt").read_text() == call("decode", "-", stdin="1\n2\n")[1]


def test_each_drawing_of_a_stream_has_its_head() -> None:
    _, out, _ = call("decode", "1", "2", "--save", "a.txt", "--save", "b.txt")
    assert out.count("input") == 1
    assert Path("a.txt").read_text() == Path("b.txt").read_text() == out


@pytest.mark.parametrize("stdin", ["1\n2\nx\n", ""])
def test_a_stream_that_breaks_off_leaves_the_old_file(stdin: str) -> None:
    Path("old.json").write_text("old")
    code, _, err = call("decode", "-", "--save", "old.json", stdin=stdin)
    assert code == 2
    assert err.count("\n") == 1
    assert names() == {"old.json"}
    assert Path("old.json").read_text() == "old"


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("report.docx", ".json, .jsonl, .csv, .md, .html, .svg, .xml, .txt"),
        ("report", "end it in .json"),
        ("report.jsn", "did you mean '.json'?"),
        ("-", "--json"),
        ("no/such/report.json", "there is no folder"),
        ("folder.json", "is a folder"),
        ("readonly.json/x.json", "there is no folder"),
        (f"{'x' * 300}.json", "File name too long"),
        ("\x1b[31m.doc", "\\x1b[31m.doc"),
        ("fifo.json", "may not be replaced"),
    ],
)
def test_what_cannot_be_saved_is_told_before_any_work(path: str, says: str) -> None:
    Path("folder.json").mkdir()
    Path("readonly.json").write_text("a file")
    os.mkfifo("fifo.json")
    before = names()
    code, out, err = call("cast-compare", "/no/such/file", "--save", path)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(("fpx: --save ", "fpx: --save: "))
    assert says in err
    assert names() == before


def test_a_folder_that_may_not_be_written_is_told_before_any_work(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Path("closed").mkdir(0o555)
    if os.geteuid() == 0:  # who may write anywhere
        monkeypatch.setattr(os, "open", refuse)
    code, out, err = call("cast-compare", "/no/such/file", "--save", "closed/x.json")
    assert (code, out) == (2, "")
    assert "Permission denied" in err


def test_suffixes_are_read_in_any_case() -> None:
    assert call("formats", "bf16", "--save", "A.JSON")[0] == 0
    assert json.loads(Path("A.JSON").read_text())["results"][0]["format"] == "bfloat16"


def test_the_mode_is_what_the_umask_gives() -> None:
    old = os.umask(0o027)
    try:
        assert call("formats", "--save", "x.csv")[0] == 0
    finally:
        os.umask(old)
    assert stat.S_IMODE(Path("x.csv").stat().st_mode) == 0o640


def test_a_link_goes_on_pointing_at_the_file() -> None:
    Path("target.csv").write_text("old")
    Path("link.csv").symlink_to("target.csv")
    assert call("formats", "bf16", "--save", "link.csv")[0] == 0
    assert Path("link.csv").is_symlink()
    assert Path("target.csv").read_text().startswith("format,")


def _broken_off(path: str, error: BaseException) -> None:
    with replacing(path) as out:
        out.write("new" * 100_000)
        raise error


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(errno.EIO, "no"), ValueError()])
def test_what_goes_wrong_leaves_the_old_file_and_no_other(error: BaseException) -> None:
    Path("old.txt").write_text("old")
    with pytest.raises(type(error)) as found:
        _broken_off("old.txt", error)
    assert found.value is error
    assert names() == {"old.txt"}
    assert Path("old.txt").read_text() == "old"


def test_the_file_is_on_the_disk_before_it_has_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    fsync = os.fsync

    def note(number: int) -> None:
        fsync(number)
        seen.append(Path("x.txt").read_text())
        (draft,) = names() - {"x.txt"}
        seen.append(Path(draft).read_text())

    monkeypatch.setattr(os, "fsync", note)
    Path("x.txt").write_text("old")
    with replacing("x.txt") as out:
        out.write("new")
    assert seen == ["old", "new"]
    assert Path("x.txt").read_text() == "new"
    assert names() == {"x.txt"}


def test_one_file_that_fails_does_not_keep_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: str) -> NoReturn:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(
        output, "replacing", lambda path: full(path) if path == "a.csv" else replacing(path)
    )
    code, out, err = call("formats", "bf16", "--save", "a.csv", "--save", "b.csv", "--csv")
    assert code == 2
    assert err == "fpx: 'a.csv' cannot be written: No space left on device\n"
    assert out == Path("b.csv").read_text()
    code, _, err = call(
        "cast-compare", "normal", "--size", "9", "--save", "a.csv", "--fail-if", "count==9"
    )
    assert code == 2
    assert "fpx: 'a.csv' cannot be written" in err
    assert "count==9 holds" in err


def test_a_pipe_that_is_closed_early_cuts_no_file(model: str) -> None:
    command = " ".join([*FPX, "bits", model, "--dtype", "fp4", "--jsonl", "--save", "bits.jsonl"])
    with Path(model).open("ab") as file:
        file.write(bytes(100_000))
    shell = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command} | head -1"],
        capture_output=True, text=True, timeout=PATIENCE,
    )  # fmt: skip
    assert (shell.returncode, shell.stderr) == (0, "")
    lines = Path("bits.jsonl").read_text().splitlines()
    assert len(lines) == 2 * Path(model).stat().st_size
    assert lines[0] == shell.stdout.strip()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_full_stdout_cuts_no_file() -> None:
    with Path("/dev/full").open("w") as full:
        result = subprocess.run(
            [*FPX, "formats", "--save", "x.csv"], stdout=full, stderr=subprocess.PIPE, text=True,
            timeout=PATIENCE,
        )  # fmt: skip
    assert result.returncode == 2
    assert Path("x.csv").read_text() == call("formats", "--csv")[1]


def test_ctrl_c_saves_what_was_done() -> None:
    with Path("x.npy").open("wb") as file:  # sparse: 40 GB that take no room
        header = {"descr": "<f4", "fortran_order": False, "shape": (10_000_000_000,)}
        np.lib.format.write_array_header_1_0(file, header)
        file.truncate(file.tell() + 40_000_000_000)
    args = ("cast-compare", "x.npy", "--to", "fp16", "--save", "part.json", "--json")
    with running(*args, stdin=subprocess.DEVNULL) as process:
        fds = Path(f"/proc/{process.pid}/fd")
        deadline = time.monotonic() + PATIENCE
        while not any(os.path.realpath(fd).endswith("/x.npy") for fd in fds.iterdir()):
            assert time.monotonic() < deadline  # it has not begun to read
            time.sleep(0.05)
        time.sleep(1)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert names() == {"x.npy", "part.json"}
    assert Path("part.json").read_text() == out
    assert json.loads(out)["partial"] is True


def test_the_keep_list(model: str) -> None:
    save_file({"w": torch.ones(2)}, "fine.safetensors")
    save_file({"x\ny": torch.tensor([1e30])}, "other.safetensors")
    call("cast-compare", model, "--to", "fp16", "--save", "keep.txt", "--save", "picture.txt")
    assert Path("keep.txt").read_text() == "tiny\nwide\n"
    assert Path("picture.txt").read_text() == call("cast-compare", model, "--to", "fp16")[1]
    call("cast-compare", model, "--to", "fp16,bf16", "--save", "A.Keep.txt")
    assert Path("A.Keep.txt").read_text() == ""
    call(
        "cast-compare",
        model,
        "fine.safetensors",
        "other.safetensors",
        "--to",
        "fp16",
        "--save",
        "keep.txt",
    )
    assert Path("keep.txt").read_text() == (
        "# model.safetensors\ntiny\nwide\n# other.safetensors\nx\\ny\n"
    )
    call("inspect", model, "--save", "keep.txt")
    assert Path("keep.txt").read_text() == call("inspect", model)[1]


def test_only_cast_compare_speaks_of_keep_lists() -> None:
    for command in COMMANDS:
        assert ("keep.txt" in call(command, "--help", columns=200)[1]) is (
            command == "cast-compare"
        )


@pytest.mark.parametrize(("saves", "most"), [([], 2), (["x.csv"], 9)])
def test_a_stream_is_held_in_memory_for_files_alone(saves: list[str], most: int) -> None:
    seen: list[weakref.ref[Report]] = []
    alive: list[int] = []

    def reports() -> Iterator[Report]:
        for number in range(9):
            report = fpx.encode(number, "bf16")
            seen.append(weakref.ref(report))
            yield report
            alive.append(sum(found() is not None for found in seen))

    show(reports(), output.Output.of("jsonl", saves, False, "encode"))
    assert max(alive) == most or max(alive) < most == 2


def test_nothing_to_save_is_an_error() -> None:
    with pytest.raises(InputError, match="stdin is empty"):
        show(iter(()), output.Output.of("text", ["x.json"], False, "decode"))
    assert names() == set()


@pytest.mark.parametrize("name", ["x.svg", "x.txt", "x.html", "x.json", "x.csv", "x.xml"])
@pytest.mark.parametrize(
    "args",
    [
        ["encode", "1", "2", "--dtype", "bf16"], ["encode", "1", "--dtype", "bf16"],
        ["decode", "1", "2"], ["decode", "1", "2", "--dtype", "bf16"], ["decode", "1"],
        ["decode", "1", "nan", "--dtype", "all"],
        ["decode", "1", "2", "--rounding", "stochastic"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_what_is_saved_does_not_depend_on_what_goes_to_stdout(args: list[str], name: str) -> None:
    saved = []
    for form in ([], ["--json"], ["--csv"]):
        code, _, err = call(*args, *form, "--save", name)
        assert (code, err.count("internal error")) == (0, 0)
        text = Path(name).read_text()
        saved.append(re.sub(r" --(json|csv)", "", text))
    if not name.endswith("svg"):  # as wide as its title, the command line
        assert saved[0] == saved[1] == saved[2]
    if name.endswith("json"):
        assert saved[0] == call(*args, "--json")[1]
