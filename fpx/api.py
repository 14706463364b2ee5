"""The functions of `import fpx`: one per command, with its options as parameters."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import Enum
from os import PathLike
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar, overload

from fpx.core.blocks import (
    Target,
    asked_targets,
    find_listed,
    find_plain,
    find_target,
    find_targets,
    with_scales,
    without_scales,
)
from fpx.core.formats import FORMATS
from fpx.core.literals import ReadAs, to_literal
from fpx.core.names import ALL, find_format
from fpx.core.numbers import Literal
from fpx.core.policy import AnyRounding, Overflow, Rounding, Stochastic, find_rounding
from fpx.core.scaling import ScaledFormat
from fpx.core.spec import FormatSpec
from fpx.errors import FpxError, InputError
from fpx.report.base import Report
from fpx.report.decode import DecodeReport
from fpx.report.encode import EncodeReport
from fpx.report.verdicts import USUAL, Tolerance
from fpx.words import quoted

if TYPE_CHECKING:
    from fpx.casts.backends import Backend
    from fpx.core.packing import Packing
    from fpx.report.bits import BitsReport
    from fpx.report.block import BlocksReport
    from fpx.report.calc import CalcReport, CalcReports, Order
    from fpx.report.calc_all import AllCodesReport, AllCodesReports
    from fpx.report.calc_all_stochastic import AllOutcomesReport, AllOutcomesReports
    from fpx.report.calc_stochastic import StochasticReport, StochasticReports
    from fpx.report.cast_compare import CastReport
    from fpx.report.cast_verify import VerifyReport
    from fpx.report.devices import DevicesReport
    from fpx.report.diff import DiffReport
    from fpx.report.distance import DistanceReport, Distances
    from fpx.report.distribution import DistributionReport
    from fpx.report.element_table import ElementTable
    from fpx.report.followed import ElementReport
    from fpx.report.formats import FormatsReport
    from fpx.report.inspect import ExtremesReport, InspectReport, LayoutReport, TensorReport
    from fpx.report.libraries import LibraryReport
    from fpx.report.op_verify import FunctionsReport, OpVerifyReport
    from fpx.report.ranges import FormatReport, RangeComparison
    from fpx.report.reveal import RevealReport
    from fpx.report.scaled_range import RangeReport
    from fpx.report.step_compare import StepReport
    from fpx.report.stochastic_verify import RoundingReport
    from fpx.report.survey import Survey
    from fpx.report.table import TableReport
    from fpx.training.watch.watch import Watch

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
    "bits",
    "calc",
    "cast_compare",
    "cast_verify",
    "compare_ranges",
    "decode",
    "decode_block",
    "devices",
    "diff",
    "distance",
    "distribution",
    "element_table",
    "encode",
    "find_format",
    "format_info",
    "formats",
    "inspect",
    "libraries",
    "op_verify",
    "ranges",
    "reveal",
    "step_compare",
    "survey",
    "table",
    "verify_function",
    "watch",
]

_Choice = TypeVar("_Choice", bound=Enum)
_Formats = str | FormatSpec | Iterable[str | FormatSpec]
_Numbers = int | str | Iterable[int | str]
_Operations = str | Callable[..., Any] | Iterable[str | Callable[..., Any]]
_Targets = str | Target | Iterable[str | Target]
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


def decode_block(
    values: object = (),
    dtype: _Targets = "mxfp4",
    *,
    scale_rule: str | None = None,
    like: str | None = None,
    global_scale: object | None = None,
    codes: str | bytes | None = None,
    scale_code: int | str | Iterable[int] | None = None,
    packing: Packing | str | None = None,
    read_as: ReadAs | str = ReadAs.AUTO,
) -> BlocksReport:
    """What formats with scales make of numbers, or what packed codes and their scales mean.

    Args:
        values: a text of several numbers (`"6 -4 3 0.1"`) or several of what `decode` takes: the
            numbers of a tensor's last axis.
        dtype: formats with scales, or their names (`mxfp4`, `nvfp4:like=torchao`, `e4m3fn:tensor`).
        scale_rule: which scale a block gets, such as `rceil`; `all` compares the rules.
        like: encode as a library does: a name of `fpx.core.blocks.LIKE`.
        global_scale: the scale that multiplies all blocks; None is that of the numbers, of codes 1.
        codes: in place of numbers, the bytes of packed elements, or those in hexadecimal.
        scale_code: of `codes`: the code of their scale, of several blocks one each.
        packing: how codes lie in bytes; None is the usual way.
        read_as: as for `decode`.

    Returns:
        A report with an item per format and block, each with a row per number.

    Raises:
        FpxError: no such format or number, or arguments that exclude each other.
    """
    from fpx.core.literals import split_numbers
    from fpx.core.packing import Packing
    from fpx.report.blocking import BlockOptions

    meant = _choice(ReadAs, read_as, "read_as")
    if isinstance(values, str):
        values = split_numbers(values)
    elif not isinstance(values, Iterable):
        values = [values]
    if isinstance(scale_code, int):
        scale_code = [scale_code]
    options = BlockOptions(
        scale_rule,
        like,
        None if global_scale is None else to_literal(global_scale),
        codes,
        scale_code if scale_code is None or isinstance(scale_code, str) else list(scale_code),
        None if packing is None else _choice(Packing, packing, "packing"),
    )
    targets = with_scales(find_targets(dtype))
    return options.report(targets, [to_literal(value, meant) for value in values])


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
    return report_on(
        literal, without_scales(find_targets(dtype)), modes, _choice(Overflow, overflow, "overflow")
    )


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


def calc(
    expression: str,
    dtype: str | FormatSpec | _Several = "float32",
    *,
    rounding: AnyRounding | str = Rounding.TIES_TO_EVEN,
    overflow: Overflow | str = Overflow.IEEE,
    precise: bool = False,
    order: Order | str = "sequential",
    trace: bool = False,
    all_: str | Iterable[str] = (),
    libraries: bool = False,
    fail_if: str | Iterable[str] = (),
) -> (
    CalcReport
    | CalcReports
    | AllCodesReport
    | AllCodesReports
    | AllOutcomesReport
    | AllOutcomesReports
    | StochasticReport
    | StochasticReports
):
    """What an expression gives in a format, every operation rounded once, and its exact value.

    Args:
        expression: such as `"0.05 - 1e-5"`: see docs/calc.md.
        dtype: a format or its name; a list or tuple gives a report for each in one.
        rounding, overflow: as for `decode`; `stochastic[:bits[:a|b|c]]` gives all results.
        precise: whether the whole is computed exactly and rounded once.
        order: how `sum` and `dot` add: `sequential`, `pairwise`, `kahan` or `exact`.
        trace: whether the report shows every step.
        all_: a variable, or two, that takes every code of the format.
        libraries: whether the report has numpy's and torch's results too.
        fail_if: conditions such as `"inexact"` or `"error_ulp>0.5"`: see `failures()`.

    Raises:
        FpxError: it is no expression, or the format cannot hold its numbers.
    """
    from fpx.arithmetic.calc import calc as compute
    from fpx.report.calc import Order

    found = compute(
        expression,
        [find_plain(dtype)]
        if isinstance(dtype, (str, FormatSpec))
        else without_scales(find_targets(dtype)),
        rounding=find_rounding(rounding) if isinstance(rounding, str) else rounding,
        overflow=_choice(Overflow, overflow, "overflow"),
        precise=precise,
        order=_choice(Order, order, "order"),
        traced=trace,
        variables=_each(all_),
        libraries=libraries,
        conditions=_each(fail_if),
    )
    return found.items[0] if isinstance(dtype, (str, FormatSpec)) else found


def bits(
    file: str | PathLike[str] | bytes | bytearray | memoryview | BinaryIO,
    dtype: str | FormatSpec,
    *,
    offset: int = 0,
    count: int | None = None,
    big_endian: bool = False,
    packing: Packing | str | None = None,
    block: int = 32,
) -> BitsReport:
    """Raw bytes as the codes of a format.

    Args:
        file: the path of a file, an open binary file, or bytes.
        dtype: a format or its name.
        offset: bytes to skip first.
        count: codes to decode; without it all.
        big_endian: of codes with whole bytes, whether the highest byte comes first.
        packing: how codes of 4, 6 or other odd widths lie: `low-first`, `high-first`,
            `split-halves` or `bytes`; without it `low-first` below 8 bits, else `bytes`.
        block: codes of a block, of split halves.

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
            find_plain(dtype),
            offset=offset,
            count=count,
            packing=packing,
            big_endian=big_endian,
            block=block,
        )
    )
    codes = [code for part in parts for code in part.codes]
    return BitsReport(last.spec, codes, offset, last.packing, last.leftover_bytes, last.block)


