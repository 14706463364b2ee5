"""Checks for other people's test suites.

    >>> import torch
    >>> from fpx.testing import assert_fits
    >>> assert_fits(torch.tensor([1.0, 2.0]), "float16")
    >>> assert_fits(torch.tensor([1.0, 2.0]), "float16", "overflow_count==0", "sqnr_db>=50")

torch is loaded when one of them is called, and not before.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from fpx.errors import InputError, UnavailableError
from fpx.report.checks import Requirement, failures, parse_condition
from fpx.report.verdicts import USUAL, Tolerance

if TYPE_CHECKING:
    from fpx.core.spec import FormatSpec

__all__ = ["Tolerance", "assert_fits"]

_MOST = 20  # rows in a message


def assert_fits(
    source: Any,
    to: str | FormatSpec | Iterable[str | FormatSpec],
    *conditions: str,
    include: str | Iterable[str] = (),
    exclude: str | Iterable[str] = (),
    integers: bool = False,
    tolerance: Tolerance = USUAL,
) -> None:
    """Fails unless every tensor can be cast to a format without losing more than is allowed.

    Args:
        source: a tensor, an array, a dict of those, a `state_dict()`, an `nn.Module`, or the path
            of a tensor file or of a directory of them.
        to: the format, or several.
        conditions: what must hold of every tensor, as in `"overflow_count==0"` or `"sqnr_db>=50"`
            (metrics as of `fpx cast-compare`). What is undefined, as an error of nothing but
            destroyed values, does not hold. Without any: that the verdict is `fits`.
        include, exclude: patterns of tensor names: globs, or `re:` and a regular expression.
        integers: whether integer and bool tensors are cast too.
        tolerance: how much a tensor may lose and still get the verdict `fits`.

    Raises:
        AssertionError: a condition does not hold; the message has the tensors, what they lose, and
            what would help.
        InputError: no such format, condition or file, or there is no tensor to cast.
        UnavailableError: a condition is on what is measured on another device only.
    """
    import fpx

    asked = [Requirement(parse_condition(text)) for text in conditions or ("verdict==fits",)]
    report = fpx.cast_compare(
        source,
        to,
        include=include,
        exclude=exclude,
        integers=integers,
        tolerate_overflow=tolerance.overflow_rate,
        tolerate_underflow=tolerance.underflow_rate,
        tolerate_loss=tolerance.small_value_loss_db,
    )
    if report.errors:
        raise InputError(report.errors[0])
    if not report.rows:
        raise InputError("there is no tensor to cast, so nothing can be said of it")
    rows = report.worst_first()
    for check in asked:
        if any(check.value(row) is None for row in rows):
            raise UnavailableError(
                f"{check.text} cannot be checked: {check.condition.metric} is not measured here"
            )
    failed = failures(rows, asked)
    if not failed:
        return
    bad = len({id(failure.row) for failure in failed})
    lines = [f"{bad:,} of {len(rows):,} casts lose{'s' * (bad == 1)} too much:"]
    lines += [f"  {failure.text}" for failure in failed[:_MOST]]
    if len(failed) > _MOST:
        lines.append(f"  and {len(failed) - _MOST:,} more")
    lines += [f"{answer.to}: {answer.text}" for answer in report.answers]
    raise AssertionError("\n".join(lines))
