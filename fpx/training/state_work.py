"""What is found of parameters and their states, one after the other, as the rows of a report."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from fpx.core.codec import round_exact
from fpx.core.policy import Stochastic
from fpx.core.spec import FormatSpec
from fpx.core.targets import Target
from fpx.errors import InputError
from fpx.report.step_compare import Decay, OptimizerFound, Unpaired
from fpx.report.step_rows import StateRow, StepRow, UpdateRow
from fpx.report.totals import TOTAL, common
from fpx.tensors.entry import Scalar, TensorEntry
from fpx.tensors.progress import Progress
from fpx.tensors.types import IntegerType
from fpx.training.decay import stuck_normals
from fpx.training.next_update import Found, followed
from fpx.training.optimizers import Adam, Optimizer
from fpx.training.pairing import Pair, Weight
from fpx.training.settings import optimizer_of
from fpx.training.state_loss import Lost
from fpx.training.states import OptimizerState, ParameterState, number_in
from fpx.training.updates import Largest, Moved


@dataclass(frozen=True)
class Parameter:
    """A parameter whose update is known.

    Attributes:
        source: where its state is.
        name: its name.
        optimizer: whose update.
        moments: its moments, in the order of the optimizer's slots.
        weight: its weight, where something is asked of it and it is known.
    """

    source: str
    name: str
    optimizer: Optimizer
    moments: Sequence[TensorEntry]
    weight: Weight | None

    @property
    def entries(self) -> list[TensorEntry]:
        """Its tensors: the moments, then the weight."""
        return [*self.moments, *([] if self.weight is None else [self.weight.entry])]


@dataclass
class StateWork:
    """Parameters, one after the other, and what was found of them.

    Attributes:
        weights, states: formats of weights and of moments.
        chosen, still_rate, rounding: as of `by_state`.
        rows: what was found.
        unpaired: parameters of which something is not known.
    """

    weights: Sequence[FormatSpec]
    states: Sequence[Target]
    chosen: str | None
    still_rate: float
    rounding: Stochastic | None
    rows: list[StepRow] = field(default_factory=list)
    unpaired: list[Unpaired] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._moved = {spec: Moved(spec) for spec in self.weights}
        self._lost = {target: Lost() for target in self.states}
        self._largest: dict[Target | None, Largest] = {}
        self._types: dict[str, set[str]] = {"update": set(), "state": set()}
        self._met: dict[tuple[str, Optimizer], list[int]] = {}
        self._zero_eps: dict[Target, bool | None] = {}

    def known(self, optimizer: OptimizerState, pair: Pair) -> Parameter | None:
        """What is needed to count something of a parameter; None if that is not known."""
        source, state = optimizer.source.name, pair.state
        try:
            its = optimizer_of(state.tensors, state.settings, _step(state), self.chosen)
            moments = [_moment(state, slot) for slot in its.slots]
        except InputError as error:
            self.unpaired.append(Unpaired(source, pair.name, "update", str(error)))
            return None
        if pair.weight is None and self.weights:
            self.unpaired.append(Unpaired(source, pair.name, "weight", pair.why))
            if not self.states:
                return None
        return Parameter(source, pair.name, its, moments, pair.weight if self.weights else None)

    def count(
        self, parameter: Parameter, entries: Sequence[TensorEntry], progress: Progress
    ) -> Found:
        """What is found of a parameter, or of a piece of it.

        Args:
            parameter: which.
            entries: its tensors, or those pieces of them.
            progress: hears how far it is.

        Raises:
            InputError: damage that shows only in the data, or a scaled format has no such shape.
        """
        moments = entries[: len(parameter.moments)]
        weight = None if parameter.weight is None else entries[-1]
        return followed(
            parameter.optimizer, weight, moments, self.weights, self.states, progress,
            self.rounding,
        )  # fmt: skip

    def add(self, parameter: Parameter, found: Found) -> None:
        """Takes in what was found of a parameter: the rows, and what is known of all."""
        its, moments = parameter.optimizer, parameter.moments
        count = self._met.setdefault((parameter.source, its), [0, 0])
        count[0] += 1
        count[1] += moments[0].count
        self._total(None).add(found.largest)
        for moved in found.moved:
            weight = parameter.weight
            assert weight is not None
            self._moved[moved.spec].add(moved)
            from_ = weight.entry.type.name
            self._types["update"].add(from_)
            self.rows.append(
                self._update(
                    weight.source.name, parameter.name, its.name, from_, moved, found.largest
                )
            )
        from_ = common({entry.type.name for entry in moments})
        self._types["state"].add(from_)
        for kept in found.kept:
            self._lost[kept.target].add(kept.lost)
            self._total(kept.target).add(kept.largest)
            zero = _eps_is_zero(its, kept.target)
            if zero is not None:
                self._zero_eps[kept.target] = zero or bool(self._zero_eps.get(kept.target))
            self.rows.append(
                self._state(
                    parameter.source, parameter.name, its.name, from_, kept.target, kept.lost,
                    kept.largest, zero, its.decays,
                )
            )  # fmt: skip

    def _total(self, target: Target | None) -> Largest:
        return self._largest.setdefault(target, Largest())

    def _update(
        self, source: str, tensor: str, optimizer: str, from_: str, moved: Moved, largest: Largest
    ) -> UpdateRow:
        return UpdateRow(
            source, tensor, from_, moved.spec.name, optimizer=optimizer,
            count=moved.count, undefined_count=moved.undefined,
            unmoved_count=moved.zero + moved.lost, lost_count=moved.lost,
            max_update=largest.value, still_rate=self.still_rate,
            expected_moved_count=None if self.rounding is None else moved.expected,
        )  # fmt: skip

    def _state(
        self,
        source: str,
        tensor: str,
        optimizer: str,
        from_: str,
        target: Target,
        lost: Lost,
        largest: Largest,
        eps_is_zero: bool | None,
        decays: Sequence[Fraction | None],
    ) -> StateRow:
        plain = isinstance(target, FormatSpec)
        has_second = len(decays) > 1
        first, second = (plain and at < len(decays) and decays[at] is not None for at in (0, 1))
        return StateRow(
            source, tensor, from_, target.name, optimizer=optimizer,
            count=lost.count, not_finite_count=lost.not_finite,
            first_zero_count=lost.first_zero,
            second_zero_count=lost.second_zero if has_second else None,
            second_lost_count=lost.second_lost if has_second else None,
            first_stuck_count=lost.first_stuck if first else None,
            second_stuck_count=lost.second_stuck if second else None,
            first_left_count=lost.first_left,
            second_left_count=lost.second_left if has_second else None,
            max_update=largest.value, eps_is_zero=eps_is_zero, still_rate=self.still_rate,
        )  # fmt: skip

    def totals(self) -> Iterable[StepRow]:
        """A row for each format over all parameters."""
        name = common({its.name for _, its in self._met})
        decays = max((its.decays for _, its in self._met), key=len)
        for moved in self._moved.values():
            if self._types["update"]:
                from_ = common(self._types["update"])
                yield self._update(TOTAL, TOTAL, name, from_, moved, self._total(None))
        for target, lost in self._lost.items():
            yield self._state(
                TOTAL, TOTAL, name, common(self._types["state"]), target, lost,
                self._total(target), self._zero_eps.get(target), decays,
            )  # fmt: skip

    def found(self) -> Iterable[OptimizerFound]:
        """The optimizers, by their settings."""
        for (source, its), (parameters, elements) in self._met.items():
            yield OptimizerFound(source, its.name, _shown(its), parameters, elements)

    def decays(self) -> Iterable[Decay]:
        """What cannot decay in plain formats, of each factor."""
        pairs = {
            (slot, beta): None
            for _, its in self._met
            for slot, beta in zip(its.slots, its.decays, strict=True)
            if beta is not None
        }
        for target in self.states:
            for slot, beta in pairs:
                if isinstance(target, FormatSpec):
                    counts = stuck_normals(target, beta)
                    yield Decay(target.name, slot, float(beta), *counts)

    def notes(self) -> tuple[str, ...]:
        """What could not be paired: a line for each reason."""
        found: dict[tuple[str, str, str], list[str]] = {}
        for each in self.unpaired:
            found.setdefault((each.source, each.missing, each.why), []).append(each.tensor)
        return tuple(
            f"{source}: no {missing} of {names[0]}"
            + (f" and {len(names) - 1:,} more" if len(names) > 1 else "")
            + f": {why}"
            for (source, missing, why), names in found.items()
        )


def _step(state: ParameterState) -> Scalar:
    """How many steps were made: a number, or a tensor of one element.

    Raises:
        InputError: damage that shows only in its data.
    """
    entry = state.tensors.get("step")
    if entry is None:
        return state.numbers.get("step", state.settings.get("step"))
    if entry.count != 1:
        raise InputError(f"its step has {entry.count:,} elements")
    return number_in(entry)


def _moment(state: ParameterState, slot: str) -> TensorEntry:
    """A moment, of the shape that the first one has.

    Raises:
        InputError: it is of another one, or no floating-point numbers.
    """
    entry = state.tensors[slot]
    if isinstance(entry.type, IntegerType):
        raise InputError(f"its {slot} is of {entry.type.name}")
    if entry.shape != state.shape:
        raise InputError(f"its {slot} has shape {list(entry.shape)}, not {list(state.shape or ())}")
    return entry


def _eps_is_zero(its: Optimizer, target: Target) -> bool | None:
    if its.eps is None or not isinstance(target, FormatSpec) or not its.eps:
        return None
    rounded = round_exact(its.eps.numerator, its.eps.denominator, target)
    return rounded.code == 0


def _shown(its: Optimizer) -> dict[str, float | int | bool | None]:
    """The settings of an optimizer, as they are shown."""
    if not isinstance(its, Adam):
        return {"lr": float(its.lr), "momentum": float(its.momentum), "step": None}
    first, second = map(float, its.betas)
    return {
        "lr": float(its.lr), "beta1": first, "beta2": second, "eps": float(its.eps),
        "weight_decay": float(its.weight_decay), "amsgrad": its.amsgrad, "step": its.step,
    }  # fmt: skip
