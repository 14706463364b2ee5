"""Casting a block: one row per backend, and the devices it runs on."""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Protocol

import ml_dtypes
import numpy as np
import torch
from torch import Tensor

from fpx.core.formats import FORMATS, FormatSpec
from fpx.errors import InputError, UnavailableError, quoted
from fpx.harness.reference import INTEGERS, IntegerType, SourceType, container

LAYOUTS = ("contiguous", "strided", "scalar")
"""How the elements of a cast lie: together, with gaps, or each cast alone."""


class Backend(Protocol):
    """A library that casts."""

    @property
    def name(self) -> str:
        """Its import name."""

    @property
    def version(self) -> str:
        """Its version."""

    def cast(self, x: Tensor, target: FormatSpec) -> Tensor:
        """`x` (1-D) in the target format, on the device of `x`.

        Raises:
            UnavailableError: the library has no such format.
        """

    def cast_codes(
        self,
        codes: Tensor,
        source: SourceType,
        target: FormatSpec,
        layout: str = "contiguous",
        compiled: bool = False,
    ) -> Tensor:
        """The target's codes of the source's codes (1-D, in their `container`s).

        Raises:
            UnavailableError: the library does not offer this cast.
        """


class TorchBackend:
    """torch's own cast, `Tensor.to(dtype)`."""

    name = "torch"
    version = str(torch.__version__)

    def cast(self, x: Tensor, target: FormatSpec) -> Tensor:
        """As `Backend.cast`."""
        return x.to(cast_dtype(target))

    def cast_codes(
        self,
        codes: Tensor,
        source: SourceType,
        target: FormatSpec,
        layout: str = "contiguous",
        compiled: bool = False,
    ) -> Tensor:
        """As `Backend.cast_codes`."""
        held = container(source) if isinstance(source, IntegerType) else cast_dtype(source)
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
                f"torch {self.version} does not cast {source.name} to {target.name}"
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

    def __init__(self, name: str, version: str) -> None:
        self.name = name
        self.version = version

    def cast(self, x: Tensor, target: FormatSpec) -> Tensor:
        """As `Backend.cast`."""
        source = spec_of(x.dtype) or INTEGERS[str(x.dtype).removeprefix("torch.")]
        codes = x.view(container(source))
        return self.cast_codes(codes, source, target).view(torch_dtype(target))

    def cast_codes(
        self,
        codes: Tensor,
        source: SourceType,
        target: FormatSpec,
        layout: str = "contiguous",
        compiled: bool = False,
    ) -> Tensor:
        """As `Backend.cast_codes`; there is nothing to compile."""
        held, wanted = _array_type(source), _array_type(target)
        ours = [kind is not None and hasattr(ml_dtypes, kind.name) for kind in (held, wanted)]
        if held is None or wanted is None or any(ours) != (self.name == "ml_dtypes"):
            raise UnavailableError(f"{self.name} does not cast {source.name} to {target.name}")
        x = _laid_out(codes.cpu(), layout).numpy().view(held)
        try:
            with np.errstate(all="ignore"):
                if layout == "scalar":
                    q = np.array([x[i].astype(wanted) for i in range(len(x))], dtype=wanted)
                else:
                    q = x.astype(wanted)
        except TypeError:  # not all of ml_dtypes' types cast to each other
            raise UnavailableError(
                f"{self.name} {self.version} does not cast {source.name} to {target.name}"
            ) from None
        kind = "u1" if q.itemsize == 1 else f"i{q.itemsize}"
        return torch.from_numpy(q.view(kind)).to(codes.device)


def _array_type(type_: SourceType) -> np.dtype[Any] | None:
    if isinstance(type_, IntegerType):
        return np.dtype(type_.name)
    if type_.numpy is not None:
        return np.dtype(type_.numpy)
    kind = getattr(ml_dtypes, type_.ml_dtypes or "", None)
    return None if kind is None else np.dtype(kind)


