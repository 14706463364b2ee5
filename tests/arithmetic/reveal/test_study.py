"""Every verdict, on accumulators whose every rounding is known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np
import pytest

from fpx.arithmetic.reveal.certificate import answers, certify, halves, left_to_right
from fpx.arithmetic.reveal.data import Data, draw
from fpx.arithmetic.reveal.study import Study, study
from fpx.core.policy import Rounding
from fpx.report.reveal import RevealRow
from fpx.report.reveal_row import Certificate, Computation, InputBits, Subnormals, Verdict
from fpx.report.sum_tree import SumTree
from tests.arithmetic.reveal import simulators as sim
from tests.arithmetic.reveal.simulators import RNE, RZ, Simulated
from tests.helpers import BF16, E4M3, F16, F32

N = 16
AWAY = Rounding.TIES_TO_AWAY
ROWS = 64


def studied(one: Simulated) -> Study:
    return study(one, draw(one.leaf, one.out, one.count, ROWS, one.products))


def found(one: Simulated) -> Computation:
    """What was revealed of a simulator, which has to be certified."""
    result = studied(one)
    assert (result.verdict, result.reason) == (Verdict.CERTIFIED, None)
    assert result.certificate is not None
    assert result.certificate.equal == result.certificate.rows == ROWS
    assert result.found is not None
    return result.found


def lanes_tree(width: int, n: int = N) -> SumTree:
    """Lanes, then lane after lane, as steps written down."""
    steps: list[tuple[int, int]] = []
    ends = []
    for lane in range(width):
        node = lane
        for leaf in range(lane + width, n, width):
            steps.append((node, leaf))
            node = n + len(steps) - 1
        ends.append(node)
    node = ends[0]
    for end in ends[1:]:
        steps.append((node, end))
        node = n + len(steps) - 1
    return SumTree.of(n, steps)


def blocks_tree(width: int, n: int = N) -> SumTree:
    """An accumulator and the next leaves, all at once."""
    steps: list[tuple[int, ...]] = [tuple(range(width))]
    for start in range(width, n, width):
        steps.append((n + len(steps) - 1, *range(start, start + width)))
    return SumTree.of(n, steps)


MADE: dict[str, Callable[[], Simulated]] = {
    "sequential": lambda: Simulated(N, sim.sequential()),
    "backwards": lambda: Simulated(N, sim.backwards()),
    "pairwise": lambda: Simulated(N, sim.pairwise()),
    "lanes": lambda: Simulated(N, sim.lanes(4)),
    "more lanes": lambda: Simulated(N, sim.lanes(8)),
    "bfloat16": lambda: Simulated(N, sim.sequential(8), BF16, BF16),
    "bfloat16 in float32": lambda: Simulated(N, sim.sequential(), BF16, BF16),
    "float16": lambda: Simulated(N, sim.sequential(11), F16, F16),
    "float16 in float32": lambda: Simulated(N, sim.sequential(), F16, F16),
    "float64": lambda: Simulated(N, sim.sequential(53)),
    "fused": lambda: Simulated(N, sim.sequential(), products=True),
    "rounded": lambda: Simulated(N, sim.sequential(product=24), products=True),
    "fused lanes": lambda: Simulated(N, sim.lanes(4), products=True),
    "rounded lanes": lambda: Simulated(N, sim.lanes(4, fused=False), products=True),
    "float16 products": lambda: Simulated(N, sim.sequential(), F16, F16, products=True),
    "products in bfloat16": lambda: Simulated(
        N, sim.sequential(product=8), BF16, BF16, products=True
    ),
    "blocks of 4": lambda: Simulated(N, sim.fused_blocks(4, 1), F16, F32, products=True),
    "blocks of 4, 2 bits": lambda: Simulated(N, sim.fused_blocks(4, 2), F16, F32, products=True),
    "blocks of 4, nearest": lambda: Simulated(
        N, sim.fused_blocks(4, 1, mode=RNE), F16, F32, products=True
    ),
    "blocks of 4, 14 bits": lambda: Simulated(
        N, sim.fused_blocks(4, 1, 14), BF16, F32, products=True
    ),
    "blocks of 8": lambda: Simulated(2 * N, sim.fused_blocks(8, 2), BF16, F32, products=True),
    "13 bits": lambda: Simulated(N, sim.sequential(14, RZ), BF16, F32, products=True),
    "12 bits": lambda: Simulated(N, sim.sequential(13, RZ), BF16, F32, products=True),
    "kahan": lambda: Simulated(N, sim.kahan()),
    "exact": lambda: Simulated(N, sim.exact),
    "split": lambda: Simulated(N, sim.split_k(2), BF16, BF16, products=True),
    "split in 4": lambda: Simulated(N, sim.split_k(4), BF16, BF16, products=True),
    "split, float32": lambda: Simulated(N, sim.split_k(2, 24), BF16, BF16, products=True),
    "tf32": lambda: Simulated(N, sim.short_inputs(10, sim.sequential()), products=True),
    "tf32, cut": lambda: Simulated(N, sim.short_inputs(10, sim.sequential(), RZ), products=True),
    "flushed": lambda: Simulated(N, sim.sequential(), flush_in=True, flush_out=True),
    "results flushed": lambda: Simulated(N, sim.sequential(), flush_out=True),
    "rounded away": lambda: Simulated(N, sim.sequential(), BF16, BF16, out_mode=AWAY),
    "mean": lambda: Simulated(N, sim.mean(sim.sequential())),
}  # fmt: skip


@pytest.fixture(scope="module")
def every() -> dict[str, Computation]:
    return {name: found(make()) for name, make in MADE.items()}


SEQUENTIAL = left_to_right(range(N))

EXPECTED: dict[str, dict[str, Any]] = {
    "sequential": {"tree": SEQUENTIAL, "known": {23}, "rounding": RNE, "products": None},
    "backwards": {"tree": left_to_right(range(N - 1, -1, -1)), "known": {23}},
    "pairwise": {"tree": halves(N), "known": {23}, "rounding": RNE},
    "lanes": {"tree": lanes_tree(4), "known": {23}},
    "more lanes": {"tree": lanes_tree(8), "known": {23}},
    "bfloat16": {"tree": SEQUENTIAL, "known": {7}, "rounding": RNE, "result_rounding": None},
    "bfloat16 in float32": {"tree": SEQUENTIAL, "known": {23}, "result_rounding": RNE},
    "float16": {"tree": SEQUENTIAL, "known": {10}},
    "float16 in float32": {"tree": SEQUENTIAL, "known": {23}},
    "float64": {"tree": SEQUENTIAL, "known": {52}},
    "fused": {"tree": SEQUENTIAL, "products": "fused", "fused": N - 1},
    "rounded": {"tree": SEQUENTIAL, "products": "rounded", "fused": 0},
    "fused lanes": {"tree": lanes_tree(4), "products": "fused", "fused": N - 4},
    "rounded lanes": {"tree": lanes_tree(4), "products": "rounded", "fused": 0},
    "float16 products": {"tree": SEQUENTIAL, "known": {23}, "products": "exact"},
    "products in bfloat16": {"tree": SEQUENTIAL, "known": {23}, "products": "rounded"},
    "blocks of 4": {"tree": blocks_tree(4), "known": {23}, "inner": {24}, "rounding": RZ},
    "blocks of 4, 2 bits": {"tree": blocks_tree(4), "known": {23}, "inner": {25}, "rounding": RZ},
    "blocks of 4, nearest": {"tree": blocks_tree(4), "inner": {24}, "rounding": RNE},
    "blocks of 4, 14 bits": {"known": {13}, "inner": {14}, "products": "fused", "fused": N},
    "blocks of 8": {"tree": blocks_tree(8, 2 * N), "known": {23}, "inner": {25}, "rounding": RZ},
    "13 bits": {"tree": SEQUENTIAL, "known": {13}, "rounding": RZ, "products": "fused"},
    "12 bits": {"tree": SEQUENTIAL, "known": {12}, "rounding": RZ},
    "kahan": {"tree": SEQUENTIAL, "known": {24}, "compensated": True},
    "exact": {"tree": None, "known": set()},
    "split": {"known": {7, 23}, "products": "exact"},
    "split in 4": {"known": {7, 23}},
    "split, float32": {"known": {23}},
    "tf32": {"inputs": (InputBits(10, RNE),) * 2, "known": {23}, "products": "exact"},
    "tf32, cut": {"inputs": (InputBits(10, RZ),) * 2},
    "flushed": {"subnormals": Subnormals(input=False, product=None, output=False)},
    "results flushed": {"subnormals": Subnormals(input=True, product=None, output=False)},
    "rounded away": {"result_rounding": Rounding.TIES_TO_AWAY, "rounding": RNE},
    "mean": {"gain": 1 / N, "tree": SEQUENTIAL, "known": {23}},
}


@pytest.mark.parametrize("name", MADE)
def test_what_simulators_are(name: str, every: dict[str, Computation]) -> None:
    one = every[name]
    told = {
        "known": set(one.known),
        "inner": set((one.inner or {}).values()),
        "fused": sum(one.whole),
    }
    for key, value in EXPECTED[name].items():
        assert told.get(key, getattr(one, key, None)) == value, key


def test_different_simulators_have_different_fingerprints(every: dict[str, Computation]) -> None:
    for one, other in combinations(every, 2):
        assert every[one].fingerprint != every[other].fingerprint, (one, other)


def test_the_same_simulator_has_the_same_fingerprint(every: dict[str, Computation]) -> None:
    for name in ("sequential", "blocks of 4", "exact"):
        assert found(MADE[name]()).fingerprint == every[name].fingerprint


def test_partial_sums_are_rounded_where_halves_meet(every: dict[str, Computation]) -> None:
    one = every["split"]
    assert one.tree is not None
    short = [one.tree.sizes[N + at] for at, bits in enumerate(one.kept) if bits == 7]
    assert short == [N // 2, N // 2]


@pytest.mark.parametrize("name", ["sequential", "lanes", "blocks of 4", "bfloat16", "kahan"])
def test_a_wrong_tree_loses_its_certificate(name: str, every: dict[str, Computation]) -> None:
    one, simulator = every[name], MADE[name]()
    data = draw(simulator.leaf, simulator.out, N, ROWS, simulator.products)
    codes = answers(simulator, data)
    assert certify(one, data, codes, simulator.leaf, simulator.out).equal == ROWS
    for wrong in (
        replace(one, tree=halves(N), kept=(23,) * (N - 1), inner=None, compensated=False),
        replace(one, kept=tuple(None if bits is None else bits - 1 for bits in one.kept)),
        replace(one, rounding=Rounding.TOWARD_POSITIVE),
    ):
        certificate = certify(wrong, data, codes, simulator.leaf, simulator.out)
        assert certificate.equal < ROWS


def test_a_random_order_varies() -> None:
    result = studied(Simulated(N, sim.random_order()))
    assert result.verdict is Verdict.VARIES
    assert result.reason is not None
    assert "other bits when they are added again" in result.reason
    assert result.found is None


@pytest.mark.parametrize(
    ("one", "why"),
    [
        (Simulated(N, sim.sequential(53), F16, F16), "range of float16 is too small"),
        (Simulated(N, sim.exact, F16, F16), "range of float16 is too small"),
        (Simulated(N, sim.sequential(), E4M3, E4M3), "range of float8_e4m3fn is too small"),
        (Simulated(1, sim.exact), "nothing to add"),
        (Simulated(N, sim.largest), "-1 does not give"),
        (Simulated(N, sim.first), "leaves do not count alike"),
        (Simulated(N, sim.nothing), "a single 1 among zeros gives 0"),
        (Simulated(N, sim.magnitudes), "-1 does not give"),
        (Simulated(N, sim.spread), "units do not add up"),
    ],
    ids=["f16 in f64", "f16 exact", "e4m3", "one leaf", "max", "first", "zero", "abs", "max-min"],
)
def test_what_cannot_be_told_is_not_guessed(one: Simulated, why: str) -> None:
    result = studied(one)
    assert result.verdict is Verdict.NOT_RESOLVABLE
    assert result.found is None
    assert why in str(result.reason)


def test_something_else_beside_the_sum_is_a_hypothesis() -> None:
    for add in (sim.sorted_first, sim.off_where_large):
        result = studied(Simulated(N, add))
        assert result.verdict is Verdict.HYPOTHESIS
        assert "replays have other bits" in str(result.reason)


def test_rows_that_any_order_adds_alike_make_a_weak_certificate() -> None:
    whole = np.arange(1.0, ROWS * N + 1).reshape(ROWS, N) % 7  # exact in any order
    result = study(Simulated(N, sim.sequential()), Data(whole, np.ones((ROWS, N))))
    assert result.verdict is Verdict.WEAK
    assert result.certificate == Certificate(ROWS, ROWS, 0)
    assert result.reason == "another order would show in 0 of 64 rows only"


@pytest.mark.parametrize(
    "mode", [RNE, RZ, Rounding.TIES_TO_AWAY, Rounding.TOWARD_NEGATIVE], ids=lambda mode: mode.value
)
def test_rounding_modes_are_told(mode: Rounding) -> None:
    assert found(Simulated(N, sim.sequential(24, mode))).rounding is mode


@pytest.mark.parametrize("mode", [Rounding.TOWARD_POSITIVE, Rounding.TO_ODD])
def test_where_units_move_masks_nothing_is_told(mode: Rounding) -> None:
    result = studied(Simulated(N, sim.sequential(24, mode)))
    assert result.verdict is Verdict.NOT_RESOLVABLE
    assert result.reason == "masks leave something else than units"


def test_rows_name_what_was_found(every: dict[str, Computation]) -> None:
    def row(name: str) -> RevealRow:
        return RevealRow(
            "x", "float32", "float32", "cpu", (), Verdict.CERTIFIED, None, every[name], None
        )

    names = {name: (row(name).order, row(name).accumulator, row(name).partial) for name in MADE}
    assert names["sequential"] == ("left to right", "float32", None)
    assert names["pairwise"] == ("pairwise", "float32", None)
    assert names["lanes"] == ("4 lanes", "float32", None)
    assert names["bfloat16"] == ("left to right", "bfloat16", None)
    assert names["float64"] == ("left to right", "float64", None)
    assert names["13 bits"] == ("left to right", "14 bits", None)
    assert names["kahan"] == ("left to right, compensated", "float32", None)
    assert names["exact"] == ("exact", "exact", None)
    assert names["split"] == ("2 blocks", "float32", "bfloat16")
    assert names["blocks of 4"] == ("blocks of 4", "float32", None)
    assert row("blocks of 4, 2 bits").extra_bits == 2
    assert row("sequential").extra_bits is None
