"""Two checkpoints, tensor by tensor: both are read block by block, side by side."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from fpx.casts.device import find_device
from fpx.casts.environment import environment
from fpx.core.spec import FormatSpec
from fpx.errors import InputError
from fpx.measure.apart import Distances, Elements, may_be_unusual, places
from fpx.measure.block import SourceBlock
from fpx.measure.derived import metrics_of
from fpx.measure.matching import (
    Found,
    Match,
    by_name,
    candidates,
    digest,
    is_nameless,
    matched,
)
from fpx.measure.metrics import measure
from fpx.measure.own_rules import OwnRules
from fpx.measure.quantised import dtype_of
from fpx.measure.stats import CastStats
from fpx.report.base import hex_code
from fpx.report.cast_row import Location
from fpx.report.diff import (
    Change,
    Comparison,
    DiffReport,
    DiffRow,
    Quantisation,
    Side,
    Spot,
    Unchanged,
    outcome_of,
)
from fpx.tensors.dtypes import Origin, codes_of, dtype_name, origin_of
from fpx.tensors.entry import COMPLEX_NOTE, Source, TensorEntry
from fpx.tensors.opening import holds_nowhere, open_all
from fpx.tensors.progress import Progress, Silent
from fpx.tensors.quantised.pairing import REMARKS
from fpx.words import listed, quoted

BLOCK = 1 << 17
"""Elements that are compared at a time."""

_ERRORS = ("max_abs_error", "max_rel_error", "max_error_ulp", "rms_error", "sqnr_db")
_STDIN = "-"


def diff(
    a: object,
    b: object,
    *,
    tolerance_ulp: int = 0,
    allow_renamed: bool = False,
    strip_prefix: Sequence[str] = (),
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    stored: bool = False,
    as_: Sequence[str] = (),
    progress: Progress | None = None,
    keep_partial: bool = False,
    block: int = BLOCK,
) -> DiffReport:
    """Compares the tensors of two sources.

    Tensors of the same name are compared; if each source is one array without a name of its own,
    those two are. What has no namesake is looked for by its content.

    Args:
        a, b: each what `fpx.tensors.opening.open_all` takes, distributions aside.
        tolerance_ulp: codes that values may be apart.
        allow_renamed: whether tensors that have only got another name pass.
        strip_prefix: beginnings of names, such as `model.`, that mean nothing.
        include, exclude: patterns of tensor names, see `fpx.tensors.select`.
        stored: whether quantised weights stay as they are stored, codes and scales.
        as_: how quantised weights are stored, see `fpx.tensors.quantised.told`.
        progress: hears how far the work is.
        keep_partial: whether a KeyboardInterrupt ends the work with a report on what was done so
            far, marked `partial`.
        block: elements to compare at a time.

    Raises:
        InputError: a source cannot be read, the two have nothing in common, or an argument is off.
    """
    if tolerance_ulp < 0:
        raise InputError(f"`tolerance_ulp` must be at least 0, not {tolerance_ulp}")
    stdin = [isinstance(source, str) and source == _STDIN for source in (a, b)]
    if all(stdin):
        raise InputError("stdin holds one array: only one of the two can be -")
    sides = [
        open_all([source], include, exclude, stored=stored, as_=as_, elsewhere=True)
        for source in (a, b)
    ]
    strange = holds_nowhere(*sides)
    if strange is not None:
        raise InputError(strange)
    first, second = (by_name(side.sources, strip_prefix) for side in sides)
    if len(first) == len(second) == 1 and any(is_nameless(side.sources) for side in sides):
        second = dict(zip(first, second.values(), strict=True))
    work = _Work(
        Unchanged(tolerance_ulp, allow_renamed),
        progress or Silent(),
        block,
        twice=not any(stdin),
        errors=[error for side in sides for error in side.errors],
    )
    partial = False
    try:
        work.run(first, second)
    except KeyboardInterrupt:
        if not keep_partial:
            raise
        partial = True
    if not partial and all(row.a is None or row.b is None for row in work.rows):
        raise InputError(
            f"nothing in common: A has {_some(first)}, B has {_some(second)}, and no two have the "
            "same name or content"
        )
    notes = tuple(note for side in sides for note in side.notes)
    return DiffReport(
        rows=tuple(work.rows),
        a=_called(sides[0].sources, a),
        b=_called(sides[1].sources, b),
        check=work.check,
        details=environment([find_device("cpu")]),
        errors=tuple(work.errors),
        notes=notes,
        passed_over=sum(not note.endswith((COMPLEX_NOTE, *REMARKS)) for note in notes),
        partial=partial,
    )


def _some(found: dict[str, Found]) -> str:
    return listed((quoted(item.entry.name) for item in found.values()), 3)


def _called(sources: Sequence[Source], asked: object) -> str:
    """What a side is called: as the user did, where that is a name."""
    if len(sources) == 1:
        return sources[0].name
    return str(asked)


@dataclass
class _Work:
    """The comparison of two checkpoints, as far as it is.

    Attributes:
        check: what tensors must pass.
        progress: hears how far it is.
        block: elements to compare at a time.
        twice: whether all tensors can be read more than once.
        errors: what could not be read, a line each.
        rows: those that are done.
    """

    check: Unchanged
    progress: Progress
    block: int
    twice: bool
    errors: list[str]
    rows: list[DiffRow] = field(default_factory=list)

    def run(self, a: dict[str, Found], b: dict[str, Found]) -> None:
        """Compares everything.

        Raises:
            InputError: each side has one tensor, and one of the two cannot be read.
        """
        maybe = candidates(a, b)
        shared = [(item.entry, b[name].entry) for name, item in a.items() if name in b]
        once = sum(entry.count for entry in (*(x for x, _ in shared), *(m.entry for m in maybe)))
        again = sum(OwnRules(*pair).count for pair in shared) if self.twice else 0
        self.progress.start(once + again)
        contents: dict[int, bytes] = {}
        for item in maybe:
            try:
                contents[id(item.entry)] = digest(item.entry, self.progress.advance)
            except InputError as error:
                self.errors.append(str(error))
        alone = len(a) == len(b) == 1
        for match in matched(a, b, contents):
            try:
                row = self.row(match)
            except InputError as error:
                if alone:
                    raise
                self.errors.append(str(error))
                row = DiffRow(_side(match.a), _side(match.b), Change.UNREADABLE)
            self.rows.append(row)

    def row(self, match: Match) -> DiffRow:
        """The row of a tensor.

        Raises:
            InputError: damage that shows only in its data.
        """
        row = DiffRow(_side(match.a), _side(match.b), Change.EXTRA)
        if match.a is None:
            return row
        if match.b is None:
            return replace(row, outcome=Change.MISSING)
        first, second = match.a.entry, match.b.entry
        if match.renamed:
            return replace(row, outcome=Change.RENAMED)
        if first.shape != second.shape:
            self.progress.advance(first.count)
            return replace(row, outcome=Change.RESHAPED)
        comparing = _Comparing(first, second, self.check.tolerance_ulp)
        try:
            if self.twice and first.dtype == second.dtype:
                read = self.equal_elements(first, second)
            else:
                read = 0
            if read < first.count:
                comparing.read(self.progress, self.block, known=read)
        except KeyboardInterrupt:
            found = comparing.result()
            if found.beyond_count:  # what is known already is told
                self.rows.append(replace(row, outcome=Change.DIFFERS, comparison=found))
            raise
        found = comparing.result() if read < first.count else _all_equal(first, second)
        row = replace(row, outcome=outcome_of(found, row.converted), comparison=found)
        return row if second.quantised is None else self.quantised(row, first, second)

    def quantised(self, row: DiffRow, first: TensorEntry, second: TensorEntry) -> DiffRow:
        """The row of a tensor that is quantised in B, with what fpx's own rules give."""
        rules = OwnRules(first, second)
        assert second.quantised is not None
        found = Quantisation(second.quantised.layout)
        if row.outcome not in (Change.DIFFERS, Change.WITHIN_TOLERANCE):
            self.progress.advance(rules.count if self.twice else 0)  # nothing was lost
            return row
        try:
            found = replace(found, rules=rules.found(self.progress) if self.twice else ())
        except KeyboardInterrupt:
            self.rows.append(replace(row, quantised=found))
            raise
        return replace(row, quantised=found)

    def equal_elements(self, first: TensorEntry, second: TensorEntry) -> int:
        """How many elements come before the first block that is not equal, bit for bit."""
        equal = 0
        for x, y in side_by_side(first, second, self.block):
            if not torch.equal(codes_of(x), codes_of(y)):
                break
            equal += len(x)
            self.progress.advance(len(x))
        return equal


