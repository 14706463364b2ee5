"""HDF5, Keras's weights among it, read by h5py in a process of its own (see `hdf5_reader`)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import weakref
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fpx.errors import InputError, UnavailableError
from fpx.tensors.blocks import Read
from fpx.tensors.dtypes import origin_of
from fpx.tensors.entry import COMPLEX_NOTE, Scalar, Source, TensorEntry
from fpx.tensors.files.headers import ends_early, record_start
from fpx.tensors.files.kinds import DAMAGE, KERAS_WEIGHTS
from fpx.words import quoted_path, reason

READER = Path(__file__).with_name("hdf5_reader.py")
"""The program that reads."""


PATIENCE = 30
"""Seconds without an answer from it, after which libhdf5 is taken to loop."""


_FAILED = (1 << 64) - 1
_LONGEST_LISTING = 64 << 20  # bytes
_KERAS_METADATA = "metadata.json"
_LARGEST_METADATA = 1 << 16  # bytes
_PIPE = 1 << 20  # bytes between the processes, where the system lets one choose


def open_hdf5(path: Path, *, program: Path = READER, patience: float = PATIENCE) -> Source:
    """The numeric datasets of an HDF5 file, named by their path in it.

    Args:
        path: the file.
        program: reads it, and talks as `hdf5_reader` does.
        patience: seconds that it may take for an answer.

    Raises:
        InputError: damaged.
        UnavailableError: h5py is not installed.
    """
    return _open(path, _Readers(path, program=program, patience=patience))


def open_keras(path: Path) -> Source:
    """The weights in a .keras archive, which are an HDF5 file in it.

    Raises:
        InputError: damaged, or compressed.
        UnavailableError: h5py is not installed.
    """
    with zipfile.ZipFile(path) as archive:
        info = archive.getinfo(KERAS_WEIGHTS)
        if info.compress_type != zipfile.ZIP_STORED:
            raise InputError(f"{quoted_path(path)} is compressed, which Keras's files never are")
        with path.open("rb") as file:
            start = record_start(file, info)
        if info.compress_size != info.file_size or start + info.file_size > archive.start_dir:
            raise ends_early(f"{path}/{KERAS_WEIGHTS}")
        metadata = _keras_metadata(archive)
    found = _open(path, _Readers(path, start, info.file_size))
    return replace(found, metadata=metadata)


def _keras_metadata(archive: zipfile.ZipFile) -> dict[str, Scalar]:
    """What Keras says of the archive: its version and when it was saved; nothing if damaged."""
    try:
        with archive.open(_KERAS_METADATA) as file:
            found = json.loads(file.read(_LARGEST_METADATA))
    except (KeyError, ValueError, RecursionError, *DAMAGE):
        return {}
    if not isinstance(found, dict):
        return {}
    plain = (str, int, float, bool, type(None))
    return {key: value for key, value in found.items() if isinstance(value, plain)}


def _open(path: Path, readers: _Readers) -> Source:
    if find_spec("h5py") is None:
        raise UnavailableError(
            f"{quoted_path(path)} is HDF5, which needs h5py: install fpx-cli[hdf5]"
        )
    found = readers.listing()
    entries: list[TensorEntry] = []
    notes: list[str] = found["notes"]
    for row in found["datasets"]:
        name, shape, dtype = row["name"], tuple(row["shape"]), np.dtype(row["dtype"])
        try:
            kind = torch.from_numpy(np.empty(0, dtype)).dtype
        except TypeError:
            notes.append(f"{name}: dtype {dtype} is not read")
            continue
        if kind.is_complex:
            notes.append(f"{name}: {COMPLEX_NOTE}")
            kind, shape = kind.to_real(), (*shape, 2)
        blocks = _blocks(readers, name, kind, dtype)
        entries.append(TensorEntry(name, origin_of(kind), shape, blocks))
    return Source(str(path), tuple(entries), tuple(notes))


def _blocks(readers: _Readers, name: str, kind: torch.dtype, dtype: np.dtype[Any]) -> Read:
    parts = dtype.itemsize // kind.itemsize

    def blocks(limit: int) -> Iterator[Tensor]:
        most = max(limit // parts, 1)
        for frame in readers.read(name, most, most * dtype.itemsize):
            tensor = torch.frombuffer(frame, dtype=kind)
            for start in range(0, len(tensor), limit):
                yield tensor[start : start + limit]

    return blocks


class _Readers:
    """The processes that read one file: one, or as many as there are reads at a time."""

    def __init__(
        self,
        path: Path,
        start: int = 0,
        size: int = -1,
        program: Path = READER,
        patience: float = PATIENCE,
    ) -> None:
        self._path = path
        self._command = [sys.executable, "-P", str(program), str(path), str(start), str(size)]
        self._patience = patience
        self._idle: list[_Reader] = []
        self._listing: dict[str, Any] = {}
        weakref.finalize(self, _end_all, self._idle)

    def listing(self) -> dict[str, Any]:
        """See `hdf5_reader.listing`."""
        if not self._listing:
            self._idle.append(self._start())
        return self._listing

    def read(self, name: str, limit: int, most: int) -> Iterator[bytearray]:
        """A dataset's elements, up to `limit` of them (`most` bytes) at a time."""
        reader = self._idle.pop() if self._idle else self._start()
        whole = False
        try:
            reader.ask(name, limit)
            while frame := reader.frame(most):
                yield frame
            whole = True
        finally:
            if whole:
                self._idle.append(reader)
            else:
                reader.end()

    def _start(self) -> _Reader:
        reader = _Reader(self._command, quoted_path(self._path), self._patience)
        try:
            self._listing = json.loads(reader.frame(_LONGEST_LISTING))
        except BaseException:
            reader.end()
            raise
        return reader


