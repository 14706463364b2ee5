"""Conformance of casts: every code where that is possible, against correct rounding."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product

import torch
from torch import Tensor

from fpx.casts.backends import BACKENDS, CONTIGUOUS, EXACT, REFERENCES, SCALAR, Backend
from fpx.casts.device import Device, find_device
from fpx.casts.environment import environment
from fpx.casts.rounding import Span, round_codes
from fpx.casts.sweep import check_flush_denormal, sweep
from fpx.conformance.codes import Codes, choose_codes
from fpx.conformance.scalar import round_one_by_one
from fpx.conformance.tally import Tally
from fpx.core.formats import FORMATS
from fpx.core.spec import FormatSpec
from fpx.core.targets import find_plain
from fpx.errors import InputError
from fpx.report.cast_verify import CODEC, CastOptions, NoDifference, VerifyReport, VerifyRow
from fpx.tensors.dtypes import INTEGERS, Origin
from fpx.tensors.progress import Progress, Silent
from fpx.words import listed, quoted

ORIGINS = ("float64", "float32", "float16", "bfloat16", "int64")
"""What is cast where nobody chose."""


@dataclass(frozen=True)
class Implementation:
    """A library's cast on a device, with what may change its results."""

    backend: Backend
    device: Device
    layout: str = CONTIGUOUS
    compiled: bool = False

    def cast(self, codes: Tensor, origin: Origin, target: FormatSpec) -> Tensor:
        """As `Backend.cast`; the result is on this device."""
        there = codes.to(self.device.torch)
        return self.backend.cast(there, origin, target, self.layout, self.compiled)

    def offers(self, origin: Origin, target: FormatSpec) -> bool:
        """As `Backend.offers`, on this device."""
        return self.backend.offers(origin, target, self.device.torch)


def find_origin(name: str) -> Origin:
    """The integer type or format of that name.

    Raises:
        InputError: no such format.
    """
    return INTEGERS.get(name.strip().lower().removeprefix("torch.")) or find_plain(name)


def cast_verify(
    origins: Sequence[Origin] = (),
    targets: Sequence[FormatSpec] = (),
    *,
    backends: Sequence[Backend] = (),
    devices: Sequence[str | Device] = ("cpu",),
    against: str = EXACT.name,
    everything: bool | None = None,
    size: int = 1 << 16,
    seed: int = 0,
    examples: int = 3,
    layout: str = CONTIGUOUS,
    compiled: bool = False,
    flush_denormal: bool = False,
    checks: Sequence[NoDifference] = (),
    progress: Progress | None = None,
) -> VerifyReport:
    """Compares casts with correct rounding (see `casts.rounding.round_codes`), code by code.

    Correct rounding itself, the backend `exact`, is compared with `core.codec`, which rounds one
    number at a time by other steps. A KeyboardInterrupt once casts have begun ends the work with a
    report on what was done so far.

    Args:
        origins, targets: what to cast; by default ORIGINS, and every listed format up to 64 bits
            but the origin itself.
        backends: who casts; torch by default.
        devices: where those cast that can cast on any device, as `find_device` takes or gives
            them; the others cast on the CPU.
        against: what says what is expected, one of REFERENCES: `exact`, or what torch (`cpu`) or
            another library gives on the CPU.
        everything: all 2^32 codes of 32-bit origins; by default for origins that were named.
        size: random codes of an origin of which not all are cast, and as many around boundaries.
        seed: of the random codes.
        examples: how many to keep for each cause.
        layout: one of LAYOUTS.
        compiled: by torch.compile.
        flush_denormal: with the processor's flush-to-zero mode on.
        checks: what to ask of every row.
        progress: hears how far the work is.

    Raises:
        InputError: an argument is off, or a cast would be compared with itself.
        UnavailableError: no such device; no flush-to-zero mode.
    """
    if size < 1 or examples < 1:
        raise InputError("`size` and `examples` must be at least 1")
    for type_ in (*origins, *targets):
        if type_.bits > 64:
            raise InputError(f"{type_.name} has {type_.bits} bits: casts of up to 64 are verified")
    if flush_denormal:
        check_flush_denormal()
    implementations = _implementations(backends, devices, layout, compiled)
    reference = _reference(against, implementations)
    pairs = _pairs(origins, targets)

    def chosen(one: Implementation, origin: Origin, target: FormatSpec) -> _Cast:
        by_codec = reference is None and one.backend is EXACT
        cast = _Cast(one, CODEC if by_codec else against, reference, origin, target)
        if not cast.offered():
            return cast
        whole = bool(origins) if everything is None else everything
        few = layout == SCALAR or (by_codec and origin.bits > (16 if whole else 12))
        codes = choose_codes(origin, target, one.device, whole, size, seed, few)
        return replace(cast, codes=codes)

    casts = [chosen(one, *pair) for one in implementations for pair in pairs]
    tallies = [Tally(cast.origin, cast.target, examples) for cast in casts]
    progress = progress or Silent()
    progress.start(sum(cast.codes.count for cast in casts if cast.codes is not None))
    try:
        for cast, tally in zip(casts, tallies, strict=True):
            cast.run(tally, flush_denormal, progress)
    except KeyboardInterrupt:
        pass  # the rows say what was reached
    rows = [cast.row(tally) for cast, tally in zip(casts, tallies, strict=True)]
    return VerifyReport(
        tuple(rows),
        against,
        environment([one.device for one in implementations], seed),
        CastOptions(layout, compiled, flush_denormal),
        tuple(_unchecked(casts, bool(origins), bool(targets))),
        tuple(checks),
    )


