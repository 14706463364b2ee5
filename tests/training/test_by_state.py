"""Checkpoints with a state, from file to report."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import fields
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_optimizer_state_dict
from torch.distributed.checkpoint.state_dict_saver import save

from fpx.core.formats import FORMATS
from fpx.core.spec import FormatSpec
from fpx.core.targets import asked_targets, find_targets, without_scales
from fpx.errors import InputError
from fpx.measure.cast_compare import cast_compare
from fpx.report.limits import parse_limit
from fpx.report.step_compare import NUMBERS, StepReport
from fpx.report.step_rows import GivenStepRow, StateRow, Survival, UpdateRow
from fpx.training import next_update
from fpx.training.by_state import by_state
from fpx.training.settings import optimizer_of
from tests.training.checkpoints import network, train, trained
from tests.training.test_steps import becomes
from tests.training.test_updates import plainly

BF16, F16, E4M3, E5M2 = (
    FORMATS[n] for n in ("bfloat16", "float16", "float8_e4m3fn", "float8_e5m2")
)


def checkpoint(make: Any = torch.optim.AdamW, **settings: Any) -> dict[str, Any]:
    model, optimizer = trained(make, named=True, **settings)
    return {"model": model.state_dict(), "optimizer": optimizer.state_dict()}


def compare(source: object, weights: str = "", states: str = "", **kinds: Any) -> StepReport:
    scale = kinds.pop("scale", None)
    return by_state(
        source,
        without_scales(find_targets(weights)) if weights else (),
        asked_targets(states, (), scale=scale) if states else (),
        **kinds,
    )


def updates(report: StepReport) -> list[UpdateRow]:
    return [row for row in report.rows if isinstance(row, UpdateRow)]


def states(report: StepReport) -> list[StateRow]:
    return [row for row in report.rows if isinstance(row, StateRow)]


@pytest.mark.parametrize(
    ("make", "settings"),
    [
        (torch.optim.AdamW, {"lr": 1e-3, "weight_decay": 0.2}),
        (torch.optim.AdamW, {"lr": 1e-4, "amsgrad": True}),
        (torch.optim.Adam, {"lr": 1e-3, "weight_decay": 0.2}),
        (torch.optim.SGD, {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.2, "nesterov": True}),
    ],
    ids=["AdamW", "amsgrad", "Adam", "SGD"],
)
def test_counts_are_those_of_the_exact_update(make: Any, settings: dict[str, Any]) -> None:
    saved = checkpoint(make, **settings)
    report = compare(saved, "bf16,fp16")
    group = saved["optimizer"]["param_groups"][0]
    assert len(report.rows) == 16
    told = {k: v for k, v in group.items() if not isinstance(v, (list, tuple))}
    told |= {f"betas.{at}": beta for at, beta in enumerate(group.get("betas", ()))}
    for row in updates(report):
        held = saved["optimizer"]["state"][group["param_names"].index(row.tensor)]
        step = held["step"].item() if "step" in held else None
        its = optimizer_of(held, told, step)
        moments = [held[slot].reshape(-1) for slot in its.slots]
        x = saved["model"][row.tensor].reshape(-1)
        count, undefined, zero, lost = plainly(its, x, moments, FORMATS[row.to])
        assert (row.count, row.undefined_count) == (count, undefined)
        assert (row.unmoved_count, row.lost_count) == (zero + lost, lost)
        assert (row.optimizer, row.from_) == (make.__name__, "float32")


@pytest.mark.parametrize("lr", [1e-2, 1e-3, 1e-5])
def test_it_is_the_step_that_torch_made(lr: float) -> None:
    model = network().double()
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=0.0)
    train(model, optimizer, 5)
    before = [parameter.detach().clone() for parameter in model.parameters()]
    train(model, optimizer, 1)
    unmoved = 0
    for old, new in zip(before, model.parameters(), strict=True):
        kept = new.detach().to(torch.bfloat16)
        after = (kept.double() + (new.detach() - old)).to(torch.bfloat16)
        unmoved += int((after == kept).sum())
    (total,) = compare({"m": model.state_dict(), "o": optimizer.state_dict()}, "bf16").totals
    assert isinstance(total, UpdateRow)
    assert total.unmoved_count == unmoved
    assert total.lost_count == unmoved


def lost_plainly(
    m: Tensor, v: Tensor, spec: FormatSpec, betas: tuple[float, float]
) -> dict[str, int]:
    """What becomes of moments, one by one."""
    names = [name for name in StateRow.measured if name.endswith("_count")]
    counts = dict.fromkeys(names, 0)
    for first, second in zip(m.reshape(-1).tolist(), v.reshape(-1).tolist(), strict=True):
        kept = [becomes(Fraction(x), spec) for x in (first, second)]
        counts["not_finite_count"] += None in kept
        for name, was, now, beta in zip(
            ("first", "second"), (first, second), kept, betas, strict=True
        ):
            counts[f"{name}_zero_count"] += was != 0 and now == 0
            left = now is not None and now != 0
            counts[f"{name}_left_count"] += left
            if left:
                assert now is not None
                counts[f"{name}_stuck_count"] += becomes(Fraction(beta) * now, spec) == now
        counts["second_lost_count"] += bool(kept[0]) and second != 0 and kept[1] == 0
    return counts


@pytest.mark.parametrize("spec", [BF16, F16, E4M3, E5M2], ids=lambda spec: spec.name)
def test_states_against_rounding_one_by_one(spec: FormatSpec) -> None:
    saved = checkpoint(lr=1e-3, betas=(0.95, 0.999))
    held = saved["optimizer"]["state"]
    held[0]["exp_avg"] *= 2.0**10
    held[0]["exp_avg_sq"][0, 0] = 1e6
    held[2]["exp_avg"][:4] = 0
    held[4]["exp_avg_sq"][:3] = 0
    for row in states(compare(saved, states=spec.name)):
        at = saved["optimizer"]["param_groups"][0]["param_names"].index(row.tensor)
        m, v = held[at]["exp_avg"], held[at]["exp_avg_sq"]
        expected = lost_plainly(m, v, spec, (0.95, 0.999))
        assert {name: getattr(row, name) for name in expected} == expected
        assert row.eps_is_zero == (spec is not BF16)


def test_the_largest_update_is_that_of_the_rounded_moments() -> None:
    saved = checkpoint(lr=1e-3)
    (_, largest) = max(
        (abs(float(row.max_update or 0)), row) for row in states(compare(saved, states="e4m3fn"))
        if row.tensor == "0.weight"
    )  # fmt: skip
    held = saved["optimizer"]["state"][0]
    m = held["exp_avg"].to(torch.float8_e4m3fn).double()
    v = held["exp_avg_sq"].to(torch.float8_e4m3fn).double()
    steps = (m / (1 - 0.9**4)) / ((v / (1 - 0.999**4)).sqrt() + 1e-8)
    assert largest.max_update == pytest.approx(float(steps.abs().max()), rel=1e-9)


@pytest.mark.parametrize("scale", ["tensor", "channel", "block:4"])
def test_states_with_scales_are_those_of_cast_compare(scale: str) -> None:
    saved = checkpoint(lr=1e-3)
    report = compare(saved, states="e4m3fn", scale=scale)
    moments = {
        f"{at}.{slot}": held[slot]
        for at, held in saved["optimizer"]["state"].items()
        for slot in ("exp_avg", "exp_avg_sq")
    }
    targets = asked_targets("e4m3fn", (), scale=scale)
    casts = {row.tensor: row for row in cast_compare([moments], targets).rows}
    for at, row in enumerate(states(report)):
        assert row.first_zero_count == casts[f"{at}.exp_avg"].underflow_count
        assert row.second_zero_count == casts[f"{at}.exp_avg_sq"].underflow_count
        assert (row.first_stuck_count, row.second_stuck_count, row.eps_is_zero) == (None,) * 3
    assert report.decays == ()


def test_blocks_and_surveys_do_not_depend_on_their_size(monkeypatch: pytest.MonkeyPatch) -> None:
    saved = checkpoint(lr=1e-3)
    for each in saved["optimizer"]["state"].values():  # channels of very different sizes
        sizes = 10.0 ** -torch.arange(len(each["exp_avg"]))
        each["exp_avg"] *= sizes.view(-1, *[1] * (each["exp_avg"].dim() - 1))
    formats = ("bf16,e4m3fn", "e4m3fn,e4m3fn:tensor,e4m3fn:channel,mxfp4")
    whole = compare(saved, *formats)
    monkeypatch.setattr(next_update, "BLOCK", 32)
    assert compare(saved, *formats).rows == whole.rows


def test_totals_are_sums() -> None:
    report = compare(checkpoint(lr=1e-3), "bf16,fp16", "bf16,e4m3fn,e4m3fn:tensor")
    assert [(row.kind, row.to) for row in report.totals] == [
        ("update", "bfloat16"), ("update", "float16"), ("state", "bfloat16"),
        ("state", "float8_e4m3fn"), ("state", "float8_e4m3fn:tensor"),
    ]  # fmt: skip
    for total in report.totals:
        own = [row for row in report.rows if (row.kind, row.to) == (total.kind, total.to)]
        assert len(own) == 8
        for item in fields(total):
            if item.name.endswith("count") and getattr(total, item.name) is not None:
                assert getattr(total, item.name) == sum(getattr(row, item.name) for row in own)
        largest = [getattr(row, "max_update") for row in own]  # noqa: B009
        assert getattr(total, "max_update") == max(largest)  # noqa: B009


def test_settings_and_what_cannot_decay() -> None:
    report = compare(checkpoint(lr=1e-3, betas=(0.95, 0.99)), states="bf16,e5m2")
    (one,) = report.optimizers
    assert (one.optimizer, one.parameters, one.elements) == ("AdamW", 8, 115)
    assert one.settings == {
        "lr": 1e-3, "beta1": 0.95, "beta2": 0.99, "eps": 1e-8, "weight_decay": 0.01,
        "amsgrad": False, "step": 4,
    }  # fmt: skip
    assert [(d.to, d.moment, d.beta, d.stuck_count, d.normal_count) for d in report.decays] == [
        ("bfloat16", "exp_avg", 0.95, 0, 32512), ("bfloat16", "exp_avg_sq", 0.99, 0, 32512),
        ("float8_e5m2", "exp_avg", 0.95, 120, 120), ("float8_e5m2", "exp_avg_sq", 0.99, 120, 120),
    ]  # fmt: skip


def test_of_sgd_there_is_one_moment() -> None:
    report = compare(checkpoint(torch.optim.SGD, lr=0.1, momentum=0.9), "bf16", "e5m2")
    for row in states(report):
        assert row.second_zero_count is row.second_lost_count is row.second_stuck_count is None
        assert row.second_left_count is row.eps_is_zero is None
        assert row.verdict in (Survival.SURVIVES, Survival.VANISHES, Survival.CANNOT_DECAY)
    assert [decay.moment for decay in report.decays] == ["momentum_buffer"]
    assert report.optimizers[0].settings == {"lr": 0.1, "momentum": 0.9, "step": None}


def row(**changes: Any) -> StateRow:
    kinds: dict[str, Any] = {
        "source": "s", "tensor": "t", "from_": "float32", "to": "bfloat16", "count": 10,
        "optimizer": "AdamW", "not_finite_count": 0, "first_zero_count": 0, "second_zero_count": 0,
        "second_lost_count": 0, "first_stuck_count": 0, "second_stuck_count": 0,
        "first_left_count": 10, "second_left_count": 10, "max_update": 1.0, "eps_is_zero": False,
        "still_rate": 0.5,
    }  # fmt: skip
    return StateRow(**{**kinds, **changes})


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({}, "survives"),
        ({"not_finite_count": 1}, "breaks"),
        ({"second_lost_count": 1, "second_zero_count": 1}, "breaks"),
        ({"second_zero_count": 9}, "survives"),
        ({"first_zero_count": 5, "first_left_count": 5}, "vanishes"),
        ({"first_zero_count": 4, "first_left_count": 6}, "survives"),
        ({"first_zero_count": 9, "first_left_count": 0, "second_lost_count": 1}, "breaks"),
        ({"second_stuck_count": 5}, "cannot decay"),
        ({"first_stuck_count": 5}, "cannot decay"),
        ({"first_stuck_count": 4, "second_stuck_count": 4}, "survives"),
        ({"first_stuck_count": 4, "still_rate": 0.4}, "cannot decay"),
        ({"first_stuck_count": 5, "first_zero_count": 10}, "vanishes"),
        ({"still_rate": 0.0}, "survives"),
    ],
)
def test_verdicts_of_states(changes: dict[str, Any], verdict: str) -> None:
    found = row(**changes)
    assert found.verdict.value == verdict
    flags = {name: int(found.numbers()[name] or 0) for name in StateRow.flags}
    assert flags == {name: int(name.replace("_", " ") == verdict) for name in StateRow.flags}


def test_conditions_are_asked_of_rows_that_have_the_number() -> None:
    checks = [parse_limit(text, NUMBERS) for text in ("breaks", "unmoved_rate>=0")]
    report = compare(checkpoint(lr=1e-3), "bf16", "e4m3fn", checks=checks)
    kinds = {(failure.check.text, failure.row.kind) for failure in report.failures()}
    assert kinds == {("breaks", "state"), ("unmoved_rate>=0", "update")}
    assert report.unchecked == ()
    alone = compare(checkpoint(lr=1e-3), "bf16", checks=checks[:1])
    assert alone.unchecked == ("breaks: not checked, no row has a breaks",)


def test_parameters_are_chosen_by_their_names() -> None:
    report = compare(checkpoint(lr=1e-3), "bf16", include=["*.weight"], exclude=["1.*"])
    assert [row.tensor for row in report.rows] == ["0.weight", "2.weight", "3.weight"]
    with pytest.raises(InputError, match="none of the 8 parameters is left"):
        compare(checkpoint(lr=1e-3), "bf16", include=["x"])


def test_weights_may_be_elsewhere_or_nowhere() -> None:
    saved = checkpoint(lr=1e-3)
    beside, whole = (
        compare(saved["optimizer"], "bf16", model=saved["model"]),
        compare(saved, "bf16"),
    )
    assert [row.tensor for row in beside.rows] == [row.tensor for row in whole.rows]
    assert beside.totals == whole.totals
    alone = compare(saved["optimizer"], "bf16", "bf16")
    assert {row.kind for row in alone.rows} == {"state"}
    assert [each.missing for each in alone.unpaired] == ["weight"] * 8
    assert alone.notes == (
        "tensor: no weight of 0.weight and 7 more: there are no weights: name them with `model`",
    )
    with pytest.raises(InputError, match=r"'tensor': 0.weight: there are no weights: name them"):
        compare(saved["optimizer"], "bf16")


# -- what is no state ------------------------------------------------------------------------------


def changed(**settings: Any) -> Callable[[dict[str, Any]], None]:
    def change(saved: dict[str, Any]) -> None:
        group = saved["optimizer"]["param_groups"][0]
        for name, value in settings.items():
            if value is KeyError:
                del group[name]
            else:
                group[name] = value

    return change


def held(slot: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(saved: dict[str, Any]) -> None:
        for each in saved["optimizer"]["state"].values():
            if value is KeyError:
                del each[slot]
            else:
                each[slot] = value(each["exp_avg"]) if callable(value) else value

    return change


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (changed(lr=KeyError), "its group has no lr"),
        (changed(lr=math.nan), "its lr is nan, not a number of 0 or more"),
        (changed(lr=-1e-3), "its lr is -0.001, not a number of 0 or more"),
        (changed(lr=math.inf), "its lr is inf, not a number of 0 or more"),
        (changed(lr="1e-3"), "its lr is '1e-3', not a number of 0 or more"),
        (changed(lr=None), "its lr is None, not a number of 0 or more"),
        (changed(lr=True), "its lr is True, not a number of 0 or more"),
        (changed(lr=10**400), "its lr is a very long number: fpx computes with 0 and what is"),
        (changed(lr=1e-200), "its lr is 1e-200: fpx computes with 0 and what is from 1e-100"),
        (changed(betas=(0.9, 1.0)), "its betas.1 is 1.0, not a number from 0 to below 1"),
        (changed(betas=(-0.1, 0.9)), "its betas.0 is -0.1, not a number from 0 to below 1"),
        (changed(betas=(0.9,)), "its group has no betas.1"),
        (changed(betas=0.9), "its group has no betas.0"),
        (changed(eps=math.nan), "its eps is nan"),
        (changed(weight_decay=-1.0), "its weight_decay is -1.0"),
        (changed(amsgrad=True), "its group has amsgrad, and its state no max_exp_avg_sq"),
        (changed(amsgrad=KeyError), "nothing tells whether weights decay as with Adam or AdamW"),
        (changed(decoupled_weight_decay=KeyError), "nothing tells whether weights decay"),
        (held("step", torch.tensor(math.nan)), "its step is nan, not a number of steps"),
        (held("step", torch.tensor(-3.0)), "its step is -3.0, not a number of steps"),
        (held("step", torch.tensor(2.5)), "its step is 2.5, not a whole number"),
        (held("step", 0), "its step is 0: no update was made yet"),
        (held("step", 10**30), "its step is a very long number, not a number of steps"),
        (held("step", torch.ones(3)), "its step has 3 elements"),
        (held("step", KeyError), "its step is None, not a number of steps"),
        (held("exp_avg", lambda m: m[:1]), r"its exp_avg_sq has shape \["),
        (held("exp_avg_sq", lambda m: m.reshape(-1, 1)), r"its exp_avg_sq has shape \["),
        (held("exp_avg_sq", lambda m: m.to(torch.int32)), "its exp_avg_sq is of int32"),
        (held("exp_avg_sq", KeyError), "its state has no moments"),
        (held("mu_product", torch.tensor(1.0)), "its state has 'mu_product': fpx knows"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_state(
    change: Callable[[dict[str, Any]], None], why: str, tmp_path: Path
) -> None:
    saved = checkpoint(lr=1e-3)
    change(saved)
    path = tmp_path / "x.pt"
    torch.save(saved, path)
    with pytest.raises(InputError, match=why):
        compare(str(path), "bf16", "bf16")


def test_one_bad_parameter_does_not_spoil_the_others() -> None:
    saved = checkpoint(lr=1e-3)
    saved["optimizer"]["state"][3]["step"] = -1
    report = compare(saved, "bf16")
    assert len(report.rows) == 7
    (bad,) = report.unpaired
    assert (bad.tensor, bad.missing, bad.why) == (
        "1.bias", "update", "its step is -1, not a number of steps",
    )  # fmt: skip
    assert report.notes[0].endswith("no update of 1.bias: its step is -1, not a number of steps")


@pytest.mark.parametrize(("chosen", "decays"), [("adam", False), ("adamw", True)])
def test_the_user_may_say_which_optimizer_it_is(chosen: str, decays: bool) -> None:
    saved = checkpoint(lr=1e-3, weight_decay=0.5)
    del saved["optimizer"]["param_groups"][0]["decoupled_weight_decay"]
    report = compare(saved, "bf16", chosen=chosen)
    assert report.optimizers[0].settings["weight_decay"] == 0.5  # it is said, whatever it does
    largest = [row.max_update for row in updates(report)]
    del saved["optimizer"]["param_groups"][0]["weight_decay"]
    if decays:
        with pytest.raises(InputError, match="its group has no weight_decay"):
            compare(saved, "bf16", chosen=chosen)
    else:
        without = compare(saved, "bf16", chosen=chosen)
        assert [row.max_update for row in updates(without)] == largest
        assert [row.unmoved_count for row in updates(without)] == [
            row.unmoved_count for row in updates(report)
        ]
    with pytest.raises(InputError, match="its state is not that of sgd"):
        compare(saved, "bf16", chosen="sgd")


def test_moments_that_are_no_numbers() -> None:
    saved = checkpoint(lr=1e-3)
    state = saved["optimizer"]["state"]
    state[0]["exp_avg"][0] = math.nan
    state[0]["exp_avg_sq"][1] = math.inf
    state[0]["exp_avg_sq"][2] = -1.0
    saved["model"]["0.weight"][3] = math.inf
    report = compare(saved, "bf16", "e4m3fn")
    (first,) = (row for row in updates(report) if row.tensor == "0.weight")
    assert first.undefined_count == 24
    (kept,) = (row for row in states(report) if row.tensor == "0.weight")
    assert kept.not_finite_count == 0
    assert kept.max_update is not None
    assert math.isfinite(kept.max_update)


def test_a_checkpoint_without_a_state() -> None:
    with pytest.raises(InputError, match=r"'tensor' has no optimizer's state"):
        compare({"w": torch.ones(3)}, "bf16")
    model, optimizer = trained(torch.optim.SGD, lr=0.1)  # without momentum there is none
    with pytest.raises(InputError, match=r"has no optimizer's state"):
        compare({"m": model.state_dict(), "o": optimizer.state_dict()}, "bf16")


def test_ctrl_c_keeps_the_parameters_that_were_done() -> None:
    class Impatient:
        def start(self, total: int) -> None:
            assert total == 115

        def advance(self, count: int) -> None:
            if count == 24:
                raise KeyboardInterrupt

    saved = checkpoint(lr=1e-3)
    report = compare(saved, "bf16", progress=Impatient(), keep_partial=True)
    assert report.partial
    assert len(report.rows) == 6
    with pytest.raises(KeyboardInterrupt):
        compare(saved, "bf16", progress=Impatient())


def test_rows_of_steps_and_of_updates_have_their_own_numbers() -> None:
    assert set(NUMBERS) >= {*GivenStepRow.measured, *UpdateRow.measured, *StateRow.flags}
    (one, *_) = compare(checkpoint(lr=0.0), "bf16").rows
    assert isinstance(one, UpdateRow)
    assert one.max_update is None
    assert "max_update" not in one.numbers()
    assert one.unmoved_rate == 1


def test_a_folder_without_a_state_is_called_as_it_was_named(tmp_path: Path) -> None:
    model = network()
    save_file(model.state_dict(), tmp_path / "model.safetensors")
    with pytest.raises(InputError, match=f"^'{re.escape(str(tmp_path))}' has no optimizer's state"):
        compare(str(tmp_path), "bf16")


def test_a_file_without_order_says_which_would_have_one(tmp_path: Path) -> None:
    model, optimizer = trained()
    save_file(model.state_dict(), tmp_path / "model.safetensors")
    torch.save(optimizer.state_dict(), tmp_path / "optimizer.pt")
    report = compare(str(tmp_path), "bf16", "bf16")
    assert [row.tensor for row in updates(report)] == ["0.weight", "3.weight", "3.bias"]
    (note,) = report.notes
    assert note.endswith(
        "no weight of state.1 and 4 more: the optimizer has no names, the weights' file has not "
        "their order, and several have the shape [8]: `model` may name the weights as torch saved "
        "them"
    )
    torch.save(model.state_dict(), tmp_path / "model.pt")
    whole = compare(str(tmp_path / "optimizer.pt"), "bf16", model=str(tmp_path / "model.pt"))
    assert len(updates(whole)) == 8
    assert not whole.notes


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("flat", [False, True])
def test_settings_that_are_read_are_not_said_to_be_passed_over(flat: bool, tmp_path: Path) -> None:
    model, optimizer = trained()
    options = StateDictOptions(flatten_optimizer_state_dict=flat)
    state = get_optimizer_state_dict(model, optimizer, options=options)
    save(
        {"model": model.state_dict(), "o": state, "epoch": 3}, checkpoint_id=tmp_path, no_dist=True
    )
    notes = compare(str(tmp_path), "bf16").notes
    assert notes == (f"{tmp_path}: 'epoch': no tensors, passed over",)
