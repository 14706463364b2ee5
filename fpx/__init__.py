"""fpx shows what a floating-point format does to numbers: exact bits, exact casts, real tensors.

    >>> import fpx
    >>> fpx.decode("3.14", "bf16").value
    Fraction(201, 64)
    >>> hex(fpx.encode("65519.999999999999", "fp16").code)
    '0x7bff'
    >>> fpx.format_info("bfloat16").max_finite == fpx.decode("0x7f7f", "bf16").value
    True

Every command is a function here, with its options as parameters, and gives the report that the
command shows. `libraries`, `inspect`, `cast_compare`, `cast_verify` and `devices` load torch when
they are first called; nothing else does.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from os import PathLike
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar, overload

from fpx.core.formats import FORMATS
from fpx.core.literals import ReadAs, to_literal
from fpx.core.names import ALL, find_format, find_formats
from fpx.core.numbers import Literal
from fpx.core.policy import Overflow, Rounding
from fpx.core.spec import FormatSpec
from fpx.errors import FpxError, InputError
from fpx.report.base import Report, draw_with
from fpx.report.decode import DecodeReport
from fpx.report.encode import EncodeReport
from fpx.version import __version__
from fpx.words import quoted

if TYPE_CHECKING:
    from fpx.core.packing import Packing
    from fpx.report.base import Renderer
    from fpx.report.bits import BitsReport
    from fpx.report.cast_compare import CastReport
    from fpx.report.distance import DistanceReport, Distances
    from fpx.report.formats import FormatsReport
    from fpx.report.libraries import LibraryReport
    from fpx.report.ranges import FormatReport, RangeComparison, RangeReport
    from fpx.report.survey import Survey
    from fpx.report.table import TableReport

__all__ = [
    "FORMATS",
    "DecodeReport",
    "EncodeReport",
    "FormatSpec",
    "FpxError",
    "Overflow",
    "ReadAs",
    "Report",
    "Rounding",
    "__version__",
    "bits",
    "cast_compare",
    "compare_ranges",
    "decode",
    "distance",
    "encode",
    "find_format",
    "format_info",
    "formats",
    "libraries",
    "ranges",
    "survey",
    "table",
]

_Choice = TypeVar("_Choice", bound=Enum)
_Formats = str | FormatSpec | Iterable[str | FormatSpec]
_Several = list[str] | list[FormatSpec] | list[str | FormatSpec] | tuple[str | FormatSpec, ...]


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
    return report_on(literal, find_formats(dtype), modes, _choice(Overflow, overflow, "overflow"))


def libraries(
    value: object,
    dtype: str | FormatSpec = "float32",
    *,
    rounding: Rounding | str = Rounding.TIES_TO_EVEN,
    overflow: Overflow | str = Overflow.IEEE,
    read_as: ReadAs | str = ReadAs.AUTO,
) -> LibraryReport:
    """What torch, numpy and ml_dtypes make of a number, beside the exact result.

    Arguments and errors are those of `decode`.
    """
    from fpx.conformance.libraries import compare_libraries

    return compare_libraries(
        decode(value, dtype, rounding=rounding, overflow=overflow, read_as=read_as)
    )


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


def format_info(dtype: str | FormatSpec) -> FormatReport:
    """The constants of a format, exact.

    Raises:
        FpxError: no such format.
    """
    from fpx.report.ranges import FormatReport

    return FormatReport(find_format(dtype))


def ranges(dtype: _Formats = ALL) -> RangeReport:
    """The constants of several formats: what `fpx range` shows.

    Args:
        dtype: formats or their names; `all` is every listed one.

    Raises:
        FpxError: no such format.
    """
    from fpx.report.ranges import RangeReport

    return RangeReport(tuple(format_info(spec) for spec in find_formats(dtype)))


def compare_ranges(old: str | FormatSpec, new: str | FormatSpec) -> RangeComparison:
    """What going from one format to another gains and loses: what `fpx range --compare` shows.

    Raises:
        FpxError: no such format.
    """
    from fpx.report.ranges import RangeComparison

    return RangeComparison(find_format(old), find_format(new))


def formats(names: _Formats = ALL) -> FormatsReport:
    """Formats with their layout, special values, other names, and the libraries that have them.

    Args:
        names: formats or any of their names; `all` is every listed one.

    Raises:
        FpxError: no such format.
    """
    from fpx.report.formats import FormatsReport, NamesReport

    return FormatsReport(tuple(NamesReport(spec) for spec in find_formats(names)))


def table(dtype: str | FormatSpec, *, around: object | None = None, count: int = 16) -> TableReport:
    """The values of a format: all of them, or some around one.

    Args:
        dtype: a format or its name; without `around`, of up to 12 bits.
        around: a number, as for `decode`.
        count: how many values, with `around`.

    Raises:
        FpxError: no such format, or it is too wide; `around` is no number; `count` is not positive.
    """
    from fpx.report.table import TableReport

    if around is None:
        return TableReport.whole(find_format(dtype))
    return TableReport.around(decode(around, dtype), count)


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
    return Distances(tuple(report(spec) for spec in find_formats(dtype)))


def bits(
    file: str | PathLike[str] | bytes | bytearray | memoryview | BinaryIO,
    dtype: str | FormatSpec,
    *,
    offset: int = 0,
    count: int | None = None,
    big_endian: bool = False,
    packing: Packing | str | None = None,
) -> BitsReport:
    """Raw bytes as the codes of a format.

    Args:
        file: the path of a file, an open binary file, or bytes.
        dtype: a format or its name.
        offset: bytes to skip first.
        count: codes to decode; without it all.
        big_endian: of codes with whole bytes, whether the highest byte comes first.
        packing: how codes of 4, 6 or other odd widths lie: `low-first`, `high-first` or `bytes`;
            without it `low-first` below 8 bits, else `bytes`.

    Raises:
        FpxError: no such format, the file cannot be read or ends before the offset, or a number is
            negative.
    """
    from fpx.core.packing import Packing
    from fpx.report.bits import BitsReport, bits_stream, read_chunks

    if packing is not None:
        packing = _choice(Packing, packing, "packing")
    *_, last = parts = list(
        bits_stream(
            read_chunks(file, offset),
            find_format(dtype),
            offset=offset,
            count=count,
            packing=packing,
            big_endian=big_endian,
        )
    )
    codes = [code for part in parts for code in part.codes]
    return BitsReport(last.spec, codes, offset, last.stride, last.leftover_bytes)


def cast_compare(
    source: Any = (),
    to: str | FormatSpec | Iterable[str | FormatSpec] = ("float16", "bfloat16"),
    *,
    from_: str | FormatSpec = "float32",
    device: str = "cpu",
    size: int = 1 << 20,
    seed: int = 0,
) -> CastReport:
    """What torch's cast to each target loses of a tensor, an array, a file or a distribution.

    Args:
        source: a torch tensor, a numpy array, the path of a tensor file, the name of a distribution
            such as `"normal"`, or a list of those; none means every distribution.
        to: target format or formats.
        from_: dtype in which distributions are drawn.
        device: `cpu`, `cuda`, `cuda:N` or `auto`.
        size, seed: of the random distributions.

    Raises:
        FpxError: the source cannot be read, or the device is not there.
    """
    from fpx.measure.cast_compare import cast_compare as compare

    sources = list(source) if isinstance(source, (list, tuple)) else [source]
    targets = [to] if isinstance(to, (str, FormatSpec)) else to
    return compare(
        sources,
        [find_format(name) for name in targets],
        from_=find_format(from_),
        device=device,
        size=size,
        seed=seed,
    )


def _arguments(
    value: object,
    dtype: str | FormatSpec,
    rounding: Rounding | str,
    overflow: Overflow | str,
    read_as: ReadAs | str,
) -> tuple[Literal, FormatSpec, Rounding, Overflow]:
    literal = to_literal(value, _choice(ReadAs, read_as, "read_as"))
    mode = _choice(Rounding, rounding, "rounding")
    return literal, find_format(dtype), mode, _choice(Overflow, overflow, "overflow")


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


def _renderer() -> Renderer:
    import fpx.render

    return fpx.render


draw_with(_renderer)
