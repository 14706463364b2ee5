"""How a name finds its format."""

from __future__ import annotations

from collections.abc import Iterable

from fpx.core.formats import _ROWS, AMBIGUOUS, FORMATS
from fpx.core.spec import FormatSpec
from fpx.errors import InputError
from fpx.words import listed, quoted


def _names(row: FormatSpec) -> list[str]:
    libraries = (row.torch, row.numpy, row.ml_dtypes, row.safetensors, row.onnx, row.cuda, row.gguf)
    return [row.name, *row.aliases, *(name.lower() for name in libraries if name)]


_BY_ALIAS = {alias: row for row in _ROWS for alias in _names(row) if alias not in AMBIGUOUS}


def find_format(name: str | FormatSpec) -> FormatSpec:
    """The format of that name or alias, in any case (`bf16`, `torch.bfloat16`, `F8_E4M3`).

    Names that are not listed are read as custom formats (`e5m7`, `e4m3b11fnuz`) and as members of
    the IEEE P3109 family (`binary8p4se`): see `fpx.core.families`.

    Raises:
        InputError: no such format, or several of that name.
    """
    if isinstance(name, FormatSpec):
        return name
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
    if member is None:
        raise InputError(
            f"unknown format {quoted(name)}: use one of {listed(FORMATS, 40)}, a custom eXmY or "
            "IEEE P3109's binaryKpPse (see fpx formats)"
        )
    return member


ALL = "all"
"""Where formats are asked for: every listed one."""


def find_formats(names: str | FormatSpec | Iterable[str | FormatSpec]) -> list[FormatSpec]:
    """The formats of a name or several, each once; `all` stands for every listed one.

    Raises:
        InputError: no such format.
    """
    each = [names] if isinstance(names, (str, FormatSpec)) else names
    found: dict[FormatSpec, None] = {}
    for name in each:
        found.update(dict.fromkeys(FORMATS.values() if name == ALL else [find_format(name)]))
    return list(found)
