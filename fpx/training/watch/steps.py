"""What optimizers are given and what they do: the one hook that torch calls around every step."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.optim.optimizer import (
    Optimizer,
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
)

from fpx.training.watch.hooks import uncompiled
from fpx.training.watch.tensors import plain


class Parameter(NamedTuple):
    """A parameter that an optimizer works on.

    Attributes:
        name: in the model.
        tensor: it.
        gradient: its gradient, as the optimizer takes it; None where there is none.
        scale: what the optimizer is going to divide the gradient by, or None.
    """

    name: str
    tensor: Tensor
    gradient: Tensor | None
    scale: Tensor | None


class Before(NamedTuple):
    """A parameter before a step.

    Attributes:
        weights: some of it, 1-D; a copy.
        wanted: bools: whose gradient is not zero; None where that is known only afterwards.
        stride: one in so many weights is looked at.
    """

    weights: Tensor
    wanted: Tensor | None
    stride: int


class Steps:
    """The steps of optimizers that work on a model's parameters.

    Args:
        names: of parameters, by id.
        only: the optimizer that is meant; None means any that has one of those parameters.
        before, after: are called around each such step.
    """

    def __init__(
        self,
        names: Mapping[int, str],
        only: Optimizer | None,
        before: Callable[[Optimizer, bool], None],
        after: Callable[[Optimizer, bool], None],
    ) -> None:
        self._names, self._only = names, only

        def pre(optimizer: Optimizer, args: Any, kwargs: Any) -> None:
            if self._meant(optimizer):
                before(optimizer, _has_closure(args, kwargs))

        def post(optimizer: Optimizer, args: Any, kwargs: Any) -> None:
            if self._meant(optimizer):
                after(optimizer, _has_closure(args, kwargs))

        self._handles = [
            register_optimizer_step_pre_hook(uncompiled(pre)),
            register_optimizer_step_post_hook(uncompiled(post)),
        ]

    def _meant(self, optimizer: Optimizer) -> bool:
        if self._only is not None:
            return optimizer is self._only
        return next(self.parameters(optimizer), None) is not None

    def parameters(self, optimizer: Optimizer) -> Iterator[Parameter]:
        """Those of the model's that an optimizer works on, each once."""
        scale = getattr(optimizer, "grad_scale", None)  # of fused ones, GradScaler leaves it to
        for group in optimizer.param_groups:
            for tensor in group["params"]:
                name = self._names.get(id(tensor))
                if name is not None:
                    yield Parameter(name, tensor, tensor.grad, scale)

    def remove(self) -> None:
        """Takes the hooks away."""
        for handle in self._handles:
            handle.remove()


def _has_closure(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bool:
    """Whether a step computes its gradients itself; `args` begins with what it is a method of."""
    given = kwargs.get("closure", next((each for each in args if callable(each)), None))
    return given is not None


def followed(parameter: Tensor, stride: int) -> Tensor | None:
    """One in `stride` of a parameter's weights, 1-D, of the same memory if that can be."""
    found = plain(parameter)
    if found is None or isinstance(found, str):
        return None
    return found.tensor.reshape(-1)[::stride]


def strides(sizes: Mapping[str, int], most: int) -> dict[str, int]:
    """One in how many weights of each parameter are followed, so that they are about `most`.

    A parameter of few weights is followed by at least a thousand of them.
    """
    common = max(1, -(-sum(sizes.values()) // most))
    return {name: max(1, min(common, size // _FEW)) for name, size in sizes.items()}


_FEW = 1000


def states(optimizer: Optimizer, parameter: Tensor) -> Iterator[tuple[str, Tensor]]:
    """What an optimizer keeps for a parameter that has its shape: moving averages and the like."""
    for key, value in optimizer.state.get(parameter, {}).items():
        if isinstance(value, torch.Tensor) and value.shape == parameter.shape and key != "step":
            yield str(key), value
