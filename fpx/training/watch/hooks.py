"""Hooks that torch calls for all modules and optimizers: how compiled models take them."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import torch

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")

_WARNED = "Using `torch.compile(module)` when there are global hooks on modules"
"""What torch says of hooks that see a compiled model's wrapper too, which ours do not look at."""


def uncompiled(hook: Callable[_Arguments, _Result]) -> Callable[_Arguments, _Result]:
    """A hook for which compiled code leaves its graph: what it does is no part of any model."""
    made: Callable[_Arguments, _Result] = torch.compiler.disable(hook)  # type: ignore[no-untyped-call]
    return made


class Quiet:
    """Keeps torch from warning of hooks on compiled models, until it is ended."""

    def __init__(self) -> None:
        before = [*warnings.filters]
        warnings.filterwarnings("ignore", re.escape(_WARNED), UserWarning)
        # one like it may be there already, which warnings moves to the front
        self._added = [each for each in warnings.filters if each not in before]

    def end(self) -> None:
        """Has warnings as they were before."""
        for each in self._added:
            if each in warnings.filters:
                warnings.filters.remove(each)  # type: ignore[attr-defined]
