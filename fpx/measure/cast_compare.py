"""Sources x targets: every block is read once, cast to every target, and measured."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, groupby
from math import lcm
from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from fpx.casts.backends import EXACT, Backend
from fpx.casts.device import Device, find_device
from fpx.casts.environment import environment
from fpx.casts.grouping import Grouping
from fpx.casts.sweep import sweep
from fpx.core.blocks import Target, find_target
from fpx.core.formats import FORMATS
from fpx.core.scaling import ScaledFormat, Scope
from fpx.core.spec import FormatSpec
from fpx.errors import InputError, UnavailableError
from fpx.measure.block import SourceBlock
from fpx.measure.casting import Casting, Choice, Where
from fpx.measure.channels import PASSES, channel_costs, has_channels
from fpx.measure.derived import locations_of, metrics_of
from fpx.measure.distinct import WORTHWHILE, DistinctValues, has_few_codes
from fpx.measure.measurers import Cast, Chosen, choose
from fpx.measure.metrics import measure
from fpx.measure.scaled_casting import ScaledCasting, scale_entry
from fpx.measure.shares import STDIN, Part, parts
from fpx.measure.stats import CastStats
from fpx.report.cast_compare import MIXED, TARGETS, CastReport
from fpx.report.cast_row import CastRow
from fpx.report.channels import ChannelCost
from fpx.report.checks import Check
from fpx.report.verdicts import USUAL, Judgement, Tolerance, Verdict, judge, worst
from fpx.tensors.distributions import NAMES
from fpx.tensors.draws import Sample
from fpx.tensors.dtypes import cast_dtype, dtype_name, origin_of
from fpx.tensors.entry import TensorEntry
from fpx.tensors.opening import Opened, open_all
from fpx.tensors.pieces import cut_axis
from fpx.tensors.progress import Progress, Silent
from fpx.words import escape, listed, quoted

if TYPE_CHECKING:
    from fpx.ranks.team import Team

TOTAL = "(total)"
"""The source and the tensor of a row over all of them."""

_STDIN = "-"


def cast_compare(
    sources: Sequence[object],
    targets: Iterable[Target] | None = None,
    *,
    from_: FormatSpec = FORMATS["float32"],
    device: str | Device = "cpu",
    size: int = 1 << 20,
    seed: int = 0,
    backend: Backend | None = None,
    progress: Progress | None = None,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    keep_partial: bool = False,
    checks: Sequence[Check[CastRow]] = (),
    integers: bool = False,
    tolerance: Tolerance = USUAL,
    stored: bool = False,
    as_: Sequence[str] = (),
    axis: int | None = None,
    measurer: Chosen | None = None,
    worthwhile: int = WORTHWHILE,
    tell: Callable[[str], None] = lambda line: None,
    team: Team | None = None,
) -> CastReport:
    """Casts every tensor of every source to every target and reports what was lost.

    Args:
        sources: what `fpx.tensors.opening.open_all` takes; none means every distribution.
        targets: formats to cast to, plain or scaled (`fpx.core.blocks`); None means those of
            `fpx.report.cast_compare.TARGETS`. Only plain ones have `boundaries`.
        from_: dtype in which distributions are drawn; files and tensors keep their own.
        device: `cpu`, `cuda`, `cuda:N` or `auto`, or a device found before; the casts run there.
        size: number of values of a random distribution.
        seed: of the random distributions.
        backend: who casts; without it torch, or where torch has no such cast, exact rounding, which
            scaled targets always have.
        progress: hears how far the work is.
        include, exclude: patterns of tensor names, see `fpx.tensors.select`.
        keep_partial: whether a KeyboardInterrupt ends the work with a report on what was done so
            far, marked `partial`.
        checks: what is asked of every row; the report tells which fail.
        integers: whether integer and bool tensors are cast too. A module's `half` and `to` leave
            them as they are, and so does this, with a note.
        tolerance: how much a tensor may lose and still fit.
        stored, as_: of quantised weights, see `open_all`.
        axis: of channels: which one sticks out, and what it costs the others in scaled targets.
        measurer: who measures what a cast did to a block; by default whoever suits the sources.
        worthwhile: elements from which on tensors of 8 and 16 bits are measured by distinct code.
        tell: hears, while it goes on, what takes its time.
        team: the processes that share the work, of which all call this with the same arguments;
            what only rank 0 has use for aside: `progress`, `checks`, `tolerance`, `tell`.

    Raises:
        HandedOverError: of a team, this is not rank 0, which has the report.
        InputError: the only source cannot be read, or an argument is off. Of several sources, a bad
            one becomes a line of the report's `errors`.
        UnavailableError: no such device or dtype here, or the backend lacks one of the casts.
    """
    if team is not None:
        device = _on_rank(team, sources, device)
    where = device if isinstance(device, Device) else find_device(device)
    choice = Choice(backend, where)
    specs = list(dict.fromkeys(map(find_target, TARGETS) if targets is None else targets))
    plain = [spec for spec in specs if isinstance(spec, FormatSpec)]
    scaled = [spec for spec in specs if isinstance(spec, ScaledFormat)]
    if scaled and backend is not None and backend is not EXACT:
        raise UnavailableError(
            f"{backend.name} casts to no {scaled[0].name}: leave `backend` out, or take "
            f'`backend="{EXACT.name}"`'
        )
    sample = Sample(_drawn_in(from_), size, seed, plain)
    opened = open_all(
        sources or NAMES, include, exclude, sample=sample, stored=stored, as_=as_,
        spread=None if team is None else team.spread,
    )  # fmt: skip
    notes = [*opened.notes]
    if not integers:
        opened, left = _floating(opened)
        notes += left
    notes += _short_blocks(opened, scaled)
    errors = list(opened.errors)
    progress = progress or Silent()
    work = [(source.name, entry) for source in opened.sources for entry in source.entries]
    for dtype, only_for in dict.fromkeys((entry.dtype, entry.only_for) for _, entry in work):
        _casts(dtype, only_for, plain, choice)  # what cannot be done is told before any work
    entries = [entry for _, entry in work]
    with_channels = _with_channels(entries, scaled, axis)
    own = [*map(Part, range(len(entries)))]
    if team is not None:
        uncut = {id(entry) for entry in with_channels}

        def grain(entry: TensorEntry) -> int | None:
            return None if id(entry) in uncut else _grain(entry, scaled)

        own = parts(entries, grain, team.rank, team.size)
    read = [part.of(entries[part.number]) for part in own]
    here = {id(entry) for entry in read}
    progress.start(
        sum(entry.count * _passes(entry, plain, scaled) for entry in read)
        + sum(entry.count * PASSES for entry in with_channels if id(entry) in here)
    )
    measurer = measurer or _measurer(read, plain, scaled, where, tell, worthwhile)

    def blank(entry: TensorEntry) -> _Done:
        casts = _casts(entry.dtype, entry.only_for, plain, choice)
        return _Done(casts, _scalings(entry, scaled, where))

    def done(number: int, entry: TensorEntry) -> _Done:
        try:
            found = blank(entry)
        except InputError as error:
            return _Done(error=error)
        try:
            if found.casts:
                _cast_entry(entry, found.casts, where, progress, measurer, worthwhile)
            if found.scalings:
                scale_entry(entry, found.scalings, where, progress, measurer.scaled)
            if axis is not None and found.scalings and has_channels(entry, axis):
                name, _ = work[number]
                found.channels = channel_costs(name, entry, scaled, axis, progress)
        except InputError as error:
            return _Done(error=error)
        except KeyboardInterrupt:
            if not keep_partial:
                raise
            found.partial = True
        return found

    pieces = zip((part.number for part in own), read, strict=True)
    each = _until_partial((number, done(number, entry)) for number, entry in pieces)
    if team is not None:
        sent = [(number, result.sent()) for number, result in each]
        each = _merged(team.gather(sent), lambda number: blank(entries[number]))
    rows: list[CastRow] = []
    channels: list[ChannelCost] = []
    totals = {spec: _Total() for spec in specs}
    alone = len(opened.sources) == 1  # whose subtotals are the totals
    subtotals: dict[tuple[str, Target], _Total] = {}
    versions: dict[str, str] = {}
    partial = False
    for number, found in each:
        name, entry = work[number]
        partial |= found.partial
        if found.error is not None:
            if len(sources) == len(work) == 1:
                raise found.error
            errors.append(str(found.error))
            continue
        channels += found.channels
        made: list[Casting | ScaledCasting] = [*found.casts, *found.scalings]
        for cast in sorted(made, key=lambda cast: specs.index(cast.target)):
            versions[cast.backend.name] = cast.backend.version
            total = totals[cast.target]
            subtotal = subtotals.setdefault((name, cast.target), total if alone else _Total())
            of_one = _Total(cast.stats, {cast.origin.name}, {cast.backend.name})
            row = _row(name, entry.name, cast.target, of_one, where, tolerance)
            for whole in (total,) if alone else (subtotal, total):
                whole.add(cast)
                whole.judgement = worst((whole.judgement, row.judgement))
            rows.append(row)
    return CastReport(
        rows=tuple(rows),
        totals=tuple(
            _row(TOTAL, TOTAL, spec, total, where) for spec, total in totals.items() if rows
        ),
        subtotals=tuple(
            _row(name, TOTAL, spec, total, where) for (name, spec), total in subtotals.items()
        ),
        details=environment([where], seed),
        errors=tuple(errors),
        partial=partial,
        checks=tuple(checks),
        versions=versions,
        notes=tuple(notes),
        tolerance=tolerance,
        channels=tuple(channels),
        measured_by=measurer.says,
    )


@dataclass
class _Done:
    """What was found of a tensor, or of a piece of one.

    Attributes:
        casts, scalings: its casts.
        channels: what channels that stick out cost.
        partial: whether Ctrl-C ended it.
        error: what is damaged in it; then the rest is empty.
    """

    casts: Sequence[Casting] = ()
    scalings: Sequence[ScaledCasting] = ()
    channels: Sequence[ChannelCost] = ()
    partial: bool = False
    error: InputError | None = None

    def sent(self) -> _Sent:
        """It as another process is told of it, which can make the casts itself."""
        return _Sent(self._stats(), self.channels, self.partial, self.error)

    def add(self, more: _Sent) -> None:
        """Takes in what was found of the next piece."""
        for stats, others in zip(self._stats(), more.stats, strict=True):
            stats.add(others)
        self.channels = [*self.channels, *more.channels]
        self.partial |= more.partial

    def _stats(self) -> list[CastStats]:
        return [*(cast.stats for cast in self.casts), *(cast.stats for cast in self.scalings)]


class _Sent(NamedTuple):
    """Of a `_Done`, the statistics of each cast, and the rest."""

    stats: Sequence[CastStats]
    channels: Sequence[ChannelCost]
    partial: bool
    error: InputError | None


def _until_partial(each: Iterable[tuple[int, _Done]]) -> Iterator[tuple[int, _Done]]:
    for number, found in each:
        yield number, found
        if found.partial:
            return


def _merged(
    gathered: Iterable[Sequence[tuple[int, _Sent]]], blank: Callable[[int], _Done]
) -> Iterator[tuple[int, _Done]]:
    """What all ranks found, tensor by tensor.

    Args:
        gathered: of each rank, what it found, with the numbers of tensors, which ascend.
        blank: of a tensor, what is known before any of it is read.
    """
    for number, pieces in groupby(chain.from_iterable(gathered), key=itemgetter(0)):
        found = [sent for _, sent in pieces]
        error = next((sent.error for sent in found if sent.error is not None), None)
        if error is not None:
            yield number, _Done(error=error)
            continue
        whole = blank(number)
        for sent in found:
            whole.add(sent)
        yield number, whole


def _on_rank(team: Team, sources: Sequence[object], device: str | Device) -> str | Device:
    """The device of a rank.

    Raises:
        InputError: a source that only one process can read.
    """
    if _STDIN in sources:
        raise InputError(STDIN)
    return team.device(device) if isinstance(device, str) else device


def _grain(entry: TensorEntry, scaled: Sequence[ScaledFormat]) -> int | None:
    """Of what the indexes are multiples between which a tensor may be cut; None where it may not.

    Blocks along the last axis are not cut, and nothing is whose scale hangs on all of the tensor.
    """
    axis = cut_axis(entry)
    if axis is None or entry.only_for is not None or not scaled:
        return None if axis is None else 1
    if entry.order is not None or any(target.global_scale is not None for target in scaled):
        return None
    try:
        widths = [Grouping(target.reach, entry.shape).width for target in scaled]
    except InputError:  # which casting tells
        return None
    if None in widths:
        return None
    return lcm(*(width or 1 for width in widths)) if axis == len(entry.shape) - 1 else 1


def _measurer(
    entries: Sequence[TensorEntry],
    targets: Sequence[FormatSpec],
    scaled: Sequence[ScaledFormat],
    device: Device,
    tell: Callable[[str], None],
    worthwhile: int,
) -> Chosen:
    """Who measures the casts of these tensors."""
    if not device.is_cpu:
        return Chosen(measure, f"torch's operations: the casts run on {device.torch}")
    casts = (
        Cast(entry.dtype, target, entry.count)
        for entry in entries
        for target in targets
        if entry.only_for in (None, target.name)
    )
    few = (entry.count for entry in entries if targets and has_few_codes(entry, worthwhile))
    blocks = sum(target.reach.scope is Scope.BLOCK for target in scaled)
    scaling = sum(entry.count for entry in entries if entry.only_for is None) * blocks
    return choose(casts, tell, counted=sum(few), scaled=scaling)


def _with_channels(
    entries: Sequence[TensorEntry], scaled: Sequence[ScaledFormat], axis: int | None
) -> list[TensorEntry]:
    """The tensors that have channels along an axis that was asked for.

    Raises:
        InputError: no tensor has, or no target has scales that channels could share.
    """
    if axis is None:
        return []
    if not scaled:
        raise InputError(
            "`axis` asks what a channel costs those that share its scales: name a target with "
            "scales, such as e4m3fn:tensor"
        )
    found = [e for e in entries if e.only_for is None and has_channels(e, axis)]
    if entries and not found:
        raise InputError(f"none of the {len(entries):,} tensors has channels along axis {axis}")
    return found


def _floating(opened: Opened) -> tuple[Opened, list[str]]:
    """The sources without their integer and bool tensors, and a line on those.

    Raises:
        InputError: there are no others.
    """
    sources, left = [], []
    for source in opened.sources:
        kept = tuple(entry for entry in source.entries if not _is_integer(entry.dtype))
        if len(kept) < len(source.entries):
            what = Counter(dtype_name(e.dtype) for e in source.entries if _is_integer(e.dtype))
            named = listed(f"{count:,} {name}" for name, count in what.items())
            total = sum(what.values())
            left.append(
                f"{escape(source.name)}: {named} tensor{'s' * (total > 1)} left as "
                f"{'they are' if total > 1 else 'it is'}: `integers=True` casts such too"
            )
        if kept:
            sources.append(replace(source, entries=kept))
    if opened.sources and not sources:
        raise InputError(f"nothing is left to cast: {left[0]}")
    return replace(opened, sources=tuple(sources)), left


def _short_blocks(opened: Opened, scaled: Sequence[ScaledFormat]) -> list[str]:
    """A line per source on matrices whose rows are shorter than a block.

    A convolution's weight ends in its kernel: a row of 1 or 3 elements has a scale of its own.
    """
    blocks = [target.reach for target in scaled if target.reach.scope is Scope.BLOCK]
    if not blocks:
        return []
    width = min(reach.columns for reach in blocks)
    notes = []
    for source in opened.sources:
        short = [e for e in source.entries if len(e.shape) > 1 and 0 < e.shape[-1] < width]
        if short:
            have = "tensor has" if len(short) == 1 else "tensors have"
            notes.append(
                f"{escape(source.name)}: blocks run along the last axis, which {len(short):,} "
                f"{have} shorter than {width} (such as "
                f"{quoted(short[0].name)} {list(short[0].shape)}): with a scale for so few "
                "elements less is lost, and more bits are taken, than the format says"
            )
    return notes


def _is_integer(dtype: torch.dtype) -> bool:
    return not (dtype.is_floating_point or dtype.is_complex)


def _drawn_in(spec: FormatSpec) -> torch.dtype:
    """The dtype of distributions."""
    try:
        return cast_dtype(spec)
    except UnavailableError as error:
        raise UnavailableError(
            f"{error}, so no distribution is drawn in it: choose another `from_`"
        ) from None


def _casts(
    dtype: torch.dtype, only_for: str | None, targets: Sequence[FormatSpec], choice: Choice
) -> list[Casting]:
    """The casts of a tensor of that dtype to the one target that it is for, or to all."""
    origin = origin_of(dtype)
    wanted = [spec for spec in targets if only_for in (None, spec.name)]
    return [Casting(choice.of(origin, spec), origin, spec) for spec in wanted]


def _scalings(
    entry: TensorEntry, targets: Sequence[ScaledFormat], device: Device
) -> list[ScaledCasting]:
    """The scaled casts of a tensor; none of one that was made for a plain target.

    Raises:
        InputError: it has no such axis.
    """
    if entry.only_for is not None:
        return []
    origin = origin_of(entry.dtype)
    return [ScaledCasting(origin, target, entry.shape, device) for target in targets]


def _passes(entry: TensorEntry, plain: Sequence[FormatSpec], scaled: Sequence[ScaledFormat]) -> int:
    """How often a tensor is read, about."""
    surveyed = any(
        target.global_scale or target.reach.scope is not Scope.BLOCK for target in scaled
    )
    return bool(plain) + (entry.only_for is None) * (bool(scaled) + surveyed)


def _is_counted(
    entry: TensorEntry, casts: Sequence[Casting], device: Device, worthwhile: int
) -> bool:
    """Whether casts of a tensor are measured by distinct code."""
    few = device.is_cpu and has_few_codes(entry, worthwhile)
    return few and all(cast.backend.elementwise for cast in casts)


def _cast_entry(
    entry: TensorEntry,
    casts: Sequence[Casting],
    device: Device,
    progress: Progress,
    chosen: Chosen,
    worthwhile: int,
) -> None:
    """Reads a tensor once and takes its casts to every target in."""
    if _is_counted(entry, casts, device, worthwhile):
        threads = torch.get_num_threads() if chosen.threaded else 1
        seen = DistinctValues(entry, chosen.tally, threads)
        try:
            seen.read(progress.advance)
        finally:  # whoever interrupts is told of what was read
            found = seen.distinct()
            if found is not None:
                where = _where(entry, found.first.__getitem__)
                for cast in casts:
                    cast.take(found.block, cast.codes(found.block.x), where, chosen.measurer)
        return
    if chosen.threaded and entry.count > device.block * _BLOCKS:
        _cast_in_threads(entry, casts, device, progress, chosen)
        return
    start = 0
    for block in entry.blocks(device.block):
        source = SourceBlock(block.to(device.torch))
        where = _where(entry, start.__add__)
        for cast in casts:
            codes = cast.codes(source.x)
            cast.take(source, codes, where, chosen.measurer)
            if not device.is_cpu:
                cast.take_mismatches(block, codes, cast.codes(block), where)
        start += block.numel()
        progress.advance(block.numel())


_BLOCKS = 4
"""A device's blocks that a thread takes at once: the next waits until Python lets go of it."""