def inspect(
    source: Any,
    *,
    tensor: str | None = None,
    index: tuple[int, ...] | None = None,
    top: int | None = None,
    layout: bool = False,
    stats: bool = False,
    axis: int | None = None,
    include: str | Iterable[str] = (),
    exclude: str | Iterable[str] = (),
    stored: bool = False,
    as_: str | Iterable[str] = (),
    baseline: str | PathLike[str] | None = None,
) -> InspectReport | TensorReport | LayoutReport | ExtremesReport | DecodeReport | ElementReport:
    """What is in a file or in memory: dtypes, sizes, metadata, shapes, strides, shared storages.

    Args:
        source: the path of a tensor file, of a directory of them or of an index of shards; a torch
            tensor, a numpy array, a dict of those, a `state_dict()`, an `nn.Module`; or a list of
            all these.
        tensor: the name of one tensor: its values, or the corners of a large one.
        index: of that tensor, one element down to its bits; of a quantised weight, from its code
            and scales to its value.
        top: of that tensor, so many of the largest, the smallest and the closest to zero.
        layout: how that tensor lies in its storage.
        stats: whether to read the values too, of all tensors or of that one.
        axis: with `stats`, the channel along this axis that sticks out; -1 is the last axis.
        include, exclude: patterns of tensor names: globs, or `re:` and a regular expression.
        stored: whether quantised weights stay as they are stored, codes and scales; else they are
            read as the numbers that they mean.
        as_: how weights are stored that are not recognised: `W=nvfp4,scale=W_scale,...`; see
            docs/quantised.md.
        baseline: the path of an older report, saved with --json: what got worse since then is among
            the report's `failures()`.

    Returns:
        An `InspectReport`; with `tensor` a `TensorReport`, with `layout` a `LayoutReport`, with
        `index` a `DecodeReport` (of a quantised weight an `ElementReport`), with `top` an
        `ExtremesReport`.

    Raises:
        FpxError: the source cannot be read, there is no such tensor, element or axis, or arguments
            exclude each other.
    """
    from fpx.measure.inspect import inspect as look
    from fpx.report.gates.baseline import read_baseline
    from fpx.report.inspect import InspectReport

    older = None if baseline is None else read_baseline(baseline, InspectReport.schema)
    report = look(
        list(source) if isinstance(source, (list, tuple)) else [source],
        tensor=tensor,
        index=index,
        top=top,
        layout=layout,
        stats=stats,
        axis=axis,
        include=_each(include),
        exclude=_each(exclude),
        stored=stored,
        as_=_each(as_),
    )
    if older is None:
        return report
    if not isinstance(report, InspectReport):
        raise InputError("`baseline` is of all tensors: leave out `tensor`")
    return report.since(older)


