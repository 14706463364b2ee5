"""Formats: what they are, their constants and their values."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fpx.api.arguments import _Targets
from fpx.api.scalars import decode
from fpx.core.names import ALL
from fpx.core.scaling import ScaledFormat
from fpx.core.spec import FormatSpec
from fpx.core.targets import find_listed, find_plain, find_target, with_scales

if TYPE_CHECKING:
    from fpx.report.element_table import ElementTable
    from fpx.report.formats import FormatsReport
    from fpx.report.ranges import FormatReport, RangeComparison
    from fpx.report.scaled_range import RangeReport
    from fpx.report.table import TableReport


def format_info(dtype: str | FormatSpec) -> FormatReport:
    """The constants of a format, exact.

    Raises:
        FpxError: no such format.
    """
    from fpx.report.ranges import FormatReport

    return FormatReport(find_plain(dtype))


def ranges(dtype: _Targets = ALL) -> RangeReport:
    """The constants of several formats: what `fpx range` shows.

    Args:
        dtype: formats or their names; `all` is every listed one.

    Raises:
        FpxError: no such format.
    """
    from fpx.report.scaled_range import RangeReport

    return RangeReport.of(find_listed(dtype))


def compare_ranges(old: str | FormatSpec, new: str | FormatSpec) -> RangeComparison:
    """What going from one format to another gains and loses: what `fpx range --compare` shows.

    Raises:
        FpxError: no such format.
    """
    from fpx.report.ranges import RangeComparison

    return RangeComparison(find_plain(old), find_plain(new))


def formats(names: _Targets = ALL) -> FormatsReport:
    """Formats with their layout, special values, other names, and the libraries that have them.

    Args:
        names: formats or any of their names; `all` is every listed one.

    Raises:
        FpxError: no such format.
    """
    from fpx.report.formats import FormatsReport

    return FormatsReport.of(find_listed(names))


def table(dtype: str | FormatSpec, *, around: object | None = None, count: int = 16) -> TableReport:
    """The values of a format: all of them, or some around one.

    Args:
        dtype: a format or its name; without `around`, of up to 20 bits.
        around: a number, as for `decode`.
        count: how many values, with `around`.

    Raises:
        FpxError: no such format, or it is too wide; `around` is no number; `count` is not positive.
    """
    from fpx.report.table import TableReport

    if around is None:
        return TableReport.whole(find_plain(dtype))
    return TableReport.around(decode(around, dtype), count)


def element_table(dtype: str | ScaledFormat, *, scale_code: int | None = None) -> ElementTable:
    """The elements of a format with scales, or a table of numbers: what `fpx table` shows of those.

    Args:
        dtype: such a format or its name (`mxfp4`), or `int8`.
        scale_code: the code of a scale, which multiplies the elements.

    Raises:
        FpxError: no such format, or it has no such scale.
    """
    from fpx.report.element_table import ElementTable, find_codebook

    found = find_codebook(dtype) if isinstance(dtype, str) else None
    return ElementTable.of(found or with_scales([find_target(dtype)])[0], scale_code)
