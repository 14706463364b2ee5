"""Who computes a function: torch on a device, or numpy. Codes in, codes out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

import ml_dtypes
import numpy as np
import torch
from torch import Tensor

from fpx.arithmetic.functions.codes import Codes, held, taken
from fpx.arithmetic.functions.function import Function
from fpx.casts.backends import CONTIGUOUS, SCALAR, STRIDED
from fpx.casts.device import Device
from fpx.core.spec import FormatSpec
from fpx.errors import UnavailableError
from fpx.tensors.dtypes import array_dtype, cast_dtype
from fpx.words import reason

_REFUSALS = (NotImplementedError, TypeError, RuntimeError)  # how torch says that it cannot
_COPIES = 64  # in a reproduction: enough for the vectors that long tensors are computed in


class Implementation(ABC):
    """A library's functions.

    Attributes:
        name, version: of the library.
        device: where it computes.
        workers: threads that may call `compute` at once.
    """

    name: str
    version: str
    device: str
    workers: int = 1

    @abstractmethod
    def compute(self, function: Function, columns: Sequence[Codes], spec: FormatSpec) -> Codes:
        """The codes of results.

        Args:
            function: which.
            columns: for each operand, its codes (n,).
            spec: their format, and that of the results.

        Raises:
            UnavailableError: the library has no such function of that format.
        """

    def reproduction(
        self, function: Function, codes: Sequence[int], spec: FormatSpec
    ) -> str | None:
        """A line of Python that gives the code of one result; None if there is no such line."""
        return None

    def lack(self, function: Function, spec: FormatSpec, why: str = "") -> UnavailableError:
        """That there is no such function of the format."""
        told = f" ({why})" if why else ""
        return UnavailableError(f"{self.name} has no {function.name} of {spec.name}{told}")


class Torch(Implementation):
    """torch's functions.

    Args:
        device: where.
        layout: one of `fpx.casts.backends.LAYOUTS`.
        compiled: by torch.compile.
    """

    name = "torch"

    def __init__(self, device: Device, layout: str = CONTIGUOUS, compiled: bool = False) -> None:
        self.version, self.device = str(torch.__version__), str(device.torch)
        self.workers = torch.get_num_threads() if device.is_cpu and not compiled else 1
        self._where, self._layout, self._compiled = device, layout, compiled
        self._made: dict[tuple[str, torch.dtype], Callable[..., Tensor]] = {}

    def compute(self, function: Function, columns: Sequence[Codes], spec: FormatSpec) -> Codes:
        """As `Implementation.compute`."""
        if function.torch is None:
            raise self.lack(function, spec)
        try:
            dtype = cast_dtype(spec)
        except UnavailableError as error:
            raise self.lack(function, spec, str(error)) from None
        call = self._call(function, dtype)
        operands = [self._laid_out(held(column, spec)).view(dtype) for column in columns]
        try:
            if self._layout == SCALAR:
                each = [call(*row) for row in zip(*operands, strict=True)]
                result = torch.stack(each) if each else operands[0]
            else:
                result = call(*operands)
        except _REFUSALS as error:
            raise self.lack(function, spec, reason(error)) from None
        if result.dtype != dtype:
            raise self.lack(function, spec, f"its result is {result.dtype}")
        return taken(result.contiguous().view(held(columns[0][:0], spec).dtype), spec)

    def _laid_out(self, codes: Tensor) -> Tensor:
        there = codes.to(self._where.torch)
        if self._layout != STRIDED:
            return there
        return there.new_empty(2 * there.numel())[::2].copy_(there)

    def _call(self, function: Function, dtype: torch.dtype) -> Callable[..., Tensor]:
        """torch's function, or what torch.compile makes of it for a dtype."""
        if (function.name, dtype) not in self._made:
            assert function.torch is not None
            found: Any = reduce(getattr, function.torch.split("."), torch)
            keywords = dict(function.keywords)

            def call(*operands: Tensor) -> Tensor:
                result: Tensor = found(*operands, **keywords)
                return result

            if self._compiled:
                call = _compiled(call)
            self._made[function.name, dtype] = call
        return self._made[function.name, dtype]

    def reproduction(
        self, function: Function, codes: Sequence[int], spec: FormatSpec
    ) -> str | None:
        """As `Implementation.reproduction`."""
        bits = f"torch.uint{spec.bits}"
        where = "" if self._where.is_cpu else f", device={self.device!r}"
        shape = "()" if self._layout == SCALAR else f"({_COPIES},)"
        more = "[::2]" if self._layout == STRIDED else ""
        operands = [
            f"torch.full({shape}, {code:#x}, dtype={bits}{where}).view({cast_dtype(spec)}){more}"
            for code in codes
        ]
        operands += [f"{name}={value!r}" for name, value in function.keywords]
        call = f"torch.{function.torch}"
        if self._compiled:
            call = f"torch.compile({call})"
        one = "" if self._layout == SCALAR else "[0]"
        result = f"{call}({', '.join(operands)}){one}"
        return f"hex({result}.contiguous().view({bits}).item())".replace(".contiguous()", "")


