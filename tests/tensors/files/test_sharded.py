"""Checkpoints in several files, with an index."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from tests.tensors.reading import read, refused, report_of
from tests.writers import sharded


def test_shards(tmp_path: Path) -> None:
    index = sharded(tmp_path)
    assert set(read(index)) == {"a.weight", "a.bias", "b.weight"}
    assert set(read(tmp_path)) == {"a.weight", "a.bias", "b.weight"}
    index.unlink()
    assert set(read(tmp_path)) == {"a.weight", "a.bias", "b.weight", "stray"}
    report = report_of(tmp_path)
    assert report.totals[0].count == 3 * 35 + 5


NO_MAP, ELSEWHERE = "it has no weight_map of names", "names a shard that is not beside it"
TWICE = '{"weight_map": {"a.weight": "m-1.safetensors", "a.weight": "m-2.safetensors"}}'


@pytest.mark.parametrize(
    ("index", "words"),
    [
        ("", NO_MAP),
        ("{}", NO_MAP),
        ("[]", NO_MAP),
        ('{"weight_map": 3}', NO_MAP),
        ("[" * 1_000, NO_MAP),
        ("[" * 100_000, NO_MAP),
        (TWICE, NO_MAP),
        ('{"weight_map": {"a": "../secret.safetensors"}}', ELSEWHERE),
        ('{"weight_map": {"a": "ABSOLUTE"}}', ELSEWHERE),
        ('{"weight_map": {"a": "deeper/secret.safetensors"}}', ELSEWHERE),
        ('{"weight_map": {"a": ""}}', ELSEWHERE),
        ('{"weight_map": {"a": "absent.safetensors"}}', "absent.safetensors': no such file"),
        ('{"weight_map": {"gone": "m-1.safetensors"}}', "lacks 'gone'"),
        ('{"weight_map": {"a.weight": "m-1.safetensors", "gone": "m-1.safetensors"}}',
         "lacks 'gone'"),
    ],
    ids=lambda v: v[:60],
)  # fmt: skip
def test_bad_indexes(tmp_path: Path, index: str, words: str) -> None:
    """Every file that they point at is there, so that it is not its absence that is refused."""
    folder = tmp_path / "checkpoint"
    (folder / "deeper").mkdir(parents=True)
    path = sharded(folder)
    for secret in (tmp_path / "secret.safetensors", folder / "deeper/secret.safetensors"):
        save_file({"a": torch.ones(3)}, secret)
        assert list(read(secret)) == ["a"]
    path.write_text(index.replace("ABSOLUTE", str(tmp_path / "secret.safetensors")))
    refused(path, words)