def cast_compare(
    source: Any = (),
    to: str | Target | Iterable[str | Target] | None = None,
    *,
    scale: str | None = None,
    scale_format: str | None = None,
    scale_rule: str | Iterable[str] = (),
    like: str | None = None,
    from_: str | FormatSpec = "float32",
    backend: str | None = None,
    device: str = "cpu",
    size: int = 1 << 20,
    seed: int = 0,
    fail_if: str | Iterable[str] = (),
    include: str | Iterable[str] = (),
    exclude: str | Iterable[str] = (),
    baseline: str | PathLike[str] | None = None,
    integers: bool = False,
    tolerate_overflow: float = USUAL.overflow_rate,
    tolerate_underflow: float = USUAL.underflow_rate,
    tolerate_loss: float = USUAL.small_value_loss_db,
    stored: bool = False,
    as_: str | Iterable[str] = (),
    axis: int | None = None,
    rounding: Stochastic | str | None = None,
) -> CastReport:
    """Which tensors fit a format, and what a cast loses of those in a file, an array, a module.

    Args:
        source: the path of a tensor file, of a directory of them or of an index of shards; a torch
            tensor, a numpy array, a dict of those, a `state_dict()`, an `nn.Module`; the name of a
            distribution such as `"normal"`; or a list of all these. None means every distribution.
        to: target format or formats, `all16`, `all8` or `all`, scaled ones too (`mxfp4`,
            `e4m3fn:channel`); None means float16 and bfloat16.
        scale: what shares a scale, of targets that have none yet: `tensor`, `channel`,
            `channel:AXIS`, `block:N` or `block:NxM`.
        scale_format: the format of those scales; None means float32.
        scale_rule: the rule or rules by which scales are chosen; `all` means every one of them.
        like: the library whose encoder scaled targets follow, such as `torchao`.
        from_: dtype in which distributions are drawn.
        backend: `torch`, `numpy`, `ml_dtypes` or `exact`; None means torch, and exact where torch
            has no such cast.
        device: `cpu`, `cuda`, `cuda:N` or `auto`.
        size, seed: of the random distributions.
        fail_if: conditions such as `"overflow_count>0"`: the rows that meet one are the report's
            `failures()`.
        include, exclude: patterns of tensor names.
        baseline: the path of an older report, saved with --json: what got worse since then is among
            the report's `failures()`, and nothing else.
        integers: whether integer and bool tensors are cast too.
        tolerate_overflow, tolerate_underflow, tolerate_loss: how much a tensor may lose and still
            fit: the attributes of `fpx.report.verdicts.Tolerance`, in their order.
        stored: whether quantised weights stay as they are stored, codes and scales.
        as_: how weights are stored that are not recognised: `W=nvfp4,scale=W_scale,...`.
        axis: the report's `channels` tell which channel along this axis sticks out, and what it
            costs the others that share its scales; -1 is the last axis.
        rounding: `stochastic[:bits[:a|b|c]]`: one draw by `seed`, what is expected of all draws,
            and nearest beside them; None is as casts round, to nearest.

    Raises:
        FpxError: the source cannot be read, the device is not there, or the backend lacks a cast.
    """
    from fpx.measure.cast_compare import cast_compare as compare
    from fpx.report.cast_compare import MEASURABLE, TARGETS, CastReport
    from fpx.report.checks import parse_condition
    from fpx.report.gates.baseline import read_baseline

    older = None if baseline is None else read_baseline(baseline, CastReport.schema)
    report = compare(
        list(source) if isinstance(source, (list, tuple)) else [source],
        asked_targets(
            TARGETS if to is None else to,
            MEASURABLE,
            scale=scale,
            scale_format=scale_format,
            scale_rule=_each(scale_rule),
            like=like,
        ),
        from_=find_format(from_),
        device=device,
        size=size,
        seed=seed,
        backend=None if backend is None else _backend(backend),
        checks=[parse_condition(text) for text in _each(fail_if)],
        include=_each(include),
        exclude=_each(exclude),
        integers=integers,
        tolerance=Tolerance(tolerate_overflow, tolerate_underflow, tolerate_loss),
        stored=stored,
        as_=_each(as_),
        axis=axis,
        rounding=_drawn(rounding),
    )
    return report if older is None else report.since(older)


