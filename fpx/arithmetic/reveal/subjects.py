"""What is to be probed: an operation of torch, or a function of the user's."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol

import torch

from fpx.arithmetic.reveal.catalogue import Form, Operation
from fpx.arithmetic.reveal.probing import Reduction
from fpx.arithmetic.reveal.runner import TorchReduction
from fpx.arithmetic.reveal.settings import applied
from fpx.casts.device import Device
from fpx.core.spec import FormatSpec
from fpx.errors import InputError
from fpx.report.reveal_case import Case, Size
from fpx.words import reason


class Built(Reduction, Protocol):
    """A reduction, and whether it is one for all elements of a result.

    Attributes:
        alike: whether all elements of a result compute alike.
    """

    alike: bool


class Subject(Protocol):
    """What has a reduction for each set of circumstances.

    Attributes:
        name: what reports call it.
        products, matrix, size, multiple: as of `Operation`.
    """

    name: str
    products: bool
    matrix: bool
    size: Size
    multiple: int

    def build(self, leaf: FormatSpec, case: Case, device: Device) -> Built:
        """The reduction.

        Raises:
            NotOfferedError: there is none.
        """

    def close(self) -> None:
        """No more will be asked."""


class TorchSubject:
    """An operation of the catalogue."""

    def __init__(self, operation: Operation) -> None:
        self.name, self.products = operation.name, operation.products
        self.matrix, self.size, self.multiple = operation.matrix, operation.size, operation.multiple
        self._form = operation.form

    def build(self, leaf: FormatSpec, case: Case, device: Device) -> TorchReduction:
        """As of `Subject`."""
        return build(self._form(case.size), self.products, leaf, case, device)

    def close(self) -> None:
        """Nothing to do."""


class FunctionSubject:
    """A function of one vector, or of two matrices: it is called here, and may take its time.

    Args:
        function: takes a tensor of shape (k,) and gives one number, or takes tensors of shapes
            (m, k) and (k, n) and gives one of shape (m, n).
        name: what reports call it.
        products: whether it takes two matrices.
    """

    def __init__(self, function: Callable[..., Any], name: str, products: bool) -> None:
        self.name, self.products, self.matrix = name, products, products
        self.size = Size(4, 32, 4) if products else Size(1, 32, 1, matrix=False)
        self.multiple = 1
        self._function = function

    def build(self, leaf: FormatSpec, case: Case, device: Device) -> TorchReduction:
        """As of `Subject`.

        Raises:
            InputError: what it gives is no number, or no such matrix.
        """
        size = case.size
        form = Form(size.m, size.n, self._operands, self._call(size))
        return build(form, self.products, leaf, case, device)

    def close(self) -> None:
        """Nothing to do."""

    def _operands(self, a: torch.Tensor, b: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return (a.clone(), b.t().contiguous()) if self.products else (a[0].clone(),)

    def _call(self, size: Size) -> Callable[..., Any]:
        def run(*operands: torch.Tensor) -> torch.Tensor:
            try:
                found: Any = self._function(*operands)
            except Exception as error:  # noqa: BLE001 - somebody's function
                why = f"{type(error).__name__}: {reason(error)}"
                raise InputError(f"{self.name} raised {why}") from None
            try:
                kind = torch.float64 if isinstance(found, float) else None
                result = torch.as_tensor(found, dtype=kind)
            except (TypeError, ValueError, RuntimeError):
                raise InputError(
                    f"{self.name} gave a {type(found).__name__}: it is to give a tensor or a number"
                ) from None
            if not result.is_floating_point():
                kind_name = str(result.dtype).removeprefix("torch.")
                raise InputError(f"{self.name} gave {kind_name}: it is to give floating point")
            wanted = (size.m, size.n) if self.products else ()
            if tuple(result.shape) != wanted and not (result.numel() == 1 and not self.products):
                raise InputError(
                    f"{self.name} gave a tensor of shape {tuple(result.shape)}: it is to give "
                    + (f"one of shape {wanted}" if self.products else "one number")
                )
            return result.detach()

        return run


def build(
    form: Form, products: bool, leaf: FormatSpec, case: Case, device: Device
) -> TorchReduction:
    """A form under circumstances.

    Raises:
        NotOfferedError: torch refuses it.
    """

    def around() -> AbstractContextManager[object]:
        return applied(case.flags, case.threads)

    plain = not case.flags and case.threads == torch.get_num_threads()
    return TorchReduction(
        form,
        case.size.k,
        leaf,
        products,
        device.torch,
        layout=case.layout,
        compiled=case.compiled,
        around=nullcontext if plain else around,
    )
