"""Which optimizers step, and when all of them have."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from torch.optim.optimizer import Optimizer

from fpx.core.codec import round_exact
from fpx.core.spec import FormatSpec


class Optimizers:
    """Optimizers that step in turns: a step of the model is one of each.

    Which ones there are is found out on the way. A step ends when all that were ever seen have
    made theirs, or when one of them is about to make another.

    Attributes:
        done: steps that have ended.
    """

    def __init__(self) -> None:
        self.done = 0
        self._known: dict[Optimizer, str] = {}
        self._turn: set[Optimizer] = set()
        self._eps: set[float] = set()

    def begin(self, optimizer: Optimizer) -> bool:
        """One is about to step; whether a step of the model ended before that."""
        return optimizer in self._turn and self._ended()

    def end(self, optimizer: Optimizer) -> bool:
        """One has stepped; whether a step of the model ends with that."""
        self._known.setdefault(optimizer, _said(optimizer))
        self._eps.update(group["eps"] for group in optimizer.param_groups if _has_eps(group))
        self._turn.add(optimizer)
        return self._turn >= self._known.keys() and self._ended()

    def _ended(self) -> bool:
        self._turn.clear()
        self.done += 1
        return True

    def said(self) -> tuple[str, ...]:
        """Each by its class and the learning rate that it had at first."""
        return tuple(self._known.values())

    def vanished_eps(self, targets: Iterable[FormatSpec]) -> Mapping[str, float]:
        """The largest eps that is zero in a format, by that format; none where none is."""
        found: dict[str, float] = {}
        for target in targets:
            for eps in sorted(self._eps):
                if not round_exact(*eps.as_integer_ratio(), target).code:
                    found[target.name] = eps
        return found


def _has_eps(group: Mapping[str, object]) -> bool:
    eps = group.get("eps")
    return isinstance(eps, float) and eps > 0


def _said(optimizer: Optimizer) -> str:
    rates = dict.fromkeys(
        f"{float(group['lr']):g}" for group in optimizer.param_groups if "lr" in group
    )
    name = type(optimizer).__name__
    return f"{name}, learning rate {' and '.join(rates)}" if rates else name
