"""Every function that can be verified, by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from fpx.arithmetic.functions.activations import ACTIVATIONS
from fpx.arithmetic.functions.binary import BINARY
from fpx.arithmetic.functions.elementary import ELEMENTARY
from fpx.arithmetic.functions.function import Function
from fpx.errors import InputError
from fpx.words import did_you_mean, quoted

ALL = "all"

FUNCTIONS: Mapping[str, Function] = MappingProxyType(
    {row.name: row for row in (*ELEMENTARY, *ACTIVATIONS, *BINARY)}
)


def find_functions(names: Sequence[str]) -> list[Function]:
    """The functions of those names, each once; `all` is every one.

    Raises:
        InputError: no such function, or none.
    """
    if not names:
        raise InputError("no function is named: fpx op-verify without any lists all")
    found: dict[str, Function] = {}
    for name in names:
        if name == ALL:
            found |= FUNCTIONS
            continue
        wanted = name.strip().lower().removeprefix("torch.").removeprefix("nn.functional.")
        wanted = wanted.removeprefix("f.")
        if wanted not in FUNCTIONS:
            known = (*FUNCTIONS, ALL)
            meant = did_you_mean(name, known) or "; fpx op-verify alone lists those there are"
            raise InputError(f"no function {quoted(name)}{meant}")
        found[wanted] = FUNCTIONS[wanted]
    return list(found.values())
