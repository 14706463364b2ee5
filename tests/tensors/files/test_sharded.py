"""Checkpoints in several files, with an index."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tensors.reading import read, refusal, report_of
from tests.writers import sharded


def test_shards(tmp_path: Path) -> None:
    index = sharded(tmp_path)
    assert set(read(index)) == {"a.weight", "a.bias", "b.weight"}
    assert set(read(tmp_path)) == {"a.weight", "a.bias", "b.weight"}
    index.unlink()
    assert set(read(tmp_path)) == {"a.weight", "a.bias", "b.weight", "stray"}
    report = report_of(tmp_path)
    assert report.totals[0].count == 3 * 35 + 5


@pytest.mark.parametrize(
    "index",
    ["", "{}", "[]", '{"weight_map": 3}', '{"weight_map": {"a": "../m-1.safetensors"}}',
     '{"weight_map": {"a": "/etc/passwd"}}', '{"weight_map": {"a": "absent.safetensors"}}',
     '{"weight_map": {"nothing": "m-1.safetensors"}}', "[" * 100_000],
)  # fmt: skip
def test_bad_indexes(tmp_path: Path, index: str) -> None:
    path = sharded(tmp_path)
    path.write_text(index)
    refusal(path)
