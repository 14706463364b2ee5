"""Which of the tensors that were opened are cast, and what is to be said of them before."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import torch

from fpx.core.scaling import ScaledFormat, Scope
from fpx.core.spec import FormatSpec
from fpx.errors import InputError, UnavailableError
from fpx.tensors.dtypes import cast_dtype, dtype_name
from fpx.tensors.opening import Opened
from fpx.words import escape, listed, quoted


def floating(opened: Opened) -> tuple[Opened, list[str]]:
    """The sources without their integer and bool tensors, and a line on those.

    Raises:
        InputError: there are no others.
    """
    sources, left = [], []
    for source in opened.sources:
        kept = tuple(entry for entry in source.entries if not _is_integer(entry.dtype))
        if len(kept) < len(source.entries):
            what = Counter(dtype_name(e.dtype) for e in source.entries if _is_integer(e.dtype))
            named = listed(f"{count:,} {name}" for name, count in what.items())
            total = sum(what.values())
            left.append(
                f"{escape(source.name)}: {named} tensor{'s' * (total > 1)} left as "
                f"{'they are' if total > 1 else 'it is'}: `integers=True` casts such too"
            )
        if kept:
            sources.append(replace(source, entries=kept))
    if opened.sources and not sources:
        raise InputError(f"nothing is left to cast: {left[0]}")
    return replace(opened, sources=tuple(sources)), left


def short_blocks(opened: Opened, scaled: Sequence[ScaledFormat]) -> list[str]:
    """A line per source on matrices whose rows are shorter than a block.

    A convolution's weight ends in its kernel: a row of 1 or 3 elements has a scale of its own.
    """
    blocks = [target.reach for target in scaled if target.reach.scope is Scope.BLOCK]
    if not blocks:
        return []
    width = min(reach.columns for reach in blocks)
    notes = []
    for source in opened.sources:
        short = [e for e in source.entries if len(e.shape) > 1 and 0 < e.shape[-1] < width]
        if short:
            have = "tensor has" if len(short) == 1 else "tensors have"
            notes.append(
                f"{escape(source.name)}: blocks run along the last axis, which {len(short):,} "
                f"{have} shorter than {width} (such as "
                f"{quoted(short[0].name)} {list(short[0].shape)}): with a scale for so few "
                "elements less is lost, and more bits are taken, than the format says"
            )
    return notes


def _is_integer(dtype: torch.dtype) -> bool:
    return not (dtype.is_floating_point or dtype.is_complex)


def drawn_in(spec: FormatSpec) -> torch.dtype:
    """The dtype of distributions."""
    try:
        return cast_dtype(spec)
    except UnavailableError as error:
        raise UnavailableError(
            f"{error}, so no distribution is drawn in it: choose another `from_`"
        ) from None
