"""Compiled models: counted where that can be, and said where it can't."""

from __future__ import annotations

from collections.abc import Iterator
from shutil import which
from typing import Any

import pytest
import torch
from torch import nn

import fpx
from tests.training.watch.models import check, net, recorded, train

# of the compiler itself
pytestmark = [
    pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf"),
    pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated"),
]
NEVER = "modules (body.0, body.1, body.2, … (2 more)) were never seen to run"

needs_compiler = pytest.mark.skipif(
    which("g++") is None and which("clang++") is None,
    reason="inductor needs a C++ compiler, and none is on PATH",
)
BACKENDS = ["eager", "aot_eager", pytest.param("inductor", marks=needs_compiler)]


@pytest.fixture(autouse=True)
def _afresh() -> Iterator[None]:
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


def adam(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.Adam(model.parameters(), lr=1e-3)


@pytest.mark.parametrize("way", ["wrapped", "in place"])
@pytest.mark.parametrize("backend", BACKENDS)
def test_watched_before_it_is_first_called_all_is_counted(backend: str, way: str) -> None:
    expected = recorded(by_hand := net(), adam(by_hand), 2, 1)
    model = net()
    run: Any = model
    if way == "wrapped":
        run = torch.compile(model, backend=backend)
    else:
        model.compile(backend=backend)
    with fpx.watch(run, to="fp16") as seen:
        train(run, adam(model), 2)
    if backend == "inductor":  # whose numbers may differ in last bits
        rows = seen.report().values
        assert {(row.name, row.kind) for row in rows} == set(expected)
        assert all(row.calls == len(expected[row.name, row.kind]) for row in rows)
    else:
        check(seen.report(), expected)
    (watched,) = seen.report().models
    assert watched.model == "Net"
    assert watched.notes == (
        "the model is compiled: watching cuts its graph after every module, which makes it slower "
        "and can change last bits",
    )


@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
def test_compiled_before_it_is_watched_it_says_so(backend: str) -> None:
    model = net()
    run: Any = torch.compile(model, backend=backend)
    optimizer = adam(model)
    train(run, optimizer, 1)
    with fpx.watch(run, to="fp16") as seen:
        train(run, optimizer, 2)
    rows = {(row.name, row.kind) for row in seen.report().values}
    # what the model as a whole returns is seen, and optimizers, which are not compiled
    assert {name for name, kind in rows if kind in ("activation", "grad_output")} == {"(Net)"}
    assert {"weight_grad", "exp_avg", "exp_avg_sq"} < {kind for _, kind in rows}
    (note,) = seen.report().models[0].notes
    assert note.startswith(f"5 of 5 {NEVER}")
    assert f"note: 5 of 5 {NEVER}" in " ".join(str(seen).split())


def test_what_it_says_to_do_helps() -> None:
    model = net()
    run: Any = torch.compile(model, backend="eager")
    optimizer = adam(model)
    train(run, optimizer, 1)
    torch._dynamo.reset()
    with fpx.watch(run, to="fp16") as seen:
        train(run, optimizer, 1)
    assert len({row.name for row in seen.report().values if row.kind == "activation"}) == 5
    train(run, optimizer, 1)
    with torch.compiler.set_stance("force_eager"), fpx.watch(run, to="fp16") as seen:
        train(run, optimizer, 1)
    assert len({row.name for row in seen.report().values if row.kind == "activation"}) == 5


def test_a_compiled_function_around_a_model_is_found_out() -> None:
    model = net()
    optimizer = adam(model)

    def run(x: torch.Tensor) -> Any:
        return model(x)

    called: Any = torch.compile(run, backend="eager")
    x = torch.ones(2, 4)
    called(x).sum().backward()
    with fpx.watch(model, to="fp16") as seen:
        called(x).sum().backward()
        optimizer.step()
    (note,) = seen.report().models[0].notes
    assert note.startswith(f"5 of 5 {NEVER}")


def test_afterwards_nothing_is_left_in_what_was_compiled() -> None:
    model = net()
    run: Any = torch.compile(model, backend="eager")
    with fpx.watch(run, to="fp16") as seen:
        train(run, adam(model), 1)
    rows = seen.report().values
    train(run, adam(model), 1)
    assert seen.report().values == rows
    bare = net()
    alone: Any = torch.compile(bare, backend="eager")
    twin = net()
    twin.load_state_dict(model.state_dict())
    bare.load_state_dict(model.state_dict())
    x = torch.ones(3, 4)
    assert torch.equal(run(x), alone(x))
    assert torch.equal(run(x), twin(x))
