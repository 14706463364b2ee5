from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from fpx.tensors.files import again
from fpx.tensors.files.kinds import kind_of
from fpx.tensors.late import load
from tests.writers import gguf, onnx, onnx_tensor

X = torch.arange(12.0).view(3, 4)


def written(kind: str, folder: Path) -> Path:
    path = folder / f"x.{kind}"
    if kind == "safetensors":
        save_file({"a": torch.zeros(2), "x": X}, path)
    elif kind == "pt":
        torch.save({"a": torch.zeros(2), "x": X}, path)
    elif kind == "npy":
        np.save(path, X.numpy())
    elif kind == "npz":
        np.savez(path, a=np.zeros(2, np.float32), x=X.numpy())
    elif kind == "onnx":
        path.write_bytes(onnx(onnx_tensor("x", 1, (3, 4), (9, X.numpy().tobytes()))))
    else:
        made: dict[str, Any] = {"a": (0, (2,), bytes(8)), "q": (12, (256,), bytes(144))}
        path.write_bytes(gguf(made | {"x": (0, (4, 3), X.numpy().tobytes())}))
    return path


@pytest.mark.parametrize("kind", ["safetensors", "pt", "npy", "npz", "onnx", "gguf"])
def test_what_was_found_in_a_file_travels(kind: str, tmp_path: Path) -> None:
    path = written(kind, tmp_path)
    with path.open("rb") as file:
        function = kind_of(file, path.stat().st_size).open
    source = load(function)(path)
    again._opened.cache_clear()
    there = pickle.loads(pickle.dumps(again.portable(source, path, function)))
    assert [(e.name, e.type, e.shape, e.order) for e in there.entries] == [
        (e.name, e.type, e.shape, e.order) for e in source.entries
    ]
    assert again._opened.cache_info().currsize == 0  # nothing was opened yet
    for entry, same in zip(source.entries, there.entries, strict=True):
        want = torch.cat([block.clone() for block in entry.blocks(5)])
        assert torch.equal(torch.cat([block.clone() for block in same.blocks(5)]), want)
        assert (entry.read_box is None) == (same.read_box is None)
        if entry.read_box is not None and entry.name == "x":
            box = (range(1, 3), range(1, 2))
            assert same.part(box, 10).tolist() == entry.part(box, 10).tolist()
        assert same.quantised == entry.quantised
    assert again._opened.cache_info().currsize == (kind not in ("safetensors", "onnx"))


def test_what_cannot_be_read_travels_too(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    header = b'{"f":{"dtype":"F4","shape":[4],"data_offsets":[0,2]}}'
    path.write_bytes(len(header).to_bytes(8, "little") + header + b"\x21\x43")
    function = "fpx.tensors.files.safetensors_file:open_safetensors"
    source = again.portable(load(function)(path), path, function)
    (item,) = pickle.loads(pickle.dumps(source)).unread
    assert item == source.unread[0]
    assert [block.tolist() for block in item.raw.blocks(9)] == [[0x21, 0x43]]


def test_here_nothing_is_opened_again(tmp_path: Path) -> None:
    path = written("npy", tmp_path)
    function = "fpx.tensors.files.numpy_file:open_npy"
    (entry,) = again.portable(load(function)(path), path, function).entries
    again._opened.cache_clear()
    assert sum(len(block) for block in entry.blocks(5)) == 12
    assert again._opened.cache_info().misses == 0
