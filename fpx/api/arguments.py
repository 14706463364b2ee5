"""What parameters of several functions mean: names to formats, texts to choices."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import Enum
from typing import TYPE_CHECKING, Any, TypeVar

from fpx.core.literals import ReadAs, to_literal
from fpx.core.numbers import Literal
from fpx.core.policy import Overflow, Rounding, Stochastic, find_rounding
from fpx.core.spec import FormatSpec
from fpx.core.targets import Target, find_plain
from fpx.errors import InputError
from fpx.words import quoted

if TYPE_CHECKING:
    from fpx.casts.backends import Backend

_Choice = TypeVar("_Choice", bound=Enum)
_Formats = str | FormatSpec | Iterable[str | FormatSpec]
_Numbers = int | str | Iterable[int | str]
_Operations = str | Callable[..., Any] | Iterable[str | Callable[..., Any]]
_Targets = str | Target | Iterable[str | Target]
_Several = list[str] | list[FormatSpec] | list[str | FormatSpec] | tuple[str | FormatSpec, ...]


def _drawn(rounding: Stochastic | str | None) -> Stochastic | None:
    """The stochastic rounding that is meant, if one is.

    Raises:
        InputError: another rounding, which no cast has.
    """
    mode = find_rounding(rounding) if isinstance(rounding, str) else rounding
    if mode is None or mode is Rounding.TIES_TO_EVEN:
        return None
    if not isinstance(mode, Stochastic):
        raise InputError(
            f"casts round to nearest, not {mode.value}: `rounding` is ties_to_even or stochastic"
        )
    return mode


def _each(texts: str | Iterable[str]) -> list[str]:
    """One text, or several, as a list."""
    return [texts] if isinstance(texts, str) else list(texts)


def _each_number(numbers: _Numbers) -> list[str]:
    """Numbers and ranges as texts."""
    several = [numbers] if isinstance(numbers, (int, str)) else numbers
    return [str(number) for number in several]


def _formats(names: _Formats) -> list[str | FormatSpec]:
    """One format, or several, as a list."""
    return [names] if isinstance(names, (str, FormatSpec)) else list(names)


def _arguments(
    value: object,
    dtype: str | FormatSpec,
    rounding: Rounding | str,
    overflow: Overflow | str,
    read_as: ReadAs | str,
) -> tuple[Literal, FormatSpec, Rounding, Overflow]:
    literal = to_literal(value, _choice(ReadAs, read_as, "read_as"))
    mode = _choice(Rounding, rounding, "rounding")
    return literal, find_plain(dtype), mode, _choice(Overflow, overflow, "overflow")


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
