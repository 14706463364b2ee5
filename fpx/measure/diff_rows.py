"""The rows of a comparison: tensor by tensor, what became of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from fpx.errors import InputError
from fpx.measure.comparing import Comparing, all_equal
from fpx.measure.equal import equal_elements
from fpx.measure.matching import Found, Match, candidates, digest, matched
from fpx.measure.own_rules import OwnRules
from fpx.measure.quantised import dtype_of
from fpx.report.diff import Unchanged
from fpx.report.diff_row import Change, Comparison, DiffRow, OwnRule, Quantisation, Side, outcome_of
from fpx.tensors.dtypes import dtype_name
from fpx.tensors.entry import TensorEntry
from fpx.tensors.progress import Progress


@dataclass
class Compared:
    """What is known of two tensors.

    Attributes:
        comparison: how far apart they are.
        whole: whether that is of all elements; if not, Ctrl-C ended it.
        rules: what fpx's own rules give; None where that was not asked, or Ctrl-C ended it.
        interrupted: whether it did.
    """

    comparison: Comparison
    whole: bool = True
    rules: tuple[OwnRule, ...] | None = None
    interrupted: bool = False


@dataclass
class Work:
    """The comparison of two checkpoints, as far as it is.

    Attributes:
        check: what tensors must pass.
        progress: hears how far it is.
        block: elements to compare at a time.
        errors: what could not be read, a line each.
        twice: whether all tensors can be read more than once.
        rows: those that are done.
    """

    check: Unchanged
    progress: Progress
    block: int
    errors: list[str]
    twice: bool = True
    rows: list[DiffRow] = field(default_factory=list)

    def run(self, a: Mapping[str, Found], b: Mapping[str, Found]) -> None:
        """Compares everything.

        Raises:
            InputError: each side has one tensor, and one of the two cannot be read.
        """
        maybe = candidates(a, b)
        self.start(a, b, maybe)
        matches = matched(a, b, self.contents(maybe))
        self.prepare(matches)
        alone = len(a) == len(b) == 1
        for match in matches:
            try:
                row = self.row(match)
            except InputError as error:
                if alone:
                    raise
                self.errors.append(str(error))
                row = DiffRow(_side(match.a), _side(match.b), Change.UNREADABLE)
            self.rows.append(row)

    def start(self, a: Mapping[str, Found], b: Mapping[str, Found], maybe: Sequence[Found]) -> None:
        """Tells how much there is to do."""
        shared = [(item.entry, b[name].entry) for name, item in a.items() if name in b]
        once = sum(entry.count for entry in (*(x for x, _ in shared), *(m.entry for m in maybe)))
        again = sum(OwnRules(*pair).count for pair in shared) if self.twice else 0
        self.progress.start(once + again)

    def contents(self, maybe: Sequence[Found]) -> dict[int, bytes]:
        """The contents by which tensors without a namesake are matched, see `matched`."""
        contents: dict[int, bytes] = {}
        for item in maybe:
            try:
                contents[id(item.entry)] = digest(item.entry, self.progress.advance)
            except InputError as error:
                self.errors.append(str(error))
        return contents

    def prepare(self, matches: Sequence[Match]) -> None:
        """Does what is done before the first row."""

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
        done = self.compared(first, second, row.converted)
        found = done.comparison
        if not done.whole:
            if found.beyond_count:  # what is known already is told
                self.rows.append(replace(row, outcome=Change.DIFFERS, comparison=found))
            raise KeyboardInterrupt
        row = replace(row, outcome=outcome_of(found, row.converted), comparison=found)
        if second.quantised is not None and loses(found, row.converted):
            own = Quantisation(second.quantised.layout, done.rules or ())
            row = replace(row, quantised=own)
        if done.interrupted:
            self.rows.append(row)
            raise KeyboardInterrupt
        return row

    def compared(self, first: TensorEntry, second: TensorEntry, converted: bool) -> Compared:
        """What is known of two tensors of one shape, once they are read.

        Raises:
            InputError: damage that shows only in their data.
        """
        comparing = Comparing(first, second, self.check.tolerance_ulp)
        read = 0
        try:
            if self.twice and first.dtype == second.dtype:
                read = equal_elements(first, second, self.block, self.progress.advance)
            if read < first.count:
                comparing.read(self.progress, self.block, known=read)
        except KeyboardInterrupt:
            return Compared(comparing.result(), whole=False, interrupted=True)
        found = comparing.result() if read < first.count else all_equal(first, second)
        if second.quantised is None or not self.twice:
            return Compared(found)
        own = OwnRules(first, second)
        if not loses(found, converted):
            self.progress.advance(own.count)
            return Compared(found)
        try:
            return Compared(found, rules=own.found(self.progress))
        except KeyboardInterrupt:
            return Compared(found, interrupted=True)


def loses(found: Comparison, converted: bool) -> bool:
    """Whether elements are not what they were, so that other rules could do better."""
    return outcome_of(found, converted) in (Change.DIFFERS, Change.WITHIN_TOLERANCE)


def _side(found: Found | None) -> Side | None:
    if found is None:
        return None
    entry = found.entry
    stored = None if entry.quantised is None else dtype_of(entry.quantised)
    return Side(found.source, entry.name, dtype_name(entry.dtype), entry.shape, stored)
