"""The kinds of tensor files: a row says how one is called and recognised, and who reads it.

The table alone, so that the command line can name the kinds without loading torch.
"""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from typing import IO

from fpx.errors import InputError
from fpx.tensors.files.protobuf import BYTES, VARINT, Walker
from fpx.words import quoted_path, reason

DAMAGE = (
    OSError, ValueError, EOFError, RuntimeError, struct.error, zipfile.BadZipFile, zlib.error
)  # fmt: skip
"""What the readers and the libraries under them raise of a damaged file."""


HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"


KERAS_WEIGHTS = "model.weights.h5"
"""The member of a .keras archive that holds them."""


_TORCH_MAGIC = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # torch.save, before zip archives
_DISTRIBUTED = b"torch.distributed.checkpoint.metadata"
_ZIP_MAGIC = b"PK\x03\x04"
_LFS_MAGIC = b"version https://git-lfs.github.com/spec/"
_MOST_BEFORE_A_GRAPH = 1 << 10  # fields of an ONNX model
STREAM_HEAD = 1 << 10
"""Bytes of a file's beginning that are looked at."""


@dataclass(frozen=True)
class Look:
    """What a file looks like from outside.

    Attributes:
        head: its first bytes.
        size: all its bytes.
        members: names of the members, of a zip archive.
        at: bytes at a place -> as many bytes from there.
    """

    head: bytes
    size: int
    members: tuple[str, ...] = ()
    at: Callable[[int, int], bytes] = lambda place, count: b""

    def starts(self, magic: bytes) -> bool:
        """Whether it begins with these bytes."""
        return self.head.startswith(magic)


@dataclass(frozen=True)
class FileKind:
    """A kind of tensor files.

    Attributes:
        name: what reports call it.
        suffixes: names under which such files are looked for in a directory.
        says: what files those are, in words.
        matches: whether a file is one; kinds are asked in the order of the rows.
        open: `module:function` that reads one: its path -> its `Source`.
    """

    name: str
    suffixes: tuple[str, ...]
    says: str
    matches: Callable[[Look], bool]
    open: str


def _is_safetensors(look: Look) -> bool:
    """It begins with the length of a header that it can hold, and a brace."""
    length = int.from_bytes(look.head[:8], "little")
    return look.head[8:9] == b"{" and 2 <= length <= look.size - 8


def _is_hdf5(look: Look) -> bool:
    """HDF5 begins at once or, as in MATLAB's files, after a block of the user's: at 512, 1024, …"""
    if look.starts(HDF5_MAGIC):
        return True
    place = 512
    while place < look.size:
        if look.at(place, len(HDF5_MAGIC)) == HDF5_MAGIC:
            return True
        place *= 2
    return False


def _is_onnx(look: Look) -> bool:
    """It has no magic: fields of a model follow each other from the first one on to its graph."""

    def at(place: int, count: int) -> bytes:
        return look.at(place, count) or look.head[place : place + count]

    if not look.starts(b"\x08"):  # ir_version, which writers put first
        return False
    wires = {1: VARINT, 5: VARINT} | dict.fromkeys((2, 3, 4, 6, 7, 8, 14, 20, 25, 26), BYTES)
    try:
        for item in islice(Walker(at, look.size).fields(0, 1 << 62), _MOST_BEFORE_A_GRAPH):
            if wires.get(item.number) != item.wire:
                return False
            if item.number == 7:
                return True
    except ValueError:
        return False
    return False


def _is_distributed(look: Look) -> bool:
    """A pickle that begins with the class of the metadata of such checkpoints."""
    return look.starts(b"\x80") and _DISTRIBUTED in look.head[:64]


