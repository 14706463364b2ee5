"""Gradients as optimizers are given them: unscaled, clipped, computed by closures, in turns."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.amp.grad_scaler import GradScaler

import fpx
from fpx.report.watch_rows import ValueRow
from fpx.training.watch.optimizers import Optimizers
from fpx.training.watch.targets import watched_formats
from tests.training.watch.models import loss_of, net, recorded, train


def rows_of(seen: Any, kind: str, to: str = "float16") -> dict[str, ValueRow]:
    return {row.name: row for row in seen.report().values if (row.kind, row.to) == (kind, to)}


def test_clipping_comes_before() -> None:
    model = nn.Linear(3, 1, bias=False)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with fpx.watch(model) as seen:
        model(torch.tensor([[3e5, 4e5, 0.0]])).sum().backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    (row,) = rows_of(seen, "weight_grad").values()
    assert row.overflow_count == 0
    assert row.amax == pytest.approx(0.8)


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("told", [False, True])
def test_a_loss_scale_is_divided_out(fused: bool, told: bool) -> None:
    plain = net()
    expected = recorded(plain, torch.optim.Adam(plain.parameters(), lr=1e-3), 2, 1)
    model = net()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=fused)
    scaler = GradScaler("cpu", init_scale=2.0**12, growth_interval=1)
    with fpx.watch(model, scaler=scaler if told else None) as seen:
        for at in range(2):
            generator = torch.Generator().manual_seed(4)
            x = [torch.randn(8, 4, generator=generator) for _ in range(at + 1)][at]
            loss: Any = scaler.scale(loss_of(model(x.requires_grad_())))
            loss.backward()
            scaler.step(optimizer)
            scaler.update()
            optimizer.zero_grad()
    for kind in ("weight_grad", "grad_output"):
        for name, row in rows_of(seen, kind).items():
            factor = 1.0 if told or kind == "weight_grad" else None
            largest = max(float(x.abs().max()) for x in expected[name, kind])
            if factor is not None:
                assert row.amax == pytest.approx(largest, rel=1e-5), (name, kind)
            else:
                assert (row.amax or 0) >= 4000 * largest
            assert row.from_ == "float32"
    (watched,) = seen.report().models
    assert watched.scaled_by == ((2.0**12, 2.0**13) if told else None)
    assert ("; 2 steps; loss scale 4,096 to 8,192\n" in str(seen)) == told


def test_a_scaler_that_is_off_scales_nothing() -> None:
    model = net()
    scaler = GradScaler("cpu", enabled=False)
    with fpx.watch(model, scaler=scaler) as seen:
        train(model, torch.optim.SGD(model.parameters(), lr=0.1), 1)
    assert seen.report().models[0].scaled_by is None


@pytest.mark.parametrize("kind", ["positional", "keyword"])
def test_closures_compute_gradients_themselves(kind: str) -> None:
    model = nn.Linear(3, 1, bias=False)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    x = torch.tensor([[1.0, 1e-9, 0.0]])

    def closure() -> Any:
        optimizer.zero_grad()
        loss = model(x).sum()
        loss.backward()
        return loss.item()

    with fpx.watch(model) as seen:
        for _ in range(2):
            if kind == "positional":
                optimizer.step(closure)
            else:
                optimizer.step(closure=closure)
    (row,) = rows_of(seen, "weight_grad").values()
    assert (row.calls, row.count, row.underflow_count, row.amax) == (2, 6, 2, 1.0)
    (own,) = (row for row in seen.report().updates if row.to == "float32")
    # of each step one weight moves, one has a gradient that is lost, and one has none
    assert (own.count, own.moved_count, own.lost_update_count) == (6, 2, 2)
    assert seen.report().models[0].notes[0].startswith("an optimizer was given a closure")


def test_lbfgs_steps_too() -> None:
    model = nn.Linear(3, 1)
    optimizer: Any = torch.optim.LBFGS(model.parameters(), max_iter=3)

    def closure() -> Any:
        optimizer.zero_grad()
        loss = (model(torch.ones(2, 3)) - 1).square().sum()
        loss.backward()
        return loss.item()

    with fpx.watch(model) as seen:
        optimizer.step(closure)
    assert seen.report().models[0].steps == 1
    assert rows_of(seen, "weight_grad").keys() == {"weight", "bias"}


@pytest.mark.parametrize("every", [1, 2])
def test_optimizers_that_take_turns(every: int) -> None:
    model = net()
    one = torch.optim.SGD(model.body.parameters(), lr=0.1)
    other = torch.optim.Adam(model.head.parameters(), lr=0.01)
    with fpx.watch(model, every=every) as seen:
        for _ in range(6):
            for optimizer in (one, other):
                loss_of(model(torch.ones(2, 4))).backward()  # type: ignore[no-untyped-call]
                optimizer.step()
    (watched,) = seen.report().models
    assert watched.optimizers == ("SGD, learning rate 0.1", "Adam, learning rate 0.01")
    assert watched.steps in (6, 7)
    calls = {row.name: row.calls for row in watched.updates if row.to == "float32"}
    assert set(calls) == set(dict(model.named_parameters()))
    assert all(6 / every - 1 <= count <= 6 / every for count in calls.values())


def test_an_optimizer_that_is_named_is_the_one_that_counts() -> None:
    model = net()
    one = torch.optim.SGD(model.body.parameters(), lr=0.1)
    other = torch.optim.SGD(model.head.parameters(), lr=0.1)
    with fpx.watch(model, one) as seen:
        loss_of(model(torch.ones(2, 4))).backward()  # type: ignore[no-untyped-call]
        one.step()
        other.step()
    assert seen.steps == 1
    assert all(name.startswith("body") for name in rows_of(seen, "weight_grad"))


def test_optimizers_of_other_models_do_not() -> None:
    model, stranger = net(), net()
    with fpx.watch(model) as seen:
        train(stranger, torch.optim.SGD(stranger.parameters(), lr=0.1))
    assert (seen.steps, seen.report().values) == (0, ())


def test_parameters_without_gradients_are_left_out() -> None:
    model = net()
    model.head.weight.requires_grad_(False)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    with fpx.watch(model) as seen:
        train(model, optimizer, 1)
    assert "head.weight" not in rows_of(seen, "weight_grad")
    (row,) = (r for r in seen.report().updates if (r.name, r.to) == ("head.weight", "float32"))
    assert (row.count, row.moved_count, row.lost_update_count) == (10, 0, 0)


def test_weights_that_become_nan_are_told() -> None:
    """Adam in float16: eps is 0, and so is the second moment of small gradients."""
    model = nn.Linear(4, 1, bias=False, dtype=torch.float16)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, foreach=False)
    x = torch.tensor([[1e-3, 0.0, 1.0, 1e-3]], dtype=torch.float16)
    with fpx.watch(model, to="fp16") as seen:
        for _ in range(2):
            model(x).sum().backward()
            optimizer.step()
            optimizer.zero_grad()
    (row,) = seen.report().updates
    # three of four in the first step: 1e-3 / 0 twice, and 0 / 0
    assert (row.count, row.nonfinite_count) == (4 + 1, 3)
    (watched,) = seen.report().models
    assert watched.vanished_eps == {"float16": 1e-08}
    (answer,) = watched.answers
    assert answer.verdict == "loses activations, updates and eps"
    assert answer.rest[0] == "Steps made 3 weights infinite or NaN, worst in weight."


def test_states_have_the_names_that_optimizers_give_them() -> None:
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    with fpx.watch(model, tensors=["state"]) as seen:
        train(model, optimizer, 2)
    assert {row.kind for row in seen.report().values} == {"momentum_buffer"}


@pytest.mark.parametrize(
    ("order", "ends"),
    [
        ("aaa", [1, 2, 3]),
        ("ababab", [1, 1, 2, 2, 3, 3]),  # the first is known alone, so its step ends at once
        ("abbab", [1, 1, 2, 3, 3]),
        ("aabaa", [1, 2, 2, 3, 3]),
    ],
)
def test_when_a_step_ends(order: str, ends: list[int]) -> None:
    optimizers = {name: torch.optim.SGD([torch.zeros(1)], lr=1) for name in "ab"}
    turns, done = Optimizers(), []
    for name in order:
        turns.begin(optimizers[name])
        turns.end(optimizers[name])
        done.append(turns.done)
    assert done == ends


def test_the_largest_eps_that_is_zero() -> None:
    turns = Optimizers()
    for eps in (1e-8, 2.0**-25, 2.0**-24):
        turns.end(torch.optim.Adam([torch.zeros(1)], eps=eps))
    turns.end(torch.optim.Adam([torch.zeros(1)], eps=0.0))
    found = turns.vanished_eps(watched_formats("fp16,bf16,e5m2"))
    assert found == {"float16": 2.0**-25, "float8_e5m2": 2.0**-24}
