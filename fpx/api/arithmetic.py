"""Operations: on formats, as functions of libraries, and how they add."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from os import PathLike
from typing import TYPE_CHECKING, Any

from fpx.api.arguments import (
    _choice,
    _each,
    _Formats,
    _Several,
)
from fpx.core.literals import ReadAs
from fpx.core.policy import AnyRounding, Overflow, Rounding, find_rounding
from fpx.core.spec import FormatSpec
from fpx.core.targets import find_plain, find_targets, without_scales

if TYPE_CHECKING:
    from fpx.report.calc import CalcReport, CalcReports, Order
    from fpx.report.calc_all import AllCodesReport, AllCodesReports
    from fpx.report.calc_all_stochastic import AllOutcomesReport, AllOutcomesReports
    from fpx.report.calc_stochastic import StochasticReport, StochasticReports
    from fpx.report.op_verify import FunctionsReport, OpVerifyReport
    from fpx.report.reveal import RevealReport

_Numbers = int | str | Iterable[int | str]
_Operations = str | Callable[..., Any] | Iterable[str | Callable[..., Any]]


def calc(
    expression: str,
    dtype: str | FormatSpec | _Several = "float32",
    *,
    rounding: AnyRounding | str = Rounding.TIES_TO_EVEN,
    overflow: Overflow | str = Overflow.IEEE,
    read_as: ReadAs | str = ReadAs.AUTO,
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
        read_as: as for `decode`.
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
        read_as=_choice(ReadAs, read_as, "read_as"),
        precise=precise,
        order=_choice(Order, order, "order"),
        traced=trace,
        variables=_each(all_),
        libraries=libraries,
        conditions=_each(fail_if),
    )
    return found.items[0] if isinstance(dtype, (str, FormatSpec)) else found


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
    from fpx.report.op_verify import NUMBERS, SUCH

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
        checks=[parse_limit(text, NUMBERS, SUCH) for text in _each(fail_if)],
        lenient=EVERY in names,
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
