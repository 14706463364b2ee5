"""Writes tensor files of every kind, whole ones and such that lie."""

from __future__ import annotations

import io
import json
import pickle
import struct
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import h5py
import numpy as np
import torch
from safetensors.torch import save_file
from torch.distributed.checkpoint.filesystem import _StorageInfo
from torch.distributed.checkpoint.metadata import (
    BytesStorageMetadata,
    ChunkStorageMetadata,
    Metadata,
    MetadataIndex,
    TensorProperties,
    TensorStorageMetadata,
)

X = torch.randn(7, 5, generator=torch.Generator().manual_seed(0)) * 1e4


def keras_archive(path: Path, kind: int = zipfile.ZIP_STORED) -> Path:
    """What Keras 3 saves: its layers' and its optimiser's variables, in an archive."""
    with h5py.File(path.with_suffix(".h5"), "w") as file:
        file["layers/dense/vars/0"] = np.arange(200_000, dtype=np.float32).reshape(500, 400)
        file.create_dataset("layers/dense/vars/1", data=np.ones(400, np.float16), chunks=(7,))
        file["optimizer/vars/0"] = np.int32(3)
    with zipfile.ZipFile(path, "w", kind) as archive:
        archive.writestr("metadata.json", "{}")
        archive.writestr("config.json", "{}")
        archive.write(path.with_suffix(".h5"), "model.weights.h5")
    return path


def gguf(
    tensors: Mapping[str, tuple[int, tuple[int, ...], bytes]],
    version: int = 3,
    alignment: int = 32,
    tokens: Sequence[bytes] = (b"a", b"bc"),
) -> bytes:
    """A GGUF file by hand: name -> (ggml type, shape, bytes)."""

    def text(words: str | bytes) -> bytes:
        data = words.encode() if isinstance(words, str) else words
        return struct.pack("<Q", len(data)) + data

    keys = [
        text("general.architecture") + struct.pack("<I", 8) + text("test"),
        text("tokens") + struct.pack("<IIQ", 9, 8, len(tokens)) + b"".join(map(text, tokens)),
        text("scores") + struct.pack("<IIQ", 9, 6, 3) + struct.pack("<3f", 1, 2, 3),
        text("general.alignment") + struct.pack("<II", 4, alignment),
    ]
    head = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(keys)) + b"".join(keys)
    data = b""
    for name, (kind, shape, raw) in tensors.items():
        head += text(name) + struct.pack(f"<I{len(shape)}Q", len(shape), *shape[::-1])
        head += struct.pack("<IQ", kind, len(data))
        data += raw + b"\0" * (-len(raw) % alignment)
    return head + b"\0" * (-len(head) % alignment) + data


def nvfp4(folder: Path, *, spoiled: bool = True) -> Path:
    """A checkpoint in NVFP4, as compressed-tensors writes it; one weight may be spoiled."""
    folder.mkdir()
    held = {"embed.weight": (torch.arange(160.0).view(5, 32) / 7).bfloat16()}
    for number in range(2):
        for name in ("up", "down"):
            weight = f"layer.{number}.{name}.weight"
            codes = torch.arange(4 * 32).view(4, 32) * 37 + 11 * number + len(name)
            held[f"{weight}_packed"] = (codes % 256).to(torch.uint8)
            scales = torch.arange(16.0).view(4, 4) * 27 + 40
            held[f"{weight}_scale"] = scales.to(torch.float8_e4m3fn)
            held[f"{weight}_global_scale"] = torch.tensor([1234.5])
    if spoiled:  # a scale of 0, a NaN, and a subnormal one
        scales = held["layer.1.up.weight_scale"].view(torch.uint8)
        scales[0, 2], scales[3, 1], scales[2, 2] = 0, 0x7F, 3
    save_file(held, folder / "model.safetensors")
    method = {"quant_method": "compressed-tensors", "format": "nvfp4-pack-quantized"}
    (folder / "config.json").write_text(json.dumps({"quantization_config": method}))
    return folder


def varint(number: int) -> bytes:
    """Protobuf's number of varying length; negative ones are of 64 bits."""
    number &= (1 << 64) - 1
    data = b""
    while number > 127:
        data += bytes([number & 127 | 128])
        number >>= 7
    return data + bytes([number])


def proto(*fields: tuple[int, int | bytes | str | float]) -> bytes:
    """A message of protobuf: (number, value) of each field, of which a float is one of 32 bits."""
    data = b""
    for number, value in fields:
        if isinstance(value, int):
            data += varint(number << 3) + varint(value)
        elif isinstance(value, float):
            data += varint(number << 3 | 5) + struct.pack("<f", value)
        else:
            content = value.encode() if isinstance(value, str) else value
            data += varint(number << 3 | 2) + varint(len(content)) + content
    return data


