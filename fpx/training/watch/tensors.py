"""The tensors in what modules return, as plain ones that can be counted."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch._subclasses import FakeTensor

from fpx.core.spec import FormatSpec
from fpx.training.watch.counting import countable

_DEPTH = 8  # of tuples in tuples: what is deeper is no output but a structure of somebody's own


class Plain(NamedTuple):
    """A tensor that can be counted.

    Attributes:
        tensor: dense and detached; of a sharded one the part that is here.
        format: its own.
        sharded: whether it is a part.
    """

    tensor: Tensor
    format: FormatSpec
    sharded: bool = False


def tensors_in(output: object, depth: int = _DEPTH) -> Iterator[Tensor]:
    """The tensors in tuples, lists, mappings and dataclasses, in order."""
    if isinstance(output, Tensor):
        yield output
    elif depth and isinstance(output, Mapping):
        for item in output.values():
            yield from tensors_in(item, depth - 1)
    elif depth and isinstance(output, (tuple, list)):
        for item in output:
            yield from tensors_in(item, depth - 1)
    elif depth and is_dataclass(output) and not isinstance(output, type):
        for each in fields(output):
            yield from tensors_in(getattr(output, each.name), depth - 1)


def plain(tensor: Tensor) -> Plain | str | None:
    """A tensor as one that can be counted.

    Returns:
        It; None where it has no floating-point numbers; or in a word why it can't be counted.
    """
    local: Callable[[], Tensor] | None = getattr(tensor, "to_local", None)  # of torch's DTensor
    if local is not None:
        tensor = local()
    if not tensor.dtype.is_floating_point:
        return "complex" if tensor.is_complex() else None
    if isinstance(tensor, FakeTensor) or tensor.is_meta:
        return None  # shapes without numbers
    if torch._C._functorch.is_functorch_wrapped_tensor(tensor):
        return "inside torch.func"
    if tensor.layout is not torch.strided or tensor.is_nested:
        return "nested" if tensor.is_nested else str(tensor.layout).removeprefix("torch.")
    if hasattr(tensor, "__tensor_flatten__"):
        return type(tensor).__name__
    held = countable(tensor.dtype)
    if held is None:
        return str(tensor.dtype).removeprefix("torch.")
    return Plain(tensor.detach().resolve_neg(), held, local is not None)
