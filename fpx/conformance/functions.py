"""Rounding functions of users: called with tensors, and their results as codes of a format."""

from __future__ import annotations

import inspect
from dataclasses import dataclass

import torch
from torch import Tensor

from fpx.callables import NamedFunction
from fpx.casts.rounding import round_codes
from fpx.casts.unpacked import nans
from fpx.casts.values import values
from fpx.core.spec import FormatSpec
from fpx.errors import InputError, UnavailableError
from fpx.tensors.dtypes import container, dtype_name, spec_of, torch_dtype
from fpx.words import quoted


@dataclass(frozen=True)
class RoundingFunction:
    """A function that rounds tensors.

    Attributes:
        function: it, as a user named it.
        origin, target: from what it rounds, and to what.
    """

    function: NamedFunction
    origin: FormatSpec
    target: FormatSpec

    @property
    def name(self) -> str:
        """What the user calls it."""
        return self.function.name

    @property
    def takes_words(self) -> bool:
        """Whether it needs a second argument: the random words."""
        return _required(self.function) > 1

    def codes(self, codes: Tensor, words: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """What it makes of numbers.

        Args:
            codes: of the origin, in its container: 1-D, on the CPU.
            words: as many random words, where it takes them.

        Returns:
            The target's codes of its results, in its container, and, as bools, which results are no
            value of the target; their codes are those of the nearest value.

        Raises:
            InputError: the function fails, or what it returns is no such tensor.
        """
        result = _called(self.function, codes.clone().view(torch_dtype(self.origin)), words)
        if result.dtype == container(self.target) and not result.is_floating_point():
            return result, torch.zeros_like(result, dtype=torch.bool)
        spec = spec_of(result.dtype)
        if spec == self.target:
            found = result.contiguous().view(container(self.target))
            return found, torch.zeros_like(found, dtype=torch.bool)
        if spec is None or not spec.holds(self.target):
            raise InputError(
                f"{quoted(self.name)} returns {dtype_name(result.dtype)}, which does not hold "
                f"{self.target.name}: return that, or a wider type with its values"
            )
        held = result.contiguous().view(container(spec))
        found = round_codes(held, spec, self.target)
        return found, ~_equal(held, spec, found, self.target)


def _equal(a: Tensor, a_spec: FormatSpec, b: Tensor, b_spec: FormatSpec) -> Tensor:
    """Where codes of two formats stand for the same, as bools; a NaN is any other."""
    both_nan = nans(a, a_spec) & nans(b, b_spec)
    return (values(a, a_spec) == values(b, b_spec)) | both_nan


def rounding_function(
    function: NamedFunction, origin: FormatSpec, target: FormatSpec | None
) -> RoundingFunction:
    """A user's function as one that rounds from a format to another.

    Args:
        function: takes a tensor of the origin's dtype, and where it takes a second argument, random
            words.
        origin: what it rounds.
        target: what it rounds to; None is what the dtype of its result says.

    Raises:
        InputError: torch has no dtype for the origin, the function fails, or its result does not
            say what it is in.
    """
    try:
        dtype = torch_dtype(origin)
    except UnavailableError:
        raise InputError(
            f"torch has no dtype for {origin.name}, which {quoted(function.name)} is to take: "
            "choose another `from_`"
        ) from None
    if target is None:
        words = torch.zeros(1, dtype=torch.int32) if _required(function) > 1 else None
        result = _called(function, torch.ones(1, dtype=dtype), words)
        target = spec_of(result.dtype)
        if target is None or target == origin:
            raise InputError(
                f"{quoted(function.name)} returns {dtype_name(result.dtype)}: say in what format "
                "its values are, with `to`"
            )
    return RoundingFunction(function, origin, target)


def _called(function: NamedFunction, x: Tensor, words: Tensor | None) -> Tensor:
    """What it returns: a tensor of the shape of x, on the CPU."""
    result = function(x) if words is None else function(x, words)
    name = quoted(function.name)
    if not isinstance(result, Tensor):
        raise InputError(f"{name} returns no tensor, but {quoted(type(result).__name__)}")
    if result.shape != x.shape:
        raise InputError(
            f"{name} returns the shape {list(result.shape)} for {list(x.shape)}: one result for "
            "each element is wanted"
        )
    return result.detach().cpu()


def _required(function: NamedFunction) -> int:
    """How many positional arguments it needs; 1 where it does not say."""
    try:
        parameters = inspect.signature(function.function).parameters.values()
    except (TypeError, ValueError):
        return 1
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return sum(
        item.kind in positional and item.default is inspect.Parameter.empty for item in parameters
    )
