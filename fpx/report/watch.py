"""The report of `fpx watch`: what formats would have done to models while they trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from fpx.report.base import JsonValue, Report, once, to_json
from fpx.report.environment import Environment
from fpx.report.watch_answers import Answer, answers
from fpx.report.watch_rows import LossScale, StepRow, UpdateRow, ValueRow
from fpx.words import listed


@dataclass(frozen=True)
class WatchedModel:
    """One model, and what formats would have made of what flowed through it.

    Attributes:
        model: its class.
        optimizers: those that stepped, by class and learning rates.
        modules, parameters: how many of each were watched.
        steps: steps of optimizers that were made while it was watched.
        watched_steps: those that were counted: one in `every`.
        every: see there.
        to: the target formats, in the order in which they were asked for.
        values: a row per name, kind and target, the worst first.
        updates: a row per parameter and format, the worst first.
        history: by steps.
        loss_scales: of all gradients, one per target; of a model without any, none.
        scaled_by: the smallest and largest loss scale that was divided out of gradients; None
            where none was known.
        vanished_eps: for each target in which the eps of an optimizer is zero, that eps.
        notes: what else there is to know, a sentence each.
    """

    model: str
    optimizers: tuple[str, ...]
    modules: int
    parameters: int
    steps: int
    watched_steps: int
    every: int
    to: tuple[str, ...]
    values: tuple[ValueRow, ...]
    updates: tuple[UpdateRow, ...]
    history: tuple[StepRow, ...]
    loss_scales: tuple[LossScale, ...]
    scaled_by: tuple[float, float] | None
    vanished_eps: Mapping[str, float]
    notes: tuple[str, ...]

    @property
    def formats(self) -> tuple[str, ...]:
        """The formats that weights have, if they were updated, and the targets."""
        return tuple(dict.fromkeys((*(row.from_ for row in self.updates), *self.to)))

    @once
    def answers(self) -> tuple[Answer, ...]:
        """What there is to say about each format, in words: its own first."""
        return answers(self.formats, self.values, self.updates, self.loss_scales, self.vanished_eps)

    def to_dict(self) -> dict[str, JsonValue]:
        """Its entry of the JSON document, without what stands elsewhere there."""
        plain: dict[str, JsonValue] = to_json(self)
        for told in ("values", "updates", "notes"):
            del plain[told]
        return plain


@dataclass(frozen=True, repr=False)
class WatchReport(Report):
    """What flowed through models while they trained, and what formats would have made of it.

    Attributes:
        models: one, or those of a script that an optimizer worked on.
        to: the target formats.
        details: versions and devices.
    """

    schema: ClassVar[str] = "fpx.watch/1"

    models: tuple[WatchedModel, ...]
    to: tuple[str, ...]
    details: Environment

    @classmethod
    def together(cls, reports: Sequence[WatchReport]) -> WatchReport:
        """One report of the models of several, which have the same targets."""
        models = tuple(model for report in reports for model in report.models)
        devices = ", ".join(dict.fromkeys(report.details.device for report in reports))
        return cls(models, reports[0].to, replace(reports[0].details, device=devices))

    @property
    def values(self) -> tuple[ValueRow, ...]:
        """The rows of activations, gradients and states of optimizers, the worst first."""
        return tuple(row for model in self.models for row in model.values)

    @property
    def updates(self) -> tuple[UpdateRow, ...]:
        """The rows of parameters, the worst first."""
        return tuple(row for model in self.models for row in model.updates)

    @property
    def loss_scales(self) -> tuple[LossScale, ...]:
        """The best loss scale of each model and target."""
        return tuple(scale for model in self.models for scale in model.loss_scales)

    def parts(self) -> Sequence[ValueRow | UpdateRow]:
        """The rows of values, then those of updates."""
        return (*self.values, *self.updates)

    def results(self) -> list[dict[str, JsonValue]]:
        """One entry per row: of each model those of values, then those of updates."""
        return [
            {"model": model.model, **to_json(row)}
            for model in self.models
            for row in (*model.values, *model.updates)
        ]

    def environment(self) -> dict[str, JsonValue]:
        """Versions, devices and threads."""
        return self.details.to_dict()

    def beside(self) -> dict[str, JsonValue]:
        """Answers and notes, and of each model steps, loss scales and what happened by steps."""
        answers = [
            {"source": model.model, "to": answer.to, "fits": answer.good, "text": answer.says}
            for model in self.models
            for answer in model.answers
        ]
        notes = [f"{model.model}: {note}" for model in self.models for note in model.notes]
        return {
            "to": list(self.to),
            "answers": answers,
            "models": [model.to_dict() for model in self.models],
            "notes": notes,
        }

    def about(self) -> str:
        """The models and the targets."""
        names = listed((model.model for model in self.models), 4)
        return f"{names} to {listed(self.to, 4)}"
