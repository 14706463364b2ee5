"""Numbers one by one: decoded, encoded, and how far apart they are."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, overload

from fpx.api.arguments import _choice, _Formats, _Several
from fpx.core.literals import ReadAs, to_literal
from fpx.core.names import ALL
from fpx.core.numbers import Literal, wide_enough
from fpx.core.policy import Overflow, Rounding, Stochastic, find_rounding
from fpx.core.spec import FormatSpec
from fpx.core.targets import find_plain, find_targets, without_scales
from fpx.errors import InputError
from fpx.report.decode import DecodeReport
from fpx.report.encode import EncodeReport
from fpx.words import quoted

if TYPE_CHECKING:
    from fpx.report.distance import DistanceReport, Distances
    from fpx.report.distribution import DistributionReport
    from fpx.report.survey import Survey


def decode(
    value: object,
    dtype: str | FormatSpec = "float32",
    *,
    rounding: Rounding | str = Rounding.TIES_TO_EVEN,
    overflow: Overflow | str = Overflow.IEEE,
    read_as: ReadAs | str = ReadAs.AUTO,
) -> DecodeReport:
    """What `dtype` makes of a number or a code: bits, exact value, error, neighbours.

    Args:
        value: a literal (`"3.14"`, `"0x1.8p3"`, `"1/3"`, `"inf"`; `"0x4049"` is a code), or an
            int, float, `Fraction`, `Decimal` or numpy scalar, taken at its exact value.
        dtype: a format or its name.
        rounding, overflow, read_as: see those classes; their values as strings work too.

    Raises:
        FpxError: no such format, no such literal, or the format cannot hold it.
    """
    return DecodeReport.of(*_arguments(value, dtype, rounding, overflow, read_as))


def distribution(
    value: object,
    dtype: str | FormatSpec = "float32",
    *,
    rounding: Stochastic | str = "stochastic",
    overflow: Overflow | str = Overflow.IEEE,
    read_as: ReadAs | str = ReadAs.AUTO,
) -> DistributionReport:
    """All that a number may become in `dtype` by stochastic rounding, with exact probabilities.

    Args:
        value, dtype, overflow, read_as: as for `decode`.
        rounding: `stochastic`, which is without bias, or `stochastic:BITS[:a|b|c]`.

    Raises:
        FpxError: as `decode`, or that is no stochastic rounding.
    """
    from fpx.report.distribution import DistributionReport

    mode = find_rounding(rounding) if isinstance(rounding, str) else rounding
    if not isinstance(mode, Stochastic):
        raise InputError(f"`rounding` is stochastic here, not {quoted(mode.value)}: see `decode`")
    literal = to_literal(value, _choice(ReadAs, read_as, "read_as"))
    return DistributionReport.of(
        literal, find_plain(dtype), mode, _choice(Overflow, overflow, "overflow")
    )


def survey(
    value: object,
    dtype: _Formats = ALL,
    *,
    rounding: Rounding | str | Iterable[Rounding | str] = Rounding.TIES_TO_EVEN,
    overflow: Overflow | str = Overflow.IEEE,
    read_as: ReadAs | str = ReadAs.AUTO,
) -> Survey:
    """What several formats, or rounding modes, make of a number, the smallest error first.

    Args:
        value: as for `decode`.
        dtype: formats or their names; `all` is every listed one.
        rounding: one or several; `all` is every one.
        overflow, read_as: as for `decode`.

    Raises:
        FpxError: as `decode`; of several formats only if none can hold the number.
    """
    from fpx.report.survey import survey as report_on

    if rounding == ALL:
        modes = list(Rounding)
    elif isinstance(rounding, (str, Rounding)):
        modes = [_choice(Rounding, rounding, "rounding")]
    else:
        modes = [_choice(Rounding, mode, "rounding") for mode in rounding]
    literal = to_literal(value, _choice(ReadAs, read_as, "read_as"))
    specs = without_scales(find_targets(dtype))
    if isinstance(dtype, str) and dtype.strip().lower() == ALL:
        specs = wide_enough(literal, specs)
    return report_on(literal, specs, modes, _choice(Overflow, overflow, "overflow"))


def encode(
    value: object,
    dtype: str | FormatSpec = "float32",
    *,
    rounding: Rounding | str = Rounding.TIES_TO_EVEN,
    overflow: Overflow | str = Overflow.IEEE,
    read_as: ReadAs | str = ReadAs.AUTO,
) -> EncodeReport:
    """The code of a number in `dtype`, in the report's `code`; arguments as for `decode`.

    Raises:
        FpxError: as `decode`.
    """
    return EncodeReport.of(*_arguments(value, dtype, rounding, overflow, read_as))


@overload
def distance(
    first: object,
    second: object,
    dtype: str | FormatSpec = "float32",
    *,
    read_as: ReadAs | str = ReadAs.AUTO,
) -> DistanceReport: ...


@overload
def distance(
    first: object,
    second: object,
    dtype: _Several,
    *,
    read_as: ReadAs | str = ReadAs.AUTO,
) -> Distances: ...


def distance(
    first: object,
    second: object,
    dtype: str | FormatSpec | _Several = "float32",
    *,
    read_as: ReadAs | str = ReadAs.AUTO,
) -> DistanceReport | Distances:
    """How many values lie between two numbers, and their exact difference.

    Args:
        first, second: numbers, as for `decode`; both are rounded to the format.
        dtype: a format or its name; a list or tuple gives a `Distances`, with a report for each.
        read_as: as for `decode`.

    Raises:
        FpxError: as `decode`, or one of the two is a NaN.
    """
    from fpx.report.distance import DistanceReport, Distances

    def report(spec: str | FormatSpec) -> DistanceReport:
        return DistanceReport(*(decode(end, spec, read_as=read_as) for end in (first, second)))

    if isinstance(dtype, (str, FormatSpec)):
        return report(dtype)
    return Distances(tuple(report(spec) for spec in without_scales(find_targets(dtype))))


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
