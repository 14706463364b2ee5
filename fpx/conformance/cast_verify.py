"""Conformance of casts: every code where that is possible, against correct rounding."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, replace

import ml_dtypes
import numpy as np
import torch
from torch import Tensor

from fpx.casts.backends import BACKENDS, LAYOUTS, Backend
from fpx.casts.device import Device, find_device
from fpx.casts.rounding import Span, round_codes
from fpx.conformance.codes import Codes, choose_codes
from fpx.conformance.tally import Tally
from fpx.core.formats import FORMATS
from fpx.core.names import find_format
from fpx.core.spec import FormatSpec
from fpx.errors import InputError, UnavailableError
from fpx.report.base import JsonValue
from fpx.report.cast_verify import VerifyReport, VerifyRow
from fpx.tensors.dtypes import INTEGERS, Origin, check_container, container
from fpx.tensors.progress import Progress, Silent

ORIGINS = ("float64", "float32", "float16", "bfloat16", "int64")
"""What is cast where nobody chose."""


EXACT = "exact"


@dataclass(frozen=True)
class Implementation:
    """A library's cast on a device, with what may change its results."""

    backend: Backend
    device: Device
    layout: str = "contiguous"
    compiled: bool = False

    def cast(self, codes: Tensor, origin: Origin, target: FormatSpec) -> Tensor:
        """As `Backend.cast`; the result is on this device."""
        there = codes.to(self.device.torch)
        return self.backend.cast(there, origin, target, self.layout, self.compiled)


def find_origin(name: str) -> Origin:
    """The integer type or format of that name.

    Raises:
        InputError: no such format.
    """
    return INTEGERS.get(name.strip().lower().removeprefix("torch.")) or find_format(name)


def cast_verify(
    origins: Sequence[Origin] = (),
    targets: Sequence[FormatSpec] = (),
    *,
    backends: Sequence[Backend] = (),
    devices: Sequence[str] = ("cpu",),
    against: str = EXACT,
    everything: bool | None = None,
    size: int = 1 << 16,
    seed: int = 0,
    examples: int = 3,
    layout: str = "contiguous",
    compiled: bool = False,
    flush_denormal: bool = False,
    progress: Progress | None = None,
) -> VerifyReport:
    """Compares casts with correct rounding (see `reference.round_codes`), code by code.

    Args:
        origins, targets: what to cast; by default ORIGINS, and every listed format up to 64 bits.
        backends: who casts; torch by default. numpy and ml_dtypes cast on the CPU alone.
        devices: where torch casts.
        against: `exact`, or the implementation that says what is expected: `cpu` (torch's),
            `numpy` or `ml_dtypes`.
        everything: all 2^32 codes of 32-bit origins; by default for origins that were named.
        size: random codes of an origin of which not all are cast, and as many around boundaries.
        seed: of those.
        examples: to keep for each cause.
        layout: one of LAYOUTS.
        compiled: by `torch.compile`.
        flush_denormal: with the processor's flush-to-zero mode on.
        progress: hears how far the work is.

    Raises:
        InputError: an argument is off.
        UnavailableError: no such device; no flush-to-zero mode.
    """
    if layout not in LAYOUTS:
        raise InputError(f"--layout must be {', '.join(LAYOUTS)}, not {layout}")
    if size < 1 or examples < 1:
        raise InputError("--size and --examples must be at least 1")
    if everything is None:
        everything = bool(origins)
    wanted = list(dict.fromkeys(origins)) or [find_origin(name) for name in ORIGINS]
    goals = list(dict.fromkeys(targets)) or [f for f in FORMATS.values() if f.bits <= 64]
    for spec in (*wanted, *goals):
        check_container(spec)
    found = [find_device(name) for name in devices]
    implementations = [
        Implementation(backend, device, layout, compiled)
        for backend in backends or [BACKENDS["torch"]]
        for device in (found if backend.name == "torch" else [find_device("cpu")])
    ]
    reference = _reference(against)

    def codes(one: Implementation, origin: Origin, target: FormatSpec) -> Codes | None:
        if any(not _offers(each, origin, target) for each in (one, reference) if each is not None):
            return None
        alone = layout == "scalar"
        return choose_codes(origin, target, one.device, everything, size, seed, one_by_one=alone)

    casts = [
        _Cast(one, reference, origin, target, codes(one, origin, target))
        for one in implementations
        for origin in wanted
        for target in goals
        if origin != target
    ]
    progress = progress or Silent()
    progress.start(sum(cast.codes.count for cast in casts if cast.codes is not None))
    rows: list[VerifyRow] = []
    stopped = False
    for cast in casts:
        tally = Tally(cast.origin, cast.target, examples)
        if not stopped and cast.codes is not None:
            stopped = _sweep(cast, cast.codes, tally, flush_denormal, progress)
        rows.append(cast.row(tally))
    details: dict[str, JsonValue] = {
        "python": ".".join(map(str, sys.version_info[:3])),
        "torch": str(torch.__version__),
        "numpy": np.__version__,
        "ml_dtypes": ml_dtypes.__version__,
        "device": ", ".join(dict.fromkeys(one.device.label for one in implementations)),
        "cuda": torch.version.cuda,
        "threads": torch.get_num_threads(),
        "seed": seed,
        "layout": layout,
        "compile": compiled,
        "flush_denormal": flush_denormal,
    }
    return VerifyReport(tuple(rows), against, details)


