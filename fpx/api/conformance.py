"""Casts: whether they round rightly, and what devices can do."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from os import PathLike
from typing import TYPE_CHECKING, Any

from fpx.api.arguments import _backend, _choice, _each, _Formats
from fpx.api.scalars import decode
from fpx.core.literals import ReadAs
from fpx.core.policy import AnyRounding, Overflow, Rounding, find_rounding
from fpx.core.spec import FormatSpec
from fpx.core.targets import find_targets, without_scales
from fpx.errors import InputError
from fpx.words import quoted

if TYPE_CHECKING:
    from fpx.report.cast_verify import VerifyReport
    from fpx.report.devices import DevicesReport
    from fpx.report.libraries import LibraryReport
    from fpx.report.stochastic_verify import RoundingReport


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
