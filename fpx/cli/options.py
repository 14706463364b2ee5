"""Options that several commands share, each declared once."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable
from typing import Annotated, Any

import typer

from fpx.core.formats import FORMATS
from fpx.core.literals import ReadAs
from fpx.core.names import find_format
from fpx.core.policy import Overflow, Rounding
from fpx.core.spec import FormatSpec
from fpx.errors import InputError
from fpx.words import did_you_mean, listed, quoted


def complete_format(incomplete: str) -> list[str]:
    """Shell completion: names of formats that start so, or aliases where no name does."""
    names = [name for name in FORMATS if name.startswith(incomplete)]
    aliases = (alias for spec in FORMATS.values() for alias in spec.aliases)
    return names or [alias for alias in aliases if alias.startswith(incomplete)]


SIDE_BY_SIDE = ("float64", "float32", "float16", "bfloat16")
"""The formats that are shown where nobody chose."""


Formats = Annotated[
    list[str] | None,
    typer.Option(
        "--dtype",
        metavar="FORMAT",
        help="Format, such as float16, bf16, e5m7 or binary8p4se; repeat for several; all is every "
        "one that fpx formats lists.",
        autocompletion=complete_format,
        show_default=False,
    ),
]


OneFormat = Annotated[
    list[str],
    typer.Option(
        "--dtype",
        metavar="FORMAT",
        help="Format of the codes, such as float16, bf16 or e5m7.",
        autocompletion=complete_format,
        show_default=False,
    ),
]
"""A list, because of an option given twice a plain one would quietly take the last."""


Include = Annotated[
    list[str] | None,
    typer.Option(
        "--include",
        metavar="PATTERN",
        help="Only tensors of such names: a glob like 'layers.*.weight', or re: and a regular "
        "expression; repeat for several.",
        show_default=False,
    ),
]


Exclude = Annotated[
    list[str] | None,
    typer.Option(
        "--exclude", metavar="PATTERN", help="No tensors of such names.", show_default=False
    ),
]


RoundingMode = Annotated[
    Rounding, typer.Option("--rounding", help="What becomes of a number between two values.")
]


OverflowPolicy = Annotated[
    Overflow,
    typer.Option(
        "--overflow",
        help="Beyond the largest finite value: as IEEE 754 or the format's own specification says "
        "(infinity, else NaN, else that value), that value always, or NaN.",
    ),
]


Meaning = Annotated[
    ReadAs,
    typer.Option("--as", help="What 0x4049, 0b0100 and 16 mean: a code of the format or a value."),
]


def one_of(names: Iterable[str]) -> Any:
    """Settings of an option that takes one of some names, which its help lists."""
    valid = tuple(names)

    def parse(text: str) -> str:
        if text in valid:
            return text
        raise typer.BadParameter(
            f"{quoted(text)} is not one of {listed(valid, 99)}{did_you_mean(text, valid)}"
        )

    def complete(incomplete: str) -> list[str]:
        return [name for name in valid if name.startswith(incomplete)]

    return {"parser": parse, "metavar": f"[{'|'.join(valid)}]", "autocompletion": complete}


def find_one_format(names: list[str]) -> FormatSpec:
    """The format of a `OneFormat`.

    Raises:
        InputError: several, or no such format.
    """
    if len(names) > 1:
        raise InputError(f"one --dtype at a time, not {len(names)}: {listed(map(quoted, names))}")
    return find_format(names[0])


def output_forms(command: Callable[..., None]) -> Callable[..., None]:
    """A command with an option for each output form: `--json`, `--csv` and the others.

    Args:
        command: has a parameter `how: str`, which gets the name of the form: `text` without any.
    """
    from fpx.render.writers import WRITERS

    signature = inspect.signature(command, eval_str=True)
    parameters = [item for item in signature.parameters.values() if item.name != "how"]
    forms = [name for name in WRITERS if name != "text"]
    for name in forms:
        option = typer.Option(f"--{name}", help=WRITERS[name].help)
        parameters.append(
            inspect.Parameter(
                name, inspect.Parameter.KEYWORD_ONLY, default=False,
                annotation=Annotated[bool, option],
            )
        )  # fmt: skip

    def with_form(**given: Any) -> None:
        chosen = [name for name in forms if given.pop(name)]
        if len(chosen) > 1:
            named = " and ".join(f"--{name}" for name in chosen)
            raise InputError(f"{named} exclude each other: choose one")
        command(**given, how=chosen[0] if chosen else "text")

    found: Any = functools.update_wrapper(with_form, command)
    found.__signature__ = signature.replace(parameters=parameters)
    found.__annotations__ = {item.name: item.annotation for item in parameters}
    return with_form
