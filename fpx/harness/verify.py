"""Conformance of casts: every code where that is possible, against correct rounding."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import ml_dtypes
import numpy as np
import torch
from torch import Tensor

from fpx.core import codec
from fpx.core.codec import Overflow, Rounding
from fpx.core.formats import FORMATS, find_format
from fpx.core.spec import FormatSpec
from fpx.errors import InputError, UnavailableError
from fpx.harness.cast import BACKENDS, LAYOUTS, Backend, Device, find_device, torch_dtype
from fpx.harness.compare import Progress, Silent
from fpx.harness.reference import INTEGERS, IntegerType, Span, container, nans, round_codes
from fpx.harness.sources import boundaries
from fpx.report.base import exact_text
from fpx.report.verify import (
    KINDS,
    NAN_BITS,
    POLICY,
    WRONG_ROUNDING,
    CastExample,
    CauseCount,
    VerifyReport,
    VerifyRow,
)

SourceType = FormatSpec | IntegerType

SOURCES = ("float64", "float32", "float16", "bfloat16", "int64")
"""What is cast where nobody chose."""

EXACT = "exact"

# -- causes ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Differences:
    """Codes (n,) whose results (n,) are not the expected ones (n,)."""

    codes: Tensor
    source: SourceType
    target: FormatSpec
    expected: Tensor
    got: Tensor

    def rounded(self, *how: Any) -> Tensor:
        """The target's codes by another rule."""
        return round_codes(self.codes, self.source, self.target, *how)

    def through(self, middle: FormatSpec, *how: Any) -> Tensor:
        """The target's codes after a rounding to another format."""
        first = round_codes(self.codes, self.source, middle)
        return round_codes(first, middle, self.target, *how)

    def magnitude(self, codes: Tensor) -> Tensor:
        """The target's codes without their sign, int64."""
        return codes.to(torch.int64) & self.target.magnitude_mask

    @cached_property
    def source_nan(self) -> Tensor:
        """NaN inputs."""
        return nans(self.codes, self.source)

    @cached_property
    def expected_nan(self) -> Tensor:
        """NaNs that were expected."""
        return nans(self.expected, self.target)

    @cached_property
    def got_nan(self) -> Tensor:
        """NaNs that came."""
        return nans(self.got, self.target)

    @cached_property
    def negative(self) -> Tensor:
        """Inputs with a sign."""
        if isinstance(self.source, IntegerType):
            return self.codes < 0
        return (self.codes.to(torch.int64) & self.source.sign_mask) != 0

    @cached_property
    def overflow(self) -> Tensor:
        """Inputs that round beyond the largest finite value, infinities among them."""
        if not (self.target.infinity or self.target.nan_code is not None):
            return torch.zeros_like(self.source_nan)
        beyond = self.rounded() != self.rounded(Rounding.TIES_TO_EVEN, Overflow.SATURATE)
        return beyond & ~self.invalid & ~self.source_nan

    @cached_property
    def invalid(self) -> Tensor:
        """Inputs that no value of the target is near: negative without sign, 0 without zero."""
        if self.target.signed and self.target.zero:
            return torch.zeros_like(self.source_nan)
        nan = nans(self.rounded(), self.target) & ~self.source_nan
        lowest = self.rounded(Rounding.TIES_TO_EVEN, Overflow.SATURATE) == 0
        return nan & lowest

    @cached_property
    def same_sign(self) -> Tensor:
        """Results whose sign is the input's."""
        return ((self.got.to(torch.int64) & self.target.sign_mask) != 0) == self.negative

    @cached_property
    def source_subnormal(self) -> Tensor:
        """Subnormal inputs."""
        if isinstance(self.source, IntegerType) or not self.source.zero:
            return torch.zeros_like(self.source_nan)
        magnitude = self.codes.to(torch.int64) & self.source.magnitude_mask
        return (magnitude > 0) & (magnitude >> self.source.fraction_bits == 0)


Test = Callable[[Differences], Tensor]

_EVEN, _AWAY = Rounding.TIES_TO_EVEN, Rounding.TIES_TO_AWAY


@dataclass(frozen=True)
class Cause:
    """One way of going wrong.

    Attributes:
        name: a key.
        reason: in words, those of `fpx.harness.libraries`.
        word: for a cell.
        kind: one of `fpx.report.verify.KINDS`.
        test: which differences it explains, as bools (n,).
    """

    name: str
    reason: str
    word: str
    kind: str
    test: Test


