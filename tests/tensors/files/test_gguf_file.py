"""GGUF files."""

from __future__ import annotations

import struct
import time
from pathlib import Path

import pytest
import torch

from fpx.tensors.entry import Long
from fpx.tensors.opening import list_all
from tests.tensors.reading import notes, open_files, read, refused
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
    assert found["q"].shape == (256,)
    assert not found["q"].any()
    assert notes(path) == []


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


def value(kind: int, data: bytes) -> bytes:
    return struct.pack("<I", kind) + data


def text(words: bytes) -> bytes:
    return struct.pack("<Q", len(words)) + words


METADATA = {
    "u8": (value(0, b"\xff"), 255), "i8": (value(1, b"\xff"), -1),
    "u16": (value(2, b"\xff\xff"), 65535), "i16": (value(3, b"\xfe\xff"), -2),
    "u32": (value(4, struct.pack("<I", 7)), 7), "i32": (value(5, struct.pack("<i", -7)), -7),
    "f32": (value(6, struct.pack("<f", 1.5)), 1.5), "bool": (value(7, b"\1"), True),
    "text": (value(8, text("ünï".encode())), "ünï"),
    "long text": (value(8, text(b"x" * 5000)), "x" * 4096 + "… (5,000 bytes)"),
    "u64": (value(10, struct.pack("<Q", 1 << 63)), 1 << 63),
    "i64": (value(11, struct.pack("<q", -9)), -9),
    "f64": (value(12, struct.pack("<d", 0.1)), 0.1),
    "few": (value(9, struct.pack("<IQ3i", 5, 3, 1, -2, 3)), (1, -2, 3)),
    "eight": (value(9, struct.pack("<IQ8h", 3, 8, *range(8))), tuple(range(8))),
    "many": (value(9, struct.pack("<IQ9h", 3, 9, *range(9))), Long(9, tuple(range(8)))),
    "texts": (value(9, struct.pack("<IQ", 8, 10) + b"".join(text(b"t%d" % n) for n in range(10))),
              Long(10, tuple(f"t{n}" for n in range(8)))),
    "nested": (value(9, struct.pack("<IQ", 9, 1) + struct.pack("<IQh", 3, 1, 1)), Long(1, ())),
}  # fmt: skip


def test_metadata(tmp_path: Path) -> None:
    names = list(METADATA)
    head = b"GGUF" + struct.pack("<IQQ", 3, 1, len(names))
    for name in names:
        head += text(name.encode()) + METADATA[name][0]
    head += text(b"a") + struct.pack("<IQIQ", 1, 1, 0, 0)
    path = tmp_path / "x.gguf"
    path.write_bytes(head + b"\0" * (-len(head) % 32) + struct.pack("<f", 2.5))
    (source,) = open_files(str(path))
    assert dict(source.metadata) == {name: METADATA[name][1] for name in names}
    assert read(path)["a"].tolist() == [2.5]  # what follows was found


def test_tensors_in_blocks_have_their_bytes(tmp_path: Path) -> None:
    """Of every type: a tensor that lies just behind, and one byte that is missing."""
    path = tmp_path / "x.gguf"
    sizes = {2: 18, 3: 20, 6: 22, 7: 24, 8: 34, 9: 40, 20: 18, 39: 17}  # of 32 elements
    large = {10: 84, 11: 110, 12: 144, 13: 176, 14: 210, 15: 292, 16: 66, 17: 74, 18: 98, 19: 50,
             21: 110, 22: 82, 23: 136, 29: 56, 34: 54, 35: 66, 40: 144,
             41: 36}  # of 256  # fmt: skip
    for kind, size in {**sizes, **large}.items():
        length = 512
        data = bytes(size * length // (32 if kind in sizes else 256))
        tensors = {"q": (kind, (2, length // 2), data), "x": (0, (1,), struct.pack("<f", 7))}
        path.write_bytes(gguf(tensors, alignment=1))
        assert read(path)["x"].tolist() == [7]
        (source,) = list_all([path]).sources
        assert all((item.shape, item.nbytes) == ((2, 256), len(data)) for item in source.unread)
        path.write_bytes(gguf({"q": (kind, (2, length // 2), data[:-1])}, alignment=1))
        refused(path, "'q' runs past its end")
