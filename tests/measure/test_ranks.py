"""What several ranks report is what one process does."""

from __future__ import annotations

import json
import math
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from fpx.core.targets import find_target
from fpx.errors import InputError
from fpx.measure.cast_compare import cast_compare
from fpx.measure.cast_shares import grain_of
from fpx.measure.diff import diff
from fpx.measure.shares import Part, parts
from fpx.tensors.opening import open_all
from fpx.tensors.progress import Silent
from tests.quantised_writers import deepseek
from tests.ranks.teams import close, rehearse

PLAIN = ["float16", "float8_e4m3fn"]


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small tensors are cut too."""
    monkeypatch.setattr(parts, "__defaults__", (64,))


def drawn(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)) * 10.0**seed


@pytest.fixture
def sources(tmp_path: Path) -> list[str]:
    """Tensors of several dtypes, orders and sizes, in files of several kinds."""
    folder = tmp_path / "sharded"
    folder.mkdir()
    first = {"a": drawn(0, 41, 33), "b": drawn(3, 7), "e": torch.zeros(0, 4)}
    second = {"c": drawn(1, 3, 5, 64).half(), "d": drawn(2, 1, 777).bfloat16()}
    for number, tensors in enumerate((first, second)):
        save_file(tensors, folder / f"m-{number}.safetensors")
    where = dict.fromkeys(first, "m-0.safetensors") | dict.fromkeys(second, "m-1.safetensors")
    index = json.dumps({"weight_map": where})
    (folder / "m.safetensors.index.json").write_text(index)
    turned = {"t": drawn(1, 64, 30).t(), "z": torch.view_as_complex(drawn(0, 9, 2))}
    turned["t"][0, 40] = turned["t"][29, 0] = math.inf  # which comes first depends on the order
    torch.save(turned, tmp_path / "t.pt")
    np.save(tmp_path / "f.npy", np.asfortranarray(drawn(4, 31, 17).double().numpy()))
    np.savez(tmp_path / "z.npz", x=drawn(2, 300).numpy())
    return [str(tmp_path / name) for name in ("sharded", "t.pt", "f.npy", "z.npz")]


def spoilt(path: Path) -> None:
    """A file of two tensors, of which the data of the first do not have their checksum."""
    np.savez(path, x=np.arange(2000.0), y=np.arange(2000.0))
    data = bytearray(path.read_bytes())
    data[9000] ^= 1
    path.write_bytes(data)


def document(report: Any) -> Any:
    return json.loads(json.dumps(report.to_dict()))


@pytest.mark.parametrize("ranks", [2, 3, 64])
@pytest.mark.parametrize("to", [PLAIN, ["float16", "mxfp4"], ["nvfp4"], ["float8_e5m2:channel"]])
def test_ranks_report_what_one_process_does(to: list[str], ranks: int, sources: list[str]) -> None:
    targets = [find_target(name) for name in to]
    one = cast_compare(sources, targets)
    many, _ = rehearse(ranks, lambda team: cast_compare(sources, targets, team=team))
    close(document(one), document(many))
    assert many.notes == one.notes


def test_every_file_is_opened_by_one_rank(sources: list[str]) -> None:
    targets = [find_target("float16")]
    _, exchange = rehearse(3, lambda team: cast_compare(sources, targets, team=team))
    opened = Counter(Path(name).name for some in exchange.work for name in some)
    assert opened == Counter(["m-0.safetensors", "m-1.safetensors", "t.pt", "f.npy", "z.npz"])
    assert all(exchange.work)


def test_a_rank_opens_no_file_but_those_of_its_share(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(8):
        save_file({"x": drawn(0, 64, 64)}, tmp_path / f"{number}.safetensors")
    opened: list[tuple[str, str]] = []
    plain = Path.open

    def noted(self: Path, *args: Any, **kinds: Any) -> Any:
        opened.append((threading.current_thread().name, self.name))
        return plain(self, *args, **kinds)

    monkeypatch.setattr(Path, "open", noted)
    rehearse(4, lambda team: cast_compare([tmp_path], [find_target("float16")], team=team))
    per_file = {name: {who for who, file in opened if file == name} for _, name in opened}
    assert len(per_file) == 8
    assert all(len(who) == 1 for who in per_file.values())
    assert len(set.union(*per_file.values())) == 4


@pytest.mark.parametrize("ranks", [1, 2, 5, 40])
def test_shares_are_of_all_elements_once(ranks: int, sources: list[str]) -> None:
    entries = [e for source in open_all(sources).sources for e in source.entries]
    wide = {entry.name: 32 if len(entry.shape) == 1 else 1 for entry in entries}
    done: dict[int, list[tuple[int, ...]]] = {}
    cut = False
    for rank in range(ranks):
        for part in parts(entries, lambda entry: wide[entry.name], rank, ranks):
            entry = part.of(entries[part.number])
            cut |= entry is not entries[part.number]
            start = part.along.start if part.along is not None else 0
            assert start % wide[entry.name] == 0
            done.setdefault(part.number, []).extend(map(entry.index, range(entry.count)))
    assert done == {n: [*map(e.index, range(e.count))] for n, e in enumerate(entries)}
    assert cut == (ranks > 1)


def test_what_must_stay_whole_does(sources: list[str]) -> None:
    entries = [e for source in open_all(sources).sources for e in source.entries]
    found = [part for rank in range(9) for part in parts(entries, lambda entry: None, rank, 9)]
    assert found == [Part(number) for number in range(len(entries))]
    small = [
        part for rank in range(9) for part in parts(entries, lambda entry: 1, rank, 9, 1 << 40)
    ]
    assert small == found


@pytest.mark.parametrize(
    ("to", "uncut"),
    [
        (["float16"], False),
        (["mxfp4"], False),
        (["float16", "nvfp4"], True),
        (["e4m3fn:tensor"], True),
        (["e4m3fn:block=128x128"], True),
    ],
)
def test_what_hangs_on_all_of_a_tensor_is_not_cut(
    to: list[str], uncut: bool, tmp_path: Path
) -> None:
    save_file({"x": drawn(0, 40, 64)}, tmp_path / "x.safetensors")
    (source,) = open_all([tmp_path / "x.safetensors"]).sources
    scaled = [find_target(name) for name in to if name != "float16"]
    assert (grain_of(source.entries[0], scaled) is None) == uncut  # type: ignore[arg-type]


@pytest.mark.parametrize("to", [["e4m3fn:tensor", "mxfp4"], ["mxfp4", "mxfp8"]])
def test_channels_and_choices(to: list[str], tmp_path: Path) -> None:
    save_file({"x": drawn(0, 40, 64), "y": drawn(1, 3, 4), "n": torch.arange(9)}, tmp_path / "x.st")
    kinds: dict[str, Any] = {"axis": 1, "exclude": ["y"], "integers": True}
    targets = [find_target(name) for name in to]
    one = cast_compare([tmp_path / "x.st"], targets, **kinds)
    many, _ = rehearse(
        3, lambda team: cast_compare([tmp_path / "x.st"], targets, team=team, **kinds)
    )
    assert len(one.channels) == 2
    close(document(one), document(many))


def test_distributions_are_shared_too() -> None:
    kinds: dict[str, Any] = {"size": 1000, "seed": 3}
    targets = [find_target("float16"), find_target("bfloat16")]
    one = cast_compare([], targets, **kinds)
    many, _ = rehearse(4, lambda team: cast_compare([], targets, team=team, **kinds))
    close(document(one), document(many))


def test_what_is_damaged_is_told_once(tmp_path: Path, sources: list[str]) -> None:
    (tmp_path / "bad.npy").write_bytes(b"\x93NUMPY")
    spoilt(tmp_path / "cut.npz")
    given = [*sources, *(str(tmp_path / name) for name in ("bad.npy", "gone.npy", "cut.npz"))]
    one = cast_compare(given, [find_target("float16")])
    many, _ = rehearse(3, lambda team: cast_compare(given, [find_target("float16")], team=team))
    assert len(one.errors) == 3
    close(document(one), document(many))
    assert many.errors == one.errors


@pytest.mark.parametrize("name", ["gone.npy", "bad.npy"])
def test_the_only_source_that_cannot_be_read_is_an_error(name: str, tmp_path: Path) -> None:
    (tmp_path / "bad.npy").write_bytes(b"\x93NUMPY")
    with pytest.raises(InputError) as one:
        cast_compare([tmp_path / name])
    with pytest.raises(InputError) as many:
        rehearse(2, lambda team: cast_compare([tmp_path / name], team=team))
    assert str(many.value) == str(one.value)


@pytest.mark.parametrize("call", [lambda t: cast_compare(["-"], team=t),
                                  lambda t: diff("-", "x", team=t)])  # fmt: skip
def test_stdin_is_for_one_process(call: Any) -> None:
    with pytest.raises(InputError, match="stdin is read by one process alone"):
        rehearse(2, call)


def test_ranks_that_see_other_files_are_told(tmp_path: Path) -> None:
    for number in range(3):
        save_file({"x": torch.zeros(3)}, tmp_path / f"{number}.safetensors")

    def call(team: Any) -> Any:
        return cast_compare([tmp_path / f"{n}.safetensors" for n in (0, 1 + team.rank)], team=team)

    with pytest.raises(InputError, match="the ranks find different files"):
        rehearse(2, call)


class Interrupted(Silent):
    """Ctrl-C after so many elements."""

    def __init__(self, after: int) -> None:
        self.left = after

    def advance(self, count: int) -> None:
        self.left -= count
        if self.left < 0:
            raise KeyboardInterrupt


@pytest.mark.parametrize("rank", [0, 1])
def test_an_interrupted_rank_gives_what_it_has(rank: int, tmp_path: Path) -> None:
    tensors = {name: drawn(1, 200_000) for name in "uvwxyz"}
    save_file(tensors, tmp_path / "x.safetensors")

    def call(team: Any) -> Any:
        progress = Interrupted(300_000) if team.rank == rank else Silent()
        return cast_compare(
            [tmp_path / "x.safetensors"], [find_target("float16")], team=team, progress=progress,
            keep_partial=True,
        )  # fmt: skip

    report, _ = rehearse(2, call)
    assert report.partial
    there = "uvwxy" if rank else "uvxyz"
    assert [row.tensor for row in report.rows] == [*there]
    counts = [row.metrics["count"] for row in report.rows]
    assert counts.count(200_000) == 4
    assert report.totals[0].metrics["count"] == sum(counts)


# -- diff --------------------------------------------------------------------------------------


@pytest.fixture
def changed(tmp_path: Path) -> tuple[Path, Path]:
    a = {name: drawn(1, 40, 33) for name in ("same", "one", "half", "lost", "moved", "wide")}
    a |= {"flat": drawn(0, 3000), "none": torch.zeros(0, 2)}
    b = {name: tensor.clone() for name, tensor in a.items()}
    b["one"][31, 7] += 3
    b["one"][2, 4] = math.nan
    b["half"] = b["half"].half()
    b["moved away"] = b.pop("moved")
    b["wide"] = b["wide"].view(33, 40)
    b["flat"][1500:] *= 1 + 2.0**-20
    del b["lost"]
    save_file(a, tmp_path / "a.safetensors")
    save_file(b | {"more": torch.ones(2)}, tmp_path / "b.safetensors")
    return tmp_path / "a.safetensors", tmp_path / "b.safetensors"


@pytest.mark.parametrize("ranks", [2, 3, 64])
def test_ranks_find_the_same_differences(ranks: int, changed: tuple[Path, Path]) -> None:
    one = diff(*changed)
    many, _ = rehearse(ranks, lambda team: diff(*changed, team=team))
    assert len({row.outcome for row in one.rows}) >= 7
    close(document(one), document(many))


def test_orders_that_differ_are_compared_whole(tmp_path: Path) -> None:
    x = drawn(0, 30, 40)
    save_file({"x": x}, tmp_path / "a.safetensors")
    torch.save({"x": (x + (x > 2) * 1e-3).t().contiguous().t()}, tmp_path / "b.pt")
    pair = tmp_path / "a.safetensors", tmp_path / "b.pt"
    many, _ = rehearse(3, lambda team: diff(*pair, team=team))
    close(document(diff(*pair)), document(many))


def test_quantised_ones_are_compared_with_own_rules(tmp_path: Path) -> None:
    made = deepseek()
    path = made.write(tmp_path)
    torch.save({made.name: torch.rand(made.shape)}, tmp_path / "a.pt")
    one = diff(tmp_path / "a.pt", path)
    many, _ = rehearse(2, lambda team: diff(tmp_path / "a.pt", path, team=team))
    assert one.rows[0].quantised is not None
    assert one.rows[0].quantised.rules
    close(document(one), document(many))


def test_damage_on_one_side_is_told(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.arange(2000.0), y=np.arange(2000.0))
    spoilt(tmp_path / "b.npz")
    pair = tmp_path / "a.npz", tmp_path / "b.npz"
    one = diff(*pair)
    many, _ = rehearse(2, lambda team: diff(*pair, team=team))
    assert len(one.errors) == 1
    assert many.errors == one.errors
    close(document(one), document(many))


@pytest.mark.parametrize("rank", [0, 1])
def test_an_interrupted_diff_keeps_what_it_knows(rank: int, changed: tuple[Path, Path]) -> None:
    def call(team: Any) -> Any:
        progress = Interrupted(0) if team.rank == rank else Silent()
        return diff(*changed, team=team, progress=progress, keep_partial=True)

    report, _ = rehearse(2, call)
    assert report.partial
    assert len(report.rows) < 9