def _saturates(d: Differences) -> Tensor:
    top = d.magnitude(d.got) == d.target.max_finite_magnitude
    return d.overflow & top & (d.same_sign if d.target.signed else ~d.negative)


def _to_infinity(d: Differences) -> Tensor:
    if d.target.infinity_magnitude is None:
        return torch.zeros_like(d.overflow)
    return d.overflow & (d.magnitude(d.got) == d.target.infinity_magnitude) & d.same_sign


def _drops_sign(d: Differences) -> Tensor:
    if d.target.signed or not d.source.signed:
        return torch.zeros_like(d.source_nan)
    if isinstance(d.source, IntegerType):
        # the least integer has no absolute value here; its neighbour rounds likewise
        positive = torch.where(d.codes == torch.iinfo(d.codes.dtype).min, d.codes + 1, d.codes)
        positive = positive.abs()
    else:
        positive = d.codes & d.source.magnitude_mask
    absolute = replace(d, codes=positive)
    found = torch.zeros_like(d.source_nan)
    for rounding in (_EVEN, _AWAY):
        found |= absolute.rounded(rounding) == d.got
        found |= _through("float32", rounding)(absolute)
    return d.invalid & found


def _zero_sign(d: Differences) -> Tensor:
    both = (d.magnitude(d.expected) == 0) & (d.magnitude(d.got) == 0)
    return both & ~d.expected_nan & ~d.got_nan


def _flushes(d: Differences) -> Tensor:
    subnormal = torch.zeros_like(d.source_nan)
    for result in (d.expected, d.rounded(Rounding.TOWARD_ZERO)):  # tiny after or before rounding
        magnitude = d.magnitude(result)
        subnormal |= (magnitude > 0) & (magnitude >> d.target.fraction_bits == 0)
    zero = (d.magnitude(d.got) == 0) & ~d.got_nan
    return zero & (subnormal | d.source_subnormal) if d.target.zero else zero & d.source_subnormal


def _through(name: str, *how: Any) -> Test:
    def test(d: Differences) -> Tensor:
        middle = FORMATS[name]
        exact = isinstance(d.source, FormatSpec) and middle.holds(d.source)
        if exact or middle is d.target:
            return torch.zeros_like(d.source_nan)
        return (d.through(middle, *how) == d.got) & ~d.source_nan

    return test


def _double_rounding(*how: Any) -> Iterator[Cause]:
    for name in ("float32", "float64"):
        yield Cause(
            "double_rounding",
            f"rounded to {name} on the way",
            "double",
            WRONG_ROUNDING,
            _through(name, *how),
        )


CAUSES = (
    Cause("nan_bits", "NaN with other bits", "NaN bits", NAN_BITS,
          lambda d: d.expected_nan & d.got_nan),
    *_double_rounding(),  # before policies: what it takes over the edge follows none
    Cause("saturates", "saturates", "saturates", POLICY, _saturates),
    Cause("overflows_to_infinity", "overflows to infinity", "infinity", POLICY, _to_infinity),
    Cause("overflows_to_nan", "overflows to NaN", "NaN", POLICY, lambda d: d.overflow & d.got_nan),
    Cause("smallest_value", "gives the smallest value", "smallest", POLICY,
          lambda d: d.invalid & (d.got == 0)),
    Cause("drops_sign", "drops the sign", "sign", POLICY, _drops_sign),
    Cause("nan_class", "makes a number of a NaN", "NaN class", WRONG_ROUNDING,
          lambda d: d.source_nan & ~d.got_nan),
    Cause("zero_sign", "has the other sign of zero", "zero sign", WRONG_ROUNDING, _zero_sign),
    Cause("other_is_wrong", "is right, the other is not", "differs", WRONG_ROUNDING,
          lambda d: d.rounded() == d.got),
    Cause("ties_away", "rounds ties away from zero", "ties away", WRONG_ROUNDING,
          lambda d: d.rounded(Rounding.TIES_TO_AWAY) == d.got),
    *_double_rounding(_EVEN, Overflow.SATURATE),
    *_double_rounding(_AWAY),
    Cause("nan_class", "gives NaN", "NaN class", WRONG_ROUNDING, lambda d: d.got_nan),
    Cause("flushes_subnormals", "flushes subnormals to zero", "flushes", WRONG_ROUNDING, _flushes),
    Cause("truncates", "truncates", "truncates", WRONG_ROUNDING,
          lambda d: d.rounded(Rounding.TOWARD_ZERO) == d.got),
    Cause("other", "not known", "wrong", WRONG_ROUNDING,
          lambda d: torch.ones_like(d.source_nan)),
)  # fmt: skip
"""Every cause; the first that explains a difference has it."""


