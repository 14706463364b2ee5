"""What was explored before, to go back to and forth."""

from __future__ import annotations

from dataclasses import dataclass, replace

from fpx.explore.state import State

_KEPT = 1000


@dataclass(frozen=True)
class History:
    """The state now, those before it, and those that were undone.

    Where the cursor is, how far the line reaches and what is looked at is no step of its own.
    """

    now: State
    before: tuple[State, ...] = ()
    after: tuple[State, ...] = ()

    def to(self, state: State) -> History:
        """Another state, which is a step if it shows another thing."""
        if _shown(state) == _shown(self.now):
            return replace(self, now=state)
        return History(state, (*self.before[-_KEPT + 1 :], self.now))

    def undone(self) -> History:
        """A step back; itself at the first."""
        if not self.before:
            return self
        return History(self.before[-1], self.before[:-1], (self.now, *self.after))

    def redone(self) -> History:
        """A step that was undone, done again; itself where there is none."""
        if not self.after:
            return self
        return History(self.after[0], (*self.before, self.now), self.after[1:])


def _shown(state: State) -> State:
    """The state without how it is looked at."""
    block = state.block
    still = None if block is None else replace(block, at=0, bit=0)
    return replace(state, bit=0, zoom=0, view=type(state.view).BITS, block=still)
