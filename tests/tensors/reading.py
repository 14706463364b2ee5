"""Reads files as the commands do: what is in them, and what is said of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from fpx.errors import InputError
from fpx.measure.cast_compare import cast_compare
from fpx.report.cast_compare import CastReport
from fpx.report.cast_row import CastRow
from fpx.report.metrics import METRICS
from fpx.tensors.entry import Source
from fpx.tensors.opening import open_all
from tests.helpers import F16, F32
from tests.writers import tensors


def open_files(name: str) -> tuple[Source, ...]:
    """What is in a file, or in all files of a directory: as stored, and none of them damaged.

    Raises:
        InputError: one is.
    """
    opened = open_all([name], stored=True)
    if opened.errors:
        raise InputError(opened.errors[0])
    return opened.sources


def read(path: Path | str, limit: int = 3) -> dict[str, torch.Tensor]:
    """Every tensor of a file, in row-major order, read in blocks of at most so many elements."""
    found = {}
    for source in open_files(str(path)):
        for entry in source.entries:
            blocks = [block.clone() for block in entry.blocks(limit)]
            flat = torch.cat(blocks) if blocks else torch.empty(0, dtype=entry.dtype)
            order = entry.order or tuple(range(len(entry.shape)))
            as_read = flat.view([entry.shape[axis] for axis in order])
            found[entry.name] = as_read.permute([order.index(axis) for axis in range(len(order))])
    return found


def notes(path: Path) -> list[str]:
    return [note for source in open_files(str(path)) for note in source.notes]


def report_of(*paths: object, **kinds: Any) -> CastReport:
    return cast_compare([str(path) for path in paths], [F16], from_=F32, **kinds)


def refused(path: Path, words: str) -> None:
    """A file is refused, in one line that has these words."""
    with pytest.raises(InputError) as error:
        report_of(path)
    assert "\n" not in str(error.value)
    assert words in str(error.value)


def rows_of(source: object) -> dict[str, CastRow]:
    return {row.tensor: row for row in cast_compare([source], [F16], from_=F32, integers=True).rows}


def check_file(path: Path, names: Callable[[str], str], only: list[str] | None = None) -> None:
    rows = rows_of(str(path))
    for name, tensor in tensors().items():
        if only and name not in only:
            continue
        expected, row = rows_of(tensor)["tensor"], rows[names(name)]
        for metric in (row.name for row in METRICS.values() if row.is_count):
            assert getattr(row, metric) == getattr(expected, metric), (name, metric)
        # repr, because of nothing it is NaN
        assert repr(row.max_abs_error) == repr(expected.max_abs_error)
        assert row.from_ == expected.from_