def _drawn(rounding: Stochastic | str | None) -> Stochastic | None:
    """The stochastic rounding that is meant, if one is.

    Raises:
        InputError: another rounding, which no cast has.
    """
    mode = find_rounding(rounding) if isinstance(rounding, str) else rounding
    if mode is None or mode is Rounding.TIES_TO_EVEN:
        return None
    if not isinstance(mode, Stochastic):
        raise InputError(
            f"casts round to nearest, not {mode.value}: `rounding` is ties_to_even or stochastic"
        )
    return mode


def _each(texts: str | Iterable[str]) -> list[str]:
    """One text, or several, as a list."""
    return [texts] if isinstance(texts, str) else list(texts)


def cast_verify(
    from_: str | Iterable[str] = (),
    to: _Formats = (),
    *,
    backend: str | Iterable[str] = (),
    device: str | Iterable[str] = "cpu",
    against: str = "exact",
    sample: bool = False,
    size: int = 1 << 16,
    seed: int = 0,
    examples: int = 3,
    layout: str = "contiguous",
    compiled: bool = False,
    flush_denormal: bool = False,
    fail_on: str | None = None,
    baseline: str | PathLike[str] | None = None,
) -> VerifyReport:
    """Whether casts round rightly, code by code: see `fpx cast-verify`.

    Args:
        from_: formats or integer types to cast from; none means float64, float32, float16,
            bfloat16 and int64. Of those named, all codes of up to 32 bits are cast.
        to: target formats; none means every listed one.
        backend: who casts: `torch` (by default), `numpy`, `ml_dtypes` or `exact`.
        device: where torch and exact cast: `cpu`, `cuda`, `cuda:N` or `auto`.
        against: what is expected: the correctly rounded result (`exact`), or what torch (`cpu`),
            `numpy` or `ml_dtypes` give.
        sample: boundaries and random codes of 32-bit origins too, not all of them.
        size: random codes of a sampled origin.
        seed: of the random codes.
        examples: how many to keep of each cause.
        layout: `contiguous`, `strided` or `scalar`: how the elements lie.
        compiled: the cast that torch.compile makes.
        flush_denormal: with the processor's flush-to-zero mode on.
        fail_on: which differences, or worse ones, are the report's `failures()`:
            `wrong_rounding`, `policy`, `nan_bits` or `any`. None means wrong_rounding, with a
            baseline any.
        baseline: the path of an older report, saved with --json: what got worse since then is among
            the report's `failures()`, and nothing else.

    Returns:
        A report with a row per cast; `unchecked` tells what was named and could not be checked.

    Raises:
        FpxError: an argument is off, a cast would be compared with itself, or no such device.
    """
    from fpx.conformance.cast_verify import cast_verify as verify
    from fpx.conformance.cast_verify import find_origin
    from fpx.report.cast_verify import ANY, KINDS, WRONG_ROUNDING, NoDifference, VerifyReport
    from fpx.report.gates.baseline import read_baseline

    older = None if baseline is None else read_baseline(baseline, VerifyReport.schema)
    fail_on = fail_on or (WRONG_ROUNDING if older is None else ANY)
    if fail_on not in (*KINDS, ANY):
        known = ", ".join((*KINDS, ANY))
        raise InputError(f"`fail_on` is one of {known}, not {quoted(fail_on)}")
    report = verify(
        [find_origin(name) for name in _each(from_)],
        without_scales(find_targets([to] if isinstance(to, (str, FormatSpec)) else to)),
        backends=[_backend(name) for name in _each(backend)],
        devices=_each(device),
        against=against,
        everything=False if sample else None,
        size=size,
        seed=seed,
        examples=examples,
        layout=layout,
        compiled=compiled,
        flush_denormal=flush_denormal,
        checks=[NoDifference(fail_on)],
    )
    return report if older is None else report.since(older)


