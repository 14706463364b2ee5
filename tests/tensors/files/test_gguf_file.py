"""GGUF files."""

from __future__ import annotations

import struct
import time
from pathlib import Path

import pytest
import torch

from tests.tensors.reading import notes, read, refusal
from tests.writers import X, gguf


@pytest.mark.parametrize(("version", "alignment"), [(2, 32), (3, 32), (3, 64)])
def test_gguf(tmp_path: Path, version: int, alignment: int) -> None:
    half = X.to(torch.float16)
    brain = X.to(torch.bfloat16)
    path = tmp_path / "x.gguf"
    path.write_bytes(
        gguf(
            {
                "a": (0, (7, 5), X.numpy().tobytes()),
                "b": (1, (7, 5), half.numpy().tobytes()),
                "c": (30, (35,), brain.view(torch.int16).numpy().tobytes()),
                "d": (28, (), struct.pack("<d", 2.5)),
                "q": (12, (256,), b"\0" * 144),
            },
            version,
            alignment,
        )
    )
    found = read(path)
    assert torch.equal(found["a"], X)
    assert torch.equal(found["b"], half)
    assert torch.equal(found["c"], brain.view(-1))
    assert found["d"].item() == 2.5
    assert notes(path) == ["q: Q4_K is not compared"]


def test_damaged_gguf(tmp_path: Path) -> None:
    whole = gguf({"a": (0, (7, 5), X.numpy().tobytes())})
    path = tmp_path / "x.gguf"
    for damaged in (
        whole[:30],
        whole[:-70],
        whole[:4] + struct.pack("<I", 9) + whole[8:],
        whole[:8] + struct.pack("<Q", 1 << 63) + whole[16:],
        whole[:16] + struct.pack("<Q", 1 << 63) + whole[24:],
        whole.replace(b"tokens" + struct.pack("<IIQ", 9, 8, 2),
                      b"tokens" + struct.pack("<IIQ", 9, 8, 1 << 62)),
        whole.replace(struct.pack("<QQ", 5, 7), struct.pack("<QQ", 1 << 40, 1 << 40)),
        whole[:24],
    ):  # fmt: skip
        path.write_bytes(damaged)
        start = time.monotonic()
        assert "GGUF" in refusal(path)
        assert time.monotonic() - start < 2
