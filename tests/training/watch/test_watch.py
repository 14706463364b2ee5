"""`fpx.watch` against a model whose every intermediate is recorded by hand; it leaves no trace."""

from __future__ import annotations

import copy
import gc
import io
import warnings
import weakref
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.modules.module as module_hooks
import torch.optim.optimizer as optimizer_hooks
from torch import Tensor, nn

import fpx
from fpx.errors import InputError
from fpx.report.watch import WatchReport
from fpx.training.watch.watch import Watch
from tests.training.watch.models import Net, check, loss_of, net, recorded, train

TO = ("float16", "bfloat16", "float8_e4m3fn", "float8_e5m2", "float4_e2m1fn")


def adam(model: nn.Module, **settings: Any) -> torch.optim.Optimizer:
    return torch.optim.Adam(model.parameters(), lr=1e-3, **settings)


@pytest.mark.parametrize("micro", [1, 3])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str)
def test_everything_is_counted_once(dtype: torch.dtype, micro: int) -> None:
    by_hand = net(dtype=dtype)
    expected = recorded(by_hand, adam(by_hand), 3, micro)
    model = net(dtype=dtype)
    optimizer = adam(model)
    with fpx.watch(model, optimizer, to=TO) as seen:
        train(model, optimizer, 3, micro)
    check(seen.report(), expected)
    (watched,) = seen.report().models
    assert (watched.steps, watched.watched_steps, watched.model) == (3, 3, "Net")
    assert any(row.underflow_count for row in watched.values)


