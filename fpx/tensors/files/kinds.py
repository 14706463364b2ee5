"""The kinds of tensor files: how each is recognised, and who reads it."""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO

from fpx.errors import InputError
from fpx.tensors.entry import Source
from fpx.tensors.files import gguf_file as gguf
from fpx.tensors.files import hdf5_file as hdf5
from fpx.tensors.files import numpy_file as numpy
from fpx.tensors.files import safetensors_file as safetensors
from fpx.tensors.files import torch_file as torch
from fpx.words import quoted_path, reason

DAMAGE = (
    OSError, ValueError, EOFError, RuntimeError, struct.error, zipfile.BadZipFile, zlib.error
)  # fmt: skip
"""What the readers and the libraries under them raise of a damaged file."""


Reader = Callable[[Path], Source]


def _starts(magic: bytes) -> Callable[[bytes, int], bool]:
    return lambda start, size: start.startswith(magic)


KINDS: tuple[tuple[str, Callable[[bytes, int], bool], Reader], ...] = (
    ("npy", _starts(b"\x93NUMPY"), numpy.open_npy),
    ("torch (legacy)", _starts(torch.LEGACY_MAGIC), torch.open_torch),
    ("hdf5", _starts(hdf5.MAGIC), hdf5.open_hdf5),
    ("gguf", _starts(b"GGUF"), gguf.open_gguf),
    ("safetensors", safetensors.looks_right, safetensors.open_safetensors),
)
"""Kind -> whether a file's first bytes (and size) are of it, and who reads it. Zip archives, which
hold torch's and numpy's files, are told apart by their members."""


SUFFIXES = (
    ".safetensors", ".pt", ".pth", ".bin", ".npy", ".npz", ".h5", ".hdf5", ".keras", ".gguf"
)  # fmt: skip
"""Names under which such files are looked for in a directory."""


def kind_of(file: IO[bytes], size: int) -> tuple[str, Reader]:
    start = file.read(16)
    for kind, matches, reader in KINDS:
        if matches(start, size):
            return kind, reader
    if start.startswith(b"PK\x03\x04"):
        try:
            with zipfile.ZipFile(file) as archive:
                names = archive.namelist()
        except DAMAGE as error:
            raise InputError(
                f"{quoted_path(file.name)} is a damaged archive: {reason(error)}"
            ) from None
        if any(name.endswith("/data.pkl") for name in names):
            return "torch", torch.open_torch
        if hdf5.KERAS_WEIGHTS in names:
            return "keras", hdf5.open_keras
        return "npz", numpy.open_npz
    if hdf5.has_user_block(file, size):
        return "hdf5", hdf5.open_hdf5
    raise InputError(
        f"{quoted_path(file.name)} is no tensor file that fpx knows: it reads .safetensors, "
        "torch's .pt/.pth/.bin, .npy, .npz, HDF5, Keras archives and GGUF"
    )
