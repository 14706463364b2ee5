"""Where the compiled measurer's blocks lie: in threads, with gaps, on a device, in its own room."""

from __future__ import annotations

import itertools
import math
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch

from fpx.core.blocks import BLOCK_FORMATS
from fpx.core.names import find_format
from fpx.core.spec import FormatSpec
from fpx.measure import fused, wide
from fpx.measure.block import SourceBlock
from fpx.measure.cast_compare import cast_compare
from fpx.measure.measurement import NOTHING
from fpx.measure.measurers import Chosen
from fpx.measure.metrics import measure
from tests.helpers import BF16, E4M3, F16, F64
from tests.measure.definitions import cpu
from tests.measure.test_fused_edges import FUSED, TARGETS, TINY, both, cast, tame
from tests.measure.test_metrics import equal


def test_room_that_is_left_from_longer_blocks() -> None:
    """Of casts that are measured in float64, of which results are widened into it."""
    for count in (5000, 3, 4999, 5001, 1):
        x = tame(count)
        x[-1] = 1e6
        for target in (F16, BF16, E4M3, find_format("fp4")):
            both(x, cast(x, target), target)


def test_threads_that_measure_by_turns() -> None:
    """Each has what is told of its own block, and its own room."""
    blocks = [tame(7), tame(5000), -tame(9) * 1e6, tame(3000) * TINY]
    targets = [F16, E4M3, find_format("fp4")]
    with ThreadPoolExecutor(1) as one, ThreadPoolExecutor(1) as other:
        pools = itertools.cycle([one, other])
        for x, y in itertools.permutations(blocks, 2):
            sources = [SourceBlock(each) for each in (x, y)]
            for target in targets:
                for source in sources:  # each thread has the same block for all targets
                    q = cast(source.x, target)
                    found = next(pools).submit(FUSED, source, q, target).result()
                    equal(found, measure(source, q, target))


def test_blocks_on_a_device_are_left_to_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whose memory is not looked at here."""
    asked: list[torch.device] = []

    def measures(source: SourceBlock, *rest: object) -> None:
        asked.append(source.x.device)

    monkeypatch.setattr(fused, "measure", measures)
    x = torch.ones(32, device="meta")
    FUSED(SourceBlock(x), x.half(), F16)
    assert asked == [torch.device("meta")]
    assert FUSED.scaled(SourceBlock(x), BLOCK_FORMATS["mxfp4"], 32, 1, 1.0, NOTHING) is None


def test_room_is_a_threads_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another measures while this one has widened its results, and not yet read them."""
    x, y = tame(50) * 1e6, tame(60) * -1e-3
    y[0] = math.inf
    expected = measure(SourceBlock(x), x.half(), F16)
    here, real = threading.get_ident(), wide.Pass

    with ThreadPoolExecutor(1) as other:

        def interrupted(*given: Any) -> wide.Pass:
            if threading.get_ident() == here:
                other.submit(FUSED, SourceBlock(y), y.half(), F16).result()
            return real(*given)

        monkeypatch.setattr(wide, "Pass", interrupted)
        equal(FUSED(SourceBlock(x), x.half(), F16), expected)


def test_tensors_of_every_kind_in_threads() -> None:
    """That require gradients, have gaps or are conjugated; to formats that torch has and lacks."""
    x = torch.randn(20_000, generator=torch.Generator().manual_seed(2), requires_grad=True)
    conjugated = torch.complex(x.detach(), -x.detach()).conj().imag
    assert conjugated.is_neg()
    targets = [F64, *TARGETS]
    sources = [x, x[::2], x.view(100, 200).t(), conjugated]
    by_torch, by_pass = (
        cast_compare(sources, targets, device=cpu(1 << 10), measurer=chosen).rows
        for chosen in (Chosen(measure, ""), Chosen(FUSED, "", True, apart=FUSED.apart))
    )
    for one, other in zip(by_torch, by_pass, strict=True):
        assert (one.locations, one.exponent_histogram) == (
            other.locations,
            other.exponent_histogram,
        )
        for name, value in one.metrics.items():
            if value is not None:
                assert other.metrics[name] == pytest.approx(value, rel=1e-12, abs=1e-12), name
        if one.to == "float64":
            assert other.exact_count == other.count


@pytest.mark.parametrize("target", TARGETS, ids=lambda s: s.name)
def test_blocks_and_results_with_gaps(target: FormatSpec) -> None:
    for x in (tame(6000)[::3], tame(3000)[:, None].expand(-1, 2).reshape(-1)[::5]):
        q = cast(x.contiguous(), target)
        gaps = torch.stack([q, q], 1)[:, 0]
        assert not gaps.is_contiguous()
        both(x, gaps, target)
        x[7] = 1e9
        both(x, gaps, target)
