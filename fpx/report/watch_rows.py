"""What a format would do to the tensors of a model, and to its weights: the rows of `fpx watch`."""

from __future__ import annotations

from dataclasses import dataclass

from fpx.report.base import share

ACTIVATION, GRAD_OUTPUT, WEIGHT_GRAD, UPDATE, STATE = KINDS = (
    "activation",
    "grad_output",
    "weight_grad",
    "update",
    "state",
)
"""What is watched: what modules return, the gradients of that, the gradients that optimizers are
given, what they make of the weights, and what they keep (rows of which are called by its key, such
as `exp_avg`)."""

TARGETS = ("float16", "bfloat16")
"""The formats that are counted for where nobody chose."""

GRADIENTS = (GRAD_OUTPUT, WEIGHT_GRAD)
"""The kinds that a loss scale multiplies."""


@dataclass(frozen=True)
class LossScale:
    """The loss scale that is best for some gradients in a format.

    It is the smallest power of two that saves as many values from becoming zero as any does that
    lets none overflow.

    Attributes:
        to: the format.
        exponent: log2 of that scale.
        limit_exponent: log2 of the largest scale with which none overflows.
        nonzero_count: finite gradients that are not zero.
        underflow_count: those that become zero without a scale.
        saved_count: how many fewer do with it; negative where one below 1 keeps from overflow.
    """

    to: str
    exponent: int
    limit_exponent: int
    nonzero_count: int
    underflow_count: int
    saved_count: int


@dataclass(frozen=True)
class ValueRow:
    """What a format would do to the tensors of one name and kind.

    Attributes:
        name: of the module or parameter.
        kind: `activation`, `grad_output`, `weight_grad`, or what an optimizer calls it.
        from_: the format that they have.
        to: the format that they are thought to be rounded to.
        calls: tensors that were counted.
        count: their elements.
        zero_count, inf_count, nan_count: elements that are so already.
        overflow_count: finite elements beyond the largest finite value of `to`, once rounded to
            nearest, whether they become infinite, NaN or, where casts saturate, that value.
        underflow_count: elements but 0 that become 0.
        subnormal_count: elements that become subnormal.
        amax: the largest finite magnitude; None where there is no element.
        loss_scale: of gradients that are not all zero; else None.
    """

    name: str
    kind: str
    from_: str
    to: str
    calls: int
    count: int
    zero_count: int
    inf_count: int
    nan_count: int
    overflow_count: int
    underflow_count: int
    subnormal_count: int
    amax: float | None
    loss_scale: LossScale | None = None

    @property
    def finite_count(self) -> int:
        """Elements that are neither infinite nor NaN."""
        return self.count - self.inf_count - self.nan_count

    @property
    def nonzero_count(self) -> int:
        """Finite elements that are not zero."""
        return self.finite_count - self.zero_count

    @property
    def destroyed_count(self) -> int:
        """Elements that are infinite or NaN already, or overflow."""
        return self.inf_count + self.nan_count + self.overflow_count

    @property
    def badness(self) -> tuple[float, float, float]:
        """How much is lost: by this, rows are ordered."""
        return (
            share(self.destroyed_count, self.count),
            share(self.underflow_count, self.nonzero_count),
            share(self.subnormal_count, self.nonzero_count),
        )

    @property
    def loses(self) -> bool:
        """Whether anything overflows or becomes zero, or is no finite number to begin with."""
        return bool(self.destroyed_count or self.underflow_count)


@dataclass(frozen=True)
class UpdateRow:
    """What steps did to a parameter, were it stored in a format.

    Attributes:
        name: of the parameter.
        kind: `update`.
        from_: the format that it has.
        to: the format that it is thought to be stored in: its own, or another.
        calls: steps that were counted.
        count: its elements that `to` holds, added up over those steps.
        moved_count: those that a step made another number.
        lost_update_count: those that no step moved in `to` although it was to: their gradient is
            not zero, or they moved in `from_`.
        nonfinite_count: those that a step made infinite or NaN.
        followed_every: one in so many elements was looked at.
    """

    name: str
    kind: str
    from_: str
    to: str
    calls: int
    count: int
    moved_count: int
    lost_update_count: int
    nonfinite_count: int
    followed_every: int

    @property
    def unmoved_count(self) -> int:
        """Elements that stayed what they were."""
        return self.count - self.moved_count

    @property
    def badness(self) -> tuple[float, float, float]:
        """How much is lost: by this, rows are ordered."""
        return (
            share(self.nonfinite_count, self.count),
            share(self.lost_update_count, self.count),
            share(self.unmoved_count, self.count),
        )


@dataclass(frozen=True)
class StepRow:
    """All names of one kind over some steps that follow each other.

    Attributes:
        first_step, last_step: of optimizers, from 0.
        watched_steps: how many of those were watched; 0 of what follows the last step.
        kind, to: as in the other rows; a state of an optimizer by its key.
        count: elements.
        nonzero_count, destroyed_count, underflow_count: as in `ValueRow`; None of updates.
        moved_count, lost_update_count, nonfinite_count: as in `UpdateRow`; None of others.
    """

    first_step: int
    last_step: int
    watched_steps: int
    kind: str
    to: str
    count: int
    nonzero_count: int | None = None
    destroyed_count: int | None = None
    underflow_count: int | None = None
    moved_count: int | None = None
    lost_update_count: int | None = None
    nonfinite_count: int | None = None
