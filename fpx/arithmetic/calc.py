"""`fpx calc`: an expression in formats."""

from __future__ import annotations

from collections.abc import Sequence

from fpx.arithmetic.every_code import over_every_code
from fpx.arithmetic.one_format import calc_in
from fpx.arithmetic.parser import parse
from fpx.arithmetic.results import Target
from fpx.arithmetic.stochastic import outcomes_in
from fpx.arithmetic.stochastic_every_code import outcomes_over_every_code
from fpx.core.literals import ReadAs
from fpx.core.policy import AnyRounding, Overflow, Rounding, Stochastic
from fpx.core.spec import FormatSpec
from fpx.errors import InputError
from fpx.report import calc_all, calc_all_stochastic
from fpx.report.calc import NUMBERS, SUCH, CalcReport, CalcReports, Order
from fpx.report.calc_all import AllCodesReports
from fpx.report.calc_all_stochastic import AllOutcomesReports
from fpx.report.calc_stochastic import StochasticReports
from fpx.report.limits import Limit, parse_limit


def calc(
    text: str,
    formats: Sequence[FormatSpec],
    *,
    rounding: AnyRounding = Rounding.TIES_TO_EVEN,
    overflow: Overflow = Overflow.IEEE,
    read_as: ReadAs = ReadAs.AUTO,
    precise: bool = False,
    order: Order = Order.SEQUENTIAL,
    traced: bool = False,
    variables: Sequence[str] = (),
    libraries: bool = False,
    conditions: Sequence[str] = (),
) -> CalcReports | AllCodesReports | StochasticReports | AllOutcomesReports:
    """What an expression gives in each of some formats.

    Args:
        text: the expression: see `fpx.arithmetic.parser.parse`.
        formats: one or more.
        rounding, overflow: how results are rounded; stochastically, all of them are told.
        read_as: what `0x…`, `0b…` and plain integers mean.
        precise: whether the whole is computed exactly and rounded once.
        order: how sums and dot products add.
        traced: whether every step is shown.
        variables: names in the expression that take every code; one may be several with commas
            between them.
        libraries: whether numpy's and torch's results stand beside.
        conditions: what fails the report: see `fpx.report.limits.parse_limit`.

    Returns:
        A report for each format; with variables, on all of their codes; by stochastic rounding, on
        all results; on both.

    Raises:
        InputError: no such expression or condition, or a format that cannot hold its numbers.
    """
    if not formats:
        raise InputError("there is nothing to compute in: give a format")
    names = [part.strip() for name in variables for part in name.split(",")]
    expression = parse(text, list(dict.fromkeys(names)), read_as)
    if isinstance(rounding, Stochastic):
        for given, name in (
            (traced, "trace"), (libraries, "libraries"), (conditions and not variables, "fail_if"),
        ):  # fmt: skip
            if given:
                raise InputError(
                    f"`{name}` is of one result, and stochastic rounding has several: choose "
                    "another `rounding`"
                )
        if variables:
            limits = _limits(conditions, calc_all_stochastic.NUMBERS, calc_all_stochastic.SUCH)
            return AllOutcomesReports(
                tuple(
                    outcomes_over_every_code(
                        expression, spec, rounding, overflow,
                        order=order, precise=precise, checks=limits,
                    )
                    for spec in formats
                )
            )  # fmt: skip
        return StochasticReports(
            tuple(
                outcomes_in(expression, spec, rounding, overflow, order=order, precise=precise)
                for spec in formats
            )
        )
    targets = [Target(spec, rounding, overflow) for spec in formats]
    if variables:
        for asked, name in ((traced, "trace"), (libraries, "libraries")):
            if asked:
                raise InputError(f"`{name}` is of single results: leave out `all_`")
        checks = _limits(conditions, calc_all.NUMBERS, calc_all.SUCH)
        return AllCodesReports(
            tuple(
                over_every_code(expression, target, order=order, precise=precise, checks=checks)
                for target in targets
            )
        )
    checks = _limits(conditions, NUMBERS, SUCH)

    def report(target: Target) -> CalcReport:
        found = calc_in(
            expression, target, order=order, precise=precise, traced=traced, checks=checks
        )
        if not libraries:
            return found
        from fpx.arithmetic.libraries import with_libraries  # which loads them

        return with_libraries(found, expression, target)

    return CalcReports(tuple(map(report, targets)))


def _limits(
    conditions: Sequence[str], names: Sequence[str], such: tuple[str, str]
) -> tuple[Limit, ...]:
    return tuple(parse_limit(text, names, such) for text in conditions)