BACKENDS: Mapping[str, Backend] = MappingProxyType(
    {
        "torch": TorchBackend(),
        "numpy": ArrayBackend("numpy", np.__version__),
        "ml_dtypes": ArrayBackend("ml_dtypes", ml_dtypes.__version__),
    }
)
"""Every backend by name."""


def torch_dtype(spec: FormatSpec) -> torch.dtype:
    """The torch dtype of a format.

    Raises:
        UnavailableError: this torch has none.
    """
    dtype = None if spec.torch is None else getattr(torch, spec.torch, None)
    if not isinstance(dtype, torch.dtype):
        raise UnavailableError(f"torch {torch.__version__} has no dtype for {spec.name}")
    return dtype


def cast_dtype(spec: FormatSpec) -> torch.dtype:
    """The torch dtype of a format that torch casts to and from.

    Raises:
        UnavailableError: this torch has none, or only to store pairs in (float4_e2m1fn_x2).
    """
    dtype = torch_dtype(spec)
    if spec.bits < 8:
        raise UnavailableError(
            f"torch {torch.__version__} only stores {spec.name}: it has no casts of it"
        )
    return dtype


def spec_of(dtype: torch.dtype) -> FormatSpec | None:
    """The format of a torch dtype; None for integers and what FORMATS lacks."""
    name = str(dtype).removeprefix("torch.")
    return next((spec for spec in FORMATS.values() if spec.torch == name), None)


_WHOLE_NUMBERS = frozenset(
    getattr(torch, name, None)
    for name in ["bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]
)


def is_compared(dtype: torch.dtype) -> bool:
    """Whether numbers of this real dtype can be read; torch has some only to store (int4)."""
    spec = spec_of(dtype)
    return dtype in _WHOLE_NUMBERS if spec is None else spec.bits >= 8


@dataclass(frozen=True)
class Device:
    """Where casts run.

    Attributes:
        torch: torch's device.
        label: what was found, such as `cuda:0 (NVIDIA H200)`.
        block: elements to cast at a time: on a CPU what fits its cache, on a GPU what fills it.
    """

    torch: torch.device
    label: str
    block: int

    @property
    def is_cpu(self) -> bool:
        """Whether this is the CPU, whose cast others are compared with."""
        return self.torch.type == "cpu"


_CPU_BLOCK = 1 << 17
_GPU_BLOCK = 1 << 22


def find_device(name: str) -> Device:
    """The device of that name: `cpu`, `cuda`, `cuda:N`, or `auto` (CUDA where there is one).

    Raises:
        InputError: no such name.
        UnavailableError: this machine or this torch has no such device.
    """
    kind, colon, number = name.strip().lower().partition(":")
    valid = kind == "cuda" and (not colon or (number.isascii() and number.isdigit()))
    if not valid and (kind not in ("cpu", "auto") or colon):
        raise InputError(f"unknown device {quoted(name)}: use cpu, cuda, cuda:N or auto")
    if kind == "auto":
        kind = "cuda" if torch.cuda.is_available() else "cpu"
    if kind == "cpu":
        return Device(torch.device("cpu"), f"cpu ({platform.machine()})", _CPU_BLOCK)
    if torch.version.cuda is None and torch.version.hip is None:
        raise UnavailableError(
            f"torch {torch.__version__} was built without CUDA: install a CUDA build of torch, "
            "or use --device cpu"
        )
    if not torch.cuda.is_available():
        raise UnavailableError(
            "torch has CUDA, but this machine shows no usable card: check nvidia-smi and "
            "CUDA_VISIBLE_DEVICES, or use --device cpu"
        )
    index, present = int(number or torch.cuda.current_device()), torch.cuda.device_count()
    if index >= present:
        raise UnavailableError(
            f"there is no cuda:{index}: this machine has {present} (cuda:0 to cuda:{present - 1})"
        )
    label = f"cuda:{index} ({torch.cuda.get_device_name(index)})"
    return Device(torch.device("cuda", index), label, _GPU_BLOCK)
