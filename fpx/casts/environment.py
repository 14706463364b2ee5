"""The environment of this process, as reports name it."""

from __future__ import annotations

import platform
from collections.abc import Iterable

import ml_dtypes
import numpy as np
import torch

from fpx.casts.device import Device
from fpx.report.environment import Environment


def environment(devices: Iterable[Device], seed: int | None = None) -> Environment:
    """What numbers from these devices depend on, as it is now.

    Args:
        devices: those that were used.
        seed: of random numbers; None if nothing was random.
    """
    return Environment(
        python=platform.python_version(),
        torch=str(torch.__version__),
        numpy=np.__version__,
        ml_dtypes=ml_dtypes.__version__,
        device=", ".join(dict.fromkeys(device.label for device in devices)),
        cuda=torch.version.cuda,
        hip=torch.version.hip,
        driver=_driver() if torch.cuda.is_available() else None,
        cpu_capability=torch.backends.cpu.get_cpu_capability(),
        threads=torch.get_num_threads(),
        seed=seed,
    )


def _driver() -> str | None:
    """The newest CUDA that the driver knows, as torch asks it."""
    ask = getattr(torch._C, "_cuda_getDriverVersion", None)
    if ask is None:
        return None
    number = int(ask())  # 1000 * major + 10 * minor
    return f"{number // 1000}.{number % 1000 // 10}"