def verify_function(
    function: str | Callable[..., Any],
    from_: str | FormatSpec | None = None,
    to: str | FormatSpec | None = None,
    *,
    rounding: AnyRounding | str = Rounding.TIES_TO_EVEN,
    overflow: Overflow | str = Overflow.IEEE,
    random_bits: int | None = None,
    sample: bool = False,
    size: int = 1 << 16,
    seed: int = 0,
    examples: int = 3,
    fail_on: str = "wrong_rounding",
) -> VerifyReport | RoundingReport:
    """Whether a function of yours rounds rightly: see `fpx cast-verify --with`.

    Args:
        function: it, or its name as `module:function`. It takes a torch tensor, and as many random
            words if it has a second argument, and returns the tensor rounded.
        from_: the format that it takes; None is float32. All codes of up to 32 bits of one that is
            named are tried, where it rounds to one result.
        to: the format that it rounds to; None is what the dtype of its result says.
        rounding: what it should do; `stochastic[:bits[:a|b|c]]` too.
        overflow: what it should make of what is too large.
        random_bits: of the random words that it takes, 1 to 31: up to 24 all are tried.
        sample: not all codes of 32 bits.
        size: random codes of a sample; draws for each number, where it draws for itself.
        seed: of the random codes, and of torch's generator.
        examples: how many to keep of each cause.
        fail_on: as for `cast_verify`; of stochastic rounding, everything is among `failures()`.

    Raises:
        FpxError: there is no such function or format, or the function fails.
    """
    from fpx.conformance.verify_with import verify_with
    from fpx.report.cast_verify import NoDifference

    return verify_with(
        function,
        from_=[] if from_ is None else [from_],
        to=[] if to is None else [to],
        rounding=find_rounding(rounding) if isinstance(rounding, str) else rounding,
        overflow=_choice(Overflow, overflow, "overflow"),
        random_bits=random_bits,
        sample=sample,
        size=size,
        seed=seed,
        examples=examples,
        checks=[NoDifference(fail_on)],
    )


