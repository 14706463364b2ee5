"""The comparison of two checkpoints by several processes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from fpx.errors import InputError
from fpx.measure.comparing import Comparing, Tally, all_equal
from fpx.measure.diff_rows import Compared, Work, loses
from fpx.measure.equal import equal_elements
from fpx.measure.matching import Found, Match, digest
from fpx.measure.own_rules import OwnRules
from fpx.measure.shares import Part, parts
from fpx.report.diff import Unchanged
from fpx.report.diff_row import OwnRule
from fpx.tensors.entry import TensorEntry
from fpx.tensors.pieces import cut_axis
from fpx.tensors.progress import Progress, Silent

if TYPE_CHECKING:
    from fpx.ranks.team import Team

_Pair = tuple[TensorEntry, TensorEntry]


class _Found(NamedTuple):
    """What a rank found of a pair, or of a piece of one.

    Attributes:
        number: of the pair.
        tally: how far apart its elements are.
        rules: or what fpx's own rules give.
        error: or what is damaged.
    """

    number: int
    tally: Tally | None = None
    rules: tuple[OwnRule, ...] | None = None
    error: str | None = None


class SharedWork(Work):
    """A comparison of which every rank does its share.

    Which tensors are equal is found out first, at the speed of reading; then those that are not are
    shared out anew, since they take longer.

    Args:
        check, progress, block, errors: as of `Work`.
        team: the processes.
    """

    def __init__(
        self, check: Unchanged, progress: Progress, block: int, errors: list[str], *, team: Team
    ) -> None:
        super().__init__(check, progress, block, errors)
        self._team = team
        self._equal: set[int] = set()  # ids of the first of two entries
        self._errors: dict[int, str] = {}
        self._tallies: dict[int, Tally] = {}
        self._rules: dict[int, tuple[OwnRule, ...]] = {}

    def start(self, a: Mapping[str, Found], b: Mapping[str, Found], maybe: Sequence[Found]) -> None:
        """Nothing: how much this rank has to do shows later."""

    def contents(self, maybe: Sequence[Found]) -> dict[int, bytes]:
        """As of `Work`; each tensor is read by one rank."""
        entries = [item.entry for item in maybe]
        own: list[tuple[int, bytes | str]] = []
        for number, _ in self._share(entries, lambda _: None):
            try:
                own.append((number, digest(entries[number], lambda count: None)))
            except InputError as error:
                own.append((number, str(error)))
        contents: dict[int, bytes] = {}
        for some in self._team.share(own):
            for number, found in some:
                if isinstance(found, bytes):
                    contents[id(entries[number])] = found
                else:
                    self.errors.append(found)
        return contents

    def prepare(self, matches: Sequence[Match]) -> None:
        """Compares all tensors.

        Raises:
            HandedOverError: this is not rank 0, which has the results.
        """
        pairs = [
            (match.a.entry, match.b.entry)
            for match in matches
            if match.a is not None and match.b is not None and not match.renamed
        ]
        pairs = [(first, second) for first, second in pairs if first.shape == second.shape]
        interrupted = self._find_equal([pair for pair in pairs if pair[0].dtype == pair[1].dtype])
        rest = [
            pair
            for pair in pairs
            if id(pair[0]) not in self._equal and id(pair[0]) not in self._errors
        ]
        found = [] if interrupted else self._compare(rest)
        for some in self._team.gather(found):
            for each in some:
                self._take(id(rest[each.number][0]), each)

    def _take(self, key: int, found: _Found) -> None:
        if found.error is not None:
            self._errors.setdefault(key, found.error)
        if found.tally is not None:
            self._tallies.setdefault(key, Tally()).add(found.tally)
        if found.rules is not None:
            self._rules[key] = found.rules

    def _find_equal(self, pairs: Sequence[_Pair]) -> bool:
        """Finds out which pairs are equal, bit for bit; whether Ctrl-C ended that on any rank."""
        own = self._share([first for first, _ in pairs], _grain(pairs))
        self.progress.start(sum(part.of(pairs[part.number][0]).count for part in own))
        said: list[tuple[int, int | str]] = []
        interrupted = False
        try:
            for part in own:
                first, second = map(part.of, pairs[part.number])
                try:
                    same = equal_elements(first, second, self.block, self.progress.advance)
                    said.append((part.number, same))
                except InputError as error:
                    said.append((part.number, str(error)))
        except KeyboardInterrupt:
            interrupted = True
        heard = self._team.share((said, interrupted))
        equal = Counter[int]()
        for number, found in chain.from_iterable(some for some, _ in heard):
            if isinstance(found, str):
                self._errors.setdefault(id(pairs[number][0]), found)
            else:
                equal[number] += found
        self._equal = {
            id(first) for number, (first, _) in enumerate(pairs) if equal[number] == first.count
        }
        return any(broken for _, broken in heard)

    def _compare(self, pairs: Sequence[_Pair]) -> list[_Found]:
        """This rank's share of pairs that differ, and of what fpx's own rules give for them."""
        firsts = [first for first, _ in pairs]
        with_rules = [number for number, pair in enumerate(pairs) if OwnRules(*pair).count]
        tasks = [*firsts, *(firsts[number] for number in with_rules)]
        grain = _grain(pairs)
        found: list[_Found] = []
        try:
            for part in self._share(tasks, grain):
                rules = part.number >= len(pairs)
                number = with_rules[part.number - len(pairs)] if rules else part.number
                first, second = pairs[number]
                try:
                    if rules:
                        given = OwnRules(first, second).found(Silent())
                        found.append(_Found(number, rules=given))
                        continue
                    comparing = Comparing(part.of(first), part.of(second), self.check.tolerance_ulp)
                    found.append(_Found(number, comparing.tally))
                    comparing.read(Silent(), self.block, known=0)
                except InputError as error:
                    found.append(_Found(number, error=str(error)))
        except KeyboardInterrupt:
            pass  # what is missing shows
        return found

    def _share(
        self, entries: Sequence[TensorEntry], grain: Callable[[TensorEntry], int | None]
    ) -> list[Part]:
        return parts(entries, grain, self._team.rank, self._team.size)

    def compared(self, first: TensorEntry, second: TensorEntry, converted: bool) -> Compared:
        """As of `Work`, of what all ranks found."""
        key = id(first)
        if key in self._errors:
            raise InputError(self._errors[key])
        if key in self._equal:
            return Compared(all_equal(first, second))
        comparing = Comparing(first, second, self.check.tolerance_ulp)
        comparing.tally.add(self._tallies.get(key, Tally()))
        found = comparing.result()
        if found.count < first.count:
            return Compared(found, whole=False, interrupted=True)
        if not OwnRules(first, second).count or not loses(found, converted):
            return Compared(found)
        rules = self._rules.get(key)
        return Compared(found, rules=rules, interrupted=rules is None)


def _grain(pairs: Sequence[_Pair]) -> Callable[[TensorEntry], int | None]:
    """Which of the first tensors of pairs are cut: where the second one can be cut alike."""
    alike = {
        id(first)
        for first, second in pairs
        if first.order is second.order is None and cut_axis(second) is not None
    }
    return lambda entry: 1 if id(entry) in alike else None
