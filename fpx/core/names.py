"""How a name finds its format."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from fpx.core.formats import AMBIGUOUS, FORMATS
from fpx.core.spec import FormatSpec
from fpx.errors import InputError
from fpx.words import did_you_mean, listed, quoted


def _names(row: FormatSpec) -> list[str]:
    libraries = (row.torch, row.numpy, row.ml_dtypes, row.safetensors, row.onnx, row.cuda, row.gguf)
    return [row.name, *row.aliases, *(name.lower() for name in libraries if name)]


_BY_ALIAS = {
    alias: row for row in FORMATS.values() for alias in _names(row) if alias not in AMBIGUOUS
}

NAMES = tuple(_BY_ALIAS)
"""Every name of a listed format, in lower case."""


def find_format(name: str | FormatSpec, others: Iterable[str] = ()) -> FormatSpec:
    """The format of that name or alias, in any case (`bf16`, `torch.bfloat16`, `F8_E4M3`).

    Names that are not listed are read as custom formats (`e5m7`, `e4m3b11fnuz`) and as members of
    the IEEE P3109 family (`binary8p4se`): see `fpx.core.families`.

    Args:
        name: of the format.
        others: names that the caller knows too, one of which may have been meant.

    Raises:
        InputError: no such format, or several of that name.
    """
    if isinstance(name, FormatSpec):
        return name
    if not isinstance(name, str):
        raise InputError(
            f"{quoted(str(name))} is no name of a format: pass text such as 'bfloat16'"
        )
    key = name.strip().lower()
    for module in ("torch.", "numpy.", "np.", "ml_dtypes."):
        key = key.removeprefix(module)
    row = _BY_ALIAS.get(key)
    if row is not None:
        return row
    if key in AMBIGUOUS:
        *most, last = AMBIGUOUS[key]
        raise InputError(
            f"format {quoted(name)} is ambiguous: write {', '.join(most)} or {last} in full"
        )
    from fpx.core.families import family_member  # builds on the rows, and few names need it

    member = family_member(key)
    if key == ALL:
        raise InputError(f"{quoted(name)} is many formats, and one is asked for: name one")
    if member is None:
        meant = did_you_mean(key, (*FORMATS, *NAMES, *others, ALL))
        if meant:
            raise InputError(f"unknown format {quoted(name)}{meant} (fpx formats has all)")
        raise InputError(
            f"unknown format {quoted(name)}: use one of {listed(FORMATS, 40)}, a custom eXmY or "
            "IEEE P3109's binaryKpPse (see fpx formats)"
        )
    return member


def plain_formats(names: Iterable[str]) -> list[FormatSpec] | None:
    """The formats of names that are all listed ones, each once; None where some may be others.

    For most of what people type, this is `fpx.core.targets.find_targets` without the time that
    loading formats with scales takes.
    """
    found = [_BY_ALIAS.get(name.strip().lower()) for name in names]
    every = [row for row in found if row is not None]
    return list(dict.fromkeys(every)) if len(every) == len(found) else None


ALL = "all"
"""Where formats are asked for: every listed one; `all8` and the like are those of so many bits."""


def find_formats(
    names: str | FormatSpec | Iterable[str | FormatSpec],
    listed_ones: Iterable[FormatSpec] = tuple(FORMATS.values()),
    others: Iterable[str] = (),
) -> list[FormatSpec]:
    """The formats of a name or several, each once.

    A name may be several with commas between them.

    Args:
        names: of formats; `all` stands for `listed_ones`, `all16` and `all8` for those of them of
            16 and of 8 bits.
        listed_ones: what groups stand for.
        others: as for `find_format`.

    Raises:
        InputError: no such format, or none of so many bits.
    """
    each = [names] if isinstance(names, (str, FormatSpec)) else names
    every, known = tuple(listed_ones), tuple(others)
    found: dict[FormatSpec, None] = {}
    for name in each:
        parts = name.split(",") if isinstance(name, str) else [name]
        for part in parts:
            found.update(dict.fromkeys(_formats_of(part, every, known)))
    return list(found)


def _formats_of(
    name: str | FormatSpec, every: Sequence[FormatSpec], others: Sequence[str]
) -> list[FormatSpec]:
    group = name.strip().lower() if isinstance(name, str) else ""
    if group == ALL:
        return list(every)
    bits = group.removeprefix(ALL)
    if bits == group or not bits.isdecimal():
        return [find_format(name, others)]
    found = [spec for spec in every if spec.bits == int(bits)]
    if not found:
        widths = sorted({spec.bits for spec in every})
        raise InputError(
            f"no listed format has {quoted(bits)} bits: write one of "
            f"{listed((f'{ALL}{width}' for width in widths), 40)}, or {ALL}"
        )
    return found