def _implementations(
    backends: Sequence[Backend], devices: Sequence[str | Device], layout: str, compiled: bool
) -> list[Implementation]:
    found = [item if isinstance(item, Device) else find_device(item) for item in devices]
    cpu = find_device("cpu")
    chosen = list(dict.fromkeys(backends)) or [BACKENDS["torch"]]
    for backend in chosen:
        backend.check(layout, compiled)
    return [
        Implementation(backend, device, layout, compiled)
        for backend in chosen
        for device in (found if backend.any_device else [cpu])
    ]


def _reference(against: str, implementations: Sequence[Implementation]) -> Implementation | None:
    """The implementation that says what is expected; None for correct rounding."""
    if against not in REFERENCES:
        raise InputError(f"`against` must be one of {listed(REFERENCES)}, not {quoted(against)}")
    backend = REFERENCES[against]
    if backend is EXACT:
        return None
    reference = Implementation(backend, find_device("cpu"))
    if reference in implementations:
        raise InputError(
            f'`against="{against}"` compares {backend.name} on the CPU with itself: '
            f"choose another of {listed(name for name in REFERENCES if name != against)}"
        )
    return reference


def _pairs(
    origins: Sequence[Origin], targets: Sequence[FormatSpec]
) -> list[tuple[Origin, FormatSpec]]:
    """What to cast to what; a format to itself only where both were named."""
    named = dict.fromkeys(targets)
    goals = named or [spec for spec in FORMATS.values() if spec.bits <= 64]
    froms = dict.fromkeys(origins) or [find_origin(name) for name in ORIGINS]
    return [
        (origin, target)
        for origin, target in product(froms, goals)
        if origin != target or (origins and targets)
    ]


@dataclass(frozen=True)
class _Cast:
    """What is verified at a time: one cast of one implementation.

    Attributes:
        one: the implementation.
        against: the name of what says what is expected.
        reference: the implementation that does; None for correct rounding.
        origin, target: of the cast.
        codes: those that are tried; None if there is no such cast.
    """

    one: Implementation
    against: str
    reference: Implementation | None
    origin: Origin
    target: FormatSpec
    codes: Codes | None = None

    def offered(self) -> bool:
        """Whether there is such a cast, on both sides."""
        expects = self.reference or Implementation(EXACT, self.one.device)
        return all(side.offers(self.origin, self.target) for side in (self.one, expects))

    def expected(self, block: Tensor, span: Span | None) -> Tensor:
        """The codes that should come."""
        if self.reference is not None:
            return self.reference.cast(block, self.origin, self.target).to(block.device)
        if self.against == CODEC:
            return round_one_by_one(block, self.origin, self.target)
        return round_codes(block, self.origin, self.target, span=span)

    def run(self, tally: Tally, flush_denormal: bool, progress: Progress) -> None:
        """Casts and compares every block."""
        codes = self.codes
        if codes is None:
            return

        def work(number: int) -> int:
            block, span = codes.block(number)
            expected = self.expected(block, span)
            tally.add(block, expected, self.one.cast(block, self.origin, self.target), span)
            return block.numel()

        alone = self.one.compiled or not self.one.device.is_cpu
        workers = 1 if alone else min(torch.get_num_threads(), codes.blocks)
        sweep(work, range(codes.blocks), workers, progress.advance, flush_denormal)

    def row(self, tally: Tally) -> VerifyRow:
        """What was found."""
        backend = self.one.backend
        row = VerifyRow(
            from_=self.origin.name,
            to=self.target.name,
            backend=backend.name,
            version=backend.version,
            device=str(self.one.device.torch),
            against=self.against,
            codes="none",
            offered=False,
        )
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


def _unchecked(casts: Sequence[_Cast], from_named: bool, to_named: bool) -> Iterator[str]:
    """A line for whatever was asked for by name (a format, a pair) and was not cast by anyone."""
    if from_named or to_named:

        def key(cast: _Cast) -> str:
            from_, to = cast.origin.name, cast.target.name
            if from_named and to_named:
                return f"{from_} to {to}"
            return f"from {from_}" if from_named else f"to {to}"

        asked: dict[str, list[_Cast]] = {}
        for cast in casts:
            asked.setdefault(key(cast), []).append(cast)
    else:
        asked = {"casts": list(casts)}
    for name, group in asked.items():
        if all(cast.codes is None for cast in group):
            yield f"{name}: not checked, {_lacking(group)}"


def _lacking(casts: Sequence[_Cast]) -> str:
    """Who lacks these casts, and who has one."""
    names = dict.fromkeys(cast.one.backend.name for cast in casts)
    reference = casts[0].reference
    if reference is None:
        who = f"{listed(names)} {'has' if len(names) == 1 else 'have'} no such cast"
    else:
        who = f"{listed(names)} and {reference.backend.name} do not both have such a cast"
    able = [
        backend.name
        for backend in BACKENDS.values()
        if any(backend.offers(cast.origin, cast.target) for cast in casts)
    ]
    return f"{who} (backends that do: {listed(able) or 'none'})"
