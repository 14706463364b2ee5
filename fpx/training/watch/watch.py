"""`fpx.watch`: counts what formats would do to a model while it trains."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.optim.optimizer import Optimizer
from torch.utils._python_dispatch import _disable_current_modes

from fpx.casts.device import Device, find_device
from fpx.casts.environment import environment
from fpx.core.formats import FORMATS
from fpx.core.spec import FormatSpec
from fpx.errors import InputError
from fpx.report.watch import WatchedModel, WatchReport
from fpx.report.watch_rows import ACTIVATION, GRAD_OUTPUT, KINDS, STATE, UPDATE, WEIGHT_GRAD
from fpx.training.watch import notes, rows
from fpx.training.watch.flow import Flow, Take
from fpx.training.watch.names import Names, bare
from fpx.training.watch.optimizers import Optimizers
from fpx.training.watch.scale import Scale
from fpx.training.watch.steps import Before, Parameter, Steps, followed, states, strides
from fpx.training.watch.tally import Tally
from fpx.training.watch.tensors import plain
from fpx.training.watch.updates import moves
from fpx.words import did_you_mean, listed, quoted

FOLLOWED = 1 << 24
"""Weights of a model whose updates are followed; of larger models, one in so many."""


class Watch:
    """A model that is being watched, from the moment that this is made until `stop`.

    A context manager: its block is what is watched. Torch calls it after every module and around
    every step of an optimizer; the model itself is left as it is.

    Args:
        model: the model, wrapped (DistributedDataParallel, torch.compile) or not.
        optimizer: the one that is meant; None means any that steps parameters of the model.
        targets: formats as `watched_formats` finds them.
        every: one step in so many is counted.
        steps: after so many steps of optimizers it stops by itself; None means never.
        include, exclude: patterns of names of modules and parameters, as `Names` has them.
        scaler: a GradScaler whose scale is divided out of gradients as they go back; None means
            that they are taken as they are.
        kinds: what is looked at, of `fpx.report.watch_rows.KINDS`.
        done: is called when it stops by itself.

    Raises:
        InputError: an argument is none of these, or no module is left.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: Optimizer | None,
        targets: Sequence[FormatSpec],
        *,
        every: int = 1,
        steps: int | None = None,
        include: Sequence[str] = (),
        exclude: Sequence[str] = (),
        scaler: Any = None,
        kinds: Sequence[str] = KINDS,
        done: Callable[[], None] | None = None,
    ) -> None:
        if not isinstance(model, nn.Module):
            raise InputError(f"`model` is a torch.nn.Module, not {_kind(model)}")
        if optimizer is not None and not isinstance(optimizer, Optimizer):
            raise InputError(f"`optimizer` is a torch.optim.Optimizer, not {_kind(optimizer)}")
        for name, number in (("every", every), ("steps", 1 if steps is None else steps)):
            if number < 1:
                raise InputError(f"`{name}` must be at least 1, not {number}")
        self._targets = tuple(targets)
        self._kinds = _known(kinds)
        self._model = bare(model)
        self._names = Names(self._model, include, exclude)
        self._compiled = notes.is_compiled(model)
        self._every, self._most = every, steps
        self._active, self._done = True, done
        self._rounds = Optimizers()
        self._scale = Scale(scaler)
        self._tally = Tally(self._targets)
        self._watched_steps = 0
        self._before: dict[str, Before] = {}
        self._skipped: dict[str, str] = {}
        self._sharded = False
        self._closures = False
        sizes = {
            name: part.numel()
            for name, parameter in self._model.named_parameters()
            if (part := followed(parameter, 1)) is not None
        }
        self._strides = strides(sizes, FOLLOWED)
        self._flow = Flow(
            self._names.modules,
            self._taker(ACTIVATION),
            self._taker(GRAD_OUTPUT),
            self._wanted,
        )
        self._steps = Steps(self._names.parameters, optimizer, self._pre, self._post)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: object, trace: TracebackType | None
    ) -> None:
        self._remove()

    def stop(self) -> WatchReport:
        """Ends it, and tells what was seen; may be called again."""
        self._remove()
        return self.report()

    @property
    def steps(self) -> int:
        """Steps of optimizers that were made while it watched."""
        return self._rounds.done

    @property
    def active(self) -> bool:
        """Whether it still watches."""
        return self._active

    def scaled_by(self, scaler: Any) -> None:
        """From here on gradients have that GradScaler's scale on their way back."""
        self._scale.scaler = scaler

    def report(self) -> WatchReport:
        """What was seen so far. Waits for each device once."""
        with _apart():
            found = self._tally.fetch()
            scaled_by = self._scale.fetch()
        model = WatchedModel(
            model=type(self._model).__name__,
            optimizers=self._rounds.said(),
            modules=len(self._names.modules),
            parameters=len(self._names.parameters),
            steps=self._rounds.done,
            watched_steps=self._watched_steps,
            every=self._every,
            to=tuple(target.name for target in self._targets),
            values=rows.value_rows(found.totals, self._targets),
            updates=rows.update_rows(found.totals, self._targets),
            history=rows.step_rows(found.windows, self._targets),
            loss_scales=rows.loss_scales(found.totals, self._targets),
            scaled_by=scaled_by,
            vanished_eps=self._rounds.vanished_eps(self._targets),
            notes=tuple(self._notes()),
        )
        devices = dict.fromkeys(key.device for key in found.totals)
        return WatchReport(
            (model,),
            tuple(target.name for target in self._targets),
            environment(map(_device, devices or [torch.device("cpu")])),
        )

    def __str__(self) -> str:
        return str(self.report())

    # -- what the hooks bring ----------------------------------------------------------------------

    def _wanted(self) -> bool:
        return self._active and self._rounds.done % self._every == 0

    def _taker(self, kind: str) -> Take | None:
        if kind not in self._kinds:
            return None
        gradient = kind == GRAD_OUTPUT

        def take(name: str, tensor: Tensor) -> None:
            with _apart():
                self._count(name, kind, tensor, self._scale.now() if gradient else None)

        return take

    def _count(self, name: str, kind: str, tensor: Tensor, scale: Tensor | None = None) -> None:
        found = plain(tensor)
        if isinstance(found, str):
            self._skipped.setdefault(found, name)
        elif found is not None:
            self._sharded |= found.sharded
            x, held = found.tensor, found.format
            if scale is not None:  # float64 has every quotient by a power of two
                x = x.to(torch.float64) / scale.to(x.device, torch.float64)
                held = _FLOAT64
            self._tally.count(name, kind, x, held, found.format)

    def _pre(self, optimizer: Optimizer, closure: bool) -> None:
        watched = self._wanted()
        if self._rounds.begin(optimizer):
            self._step_ended(watched)
        if not self._wanted():
            return
        with _apart():
            for parameter in self._steps.parameters(optimizer):
                if not closure:
                    self._final_gradient(parameter)
                if UPDATE in self._kinds:
                    self._remember(parameter, closure)

    def _final_gradient(self, parameter: Parameter) -> None:
        if WEIGHT_GRAD in self._kinds and parameter.gradient is not None:
            self._count(parameter.name, WEIGHT_GRAD, parameter.gradient, parameter.scale)

    def _remember(self, parameter: Parameter, closure: bool) -> None:
        stride = self._strides.get(parameter.name, 1)
        weights = followed(parameter.tensor, stride)
        if weights is not None:
            wanted = None if closure else _is_wanted(parameter, stride, weights)
            self._before[parameter.name] = Before(weights.clone(), wanted, stride)

    def _post(self, optimizer: Optimizer, closure: bool) -> None:
        watched = self._wanted()
        if watched:
            self._closures |= closure
            with _apart():
                for parameter in self._steps.parameters(optimizer):
                    if closure:
                        self._final_gradient(parameter)
                    self._moved(parameter)
                    if STATE in self._kinds:
                        for key, value in states(optimizer, parameter.tensor):
                            self._count(parameter.name, key, value)
                self._before.clear()
        if self._rounds.end(optimizer):
            self._step_ended(watched)

    def _step_ended(self, watched: bool) -> None:
        if watched:
            self._watched_steps += 1
            self._tally.step_done()
        self._tally.step = self._rounds.done
        if self._active and self._most is not None and self._rounds.done >= self._most:
            self._remove()
            if self._done is not None:
                self._done()

    def _moved(self, parameter: Parameter) -> None:
        before = self._before.pop(parameter.name, None)
        found = plain(parameter.tensor)
        if before is None or found is None or isinstance(found, str):
            return
        after = found.tensor.reshape(-1)[:: before.stride]
        wanted = before.wanted
        if wanted is None:
            wanted = _is_wanted(parameter, before.stride, after)
        targets = rows.others(found.format, self._targets)
        numbers = moves(before.weights, after, wanted, found.format, targets)
        self._tally.moves(parameter.name, found.format, numbers, before.stride)

    def _remove(self) -> None:
        if self._active:
            self._active = False
            self._flow.remove()
            self._steps.remove()
            self._before.clear()

    def _notes(self) -> Iterator[str]:
        leaves = [n for m, n in self._names.modules.items() if not m._modules]
        silent = [name for name in leaves if name not in self._flow.fired]
        yield from notes.compiled(self._compiled, leaves, silent, self._rounds.done)
        yield from notes.recomputed(self._flow.recomputed)
        yield from notes.ranks(self._sharded)
        yield from notes.skipped(self._skipped)
        yield from notes.closures(self._closures)
        yield from notes.strides(self._strides)
        yield from notes.steps(self._rounds.done, self._kinds)


