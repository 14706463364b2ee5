"""GGUF files."""

from __future__ import annotations

import struct
import time
from pathlib import Path

import pytest
import torch

from tests.tensors.reading import notes, read, refused
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
    assert notes(path) == ["q: Q4_K is not read"]


def test_damaged_gguf(tmp_path: Path) -> None:
    whole = gguf({"a": (0, (7, 5), X.numpy().tobytes())})
    tokens = b"tokens" + struct.pack("<II", 9, 8)
    path = tmp_path / "x.gguf"
    for damaged, words in (
        (whole[:30], "its header ends too early"),
        (whole[:24], "its header ends too early"),
        (whole[:-70], "'a' runs past its end"),
        (whole[:4] + struct.pack("<I", 9) + whole[8:], "is GGUF version 9"),
        (whole[:8] + struct.pack("<Q", 1 << 63) + whole[16:], "9,223,372,036,854,775,808 tensors"),
        (whole[:16] + struct.pack("<Q", 1 << 63) + whole[24:], "9,223,372,036,854,775,808 keys"),
        (whole.replace(tokens + struct.pack("<Q", 2), tokens + struct.pack("<Q", 1 << 62)),
         "an array of 4,611,686,018,427,387,904 items"),
        (whole.replace(struct.pack("<QQ", 5, 7), struct.pack("<QQ", 1 << 40, 1 << 40)),
         "'a' runs past its end"),
    ):  # fmt: skip
        path.write_bytes(damaged)
        start = time.process_time()
        refused(path, words)
        assert time.process_time() - start < 2


def test_a_vocabulary_is_passed_over(tmp_path: Path) -> None:
    """Many strings, more of them than are read at a time; and one that is longer than that."""
    tensors: dict[str, tuple[int, tuple[int, ...], bytes]]
    tensors = {"a": (0, (7, 5), X.numpy().tobytes())}
    many = [f"token {n}".encode() * (n % 4) for n in range(200_000)]
    for tokens in (many, [b"x" * (3 << 20)], [b"", b"y" * ((1 << 20) - 8), b"z", b""]):
        (tmp_path / "x.gguf").write_bytes(gguf(tensors, tokens=tokens))
        assert torch.equal(read(tmp_path / "x.gguf")["a"], X)
