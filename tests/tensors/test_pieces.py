from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from fpx.tensors.entry import TensorEntry
from fpx.tensors.memory import entry_of
from fpx.tensors.pieces import cut_axis, piece
from tests.tensors.reading import open_files


def fortran(tmp_path: Path) -> TensorEntry:
    np.save(tmp_path / "x.npy", np.asfortranarray(np.arange(60.0).reshape(3, 4, 5)))
    return only(tmp_path / "x.npy")


def rows(tmp_path: Path) -> TensorEntry:
    np.save(tmp_path / "x.npy", np.arange(60.0).reshape(1, 12, 5))
    return only(tmp_path / "x.npy")


def turned(tmp_path: Path) -> TensorEntry:
    torch.save(torch.arange(60.0).view(12, 5).t(), tmp_path / "x.pt")
    return only(tmp_path / "x.pt")


def only(path: Path) -> TensorEntry:
    ((entry,),) = (source.entries for source in open_files(str(path)))
    return entry


def whole(blocks: list[Tensor]) -> list[float]:
    return torch.cat([torch.empty(0), *blocks]).tolist()


@pytest.mark.parametrize(("made", "axis"), [(fortran, 2), (rows, 1), (turned, 1)])
def test_pieces_follow_each_other_and_keep_their_indexes(
    made: object, axis: int, tmp_path: Path
) -> None:
    assert callable(made)
    entry = made(tmp_path)
    assert cut_axis(entry) == axis
    length = entry.shape[axis]
    pieces = [piece(entry, range(start, min(start + 2, length))) for start in range(0, length, 2)]
    values: list[float] = []
    for part in pieces:
        read = whole([block.clone() for block in part.blocks(7)])
        for position in range(part.count):
            index = part.index(position)
            assert index == entry.index(len(values) + position)
            at = part.index(position, row_major=True)
            box = tuple(range(each, each + 1) for each in at)
            in_rows = whole([block.clone() for block in part.blocks(7, row_major=True)])
            assert in_rows[position] == entry.part(box, 10).item()
        values += read
    assert values == whole([block.clone() for block in entry.blocks(100)])


def test_all_of_a_tensor_is_the_tensor(tmp_path: Path) -> None:
    entry = rows(tmp_path)
    assert piece(entry, range(12)) is entry


@pytest.mark.parametrize("shape", [(), (1, 1), (0, 3)])
def test_some_have_no_pieces(shape: tuple[int, ...], tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros(shape))
    assert cut_axis(only(tmp_path / "x.npy")) is None


def test_what_can_only_be_read_whole_has_none() -> None:
    assert cut_axis(entry_of("x", torch.zeros(3, 4))) is None