_FLOAT64 = FORMATS["float64"]


@contextmanager
def _apart() -> Iterator[None]:
    """Nothing here is recorded: by autograd, by modes that count or keep operations, as inference.

    Selective checkpointing keeps results by the order of operations, which ours would shift.
    """
    with torch.inference_mode(False), torch.no_grad(), _disable_current_modes():
        yield


def _is_wanted(parameter: Parameter, stride: int, weights: Tensor) -> Tensor:
    """Which of the followed weights have a gradient that is not zero."""
    gradient = None if parameter.gradient is None else plain(parameter.gradient)
    if gradient is None or isinstance(gradient, str):
        return torch.zeros_like(weights, dtype=torch.bool)
    return gradient.tensor.reshape(-1)[::stride] != 0


def _device(device: torch.device) -> Device:
    if device.type in ("cpu", "cuda"):
        return find_device(str(device))
    return Device(device, str(device), 0)


def _kind(thing: object) -> str:
    return f"{type(thing).__name__} ({quoted(str(thing))})"


def _known(kinds: Sequence[str]) -> tuple[str, ...]:
    for kind in kinds:
        if kind not in KINDS:
            raise InputError(
                f"`tensors` are of {listed(KINDS)}, not {quoted(kind)}{did_you_mean(kind, KINDS)}"
            )
    return tuple(kinds)