def _cast_in_threads(
    entry: TensorEntry,
    casts: Sequence[Casting],
    device: Device,
    progress: Progress,
    chosen: Chosen,
) -> None:
    """As `_cast_entry`, on the CPU, several blocks at a time; taken in in their order."""

    size = device.block * _BLOCKS

    def blocks() -> Iterator[tuple[int, Tensor]]:
        start = 0
        for block in entry.blocks(size):
            yield start, block if entry.lasting else block.clone()
            start += len(block)

    def work(piece: tuple[int, Tensor]) -> tuple[int, list[Callable[[], None]]]:
        start, block = piece
        source, where = SourceBlock(block), _where(entry, start.__add__)
        found = [cast.measured(source, cast.codes(block), where, chosen.measurer) for cast in casts]
        return len(block), found

    def done(result: tuple[int, list[Callable[[], None]]]) -> None:
        count, found = result
        for take in found:
            take()
        progress.advance(count)

    workers = min(torch.get_num_threads(), -(-entry.count // size))
    sweep(work, blocks(), workers, done)


def _where(entry: TensorEntry, position: Callable[[int], int]) -> Where:
    """Where elements of a block are whose position in the tensor is that."""
    return lambda at: (entry.name, entry.index(position(at)))


@dataclass
class _Total:
    """What is known of all casts to one target."""

    stats: CastStats = field(default_factory=CastStats)
    origins: set[str] = field(default_factory=set)
    backends: set[str] = field(default_factory=set)
    judgement: Judgement = Judgement(Verdict.FITS)  # noqa: RUF009 - it is frozen

    def add(self, cast: Casting | ScaledCasting) -> None:
        """Takes in the cast of one more tensor."""
        self.stats.add(cast.stats)
        self.origins.add(cast.origin.name)
        self.backends.add(cast.backend.name)


def _row(
    source: str,
    tensor: str,
    target: Target,
    total: _Total,
    device: Device,
    tolerance: Tolerance | None = None,
) -> CastRow:
    """A row, judged by what is tolerated, or without that as the total is."""
    metrics = metrics_of(total.stats, target, on_device=not device.is_cpu)
    return CastRow(
        source=source,
        tensor=tensor,
        from_=_common(total.origins),
        to=target.name,
        backend=_common(total.backends),
        device=str(device.torch),
        metrics=metrics,
        locations=locations_of(total.stats),
        judgement=total.judgement if tolerance is None else judge(metrics, tolerance),
        exponent_histogram=total.stats.exponent_histogram(),
        scale_histogram=total.stats.scale_histogram(),
    )


def _common(names: Collection[str]) -> str:
    """The name that all have."""
    return next(iter(names)) if len(names) == 1 else MIXED
