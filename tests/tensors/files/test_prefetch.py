"""Reading ahead."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from fpx.tensors.opening import open_files
from tests.tensors.reading import refused


def test_reading_ahead_gives_the_same_blocks(tmp_path: Path) -> None:
    x = torch.arange(1_500_000, dtype=torch.float32)
    save_file({"x": x}, tmp_path / "x.safetensors")
    (source,) = open_files(str(tmp_path / "x.safetensors"))
    for limit in (1 << 16, 1000, 1 << 20):
        blocks = [block.clone() for block in source.entries[0].blocks(limit)]
        assert torch.equal(torch.cat(blocks), x)
        assert max(map(len, blocks)) <= limit


def test_damage_that_is_met_while_reading_ahead(tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    np.save(path, np.zeros(2_000_000, np.float32))
    with path.open("r+b") as file:
        file.truncate(6_000_000)
    refused(path, "ends too early")
