"""Names of devices, and devices that are not there."""

from __future__ import annotations

import pytest
import torch

from fpx.casts.device import find_device
from fpx.errors import InputError, UnavailableError


def test_devices() -> None:
    assert find_device("cpu").is_cpu
    for bad in ("tpu", "cuda:x", "cuda:-1", "cpu:0", ""):
        with pytest.raises(InputError, match="cuda:N"):
            find_device(bad)
    if not torch.cuda.is_available():
        with pytest.raises(UnavailableError):
            find_device("cuda:0")


def test_a_card_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UnavailableError, match="no usable card"):
        find_device("cuda")
