"""What several ranks say of a training is what one process says."""

from __future__ import annotations

import json
import math
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch.distributed.checkpoint.state_dict import get_optimizer_state_dict
from torch.distributed.checkpoint.state_dict_saver import save

from fpx.core.targets import find_target
from fpx.errors import InputError
from fpx.measure.shares import parts
from fpx.tensors.progress import Silent
from fpx.training.step_compare import step_compare
from fpx.training.updates import together
from tests.measure.test_ranks import Interrupted, document, drawn, spoilt
from tests.ranks.teams import close, rehearse
from tests.training.checkpoints import trained

RANKS = [2, 3, 64]
TO = {"to": ["bfloat16", "float8_e4m3fn"]}
STATE: dict[str, Any] = {"weights_to": ["bfloat16"], "states_to": [find_target("float16")]}


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small tensors are cut too."""
    monkeypatch.setattr(parts, "__defaults__", (64,))


def same(ranks: int, sources: list[Any], **kinds: Any) -> Any:
    """The report of one process, which is that of so many ranks."""
    one = step_compare(sources, **kinds)
    many, _ = rehearse(ranks, lambda team: step_compare(sources, team=team, **kinds))
    close(document(one), document(many))
    return one


@pytest.fixture
def weights(tmp_path: Path) -> list[str]:
    """Files of several kinds, of tensors in several orders."""
    save_file({"a": drawn(0, 41, 33), "e": torch.zeros(0, 4)}, tmp_path / "a.safetensors")
    turned = {"t": drawn(-2, 64, 30).t(), "n": torch.arange(9), "b": drawn(1, 7).bfloat16()}
    turned["t"][0, 4] = math.inf
    torch.save(turned, tmp_path / "t.pt")
    np.savez(tmp_path / "z.npz", x=drawn(-3, 300).numpy())
    return [str(tmp_path / name) for name in ("a.safetensors", "t.pt", "z.npz")]


@pytest.fixture
def states(tmp_path: Path) -> dict[str, list[str]]:
    """The same training as files of several kinds."""
    model, optimizer = trained(named=True, lr=1e-3, weight_decay=0.1)
    saved = {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
    by_names = get_optimizer_state_dict(model, optimizer)
    torch.save(saved, tmp_path / "both.pt")
    folder = tmp_path / "trainer"
    folder.mkdir()
    save_file(saved["model"], folder / "model.safetensors")
    torch.save(saved["optimizer"], folder / "optimizer.pt")
    with warnings.catch_warnings(action="ignore"):  # that no others take part
        save({**saved, "optimizer": by_names}, checkpoint_id=tmp_path / "dcp", no_dist=True)
    return {name: [str(tmp_path / name)] for name in ("both.pt", "trainer", "dcp")}


@pytest.mark.parametrize("ranks", RANKS)
@pytest.mark.parametrize("rounding", ["ties_to_even", "stochastic:4:a"])
def test_a_step(ranks: int, rounding: str, weights: list[str]) -> None:
    found = same(ranks, weights, lr="2^-11", rounding=rounding, **TO)
    assert [row.tensor for row in found.rows[::2]] == ["a", "e", "t", "b", "x"]
    assert 0 < found.totals[0].unmoved_count < found.totals[0].count


@pytest.mark.parametrize("ranks", RANKS)
def test_before_and_after(ranks: int, tmp_path: Path) -> None:
    before = {"a": drawn(0, 41, 33), "f": drawn(1, 3000), "t": drawn(0, 30, 40), "g": torch.ones(2)}
    after = {name: tensor * (1 + 2.0**-9) for name, tensor in before.items()}
    after["a"][40, 32] = math.nan
    after["t"] = after["t"].t().contiguous().t()  # another order: it stays whole
    del after["g"]
    save_file(before, tmp_path / "a.safetensors")
    torch.save(after, tmp_path / "b.pt")
    found = same(ranks, [str(tmp_path / "a.safetensors"), str(tmp_path / "b.pt")], **TO)
    assert 0 < found.totals[0].moved_count < found.totals[0].count
    assert found.totals[0].special_count == 1


@pytest.mark.parametrize("ranks", RANKS)
@pytest.mark.parametrize("kind", ["both.pt", "trainer", "dcp"])
def test_a_state(ranks: int, kind: str, states: dict[str, list[str]]) -> None:
    found = same(ranks, states[kind], rounding="stochastic", **STATE)
    assert len(found.rows) == 16
    assert not found.unpaired


def test_headers_are_shared_out(
    tmp_path: Path, weights: list[str], states: dict[str, list[str]]
) -> None:
    """Each file is opened by one rank; of several exchanges, the last is seen."""

    def opened(sources: list[str], **kinds: Any) -> list[str]:
        _, exchange = rehearse(2, lambda team: step_compare(sources, team=team, **kinds))
        return sorted(Path(name).name for some in exchange.work for name in some)

    assert opened(weights, lr=1) == ["a.safetensors", "t.pt", "z.npz"]
    assert opened([weights[0], weights[0]]) == ["a.safetensors"]
    assert opened(states["trainer"], **STATE) == ["model.safetensors", "optimizer.pt"]
    trainer = tmp_path / "trainer"
    found = {f"{n}.{what}": "model.safetensors" for n in (0, 3) for what in ("weight", "bias")}
    (trainer / "model.safetensors.index.json").write_text(json.dumps({"weight_map": found}))
    assert opened(states["trainer"], **STATE) == ["model.safetensors", "optimizer.pt"]
    model = str(trainer / "model.safetensors")
    assert opened([str(trainer / "optimizer.pt")], model=model, **STATE) == ["model.safetensors"]


@pytest.mark.parametrize("to", ["e4m3fn:tensor", "mxfp8_e4m3", "e5m2:channel"])
def test_scales_hang_on_whole_tensors(to: str, states: dict[str, list[str]]) -> None:
    kinds: dict[str, Any] = {"weights_to": ["float16"], "states_to": [find_target(to)]}
    assert same(3, states["both.pt"], **kinds).rows


def large(folder: Path, *shape: int) -> list[str]:
    """A checkpoint with AdamW's state of one parameter."""
    group = {"lr": 1e-3, "betas": (0.9, 0.99), "eps": 1e-8, "weight_decay": 0.0, "amsgrad": False,
             "decoupled_weight_decay": True, "params": [0], "param_names": ["w"]}  # fmt: skip
    state = {"step": 3, "exp_avg": drawn(-3, *shape), "exp_avg_sq": drawn(-3, *shape).square()}
    saved = {"w": drawn(0, *shape), "optimizer": {"state": {0: state}, "param_groups": [group]}}
    torch.save(saved, folder / "c.pt")
    return [str(folder / "c.pt")]


