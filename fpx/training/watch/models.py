"""The models of somebody's script, found when they first run."""

from __future__ import annotations

import gc
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self
from weakref import WeakSet

from torch import nn
from torch.amp.grad_scaler import GradScaler
from torch.nn.modules.module import register_module_forward_pre_hook

from fpx.report.watch import WatchReport
from fpx.training.watch.hooks import Quiet, uncompiled
from fpx.training.watch.watch import Watch

_MOST = 16
"""Models that are watched: a script that makes more of them does not need all in memory."""


class Models:
    """Watches every model that has something to train, from its first call on.

    A context manager, in whose block a script runs.

    Args:
        watch: watches one; is given the model, and what is to be called once it was watched for as
            many steps as were asked for.
        stop: whether the script is to end, by `Enough`, when all that were stepped have been.
        nothing: the report of a script without such models.
    """

    def __init__(
        self,
        watch: Callable[[nn.Module, Callable[[], None]], Watch],
        stop: bool,
        nothing: WatchReport,
    ) -> None:
        self._watch, self._stop, self._nothing = watch, stop, nothing
        self._met: WeakSet[nn.Module] = WeakSet()
        self._watches: list[Watch] = []
        self._scaler: GradScaler | None = None

    def __enter__(self) -> Self:
        def called(module: nn.Module, args: Any) -> None:
            if module not in self._met:
                self._meet(module)

        self._quiet = Quiet()
        self._hook = register_module_forward_pre_hook(uncompiled(called))
        self._scale = scale = GradScaler.scale

        def scaled(scaler: GradScaler, outputs: Any) -> Any:
            self._scaler = scaler
            for each in self._watches:
                each.scaled_by(scaler)
            return scale(scaler, outputs)

        GradScaler.scale = scaled  # type: ignore[method-assign, assignment]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: object, trace: TracebackType | None
    ) -> None:
        GradScaler.scale = self._scale  # type: ignore[method-assign]
        self._hook.remove()
        self._quiet.end()
        for each in self._watches:
            each.stop()

    def _meet(self, module: nn.Module) -> None:
        if not any(parameter.requires_grad for parameter in module.parameters()):
            self._met.add(module)
            return
        whole = outermost(module)
        for each in whole.modules():
            self._met.add(each)
        if len(self._watches) < _MOST:
            self._watches.append(self._watch(whole, self._done))
            self._watches[-1].scaled_by(self._scaler)

    def _done(self) -> None:
        if self._stop and not any(each.active and each.steps for each in self._watches):
            raise Enough

    def report(self) -> WatchReport:
        """Those that an optimizer stepped; if none did, all."""
        every = [each.report() for each in self._watches]
        stepped = [report for report in every if report.models[0].steps]
        return WatchReport.together(stepped or every) if every else self._nothing


class Enough(BaseException):
    """Ends a script whose models were watched as long as was asked for."""


def outermost(module: nn.Module) -> nn.Module:
    """The module that a module is part of, and that no other module has in it."""
    parents: dict[int, nn.Module] = {}
    for each in gc.get_objects():
        if issubclass(type(each), nn.Module):  # isinstance would run properties of proxies
            for child in (each.__dict__.get("_modules") or {}).values():
                parents.setdefault(id(child), each)
    seen = {id(module)}
    while (above := parents.get(id(module))) is not None and id(above) not in seen:
        module = above
        seen.add(id(above))
    return module
