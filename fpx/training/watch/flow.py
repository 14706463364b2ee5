"""What flows through modules: activations as they come out, and gradients as they go back.

One hook that torch calls after every module: nothing is attached to the model itself, so that a
copy of it, or a file of it, has no trace of being watched.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook
from torch.utils.hooks import RemovableHandle

from fpx.training.watch.hooks import Quiet, uncompiled
from fpx.training.watch.seen import Seen
from fpx.training.watch.tensors import tensors_in

Take = Callable[[str, Tensor], None]
"""Is given the name of a module, and a tensor of it."""

_MANY = 4096  # handles, of which those of graphs that are gone are let go


class Flow:
    """The outputs of modules and the gradients of those, as they occur.

    Args:
        names: the modules to look at, with their names.
        activation: takes each output; None if those are not wanted.
        gradient: takes the gradient of each; None if those are not wanted.
        wanted: whether anything is looked at now.

    Attributes:
        fired: the names of modules that returned something while it was looked at.
        recomputed: outputs that were computed again in a backward pass, and not taken again.
    """

    def __init__(
        self,
        names: Mapping[nn.Module, str],
        activation: Take | None,
        gradient: Take | None,
        wanted: Callable[[], bool],
    ) -> None:
        self._names, self._activation, self._gradient = names, activation, gradient
        self._wanted = wanted
        self._seen = Seen()
        self._handles: list[RemovableHandle] = []
        self.fired: set[str] = set()
        self.recomputed = 0

        def hook(module: nn.Module, args: Any, output: Any) -> None:
            name = self._names.get(module)
            if name is not None and self._wanted():
                self._returned(name, output, bool(module._modules))

        self._quiet = Quiet()
        self._hook = register_module_forward_hook(uncompiled(hook))

    def _returned(self, name: str, output: object, container: bool) -> None:
        # inside a backward pass, what checkpoints left out is computed again
        again = torch._C._current_graph_task_id() != -1
        self.fired.add(name)
        for tensor in tensors_in(output):
            if self._seen.again(tensor, container):
                continue
            if again:
                self.recomputed += 1
            elif self._activation is not None:
                self._activation(name, tensor)
            if self._gradient is not None and tensor.requires_grad:
                self._follow(name, tensor, self._gradient)

    def _follow(self, name: str, tensor: Tensor, take: Take) -> None:
        """Has the gradient of a tensor taken when it is there.

        A module that works on the tensor in place afterwards does not change which one that is.
        """

        def arrived(gradient: Tensor) -> None:
            if self._wanted():
                take(name, gradient)

        self._handles.append(tensor.register_hook(arrived))  # type: ignore[no-untyped-call]
        if len(self._handles) >= _MANY:
            self._handles = [each for each in self._handles if each.hooks_dict_ref() is not None]

    def remove(self) -> None:
        """Takes every hook away, those of graphs that are still there too."""
        self._hook.remove()
        self._quiet.end()
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
