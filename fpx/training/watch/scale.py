"""The loss scale that a GradScaler has, read without waiting for its device."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from fpx.errors import InputError


class Scale:
    """The loss scale that gradients have while they go back.

    Args:
        scaler: a GradScaler, or None.

    Raises:
        InputError: it has no scale.
    """

    def __init__(self, scaler: Any) -> None:
        if scaler is not None and not hasattr(scaler, "get_scale"):
            raise InputError(
                f"`scaler` is a torch.amp.GradScaler, not {type(scaler).__name__}: give what "
                "scales the loss"
            )
        self.scaler = scaler
        self._range: tuple[Tensor, Tensor] | None = None

    def now(self) -> Tensor | None:
        """The scale, of one element; None where nothing scales."""
        if self.scaler is None or not self.scaler.is_enabled():
            return None
        scale = getattr(self.scaler, "_scale", None)  # get_scale() would wait
        if not isinstance(scale, Tensor):
            return None  # until a loss was scaled
        least, most = self._range or (scale, scale)
        self._range = torch.minimum(least, scale), torch.maximum(most, scale)
        return scale

    def fetch(self) -> tuple[float, float] | None:
        """The smallest and the largest that there was; None where there was none."""
        if self._range is None:
            return None
        return float(self._range[0]), float(self._range[1])