KINDS = (
    FileKind(
        "safetensors", (".safetensors",), ".safetensors",
        _is_safetensors, "fpx.tensors.files.safetensors_file:open_safetensors",
    ),
    FileKind(
        "torch (TorchScript)", (".pt", ".pth", ".bin"), "torch's .pt, .pth and .bin",
        lambda look: any(name.endswith("/constants.pkl") for name in look.members),
        "fpx.tensors.files.torch_file:open_torchscript",
    ),
    FileKind(
        "torch", (".pt", ".pth", ".bin"), "torch's .pt, .pth and .bin",
        lambda look: any(name.endswith("/data.pkl") for name in look.members),
        "fpx.tensors.files.torch_file:open_torch",
    ),
    FileKind(
        "torch (legacy)", (".pt", ".pth", ".bin"), "torch's .pt, .pth and .bin",
        lambda look: look.starts(_TORCH_MAGIC), "fpx.tensors.files.torch_file:open_torch",
    ),
    FileKind(
        "torch distributed", (".distcp",), "torch's distributed checkpoints (.distcp)",
        _is_distributed, "fpx.tensors.files.dcp_file:open_distributed",
    ),
    FileKind(
        "npy", (".npy",), ".npy",
        lambda look: look.starts(b"\x93NUMPY"), "fpx.tensors.files.numpy_file:open_npy",
    ),
    FileKind(
        "npz", (".npz",), ".npz",
        lambda look: any(name.endswith(".npy") for name in look.members),
        "fpx.tensors.files.numpy_file:open_npz",
    ),
    FileKind(
        "keras", (".keras",), ".keras",
        lambda look: KERAS_WEIGHTS in look.members, "fpx.tensors.files.hdf5_file:open_keras",
    ),
    FileKind(
        "gguf", (".gguf",), ".gguf",
        lambda look: look.starts(b"GGUF"), "fpx.tensors.files.gguf_file:open_gguf",
    ),
    FileKind(
        "hdf5", (".h5", ".hdf5"), "HDF5 (.h5, .hdf5)",
        _is_hdf5, "fpx.tensors.files.hdf5_file:open_hdf5",
    ),
    FileKind(
        "onnx", (".onnx",), "ONNX (.onnx)", _is_onnx, "fpx.tensors.files.onnx_file:open_onnx",
    ),
)  # fmt: skip
"""Every kind of tensor file. Whatever fpx says of kinds derives from these rows."""


SUFFIXES = tuple(dict.fromkeys(suffix for kind in KINDS for suffix in kind.suffixes))
"""Names under which tensor files are looked for in a directory."""


_SAYS = tuple(dict.fromkeys(kind.says for kind in KINDS))


READS = f"{', '.join(_SAYS[:-1])} and {_SAYS[-1]}"
"""The kinds in words, for help and messages."""


def kind_of(file: IO[bytes], size: int) -> FileKind:
    """The kind of an open file.

    Raises:
        InputError: none of KINDS, or a damaged archive.
    """

    def at(place: int, count: int) -> bytes:
        file.seek(place)
        return file.read(count)

    head = at(0, STREAM_HEAD)
    members: tuple[str, ...] = ()
    if head.startswith(_ZIP_MAGIC):
        try:
            with zipfile.ZipFile(file) as archive:
                members = tuple(archive.namelist())
        except DAMAGE as error:
            raise InputError(
                f"{quoted_path(file.name)} is a damaged archive: {reason(error)}"
            ) from None
    kind = _match(Look(head, size, members, at))
    if kind is None:
        if head and file.name.endswith(".metadata"):
            raise no_metadata(quoted_path(file.name), "it does not begin as torch's do")
        raise InputError(f"{quoted_path(file.name)} {_unknown(head)}")
    return kind


def no_metadata(shown: str, why: str) -> InputError:
    """What is said of a file that has the place of a distributed checkpoint's metadata."""
    return InputError(
        f"{shown} is no metadata of a checkpoint: {why}; it is damaged or another program's: "
        "save the checkpoint again"
    )


def _unknown(head: bytes) -> str:
    """Why what begins so is of no kind."""
    if not head:
        return "is empty: it has no bytes"
    if head.startswith(_LFS_MAGIC):
        return "is a pointer of Git LFS, not the file itself: git lfs pull fetches that"
    return f"is no tensor file that fpx knows: it reads {READS}"


def kind_of_stream(head: bytes) -> str:
    """What kind of file the first bytes of a stream are of, in words; "" if they tell nothing.

    Of a zip archive they show the first member alone.
    """
    members: tuple[str, ...] = ()
    if head.startswith(_ZIP_MAGIC) and len(head) >= 30:
        length = int.from_bytes(head[26:28], "little")
        members = (head[30 : 30 + length].decode("utf-8", "replace"),)
    kind = _match(Look(head, 1 << 62 if len(head) == STREAM_HEAD else len(head), members))
    if kind is not None:
        return kind.name
    return "zip" if members else ""


def _match(look: Look) -> FileKind | None:
    return next((kind for kind in KINDS if kind.matches(look)), None)