def op_verify(
    functions: str | Iterable[str] = (),
    dtype: _Formats = ("bfloat16", "float16"),
    *,
    backend: str | Iterable[str] = (),
    device: str | Iterable[str] = "cpu",
    exhaustive: bool = False,
    size: int = 1 << 16,
    seed: int = 0,
    examples: int = 1,
    layout: str = "contiguous",
    compiled: bool = False,
    flush_denormal: bool = False,
    fail_if: str | Iterable[str] = (),
) -> OpVerifyReport | FunctionsReport:
    """What functions give, input by input, against correct rounding: see `fpx op-verify`.

    Args:
        functions: names such as `"exp"`; `all` is every one. None gives a list of them.
        dtype: formats of inputs and results.
        backend: who computes: `torch` (by default) or `numpy`.
        device: where torch computes: `cpu`, `cuda`, `cuda:N` or `auto`.
        exhaustive: all inputs of formats of up to 32 bits, not of up to 16 only.
        size: random inputs, where not all are tried.
        seed: of those.
        examples: how many to keep of each cause.
        layout: `contiguous`, `strided` or `scalar`: how the inputs lie.
        compiled: the function that torch.compile makes.
        flush_denormal: with the processor's flush-to-zero mode on.
        fail_if: conditions such as `"max_error_ulp>1"`: the rows that meet one are the report's
            `failures()`.

    Returns:
        A report with a row per function, format and device; `unchecked` tells what was named and
        could not be checked.

    Raises:
        FpxError: an argument is off, or no such device.
    """
    from fpx.arithmetic.functions.catalogue import ALL as EVERY
    from fpx.arithmetic.functions.catalogue import find_functions
    from fpx.arithmetic.functions.op_verify import list_functions
    from fpx.arithmetic.functions.op_verify import op_verify as verify
    from fpx.report.limits import parse_limit
    from fpx.report.op_verify import NUMBERS

    names = _each(functions)
    if not names:
        return list_functions()
    return verify(
        find_functions(names),
        without_scales(find_targets([dtype] if isinstance(dtype, (str, FormatSpec)) else dtype)),
        backends=_each(backend),
        devices=_each(device),
        exhaustive=exhaustive,
        size=size,
        seed=seed,
        examples=examples,
        layout=layout,
        compiled=compiled,
        flush_denormal=flush_denormal,
        checks=[parse_limit(text, NUMBERS) for text in _each(fail_if)],
        lenient=EVERY in names,
    )


def diff(
    a: Any,
    b: Any,
    *,
    tolerance_ulp: int = 0,
    allow_renamed: bool = False,
    strip_prefix: str | Iterable[str] = (),
    include: str | Iterable[str] = (),
    exclude: str | Iterable[str] = (),
    stored: bool = False,
    as_: str | Iterable[str] = (),
) -> DiffReport:
    """What two checkpoints differ in, tensor by tensor: see `fpx diff`.

    Args:
        a, b: each the path of a tensor file, of a directory of them or of an index of shards; a
            torch tensor, a numpy array, a dict or list of those, a `state_dict()`, an `nn.Module`.
        tolerance_ulp: codes of B's dtype that values may be apart; A's are rounded to it first.
        allow_renamed: whether a tensor of the same content and another name is no failure.
        strip_prefix: beginnings of names that mean nothing, such as `module.`.
        include, exclude: patterns of tensor names.
        stored: whether quantised weights stay as they are stored, codes and scales; else they are
            read as the numbers that they mean.
        as_: how weights are stored that are not recognised: `W=nvfp4,scale=W_scale,...`; see
            docs/quantised.md.

    Returns:
        A report with a row per tensor; `failures()` are those that differ, `equal` says whether
        every bit is equal.

    Raises:
        FpxError: one of the two cannot be read, or they have no tensor in common.
    """
    from fpx.measure.diff import diff as compare

    return compare(
        a,
        b,
        tolerance_ulp=tolerance_ulp,
        allow_renamed=allow_renamed,
        strip_prefix=_each(strip_prefix),
        include=_each(include),
        exclude=_each(exclude),
        stored=stored,
        as_=_each(as_),
    )


