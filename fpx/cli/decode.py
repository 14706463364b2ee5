"""`fpx decode`: everything about a number in a format."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from fpx.cli import options
from fpx.cli.failures import command_path, note
from fpx.cli.output import SCREEN, Output, collected, show
from fpx.cli.values import STDIN, read_numbers, read_values
from fpx.core.choices import LIKE, ScaleRule
from fpx.core.literals import ReadAs, parse_literal
from fpx.core.names import ALL
from fpx.core.numbers import Literal, wide_enough
from fpx.core.packing import Packing
from fpx.core.policy import ROUNDINGS, Overflow, Rounding, Stochastic, find_rounding
from fpx.core.spec import FormatSpec
from fpx.errors import InputError
from fpx.report.base import Report, Reports
from fpx.report.decode import Comparison, DecodeReport
from fpx.words import listed

if TYPE_CHECKING:
    from fpx.core.targets import Target

_RULES = tuple(rule.value for rule in ScaleRule)


def _complete_rule(incomplete: str) -> list[str]:
    return [name for name in (*_RULES, ALL) if name.startswith(incomplete)]


def _complete_library(incomplete: str) -> list[str]:
    return [name for name in LIKE if name.startswith(incomplete)]


def _complete_rounding(incomplete: str) -> list[str]:
    return [name for name in (*ROUNDINGS, ALL) if name.startswith(incomplete)]


@options.output_forms
def decode(
    values: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="VALUE...",
            help="3.14, -1e-3, 0x1.8p3, 1/3, '(2 - 2^-7) x 2^127', inf, nan, snan, a code 0x4049 "
            "or 0b0100, max, min, smallest_normal, smallest_subnormal, epsilon, one, pi, tau, e; - "
            "reads one per line from stdin. Of block formats one may hold several: '6 -4 3'.",
            show_default=False,
        ),
    ] = None,
    dtype: options.Targets = None,
    rounding: Annotated[
        str,
        typer.Option(
            "--rounding",
            metavar="MODE",
            help="What becomes of a number between two values: "
            f"{', '.join(ROUNDINGS[:-1])}; all, to compare them; or stochastic[:BITS[:a|b|c]], "
            "which shows all that it may become.",
            autocompletion=_complete_rounding,
        ),
    ] = Rounding.TIES_TO_EVEN.value,
    overflow: options.OverflowPolicy = Overflow.IEEE,
    read_as: options.Meaning = ReadAs.AUTO,
    libraries: Annotated[
        bool,
        typer.Option(
            "--libraries",
            help="Also cast with torch, numpy and ml_dtypes, and say where and why they differ.",
        ),
    ] = False,
    scale_rule: Annotated[
        str | None,
        typer.Option(
            "--scale-rule",
            metavar="RULE",
            help=f"Block formats: which scale a block gets: {listed(_RULES)}; or all, to compare "
            "them.",
            autocompletion=_complete_rule,
            show_default=False,
        ),
    ] = None,
    like: Annotated[
        str | None,
        typer.Option(
            "--like",
            metavar="LIBRARY",
            help=f"Block formats: encode as a library does: {listed(LIKE)}.",
            autocompletion=_complete_library,
            show_default=False,
        ),
    ] = None,
    global_scale: Annotated[
        str | None,
        typer.Option(
            "--global-scale",
            metavar="VALUE",
            help="nvfp4: the scale that multiplies all blocks; without it that of these numbers, "
            "of codes 1.",
            show_default=False,
        ),
    ] = None,
    codes: Annotated[
        str | None,
        typer.Option(
            "--codes",
            metavar="HEX",
            help="Block formats: the bytes of packed elements, in place of numbers.",
            show_default=False,
        ),
    ] = None,
    scale_code: Annotated[
        str | None,
        typer.Option(
            "--scale-code",
            metavar="CODE",
            help="With --codes: the code of their scale, such as 0x7f; of several blocks one each, "
            "with commas between.",
            show_default=False,
        ),
    ] = None,
    packing: Annotated[
        Packing | None,
        typer.Option(
            "--packing",
            help="Block formats: how codes lie in bytes; see fpx bits --help. Without it "
            "low-first, of nf4 and fp4_bnb high-first.",
            show_default=False,
        ),
    ] = None,
    how: Output = SCREEN,
) -> None:
    """Show a number's bits in a format, with its exact value, error and neighbours.

    The number is read exactly and rounded once. Without --dtype it is shown in float64, float32,
    float16 and bfloat16 side by side. Several numbers, and those of stdin, have a row each. In
    block formats such as mxfp4, numbers share scales.

    [bold]Examples[/bold]

    \b
    fpx decode 3.14                     four formats side by side
    fpx decode 3.14 --dtype bf16        the whole story in one format
    fpx decode 0x4049 --dtype bf16      what a code means
    fpx decode 448 --dtype all          one line per format, by error
    fpx decode 0.1 --dtype fp16 --rounding all
    fpx decode 3.14159 --dtype e4m3fn --rounding stochastic
    fpx decode 2049.0000000000001 --dtype fp16 --libraries
    fpx decode -max smallest_subnormal pi --dtype e4m3fn
    fpx decode -inf 1/3 0x1.8p-3 --dtype half --json
    fpx decode '(2 - 2^-7) x 2^127' --dtype bf16
    seq 1 1000 | fpx decode - --dtype bf16
    fpx decode --dtype mxfp4 '6 -4 3 0.1'
    fpx decode --dtype mxfp4 '6 -4 3 0.1' --scale-rule all
    fpx decode --dtype mxfp4 --scale-code 0x7f --codes e745
    """
    targets = options.find_targets(dtype or options.SIDE_BY_SIDE)
    formats = [target for target in targets if isinstance(target, FormatSpec)]
    of_blocks = (scale_rule, like, global_scale, codes, scale_code, packing)
    if len(formats) < len(targets) or any(given is not None for given in of_blocks):
        from fpx.render.block import BlocksDrawing
        from fpx.report.blocking import BlockOptions  # single numbers have no need of it

        tensors = None if global_scale is None else parse_literal(global_scale)
        blocks = BlockOptions(scale_rule, like, tensors, codes, scale_code, packing)
        blocks.refuse(targets)
        _refuse_rounding(targets, rounding, overflow, libraries)
        found = blocks.report(targets, read_numbers(values or (), read_as))
        show(found, how, BlocksDrawing(packing))
        return
    if not values:
        raise InputError(f"VALUE... is missing (see {command_path()} --help)")
    asked = ",".join(dtype or ()).lower().split(",")
    every = any(name.strip().startswith(ALL) for name in asked)
    named = bool(dtype) and not every
    mode = None if rounding == ALL else find_rounding(rounding, (ALL,))
    if isinstance(mode, Stochastic):
        if libraries:
            raise InputError("libraries round to nearest: leave out `libraries`, or `rounding`")
        _show_distributions(values, formats, named, mode, overflow, read_as, how)
        return
    modes = list(Rounding) if mode is None else [mode]
    surveyed = every or len(modes) > 1

    def report(literal: Literal) -> Report:
        """All there is to show of one number."""
        chosen = formats if named else wide_enough(literal, formats)
        if libraries:
            from fpx.conformance.libraries import compare_libraries

            return Reports(
                tuple(
                    compare_libraries(DecodeReport.of(literal, spec, mode, overflow))
                    for spec in chosen
                    for mode in modes
                )
            )
        if surveyed:
            from fpx.report.survey import survey

            found = survey(literal, chosen, modes, overflow)
            if how.form != "text":  # which says so itself
                for name, reason in found.refused:
                    note(f"{name} is left out: {reason}")
            return found
        if len(chosen) == 1:
            return DecodeReport.of(literal, chosen[0], modes[0], overflow)
        items = tuple(DecodeReport.of(literal, spec, modes[0], overflow) for spec in chosen)
        return Reports(items) if dtype else Comparison(items)

    draw = None
    if not (libraries or surveyed) and (len(values) > 1 or STDIN in values):
        from fpx.render.decode import DecodeRows

        draw = DecodeRows(values)
    reports = (report(literal) for literal in read_values(values, read_as))
    show(
        collected(reports, how, DecodeReport.schema),
        how,
        draw,
        prompt=STDIN not in values,
    )


def _show_distributions(
    values: Sequence[str],
    formats: list[FormatSpec],
    named: bool,
    rounding: Stochastic,
    overflow: Overflow,
    read_as: ReadAs,
    how: Output,
) -> None:
    """All that numbers may become, in formats that were named or not."""
    from fpx.render.distribution import DistributionRows
    from fpx.report.distribution import DistributionReport

    def report(literal: Literal) -> Report:
        chosen = formats if named else wide_enough(literal, formats)
        items = tuple(DistributionReport.of(literal, spec, rounding, overflow) for spec in chosen)
        return items[0] if len(items) == 1 else Reports(items)

    several = len(values) > 1 or STDIN in values or len(formats) > 1
    reports = (report(literal) for literal in read_values(values, read_as))
    show(
        collected(reports, how, DistributionReport.schema),
        how,
        DistributionRows(values) if several else None,
        prompt=STDIN not in values,
    )


def _refuse_rounding(
    targets: Sequence["Target"], rounding: str, overflow: Overflow, libraries: bool
) -> None:
    """Refuses what has no meaning where numbers share scales.

    Raises:
        InputError: formats of both kinds, or an option for the other one.
    """
    from fpx.core.targets import with_scales

    scaled = with_scales(targets)[0]
    for given, name, instead in (
        (rounding != Rounding.TIES_TO_EVEN.value, "rounding", f"{scaled.name}:ties=away"),
        (overflow is not Overflow.IEEE, "overflow", ""),
        (libraries, "libraries", f"--like {next(iter(LIKE))}"),
    ):
        if given:
            raise InputError(
                f"--{name} is for formats without scales, and {scaled.name} has them"
                + (f": write {instead}" if instead else "")
            )
