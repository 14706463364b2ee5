"""`fpx reveal`: what operations compute here, found by probes and proven by replays."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from fpx.arithmetic.reveal.catalogue import OPERATIONS, Operation, find_operation
from fpx.arithmetic.reveal.circumstances import Circumstances, find_circumstances
from fpx.arithmetic.reveal.data import Data, draw
from fpx.arithmetic.reveal.environment import reveal_environment
from fpx.arithmetic.reveal.foreign import PATIENCE, ForeignSubject, count_operands
from fpx.arithmetic.reveal.probing import Asker, NotResolvableError
from fpx.arithmetic.reveal.runner import NotOfferedError
from fpx.arithmetic.reveal.scales import find_scale
from fpx.arithmetic.reveal.study import Study, Sums, check_count, study, sums_of
from fpx.arithmetic.reveal.subjects import Built, FunctionSubject, Subject, TorchSubject
from fpx.arithmetic.reveal.subnormals import find_subnormals
from fpx.casts.device import Device, find_device
from fpx.core.formats import FORMATS
from fpx.core.spec import FormatSpec
from fpx.errors import InputError
from fpx.report.limits import parse_limit
from fpx.report.reveal import NUMBERS, SUCH, RevealReport, RevealRow
from fpx.report.reveal_case import Case
from fpx.report.reveal_row import Subnormals, digest
from fpx.tensors.progress import Progress, Silent

__all__ = ["find_circumstances", "find_subjects", "reveal"]

_Key = tuple[int, str | None, bool]
"""Leaves, the bits of sums, and whether all elements of a result have them."""

_DATA = 1 << 18  # numbers of a certificate


def find_subjects(
    operations: Sequence[str | Callable[..., Any]] = (),
    functions: Sequence[str] = (),
    timeout: float = PATIENCE,
) -> list[Subject]:
    """What is to be probed.

    Args:
        operations: names of the catalogue, or functions of one vector or of two matrices.
        functions: `module:function` each, which get a process of their own.
        timeout: seconds that 64 calls of one of those may take.

    Raises:
        InputError: no such operation or function.
    """
    if not timeout > 0:
        raise InputError(f"`timeout` must be more than 0, not {timeout:g}")
    found: list[Subject] = []
    for one in operations:
        if isinstance(one, str):
            found.append(TorchSubject(find_operation(one)))
        else:
            name = getattr(one, "__qualname__", type(one).__name__)
            found.append(FunctionSubject(one, name, count_operands(one, name) == 2))
    found += [ForeignSubject(name, timeout) for name in functions]
    return found


def reveal(
    subjects: Sequence[Subject] = (),
    dtypes: Sequence[FormatSpec] = (),
    *,
    circumstances: Circumstances | None = None,
    device: str | Device = "cpu",
    rows: int = 1000,
    seed: int = 0,
    trees: bool = False,
    conditions: Sequence[str] = (),
    progress: Progress | None = None,
) -> RevealReport:
    """Reveals how operations add up.

    A KeyboardInterrupt ends the work with a report on what was done so far.

    Args:
        subjects: what is probed; the whole catalogue by default.
        dtypes: formats of the operands; by default those of the operation's row.
        circumstances: what each is tried with; by default its own size, as torch is set up.
        device: as `find_device` takes or gives it.
        rows: of each certificate.
        seed: of its numbers.
        trees: whether orders are shown in full.
        conditions: as `parse_limit` takes them, on NUMBERS.
        progress: hears how far the work is.

    Raises:
        InputError: an argument is off, or the user's own function failed.
        UnavailableError: no such device.
    """
    if rows < 1:
        raise InputError(f"`rows` must be at least 1, not {rows}")
    tried = circumstances or Circumstances()
    checks = tuple(parse_limit(text, NUMBERS, SUCH) for text in conditions)
    where = device if isinstance(device, Device) else find_device(device)
    chosen = subjects or [TorchSubject(row) for row in OPERATIONS.values()]
    try:
        work = [
            (subject, spec, tried.cases(subject, bool(subjects)))
            for subject in chosen
            for spec in dtypes or _usual(subject)
        ]
    except InputError:
        _close(chosen)
        raise
    progress = progress or Silent()
    progress.start(sum(len(cases) for *_, cases in work))
    found: list[RevealRow] = []
    absent: list[tuple[str, str, str]] = []
    complete = True
    try:
        for subject, spec, cases in work:
            sweep = _Sweep(subject, spec, where, rows, seed, progress)
            try:
                sweep.run(cases)
            except NotOfferedError as error:
                absent.append((subject.name, spec.name, str(error)))
                progress.advance(len(cases))
            finally:
                found += sweep.rows()
    except KeyboardInterrupt:
        complete = False
    finally:
        _close(chosen)
    return RevealReport(
        tuple(found),
        reveal_environment(where, seed),
        trees,
        tuple(_unchecked(absent, bool(subjects))),
        tuple(absent),
        complete,
        checks,
    )


def _close(subjects: Sequence[Subject]) -> None:
    for subject in subjects:
        subject.close()


def _usual(subject: Subject) -> list[FormatSpec]:
    row: Operation | None = OPERATIONS.get(subject.name)
    return [FORMATS[name] for name in (row.formats if row else ("float32",))]


def _unchecked(absent: Sequence[tuple[str, str, str]], named: bool) -> Iterator[str]:
    if named:
        for operation, dtype, why in absent:
            yield f"{operation} in {dtype}: not probed, torch refuses: {why}"


class _Sweep:
    """An operation in one format, under all circumstances."""

    def __init__(
        self,
        subject: Subject,
        spec: FormatSpec,
        device: Device,
        rows: int,
        seed: int,
        progress: Progress,
    ) -> None:
        self._subject, self._spec, self._device = subject, spec, device
        self._rows, self._seed, self._progress = rows, seed, progress
        self._found: dict[_Key, RevealRow] = {}
        self._cases: dict[_Key, list[Case]] = {}

    def run(self, cases: Sequence[Case]) -> None:
        """Probes one of each class of circumstances that give the same bits.

        Raises:
            NotOfferedError: torch has not this operation.
            KeyboardInterrupt: not all were reached.
        """
        for case in cases:
            started = time.perf_counter()
            built = self._subject.build(self._spec, case, self._device)
            data = self._data(built)
            sums = sums_of(built, data)
            signature = _signature(built, sums)
            key = (case.size.k, signature, built.alike)
            if key not in self._found:
                row = self._row(case, built, signature, study(built, data, sums))
                self._found[key] = replace(row, seconds=time.perf_counter() - started)
            self._cases.setdefault(key, []).append(case)
            self._progress.advance(1)

    def rows(self) -> list[RevealRow]:
        """A row for each class."""
        count = len(self._found)
        return [
            replace(row, cases=tuple(self._cases[key]), class_=_letters(at), class_count=count)
            for at, (key, row) in enumerate(self._found.items())
            if key in self._cases
        ]

    def _data(self, built: Built) -> Data:
        rows = min(self._rows, max(_DATA // built.count, 16))
        return draw(built.leaf, built.out, built.count, rows, built.products, self._seed)

    def _row(self, case: Case, built: Built, signature: str | None, result: Study) -> RevealRow:
        return RevealRow(
            operation=self._subject.name,
            dtype=self._spec.name,
            out_dtype=built.out.name,
            device=str(self._device.torch),
            cases=(case,),
            verdict=result.verdict,
            reason=result.reason,
            computation=result.found,
            certificate=result.certificate,
            alike=built.alike,
            signature=signature,
            questions=result.questions,
        )


def _letters(number: int) -> str:
    """A, B, … Z, AA, AB, …"""
    text = ""
    number += 1
    while number:
        number, rest = divmod(number - 1, 26)
        text = chr(ord("A") + rest) + text
    return text


def _signature(built: Built, sums: Sums) -> str | None:
    """Digits that are others where any sum has other bits; None where sums vary by themselves."""
    if sums.differing:
        return None
    asker = Asker(built)
    try:
        check_count(built)
        subnormals = find_subnormals(asker, find_scale(asker))
    except NotResolvableError:
        subnormals = Subnormals()
    return digest([sums.codes, subnormals])