def side_by_side(
    first: TensorEntry, second: TensorEntry, limit: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Blocks of both in row-major order, cut so that two that come together are of one length.

    Raises:
        InputError: damage that shows only in the data.
    """
    iterators = [entry.blocks(limit, row_major=True) for entry in (first, second)]
    held: list[Tensor | None] = [None, None]
    left = first.count
    while left:
        for side, blocks in enumerate(iterators):
            if held[side] is None:
                held[side] = next(blocks)
        x, y = held
        assert x is not None
        assert y is not None
        length = min(len(x), len(y))
        yield x[:length], y[:length]
        left -= length
        held = [rest if len(rest := item[length:]) else None for item in (x, y)]


class _Comparing:
    """Two tensors of one shape, and what is known of how far apart they are.

    Args:
        first, second: the tensors.
        tolerance: codes that values may be apart.
    """

    def __init__(self, first: TensorEntry, second: TensorEntry, tolerance: int) -> None:
        self._first, self._second, self._tolerance = first, second, tolerance
        self._types = origin_of(first.dtype), origin_of(second.dtype)
        self._same = first.dtype == second.dtype
        self._counts: Counter[str] = Counter()
        self._total = self._distant = 0  # the sum of distances, and how many there are
        self._largest = 0
        self._spots: dict[str, Spot] = {}
        self._stats = CastStats()
        self._start = 0

    def read(self, progress: Progress, block: int, known: int) -> None:
        """Reads both; of the first `known` elements, somebody was told already."""
        for x, y in side_by_side(self._first, self._second, block):
            self._take(x, y)
            self._start += len(x)
            fresh = self._start - max(known, self._start - len(x))
            if fresh > 0:
                progress.advance(fresh)

    def _take(self, x: Tensor, y: Tensor) -> None:
        """Takes in the next block of both."""
        b_type = self._types[1]
        if isinstance(b_type, FormatSpec):
            found = measure(SourceBlock(x), y, b_type, self._stats.known)
            self._stats.take(found, lambda at: self._location(at, x, y))
        self._counts["count"] += len(x)
        positions = None if self._same else may_be_unusual(x, y)
        if positions is None:
            elements = Elements(x, y)
            self._distant += int(elements.comparable.count_nonzero())
            positions = elements.unusual
            if 2 * len(positions) > len(x):  # to pick them would take longer than to take all
                positions = torch.arange(len(x))
            elif len(positions):
                elements = elements.at(positions)
        else:
            self._distant += len(x)
            x, y = (codes_of(block)[positions].view(block.dtype) for block in (x, y))
            elements = Elements(x, y)
        if len(positions):
            self._take_unusual(elements, positions)

    def _location(self, at: int, x: Tensor, y: Tensor) -> Location:
        index = self._first.index(self._start + at, row_major=True)
        return Location(self._first.name, index, _value(x[at]), _value(y[at]))

    def _take_unusual(self, elements: Elements, at: Tensor) -> None:
        """Takes in elements of a block that may not be as expected, and their positions in it."""
        comparable = elements.comparable
        usual = bool(comparable.all())
        beyond = torch.zeros_like(comparable)
        differs = elements.wanted.codes != elements.b
        if not usual:
            for name, mask in elements.losses().items():
                self._counts[name] += int(mask.count_nonzero())
                beyond |= mask
            if "first_lost_spot" not in self._spots and beyond.any():
                first = int(beyond.to(torch.uint8).argmax())
                self._spots["first_lost_spot"] = self._spot(elements, first, at)
            both_nan = elements.both_nan
            if self._same:
                self._counts["nan_bits_count"] += int((both_nan & differs).count_nonzero())
            else:
                differs &= ~both_nan
            differs |= beyond
        self._counts["differing_count"] += int(differs.count_nonzero())
        if usual or comparable.any():
            some = slice(None) if usual else comparable
            wanted, got = (
                places(codes[some], elements.b_type)
                for codes in (elements.wanted.codes, elements.b)
            )
            signs = (wanted == got) & differs[some]
            self._counts["zero_sign_count"] += int(signs.count_nonzero())
            distances = Distances(wanted, got)
            self._total += distances.total()
            largest, place = distances.largest()
            if largest > self._largest:
                self._largest = largest
                place = int(comparable.nonzero()[place])
                self._spots["max_distance_spot"] = self._spot(elements, place, at)
            beyond[some] |= distances.beyond(self._tolerance)
        self._counts["beyond_count"] += int(beyond.count_nonzero())

    def _spot(self, elements: Elements, place: int, at: Tensor) -> Spot:
        """One of some elements, which has that position in the block."""
        a_type, b_type = self._types
        wanted = elements.wanted.codes[place]
        holds = isinstance(b_type, FormatSpec) or bool(elements.wanted.finite[place])
        return Spot(
            index=self._first.index(self._start + int(at[place]), row_major=True),
            a=_value(elements.x[place]),
            b=_value(elements.y[place]),
            a_code=_hex(int(elements.a[place]), a_type),
            b_code=_hex(int(elements.b[place]), b_type),
            expected=_value(wanted.view(elements.y.dtype)) if holds else None,
            expected_code=_hex(int(wanted), b_type) if holds else None,
        )

    def result(self) -> Comparison:
        """What is known of all blocks so far."""
        counts, spots = self._counts, self._spots
        target = self._types[1]
        errors = (
            metrics_of(self._stats, target, on_device=False)
            if isinstance(target, FormatSpec)
            else {}
        )
        return Comparison(
            count=counts["count"],
            differing_count=counts["differing_count"],
            beyond_count=counts["beyond_count"],
            max_distance=self._largest if self._distant else None,
            mean_distance=self._total / self._distant if self._distant else None,
            nan_appeared_count=counts["nan_appeared_count"],
            nan_vanished_count=counts["nan_vanished_count"],
            inf_appeared_count=counts["inf_appeared_count"],
            inf_vanished_count=counts["inf_vanished_count"],
            out_of_range_count=counts["out_of_range_count"],
            nan_bits_count=counts["nan_bits_count"] if self._same else None,
            zero_sign_count=counts["zero_sign_count"],
            **{name: errors.get(name) for name in _ERRORS},
            max_distance_spot=spots.get("max_distance_spot"),
            first_lost_spot=spots.get("first_lost_spot"),
        )


def _all_equal(first: TensorEntry, second: TensorEntry) -> Comparison:
    """What holds of two tensors of the same bits: nothing of it has to be measured."""
    bits = 0 if first.dtype == second.dtype else None
    if not first.count:
        return Comparison(0, nan_bits_count=bits)
    found = Comparison(first.count, max_distance=0, mean_distance=0.0, nan_bits_count=bits)
    if not isinstance(origin_of(second.dtype), FormatSpec):
        return found
    return replace(
        found, max_abs_error=0.0, max_rel_error=0.0, max_error_ulp=0.0, rms_error=0.0,
        sqnr_db=math.inf,
    )  # fmt: skip


def _side(found: Found | None) -> Side | None:
    if found is None:
        return None
    entry = found.entry
    stored = None if entry.quantised is None else dtype_of(entry.quantised)
    return Side(found.source, entry.name, dtype_name(entry.dtype), entry.shape, stored)


def _value(element: Tensor) -> int | float:
    if element.is_floating_point():
        return float(element.to(torch.float64))
    return int(element.item())  # which uint64 has too, unlike int()


def _hex(code: int, type_: Origin) -> str:
    """A code of a `container` in hexadecimal."""
    if isinstance(type_, FormatSpec):
        return hex_code(code & ((1 << type_.bits) - 1), type_)
    bits = max(type_.bits, 8)
    return f"0x{code & ((1 << bits) - 1):0{bits // 4}x}"