# -- counting --------------------------------------------------------------------------------------


@dataclass
class Tally:
    """What is known of one cast so far; blocks may come in any order, from any thread."""

    source: SourceType
    target: FormatSpec
    keep: int
    checked: int = 0
    differing: int = 0
    undefined: int = 0
    counts: dict[Cause, int] = field(default_factory=dict)
    examples: dict[Cause, list[tuple[int, int, int]]] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, codes: Tensor, expected: Tensor, got: Tensor) -> None:
        """Takes in one block."""
        count = codes.numel()
        if _same(expected, got):
            if self.target.nan_code is None:
                count -= self._leave_out(codes)
            with self.lock:
                self.checked += count
            return
        at = (expected != got).nonzero().reshape(-1)
        if self.target.nan_code is None:
            count -= self._leave_out(codes)
            at = at[~nans(codes[at], self.source)]
        with self.lock:
            self.checked += count
            self.differing += at.numel()
        self._explain(codes[at], expected[at], got[at])

    def _leave_out(self, codes: Tensor) -> int:
        undefined = int(nans(codes, self.source).count_nonzero())
        with self.lock:
            self.undefined += undefined
        return undefined

    def _explain(self, codes: Tensor, expected: Tensor, got: Tensor) -> None:
        for cause in CAUSES:
            if not codes.numel():
                return
            explained = cause.test(Differences(codes, self.source, self.target, expected, got))
            first = explained.nonzero()[: self.keep].reshape(-1)
            if not first.numel():
                continue
            rows = zip(*(part[first].tolist() for part in (codes, expected, got)), strict=True)
            wide = (self.source.bits, self.target.bits, self.target.bits)
            found = [
                tuple(code % (1 << bits) for code, bits in zip(row, wide, strict=True))
                for row in rows
            ]
            with self.lock:
                self.counts[cause] = self.counts.get(cause, 0) + int(explained.count_nonzero())
                known = self.examples.get(cause, [])
                self.examples[cause] = sorted(known + found)[: self.keep]
            rest = ~explained
            codes, expected, got = codes[rest], expected[rest], got[rest]

    def causes(self) -> tuple[CauseCount, ...]:
        """The causes, the worst kind first."""
        order = sorted(self.counts, key=lambda c: (KINDS.index(c.kind), -self.counts[c]))
        return tuple(
            CauseCount(
                cause.name,
                cause.reason,
                cause.kind,
                cause.word,
                self.counts[cause],
                tuple(self._example(*found) for found in self.examples[cause]),
            )
            for cause in order
        )

    def _example(self, code: int, expected: int, got: int) -> CastExample:
        return CastExample(
            *_named(code, self.source), *_named(expected, self.target), *_named(got, self.target)
        )


def _named(code: int, type_: SourceType) -> tuple[str, str]:
    """(hexadecimal, exact value) of a code."""
    digits = f"0x{code:0{-(-type_.bits // 4)}x}"
    if isinstance(type_, IntegerType):
        negative = type_.signed and code >> (type_.bits - 1)
        return digits, str(code - (1 << type_.bits) if negative else code)
    sign = int(bool(code & type_.sign_mask))
    return digits, exact_text(codec.decode(code, type_), sign) or codec.shortest(code, type_)


def _same(a: Tensor, b: Tensor) -> bool:
    """Whether all codes are equal; eight bytes at a time where they divide so."""
    if all(x.numel() * x.itemsize % 8 == x.storage_offset() == 0 for x in (a, b)):
        a, b = (x.contiguous().view(torch.int64) for x in (a, b))
    return torch.equal(a, b)


# -- which codes -----------------------------------------------------------------------------------

_EVERY_CODE = 20  # bits: so many codes are one block
_CPU_BLOCK = 1 << 18  # 1 MiB of float32: with what is made of it, about a core's cache
_GPU_BLOCK = 1 << 24
_SCALARS = 1 << 12  # codes cast one by one, which takes microseconds each


