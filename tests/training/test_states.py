"""Optimizers' states found in checkpoints, and the weights that they belong to."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_optimizer_state_dict,
)
from torch.distributed.checkpoint.state_dict_saver import save

from fpx.tensors.entry import Source
from fpx.tensors.memory import source_of
from fpx.tensors.opening import open_all
from fpx.training.pairing import Pair, Weight, paired
from fpx.training.states import OptimizerState, optimizers_in
from tests.training.checkpoints import network, train, trained, two_groups

pytestmark = pytest.mark.filterwarnings("ignore")
NAMES = [name for name, _ in network().named_parameters()]


def found(*sources: object) -> tuple[list[OptimizerState], list[Pair]]:
    """The optimizers in some sources, and the parameters of the first with their weights."""
    opened: list[Source] = [each for source in sources for each in open_all([source]).sources]
    optimizers = [each for source in opened for each in optimizers_in(source)]
    states = {id(entry) for each in optimizers for entry in each.entries}
    weights = [Weight(s, e) for s in opened for e in s.entries if id(e) not in states]
    return optimizers, paired(optimizers[0], weights)


def weight_names(pairs: list[Pair]) -> list[str | None]:
    return [None if pair.weight is None else pair.weight.entry.name for pair in pairs]


def check(pairs: list[Pair], prefix: str = "") -> None:
    """All parameters have their own weights, in the order of the model."""
    assert weight_names(pairs) == [f"{prefix}{name}" for name in NAMES]
    assert all(pair.state.shape == pair.weight.entry.shape for pair in pairs if pair.weight)


def test_by_param_names(tmp_path: Path) -> None:
    model, optimizer = trained(named=True, lr=1e-3)
    # the model in another order than the optimizer, so that only names can tell
    model_dict = dict(reversed(model.state_dict().items()))
    torch.save({"model": model_dict, "optimizer": optimizer.state_dict()}, tmp_path / "x.pt")
    (state,), pairs = found(str(tmp_path / "x.pt"))
    check(pairs, "model.")
    assert [pair.name for pair in pairs] == NAMES
    assert state.root == "optimizer."
    settings = pairs[0].state.settings
    assert (settings["lr"], settings["betas.1"], settings["amsgrad"]) == (1e-3, 0.999, False)
    assert sorted(pairs[0].state.tensors) == ["exp_avg", "exp_avg_sq", "step"]


@pytest.mark.parametrize(
    ("nest", "prefix", "root"),
    [
        (lambda m, o: {"state_dict": m, "optimizer_states": [o], "epoch": 3}, "state_dict.",
         "optimizer_states.0."),
        (lambda m, o: {"model": m, "last_optimizer_state": o}, "model.", "last_optimizer_state."),
        (lambda m, o: {"state": {"state": {"opt": o}}, "m": {"x": m}}, "m.x.", "state.state.opt."),
        (lambda m, o: {**o, "net": m}, "net.", ""),
    ],
    ids=["Lightning", "fairseq", "states in states", "at the root"],
)  # fmt: skip
@pytest.mark.parametrize("named", [True, False])
def test_nested_any_way(nest: Any, prefix: str, root: str, named: bool) -> None:
    model, optimizer = trained(named=named, lr=1e-3)
    (state,), pairs = found(nest(model.state_dict(), optimizer.state_dict()))
    assert state.root == root
    check(pairs, prefix)


@pytest.mark.parametrize("flat", [False, True])
@pytest.mark.parametrize("distributed", [False, True])
def test_by_names_in_the_state(flat: bool, distributed: bool, tmp_path: Path) -> None:
    model, optimizer = trained(lr=1e-3)
    options = StateDictOptions(flatten_optimizer_state_dict=flat)
    state = get_optimizer_state_dict(model, optimizer, options=options)
    whole = {"model": dict(reversed(model.state_dict().items())), "optimizer": state}
    if distributed:
        save(whole, checkpoint_id=str(tmp_path), no_dist=True)
        source: object = str(tmp_path)
    else:
        torch.save(whole, tmp_path / "x.pt")
        source = str(tmp_path / "x.pt")
    _, pairs = found(source)
    check(pairs, "model.")
    for pair in pairs:
        assert (pair.state.settings["lr"], pair.state.settings["betas.0"]) == (1e-3, 0.9)


def test_by_order_of_a_module_s_parameters_without_its_buffers() -> None:
    model, optimizer = trained(torch.optim.SGD, lr=0.1, momentum=0.9)
    _, pairs = found({"model": model.state_dict(), "opt": optimizer.state_dict()})
    check(pairs, "model.")
    assert [pair.name for pair in pairs] == [f"model.{name}" for name in NAMES]


def test_by_order_in_groups(tmp_path: Path) -> None:
    model = network()
    optimizer = torch.optim.AdamW(two_groups(model), lr=1e-3)
    train(model, optimizer, 2)
    torch.save({"model": model.state_dict(), "o": optimizer.state_dict()}, tmp_path / "x.pt")
    (state,), pairs = found(str(tmp_path / "x.pt"))
    names = weight_names(pairs)
    matrices = [n for n, p in model.named_parameters() if p.dim() > 1]
    assert names == [f"model.{n}" for n in (*matrices, *(n for n in NAMES if n not in matrices))]
    assert [len(keys) for keys in state.groups] == [2, 6]
    decays = [pair.state.settings["weight_decay"] for pair in pairs]
    assert decays == [0.1, 0.1, *[0.0] * 6]


def test_tied_weights_are_one_parameter() -> None:
    model = nn.Sequential(nn.Embedding(7, 4), nn.Linear(4, 7, bias=False), nn.Linear(7, 2))
    model[1].weight = model[0].weight
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    train(model, optimizer, 1)
    _, pairs = found({"model": model.state_dict(), "o": optimizer.state_dict()})
    assert weight_names(pairs) == ["model.0.weight", "model.2.weight", "model.2.bias"]


def test_of_a_copy_of_the_model_and_the_model_that_one_is_meant() -> None:
    model, optimizer = trained(named=True, lr=1e-3)
    ema = {name: value * 0 for name, value in model.state_dict().items()}
    for named in (True, False):
        state = optimizer.state_dict()
        if not named:
            del state["param_groups"][0]["param_names"]
        _, pairs = found({"ema": ema, "model": model.state_dict(), "optimizer": state})
        check(pairs, "model.")


@pytest.mark.parametrize("wrapper", ["module.", "_orig_mod.", "module._fsdp_wrapped_module."])
def test_what_wrappers_add_to_names_does_not_count(wrapper: str) -> None:
    model, optimizer = trained(named=True, lr=1e-3)
    wrapped = {f"{wrapper}{name}": value for name, value in model.state_dict().items()}
    _, pairs = found({"model": wrapped, "optimizer": optimizer.state_dict()})
    check(pairs, f"model.{wrapper}")
    state = optimizer.state_dict()
    state["param_groups"][0]["param_names"] = [f"{wrapper}{name}" for name in NAMES]
    _, pairs = found({"model": model.state_dict(), "optimizer": state})
    check(pairs, "model.")


def test_beside_safetensors_which_has_no_order(tmp_path: Path) -> None:
    model, optimizer = trained(lr=1e-3)
    save_file(model.state_dict(), tmp_path / "model.safetensors")
    torch.save(optimizer.state_dict(), tmp_path / "optimizer.pt")
    _, pairs = found(str(tmp_path))
    assert [pair.weight and pair.weight.entry.name for pair in pairs] == [
        "0.weight", None, None, None, None, None, "3.weight", "3.bias",
    ]  # fmt: skip
    assert pairs[1].why == (
        "the optimizer has no names, the weights' file has not their order, and several have the "
        "shape [8]: `model` may name the weights as torch saved them"
    )
    assert pairs[1].name == "state.1"


def without_some(model: nn.Module, optimizer: Any) -> list[tuple[dict[str, Any], str]]:
    """Checkpoints in which weights cannot be found, and why."""
    o, m = optimizer.state_dict(), model.state_dict()
    more = {**m, "z": torch.ones(3)}
    named = {**o, "param_groups": [{**o["param_groups"][0], "param_names": NAMES}]}
    other = {**m, "0.weight": torch.ones(6, 8)}
    swapped = dict(sorted(m.items(), key=lambda item: -item[1].numel()))
    return [
        ({"model": more, "o": o}, "8 parameters where the model has 9 tensors"),
        ({"model": swapped, "o": o}, "no group has a parameter of its shape next"),
        ({"model": {"0.bias": m["0.bias"]}, "o": named}, "no weight has its name"),
        ({"model": other, "o": named}, r"'model.0.weight' has shape \[6, 8\], its state \[8, 6\]"),
        ({"o": o}, "there are no weights"),
    ]


@pytest.mark.parametrize("at", range(5))
def test_what_cannot_be_paired_is_said(at: int) -> None:
    checkpoint, why = without_some(*trained(lr=1e-3))[at]
    _, pairs = found(checkpoint)
    first = pairs[0]
    assert first.weight is None
    assert re.search(why, first.why), first.why


def test_groups_between_which_order_does_not_decide() -> None:
    model = nn.Sequential(nn.LayerNorm(4), nn.LayerNorm(4))
    groups: list[dict[str, Any]] = [
        {"params": list(model[1].parameters())}, {"params": list(model[0].parameters())},
    ]  # fmt: skip
    optimizer = torch.optim.AdamW(groups, lr=1e-3)
    train(model, optimizer, 1)
    _, pairs = found({"model": model.state_dict(), "o": optimizer.state_dict()})
    assert weight_names(pairs) == [None] * 4
    assert "more than one group has a parameter of its shape next" in pairs[0].why


def test_a_learning_rate_that_is_a_tensor_and_steps_that_are_numbers() -> None:
    model, optimizer = trained(lr=torch.tensor(0.25))
    state = optimizer.state_dict()
    for held in state["state"].values():
        held["step"] = int(held["step"])
    _, pairs = found({"model": model.state_dict(), "o": state})
    assert pairs[0].state.settings["lr"] == 0.25
    assert pairs[0].state.numbers == {"step": 4}
    check(pairs, "model.")


def test_two_optimizers() -> None:
    one, first = trained(named=True, lr=1e-3)
    other, second = trained(torch.optim.SGD, named=True, lr=0.5, momentum=0.9)
    optimizers, pairs = found(
        {"a": one.state_dict(), "optimizers": [first.state_dict(), second.state_dict()]}
    )
    assert [each.root for each in optimizers] == ["optimizers.0.", "optimizers.1."]
    check(pairs, "a.")
    assert other is not one


@pytest.mark.parametrize("named", [False, True])
def test_of_two_models_that_are_alike_nothing_tells_which_it_is(named: bool) -> None:
    """As two critics are, each with an optimizer of its own."""
    one, first = trained(named=named, lr=1e-3)
    saved = {"q1": one.state_dict(), "q2": network().state_dict(), "o": first.state_dict()}
    _, pairs = found(saved)
    assert weight_names(pairs) == [None] * 8
    assert pairs[0].why == (
        "it may be that of 'q1.0.weight', 'q2.0.weight': `model` may name the right ones alone"
    )
    _, pairs = found({"model": saved["q2"], "q1": saved["q1"], "o": saved["o"]})
    check(pairs, "model.")  # as the likelier one is called
    saved["q2"] = {name: torch.ones(2, *tensor.shape) for name, tensor in saved["q1"].items()}
    _, pairs = found(saved)
    check(pairs, "q1.")  # the only one of these shapes


def test_a_model_whose_names_look_like_a_state() -> None:
    model = {"encoder.state.proj.weight": torch.ones(3), "state.bias": torch.ones(2)}
    assert optimizers_in(source_of(model)) == []
    weights = nn.ParameterDict({"state": nn.ParameterDict({"w": nn.Parameter(torch.ones(3))})})
    optimizer = torch.optim.AdamW(weights.named_parameters(), lr=1e-3)
    train(weights, optimizer, 1)
    _, pairs = found({"model": weights.state_dict(), "optimizer": optimizer.state_dict()})
    assert weight_names(pairs) == ["model.state.w"]


@pytest.mark.parametrize(
    "groups",
    [
        [], [{}], [{"params": 3}], [{"params": [10**40, None, "x", -1], "lr": 1}], "x", 5,
        {"a": {"lr": 1}}, [{"params": [0], "param_names": [5]}], [{"params": {"0" * 12: 1}}],
        [{"params": [[0]], "lr": {"x": [1, {"y": 2}]}}],
    ],
    ids=str,
)  # fmt: skip
def test_groups_of_any_other_form(groups: object, tmp_path: Path) -> None:
    state = {"state": {0: {"exp_avg": torch.ones(2)}, "": {"exp_avg": torch.ones(2)}}}
    path = tmp_path / "x.pt"
    torch.save({"o": {**state, "param_groups": groups}, "w": torch.ones(2)}, path)
    optimizers, pairs = found(str(path))
    assert len(optimizers) == 1
    assert len(pairs) == 2


def test_names_of_many_parts_take_no_time(tmp_path: Path) -> None:
    name = ".".join(["state"] * 2000)
    many = {f"{name}.{at}.exp_avg": torch.ones(1) for at in range(30)}
    held = {"state": {"w": {"exp_avg": torch.ones(1)}}, "param_groups": [{"lr": 1.0, "params": []}]}
    path = tmp_path / "x.pt"
    torch.save({**many, "o": held}, path)
    optimizers, _ = found(str(path))
    assert [each.root for each in optimizers] == ["o."]
