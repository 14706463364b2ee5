"""Small tensors that are cast and measured together, beside the same one by one."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from fpx.casts.backends import BACKENDS
from fpx.casts.values import values
from fpx.core.blocks import BLOCK_FORMATS
from fpx.core.names import find_format
from fpx.core.spec import FormatSpec
from fpx.core.targets import Target
from fpx.errors import InputError
from fpx.measure import batches as batching
from fpx.measure import cast_compare as comparing
from fpx.measure import fused
from fpx.measure.batches import batches, cast_together
from fpx.measure.block import SourceBlock
from fpx.measure.cast_compare import cast_compare
from fpx.measure.casting import Casting
from fpx.measure.measurement import Measurement
from fpx.measure.measurers import SMALL, Cast, Chosen, choose
from fpx.measure.metrics import measure
from fpx.report.cast_compare import CastReport
from fpx.tensors.dtypes import container, origin_of
from fpx.tensors.entry import TensorEntry
from fpx.tensors.memory import entry_of
from fpx.tensors.opening import Opened, open_all
from fpx.tensors.progress import Silent
from tests.helpers import BF16, E4M3, F16, F32
from tests.measure.definitions import cpu, same
from tests.measure.plain import measure_plainly
from tests.measure.test_metrics import FLOATS, INTEGERS, TARGETS, cast_blocks, equal

pytest.importorskip("numba")
_loaded = fused.load()
assert _loaded is not None
FUSED = _loaded[0]
TOGETHER = Chosen(FUSED, "", True, FUSED.tally, FUSED.scaled, FUSED.apart)
BY_TORCH = Chosen(measure, "")


@pytest.mark.parametrize("target", TARGETS, ids=lambda s: s.name)
@pytest.mark.parametrize("dtype", [*FLOATS, *INTEGERS], ids=str)
def test_segments_by_the_definitions(dtype: torch.dtype, target: FormatSpec) -> None:
    """Of every kind one after the other, ones of a single element among them."""
    origin = origin_of(dtype)
    known = cast_blocks(dtype, target)
    parts = [part for x, _, _ in known for part in (x, x[:1], x[-1:])]
    x = torch.cat([part.view(container(origin)) for part in parts]).view(dtype)
    q = values(BACKENDS["exact"].cast(x.view(container(origin)), origin, target), target)
    ends = [*accumulate(map(len, parts))]
    found = FUSED.apart(x, q, ends, target)
    for at, (each, part, end) in enumerate(zip(found, parts, ends, strict=True)):
        some = slice(end - len(part), end)
        if at % 3 == 0:
            _, alone, expected = known[at // 3]
            assert torch.equal(q[some].nan_to_num(nan=0.5), alone.nan_to_num(nan=0.5))
        else:
            expected = measure_plainly(SourceBlock(x[some]), q[some], target)
        equal(each, expected)


@pytest.mark.parametrize("count", [1, 7, 2047, 2048, 2049, 4097])
def test_segments_of_every_length(count: int) -> None:
    """About those at which loops begin again."""
    rng = np.random.default_rng(count)
    x = torch.from_numpy(rng.standard_normal(5 * count).astype(np.float32))
    x[count : 2 * count] *= 1e6
    x[2 * count : 3 * count] = torch.nan
    x[3 * count : 4 * count] *= 1e-6
    ends = [*range(count, 5 * count + 1, count)]
    for each, end in zip(FUSED.apart(x, x.half(), ends, F16), ends, strict=True):
        some = x[end - count : end]
        equal(each, measure(SourceBlock(some), some.half(), F16))


def test_what_the_kernel_does_not_take_is_torchs(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def measures(source: SourceBlock, q: Tensor, target: FormatSpec) -> Measurement:
        asked.append(len(source.x))
        return measure(source, q, target)

    monkeypatch.setattr(fused, "measure", measures)
    x = torch.tensor([1.0, 1e300, 1.0, 2.0, 3.0, 4.0], dtype=torch.float64)
    found = FUSED.apart(x, x.half(), [1, 3, 6], F16)
    assert asked == [2]  # whose squares overflow
    assert [each.counts["count"] for each in found] == [1, 2, 3]
    FUSED.apart(torch.tensor([1, 2**53 + 1]), x[:2].half(), [1, 2], F16)
    assert asked == [2, 1, 1]


def _tensors() -> dict[str, Tensor]:
    """Small ones of several dtypes and layouts, empty and large ones, in no order."""
    rng = np.random.default_rng(1)

    def normal(*shape: int) -> Tensor:
        return torch.from_numpy(rng.standard_normal(shape).astype(np.float32))

    found = {
        "scalar": torch.tensor(1.0004),
        "empty": torch.empty(0, 3),
        "nan": normal(3) * math.nan,
    }
    for number in range(40):
        dtype = (torch.float32, torch.bfloat16, torch.float64, torch.float32)[number // 10]
        found[f"{number}"] = (normal(number % 7 + 1, 5) * 10.0 ** (number % 13 - 6)).to(dtype)
    return found | {
        "turned": normal(40, 7).t(),
        "every third": normal(99)[::3],
        "overflows": normal(4) * 1e30,
        "n": torch.arange(-5, 12),
        "large": normal(SMALL + 1),
        "largest small": normal(SMALL),
        "last": normal(2),
    }


def _equal(one: CastReport, other: CastReport) -> None:
    """Equal but for the last bits of sums."""
    for first, second in zip((*one.rows, *one.totals), (*other.rows, *other.totals), strict=True):
        assert first.identity() == second.identity()
        assert repr(first.locations) == repr(second.locations)
        assert first.exponent_histogram == second.exponent_histogram
        assert first.judgement.verdict == second.judgement.verdict
        for name, value in second.metrics.items():
            found = first.metrics[name]
            if value is None or isinstance(value, int):
                assert found == value, name
            else:
                off = 1e-9 if name.endswith("_db") else 1e-12
                assert found == pytest.approx(value, rel=1e-12, abs=off, nan_ok=True), name


@pytest.mark.parametrize("targets", [["fp16"], ["fp16", "bf16", "e4m3fn", "tf32"]], ids=len)
@pytest.mark.parametrize("most", [1, 3, 1000])
def test_reports_are_those_of_one_by_one(
    targets: list[str], most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batching, "_MOST", most)
    kinds: dict[str, Any] = {"targets": [*map(find_format, targets)], "integers": True}
    _equal(
        cast_compare([_tensors(), _tensors()["0"]], measurer=TOGETHER, **kinds),
        cast_compare([_tensors(), _tensors()["0"]], measurer=BY_TORCH, **kinds),
    )


def test_beside_targets_with_scales_and_boundaries() -> None:
    given: Any = [_tensors(), "boundaries"]
    targets: list[Target] = [F16, BLOCK_FORMATS["mxfp4"], E4M3]
    _equal(
        cast_compare(given, targets, measurer=TOGETHER),
        cast_compare(given, targets, measurer=BY_TORCH),
    )


def test_what_is_damaged_is_told_and_the_rest_is_cast() -> None:
    def read(limit: int) -> Iterator[Tensor]:
        yield torch.ones(3)[:limit]
        raise InputError("it ends early")

    every = [entry_of(name, torch.full((5,), 0.1)) for name in "abcd"]
    every[1] = replace(every[1], read=read)
    casts = [[Casting(BACKENDS["torch"], F32, target) for target in (F16, BF16)] for _ in every]
    errors = cast_together(every, casts, cpu(1 << 9), Silent(), FUSED.apart)
    assert [str(error) for error in errors] == ["None", "it ends early", "None", "None"]
    for number, (entry, of_one) in enumerate(zip(every, casts, strict=True)):
        for cast in of_one:
            assert cast.stats.counts["count"] == (0 if number == 1 else 5)
            if number != 1:
                assert cast.stats.locations["max_abs"].tensor == entry.name
    assert cast_together(every[1:2], casts[1:2], cpu(1 << 9), Silent(), FUSED.apart) != [None]


def test_a_file_that_ends_early(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.safetensors"
    save_file({name: torch.full((5,), 0.1) for name in "abc"}, path)

    def opened(*given: Any, **kinds: Any) -> Opened:
        found = open_all(*given, **kinds)
        os.truncate(path, path.stat().st_size - 1)
        return found

    monkeypatch.setattr(comparing, "open_all", opened)
    report = cast_compare([str(path)], [F16], measurer=TOGETHER)
    assert [row.tensor for row in report.rows] == ["a", "b"]
    assert (len(report.errors), report.totals[0].count, report.partial) == (1, 10, False)


def test_blocks_that_do_not_last() -> None:
    """A reader may write each block over the last one, and give several."""
    held = torch.empty(4)
    tensors = [torch.arange(9.0) * number + 0.1 for number in range(1, 4)]

    def entry(number: int) -> TensorEntry:
        def read(limit: int) -> Iterator[Tensor]:
            for start in range(0, 9, 4):
                some = tensors[number][start : start + 4]
                held[: len(some)] = some
                yield held[: len(some)]

        return replace(entry_of(f"{number}", tensors[number]), read=read, lasting=False)

    def found(entries: list[TensorEntry]) -> list[Casting]:
        casts = [[Casting(BACKENDS["torch"], F32, F16)] for _ in entries]
        assert cast_together(entries, casts, cpu(1 << 9), Silent(), FUSED.apart) == [None] * 3
        return [cast for (cast,) in casts]

    plain = [entry_of(f"{number}", x) for number, x in enumerate(tensors)]
    for one, other in zip(found([*map(entry, range(3))]), found(plain), strict=True):
        same(one.stats, other.stats)


def test_ctrl_c_keeps_the_batches_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batching, "_MOST", 10)

    class Interrupts(Silent):
        done = 0

        def advance(self, count: int) -> None:
            self.done += count
            if self.done > 60:
                raise KeyboardInterrupt

    tensors = {f"{number:02}": torch.ones(3) for number in range(35)}
    kinds: dict[str, Any] = {"measurer": TOGETHER, "progress": Interrupts()}
    report = cast_compare([tensors], [F16], keep_partial=True, **kinds)
    assert report.partial
    assert [row.tensor for row in report.rows] == [f"{number:02}" for number in range(21)]
    with pytest.raises(KeyboardInterrupt):
        cast_compare([tensors], [F16], **kinds)


def test_what_is_taken_together() -> None:
    found = [*batches([1, 1, 2, 0, 0, 3, 3, 3], lambda number: number or None)]
    assert found == [
        (True, [1, 1]), (True, [2]), (False, [0]), (False, [0]), (True, [3, 3, 3])
    ]  # fmt: skip


def test_how_often_is_measured() -> None:
    """Once for all small tensors of a dtype that follow each other, not once for each."""
    asked: list[int] = []

    def apart(x: Tensor, q: Tensor, ends: Sequence[int], target: FormatSpec) -> list[Measurement]:
        asked.append(len(ends))
        return FUSED.apart(x, q, ends, target)

    tensors = {f"{number:02}": torch.ones(3) for number in range(30)}
    tensors["15"] = torch.ones(SMALL + 1)
    tensors["16"] = torch.ones(3).half()
    cast_compare([tensors], [F16, BF16], measurer=TOGETHER._replace(apart=apart))
    assert asked == [15, 15, 1, 1, 13, 13]
    asked.clear()
    cast_compare([tensors], [F16], measurer=TOGETHER._replace(apart=apart), worthwhile=1)
    assert asked == [15, 13]  # what is counted by code is not


def test_small_tensors_of_few_bits_are_work_for_the_compiled_pass() -> None:
    def silent(line: str) -> None:
        raise AssertionError(line)

    small = [Cast(torch.bfloat16, F16, SMALL)] * 20_000
    assert choose(small, silent).apart
    assert not choose([Cast(torch.bfloat16, F16, SMALL + 1)] * 20_000, silent).apart


def test_zeros_beside_subnormals_of_float64() -> None:
    x = torch.tensor([0.0, 5e-324, -0.0, 1.0004, 0.0, 1.0004], dtype=torch.float64)
    first, second = FUSED.apart(x, x.half(), [4, 6], F16)
    assert (first.exponents, second.exponents) == ({-1023: 1, 0: 1}, {0: 1})