def reveal(
    operation: _Operations = (),
    dtype: _Formats = (),
    *,
    with_: str | Iterable[str] = (),
    n: _Numbers = (),
    shape: str | Iterable[str] = (),
    batch: _Numbers = (),
    threads: _Numbers = (),
    layout: str | Iterable[str] = (),
    compiled: bool = False,
    matmul_precision: str | Iterable[str] = (),
    flag: str | Iterable[str] = (),
    device: str = "cpu",
    rows: int = 1000,
    seed: int = 0,
    timeout: float = 60,
    tree: bool = False,
    against: str | PathLike[str] | None = None,
    fail_if: str | Iterable[str] = (),
) -> RevealReport:
    """How operations add up here, found from their outputs alone: see `fpx reveal`.

    Args:
        operation: names such as `sum` or `linear`, or functions: of one vector, a tensor of shape
            (k,), giving one number; or of two matrices, (m, k) and (k, n), giving one of (m, n).
            They are called in this process, and as often as probes need.
        dtype: formats of the operands.
        with_: functions as `module:function`, each of which gets a process of its own. Without
            these and `operation`, all operations that there are.
        n: how many numbers vectors have: `64`, `"4,8"`, `"1..32"`, or several of these.
        shape: sizes of matrices, as `"32x64x32"` for (32, 64) times (64, 32).
        batch: rows of the result, in place of those of the shapes.
        threads: numbers of threads to try.
        layout: `contiguous`, `strided` or `transposed`, or several.
        compiled: whether to try what torch.compile makes of the operation, too.
        matmul_precision: values of torch's float32_matmul_precision to try.
        flag: other settings of torch, as `"cuda.matmul.allow_tf32=on,off"`.
        device: `cpu`, `cuda`, `cuda:N` or `auto`.
        rows: sums that a certificate compares.
        seed: of their numbers.
        timeout: seconds that 64 calls of a function of `with_` may take.
        tree: whether drawings show every order in full.
        against: an older report, saved as JSON.
        fail_if: conditions such as `"class_count>1"`: the report's `failures()` are those that
            hold.

    Returns:
        A report with a row for each operation, format and class of circumstances that compute
        alike; `changes` compares it with an older one.

    Raises:
        FpxError: no such operation, format, size, setting, device or report; a function failed.
    """
    from fpx.arithmetic.reveal.reveal import find_circumstances, find_subjects
    from fpx.arithmetic.reveal.reveal import reveal as run
    from fpx.report.reveal_before import read_before

    older = None if against is None else read_before(against)
    asked = [operation] if isinstance(operation, str) or callable(operation) else operation
    report = run(
        find_subjects([*asked], _each(with_), timeout),
        without_scales(find_targets([dtype] if isinstance(dtype, (str, FormatSpec)) else dtype)),
        circumstances=find_circumstances(
            n=_each_number(n),
            shape=_each(shape),
            batch=_each_number(batch),
            threads=_each_number(threads),
            layout=_each(layout),
            compiled=compiled,
            matmul_precision=_each(matmul_precision),
            flags=_each(flag),
        ),
        device=device,
        rows=rows,
        seed=seed,
        trees=tree,
        conditions=_each(fail_if),
    )
    if older is None:
        return report
    return report.against(older.compared(report.rows, report.environment()))


def _each_number(numbers: _Numbers) -> list[str]:
    """Numbers and ranges as texts."""
    several = [numbers] if isinstance(numbers, (int, str)) else numbers
    return [str(number) for number in several]


