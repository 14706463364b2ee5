"""A step of one size, tensor by tensor: against rounding each weight by search."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from fpx.core.formats import FORMATS
from fpx.core.names import find_format
from fpx.core.spec import FormatSpec
from fpx.errors import InputError
from fpx.report.limits import parse_limit
from fpx.report.step_compare import NUMBERS
from fpx.report.step_rows import GivenStepRow
from fpx.training import given_step
from fpx.training.by_step import by_step, step_length
from tests.training.test_steps import becomes

BF16, E4M3, E5M2 = (FORMATS[n] for n in ("bfloat16", "float8_e4m3fn", "float8_e5m2"))


def rows(data: Any, step: object, *targets: FormatSpec, **kinds: Any) -> list[GivenStepRow]:
    found = by_step([data], step_length(step), targets, **kinds).rows
    assert all(isinstance(row, GivenStepRow) for row in found)
    return found  # type: ignore[return-value]


def plainly(x: Tensor, step: Fraction, spec: FormatSpec) -> tuple[int, int, int]:
    """(unmoved, one way, not finite), one by one."""
    counts = [0, 0, 0]
    for value in x.reshape(-1).tolist():
        q = None if value != value or abs(value) == float("inf") else becomes(Fraction(value), spec)
        if q is None:
            counts[2] += 1
            continue
        stay = [becomes(q + sign * step, spec) == q for sign in (1, -1)]
        counts[0] += all(stay)
        counts[1] += any(stay) and not all(stay)
    return counts[0], counts[1], counts[2]


def weights() -> Tensor:
    generator = torch.Generator().manual_seed(3)
    spread = torch.randn(400, generator=generator) * 2.0 ** torch.randint(
        -14, 10, (400,), generator=generator
    )
    special = [0.0, -0.0, 1.0, -2.0, 0.5, 448.0, 464.0, 470.0, 7e4, float("inf"), float("nan")]
    return torch.cat([spread, torch.tensor(special)])


@pytest.mark.parametrize("step", ["0", "1e-5", "0.0009765625", "1/3", "8", "1e9"])
@pytest.mark.parametrize("spec", [BF16, E4M3, E5M2], ids=lambda spec: spec.name)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_against_rounding_one_by_one(step: str, spec: FormatSpec, dtype: torch.dtype) -> None:
    x = weights().to(dtype)
    (row,) = rows(x, step, spec)
    unmoved, one_way, not_finite = plainly(x, Fraction(step), spec)
    assert (row.unmoved_count, row.one_way_count, row.not_finite_count) == (
        unmoved, one_way, not_finite,
    )  # fmt: skip
    assert (row.count, row.to, row.from_) == (411, spec.name, str(dtype).removeprefix("torch."))
    assert row.unmoved_rate == unmoved / (411 - not_finite)


def test_the_steps_that_move_half_and_most_do() -> None:
    x = weights()
    (row,) = rows(x, 0, BF16)
    for length, share in ((row.half_step, 0.5), (row.most_step, 0.99)):
        assert length is not None
        above, at = (
            rows(x, Fraction(length) * factor, BF16)[0] for factor in (1 + Fraction(1, 1 << 99), 1)
        )
        below = rows(x, Fraction(length) * (1 - Fraction(1, 1 << 99)), BF16)[0]
        assert 1 - above.unmoved_rate >= share
        assert above.unmoved_count <= at.unmoved_count <= below.unmoved_count
        assert 1 - below.unmoved_rate < share


def test_known_numbers() -> None:
    """Of N(0, 0.02), that bfloat16 loses 84.4 % of the steps of 1e-5 and float16 11.8 %."""
    x = torch.randn(200_000, generator=torch.Generator().manual_seed(0)) * 0.02
    shares = [row.unmoved_rate for row in rows(x, "1e-5", BF16, FORMATS["float16"])]
    assert shares == pytest.approx([0.844, 0.118], abs=0.003)


def test_totals_rows_and_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    data = {"a": weights(), "b": torch.ones(5, 3).double(), "n": torch.arange(4)}
    whole = by_step([data], Fraction(1, 100), [BF16, E4M3])
    monkeypatch.setattr(given_step, "BLOCK", 7)
    assert by_step([data], Fraction(1, 100), [BF16, E4M3]).rows == whole.rows
    assert [(row.tensor, row.to) for row in whole.rows] == [
        (name, spec.name) for name in "ab" for spec in (BF16, E4M3)
    ]
    for total in whole.totals:
        own = [row for row in whole.rows if row.to == total.to]
        assert isinstance(total, GivenStepRow)
        for name in ("count", "unmoved_count", "one_way_count", "not_finite_count"):
            assert getattr(total, name) == sum(getattr(row, name) for row in own)
        assert total.from_ == "mixed"
    assert whole.notes == ("tensor: no weights, passed over: 1 tensor of int64",)


def test_verdicts_and_conditions() -> None:
    data = {"a": torch.ones(4), "b": torch.tensor([1.0, 1e-3])}
    checks = [parse_limit("unmoved_rate>0.5", NUMBERS), parse_limit("stands_still", NUMBERS)]
    found = by_step([data], Fraction(1, 1000), [BF16], still_rate=0.6, checks=checks)
    assert [row.verdict.value for row in found.rows] == ["stands still", "moves"]
    assert [failure.text for failure in found.failures()] == [
        "tensor a -> bfloat16: unmoved_rate>0.5 holds (unmoved_rate is 1)",
        "tensor a -> bfloat16: stands_still holds (stands_still is 1)",
    ]
    other = by_step([data], Fraction(1), [BF16], checks=[parse_limit("breaks", NUMBERS)])
    assert other.failures() == []
    assert other.unchecked == ("breaks: not checked, no row has a breaks",)


@pytest.mark.parametrize("step", ["-1", "inf", "nan", "0x3f80", "1e99999", "x", -0.5])
def test_what_is_no_step(step: object) -> None:
    with pytest.raises(InputError):
        step_length(step)


def test_text_is_taken_exactly_and_floats_too() -> None:
    assert step_length("1e-5") == Fraction(1, 100_000)
    assert step_length(1e-5) == Fraction(1e-5) != Fraction(1, 100_000)


def test_one_of_several_files_that_is_damaged(tmp_path: Path) -> None:
    np.save(tmp_path / "good.npy", np.ones(3))
    (tmp_path / "bad.npy").write_bytes(b"\x93NUMPY\x01\x00")
    found = by_step([str(tmp_path / "good.npy"), str(tmp_path / "bad.npy")], Fraction(1), [BF16])
    assert len(found.rows) == 1
    assert "bad.npy" in found.errors[0]


def test_ctrl_c_keeps_the_tensors_that_were_done() -> None:
    class Impatient:
        def start(self, total: int) -> None:
            assert total == 6

        def advance(self, count: int) -> None:
            if count == 4:
                raise KeyboardInterrupt

    data = {"a": torch.ones(2), "b": torch.ones(4)}
    found = by_step([data], Fraction(1), [BF16], progress=Impatient(), keep_partial=True)
    assert [row.tensor for row in found.rows] == ["a"]
    assert found.partial
    with pytest.raises(KeyboardInterrupt):
        by_step([data], Fraction(1), [BF16], progress=Impatient())


def test_without_weights_there_is_nothing_to_count() -> None:
    with pytest.raises(InputError, match=r"there are no weights: .*1 tensor of int64"):
        by_step([{"n": torch.arange(3)}], Fraction(1), [BF16])
    with pytest.raises(InputError, match=r"no sign"):
        by_step([torch.ones(1)], Fraction(1), [find_format("e8m0")])
