"""Where a source is that a user names: in files, on stdin, among distributions, in memory."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from fpx.errors import InputError
from fpx.tensors.distributions import NAMES
from fpx.tensors.entry import Source
from fpx.tensors.files import sharded
from fpx.tensors.files.guarded import guarded_source
from fpx.tensors.files.kinds import SUFFIXES
from fpx.tensors.files.numpy_file import open_stdin
from fpx.tensors.files.opening import Header
from fpx.tensors.late import load
from fpx.words import cause, did_you_mean, escape, quoted_path

if TYPE_CHECKING:
    from fpx.tensors.draws import Sample


class Located(NamedTuple):
    """Where a source is.

    Attributes:
        shards: the files to open.
        sources: what there is to open no file for.
        remarks: what is said of it.
        error: why it is nowhere.
    """

    shards: Sequence[sharded.Shard] = ()
    sources: Sequence[Source] = ()
    remarks: Sequence[str] = ()
    error: InputError | None = None

    def opened(self, headers: Iterable[Header]) -> tuple[list[Source], list[InputError]]:
        """What can be read of it, and what cannot.

        Args:
            headers: of its `shards`.

        Raises:
            InputError: nothing can.
        """
        if self.error is not None:
            raise self.error
        opened = [*self.sources]
        refused: list[InputError] = []
        for (path, _), header in zip(self.shards, headers, strict=True):
            if isinstance(header, InputError):
                refused.append(header)
                continue
            opened.append(guarded_source(replace(header, damaged=()), quoted_path(path)))
            called = quoted_path(header.name)
            refused += (InputError(f"{called}: {line}") for line in header.damaged)
        if refused and not opened:
            raise refused[0]
        return opened, refused


def locate(source: object, number: int, sample: Sample | None) -> Located:
    """Where a source is, or why it is nowhere.

    Args:
        source: what `fpx.tensors.opening.open_all` takes.
        number: how many others were named before it.
        sample: how distributions are drawn; without it, their names mean nothing.
    """
    try:
        return _place(source, number, sample)
    except InputError as error:
        return Located(error=error)


def _place(source: object, number: int, sample: Sample | None) -> Located:
    if isinstance(source, os.PathLike):
        source = os.fspath(source)
    if isinstance(source, str):
        absent = f"{quoted_path(source)}: no such file"
        if sample is not None:
            if source in NAMES:
                return Located(sources=[load("fpx.tensors.draws:named_source")(source, sample)])
            absent += f", and no distribution has that name ({', '.join(NAMES)})"
            absent += did_you_mean(source, NAMES)
        return in_path(source, absent)
    source_of = load("fpx.tensors.memory:source_of")
    return Located(sources=[source_of(source, f"tensor{number}" if number else "tensor")])


def in_path(name: str, absent: str) -> Located:
    """What is at a path.

    Args:
        name: the path, or `-`, which is stdin.
        absent: says that there is nothing.

    Raises:
        InputError: there is nothing, or nothing that is read.
    """
    if name == "-":
        return Located(sources=[open_stdin()])
    try:
        path = Path(name)
        mode = path.stat().st_mode
    except FileNotFoundError:
        raise InputError(absent) from None
    except (OSError, ValueError) as error:
        raise InputError(f"{quoted_path(name)} cannot be read: {cause(error)}") from None
    if stat.S_ISDIR(mode):
        directory = sharded.in_directory(path, SUFFIXES)
        passed = tuple(f"{escape(name)}: {escape(line)}" for line in directory.passed)
        return Located(directory.shards, remarks=passed)
    if not stat.S_ISREG(mode):
        raise InputError(f"{quoted_path(name)} is not a regular file: fpx reads only those")
    if sharded.is_part(path):
        raise InputError(
            f"{quoted_path(name)} is a part of a distributed checkpoint: name its directory"
        )
    if sharded.is_index(path):
        return Located(sharded.of_index(path))
    return Located([(path, None)])
