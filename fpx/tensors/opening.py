"""Named tensors from what a user names: files, directories, tensors in memory."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from fpx.errors import InputError, UnavailableError
from fpx.tensors.distributions import NAMES
from fpx.tensors.dtypes import codes_of_array, is_compared, tensor_dtype
from fpx.tensors.entry import Blocks, Source, TensorEntry
from fpx.tensors.files import numpy_file as numpy
from fpx.tensors.files import sharded
from fpx.tensors.files.kinds import DAMAGE, SUFFIXES, kind_of
from fpx.tensors.files.prefetch import prefetched
from fpx.words import escape, quoted, quoted_path, reason


def as_tensor(data: object) -> Tensor:
    """A torch tensor or numpy array (of ml_dtypes' types too) as a strided real torch tensor.

    Raises:
        InputError: neither, or one whose elements are no plain real numbers.
    """
    if isinstance(data, np.generic):
        data = np.asarray(data)
    if isinstance(data, np.ndarray):
        array = data.astype(data.dtype.newbyteorder("="), copy=False)
        try:
            data = torch.from_numpy(np.array(array, order="K"))
        except TypeError:  # a dtype of ml_dtypes: the codes pass as integers
            twin = tensor_dtype(array.dtype)
            if twin is None:
                raise InputError(
                    f"torch has no dtype for numpy's {array.dtype}: convert it"
                ) from None
            data = codes_of_array(array)[0].view(twin)
    if not isinstance(data, Tensor):
        raise InputError(
            f"a {type(data).__name__} cannot be compared: pass a torch tensor, a numpy array, the "
            f"name of a distribution ({', '.join(NAMES)}) or the path of a file"
        )
    plain = data.layout is torch.strided and not data.is_quantized
    if not (plain and is_compared(data.dtype)):
        raise InputError(f"{data.dtype} tensors of layout {data.layout} are not compared")
    return data.detach()


_EXPANSION = 100  # times its size: a file that claims more, and is not small, is a bomb
_SMALL = 1 << 30  # bytes of tensors that no file is refused for


def open_files(name: str, errors: list[str] | None = None) -> list[Source]:
    """The tensors of a file, of a directory of files, or of an index with its shards.

    Args:
        name: its path, or `-` for .npy on stdin.
        errors: takes a line for each of several files that cannot be read, if another one can;
            without it, the first such file is an error.

    Raises:
        InputError: no such file, no tensor file, or a damaged or dangerous one.
        UnavailableError: the kind needs a package that is not installed.
    """
    if name == "-":
        return [numpy.open_stdin()]
    try:
        path = Path(name)
        mode = path.stat().st_mode
    except FileNotFoundError:
        raise InputError(
            f"{quoted_path(name)}: no such file, and no distribution has that name (see --help)"
        ) from None
    except (OSError, ValueError) as error:
        raise InputError(f"{quoted_path(name)} cannot be read: {_why(error)}") from None
    if stat.S_ISDIR(mode):
        return _open_all(sharded.in_directory(path, SUFFIXES), errors)
    if not stat.S_ISREG(mode):
        raise InputError(f"{quoted_path(name)} is not a regular file: fpx reads only those")
    if sharded.is_index(path):
        return _open_all(sharded.of_index(path), errors)
    return [_open(path, None)]


def _open_all(shards: list[sharded.Shard], errors: list[str] | None) -> list[Source]:
    opened: list[Source] = []
    refused: list[InputError] = []
    for path, tensors in shards:
        try:
            opened.append(_open(path, tensors))
        except InputError as error:
            if errors is None:
                raise
            refused.append(error)
    if refused and not opened:
        raise refused[0]
    if errors is not None:
        errors += map(str, refused)
    return opened


def _open(path: Path, tensors: frozenset[str] | None) -> Source:
    """One file; of a shard, the tensors that its index names."""
    shown = quoted_path(path)
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise InputError(f"{shown} is not a regular file: fpx reads only those")
        size = path.stat().st_size
        with path.open("rb") as file:
            kind, reader = kind_of(file, size)
        source = reader(path)
    except (InputError, UnavailableError):
        raise
    except FileNotFoundError:
        raise InputError(f"{shown}: no such file") from None
    except DAMAGE as error:
        raise InputError(f"{shown} cannot be read: {_why(error)}") from None
    entries = source.entries
    if tensors is not None:
        missing = tensors - {entry.name for entry in entries}
        if missing:
            raise InputError(f"{shown} lacks {quoted(min(missing))}, which its index says it has")
        entries = [entry for entry in entries if entry.name in tensors]
    for entry in entries:
        if not is_compared(entry.dtype):
            source.notes.append(f"{entry.name}: {entry.dtype} is not compared")
    entries = [entry for entry in entries if is_compared(entry.dtype)]
    if not entries:
        why = f" that fpx reads ({escape(source.notes[0])})" if source.notes else ""
        raise InputError(f"{shown} holds no tensors{why}")
    claimed = sum(entry.nbytes for entry in entries)
    if claimed > max(_SMALL, _EXPANSION * size):
        raise InputError(
            f"{shown} has {size:,} bytes and claims tensors of {claimed:,}: fpx takes at most "
            f"{_EXPANSION} times a file's size"
        )
    guarded = [replace(entry, blocks=_guarded(entry, shown)) for entry in entries]
    read = [replace(entry, blocks=prefetched(entry)) for entry in guarded]
    return replace(source, entries=read, kind=kind)


def _guarded(entry: TensorEntry, shown: str) -> Blocks:
    """The entry's blocks; damage that shows only in its data is an error of the input too."""

    def blocks(limit: int) -> Iterator[Tensor]:
        try:
            yield from entry.blocks(limit)
        except DAMAGE as error:
            raise InputError(
                f"{shown}: {quoted(entry.name)} cannot be read: {reason(error)}"
            ) from None

    return blocks


def _why(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or reason(error))
