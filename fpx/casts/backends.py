"""Who casts: one row per backend, codes in and codes out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Protocol

import ml_dtypes
import numpy as np
import torch
from torch import Tensor

from fpx.casts.rounding import round_codes
from fpx.core.spec import FormatSpec
from fpx.errors import UnavailableError
from fpx.tensors.dtypes import (
    IntegerType,
    Origin,
    cast_dtype,
    container,
)
from fpx.version import __version__

LAYOUTS = ("contiguous", "strided", "scalar")
"""How the elements of a cast lie: together, with gaps, or each cast alone."""


class Backend(Protocol):
    """Who casts: a library, or correct rounding itself."""

    @property
    def name(self) -> str:
        """Its import name."""

    @property
    def version(self) -> str:
        """Its version."""

    @property
    def elementwise(self) -> bool:
        """Whether the code of an element depends on that element alone."""

    def offers(
        self, origin: Origin, target: FormatSpec, device: torch.device | None = None
    ) -> bool:
        """Whether it casts so at all."""

    def cast(
        self,
        codes: Tensor,
        origin: Origin,
        target: FormatSpec,
        layout: str = "contiguous",
        compiled: bool = False,
    ) -> Tensor:
        """The target's codes of the origin's codes (1-D, in their `container`s).

        Raises:
            UnavailableError: the library does not offer this cast.
        """


class TorchBackend:
    """torch's own cast, `Tensor.to(dtype)`."""

    name = "torch"
    version = str(torch.__version__)

    elementwise = True

    def offers(
        self, origin: Origin, target: FormatSpec, device: torch.device | None = None
    ) -> bool:
        """As `Backend.offers`."""
        return _offers(self, origin, target, device)

    def cast(
        self,
        codes: Tensor,
        origin: Origin,
        target: FormatSpec,
        layout: str = "contiguous",
        compiled: bool = False,
    ) -> Tensor:
        """As `Backend.cast`."""
        held = cast_dtype(origin)
        wanted = cast_dtype(target)
        to = _compiled(held, wanted) if compiled else lambda x: x.to(wanted)
        try:
            x = _laid_out(codes, layout).view(held)
            if layout == "scalar":
                q = torch.stack([to(element) for element in x]) if len(x) else to(x)
            else:
                q = to(x)
            return q.view(container(target))
        except (RuntimeError, TypeError) as error:
            if not isinstance(error, (NotImplementedError, TypeError)):
                raise
            raise UnavailableError(
                f"torch {self.version} does not cast {origin.name} to {target.name}"
            ) from None


def _laid_out(codes: Tensor, layout: str) -> Tensor:
    if layout != "strided":
        return codes
    gaps = torch.empty(2 * codes.numel(), dtype=codes.dtype, device=codes.device)[::2]
    return gaps.copy_(codes)


@lru_cache(1)
def _compiled(_: torch.dtype, dtype: torch.dtype) -> Callable[[Tensor], Tensor]:
    # torch.compile gives up, silently, on a function that it has compiled for eight dtypes
    torch.compiler.reset()

    def to(x: Tensor) -> Tensor:
        return x.to(dtype)

    compiled: Callable[[Tensor], Tensor] = torch.compile(to, dynamic=True, fullgraph=True)
    return compiled


class ArrayBackend:
    """numpy's `astype`, between numpy's own types or from and to those of ml_dtypes."""

    elementwise = True

    def offers(
        self, origin: Origin, target: FormatSpec, device: torch.device | None = None
    ) -> bool:
        """As `Backend.offers`."""
        return _offers(self, origin, target, device)

    def __init__(self, name: str, version: str) -> None:
        self.name = name
        self.version = version

    def cast(
        self,
        codes: Tensor,
        origin: Origin,
        target: FormatSpec,
        layout: str = "contiguous",
        compiled: bool = False,
    ) -> Tensor:
        """As `Backend.cast`; there is nothing to compile."""
        held, wanted = _array_type(origin), _array_type(target)
        ours = [kind is not None and hasattr(ml_dtypes, kind.name) for kind in (held, wanted)]
        if held is None or wanted is None or any(ours) != (self.name == "ml_dtypes"):
            raise UnavailableError(f"{self.name} does not cast {origin.name} to {target.name}")
        x = _laid_out(codes.cpu(), layout).numpy().view(held)
        try:
            with np.errstate(all="ignore"):
                if layout == "scalar":
                    q = np.array([x[i].astype(wanted) for i in range(len(x))], dtype=wanted)
                else:
                    q = x.astype(wanted)
        except TypeError:  # not all of ml_dtypes' types cast to each other
            raise UnavailableError(
                f"{self.name} {self.version} does not cast {origin.name} to {target.name}"
            ) from None
        kind = "u1" if q.itemsize == 1 else f"i{q.itemsize}"
        return torch.from_numpy(q.view(kind)).to(codes.device)


def _array_type(type_: Origin) -> np.dtype[Any] | None:
    if isinstance(type_, IntegerType):
        return np.dtype(type_.name)
    if type_.numpy is not None:
        return np.dtype(type_.numpy)
    kind = getattr(ml_dtypes, type_.ml_dtypes or "", None)
    return None if kind is None else np.dtype(kind)


class ExactBackend:
    """Correct rounding: every pair of formats of up to 64 bits, on every device."""

    name = "exact"
    version = __version__

    elementwise = True

    def offers(
        self, origin: Origin, target: FormatSpec, device: torch.device | None = None
    ) -> bool:
        """As `Backend.offers`."""
        return _offers(self, origin, target, device)

    def cast(
        self,
        codes: Tensor,
        origin: Origin,
        target: FormatSpec,
        layout: str = "contiguous",
        compiled: bool = False,
    ) -> Tensor:
        """As `Backend.cast`; integers depend on no layout, and there is nothing to compile."""
        if max(origin.bits, target.bits) > 64:
            raise UnavailableError(f"{origin.name} to {target.name}: only up to 64 bits are cast")
        return round_codes(codes, origin, target)


def _offers(
    backend: Backend, origin: Origin, target: FormatSpec, device: torch.device | None
) -> bool:
    if max(origin.bits, target.bits) > 64:
        return False
    try:
        backend.cast(torch.zeros(1, dtype=container(origin), device=device), origin, target)
    except UnavailableError:
        return False
    return True


BACKENDS: Mapping[str, Backend] = MappingProxyType(
    {
        "torch": TorchBackend(),
        "numpy": ArrayBackend("numpy", np.__version__),
        "ml_dtypes": ArrayBackend("ml_dtypes", ml_dtypes.__version__),
        "exact": ExactBackend(),
    }
)
"""Every backend by name."""
