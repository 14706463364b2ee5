"""What parameters of several functions mean: names to formats, texts to choices."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from typing import TYPE_CHECKING, TypeVar

from fpx.core.spec import FormatSpec
from fpx.core.targets import Target
from fpx.errors import InputError
from fpx.words import quoted

if TYPE_CHECKING:
    from fpx.casts.backends import Backend

_Choice = TypeVar("_Choice", bound=Enum)
_Formats = str | FormatSpec | Iterable[str | FormatSpec]
_Targets = str | Target | Iterable[str | Target]
_Several = list[str] | list[FormatSpec] | list[str | FormatSpec] | tuple[str | FormatSpec, ...]


def _each(texts: str | Iterable[str]) -> list[str]:
    """One text, or several, as a list."""
    return [texts] if isinstance(texts, str) else list(texts)


def _backend(name: str) -> Backend:
    """The backend of that name.

    Raises:
        InputError: there is none.
    """
    from fpx.casts.backends import BACKENDS

    if name not in BACKENDS:
        raise InputError(f"`backend` is one of {', '.join(BACKENDS)}, not {quoted(name)}")
    return BACKENDS[name]


def _choice(kind: type[_Choice], value: _Choice | str, parameter: str) -> _Choice:
    """The member of that value.

    Raises:
        InputError: there is none.
    """
    try:
        return kind(value)
    except ValueError:
        names = ", ".join(str(member.value) for member in kind)
        raise InputError(f"`{parameter}` is one of {names}, not {quoted(str(value))}") from None