def _compiled(call: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """By torch.compile; as for casts, each gets a code object of its own.

    Raises:
        UnavailableError: (when it is first called) torch.compile fails.
    """
    from torch._dynamo.exc import TorchDynamoException

    call.__code__ = call.__code__.replace()
    made = torch.compile(call, dynamic=True, fullgraph=True)

    def compiled(*operands: Tensor) -> Tensor:
        try:
            return made(*operands)
        except TorchDynamoException as error:
            raise UnavailableError(f"torch.compile fails: {reason(error)}") from None

    return compiled


class Numpy(Implementation):
    """numpy's functions, of ml_dtypes' formats too."""

    name, device = "numpy", "cpu"

    def __init__(self, layout: str = CONTIGUOUS) -> None:
        self.version = f"{np.__version__} with ml_dtypes {ml_dtypes.__version__}"
        self._layout = layout

    def compute(self, function: Function, columns: Sequence[Codes], spec: FormatSpec) -> Codes:
        """As `Implementation.compute`."""
        dtype = array_dtype(spec)
        if function.numpy is None or dtype is None:
            raise self.lack(function, spec)
        call = getattr(np, function.numpy)
        operands = [self._laid_out(held(column, spec).numpy()).view(dtype) for column in columns]
        try:
            with np.errstate(all="ignore"):
                if self._layout == SCALAR:
                    result = np.array([call(*row) for row in zip(*operands, strict=True)])
                else:
                    result = np.asarray(call(*operands))
        except TypeError as error:
            raise self.lack(function, spec, reason(error)) from None
        if result.dtype != dtype:
            raise self.lack(function, spec, f"its result is {result.dtype}")
        whole = np.ascontiguousarray(result).view(held(columns[0][:0], spec).numpy().dtype)
        return taken(torch.from_numpy(whole), spec)

    def _laid_out(self, codes: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        if self._layout != STRIDED:
            return codes
        gaps = np.empty(2 * len(codes), codes.dtype)[::2]
        gaps[:] = codes
        return gaps

    def reproduction(
        self, function: Function, codes: Sequence[int], spec: FormatSpec
    ) -> str | None:
        """As `Implementation.reproduction`."""
        own = spec.numpy is not None
        dtype = f"np.{spec.numpy}" if own else f"ml_dtypes.{spec.ml_dtypes}"
        bits = f"np.uint{8 * -(-spec.bits // 8)}"
        step = "[::2]" if self._layout == STRIDED else ""
        operands = [f"np.full({_COPIES}, {code:#x}, {bits}).view({dtype}){step}" for code in codes]
        if self._layout == SCALAR:
            operands = [f"{operand}[0]" for operand in operands]
            return f"hex(np.{function.numpy}({', '.join(operands)}).view({bits}))"
        return f"hex(np.{function.numpy}({', '.join(operands)}).view({bits})[0])"
