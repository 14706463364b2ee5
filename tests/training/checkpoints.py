"""Small checkpoints with optimizers' states, as torch makes them."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn


def network() -> nn.Sequential:
    """Two layers, a norm with buffers, and a norm without."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.LayerNorm(8), nn.Linear(8, 3))


def trained(
    make: Any = torch.optim.AdamW, steps: int = 4, *, named: bool = False, **settings: Any
) -> tuple[nn.Sequential, Any]:
    """A network and its optimizer after some steps."""
    model = network()
    optimizer = make(model.named_parameters() if named else model.parameters(), **settings)
    train(model, optimizer, steps)
    return model, optimizer


def train(model: nn.Module, optimizer: Any, steps: int) -> None:
    """Some steps, of gradients that only chance decides."""
    generator = torch.Generator().manual_seed(1)
    for _ in range(steps):
        for parameter in model.parameters():
            gradient = torch.randn(parameter.shape, generator=generator) * 1e-2
            parameter.grad = gradient.to(parameter.dtype)
        optimizer.step()


def two_groups(model: nn.Module) -> list[dict[str, Any]]:
    """Matrices decay, the rest does not: as Hugging Face's Trainer has it."""
    return [
        {"params": [p for p in model.parameters() if p.dim() > 1], "weight_decay": 0.1},
        {"params": [p for p in model.parameters() if p.dim() < 2], "weight_decay": 0.0},
    ]
