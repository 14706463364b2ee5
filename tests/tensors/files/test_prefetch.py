"""Reading ahead."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from fpx.tensors.files.prefetch import prefetched
from tests.tensors.reading import open_files, refused


def test_reading_ahead_gives_the_same_blocks(tmp_path: Path) -> None:
    x = torch.arange(1_500_000, dtype=torch.float32)
    save_file({"x": x}, tmp_path / "x.safetensors")
    (source,) = open_files(str(tmp_path / "x.safetensors"))
    for limit in (1 << 16, 1000, 1 << 20):
        blocks = [block.clone() for block in source.entries[0].blocks(limit)]
        assert torch.equal(torch.cat(blocks), x)
        assert max(map(len, blocks)) <= limit


@pytest.mark.parametrize("kind", ["safetensors", "npy", "npz"])
@pytest.mark.parametrize("count", [1000, 1_500_000])
def test_blocks_that_last(kind: str, count: int, tmp_path: Path) -> None:
    x = torch.arange(count, dtype=torch.float32)
    path = tmp_path / f"x.{kind}"
    if kind == "safetensors":
        save_file({"x": x}, path)
    elif kind == "npy":
        np.save(path, x.numpy())
    else:
        np.savez(path, x=x.numpy())
    ((entry,),) = (source.entries for source in open_files(str(path)))
    assert entry.lasting
    assert torch.equal(torch.cat(list(entry.blocks(100_000))), x)
    assert torch.equal(torch.cat(list(entry.blocks(99))), x)


@pytest.mark.parametrize("lasting", [False, True])
def test_only_what_does_not_last_is_copied(lasting: bool) -> None:
    x = torch.arange(1_500_000)
    blocks = list(prefetched(lambda limit: iter(torch.split(x, limit)), len(x), lasting)(1 << 19))
    assert torch.equal(torch.cat(blocks), x)
    assert (blocks[0].data_ptr() == x.data_ptr()) == lasting


def test_damage_that_is_met_while_reading_ahead(tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    np.save(path, np.zeros(2_000_000, np.float32))
    with path.open("r+b") as file:
        file.truncate(6_000_000)
    refused(path, "ends too early")
