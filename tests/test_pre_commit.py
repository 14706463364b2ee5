"""The hooks of .pre-commit-hooks.yaml: their commands run, and they are for every tensor file."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import torch
from torch.distributed.checkpoint.state_dict_saver import save

from fpx.cli.app import COMMANDS
from fpx.tensors.files.kinds import SUFFIXES
from tests.examples import ROOT
from tests.helpers import call


def hooks() -> dict[str, dict[str, str]]:
    """Id -> the keys of the hook; values as they are written."""
    text = (ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8")
    return {
        part.splitlines()[0]: dict(re.findall(r"^ {2}(\w+): (.*)$", part, re.MULTILINE))
        for part in text.split("- id: ")[1:]
    }


def test_their_names() -> None:
    assert set(hooks()) == {"fpx-cast-compare", "fpx-inspect"}


@pytest.mark.parametrize("name", hooks())
def test_they_are_for_every_kind_of_file(name: str) -> None:
    files = re.compile(hooks()[name]["files"].strip("'"))
    alone = {suffix for suffix in SUFFIXES if suffix != ".distcp"}
    assert all(files.search(f"a/model{suffix}") for suffix in alone)
    assert not files.search("a/model.py")
    assert set(re.findall(r"\w+", files.pattern)) == {suffix[1:] for suffix in alone} | {"metadata"}


@pytest.mark.parametrize("name", hooks())
def test_a_distributed_checkpoint_is_checked_once(name: str) -> None:
    """Its .metadata stands for it: its other files cannot be read alone."""
    files = re.compile(hooks()[name]["files"].strip("'"))
    assert files.search(".metadata")
    assert files.search("a/.metadata")
    assert not files.search("a/model.metadata")
    assert not files.search("a/__0_0.distcp")


@pytest.mark.filterwarnings("ignore:torch.distributed is disabled")
def test_what_stands_for_a_distributed_checkpoint_opens(tmp_path: Path) -> None:
    save({"w": torch.ones(3)}, checkpoint_id=tmp_path, no_dist=True)
    assert call("inspect", tmp_path / ".metadata")[0] == 0


@pytest.mark.parametrize("name", hooks())
def test_they_run(name: str, tmp_path: Path) -> None:
    hook = hooks()[name]
    program, command = hook["entry"].split()
    assert program == "fpx"
    assert command in COMMANDS
    good, bad = tmp_path / "good.pt", tmp_path / "bad.pt"
    torch.save({"w": torch.ones(3)}, good)
    torch.save({"w": torch.tensor([1e6])}, bad)
    args = json.loads(hook["args"])
    assert call(command, *args, good, good)[0] == 0
    code, _, err = call(command, *args, good, bad)
    assert code == (command == "cast-compare"), err
    bad.write_bytes(b"damaged")
    assert call(command, *args, bad)[0] == 2
