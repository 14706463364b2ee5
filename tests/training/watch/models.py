"""Small models, and one whose every intermediate is recorded by hand."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from fpx.core.names import find_format
from fpx.report.watch import WatchReport
from fpx.report.watch_rows import ValueRow
from tests.training.watch.oracle import NAMES, Counts, counts

Recorded = dict[tuple[str, str], list[Tensor]]
"""Name and kind -> the tensors of it, in the order in which they were there."""


class Net(nn.Module):
    """Two layers with an activation that works in place, and a head; parts can be checkpointed.

    Args:
        reentrant: which checkpoint the body runs in; None is none.
    """

    def __init__(self, reentrant: bool | None = None) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(4, 6), nn.ReLU(inplace=True), nn.Linear(6, 5))
        self.act = nn.Tanh()
        self.head = nn.Linear(5, 2)
        self._reentrant = reentrant

    def forward(self, x: Tensor) -> Tensor:
        if self._reentrant is None:
            x = self.body(x)
        else:
            x = checkpoint(self.body, x, use_reentrant=self._reentrant)
        out: Tensor = self.head(self.act(x))
        return out


def net(reentrant: bool | None = None, dtype: torch.dtype = torch.float32) -> Net:
    """The same weights every time."""
    torch.manual_seed(3)
    return Net(reentrant).to(dtype)


def batches(count: int, dtype: torch.dtype = torch.float32) -> list[Tensor]:
    """Inputs; checkpoints with reentrant backward passes need them to have gradients."""
    generator = torch.Generator().manual_seed(4)
    return [torch.randn(8, 4, generator=generator).to(dtype).requires_grad_() for _ in range(count)]


def loss_of(out: Tensor) -> Tensor:
    """So small that float16 loses gradients, with some that are zero."""
    return (out.double() * 1e-6).square().sum().to(out.dtype) + 1e-7 * out[:, 0].sum()


def train(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    steps: int = 3,
    micro: int = 1,
    within: Callable[[], AbstractContextManager[object]] = nullcontext,
) -> list[Tensor]:
    """Trains, with several backward passes a step if need be; the losses."""
    dtype = next(model.parameters()).dtype
    losses = []
    for x in batches(steps * micro, dtype):
        with within():
            loss = loss_of(model(x)) / micro
        loss.backward()  # type: ignore[no-untyped-call]
        losses.append(loss.detach())
        if len(losses) % micro == 0:
            optimizer.step()
            optimizer.zero_grad()
    return losses


def recorded(model: Net, optimizer: torch.optim.Optimizer, steps: int, micro: int) -> Recorded:
    """The same training with every intermediate written down, without any module's hooks."""
    found: Recorded = defaultdict(list)
    first, last = model.body[0], model.body[2]
    assert isinstance(first, nn.Linear)
    assert isinstance(last, nn.Linear)
    named = dict(model.named_parameters())
    for at, x in enumerate(batches(steps * micro, next(model.parameters()).dtype)):
        outputs: dict[str, Tensor] = {}

        def kept(name: str, out: Tensor, outputs: dict[str, Tensor] = outputs) -> Tensor:
            outputs[name] = out
            out.retain_grad()
            found[name, "activation"].append(out.detach().clone())
            return out

        h = kept("body.0", functional.linear(x, first.weight, first.bias))
        h = kept("body.1", functional.relu(h))
        h = kept("body.2", functional.linear(h, last.weight, last.bias))
        h = kept("act", torch.tanh(h))
        h = kept("head", functional.linear(h, model.head.weight, model.head.bias))
        (loss_of(h) / micro).backward()  # type: ignore[no-untyped-call]
        for name, out in outputs.items():
            assert out.grad is not None
            found[name, "grad_output"].append(out.grad.clone())
        if (at + 1) % micro == 0:
            for name, parameter in named.items():
                assert parameter.grad is not None
                found[name, "weight_grad"].append(parameter.grad.clone())
            optimizer.step()
            optimizer.zero_grad()
            for name, parameter in named.items():
                for key, value in optimizer.state[parameter].items():
                    if key != "step":
                        found[name, key].append(value.clone())
    return dict(found)


def check(report: WatchReport, expected: Recorded) -> None:
    """Every row is that of the tensors that were written down, and none is missing."""
    rows = {(row.name, row.kind, row.to): row for row in report.values}
    assert {(name, kind) for name, kind, _ in rows} == set(expected)
    for (name, kind, to), row in rows.items():
        tensors = expected[name, kind]
        each = [counts(x, find_format(to)) for x in tensors]
        total = Counts(*(sum(getattr(one, field) for one in each) for field in NAMES))
        assert counted(row) == total, (name, kind, to)
        assert row.calls == len(tensors)
        assert row.amax == max(float(x.abs().max()) for x in tensors)


def counted(row: ValueRow) -> Counts:
    return Counts(*(getattr(row, name) for name in NAMES))