class _Reader:
    """A process of `hdf5_reader`."""

    def __init__(self, command: list[str], shown: str, patience: float) -> None:
        self._shown = shown
        self._patience = patience
        # numpy starts a thread for each core, and each takes memory: nothing here computes
        env = os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        env["HDF5_PLUGIN_PRELOAD"] = "::"  # libhdf5's word for: load no plugins
        self._process = subprocess.Popen(  # noqa: S603 - our own program
            command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, pipesize=_PIPE,
        )  # fmt: skip

    def ask(self, name: str, limit: int) -> None:
        """Begins to read a dataset."""
        assert self._process.stdin is not None
        line = json.dumps({"name": name, "limit": limit}) + "\n"
        try:
            self._process.stdin.write(line.encode())
            self._process.stdin.flush()
        except BrokenPipeError:
            raise self._crashed() from None

    def frame(self, most: int) -> bytearray:
        """The next answer.

        Raises:
            InputError: what went wrong there.
        """
        patience = threading.Timer(self._patience, self._process.kill)
        patience.start()
        try:
            size = int.from_bytes(self._exactly(8), "little")
            if size == _FAILED:
                size = int.from_bytes(self._exactly(8), "little")
                words = self._exactly(size).decode(errors="replace")
                raise self._damaged(reason(ValueError(words)))
            if size > most:
                raise self._damaged("too much in it")
            return self._exactly(size)
        finally:
            patience.cancel()

    def _exactly(self, size: int) -> bytearray:
        assert self._process.stdout is not None
        data = bytearray(size)
        left = memoryview(data)
        while left:
            count = self._process.stdout.readinto(left)  # type: ignore[attr-defined]
            if not count:
                raise self._crashed()
            left = left[count:]
        return data

    def _crashed(self) -> InputError:
        return self._damaged(f"libhdf5 gave up on it (exit {self._process.wait()})")

    def _damaged(self, why: str) -> InputError:
        return InputError(f"{self._shown} is a damaged HDF5 file: {why}")

    def end(self) -> None:
        """Ends the process, whatever it does."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with suppress(BrokenPipeError):  # of what it never read
                    pipe.close()


def _end_all(readers: list[_Reader]) -> None:
    while readers:
        readers.pop().end()
