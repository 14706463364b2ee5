"""Ranks as processes of their own."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from fpx.errors import UnavailableError
from tests.helpers import call
from tests.ranks.teams import Ended, close, launch
from tests.tensors.reading import open_files
from tests.training.checkpoints import trained

# a reader that does something else on one rank
PLANTED = """
import os, signal
from fpx.tensors.files.plain import _Stored
def planted(self, *given):
    {}
    yield
def planted_box(self, *given):
    return planted(self, *given)
if os.environ["RANK"] == "{}":
    _Stored.read = planted
    _Stored.read_box = planted_box
    planted.__name__, planted_box.__name__ = "read", "read_box"
"""
KILLED = "os.kill(os.getpid(), signal.SIGKILL)"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    generator = torch.Generator().manual_seed(0)
    first = {"w": torch.randn(900, 700, generator=generator), "b": torch.zeros(7)}
    save_file(first, tmp_path / "model-1.safetensors")
    save_file({"v": torch.randn(33, 9, generator=generator).half()}, tmp_path / "m-2.safetensors")
    where = {"w": "model-1.safetensors", "b": "model-1.safetensors", "v": "m-2.safetensors"}
    (tmp_path / "m.safetensors.index.json").write_text(json.dumps({"weight_map": where}))
    torch.save({"t": torch.randn(64, 30, generator=generator).t()}, tmp_path / "t.pt")
    np.save(tmp_path / "f.npy", np.arange(300_000.0))
    return tmp_path


def silent(*ranks: Ended) -> None:
    assert [(rank.out, rank.err) for rank in ranks] == [("", "")] * len(ranks)


def test_three_ranks_say_what_one_process_says(folder: Path) -> None:
    sources = [folder / "m.safetensors.index.json", folder / "t.pt", folder / "f.npy"]
    args = ["cast-compare", *sources, "--to", "fp16,e4m3fn", "--fail-if", "saturated_count>9"]
    args += ["--fail-if", "destroyed_count>0", "--verbose"]
    code, out, err = call(*args)
    first, *others = launch(3, *args, "--save", folder / "saved.json")
    assert code == 1
    assert (first.code, first.out) == (code, out)
    assert first.err.replace("fpx: note: measured", "") != first.err
    assert [line for line in first.err.splitlines() if " note: " not in line] == [
        line for line in err.splitlines() if " note: " not in line
    ]
    saved, plain = json.loads((folder / "saved.json").read_text()), call(*args, "--json")[1]
    close(json.loads(plain)["results"], saved["results"])
    assert [rank.code for rank in others] == [code, code]
    silent(*others)


def test_two_ranks_diff(folder: Path) -> None:
    (source,) = open_files(str(folder / "model-1.safetensors"))
    tensors = {each.name: next(each.blocks(1 << 20)).view(each.shape) for each in source.entries}
    tensors["w"] = tensors["w"].clone()
    tensors["w"][800, 3] += 1
    save_file(tensors, folder / "other.safetensors")
    args = ["diff", folder / "model-1.safetensors", folder / "other.safetensors", "--json"]
    code, out, err = call(*args)
    first, second = launch(2, *args)
    close(json.loads(out)["results"], json.loads(first.out)["results"])
    assert first.err == err
    assert code == first.code
    assert code == second.code == 1
    silent(second)


@pytest.mark.parametrize("ranks", [2, 3])
def test_ranks_step_compare(ranks: int, tmp_path: Path) -> None:
    """All three questions, of 8 parameters or fewer weights than ranks."""
    model, optimizer = trained(named=True, lr=1e-3)
    saved = {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
    torch.save(saved, tmp_path / "c.pt")
    np.save(tmp_path / "x.npy", np.linspace(0, 1, 300_000))
    np.save(tmp_path / "y.npy", np.linspace(0, 1.01, 300_000))
    one = ["step-compare", tmp_path / "x.npy"]
    for args in (
        ["step-compare", tmp_path / "c.pt", "--weights-to", "bf16", "--state-to", "fp16",
         "--fail-if", "breaks"],
        [*one, "--lr", "1e-3", "--fail-if", "unmoved_count>9"],
        [*one, tmp_path / "y.npy", "--to", "bf16"],
    ):  # fmt: skip
        code, out, err = call(*args, "--json")
        first, *others = launch(ranks, *args, "--json", "--save", tmp_path / "saved.csv")
        close(json.loads(out)["results"], json.loads(first.out)["results"])
        close(json.loads(out)["totals"], json.loads(first.out)["totals"])
        assert (first.code, first.err) == (code, err)
        assert [rank.code for rank in others] == [code] * (ranks - 1)
        assert (tmp_path / "saved.csv").exists()
        silent(*others)


@pytest.mark.parametrize("rank", [0, 1])
@pytest.mark.parametrize(
    "command", [["cast-compare", "--to", "fp16"], ["step-compare", "--lr", "1e-3"]]
)
def test_a_killed_rank_ends_all(rank: int, command: list[str], folder: Path) -> None:
    args = [*command, folder / "model-1.safetensors"]
    # without rank 0, torch would complain: it is told not to before it is imported
    ranks = launch(3, *args, planted=PLANTED.format(KILLED, rank), fresh=rank == 0)
    killed = ranks.pop(rank)
    assert killed.code == -signal.SIGKILL
    assert [each.code for each in ranks] == [UnavailableError.exit_code] * 2
    said = "".join(each.err for each in ranks)
    assert said.startswith(f"fpx: rank {rank} of 3 ended before its work was done")
    assert said.count("\n") == 1
    assert [each.out for each in ranks] == [""] * 2
    silent(killed, ranks[1])


@pytest.mark.parametrize(
    ("fault", "code", "says"),
    [
        ("raise OSError(5, 'Input/output error')", 2, "'w' cannot be read: [Errno 5]"),
        ("raise LookupError('planted')", 70, "rank 1: LookupError: planted"),
    ],
)
def test_what_fails_on_one_rank_is_told_by_rank_0(
    fault: str, code: int, says: str, folder: Path
) -> None:
    args = ["cast-compare", folder / "model-1.safetensors", folder / "f.npy", "--to", "fp16"]
    first, second = launch(2, *args, planted=PLANTED.format(fault, 1))
    assert (first.code, second.code) == (code, code)
    assert says in first.err
    assert first.err.count("\n") == 1
    silent(second)


def test_wrong_use_is_told_once() -> None:
    first, second = launch(2, "cast-compare", "gone.npy", "--to", "fp17")
    assert (first.code, second.code) == (2, 2)
    assert first.err.startswith("fpx: ")
    assert first.err.count("\n") == 1
    silent(second)


def test_other_commands_do_not_look_at_the_environment() -> None:
    args = ["decode", "1", "--dtype", "bf16", "--json"]
    code, out, _ = call(*args)
    planted = "import atexit; atexit.register(lambda: print(int('torch' in sys.modules)))"
    for rank in launch(2, *args, planted=planted, fresh=True):
        assert rank == Ended(code, f"{out}0\n", "")


def test_a_launcher_that_says_nonsense_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    said = {"RANK": "2", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1"}
    for name, text in said.items():
        monkeypatch.setenv(name, text)
    code, out, err = call("cast-compare", "normal")
    assert (code, out) == (2, "")
    assert err == "fpx: RANK is 2 and WORLD_SIZE 2: ranks are 0 to 1\n"


def test_one_rank_is_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    args = ["cast-compare", "normal", "--size", "100", "--to", "fp16", "--json"]
    alone = call(*args)
    for name in ("RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.setenv(name, "0")
    for size in ("1", ""):
        monkeypatch.setenv("WORLD_SIZE", size)
        assert call(*args) == alone
