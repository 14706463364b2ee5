"""Small tensors that lie beside each other are read together, and are what the file has."""

from __future__ import annotations

import random
from pathlib import Path
from typing import IO, Any

import pytest
import torch
from safetensors.torch import save_file

from fpx.errors import InputError
from fpx.tensors.files.near import SMALL, Near
from tests.tensors.reading import open_files

STRETCH = 16 * SMALL


def _file(tmp_path: Path, size: int) -> tuple[Path, bytes]:
    path, data = tmp_path / "x.bin", random.Random(1).randbytes(size)
    path.write_bytes(data)
    return path, data


def test_every_place_in_any_order(tmp_path: Path) -> None:
    path, data = _file(tmp_path, 3 * STRETCH + 5)
    near, draw = Near(path), random.Random(2)
    places = [(at, 40) for at in range(0, len(data) - 40, 40)]
    places += [(draw.randrange(len(data) - SMALL), draw.randint(1, SMALL)) for _ in range(2000)]
    places += [
        (0, 1),
        (2 * STRETCH, 1),
        (2 * STRETCH - 1, 1),
        (0, STRETCH),
        (1, SMALL),
        (STRETCH, 1),
        (STRETCH + 1, 1),
        (len(data) - 1, 1),
    ]
    for at, size in places:
        assert near.read(at, size) == data[at : at + size]


def test_what_is_read_may_be_written_to(tmp_path: Path) -> None:
    path, data = _file(tmp_path, 100)
    near = Near(path)
    near.read(0, 10)[:] = bytes(10)
    assert near.read(0, 10) == data[:10]


def test_a_file_is_read_once_for_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Path] = []
    there = Path.open

    def counted(path: Path, mode: str) -> IO[Any]:
        opened.append(path)
        return there(path, mode)

    path, _ = _file(tmp_path, STRETCH + 8)
    monkeypatch.setattr(Path, "open", counted)
    near = Near(path)
    for at in range(0, STRETCH, 8):
        near.read(at, 8)
    assert len(opened) == 1
    near.read(STRETCH, 8)
    assert len(opened) == 2


def test_a_file_that_ends_before(tmp_path: Path) -> None:
    path, data = _file(tmp_path, 100)
    assert Near(path).read(60, 40) == data[60:]
    with pytest.raises(InputError, match="ends too early"):
        Near(path).read(61, 40)


def test_tensors_of_all_sizes(tmp_path: Path) -> None:
    made = {
        f"t{number}": torch.randn(size, generator=torch.Generator().manual_seed(number))
        for number, size in enumerate([0, 1, 10, SMALL // 4, SMALL // 4 + 1, 20_000] * 20)
    }
    path = tmp_path / "x.safetensors"
    save_file(made, path)
    entries = open_files(str(path))[0].entries
    for limit in (7, 1 << 15):
        for entry in entries:
            blocks = [block.clone() for block in entry.blocks(limit)]
            assert all(0 < len(block) <= limit for block in blocks)
            assert torch.equal(torch.cat([*blocks, torch.empty(0)]), made[entry.name])


def test_a_file_that_was_cut_since_is_told(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    save_file({"a": torch.zeros(10)}, path)
    entry = open_files(str(path))[0].entries[0]
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(InputError, match="ends too early"):
        list(entry.blocks(100))