def test_weights_of_which_no_update_was_wanted_are_no_loss() -> None:
    model = nn.Linear(4, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    with fpx.watch(model, optimizer) as seen:
        model(torch.tensor([[1.0, 0.0, 0.0, 0.0]])).sum().backward()
        optimizer.step()
    report = seen.report()
    (updates,) = {row.unmoved_count for row in report.models[0].updates if row.name == "weight"}
    assert updates == 6
    assert {answer["text"] for answer in report.to_dict()["answers"]} == {"nothing is lost."}


@pytest.mark.parametrize("reentrant", [False, True])
def test_what_checkpoints_compute_again_is_counted_once(reentrant: bool) -> None:
    by_hand = net()
    expected = recorded(by_hand, adam(by_hand), 2, 2)
    model = net(reentrant)
    with fpx.watch(model, to=TO) as seen:
        train(model, adam(model), 2, 2)
    check(seen.report(), expected)
    (note,) = seen.report().models[0].notes
    # in four backward passes, all three outputs of the body, or those that are needed
    count = 12 if reentrant else 8
    assert note.startswith(f"{count} outputs were computed again in backward passes")


class Larger(nn.Module):
    """Uses an operation that counting uses too."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.maximum(x, x * 0.5)


def test_checkpoints_that_choose_what_to_keep_are_not_confused() -> None:
    from torch.utils import checkpoint as checkpoints

    choose: Any = checkpoints.create_selective_checkpoint_contexts
    kept = [torch.ops.aten.maximum.default]

    def run(watched: bool) -> Tensor:
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(4, 5), Larger(), nn.Linear(5, 3), Larger(), nn.Tanh())
        x = torch.ones(3, 4, requires_grad=True)
        seen = fpx.watch(model) if watched else None
        out = checkpoints.checkpoint(model, x, use_reentrant=False, context_fn=lambda: choose(kept))
        out.sum().backward()
        if seen is not None:
            rows = [row for row in seen.stop().values if row.kind == "activation"]
            assert {row.name: row.calls for row in rows} == dict.fromkeys("01234", 1)
        assert x.grad is not None
        return x.grad

    assert torch.equal(run(True), run(False))


def traces() -> list[int]:
    return [
        len(each)
        for each in (
            warnings.filters,
            module_hooks._global_forward_hooks,
            module_hooks._global_forward_pre_hooks,
            module_hooks._global_backward_hooks,
            optimizer_hooks._global_optimizer_pre_hooks,
            optimizer_hooks._global_optimizer_post_hooks,
        )
    ]


def own_hooks(model: nn.Module, optimizer: torch.optim.Optimizer) -> list[object]:
    found: list[object] = [
        hooks
        for module in model.modules()
        for name, hooks in vars(module).items()
        if "hooks" in name and hooks
    ]
    found += [hooks for name, hooks in vars(optimizer).items() if "hook" in name and hooks]
    return found + [p._backward_hooks for p in model.parameters() if p._backward_hooks]


@pytest.mark.parametrize("fused", [False, True])
def test_training_is_the_same_bit_for_bit_and_no_trace_is_left(fused: bool) -> None:
    def run(watched: bool) -> tuple[list[Tensor], Net, torch.optim.Optimizer]:
        model = net()
        model.act = nn.Dropout(0.5)  # type: ignore[assignment]
        optimizer = adam(model, fused=fused)
        torch.manual_seed(7)
        before = traces()
        if watched:
            with fpx.watch(model, optimizer, to=TO):
                assert traces() != before
                assert own_hooks(model, optimizer) == []
                losses = train(model, optimizer)
        else:
            losses = train(model, optimizer)
        assert traces() == before
        assert own_hooks(model, optimizer) == []
        return [*losses, torch.get_rng_state()], model, optimizer

    plain, watched = run(False), run(True)
    assert all(torch.equal(a, b) for a, b in zip(plain[0], watched[0], strict=True))
    states = [{**model.state_dict()} for _, model, _ in (plain, watched)]
    assert all(torch.equal(a, states[1][name]) for name, a in states[0].items())
    kept = [optimizer.state_dict()["state"] for _, _, optimizer in (plain, watched)]
    assert all(
        torch.equal(value, kept[1][at][key]) for at, each in kept[0].items()
        for key, value in each.items()
    )  # fmt: skip
    assert set(vars(plain[1])) == set(vars(watched[1]))


def test_a_graph_that_outlives_the_watch_has_no_hooks() -> None:
    model = net()
    with fpx.watch(model) as seen:
        out = model(torch.ones(3, 4))
    before = seen.report().values
    loss_of(out).backward()  # type: ignore[no-untyped-call]
    assert seen.report().values == before
    assert {row.kind for row in before} == {"activation"}


def test_it_keeps_no_tensor_alive() -> None:
    model = net()
    with fpx.watch(model):
        out = model(torch.ones(3, 4))
        alive = weakref.ref(out)
        loss_of(out).backward()  # type: ignore[no-untyped-call]
        del out
        gc.collect()
        assert alive() is None


def test_copies_and_files_of_a_watched_model_are_those_of_the_model(tmp_path: Path) -> None:
    model = net()
    with fpx.watch(model) as seen:
        twin = copy.deepcopy(model)
        buffer = io.BytesIO()
        torch.save(model, buffer)
        twin(torch.ones(2, 4))
    assert b"fpx.training" not in buffer.getvalue()
    assert seen.report().values == ()


def test_an_exception_in_the_block_goes_on() -> None:
    model = net()
    before = traces()
    seen = fpx.watch(model)

    def broken() -> None:
        with seen:
            model(torch.ones(3, 4))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        broken()
    assert traces() == before
    assert len(seen.report().values) == 10


def test_two_lines_will_do() -> None:
    model = net()
    seen = fpx.watch(model)
    train(model, adam(model))
    report = seen.stop()
    assert report.models[0].steps == 3
    train(model, adam(model))
    assert seen.report().values == report.values
    assert str(seen) == str(report)
    assert "Net" in str(report)


def test_watches_do_not_see_each_other() -> None:
    model = net()
    optimizer = adam(model)
    with fpx.watch(model, to="fp16") as outer:
        train(model, optimizer, 1)
        with fpx.watch(model, to="fp16") as inner:
            train(model, optimizer, 2)
    assert outer.report().models[0].steps == 3
    assert inner.report().models[0].steps == 2
    calls = {row.calls for row in inner.report().values if row.kind == "activation"}
    assert calls == {2}
    assert sum(row.calls for row in outer.report().updates) == 3 * 6 * 2


def test_one_step_in_so_many_is_counted() -> None:
    by_hand = net()
    expected = recorded(by_hand, adam(by_hand), 5, 2)
    model = net()
    with fpx.watch(model, to=TO, every=2) as seen:
        train(model, adam(model), 5, 2)
    for (_, kind), tensors in expected.items():
        size = 2 if kind in ("activation", "grad_output") else 1  # a step
        tensors[:] = [x for at, x in enumerate(tensors) if at // size % 2 == 0]
    check(seen.report(), expected)
    (watched,) = seen.report().models
    assert (watched.steps, watched.watched_steps, watched.every) == (5, 3, 2)
    assert [row.first_step for row in watched.history if row.kind == "update"][::6] == [0, 2, 4]


def test_it_stops_by_itself() -> None:
    model = net()
    before = traces()
    seen = fpx.watch(model, steps=2)
    train(model, adam(model), 5)
    assert (seen.steps, seen.active, traces()) == (2, False, before)
    assert {row.calls for row in seen.report().updates} == {2}


def test_steps_are_told_apart_in_bounded_memory() -> None:
    model = nn.Linear(2, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with fpx.watch(model, to="fp16") as seen:
        for _ in range(70):
            model(torch.ones(1, 2)).sum().backward()
            optimizer.step()
    rows = [row for row in seen.report().models[0].history
            if (row.kind, row.to) == ("weight_grad", "float16")]  # fmt: skip
    assert len(rows) <= 32
    assert [(row.first_step, row.last_step) for row in rows[:2]] == [(0, 3), (4, 7)]
    assert sum(row.watched_steps for row in rows) == 70
    assert sum(row.count for row in rows) == 3 * 70
    assert rows[-1].last_step == 69


def test_history_adds_up_to_the_rows() -> None:
    model = net()
    with fpx.watch(model, to=TO) as seen:
        train(model, adam(model), 5)
    (watched,) = seen.report().models
    for kind, to in {(row.kind, row.to) for row in watched.values}:
        rows = [row for row in watched.values if (row.kind, row.to) == (kind, to)]
        history = [row for row in watched.history if (row.kind, row.to) == (kind, to)]
        for name in ("count", "underflow_count", "destroyed_count", "nonzero_count"):
            assert sum(getattr(row, name) for row in history) == sum(
                getattr(row, name) for row in rows
            )


def moved_by_hand(steps: int) -> tuple[int, int]:
    """Elements that steps left as they were although their gradient was not zero; and all."""
    model = net(dtype=torch.bfloat16)
    optimizer = adam(model)
    parameters = list(model.parameters())
    lost = count = 0
    step = optimizer.step

    def counted() -> None:
        nonlocal lost, count
        before = [p.detach().clone() for p in parameters]
        wanted = [p.grad != 0 for p in parameters if p.grad is not None]
        step()
        for p, old, meant in zip(parameters, before, wanted, strict=True):
            lost += int(((p == old) & meant).sum())
            count += p.numel()

    optimizer.step = counted  # type: ignore[method-assign, assignment]
    train(model, optimizer, steps)
    return lost, count


def test_updates_are_those_of_the_optimizer() -> None:
    lost, count = moved_by_hand(3)
    model = net(dtype=torch.bfloat16)
    with fpx.watch(model, to="bf16") as seen:
        train(model, adam(model), 3)
    rows = seen.report().updates
    assert {(row.from_, row.to, row.calls) for row in rows} == {("bfloat16", "bfloat16", 3)}
    assert sum(row.lost_update_count for row in rows) == lost > 0
    assert sum(row.count for row in rows) == count


def test_of_large_models_one_update_in_so_many_is_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    from fpx.training.watch import watch

    monkeypatch.setattr(watch, "FOLLOWED", 10_000)
    model = nn.Linear(200, 200)
    optimizer = torch.optim.SGD(model.parameters(), lr=1)
    with fpx.watch(model) as seen:
        model(torch.ones(1, 200)).sum().backward()
        optimizer.step()
    report = seen.report()
    assert {(row.name, row.to): (row.count, row.followed_every) for row in report.updates} == {
        **{("weight", to): (8000, 5) for to in ("float32", "float16", "bfloat16")},
        **{("bias", to): (200, 1) for to in ("float32", "float16", "bfloat16")},
    }
    assert report.models[0].notes == (
        "updates of large parameters are followed for one weight in 5",
    )


def test_only_what_is_included_is_watched() -> None:
    model = net()
    with fpx.watch(
        model, include="body.*", exclude="*.bias", tensors=["activation", "update"]
    ) as s:
        train(model, adam(model))
    rows = s.report()
    assert {row.name for row in rows.values} == {"body.0", "body.1", "body.2"}
    assert {row.kind for row in rows.values} == {"activation"}
    assert {row.name for row in rows.updates} == {"body.0.weight", "body.2.weight"}
    with fpx.watch(model, include="head") as s:
        train(model, adam(model))
    assert {row.name for row in s.report().parts()} == {"head", "head.weight", "head.bias"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"model": 3}, "`model` is a torch.nn.Module, not int ('3')"),
        ({"optimizer": "Adam"}, "`optimizer` is a torch.optim.Optimizer, not str ('Adam')"),
        ({"every": 0}, "`every` must be at least 1, not 0"),
        ({"steps": 0}, "`steps` must be at least 1, not 0"),
        ({"to": "float32"}, "`to`: float32 has 32 bits: what is watched is counted for formats of "
         "up to 20"),
        ({"to": "e8m0"}, "`to`: float8_e8m0fnu has no sign or no zero, which numbers in a model "
         "need"),
        ({"to": []}, "`to` names no format"),
        ({"to": "mxfp4"}, "mxfp4 is numbers with scales"),
        ({"tensors": ["activations"]}, "`tensors` are of activation, grad_output, weight_grad, "
         "update, state, not 'activations'; did you mean 'activation'?"),
        ({"include": "boddy.0"}, "none of 7 modules is left: check `include` and `exclude`; did "
         "you mean 'body.0'?"),
        ({"scaler": 65536}, "`scaler` is a torch.amp.GradScaler, not int: give what scales the "
         "loss"),
    ],
)  # fmt: skip
def test_what_is_refused(arguments: dict[str, Any], message: str) -> None:
    before = traces()
    with pytest.raises(InputError) as error:
        fpx.watch(**{"model": net(), **arguments})
    assert message in str(error.value)
    assert traces() == before


def names_of(report: WatchReport, kind: str = "activation") -> dict[str, int]:
    return {row.name: row.count for row in report.values if row.kind == kind}


class Odd(nn.Module):
    """Returns whatever it is told to."""

    def __init__(self, make: Any) -> None:
        super().__init__()
        self.make = make

    def forward(self, x: Tensor) -> Any:
        return self.make(x)


@pytest.mark.parametrize(
    ("make", "count"),
    [
        (lambda x: (x * 2, {"a": x * 3, "b": [x * 4, None, 7]}), 12),
        (lambda x: torch.ones(3, dtype=torch.int64), None),
        (lambda x: x[:0], 0),
        (lambda x: (x[:0] * 2, x * 3), 4),
        (lambda x: None, None),
        (lambda x: nn.functional.softmax(x, 0), 4),
        (lambda x: torch.zeros(4, device="meta"), None),
        (lambda x: (x * 2).imag if x.is_complex() else torch.view_as_complex(
            x.view(2, 2)).conj().imag, 2),
        (lambda x: torch.max(x.view(2, 2), 0), 2),
    ],
)  # fmt: skip
def test_modules_return_what_they_like(make: Any, count: int | None) -> None:
    model = Odd(make)
    with fpx.watch(model) as seen:
        model(torch.arange(1.0, 5.0, requires_grad=True))
    assert names_of(seen.report()) == ({} if count is None else {"(Odd)": count})


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda x: torch.complex(x, x), "complex"),
        (lambda x: x.view(2, 2).to_sparse(), "sparse_coo"),
        (lambda x: torch.nested.as_nested_tensor([x, x], layout=torch.jagged), "nested"),
        (lambda x: x.abs().to(torch.float8_e8m0fnu), "float8_e8m0fnu"),
    ],
)
def test_what_is_not_counted_is_said(make: Any, why: str) -> None:
    model = Odd(make)
    with fpx.watch(model) as seen:
        model(torch.arange(1.0, 5.0))
    assert names_of(seen.report()) == {}
    assert seen.report().models[0].notes[0] == (
        f"tensors that are {why} are not counted ((Odd) has some)"
    )


def test_a_dataclass_is_a_container_too() -> None:
    from dataclasses import dataclass

    @dataclass
    class Out:
        logits: Tensor
        loss: Tensor | None = None

    model = Odd(lambda x: Out(x * 2))
    with fpx.watch(model) as seen:
        model(torch.ones(4))
    assert names_of(seen.report()) == {"(Odd)": 4}


def test_a_module_in_place_is_counted_for_what_it_leaves() -> None:
    model = nn.Sequential(nn.Identity(), nn.ReLU(inplace=True))
    with fpx.watch(model) as seen:
        model(torch.tensor([-1.0, 1e-9, 2.0, -3.0]))
    found = {row.name: row for row in seen.report().values if row.to == "float16"}
    assert {name: row.zero_count for name, row in found.items()} == {"0": 0, "1": 2}


def test_under_inference_mode_too() -> None:
    model = net()
    seen = fpx.watch(model)
    with torch.inference_mode():
        model(torch.ones(2, 4))
        model(torch.ones(2, 4))
    model(torch.ones(2, 4))
    assert names_of(seen.stop()) == {
        "body.0": 36, "body.1": 36, "body.2": 30, "act": 30, "head": 12
    }  # fmt: skip


def test_inside_transforms_nothing_is_counted() -> None:
    model = net()
    with fpx.watch(model) as seen:
        torch.func.vmap(model)(torch.ones(2, 4))
    assert seen.report().models[0].notes[0].startswith("tensors that are inside torch.func are not")


def test_a_model_without_parameters() -> None:
    model = nn.Sequential(nn.ReLU(), nn.Flatten())
    with fpx.watch(model) as seen:
        model(torch.ones(2, 3))
    (watched,) = seen.report().models
    assert (watched.parameters, watched.steps, watched.updates) == (0, 0, ())
    assert names_of(seen.report()) == {"0": 6}  # what Flatten returned was counted already
    assert watched.notes == (
        "no optimizer was seen to step: there are no weight gradients and no updates",
    )


def test_nothing_at_all() -> None:
    with fpx.watch(net()) as seen:
        pass
    report = seen.report()
    assert (len(report), report.loss_scales) == (0, ())
    assert report.to_dict()["results"] == []
    assert "0 steps" in str(report)


def test_a_frozen_model_is_one_too() -> None:
    model = net().requires_grad_(False)
    with fpx.watch(model) as seen:
        model(torch.ones(2, 4))
    assert {row.kind for row in seen.report().values} == {"activation"}


def test_the_gradient_of_what_comes_in_as_it_is() -> None:
    model = Odd(lambda x: x)  # a leaf: it has no node of a graph
    x = torch.tensor([1e-9, 3.0], requires_grad=True)
    with fpx.watch(model) as seen:
        (model(x) * 1e-9).sum().backward()
    found = {row.kind: row for row in seen.report().values if row.to == "float16"}
    assert found["grad_output"].underflow_count == 2
    assert x._backward_hooks is None or not x._backward_hooks


def test_tensors_on_their_own_are_not_mistaken_for_each_other() -> None:
    """A tensor that is freed leaves its identity to another, which was not counted yet."""
    model = Odd(lambda x: x * 2)
    with fpx.watch(model) as seen:
        for _ in range(50):
            model(torch.ones(3))
    assert names_of(seen.report()) == {"(Odd)": 150}


def test_a_watch_is_what_watch_gives() -> None:
    seen = fpx.watch(net())
    assert isinstance(seen, Watch)
    seen.stop()
