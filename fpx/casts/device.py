"""The devices that casts run on."""

from __future__ import annotations

import platform
from dataclasses import dataclass

import torch

from fpx.errors import InputError, UnavailableError
from fpx.words import quoted


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
