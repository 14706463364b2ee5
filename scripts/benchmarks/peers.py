"""What others take for the same casts, which they do without measuring what was lost."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

import ml_dtypes
import numpy as np
import torch
from torch import Tensor

from scripts.benchmarks.turns import turns

SOME = 1 << 22
"""Elements that peers cast: some of them take seconds for more."""

_ROUNDS = 3
_GFLOAT = {
    "bfloat16": "format_info_bfloat16",
    "float16": "format_info_binary16",
    "float8_e4m3fn": "format_info_ocp_e4m3",
    "float8_e5m2": "format_info_ocp_e5m2",
}
_Work = Callable[[], object]


def peer_rates(x: Tensor, target: str) -> dict[str, float | None]:
    """GB/s of the source that peers reach, one core or many as they do; None is not installed.

    Args:
        x: float32 or float64, 1-D.
        target: a plain format, or mxfp4 or nvfp4.
    """
    some = x[:SOME]
    makers: Mapping[str, Callable[[Tensor, str], _Work | None]] = _SCALED if target in (
        "mxfp4", "nvfp4"
    ) else _PLAIN  # fmt: skip
    found: dict[str, float | None] = {}
    for name, make in makers.items():
        try:
            work = make(some, target)
        except ImportError:
            found[name] = None
            continue
        if work is not None:
            work()
            found[name] = some.nbytes / turns({name: work}, _ROUNDS)[name].least / 1e9
    return found


def _numpy(x: Tensor, target: str) -> _Work | None:
    if not hasattr(np, target):
        return None
    return _there_and_back(x.numpy(), getattr(np, target))


def _ml_dtypes(x: Tensor, target: str) -> _Work | None:
    if not hasattr(ml_dtypes, target):
        return None
    return _there_and_back(x.numpy(), getattr(ml_dtypes, target))


def _there_and_back(array: np.ndarray[Any, Any], dtype: Any) -> _Work:
    def work() -> object:
        with np.errstate(all="ignore"):
            return array.astype(dtype).astype(array.dtype)

    return work


def _gfloat(x: Tensor, target: str) -> _Work | None:
    gfloat = import_module("gfloat")
    info = getattr(import_module("gfloat.formats"), _GFLOAT.get(target, ""), None)
    return None if info is None else lambda: gfloat.round_ndarray(info, x.numpy())


def _torchao(x: Tensor, target: str) -> _Work:
    rows = x.view(-1, 1 << 10)
    if target == "mxfp4":
        to_mx = import_module("torchao.prototype.mx_formats.mx_tensor").to_mx
        return lambda: to_mx(rows, torch.float4_e2m1fn_x2, 32)
    nvfp4 = import_module("torchao.prototype.mx_formats.nvfp4_tensor")
    return lambda: nvfp4.nvfp4_quantize(rows, 16, nvfp4.per_tensor_amax_to_scale(rows.abs().amax()))


_PLAIN: Mapping[str, Callable[[Tensor, str], _Work | None]] = {
    "numpy": _numpy,
    "ml_dtypes": _ml_dtypes,
    "gfloat": _gfloat,
}
_SCALED: Mapping[str, Callable[[Tensor, str], _Work | None]] = {"torchao": _torchao}