def test_a_large_parameter_is_cut(tmp_path: Path) -> None:
    """All its tensors alike, so that each rank reads a part of each."""
    source = large(tmp_path, 1000, 2)
    sizes: list[int] = []

    class Noted(Silent):
        def start(self, total: int) -> None:
            sizes.append(total)

    def call(team: Any, **kinds: Any) -> Any:
        return step_compare(source, team=team, progress=Noted(), **kinds)

    same(4, source, **STATE)
    rehearse(4, lambda team: call(team, **STATE))
    assert sizes == [500] * 4
    sizes.clear()
    scaled = [find_target("e4m3fn:tensor")]
    rehearse(4, lambda team: call(team, states_to=scaled))
    assert sorted(sizes) == [0, 0, 0, 2000]


def test_what_cannot_be_paired_or_read_is_told_once(tmp_path: Path) -> None:
    model, optimizer = trained(named=True)
    names = model.state_dict()
    del names["0.bias"]
    torch.save(optimizer.state_dict(), tmp_path / "o.pt")
    save_file(names, tmp_path / "m.safetensors")
    found = same(3, [str(tmp_path / "o.pt")], model=str(tmp_path / "m.safetensors"), **STATE)
    assert [each.tensor for each in found.unpaired] == ["0.bias"]
    spoilt(tmp_path / "cut.npz")
    (tmp_path / "bad.npy").write_bytes(b"\x93NUMPY")
    given = [str(tmp_path / name) for name in ("bad.npy", "cut.npz", "m.safetensors")]
    assert len(same(3, given, lr=1e-3).errors) == 2
    np.savez(tmp_path / "whole.npz", x=np.arange(2000.0), y=np.arange(2000.0))
    assert len(same(2, [str(tmp_path / "whole.npz"), given[1]]).errors) == 1


def test_a_damaged_state_is_told_once(
    states: dict[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many ranks read it; the other parameters are there."""

    def damaged(entries: Any, *given: Any) -> Any:
        if "0.weight" in entries[0].name:
            raise InputError(f"{entries[0].name} is damaged")
        return together(entries, *given)

    monkeypatch.setattr("fpx.training.next_update.together", damaged)
    found = same(9, states["dcp"], **STATE)
    assert found.errors == ("optimizer.state.0.weight.exp_avg is damaged",)
    assert len(found.rows) == 14


@pytest.mark.parametrize(
    ("sources", "kinds"), [(["gone.npy"], {"lr": 1}), (["both.pt"], {"weights_to": ["bfloat16"]})]
)
def test_the_only_source_that_cannot_be_read_is_an_error(
    sources: list[str], kinds: dict[str, Any], tmp_path: Path
) -> None:
    torch.save({"w": torch.ones(3)}, tmp_path / "both.pt")
    given = [str(tmp_path / name) for name in sources]
    with pytest.raises(InputError) as one:
        step_compare(given, **kinds)
    with pytest.raises(InputError) as many:
        rehearse(2, lambda team: step_compare(given, team=team, **kinds))
    assert str(many.value) == str(one.value)


@pytest.mark.parametrize(
    ("sources", "kinds"),
    [(["-"], {"lr": 1}), (["x.npy", "-"], {}), (["o.pt"], {"model": "-", "weights_to": ["bf16"]})],
)
def test_stdin_is_for_one_process(sources: list[str], kinds: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="stdin is read by one process alone"):
        rehearse(2, lambda team: step_compare(sources, team=team, **kinds))


@pytest.mark.parametrize("rank", [0, 1])
def test_an_interrupted_rank_gives_what_it_has(rank: int, tmp_path: Path) -> None:
    """A tensor of which another rank did its part alone is not in it."""
    tensors = {name: drawn(1, 200_000) for name in "uvxyz"}  # half of x is for each of two ranks
    save_file(tensors, tmp_path / "x.safetensors")

    def call(team: Any) -> Any:
        progress = Interrupted(250_000) if team.rank == rank else Silent()
        return step_compare(
            [tmp_path / "x.safetensors"], lr=1e-3, to="bfloat16", team=team, progress=progress,
            keep_partial=True,
        )  # fmt: skip

    report, _ = rehearse(2, call)
    assert report.partial
    assert [row.tensor for row in report.rows] == [*("uvx" if rank else "uyz")]
    assert {row.count for row in report.rows} == {200_000}
    assert report.totals[0].count == 600_000
