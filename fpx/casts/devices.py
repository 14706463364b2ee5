"""What the devices here can do with each format: found by trying, not in a list."""

from __future__ import annotations

import math
import re
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from fpx.casts.device import Device, find_device
from fpx.casts.environment import environment
from fpx.core import codec
from fpx.core.formats import FORMATS
from fpx.core.spec import FormatSpec
from fpx.errors import InputError, UnavailableError
from fpx.report.devices import DevicesReport, DeviceSupport, FormatSupport
from fpx.tensors.dtypes import container, spec_of, torch_dtype

_REFUSALS = (RuntimeError, TypeError, ValueError)  # how torch says that it cannot
_MEASUREMENTS = 3  # of each rate
_SIDE = 32  # of matrices: a multiple of what float8 products ask for
_SMALL, _LARGE = 16, 64  # of those that torch multiplies itself, and by a library


def survey_devices(
    names: Sequence[str] = (), size: int = 1 << 22, seconds: float = 0.05
) -> DevicesReport:
    """Tries every listed format on devices: the CPU and each card, if none is named.

    Args:
        names: as `find_device` takes them.
        size: elements that rates are measured with.
        seconds: that each measurement of a rate takes at least; there are three of each.

    Raises:
        InputError: no such name, or no elements.
        UnavailableError: no such device here.
    """
    if size < 1:
        raise InputError(f"`size` must be at least 1, not {size}")
    cards = [f"cuda:{i}" for i in range(torch.cuda.device_count())]
    devices = [find_device(name) for name in names or ["cpu", *cards]]
    return DevicesReport(
        tuple(_survey(device, size, seconds) for device in devices), environment(devices), size
    )


def _survey(device: Device, size: int, seconds: float) -> DeviceSupport:
    card = None if device.is_cpu else torch.cuda.get_device_properties(device.torch)
    cache = _cpu_cache() if card is None else getattr(card, "L2_cache_size", None)
    x = torch.ones(size, device=device.torch)
    return DeviceSupport(
        device=str(device.torch),
        label=device.label,
        capability=None if card is None else f"{card.major}.{card.minor}",
        memory_bytes=None if card is None else int(card.total_memory),
        cache_bytes=cache,
        formats=tuple(_try(spec, x, cache, seconds) for spec in FORMATS.values()),
    )


def _cpu_cache(where: Path = Path("/sys/devices/system/cpu/cpu0/cache")) -> int | None:
    """Bytes of the last level of cache, as Linux tells it; None where it does not."""
    sizes = []
    for path in where.glob("index*/size"):
        found = re.fullmatch(r"([0-9]+)([KMG]?)", path.read_text().strip())
        if found is not None:
            sizes.append(int(found[1]) << {"": 0, "K": 10, "M": 20, "G": 30}[found[2]])
    return max(sizes, default=None)


def _try(spec: FormatSpec, x: Tensor, cache: int | None, seconds: float) -> FormatSupport:
    try:
        dtype = torch_dtype(spec)
        stored = torch.empty(x.numel(), dtype=dtype, device=x.device)
    except (UnavailableError, *_REFUSALS):
        return FormatSupport(spec.name)
    other, bits = torch.empty_like(stored), container(spec)
    copied = _measured(
        lambda: other.view(bits).copy_(stored.view(bits)), 2 * stored.nbytes, x.device, seconds
    )
    found = FormatSupport(
        spec.name,
        storage=True,
        subnormals=_subnormals(spec, x.device),
        bytes_per_element=spec.bits / 8 if spec.bits < 8 else dtype.itemsize,
        copy_gb_per_s=copied.median,
        copy_gb_per_s_min=copied.low,
        copy_gb_per_s_max=copied.high,
        copy_in_cache=None if cache is None else 2 * stored.nbytes <= cache,
    )
    if not _works(lambda: x[:1].to(dtype).to(x.dtype)):
        return found
    moved = x.nbytes + stored.nbytes
    cast = _measured(lambda: stored.copy_(x), moved, x.device, seconds)
    return replace(
        found,
        cast=True,
        product=_works(lambda: _square(dtype, x.device) @ _square(dtype, x.device))
        or _works(lambda: _scaled_product(_square(dtype, x.device), _square(dtype, x.device))),
        subnormals_cast=_cast_keeps_subnormals(spec, x.device),
        subnormals_product_small=_product_keeps_subnormals(spec, x.device, _SMALL),
        subnormals_product_large=_product_keeps_subnormals(spec, x.device, _LARGE),
        cast_gb_per_s=cast.median,
        cast_gb_per_s_min=cast.low,
        cast_gb_per_s_max=cast.high,
        cast_in_cache=None if cache is None else moved <= cache,
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


def _scaled_product(a: Tensor, b: Tensor) -> Tensor:
    """The product that torch has for float8: with a scale for each side."""
    one = torch.ones((), device=a.device)
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


# Results are compared as bits: where subnormals are taken as zero, they equal zero.


def _cast_keeps_subnormals(spec: FormatSpec, device: torch.device) -> bool | None:
    """Whether the smallest subnormal survives a cast from a wider format, and the way back."""
    smallest = spec.smallest_subnormal
    wider = FORMATS["float64" if spec == FORMATS["float32"] else "float32"]
    if smallest is None or not wider.holds(spec) or spec == wider:
        return None
    code = codec.round_exact(*smallest.fraction.as_integer_ratio(), wider).code
    codes = torch.full((64,), code, dtype=container(wider), device=device)
    there = codes.view(torch_dtype(wider)).to(torch_dtype(spec))
    back = there.to(torch_dtype(wider)).view(codes.dtype)
    return bool((back == codes).all())


def _product_keeps_subnormals(spec: FormatSpec, device: torch.device, side: int) -> bool | None:
    """Whether a matrix of the smallest subnormal times the identity is itself."""
    smallest = spec.smallest_subnormal
    if smallest is None:
        return None
    codes = torch.ones(side, side, dtype=container(spec), device=device)
    a, b = codes.view(torch_dtype(spec)), torch.eye(side, device=device).to(torch_dtype(spec))
    for multiply in (torch.matmul, _scaled_product):
        try:
            product = multiply(a, b)
        except _REFUSALS:
            continue
        result = spec_of(product.dtype)
        assert result is not None
        wanted = codec.round_exact(*smallest.fraction.as_integer_ratio(), result).code
        return bool((product.view(container(result)) == wanted).all())
    return None


@dataclass(frozen=True)
class _Rate:
    """10^9 bytes a second: of several measurements the middle one, the slowest and the fastest."""

    median: float
    low: float
    high: float


def _measured(call: Callable[[], object], size: int, device: torch.device, seconds: float) -> _Rate:
    """The rate of a call that moves `size` bytes."""
    repeats = 1
    while (took := _took(call, repeats, device)) < seconds:
        # towards the goal, but no faster than one bad measurement can be trusted
        repeats = max(2 * repeats, min(math.ceil(1.1 * repeats * seconds / took), 100 * repeats))
    rates = [size * repeats / _took(call, repeats, device) / 1e9 for _ in range(_MEASUREMENTS)]
    return _Rate(statistics.median(rates), min(rates), max(rates))


def _took(call: Callable[[], object], repeats: int, device: torch.device) -> float:
    """Seconds that so many calls take, at least a nanosecond."""
    _wait(device)
    start = time.perf_counter()
    for _ in range(repeats):
        call()
    _wait(device)
    return max(time.perf_counter() - start, 1e-9)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
