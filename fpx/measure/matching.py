"""Which tensor of one checkpoint is which of another: by name, else by content."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import torch

from fpx.errors import InputError
from fpx.tensors.dtypes import bytes_of
from fpx.tensors.entry import Source, TensorEntry
from fpx.words import quoted, quoted_path

_BLOCK = 1 << 19  # elements to hash at a time


class Found(NamedTuple):
    """A tensor and the source that it is in."""

    source: str
    entry: TensorEntry


class Match(NamedTuple):
    """A tensor of both; None where one has none of the name and content.

    Attributes:
        a, b: the tensor.
        renamed: whether only the content says that they are one.
    """

    a: Found | None
    b: Found | None
    renamed: bool = False


def by_name(sources: Sequence[Source], prefixes: Sequence[str] = ()) -> dict[str, Found]:
    """The tensors of a checkpoint by the names to look for.

    Args:
        sources: its files.
        prefixes: of names; the first that a name begins with is left out of it.

    Raises:
        InputError: two tensors have the same name.
    """
    found: dict[str, Found] = {}
    for source in sources:
        for entry in source.entries:
            start = next((text for text in prefixes if entry.name.startswith(text)), "")
            name = entry.name[len(start) :]
            if name in found:
                before = found[name].source
                raise InputError(
                    f"two tensors are called {quoted(name)}, in {quoted_path(before)} "
                    f"and in {quoted_path(source.name)}: name one of the files, or use `exclude`"
                    if before != source.name
                    else f"two tensors are called {quoted(name)} in {quoted_path(before)}: "
                    "use `exclude`"
                )
            found[name] = Found(source.name, entry)
    return found


def is_nameless(sources: Sequence[Source]) -> bool:
    """Whether the one tensor there is has the name of its file, or none of its own."""
    if len(sources) != 1 or len(sources[0].entries) != 1:
        return False
    (source,) = sources
    return source.kind == "npy" or (
        source.kind == "tensor" and source.entries[0].name == source.name
    )


def candidates(a: Mapping[str, Found], b: Mapping[str, Found]) -> list[Found]:
    """The tensors without a namesake that may be one of the other side's, by dtype and shape."""
    left, right = _unmatched(a, b)
    kinds = {_kind(item) for item in left} & {_kind(item) for item in right}
    return [item for item in (*left, *right) if _kind(item) in kinds]


def _unmatched(a: Mapping[str, Found], b: Mapping[str, Found]) -> tuple[list[Found], list[Found]]:
    return (
        [item for name, item in a.items() if name not in b],
        [item for name, item in b.items() if name not in a],
    )


def _kind(found: Found) -> tuple[torch.dtype, tuple[int, ...]]:
    return found.entry.dtype, found.entry.shape


def digest(entry: TensorEntry, advance: Callable[[int], None]) -> bytes:
    """A hash of a tensor's elements in row-major order; `advance` hears how many were read.

    Raises:
        InputError: damage that shows only here.
    """
    found = hashlib.blake2b()
    for block in entry.blocks(_BLOCK, row_major=True):
        found.update(bytes_of(block).data)
        advance(len(block))
    return found.digest()


def matched(
    a: Mapping[str, Found], b: Mapping[str, Found], contents: Mapping[int, bytes]
) -> list[Match]:
    """Every tensor once: those of A in their order, then those that B alone has in theirs.

    Args:
        a, b: the tensors by the names to look for.
        contents: the `digest` of each of `candidates` that could be read, by the `id` of its entry.
    """
    left, right = _unmatched(a, b)
    other = _same_content(left, right, contents)
    taken = {id(item.entry) for item in other.values()}
    matches = [
        Match(item, b.get(name) or other.get(id(item.entry)), id(item.entry) in other)
        for name, item in a.items()
    ]
    return matches + [Match(None, item) for item in right if id(item.entry) not in taken]


def _same_content(
    left: Iterable[Found], right: Iterable[Found], contents: Mapping[int, bytes]
) -> dict[int, Found]:
    """The `id` of entries of A -> the tensor of B of the same content.

    Of several with one content, such as biases of zeros, those go together whose names end alike.
    """
    pairs: dict[int, Found] = {}
    rows = [item for item in left if id(item.entry) in contents]
    others = [item for item in right if id(item.entry) in contents]
    deepest = max((item.entry.name.count(".") + 1 for item in (*rows, *others)), default=0)
    for parts in range(deepest, -1, -1):
        waiting: dict[object, list[Found]] = {}
        for item in reversed(others):
            waiting.setdefault(_ending(item, contents, parts), []).append(item)
        rest = []
        for item in rows:
            same = waiting.get(_ending(item, contents, parts))
            if same:
                pairs[id(item.entry)] = same.pop()
            else:
                rest.append(item)
        taken = {id(item.entry) for item in pairs.values()}
        rows, others = rest, [item for item in others if id(item.entry) not in taken]
    return pairs


def _ending(found: Found, contents: Mapping[int, bytes], parts: int) -> object:
    """Content, and the last parts of the name: all of it where it has fewer."""
    name = found.entry.name.split(".")
    end = ".".join(name[-parts:]) if parts else ""
    return contents[id(found.entry)], _kind(found), end if len(name) >= parts else found.entry.name
