"""Tensors: what is in them, what a cast loses, what two checkpoints differ in."""

from __future__ import annotations

from collections.abc import Iterable
from os import PathLike
from typing import TYPE_CHECKING, Any

from fpx.api.arguments import _backend, _each
from fpx.core.names import find_format
from fpx.core.policy import Rounding, Stochastic, find_rounding
from fpx.core.spec import FormatSpec
from fpx.core.targets import Target, asked_targets
from fpx.errors import InputError
from fpx.report.decode import DecodeReport
from fpx.report.verdicts import USUAL, Tolerance

if TYPE_CHECKING:
    from fpx.report.cast_compare import CastReport
    from fpx.report.diff import DiffReport
    from fpx.report.followed import ElementReport
    from fpx.report.inspect import ExtremesReport, InspectReport, LayoutReport, TensorReport


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
