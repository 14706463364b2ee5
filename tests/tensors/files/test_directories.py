"""What a directory says of the files in it that it does not read."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from fpx.tensors.opening import open_all
from tests.helpers import call
from tests.tensors.reading import open_files
from tests.writers import X, distributed, sharded


def opened(folder: Path) -> tuple[set[str], tuple[str, ...]]:
    """The tensors of a directory, and what is said of it."""
    found = open_all([folder])
    assert found.errors == ()
    prefix = f"{folder}: passed over, since "
    assert all(note.startswith(prefix) for note in found.notes)
    names = {entry.name for source in found.sources for entry in source.entries}
    return names, tuple(note.removeprefix(prefix) for note in found.notes)


def others(folder: Path, *names: str) -> None:
    """Tensor files of other names."""
    for name in names:
        (folder / name).parent.mkdir(exist_ok=True, parents=True)
        if name.endswith(".safetensors"):
            save_file({name: torch.ones(2)}, folder / name)
        else:
            torch.save({name: torch.ones(2)}, folder / name)


def test_nothing_to_say(tmp_path: Path) -> None:
    others(tmp_path, "a.safetensors", "optimizer.pt")
    for name in ("README.md", "config.json", "tokenizer.model"):
        (tmp_path / name).write_text("words")
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs/words.txt").write_text("words")
    assert opened(tmp_path) == ({"a.safetensors", "optimizer.pt"}, ())


def test_what_an_index_does_not_name(tmp_path: Path) -> None:
    sharded(tmp_path)
    assert opened(tmp_path) == ({"a.weight", "a.bias", "b.weight"}, ())
    others(tmp_path, "optimizer.bin", "adapter_model.safetensors")
    (tmp_path / "README.md").write_text("words")
    _, notes = opened(tmp_path)
    assert notes == (
        "'m.safetensors.index.json' does not name them: 'adapter_model.safetensors', "
        "'optimizer.bin'",
    )
    others(tmp_path, *(f"{number}.pt" for number in range(9)))
    _, (note,) = opened(tmp_path)
    assert note.endswith("'0.pt', '1.pt', '2.pt', '3.pt', … (7 more)")
    assert open_all([tmp_path / "m.safetensors.index.json"]).notes == ()


@pytest.mark.parametrize(
    ("kept", "copies"),
    [
        ("model.safetensors", ["pytorch_model.bin", "tf_model.h5"]),
        ("pytorch_model.bin", ["tf_model.h5"]),
        ("diffusion_pytorch_model.safetensors", ["diffusion_pytorch_model.bin"]),
        ("adapter_model.safetensors", ["adapter_model.bin"]),
    ],
)
def test_the_same_tensors_in_another_format(kept: str, copies: list[str], tmp_path: Path) -> None:
    others(tmp_path, kept, *copies, "optimizer.bin")
    names, notes = opened(tmp_path)
    assert names == {kept, "optimizer.bin"}
    assert notes == (f"another file has the same tensors: {', '.join(map(repr, copies))}",)
    (tmp_path / kept).unlink()
    assert opened(tmp_path)[0] == {copies[0], "optimizer.bin"}


def test_indexes_of_the_same_tensors(tmp_path: Path) -> None:
    others(tmp_path, "m1.safetensors", "p1.bin")
    for index, file in (("model.safetensors", "m1.safetensors"), ("pytorch_model.bin", "p1.bin")):
        text = json.dumps({"weight_map": {file: file}})
        (tmp_path / f"{index}.index.json").write_text(text)
    names, notes = opened(tmp_path)
    assert names == {"m1.safetensors"}
    assert notes == (
        "'model.safetensors.index.json' is of the same tensors: 'pytorch_model.bin.index.json'",
        "'model.safetensors.index.json' does not name them: 'p1.bin'",
    )


def test_directories_in_it(tmp_path: Path) -> None:
    others(tmp_path, "a.pt", "deeper/b.pt", "empty.pt/words.txt")
    distributed(tmp_path / "fsdp", {"x": (X, [((0, 0), X.shape)])})
    names, notes = opened(tmp_path)
    assert names == {"a.pt"}
    assert notes == ("directories are not looked into: 'deeper', 'fsdp'",)


def test_what_is_beside_a_distributed_checkpoint(tmp_path: Path) -> None:
    distributed(tmp_path, {"x": (X, [((0, 0), X.shape)])})
    assert opened(tmp_path) == ({"x"}, ())
    others(tmp_path, "model.safetensors", "inner/more.pt")
    assert opened(tmp_path) == (
        {"x"},
        ("they are no part of the distributed checkpoint: 'model.safetensors'",
         "directories are not looked into: 'inner'"),
    )  # fmt: skip
    (tmp_path / ".metadata").unlink()
    names, notes = opened(tmp_path)
    assert names == {"model.safetensors"}
    assert notes[1] == "without .metadata they are no checkpoint: '__0_0.distcp'"


def test_metadata_that_are_of_something_else(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.ones(3))
    (tmp_path / ".metadata").write_text("words")
    assert opened(tmp_path) == ({"x"}, ())


def test_names_are_escaped(tmp_path: Path) -> None:
    sharded(tmp_path)
    others(tmp_path, "a\x1b[31m.pt")
    _, (note,) = opened(tmp_path)
    assert note.endswith(r"'a\x1b[31m.pt'")
    assert note.isprintable()


@pytest.mark.parametrize("command", [["inspect"], ["cast-compare", "--to", "fp16"]])
def test_every_command_says_it(command: list[str], tmp_path: Path) -> None:
    others(tmp_path, "model.safetensors", "pytorch_model.bin")
    code, out, err = call(*command, tmp_path)
    assert code == 0
    said = f"{tmp_path}: passed over, since another file has the same tensors: 'pytorch_model.bin'"
    assert said in err
    assert "pytorch_model.bin" not in out
    code, out, _ = call(*command, tmp_path, "--json")
    assert json.loads(out)["notes"] == [said]
    assert [source.name for source in open_files(str(tmp_path))] == [
        f"{tmp_path}/model.safetensors"
    ]
