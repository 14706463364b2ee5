"""The formats that a model can be watched for."""

from __future__ import annotations

from collections.abc import Iterable

from fpx.core.formats import FORMATS
from fpx.core.spec import FormatSpec
from fpx.core.targets import Target, find_targets, without_scales
from fpx.errors import InputError

_MOST_BITS = 20  # of a target: its magnitudes have a table


def watched_formats(names: str | Target | Iterable[str | Target]) -> tuple[FormatSpec, ...]:
    """Formats by name, each once; `all`, `all16` and `all8` are those that can be watched for.

    Raises:
        InputError: no such format, or one with scales, without a sign or zero, or of over 20 bits.
    """
    listed_ones = [spec for spec in FORMATS.values() if _refusal(spec) is None]
    found = without_scales(find_targets(names, listed_ones))
    if not found:
        raise InputError("`to` names no format")
    for target in found:
        if why := _refusal(target):
            raise InputError(f"`to`: {target.name} {why}")
    return tuple(found)


def _refusal(spec: FormatSpec) -> str | None:
    """Why a format can't be watched for; None if it can."""
    if not (spec.signed and spec.zero):
        return "has no sign or no zero, which numbers in a model need"
    if spec.bits > _MOST_BITS:
        return f"has {spec.bits} bits: what is watched is counted for formats of up to {_MOST_BITS}"
    return None
