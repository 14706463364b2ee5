"""Which tensors of the sources are looked at, by patterns of their names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from fpx.errors import InputError
from fpx.patterns import REGULAR, matcher
from fpx.tensors.entry import Source
from fpx.words import did_you_mean


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
    chosen = chooser(include, exclude)
    left = [
        replace(source, entries=tuple(entry for entry in source.entries if chosen(entry.name)))
        for source in sources
    ]
    if not any(source.entries for source in left):
        names = [entry.name for source in sources for entry in source.entries]
        globs = (pattern for pattern in include if not pattern.startswith(REGULAR))
        meant = next(filter(None, (did_you_mean(glob, names) for glob in globs)), "")
        raise InputError(
            f"none of the {len(names):,} tensors is left: check `include` and `exclude`{meant}"
        )
    return left


def chooser(include: Sequence[str], exclude: Sequence[str]) -> Callable[[str], bool]:
    """Whether a name is one of those, see `select`.

    Raises:
        InputError: no such pattern.
    """
    wanted, unwanted = [list(map(matcher, patterns)) for patterns in (include, exclude)]

    def chosen(name: str) -> bool:
        return (not wanted or any(test(name) for test in wanted)) and not any(
            test(name) for test in unwanted
        )

    return chosen