def onnx_tensor(
    name: str, data_type: int, shape: Sequence[int], *fields: tuple[int, int | bytes | float]
) -> bytes:
    """A TensorProto; field 9 is its raw data."""
    return proto(*((1, length) for length in shape), (2, data_type), (8, name), *fields)


def onnx_node(
    kind: str, *attributes: bytes, output: str = "out", name: str = "", inputs: Sequence[str] = ()
) -> bytes:
    """A NodeProto; its attributes are AttributeProtos."""
    return proto(
        *((1, each) for each in inputs), (2, output), (3, name), (4, kind),
        *((5, attribute) for attribute in attributes),
    )  # fmt: skip


def onnx(*tensors: bytes, nodes: Sequence[bytes] = (), more: bytes = b"") -> bytes:
    """A model of such; `more` are fields of the graph."""
    graph = proto(*((1, node) for node in nodes), (2, "graph"), *((5, each) for each in tensors))
    return proto(
        (1, 10), (2, "fpx"), (8, proto((2, 17))), (7, graph + more),
        (14, proto((1, "author"), (2, "nobody"))),
    )  # fmt: skip


def sharded(folder: Path) -> Path:
    save_file({"a.weight": X, "a.bias": X[0].clone()}, folder / "m-1.safetensors")
    save_file({"b.weight": X * 100, "stray": X}, folder / "m-2.safetensors")
    index = folder / "m.safetensors.index.json"
    weight_map = {"a.weight": "m-1.safetensors", "a.bias": "m-1.safetensors",
                  "b.weight": "m-2.safetensors"}  # fmt: skip
    index.write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    return index


def npy(header: bytes, version: int = 1, claimed: int | None = None) -> bytes:
    size = len(header) if claimed is None else claimed
    length = struct.pack("<H" if version == 1 else "<I", size)
    return b"\x93NUMPY" + bytes((version, 0)) + length + header


def torch_zip(path: Path, data: bytes, *, packed: bool = False) -> None:
    kind = zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED
    with zipfile.ZipFile(path, "w", kind) as archive:
        archive.writestr("archive/data.pkl", data)
        archive.writestr("archive/byteorder", "little")
        archive.writestr("archive/version", "3\n")


def rewritten(path: Path, value: object, change: Callable[[str, bytes], bytes]) -> None:
    """What torch.save writes, its records changed."""
    data = io.BytesIO()
    torch.save(value, data)
    with zipfile.ZipFile(data) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            new.writestr(name, change(name, old.read(name)))


def safetensors(header: str, data: bytes = b"\0" * 4) -> bytes:
    return struct.pack("<Q", len(header)) + header.encode() + data


def tensors() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return {
        "weight": torch.randn(30, 40) * 1e5,
        "scalar": torch.tensor(1e9),
        "empty": torch.zeros(0, 3),
        "half": torch.randn(10).half(),
        "brain": torch.randn(10).bfloat16(),
        "count": torch.arange(100),
    }


Chunks = Sequence[tuple[Sequence[int], Sequence[int]]]
"""Parts of a tensor: where each begins, and its lengths."""


def distributed(
    folder: Path,
    tensors: Mapping[str, tuple[torch.Tensor, Chunks]],
    change: Callable[[Metadata], object] = lambda metadata: None,
    item: Callable[[torch.Tensor], object] = torch.clone,
) -> Path:
    """A distributed checkpoint by hand: part n of each tensor is in the file of rank n.

    Args:
        folder: made, if it is not there.
        tensors: name -> the tensor, and the parts in which it is saved.
        change: what to do to the metadata before they are saved.
        item: a part -> what is saved of it.
    """
    folder.mkdir(exist_ok=True)
    described: dict[str, TensorStorageMetadata | BytesStorageMetadata] = {}
    places: dict[MetadataIndex, _StorageInfo] = {}
    files: dict[str, bytes] = {}
    for name, (tensor, chunks) in tensors.items():
        described[name] = TensorStorageMetadata(
            TensorProperties(dtype=tensor.dtype), tensor.shape,
            [ChunkStorageMetadata(torch.Size(at), torch.Size(size)) for at, size in chunks],
        )  # fmt: skip
        for rank, (at, size) in enumerate(chunks):
            spans = tuple(slice(start, start + n) for start, n in zip(at, size, strict=True))
            data = io.BytesIO()
            torch.save(item(tensor[spans]), data)
            file = f"__{rank}_0.distcp"
            begin = len(files.setdefault(file, b""))
            files[file] += data.getvalue()
            index = MetadataIndex(name, torch.Size(at), rank)
            places[index] = _StorageInfo(file, begin, len(data.getvalue()))
    metadata = Metadata(described, storage_data=places)
    change(metadata)
    for file, raw in files.items():
        (folder / file).write_bytes(raw)
    (folder / ".metadata").write_bytes(pickle.dumps(metadata))
    return folder
