"""What the devices here can do with each format: found by trying, not in a list."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from fpx.casts.device import Device, find_device
from fpx.core.formats import FORMATS
from fpx.core.spec import FormatSpec
from fpx.errors import InputError, UnavailableError
from fpx.report.devices import DevicesReport, DeviceSupport, FormatSupport
from fpx.tensors.dtypes import container, torch_dtype

_REFUSALS = (RuntimeError, TypeError, ValueError)  # how torch says that it cannot
_SIDE = 32  # of matrices: a multiple of what float8 products ask for


def survey_devices(names: Sequence[str] = (), size: int = 1 << 22) -> DevicesReport:
    """Tries every listed format on devices: the CPU and each card, if none is named.

    Args:
        names: as `find_device` takes them.
        size: elements that rates are measured with.

    Raises:
        InputError: no such name, or no elements.
        UnavailableError: no such device here.
    """
    if size < 1:
        raise InputError(f"--size must be at least 1, not {size}")
    cards = [f"cuda:{i}" for i in range(torch.cuda.device_count())]
    devices = [find_device(name) for name in names or ["cpu", *cards]]
    return DevicesReport(
        tuple(_survey(device, size) for device in devices),
        {
            "python": ".".join(map(str, sys.version_info[:3])),
            "torch": str(torch.__version__),
            "cuda": torch.version.cuda,
            "hip": torch.version.hip,
            "driver": _driver() if cards else None,
            "cpu_capability": torch.backends.cpu.get_cpu_capability(),
            "threads": torch.get_num_threads(),
        },
    )


def _driver() -> str | None:
    """The newest CUDA that the driver knows, as torch asks it."""
    ask = getattr(torch._C, "_cuda_getDriverVersion", None)
    if ask is None:
        return None
    number = int(ask())  # 1000 * major + 10 * minor
    return f"{number // 1000}.{number % 1000 // 10}"


def _survey(device: Device, size: int) -> DeviceSupport:
    card = None if device.is_cpu else torch.cuda.get_device_properties(device.torch)
    x = torch.ones(size, device=device.torch)
    return DeviceSupport(
        device=str(device.torch),
        label=device.label,
        capability=None if card is None else f"{card.major}.{card.minor}",
        memory_bytes=None if card is None else int(card.total_memory),
        formats=tuple(_try(spec, x) for spec in FORMATS.values()),
    )


def _try(spec: FormatSpec, x: Tensor) -> FormatSupport:
    try:
        dtype = torch_dtype(spec)
        stored = torch.empty(x.numel(), dtype=dtype, device=x.device)
    except (UnavailableError, *_REFUSALS):
        return FormatSupport(spec.name, False, False, False, None, None, None, None)
    width = spec.bits / 8 if spec.bits < 8 else dtype.itemsize
    other = torch.empty_like(stored)
    bits = container(spec)
    copied = _rate(lambda: other.view(bits).copy_(stored.view(bits)), 2 * stored.nbytes, x.device)
    casts = _works(lambda: x[:1].to(dtype).to(x.dtype))
    cast = _rate(lambda: stored.copy_(x), x.nbytes + stored.nbytes, x.device) if casts else None
    product = casts and (
        _works(lambda: _square(dtype, x.device) @ _square(dtype, x.device))
        or _works(lambda: _scaled_product(dtype, x.device))
    )
    return FormatSupport(
        spec.name, True, casts, product, _subnormals(spec, x.device), width, cast, copied
    )


def _works(call: Callable[[], Tensor]) -> bool:
    """Whether torch does it."""
    try:
        result = call()
        if result.is_cuda:
            torch.cuda.synchronize(result.device)
    except _REFUSALS:
        return False
    return True


def _square(dtype: torch.dtype, device: torch.device) -> Tensor:
    return torch.ones(_SIDE, _SIDE, device=device).to(dtype)


def _scaled_product(dtype: torch.dtype, device: torch.device) -> Tensor:
    """The product that torch has for float8: with a scale for each side."""
    one = torch.ones((), device=device)
    a, b = _square(dtype, device), _square(dtype, device)
    result: Tensor = torch._scaled_mm(a, b.t(), one, one, out_dtype=torch.bfloat16)
    return result


def _subnormals(spec: FormatSpec, device: torch.device) -> bool | None:
    """Whether the smallest subnormal times one is itself."""
    if not spec.zero or not spec.fraction_bits or spec.bits < 8:
        return None
    smallest = torch.ones(64, dtype=container(spec), device=device)
    x = smallest.view(torch_dtype(spec))
    try:
        product = x * torch.ones(64, device=device).to(x.dtype)
    except _REFUSALS:
        return None
    return bool((product.view(smallest.dtype) == smallest).all())


def _rate(call: Callable[[], object], size: int, device: torch.device) -> float:
    """10^9 bytes a second: the best of a few runs."""
    best = float("inf")
    for _ in range(5):
        _wait(device)
        start = time.perf_counter()
        call()
        _wait(device)
        best = min(best, time.perf_counter() - start)
    return size / max(best, 1e-9) / 1e9


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
