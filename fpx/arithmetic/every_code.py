"""An expression over every code of one or two variables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import product

from fpx.arithmetic.evaluation import (
    constant_steps,
    exact_whole,
    rounded_literals,
    rounded_steps,
)
from fpx.arithmetic.one_format import ordered_for, raised
from fpx.arithmetic.parser import Expression
from fpx.arithmetic.results import Coded, Target, coded
from fpx.arithmetic.surds import TooHardError
from fpx.core import codec
from fpx.core.codec import Classification
from fpx.core.spec import FormatSpec
from fpx.errors import InputError
from fpx.report.calc import Order
from fpx.report.calc_all import COUNTS, KINDS, AllCodesReport, Binade, VariableCounts
from fpx.report.limits import Limit
from fpx.words import quoted

_MOST_BITS = {1: 16, 2: 8}
"""Variables -> bits of the widest format."""

_NAMES = {
    Classification.ZERO: "zero",
    Classification.SUBNORMAL: "subnormal",
    Classification.NORMAL: "normal",
    Classification.INFINITY: "inf",
}


def over_every_code(
    expression: Expression,
    target: Target,
    *,
    order: Order = Order.SEQUENTIAL,
    precise: bool = False,
    checks: Sequence[Limit] = (),
) -> AllCodesReport:
    """What an expression with one or two variables gives over all of their codes.

    Args:
        expression, target, order, precise, checks: as for `fpx.arithmetic.one_format.calc_in`.

    Raises:
        InputError: as there; the format is too wide, or there are too many variables.
    """
    spec, names = target.spec, expression.variables
    check_variables(expression, spec)
    kinds = kinds_of(spec)
    exponents = [_exponent(code, target) for code in range(1 << spec.bits)]
    counts = Counter(dict.fromkeys(COUNTS, 0))
    seen: list[Counter[tuple[str, int]]] = [Counter() for _ in names]
    same: list[Counter[tuple[str, int]]] = [Counter() for _ in names]
    for codes, (code, flags) in _every(expression, target, order, precise):
        counts["count"] += 1
        for name in {kinds[item] for item in codes}.intersection(("nan", "inf", "zero")):
            counts[f"{name}_input_count"] += 1
        for flag in flags:
            counts[f"{flag}_count"] += 1
        counts["exact_count"] += not flags
        if kinds[code] != "normal":
            counts[f"{kinds[code]}_result_count"] += 1
        for item, total, unchanged in zip(codes, seen, same, strict=True):
            if kinds[item] in KINDS:
                key = kinds[item], exponents[item]
                total[key] += 1
                unchanged[key] += code == item
    return AllCodesReport(
        expression=expression.text,
        spec=spec,
        rounding=target.rounding,
        overflow=target.overflow,
        order=order,
        precise=precise,
        literals={} if precise else rounded_literals(expression, target),
        counts={name: counts[name] for name in COUNTS},
        variables=tuple(
            VariableCounts(
                name,
                tuple(
                    Binade(kind, exponent, total[kind, exponent], unchanged[kind, exponent])
                    for kind, exponent in sorted(total, key=lambda key: key[1])
                ),
            )
            for name, total, unchanged in zip(names, seen, same, strict=True)
        ),
        checks=tuple(checks),
    )


def _every(
    expression: Expression, target: Target, order: Order, precise: bool
) -> Iterator[tuple[tuple[int, ...], Coded]]:
    """The variables' codes, and what the expression gives of them."""
    names = expression.variables
    every = product(range(1 << target.spec.bits), repeat=len(names))
    if precise:
        for codes in every:
            try:
                whole = exact_whole(expression, target, dict(zip(names, codes, strict=True)))
            except TooHardError as error:
                raise InputError(
                    f"{quoted(expression.text)}: the exact value {error}; leave out `precise=True`"
                ) from None
            yield codes, coded(whole, target)
        return
    ordered = ordered_for(expression, order, target)
    known = constant_steps(ordered, target)
    for codes in every:
        done = rounded_steps(ordered, target, dict(zip(names, codes, strict=True)), known)
        yield codes, Coded(done[-1].coded.code, raised(item for item in done if item.exact))


def check_variables(expression: Expression, spec: FormatSpec) -> None:
    """Refuses variables whose codes are too many.

    Raises:
        InputError: they are.
    """
    names = expression.variables
    if len(names) not in _MOST_BITS:
        raise InputError(f"`all_` runs over one variable or two, not {len(names)}")
    if spec.bits > _MOST_BITS[len(names)]:
        raise InputError(
            f"{spec.name} has {spec.bits} bits: `all_` runs over formats of up to 16 bits, with "
            "two variables of up to 8"
        )


def kinds_of(spec: FormatSpec) -> list[str]:
    """Of each code: `zero`, `subnormal`, `normal`, `inf` or `nan`."""
    every = (codec.classify(code, spec) for code in range(1 << spec.bits))
    return [_NAMES.get(found, "nan") for found in every]


def _exponent(code: int, target: Target) -> int:
    """floor(log2) of a finite non-zero value; else 0."""
    value = codec.decode(code, target.spec)
    return 0 if value is None or not value.significand else value.log2_floor
