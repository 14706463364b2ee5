"""Options that several commands share, each declared once."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fpx.cli.failures import command_path, in_options
from fpx.cli.output import Output, tell_github_of_error
from fpx.core.formats import FORMATS
from fpx.core.literals import ReadAs
from fpx.core.names import NAMES, plain_formats
from fpx.core.policy import ROUNDINGS, Overflow
from fpx.core.spec import FormatSpec
from fpx.errors import FpxError, InputError
from fpx.words import did_you_mean, listed, quoted

if TYPE_CHECKING:
    from fpx.core.targets import Target
    from fpx.render.writers import Writer
    from fpx.report.gates.baseline import Baseline as OlderReport


def complete_format(incomplete: str) -> list[str]:
    """Shell completion: formats whose names start so, or other names of theirs where none does."""
    full = [name for name in FORMATS if name.startswith(incomplete)]
    return full or [name for name in NAMES if name.startswith(incomplete)]


def complete_target(incomplete: str) -> list[str]:
    """As `complete_format`, with block formats."""
    from fpx.core.blocks import BLOCK_FORMATS

    full = [name for name in (*FORMATS, *BLOCK_FORMATS) if name.startswith(incomplete)]
    return full or complete_format(incomplete)


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


Targets = Annotated[
    list[str] | None,
    typer.Option(
        "--dtype",
        metavar="FORMAT",
        help="Format, such as float16, bf16, e5m7 or mxfp4; repeat for several; all is every one "
        "that fpx formats lists.",
        autocompletion=complete_target,
        show_default=False,
    ),
]
"""As `Formats`, with block formats."""


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


Stored = Annotated[
    bool,
    typer.Option(
        "--stored",
        help="Leave quantised weights as they are stored: codes and scales are tensors of their "
        "own. Without it they are read as the numbers that they mean.",
    ),
]


As = Annotated[
    list[str] | None,
    typer.Option(
        "--as",
        metavar="W=FORMAT[,...]",
        help="How the weight with the codes W is stored: FORMAT (nvfp4, e4m3fn:block=128x128) and, "
        "after commas, scale=NAME, global=NAME, divides, nibbles=low|high|halves|bytes, swizzled, "
        "shape=AxB; repeat for several.",
        show_default=False,
    ),
]


Baseline = Annotated[
    str | None,
    typer.Option(
        "--baseline",
        metavar="FILE",
        help="An older report of this command (saved with --json): exit 1 only if something got "
        "worse since then.",
        show_default=False,
    ),
]


def older(baseline: str | None, schema: str) -> OlderReport | None:
    """The report that a `Baseline` names; None if it names none.

    Raises:
        InputError: it cannot be read, or has not that schema.
    """
    if baseline is None:
        return None
    from fpx.report.gates.baseline import read_baseline

    return read_baseline(baseline, schema)


def complete_rounding(incomplete: str) -> list[str]:
    """Shell completion: roundings whose names start so."""
    return [name for name in ROUNDINGS if name.startswith(incomplete)]


RoundingMode = Annotated[
    str,
    typer.Option(
        "--rounding",
        metavar="MODE",
        help=f"What becomes of a number between two values: {', '.join(ROUNDINGS[:-1])}, or "
        "stochastic[:BITS[:a|b|c]].",
        autocompletion=complete_rounding,
    ),
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


_MANY, _TOO_MANY = 20, 40  # names


def one_of(names: Iterable[str]) -> Any:
    """Settings of an option that takes one of some names, which its help lists."""
    valid = tuple(names)

    def parse(text: str) -> str:
        if text in valid:
            return text
        meant = did_you_mean(text, valid)  # a long list would hide it, and be cut itself
        many = len(valid) > (_MANY if meant else _TOO_MANY)
        every = "those that --help lists" if many else listed(valid, _TOO_MANY)
        raise typer.BadParameter(f"{quoted(text)} is not one of {every}{meant}")

    def complete(incomplete: str) -> list[str]:
        return [name for name in valid if name.startswith(incomplete)]

    return {"parser": parse, "metavar": f"[{'|'.join(valid)}]", "autocompletion": complete}


def find_targets(names: Sequence[str]) -> Sequence[Target]:
    """As `fpx.core.targets.find_targets`, which is loaded where a name may be one of its own.

    Raises:
        InputError: no such format.
    """
    plain = plain_formats(names)
    if plain is not None:
        return plain
    from fpx.core import targets

    return targets.find_targets(names)


def find_one_format(names: list[str]) -> FormatSpec:
    """The format of a `OneFormat`.

    Raises:
        InputError: several, or no such format.
    """
    if len(names) > 1:
        raise InputError(f"one --dtype at a time, not {len(names)}: {listed(map(quoted, names))}")
    plain = plain_formats(names)
    if plain:
        return plain[0]
    from fpx.core.targets import find_plain

    return find_plain(names[0])


def output_forms(command: Callable[..., None]) -> Callable[..., None]:
    """A command with the options that say where its results go: `--json`, `--save` and the like.

    Args:
        command: has a parameter `how: Output`; its name is that of a function.
    """
    from fpx.render.writers import OPTIONS, savable

    name = command.__name__.replace("_", "-")
    forms = [form.name for form in OPTIONS]
    added = {
        **{form.name: (bool, False, typer.Option(f"--{form.name}", help=form.help))
           for form in OPTIONS},
        "save": (list[str] | None, None, typer.Option(
            "--save", metavar="FILE", help=_save_help(savable(name)), show_default=False)),
        "github": (bool, False, typer.Option(
            "--github", help="In a workflow of GitHub: annotate what fails (on stderr), and append "
            "to the job's summary.")),
    }  # fmt: skip
    signature = inspect.signature(command, eval_str=True)
    parameters = [item for item in signature.parameters.values() if item.name != "how"]
    parameters += [
        inspect.Parameter(
            option, inspect.Parameter.KEYWORD_ONLY, default=default,
            annotation=Annotated[kind, settings],
        )
        for option, (kind, default, settings) in added.items()
    ]  # fmt: skip

    def with_form(**given: Any) -> None:
        chosen = [form for form in forms if given.pop(form)]
        if len(chosen) > 1:
            named = " and ".join(f"--{form}" for form in chosen)
            raise InputError(f"{named} exclude each other: choose one")
        form = chosen[0] if chosen else "text"
        how = Output.of(form, given.pop("save") or (), given.pop("github"), name)
        try:
            command(**given, how=how)
        except FpxError as error:
            if how.github:
                tell_github_of_error(command_path(), in_options(str(error)))
            raise

    found: Any = functools.update_wrapper(with_form, command)
    found.__signature__ = signature.replace(parameters=parameters)
    found.__annotations__ = {item.name: item.annotation for item in parameters}
    return with_form


def _save_help(forms: Iterable[Writer]) -> str:
    common = listed(
        form.suffix if form.option else f"{form.suffix} ({form.name})"
        for form in forms
        if not form.command
    )
    own = "".join(
        f" A file named {form.suffix[1:]}, or ending in {form.suffix}: "
        f"{form.help[0].lower()}{form.help[1:]}"
        for form in forms
        if form.command
    )
    return (
        "Write the results to a file too, whole or not at all; repeat for several. Its suffix says "
        f"in which form: {common}.{own}"
    )
