"""safetensors files."""

from __future__ import annotations

import struct
from pathlib import Path

from safetensors.torch import save_file

from tests.tensors.reading import check_file, refused
from tests.writers import tensors


def test_safetensors(tmp_path: Path) -> None:
    save_file(tensors(), tmp_path / "x.safetensors")
    check_file(tmp_path / "x.safetensors", str)


def test_safetensors_with_a_key_twice(tmp_path: Path) -> None:
    entry = '{"dtype":"F32","shape":[1],"data_offsets":[0,4]}'
    header = f'{{"a":{entry},"a":{entry}}}'.encode()
    path = tmp_path / "x.safetensors"
    path.write_bytes(struct.pack("<Q", len(header)) + header + b"\0" * 4)
    refused(path, "a key comes twice")