def _reference(against: str) -> Implementation | None:
    """The implementation that says what is expected; None for correct rounding."""
    if against == EXACT:
        return None
    name = "torch" if against == "cpu" else against
    if name not in BACKENDS or against == "torch":
        raise InputError(f"--against must be cpu, numpy or ml_dtypes, not {against}")
    return Implementation(BACKENDS[name], find_device("cpu"))


def _offers(one: Implementation, origin: Origin, target: FormatSpec) -> bool:
    """Whether the library casts so at all: by trying."""
    try:
        one.cast(torch.zeros(1, dtype=container(origin)), origin, target)
    except UnavailableError:
        return False
    return True


@dataclass(frozen=True)
class _Cast:
    """What is verified at a time: one cast of one implementation.

    Attributes:
        one: the implementation.
        reference: that which says what is expected; None for correct rounding.
        origin, target: of the cast.
        codes: those that are tried; None if the library has no such cast.
    """

    one: Implementation
    reference: Implementation | None
    origin: Origin
    target: FormatSpec
    codes: Codes | None

    def expected(self, block: Tensor, span: Span | None) -> Tensor:
        """The codes that should come."""
        if self.reference is None:
            return round_codes(block, self.origin, self.target, span=span)
        return self.reference.cast(block, self.origin, self.target).to(block.device)

    def row(self, tally: Tally) -> VerifyRow:
        """What was found."""
        row = VerifyRow(
            self.origin.name, self.target.name, self.one.backend.name, str(self.one.device.torch),
            "none", offered=False,
        )  # fmt: skip
        if self.codes is None:
            return row
        return replace(
            row,
            codes=self.codes.kind,
            offered=True,
            complete=tally.checked + tally.undefined == self.codes.count,
            checked_count=tally.checked,
            equal_count=tally.checked - tally.differing,
            undefined_count=tally.undefined,
            causes=tally.causes(),
        )


def _sweep(
    cast: _Cast, codes: Codes, tally: Tally, flush_denormal: bool, progress: Progress
) -> bool:
    """Casts and compares every block; True if it was interrupted on the way."""
    one = cast.one
    stop = threading.Event()
    numbers = iter(range(codes.blocks))
    taking = threading.Lock()

    def take() -> Iterator[int]:
        while not stop.is_set():
            with taking:
                number = next(numbers, None)
            if number is None:
                return
            yield number

    def work() -> None:
        # one core each: with blocks this small, waking torch's own threads costs more than it saves
        torch.set_num_threads(1)
        if flush_denormal and not torch.set_flush_denormal(True):
            raise UnavailableError("this processor has no flush-to-zero mode for --flush-denormal")
        try:
            for number in take():
                block, span = codes.block(number)
                expected = cast.expected(block, span)
                tally.add(block, expected, one.cast(block, cast.origin, cast.target))
                progress.advance(block.numel())
        finally:
            if flush_denormal:
                torch.set_flush_denormal(False)

    threads = torch.get_num_threads()
    workers = min(threads, codes.blocks) if one.device.is_cpu and not one.compiled else 1
    with ThreadPoolExecutor(workers) as pool:
        try:
            jobs = [pool.submit(work) for _ in range(workers)]
            while wait(jobs, timeout=0.2).not_done:
                pass  # short waits, because an endless one keeps Ctrl-C waiting too
        except KeyboardInterrupt:
            stop.set()
        finally:
            stop.set() if any(job.done() and job.exception() for job in jobs) else None
            pool.shutdown()
            torch.set_num_threads(threads)
    for job in jobs:
        job.result()
    return tally.checked + tally.undefined < codes.count
