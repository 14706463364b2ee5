"""Parts of a tensor in a distributed checkpoint: where they lie, and that they are all of it."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from itertools import product
from math import prod
from pathlib import Path
from typing import Any

from fpx.words import quoted

LARGEST = 1 << 62  # elements, bytes
_MOST_AXES = 6  # along which a tensor is cut


class DamagedError(Exception):
    """What is wrong with a tensor."""


def are_numbers(item: object) -> bool:
    """Whether it is a tuple of numbers from 0 on, as sizes and offsets are."""
    return isinstance(item, tuple) and all(
        type(number) is int and 0 <= number < LARGEST for number in item
    )


def index_text(at: tuple[int, ...]) -> str:
    """An index as `[0, 4]`."""
    return f"[{', '.join(map(str, at))}]"


class Files:
    """The files of a checkpoint that its metadata may name: those in its directory."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._sizes: dict[str, int] = {}

    def size(self) -> int:
        """Bytes of those that were looked at."""
        return sum(self._sizes.values())

    def path(self, name: object, end: int) -> Path:
        """One that has so many bytes.

        Raises:
            DamagedError: it has not, or is no file of the directory.
        """
        if not isinstance(name, str) or name in ("", ".", "..") or {"/", "\\", "\0"} & set(name):
            raise DamagedError(f"lies in {quoted(str(name))}, which is no file beside it")
        if name not in self._sizes:
            self._sizes[name] = self._look(name)
        if end > self._sizes[name]:
            raise DamagedError(
                f"lies beyond the end of {quoted(name)}: it is damaged or still being written"
            )
        return self.folder / name

    def _look(self, name: str) -> int:
        path = self.folder / name
        try:
            found = path.stat()
            real, home = os.path.realpath(path), os.path.realpath(self.folder)
        except (OSError, ValueError):
            raise DamagedError(f"lies in {quoted(name)}, which is not there") from None
        if os.path.dirname(real) != home:  # noqa: PTH120 - of text that may be no path
            raise DamagedError(f"lies in {quoted(name)}, which is a link out of the directory")
        if not stat.S_ISREG(found.st_mode):
            raise DamagedError(f"lies in {quoted(name)}, which is not a regular file")
        return found.st_size


@dataclass(frozen=True)
class Part:
    """A part of a tensor.

    Attributes:
        start, shape: where in the tensor it begins, and its elements along each axis.
        path, at, size: the file that it lies in, and which bytes of that.
    """

    start: tuple[int, ...]
    shape: tuple[int, ...]
    path: Path
    at: int
    size: int

    def __str__(self) -> str:
        spans = (
            f"{start}:{start + length}"
            for start, length in zip(self.start, self.shape, strict=True)
        )
        return f"part [{', '.join(spans)}] in {quoted(self.path.name)}"


Span = tuple[tuple[int, ...], tuple[int, ...]]
"""Where a part begins, and its lengths."""


def checked_spans(shape: tuple[int, ...], chunks: list[dict[str, object]]) -> list[Span]:
    """The parts of a tensor that have elements: they are all of it, and no two have one in common.

    Raises:
        DamagedError: they are not.
    """
    spans: list[Span] = []
    for chunk in chunks:
        start: Any = chunk.get("offsets")
        lengths: Any = chunk.get("sizes")
        if not (are_numbers(start) and are_numbers(lengths)):
            raise DamagedError("has a part without offsets and sizes")
        if not len(start) == len(lengths) == len(shape):
            raise DamagedError(
                f"has {len(shape)} axes, and a part at {index_text(start)} has others"
            )
        if 0 in lengths:
            continue
        ends = [at + length for at, length in zip(start, lengths, strict=True)]
        if any(end > length for end, length in zip(ends, shape, strict=True)):
            raise DamagedError(f"has a part at {index_text(start)} that reaches beyond its shape")
        spans.append((start, lengths))
    volume, wanted = sum(prod(lengths) for _, lengths in spans), prod(shape)
    if volume < wanted:
        raise DamagedError(
            f"lacks {wanted - volume:,} of its {wanted:,} elements: parts are missing"
        )
    if not _is_tiling(shape, spans):
        raise DamagedError("has parts that overlap")
    return spans


def _is_tiling(shape: tuple[int, ...], spans: list[Span]) -> bool:
    """Whether parts with as many elements as the tensor (or more) have each element once.

    Of boxes, those corners that come an odd number of times are the corners of where an odd number
    of boxes lie over each other. If those are the tensor's own corners, each element is in an odd
    number of parts, and so in one, since there are no more elements in all parts than in it.
    """
    if sum(prod(lengths) for _, lengths in spans) != prod(shape):
        return False
    cut = [
        axis for axis in range(len(shape)) if any(span[1][axis] != shape[axis] for span in spans)
    ]
    if len(cut) > _MOST_AXES:
        raise DamagedError(f"is cut along {len(cut)} axes: {_MOST_AXES} are read")
    odd: set[tuple[int, ...]] = set()
    for start, lengths in [*spans, ((0,) * len(shape), shape)] if cut else []:
        for corner in product(*((start[axis], start[axis] + lengths[axis]) for axis in cut)):
            odd ^= {corner}
    return not odd