def step_compare(
    source: Any,
    *,
    lr: Any = None,
    to: _Formats = (),
    weights_to: _Formats = (),
    state_to: str | Target | Iterable[str | Target] = (),
    scale: str | None = None,
    scale_format: str | None = None,
    scale_rule: str | Iterable[str] = (),
    model: Any = None,
    optimizer: str | None = None,
    still: float = 0.5,
    rounding: str | Stochastic = Rounding.TIES_TO_EVEN.value,
    fail_if: str | Iterable[str] = (),
    include: str | Iterable[str] = (),
    exclude: str | Iterable[str] = (),
) -> StepReport:
    """Which weights an update moves in a format, and which state survives: `fpx step-compare`.

    Args:
        source: as for `cast_compare`, distributions aside, and a list of several; with `weights_to`
            or `state_to` one checkpoint with an optimizer's state, such as `{"model":
            model.state_dict(), "optimizer": optimizer.state_dict()}`; without those and `lr` a list
            of two, before and after.
        lr: the length of a step that every weight takes, up and down; a float, a `Fraction`, or
            text such as "1e-5", which is taken exactly.
        to: formats of the weights, with `lr` and of two checkpoints; none means bfloat16 and
            float16.
        weights_to: formats of the weights that the update of an optimizer's state moves.
        state_to: formats of the optimizer's moments.
        scale, scale_format, scale_rule: of formats of `state_to` without scales of their own, as
            for `cast_compare`.
        model: where the weights are, if not beside the optimizer's state.
        optimizer: `adamw`, `adam` or `sgd`, where the checkpoint does not tell.
        still: share of unmoved weights, 0 to 1, from which on a tensor stands still; of moments
            that become 0 or cannot decay, from which on the state does.
        rounding: `stochastic[:bits[:a|b|c]]` also says how many weights are expected to move, if
            sums are rounded so.
        fail_if: conditions such as `"unmoved_rate>0.9"`: the rows that meet one are the report's
            `failures()`.
        include, exclude: patterns of the names of tensors, or of parameters.

    Returns:
        A report with a row per tensor and format.

    Raises:
        FpxError: a source cannot be read, it has no state whose update is known, or an argument is
            off.
    """
    from fpx.report.limits import parse_limit
    from fpx.report.step_compare import NUMBERS, STEPPABLE
    from fpx.training.settings import NAMES
    from fpx.training.step_compare import step_compare as compare

    if optimizer is not None and optimizer not in NAMES:
        raise InputError(f"`optimizer` is one of {', '.join(NAMES)}, not {quoted(optimizer)}")
    return compare(
        list(source) if isinstance(source, (list, tuple)) else [source],
        lr=lr,
        to=_formats(to),
        weights_to=_formats(weights_to),
        states_to=asked_targets(
            state_to,
            STEPPABLE,
            scale=scale,
            scale_format=scale_format,
            scale_rule=_each(scale_rule),
        ),
        model=model,
        optimizer=optimizer,
        include=_each(include),
        exclude=_each(exclude),
        still_rate=still,
        rounding=rounding if isinstance(rounding, str) else rounding.value,
        checks=[parse_limit(text, NUMBERS) for text in _each(fail_if)],
    )


def _formats(names: _Formats) -> list[str | FormatSpec]:
    """One format, or several, as a list."""
    return [names] if isinstance(names, (str, FormatSpec)) else list(names)


def watch(
    model: Any,
    optimizer: Any = None,
    *,
    to: _Targets | None = None,
    every: int = 1,
    steps: int | None = None,
    include: str | Iterable[str] = (),
    exclude: str | Iterable[str] = (),
    scaler: Any = None,
    tensors: str | Iterable[str] = (),
) -> Watch:
    """Counts what formats would do to a model while it trains: see docs/training.md.

    Args:
        model: an `nn.Module`, also as torch.compile or DistributedDataParallel wrap it.
        optimizer: a `torch.optim.Optimizer`; None means every one that steps parameters of it.
        to: target formats of up to 20 bits, `all16` or `all8`; None means float16 and bfloat16.
        every: one step in so many is counted.
        steps: after so many it stops by itself.
        include, exclude: patterns of names of modules and parameters.
        scaler: a `torch.amp.GradScaler`, whose scale is divided out of gradients on their way back.
        tensors: what to look at: `activation`, `grad_output`, `weight_grad`, `update`, `state`;
            none means all.

    Returns:
        A context manager, which watches from now on: until its block ends, or `stop()`. Its
        `report()` has a row per name, kind and format.

    Raises:
        FpxError: an argument is off, or no module is left.
    """
    from fpx.report.watch_rows import KINDS, TARGETS
    from fpx.training.watch.targets import watched_formats
    from fpx.training.watch.watch import Watch

    return Watch(
        model,
        optimizer,
        watched_formats(TARGETS if to is None else to),
        every=every,
        steps=steps,
        include=_each(include),
        exclude=_each(exclude),
        scaler=scaler,
        kinds=_each(tensors) or KINDS,
    )


def devices(device: str | Iterable[str] = (), *, size: int = 1 << 22) -> DevicesReport:
    """What the devices here can do with each format, and how fast: see `fpx devices`.

    Args:
        device: `cpu`, `cuda`, `cuda:N` or `auto`; none means all there are.
        size: elements that rates are measured with.

    Raises:
        FpxError: no such device.
    """
    from fpx.casts.devices import survey_devices

    return survey_devices(_each(device), size)


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


def _backend(name: str) -> Backend:
    """The backend of that name.

    Raises:
        InputError: there is none.
    """
    from fpx.casts.backends import BACKENDS

    if name not in BACKENDS:
        raise InputError(f"`backend` is one of {', '.join(BACKENDS)}, not {quoted(name)}")
    return BACKENDS[name]


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
