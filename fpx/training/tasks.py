"""Tensors that are counted one after the other, by one process or by several that share them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, Protocol, TypeVar

from fpx.errors import InputError
from fpx.measure.shares import Part, parts
from fpx.tensors.entry import TensorEntry
from fpx.tensors.pieces import cut_axis
from fpx.tensors.progress import Progress

if TYPE_CHECKING:
    from fpx.ranks.team import Team


class Count(Protocol):
    """Something that was counted of tensors, or of a piece of them."""

    def add(self, other: Any) -> None:
        """Takes in what was counted of others."""


_Count = TypeVar("_Count", bound=Count)


class _Sent(NamedTuple, Generic[_Count]):
    """What a rank tells of a task, or of a piece of one.

    Attributes:
        number: of the task.
        elements: how many it read.
        found: what it counted, or what is damaged.
    """

    number: int
    elements: int
    found: Sequence[_Count] | str


class Tasks(Generic[_Count]):
    """Tasks, each of which is tensors of one shape that are read side by side.

    Iterating over it does them, and gives the number of each with what was counted, in order: of a
    task that is damaged, the error. What Ctrl-C ends is left out.

    Args:
        tasks: the tensors.
        count: counts some elements of a task: its number, the tensors to read, and who hears how
            far it is.
        progress: hears how far the work is.
        keep_partial: whether a KeyboardInterrupt ends the work with what was done.
        team: the processes that share the work.
        uncut: whether every task must stay whole.

    Attributes:
        partial: whether the work was interrupted, on any rank; known at the end.
    """

    def __init__(
        self,
        tasks: Sequence[Sequence[TensorEntry]],
        count: Callable[[int, Sequence[TensorEntry], Progress], Sequence[_Count]],
        progress: Progress,
        *,
        keep_partial: bool,
        team: Team | None,
        uncut: bool = False,
    ) -> None:
        self.partial = False
        self._tasks, self._count, self._progress = tasks, count, progress
        self._keep_partial, self._team, self._uncut = keep_partial, team, uncut

    def __iter__(self) -> Iterator[tuple[int, Sequence[_Count] | InputError]]:
        """Does all tasks.

        Raises:
            HandedOverError: of a team, this is not rank 0, which has what was counted.
        """
        if self._team is None:
            for number, _, found in self._done([*map(Part, range(len(self._tasks)))]):
                yield number, found
            return
        own = parts(
            [task[0] for task in self._tasks], self._grain(), self._team.rank, self._team.size
        )
        sent = [
            _Sent(number, elements, str(found) if isinstance(found, InputError) else found)
            for number, elements, found in self._done(own)
        ]
        gathered = self._team.gather((sent, self.partial))
        self.partial = any(partial for _, partial in gathered)
        yield from self._merged(chain.from_iterable(some for some, _ in gathered))

    def _done(
        self, own: Sequence[Part]
    ) -> Iterator[tuple[int, int, Sequence[_Count] | InputError]]:
        """Number, elements and what was counted of each part, until Ctrl-C."""
        read = [[part.of(entry) for entry in self._tasks[part.number]] for part in own]
        self._progress.start(sum(entries[0].count for entries in read))
        for part, entries in zip(own, read, strict=True):
            found: Sequence[_Count] | InputError
            try:
                found = self._count(part.number, entries, self._progress)
            except InputError as error:
                found = error
            except KeyboardInterrupt:
                if not self._keep_partial:
                    raise
                self.partial = True
                return
            yield part.number, entries[0].count, found

    def _grain(self) -> Callable[[TensorEntry], int | None]:
        """Which tasks are cut, by their first tensors: where all of one can be cut alike."""
        alike = {
            id(task[0])
            for task in self._tasks
            if not self._uncut
            and all(cut_axis(entry) is not None for entry in task)
            and (len(task) == 1 or all(entry.order is None for entry in task))
        }
        return lambda entry: 1 if id(entry) in alike else None

    def _merged(
        self, sent: Iterable[_Sent[_Count]]
    ) -> Iterator[tuple[int, Sequence[_Count] | InputError]]:
        """What all ranks told, in the order of the tasks."""
        for number, several in groupby(sent, key=itemgetter(0)):
            told = list(several)
            wrong = next((each.found for each in told if isinstance(each.found, str)), None)
            if wrong is not None:
                yield number, InputError(wrong)
                continue
            first, *more = (each.found for each in told if not isinstance(each.found, str))
            for found in more:
                for whole, its in zip(first, found, strict=True):
                    whole.add(its)
            if sum(each.elements for each in told) == self._tasks[number][0].count:
                yield number, first
