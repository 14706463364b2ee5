"""Which tensors of the sources are looked at, by patterns of their names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from fpx.errors import InputError
from fpx.patterns import matcher
from fpx.tensors.entry import Source


def select(
    sources: Sequence[Source], include: Sequence[str], exclude: Sequence[str]
) -> list[Source]:
    """The sources with only the tensors whose names match.

    Args:
        sources: where the tensors are.
        include: patterns of which a name must match one; none means every name.
        exclude: patterns of which it must match none.

    Patterns are those of `fpx.patterns.matcher`.

    Raises:
        InputError: no such pattern, or no tensor is left.
    """
    wanted, unwanted = [list(map(matcher, patterns)) for patterns in (include, exclude)]

    def chosen(name: str) -> bool:
        return (not wanted or any(test(name) for test in wanted)) and not any(
            test(name) for test in unwanted
        )

    left = [
        replace(source, entries=tuple(entry for entry in source.entries if chosen(entry.name)))
        for source in sources
    ]
    if not any(source.entries for source in left):
        total = sum(len(source.entries) for source in sources)
        raise InputError(f"none of the {total:,} tensors is left: check `include` and `exclude`")
    return left
