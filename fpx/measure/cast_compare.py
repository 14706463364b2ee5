"""Sources x targets: every block is read once, cast to every target, and measured."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, starmap
from typing import TYPE_CHECKING

import torch

from fpx.casts.backends import EXACT, Backend
from fpx.casts.device import Device, find_device
from fpx.casts.environment import environment
from fpx.core.formats import FORMATS
from fpx.core.policy import Stochastic
from fpx.core.scaling import ScaledFormat, Scope
from fpx.core.spec import FormatSpec
from fpx.core.targets import Target, find_target
from fpx.errors import InputError, UnavailableError
from fpx.measure.batches import batches, cast_together
from fpx.measure.cast_rows import Total, row_of
from fpx.measure.cast_shares import Done, grain_of, merged, on_rank, until_partial
from fpx.measure.cast_sources import drawn_in, floating, short_blocks
from fpx.measure.casting import Casting, Choice
from fpx.measure.channels import PASSES, channel_costs, has_channels, with_channels
from fpx.measure.distinct import WORTHWHILE, has_few_codes
from fpx.measure.measurers import SMALL, Chosen, measurer_for
from fpx.measure.plain_casting import cast_entry
from fpx.measure.scaled_casting import ScaledCasting
from fpx.measure.scaled_reading import scale_entry
from fpx.measure.shares import Part, parts
from fpx.measure.stochastic_casting import StochasticCasting
from fpx.measure.stochastic_scaled_casting import Draws, StochasticScaledCasting
from fpx.report.cast_compare import TARGETS, CastReport
from fpx.report.cast_row import CastRow
from fpx.report.channels import ChannelCost
from fpx.report.checks import Check
from fpx.report.totals import TOTAL
from fpx.report.verdicts import USUAL, Tolerance, worst
from fpx.tensors.distributions import NAMES
from fpx.tensors.draws import Sample
from fpx.tensors.dtypes import origin_of
from fpx.tensors.entry import TensorEntry
from fpx.tensors.opening import open_all
from fpx.tensors.progress import Progress, Silent

if TYPE_CHECKING:
    from fpx.ranks.team import Team


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
    rounding: Stochastic | None = None,
    measurer: Chosen | None = None,
    worthwhile: int = WORTHWHILE,
    tell: Callable[[str], None] = lambda line: None,
    team: Team | None = None,
) -> CastReport:
    """Casts every tensor of every source to every target and reports what was lost.

    Args:
        sources: what `fpx.tensors.opening.open_all` takes; none means every distribution.
        targets: formats to cast to, plain or scaled (`fpx.core.targets`); None means those of
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
        rounding: of every element, by draws that depend on `seed`, the tensor's name and the
            position of the element in its storage order; None is to nearest, as casts do.
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
        device = on_rank(team, sources, device)
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
    if rounding is not None:
        _check_drawable(backend)
        choice = Choice(EXACT, where)
    sample = Sample(drawn_in(from_), size, seed, plain)
    opened = open_all(
        sources or NAMES, include, exclude, sample=sample, stored=stored, as_=as_,
        spread=None if team is None else team.spread,
    )  # fmt: skip
    notes = [*opened.notes]
    if not integers:
        opened, left = floating(opened)
        notes += left
    notes += short_blocks(opened, scaled)
    errors = list(opened.errors)
    progress = progress or Silent()
    work = [(source.name, entry) for source in opened.sources for entry in source.entries]

    def casts_of(entry: TensorEntry) -> Sequence[Casting]:
        casts = _casts(entry.dtype, entry.only_for, plain, choice)
        if rounding is None:
            return casts
        return [
            StochasticCasting(
                cast.backend, cast.origin, cast.target,
                rounding=rounding, seed=seed, tensor=entry.name,
            )
            for cast in casts
        ]  # fmt: skip

    joins = dict[tuple[torch.dtype, str | None], bool]()
    for _, entry in work:
        same = entry.dtype, entry.only_for
        if same not in joins:
            casts = casts_of(entry)  # what cannot be done is told before
            joins[same] = bool(casts) and all(cast.elementwise for cast in casts)
    entries = [entry for _, entry in work]
    channelled = with_channels(entries, scaled, axis)
    own = [*map(Part, range(len(entries)))]
    if team is not None:
        uncut = {id(entry) for entry in channelled}

        def grain(entry: TensorEntry) -> int | None:
            return None if id(entry) in uncut else grain_of(entry, scaled)

        own = parts(entries, grain, team.rank, team.size)
    read = [part.of(entries[part.number]) for part in own]
    here = {id(entry) for entry in read}
    progress.start(
        sum(entry.count * _passes(entry, plain, scaled) for entry in read)
        + sum(entry.count * PASSES for entry in channelled if id(entry) in here)
    )
    measurer = measurer or measurer_for(read, plain, scaled, where, tell, worthwhile)

    def blank(entry: TensorEntry) -> Done:
        try:
            draws = None if rounding is None else Draws(rounding, seed, entry.name, entry.start)
            return Done(casts_of(entry), _scalings(entry, scaled, where, draws))
        except InputError as error:
            return Done(error=error)

    def kind(item: tuple[int, TensorEntry]) -> object:
        """What tensors have in common that are cast together; None of others."""
        _, entry = item
        small = 0 < entry.count <= SMALL and not has_few_codes(entry, worthwhile)
        same = entry.dtype, entry.only_for
        return same if small and measurer.apart and joins[same] else None

    @contextmanager
    def telling(found: Done) -> Iterator[None]:
        """Tells of a tensor what ends the work on it."""
        try:
            yield
        except InputError as error:
            found.fail(error)
        except KeyboardInterrupt:
            if not keep_partial:
                raise
            found.partial = True

    def done(together: bool, some: Sequence[tuple[int, TensorEntry]]) -> Iterator[tuple[int, Done]]:
        every = [blank(entry) for _, entry in some]
        if together and measurer.apart:
            with telling(every[0]):
                entries, casts = [entry for _, entry in some], [found.casts for found in every]
                errors = cast_together(entries, casts, where, progress, measurer.apart)
                for found, error in zip(every, errors, strict=True):
                    if error is not None:
                        found.fail(error)
        for (number, entry), found in zip(some, every, strict=True):
            left = not together or found.scalings  # else it has all of it
            if left and found.error is None and not found.partial:
                with telling(found):
                    if found.casts and not together:
                        cast_entry(entry, found.casts, where, progress, measurer, worthwhile)
                    if found.scalings:
                        scale_entry(entry, found.scalings, where, progress, measurer.scaled)
                    if axis is not None and found.scalings and has_channels(entry, axis):
                        name, _ = work[number]
                        found.channels = channel_costs(name, entry, scaled, axis, progress)
            yield number, found

    pieces = batches(zip((part.number for part in own), read, strict=True), kind)
    each = until_partial(chain.from_iterable(starmap(done, pieces)))
    if team is not None:
        sent = [(number, result.sent()) for number, result in each]
        each = merged(team.gather(sent), lambda number: blank(entries[number]))
    drawn = rounding is not None
    rows: list[CastRow] = []
    channels: list[ChannelCost] = []
    totals = {spec: Total() for spec in specs}
    alone = len(opened.sources) == 1  # whose subtotals are the totals
    subtotals: dict[tuple[str, Target], Total] = {}
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
            subtotal = subtotals.setdefault((name, cast.target), total if alone else Total())
            of_one = Total(cast.stats, {cast.origin.name}, {cast.backend.name})
            row = row_of(name, entry.name, cast.target, of_one, where, drawn, tolerance)
            for whole in (total,) if alone else (subtotal, total):
                whole.add(cast)
                whole.judgement = worst((whole.judgement, row.judgement))
            rows.append(row)
    return CastReport(
        rows=tuple(rows),
        totals=tuple(
            row_of(TOTAL, TOTAL, spec, total, where, drawn)
            for spec, total in totals.items()
            if rows
        ),
        subtotals=tuple(
            row_of(name, TOTAL, spec, total, where, drawn)
            for (name, spec), total in subtotals.items()
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
        rounding=None if rounding is None else rounding.value,
        unread=opened.unread,
    )


def _check_drawable(backend: Backend | None) -> None:
    """Refuses a backend that no draw is made by.

    Raises:
        InputError: it rounds to nearest.
    """
    if backend not in (None, EXACT):
        raise InputError(
            "stochastic rounding is done by fpx itself: leave out `backend`, or `rounding`"
        )


def _casts(
    dtype: torch.dtype, only_for: str | None, targets: Sequence[FormatSpec], choice: Choice
) -> Sequence[Casting]:
    """The casts of a tensor of that dtype to the one target that it is for, or to all."""
    origin = origin_of(dtype)
    wanted = [spec for spec in targets if only_for in (None, spec.name)]
    return [Casting(choice.of(origin, spec), origin, spec) for spec in wanted]


def _scalings(
    entry: TensorEntry, targets: Sequence[ScaledFormat], device: Device, draws: Draws | None
) -> list[ScaledCasting]:
    """The scaled casts of a tensor; none of one that was made for a plain target.

    Args:
        entry: the tensor.
        targets: to what.
        device: where.
        draws: by which elements are rounded; None is to nearest.

    Raises:
        InputError: it has no such axis.
    """
    if entry.only_for is not None:
        return []
    origin = origin_of(entry.dtype)
    if draws is None:
        return [ScaledCasting(origin, target, entry.shape, device) for target in targets]
    return [
        StochasticScaledCasting(origin, target, entry.shape, device, draws) for target in targets
    ]


def _passes(entry: TensorEntry, plain: Sequence[FormatSpec], scaled: Sequence[ScaledFormat]) -> int:
    """How often a tensor is read, about."""
    surveyed = any(
        target.global_scale or target.reach.scope is not Scope.BLOCK for target in scaled
    )
    return bool(plain) + (entry.only_for is None) * (bool(scaled) + surveyed)
