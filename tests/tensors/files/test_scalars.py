"""Numbers and texts that stand beside the tensors of a file."""

from __future__ import annotations

import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.distributed.checkpoint.state_dict_saver import save

from fpx.errors import InputError
from fpx.tensors.entry import NO_TENSORS, Scalars
from fpx.tensors.files import torch_objects
from fpx.tensors.memory import source_of
from tests.tensors.reading import open_files

STATE: dict[str, Any] = {
    "model": OrderedDict(w=torch.ones(2)),
    "optimizer": {
        "state": {0: {"step": torch.tensor(3.0), "m": torch.ones(2)}},
        "param_groups": [
            {"lr": 1e-4, "betas": (0.9, 0.999), "amsgrad": False, "foreach": None, "params": [0]}
        ],
    },
    "epoch": 3,
    "name": "x",
}
EXPECTED: Scalars = {
    "optimizer.param_groups.0.lr": 1e-4,
    "optimizer.param_groups.0.betas.0": 0.9,
    "optimizer.param_groups.0.betas.1": 0.999,
    "optimizer.param_groups.0.amsgrad": False,
    "optimizer.param_groups.0.foreach": None,
    "optimizer.param_groups.0.params.0": 0,
    "epoch": 3,
    "name": "x",
}


def scalars(path: Path) -> Scalars:
    (source,) = open_files(str(path))
    return source.scalars()


class Args:
    """An object of a class that no reader knows."""

    def __init__(self) -> None:
        self.lr = 0.5
        self.tags = ["a", 2]


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "old"])
def test_of_what_torch_saves(zipped: bool, tmp_path: Path) -> None:
    path = tmp_path / "x.pt"
    torch.save(STATE, path, _use_new_zipfile_serialization=zipped)
    assert scalars(path) == EXPECTED
    assert isinstance(scalars(path)["optimizer.param_groups.0.amsgrad"], bool)
    # of objects that are not made, their attributes
    torch.save({**STATE, "args": Args()}, path, _use_new_zipfile_serialization=zipped)
    assert scalars(path) == {**EXPECTED, "args.lr": 0.5, "args.tags.0": "a", "args.tags.1": 2}


def test_in_memory_they_have_the_same_names() -> None:
    assert source_of(STATE).scalars() == EXPECTED


@pytest.mark.filterwarnings("ignore")
def test_of_a_distributed_checkpoint_those_of_groups(tmp_path: Path) -> None:
    save(STATE, checkpoint_id=str(tmp_path), no_dist=True)
    found = scalars(tmp_path)
    assert found == {k: v for k, v in EXPECTED.items() if "param_groups" in k}
    (source,) = open_files(str(tmp_path))
    (others,) = source.notes  # settings are read, and are no news
    assert others.endswith(NO_TENSORS)
    assert "param_groups" not in others


@pytest.mark.filterwarnings("ignore")
def test_where_those_lie_may_be_a_lie(tmp_path: Path) -> None:
    save(STATE, checkpoint_id=str(tmp_path), no_dist=True)
    described = pickle.loads((tmp_path / ".metadata").read_bytes())
    index, place = next(
        item for item in described.storage_data.items() if item[0].fqn.endswith(".lr")
    )
    for changes, words in (
        ({"offset": -1}, "has no place for its numbers"),
        ({"relative_path": "../x"}, "which is no file beside it"),
        ({"offset": 1}, "cannot be read: "),
        ({"length": 10}, "is not what torch.save writes"),
        ({"length": 1 << 40}, "beyond the end of"),
    ):
        described.storage_data[index] = type(place)(**{**vars(place), **changes})
        (tmp_path / ".metadata").write_bytes(pickle.dumps(described))
        with pytest.raises(InputError, match=rf"param_groups.0.lr'.*{words}"):
            scalars(tmp_path)


def test_a_file_without_any(tmp_path: Path) -> None:
    path = tmp_path / "x.pt"
    torch.save({"w": torch.ones(2)}, path)
    assert scalars(path) == {}


@pytest.mark.parametrize(("key", "value"), [("k" * 1000, "v"), ("k", "v" * 1000)])
def test_texts_without_end_are_refused(
    key: str, value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.pt"
    torch.save({"w": torch.ones(1), key: [value] * 50}, path)
    assert len(scalars(path)) == 50
    monkeypatch.setattr(torch_objects, "_MOST_TEXT", 50_000)
    with pytest.raises(InputError, match=r"over 50,000 characters of text beside tensors"):
        scalars(path)


def test_a_collection_that_holds_itself_and_numbers_of_any_size(tmp_path: Path) -> None:
    state: dict[str, Any] = {"w": torch.ones(1), "n": 10**400, "inf": float("inf")}
    state["state"] = state
    path = tmp_path / "x.pt"
    torch.save(state, path)
    assert scalars(path) == {"n": 10**400, "inf": float("inf")}
