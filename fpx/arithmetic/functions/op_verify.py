"""`fpx op-verify`: functions of a library, held to their correctly rounded results."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import product

import mpmath
import numpy as np

from fpx.arithmetic.functions.catalogue import FUNCTIONS
from fpx.arithmetic.functions.codes import Codes
from fpx.arithmetic.functions.function import Function
from fpx.arithmetic.functions.implementations import Implementation, Numpy, Torch
from fpx.arithmetic.functions.inputs import NONE, Inputs, choose_inputs
from fpx.arithmetic.functions.references import references
from fpx.arithmetic.functions.store import kept
from fpx.arithmetic.functions.tally import Tally
from fpx.arithmetic.functions.wrong_results import wrong_result
from fpx.casts.backends import CONTIGUOUS, LAYOUTS, SCALAR
from fpx.casts.device import Device, find_device
from fpx.casts.environment import environment
from fpx.casts.sweep import check_flush_denormal, sweep
from fpx.core.spec import FormatSpec
from fpx.errors import InputError, UnavailableError
from fpx.report.limits import Limit
from fpx.report.op_verify import (
    BACKENDS,
    CauseCount,
    FunctionRow,
    FunctionsReport,
    ListedFunction,
    OpVerifyReport,
)
from fpx.tensors.draws import check_seed
from fpx.tensors.progress import Progress, Silent
from fpx.words import listed, quoted

_MOST_BITS = 64
_WRITTEN = 1 << 20  # inputs up to which references are computed at once, and kept
_PARTS = 4096  # of the work on one function, for who hears how far it is


def list_functions() -> FunctionsReport:
    """What can be verified."""
    return FunctionsReport(
        tuple(
            ListedFunction(
                row.name,
                row.definition,
                row.arity,
                row.torch and f"torch.{row.torch}{_keywords(row)}",
                row.numpy and f"numpy.{row.numpy}",
            )
            for row in FUNCTIONS.values()
        )
    )


def _keywords(row: Function) -> str:
    return "".join(f"({name}={value!r})" for name, value in row.keywords)


def op_verify(
    functions: Sequence[Function],
    formats: Sequence[FormatSpec],
    *,
    backends: Sequence[str] = (),
    devices: Sequence[str | Device] = ("cpu",),
    implementations: Sequence[Implementation] = (),
    exhaustive: bool = False,
    size: int = 1 << 16,
    seed: int = 0,
    examples: int = 3,
    layout: str = CONTIGUOUS,
    compiled: bool = False,
    flush_denormal: bool = False,
    checks: Sequence[Limit] = (),
    lenient: bool = False,
    progress: Progress | None = None,
) -> OpVerifyReport:
    """Compares functions with correct rounding, input by input.

    A KeyboardInterrupt once that has begun ends the work with a report on what was done so far.

    Args:
        functions: rows of the catalogue.
        formats: of operands and results, up to 64 bits.
        backends: `torch` (by default), `numpy`.
        devices: where torch computes, as `find_device` takes or gives them.
        implementations: others to verify, in place of backends and devices.
        exhaustive: all inputs of formats of up to 32 bits, not of 16 only.
        size, seed: of random inputs, where not all are tried.
        examples: how many to keep for each cause.
        layout: one of LAYOUTS: how the inputs lie.
        compiled: by torch.compile.
        flush_denormal: with the processor's flush-to-zero mode on.
        checks: what to ask of every row.
        lenient: whether functions may be missing, as long as each format has one.
        progress: hears how far the work is.

    Raises:
        InputError: an argument is off.
        UnavailableError: no such device; no flush-to-zero mode.
    """
    _check(functions, formats, exhaustive, size, seed, examples, layout)
    if flush_denormal:
        check_flush_denormal()
    where = [item if isinstance(item, Device) else find_device(item) for item in devices]
    chosen = list(implementations) or _implementations(backends, where, layout, compiled)
    progress = progress or Silent()
    jobs = [_Job(*pair, chosen, examples) for pair in product(functions, formats)]
    progress.start(len(jobs) * len(chosen) * _PARTS)
    interrupted = False
    for job in jobs:
        try:
            if not interrupted:
                job.run(exhaustive, size, seed, flush_denormal, progress)
        except KeyboardInterrupt:
            interrupted = True  # the rows say what was reached
    rows = tuple(row for job in jobs for row in job.rows())
    return OpVerifyReport(
        rows,
        environment(where, seed),
        mpmath.__version__,
        layout,
        compiled,
        flush_denormal,
        tuple(_unchecked(rows, lenient)),
        tuple(checks),
    )


def _check(
    functions: Sequence[Function],
    formats: Sequence[FormatSpec],
    exhaustive: bool,
    size: int,
    seed: int,
    examples: int,
    layout: str,
) -> None:
    if size < 1 or examples < 1:
        raise InputError("`size` and `examples` must be at least 1")
    check_seed(seed)
    if layout not in LAYOUTS:
        raise InputError(f"`layout` must be one of {listed(LAYOUTS)}, not {quoted(layout)}")
    for spec in formats:
        if spec.bits > _MOST_BITS:
            raise InputError(
                f"{spec.name} has {spec.bits} bits: functions of up to {_MOST_BITS} are verified"
            )
        if exhaustive and spec.bits > 32:
            raise InputError(f"`exhaustive=True` is for up to 32 bits: {spec.name} has {spec.bits}")
        if exhaustive and layout == SCALAR and spec.bits > 16:
            raise InputError(
                f'`layout="{SCALAR}"` takes hours of all {1 << spec.bits:,} inputs: leave out '
                "`exhaustive=True`"
            )
    if exhaustive and any(function.arity > 1 for function in functions):
        names = listed(function.name for function in functions if function.arity > 1)
        raise InputError(f"`exhaustive=True` is for one operand: leave out {names}")


def _implementations(
    backends: Sequence[str], devices: Sequence[Device], layout: str, compiled: bool
) -> list[Implementation]:
    names = list(dict.fromkeys(backends)) or ["torch"]
    for name in names:
        if name not in BACKENDS:
            raise InputError(f"`backend` is one of {listed(BACKENDS)}, not {quoted(name)}")
        if compiled and name != "torch":
            raise InputError(f"`compiled=True` is for torch: {name} has nothing to compile")
    found: list[Implementation] = []
    for name in names:
        if name == "torch":
            found += [Torch(device, layout, compiled) for device in devices]
        else:
            found.append(Numpy(layout))
    return found


class _Job:
    """A function of a format, by each implementation."""

    def __init__(
        self, function: Function, spec: FormatSpec, by: Sequence[Implementation], keep: int
    ) -> None:
        self.function, self.spec, self.by = function, spec, by
        self.tallies = [Tally(function, spec, keep) for _ in by]
        self.lacking: list[str | None] = [None] * len(by)
        self.inputs: Inputs | None = None

    def refer(self, *columns: Codes) -> Codes:
        """Correctly rounded results."""
        return references(self.function, columns, self.spec)

    def run(
        self, exhaustive: bool, size: int, seed: int, flush_denormal: bool, progress: Progress
    ) -> None:
        """Chooses inputs, and compares what each implementation makes of them."""
        for at, one in enumerate(self.by):
            self.lacking[at] = self._try(one)
        if all(lack is not None for lack in self.lacking):
            progress.advance(len(self.by) * _PARTS)
            return
        inputs = choose_inputs(
            self.function, self.spec, exhaustive, size, seed, lambda codes: self.refer(codes)
        )
        self.inputs = inputs
        known: Codes | None = None
        if inputs.count <= _WRITTEN:
            columns = inputs.all()
            known = kept(self.function, columns, self.spec, lambda: self.refer(*columns))
        for one, tally, lack in zip(self.by, self.tallies, self.lacking, strict=True):
            if lack is None:
                self._compare(one, tally, inputs, known, flush_denormal, progress)
            else:
                progress.advance(_PARTS)

    def _try(self, one: Implementation) -> str | None:
        """Why an implementation does not have the function; None if it has."""
        number_one = np.array([self.spec.bias << self.spec.fraction_bits], np.int64)
        try:
            one.compute(self.function, [number_one] * self.function.arity, self.spec)
        except UnavailableError as error:
            return str(error)
        return None

    def _compare(
        self,
        one: Implementation,
        tally: Tally,
        inputs: Inputs,
        known: Codes | None,
        flush_denormal: bool,
        progress: Progress,
    ) -> None:
        def work(number: int) -> int:
            columns = inputs.block(number)
            start = number * inputs.size
            expected = (
                self.refer(*columns) if known is None else known[start : start + len(columns[0])]
            )
            tally.add(columns, expected, one.compute(self.function, columns, self.spec))
            return _PARTS * (number + 1) // inputs.blocks - _PARTS * number // inputs.blocks

        workers = min(one.workers, inputs.blocks)
        sweep(work, range(inputs.blocks), workers, progress.advance, flush_denormal)

    def rows(self) -> Iterator[FunctionRow]:
        """What was found, a row for each implementation."""
        for one, tally, lack in zip(self.by, self.tallies, self.lacking, strict=True):
            row = FunctionRow(
                function=self.function.name,
                definition=self.function.definition,
                format=self.spec.name,
                backend=one.name,
                version=one.version,
                device=one.device,
                inputs=NONE,
            )
            if lack is not None:
                yield replace(row, offered=False, lacking=lack)
                continue
            inputs = self.inputs
            done = tally.checked + tally.undefined
            shown = partial(wrong_result, self.function, self.spec, one)
            worst = max(
                (result for result in map(shown, tally.worst) if result.error_ulp is not None),
                key=lambda result: result.error_ulp or 0,
                default=None,
            )
            yield replace(
                row,
                inputs=NONE if inputs is None else inputs.kind,
                complete=inputs is not None and done == inputs.count,
                checked_count=tally.checked,
                wrong_count=tally.wrong,
                undefined_count=tally.undefined,
                max_error_ulp=None if worst is None else worst.error_ulp,
                max_steps=tally.most_steps,
                worst=worst,
                causes=tuple(
                    CauseCount(
                        cause.name,
                        cause.word,
                        cause.reason,
                        tally.counts[cause],
                        tuple(map(shown, tally.examples[cause])),
                    )
                    for cause in tally.causes()
                ),
                binades=tally.where(),
            )


def _unchecked(rows: Sequence[FunctionRow], lenient: bool) -> Iterator[str]:
    """A line for each function of a format, or each format, that nobody has."""
    groups: dict[str, list[FunctionRow]] = {}
    for row in rows:
        name = row.format if lenient else f"{row.function} of {row.format}"
        groups.setdefault(name, []).append(row)
    for name, group in groups.items():
        if not any(row.offered for row in group):
            yield f"{name}: not checked, {group[0].lacking}"
