"""Two checkpoints: which codes moved, counted a second time one by one."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from fpx.core.codec import encode, ordinal
from fpx.core.formats import FORMATS
from fpx.core.literals import to_literal
from fpx.core.spec import FormatSpec
from fpx.errors import InputError
from fpx.report.step_rows import ChangeRow
from fpx.training import changes
from fpx.training.by_change import by_change
from fpx.training.changes import Changed
from tests.training.checkpoints import train, trained

BF16, F16, F32, E4M3 = (FORMATS[n] for n in ("bfloat16", "float16", "float32", "float8_e4m3fn"))


def rows(before: Any, after: Any, *targets: FormatSpec, **kinds: Any) -> list[ChangeRow]:
    found = by_change(before, after, targets, **kinds).rows
    assert all(isinstance(row, ChangeRow) for row in found)
    return found  # type: ignore[return-value]


def only(before: Any, after: Any, spec: FormatSpec) -> ChangeRow:
    (row,) = rows(before, after, spec)
    return row


def plainly(before: Tensor, after: Tensor, spec: FormatSpec) -> dict[str, Any]:
    """What the codes of single numbers, one by one, give."""
    moved = lost = special = zero_sign = furthest = 0
    distances: Counter[int] = Counter()
    for x, y in zip(before.tolist(), after.tolist(), strict=True):
        a, b = (encode(to_literal(number), spec).code for number in (x, y))
        if a == b:
            lost += x != y and not (math.isnan(x) and math.isnan(y))
            continue
        moved += 1
        if any((code & spec.magnitude_mask) > spec.max_finite_magnitude for code in (a, b)):
            special += 1
        elif ordinal(a, spec) == ordinal(b, spec):
            zero_sign += 1
        else:
            far = abs(ordinal(a, spec) - ordinal(b, spec))
            distances[1 << (far - 1).bit_length()] += 1
            furthest = max(furthest, far)
    return {
        "moved_count": moved, "lost_count": lost, "special_count": special,
        "zero_sign_count": zero_sign, "distances": dict(sorted(distances.items())),
        "max_distance": furthest,
    }  # fmt: skip


def weights() -> tuple[Tensor, Tensor]:
    g = torch.Generator().manual_seed(7)
    before = torch.randn(500, generator=g)
    after = before + torch.randn(500, generator=g) * 2.0 ** torch.randint(
        -16, 2, (500,), generator=g
    )
    special = torch.tensor(
        [[0.0, -0.0], [1.0, math.nan], [math.inf, 1.0], [math.inf, math.inf], [math.nan, math.nan],
         [1.0, -1.0], [1.0, 1.0], [1e-30, -1e-30], [400.0, 440.0]]
    )  # fmt: skip
    return torch.cat([before, special[:, 0]]), torch.cat([after, special[:, 1]])


@pytest.mark.parametrize("spec", [BF16, F16, F32, E4M3], ids=lambda spec: spec.name)
def test_against_counting_one_by_one(spec: FormatSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    before, after = weights()
    expected = plainly(before, after, spec)
    for block in (changes.BLOCK, 11):
        monkeypatch.setattr(changes, "BLOCK", block)
        row = only(before, after, spec)
        assert {name: getattr(row, name) for name in expected} == expected
    assert row.count == 509
    assert row.unmoved_count == 509 - expected["moved_count"]
    assert sum(row.distances.values()) == (
        row.moved_count - row.special_count - row.zero_sign_count
    )


def test_nothing_moves_where_nothing_changes() -> None:
    x, _ = weights()
    row = only(x, x.clone(), BF16)
    assert (row.moved_count, row.lost_count, row.change_bytes, row.distances) == (0, 0, 0, {})
    assert row.verdict.value == "stands still"


@pytest.mark.parametrize(
    ("count", "moved", "size", "form"),
    [
        (1000, 0, 0, "places"),
        (1000, 10, 60, "places"),  # 6 bytes each
        (1000, 100, 325, "bits"),  # 125, and 2 each
        (1000, 1000, 2000, "whole"),
        (1000, 937, 1999, "bits"),
        (1000, 938, 2000, "whole"),
        (8, 1, 3, "bits"),
    ],
)
def test_bytes_are_those_of_the_smallest_way(count: int, moved: int, size: int, form: str) -> None:
    before = torch.ones(count)
    after = before.clone()
    after[:moved] = 2
    row = only(before, after, BF16)
    assert (row.change_bytes, row.change_form, row.whole_bytes) == (size, form, 2 * count)


def test_half_bytes_are_whole_together_and_places_beyond_2_to_the_32_take_eight() -> None:
    fp4 = FORMATS["float4_e2m1fn"]
    row = only(torch.ones(5), torch.tensor([1.0, 2, 2, 2, 1]), fp4)
    assert (row.whole_bytes, row.change_bytes, row.change_form) == (3, 3, "bits")
    assert Changed(BF16, count=(1 << 32) + 1, moved=1).delta().size == 10
    assert Changed(BF16, count=1 << 32, moved=1).delta().size == 6


def test_distances_of_any_length() -> None:
    top = torch.tensor([-torch.finfo(torch.float64).max, 1.0], dtype=torch.float64)
    row = only(top, -top, FORMATS["float64"])
    assert sum(row.distances.values()) == 2


def test_of_checkpoints_their_weights(tmp_path: Path) -> None:
    model, optimizer = trained(lr=1e-4)
    names = [name for name, p in model.state_dict().items() if p.is_floating_point()]
    for name in ("before.pt", "after.pt"):
        torch.save({**model.state_dict(), "o": optimizer.state_dict()}, tmp_path / name)
        train(model, optimizer, 3)
    report = by_change(str(tmp_path / "before.pt"), str(tmp_path / "after.pt"), [BF16, E4M3])
    assert [(row.tensor, row.to) for row in report.rows] == [
        (name, spec.name) for name in names for spec in (BF16, E4M3)
    ]
    for total in report.totals:
        own = [row for row in report.rows if row.to == total.to]
        for name in ("count", "moved_count", "lost_count", "change_bytes", "whole_bytes"):
            assert getattr(total, name) == sum(getattr(row, name) for row in own)
        assert isinstance(total, ChangeRow)
        assert total.change_form == "mixed"
    assert all("24 tensors of an optimizer's state, 1 tensor of int64" in n for n in report.notes)


def test_other_names_shapes_and_dtypes() -> None:
    before = {"a": torch.ones(3), "b": torch.ones(2), "c": torch.ones(4)}
    after = {"a": torch.ones(3).half(), "b": torch.ones(3), "d": torch.ones(1)}
    report = by_change(before, after, [BF16])
    assert [row.tensor for row in report.rows] == ["a"]
    assert report.notes == (
        "before alone: 'c'", "after alone: 'd'", "of another shape after: 'b'",
    )  # fmt: skip
    with pytest.raises(InputError, match="nothing in common"):
        by_change({"a": torch.ones(1)}, {"b": torch.ones(1), "c": torch.ones(1)}, [BF16])


def test_single_arrays_need_no_name(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.ones(3))
    np.save(tmp_path / "y.npy", np.full(3, 2.0))
    report = by_change(str(tmp_path / "x.npy"), str(tmp_path / "y.npy"), [BF16])
    assert [row.tensor for row in report.rows] == ["x"]


def test_ctrl_c_keeps_the_tensors_that_were_done() -> None:
    class Impatient:
        def start(self, total: int) -> None:
            assert total == 6

        def advance(self, count: int) -> None:
            if count == 4:
                raise KeyboardInterrupt

    data = {"a": torch.ones(2), "b": torch.ones(4)}
    report = by_change(data, data, [BF16], progress=Impatient(), keep_partial=True)
    assert [row.tensor for row in report.rows] == ["a"]
    assert report.partial
    with pytest.raises(KeyboardInterrupt):
        by_change(data, data, [BF16], progress=Impatient())