@dataclass(frozen=True)
class Codes:
    """The source codes of one cast: how many, and the blocks by number."""

    kind: str
    count: int
    blocks: int
    block: Callable[[int], tuple[Tensor, Span | None]]


def every_code(source: FormatSpec | IntegerType, device: Device) -> Codes:
    """All codes of a source of up to 32 bits, in order."""
    dtype = container(source)
    count = 1 << source.bits
    size = min(_CPU_BLOCK if device.is_cpu else _GPU_BLOCK, count)
    steps = torch.arange(size, device=device.torch, dtype=torch.int32)
    half = 1 << (source.bits - 1)

    def block(number: int) -> tuple[Tensor, Span | None]:
        first = number * size
        if source.bits < 32:
            return (steps + first).to(dtype), None
        start = first - count if first >= half else first
        span = None
        if isinstance(source, FormatSpec):
            low = first % half
            span = Span(low, low + size - 1, first >= half)
        return steps + start, span

    return Codes("all", count, count // size, block)


def sampled_codes(
    source: SourceType, target: FormatSpec, size: int, seed: int, device: Device
) -> Codes:
    """The target's boundaries in the source, `size` codes around them, and `size` random ones."""
    edges = _edges(source, target)
    generator = torch.Generator().manual_seed(seed)
    dtype = container(source)

    def draw(low: int, high: int) -> Tensor:
        return torch.randint(low, high, (size,), generator=generator)

    # 64 random bits: torch.randint's own range ends at 63
    random = (draw(0, 1 << 32) << 32) ^ draw(0, 1 << 32)
    near = edges[draw(0, edges.numel())].to(torch.int64)
    most = max(source.bits - target.precision - 12, 1)
    step = torch.ones(size, dtype=torch.int64) << draw(0, most)
    near += torch.where(draw(0, 2) == 0, step, -step)
    codes = torch.cat([edges, near.to(dtype), random.to(dtype)])
    if isinstance(source, FormatSpec) and source.bits != 8 * dtype.itemsize:
        codes &= (1 << source.bits) - 1
    block = _CPU_BLOCK
    return Codes(
        "sampled",
        codes.numel(),
        -(-codes.numel() // block),
        lambda n: (codes[n * block : (n + 1) * block].to(device.torch), None),
    )


def _edges(source: SourceType, target: FormatSpec) -> Tensor:
    if isinstance(source, FormatSpec):
        specials = [0, source.max_finite_magnitude, source.max_finite_magnitude + 1]
        if source.nan_code is not None:
            specials += [source.nan_code, source.max_finite_magnitude + 2]
        dtype = container(source)
        low = torch.tensor(specials, dtype=torch.int64)
        high = low | (source.sign_mask - (1 << 64) if source.bits == 64 else source.sign_mask)
        found = [low.to(dtype), high.to(dtype)]
        return torch.cat([*found, boundaries(target, torch_dtype(source)).view(dtype)])
    values: set[int] = {0, 1}
    for power in range(source.bits):
        spacing = power - target.precision  # log2 of half an ulp
        for steps in (0, 1, 2, 3, 5, (1 << target.precision) - 1):
            tie = (1 << power) + (steps << spacing if spacing >= 0 else steps >> -spacing)
            values |= {tie - 1, tie, tie + 1}
            if spacing > 30:  # near the tie, beyond what float32 and float64 can tell from it
                values |= {tie + (1 << (spacing - k)) for k in (1, 20, 30)}
    values |= {-v for v in values} if source.signed else set()
    limit = 1 << (source.bits - source.signed)
    inside = sorted(v for v in values if -limit * source.signed <= v < limit)
    return torch.tensor(inside, dtype=container(source))


# -- the sweep -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Implementation:
    """A library's cast on a device, with what may change its results."""

    backend: Backend
    device: Device
    layout: str = "contiguous"
    compiled: bool = False

    def cast(self, codes: Tensor, source: SourceType, target: FormatSpec) -> Tensor:
        """As `Backend.cast_codes`; the result is on this device."""
        there = codes.to(self.device.torch)
        return self.backend.cast_codes(there, source, target, self.layout, self.compiled)


def find_source(name: str) -> SourceType:
    """The integer type or format of that name.

    Raises:
        InputError: no such format.
    """
    return INTEGERS.get(name.strip().lower().removeprefix("torch.")) or find_format(name)


def cast_verify(
    sources: Sequence[SourceType] = (),
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
        sources, targets: what to cast; by default SOURCES, and every listed format up to 64 bits.
        backends: who casts; torch by default. numpy and ml_dtypes cast on the CPU alone.
        devices: where torch casts.
        against: `exact`, or the implementation that says what is expected: `cpu` (torch's),
            `numpy` or `ml_dtypes`.
        everything: all 2^32 codes of 32-bit sources; by default for sources that were named.
        size: random codes of a source of which not all are cast, and as many around boundaries.
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
        everything = bool(sources)
    wanted = list(dict.fromkeys(sources)) or [find_source(name) for name in SOURCES]
    goals = list(dict.fromkeys(targets)) or [f for f in FORMATS.values() if f.bits <= 64]
    for spec in (*wanted, *goals):
        container(spec)
    chosen = list(backends) or [BACKENDS["torch"]]
    found = [find_device(name) for name in devices]
    implementations = [
        Implementation(backend, device, layout, compiled)
        for backend in chosen
        for device in (found if backend.name == "torch" else [find_device("cpu")])
    ]
    reference = None
    if against != EXACT:
        name = "torch" if against == "cpu" else against
        if name not in BACKENDS or against == "torch":
            raise InputError(f"--against must be cpu, numpy or ml_dtypes, not {against}")
        reference = Implementation(BACKENDS[name], find_device("cpu"))
    plan: list[tuple[Implementation, SourceType, FormatSpec, Codes | None]] = []
    for one in implementations:
        for source in wanted:
            for target in goals:
                if source is target:
                    continue
                codes = None
                if _offers(one, source, target) and (
                    reference is None or _offers(reference, source, target)
                ):
                    codes = _codes(source, target, one, everything, size, seed)
                plan.append((one, source, target, codes))
    progress = progress or Silent()
    progress.start(sum(codes.count for *_, codes in plan if codes is not None))
    rows: list[VerifyRow] = []
    stopped = False
    for one, source, target, codes in plan:
        row = VerifyRow(
            source.name, target.name, one.backend.name, str(one.device.torch), "none", offered=False
        )
        if codes is not None:
            tally = Tally(source, target, examples)
            if not stopped:
                stopped = _sweep(codes, one, reference, tally, flush_denormal, progress)
            row = replace(
                row,
                codes=codes.kind,
                offered=True,
                complete=tally.checked + tally.undefined == codes.count,
                checked_count=tally.checked,
                equal_count=tally.checked - tally.differing,
                undefined_count=tally.undefined,
                causes=tally.causes(),
            )
        rows.append(row)
    details = {
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


def _codes(
    source: SourceType, target: FormatSpec, one: Implementation, everything: bool, size: int,
    seed: int,
) -> Codes:  # fmt: skip
    few = source.bits <= _EVERY_CODE and one.layout != "scalar"
    if few or (everything and source.bits <= 32 and one.layout != "scalar"):
        return every_code(source, one.device)
    if one.layout == "scalar":
        codes = sampled_codes(source, target, min(size, _SCALARS), seed, one.device)
        every = -(-codes.count // _SCALARS)
        whole = torch.cat([codes.block(n)[0] for n in range(codes.blocks)])[::every]
        return Codes("sampled", whole.numel(), 1, lambda _: (whole, None))
    return sampled_codes(source, target, size, seed, one.device)


def _offers(one: Implementation, source: SourceType, target: FormatSpec) -> bool:
    """Whether the library casts so at all: by trying."""
    try:
        one.cast(torch.zeros(1, dtype=container(source)), source, target)
    except UnavailableError:
        return False
    return True


def _sweep(
    codes: Codes,
    one: Implementation,
    reference: Implementation | None,
    tally: Tally,
    flush_denormal: bool,
    progress: Progress,
) -> bool:
    """Casts and compares every block; True if it was interrupted on the way."""
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
                if reference is None:
                    expected = round_codes(block, tally.source, tally.target, span=span)
                else:
                    expected = reference.cast(block, tally.source, tally.target)
                    expected = expected.to(block.device)
                tally.add(block, expected, one.cast(block, tally.source, tally.target))
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
