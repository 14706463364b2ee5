"""What a device makes of blocks beside what the CPU makes of them; the device is the CPU, too."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
import torch

from fpx.casts.backends import BACKENDS
from fpx.casts.device import Device
from fpx.casts.values import numbers
from fpx.core.names import find_format
from fpx.core.policy import Stochastic
from fpx.core.spec import FormatSpec
from fpx.measure.block import SourceBlock
from fpx.measure.cast_compare import cast_compare
from fpx.measure.casting import Casting, where_in
from fpx.measure.metrics import measure
from fpx.report.cast_row import Location
from fpx.tensors.memory import entry_of
from tests.helpers import BF16, E4M3, E5M2, F16, F32, F64, encode
from tests.measure.definitions import same

TARGETS = [F16, BF16, F32, F64, E4M3, E5M2, *map(find_format, ("fp4", "e3m4", "tf32", "e5m7"))]
X = torch.linspace(-5, 7, 41) + 0.03
"""Numbers; none is 0 or of a target."""


class _Card(Device):
    """A device that is not the CPU, though it runs there."""

    @property
    def is_cpu(self) -> bool:
        return False


CARD = _Card(torch.device("cpu"), "a card", 7)


@dataclass
class _Wrong(Casting):
    """A cast that a card makes otherwise.

    Attributes:
        card: what lies there.
        wrong: position -> the code that comes of it there.
        asked: where blocks began.
    """

    card: torch.Tensor = field(default_factory=lambda: X)
    wrong: dict[int, int] = field(default_factory=dict)
    asked: list[int] = field(default_factory=list)

    def codes(self, x: torch.Tensor, start: int = 0) -> torch.Tensor:
        self.asked.append(start)
        codes = super().codes(x, start).clone()  # which may be a view of x
        if x is self.card:
            for at, code in self.wrong.items():
                codes[at] = torch.tensor(code).to(codes.dtype)
        return codes


def taken(target: FormatSpec, wrong: dict[int, int]) -> _Wrong:
    """What a block came to that begins at 1000, on a card and on the CPU."""
    name = "torch" if BACKENDS["torch"].offers(F32, target) else "exact"
    casting = _Wrong(BACKENDS[name], F32, target, wrong=wrong)
    where = where_in(entry_of("x", torch.empty(2000)), (1000).__add__)
    casting.take_beside_cpu(SourceBlock(X), X.clone(), where, measure, 1000)
    assert casting.asked == [1000, 1000]
    return casting


@pytest.mark.parametrize("target", TARGETS, ids=lambda s: s.name)
def test_a_card_that_casts_as_the_cpu_does(target: FormatSpec) -> None:
    stats = taken(target, {}).stats
    assert stats.counts["device_mismatch_count"] == 0
    assert stats.counts["device_nan_bits_mismatch_count"] == 0
    assert "device_mismatch_count" not in stats.locations


@pytest.mark.parametrize("target", TARGETS, ids=lambda s: s.name)
def test_what_a_card_makes_otherwise_is_measured_counted_and_placed(target: FormatSpec) -> None:
    """All that is lost is what the card lost; its codes are compared with the CPU's."""
    four = encode("4", target)
    found = taken(target, {5: four, 30: 0, 31: 0})
    assert found.stats.counts["device_mismatch_count"] == 3
    assert found.stats.locations["device_mismatch_count"] == Location("x", (1005,), X[5].item(), 4)
    usual = taken(target, {}).stats.counts["underflow_count"]
    assert found.stats.counts["underflow_count"] == usual + 2
    codes = Casting(found.backend, F32, target).codes(X).clone()
    codes[5], codes[30:32] = four, 0
    alone = Casting(found.backend, F32, target)
    where = where_in(entry_of("x", torch.empty(2000)), (1000).__add__)
    alone.take(SourceBlock(X), numbers(codes, target), where, measure)
    for name in ("device_mismatch_count", "device_nan_bits_mismatch_count"):
        del found.stats.counts[name]
    del found.stats.locations["device_mismatch_count"]
    same(found.stats, alone.stats)


@pytest.mark.parametrize("target", [F16, BF16, E5M2], ids=lambda s: s.name)
def test_only_the_first_difference_of_several_blocks_is_placed(target: FormatSpec) -> None:
    casting = _Wrong(BACKENDS["torch"], F32, target, card=X[10:20], wrong={4: 0, 2: 0})
    for start in (0, 10, 20):
        block = casting.card if start == 10 else X[start : start + 10]
        where = where_in(entry_of("x", X), start.__add__)
        casting.take_beside_cpu(SourceBlock(block), block.clone(), where, measure, start)
    assert casting.stats.counts["device_mismatch_count"] == 2
    assert casting.stats.locations["device_mismatch_count"].index == (12,)


@pytest.mark.parametrize("to", ["fp16", "fp4", "e4m3fn", "tf32"])
def test_draws_of_a_card_are_those_of_the_cpu(to: str) -> None:
    """Whose draws depend on where a block begins; some take numbers beyond the largest one."""
    target = find_format(to)
    generator = torch.Generator().manual_seed(0)
    top, ulp = float(target.max_finite.fraction), 2.0 ** (target.emax - target.fraction_bits)
    beyond = top + torch.rand(40, generator=generator) * ulp / 2
    x = torch.cat([torch.randn(260, generator=generator), beyond]).double()
    card, here = (
        cast_compare([x], [target], device=device, rounding=Stochastic(), seed=3).rows[0]
        for device in (CARD, Device(torch.device("cpu"), "cpu", 1 << 10))
    )
    assert (card.device_mismatch_count, here.device_mismatch_count) == (0, None)
    assert card.drawn_overflow_count == here.drawn_overflow_count > 0
    locations = {**here.locations, "first_device_mismatch": None}
    assert {name: repr(at) for name, at in card.locations.items()} == {
        name: repr(at) for name, at in locations.items()
    }
    for name, value in here.metrics.items():
        if value is not None:
            assert card.metrics[name] == pytest.approx(value, rel=1e-12, nan_ok=True), name


@pytest.mark.parametrize("target", TARGETS, ids=lambda s: s.name)
def test_rows_of_a_card_are_those_of_the_cpu(target: FormatSpec) -> None:
    x = torch.randn(300, generator=torch.Generator().manual_seed(0)) * 100
    card, here = (
        cast_compare([x[::2]], [target], device=device).rows[0]
        for device in (CARD, Device(torch.device("cpu"), "cpu", 1 << 10))
    )
    assert (card.device_mismatch_count, card.backend) == (0, here.backend)
    for name, value in here.metrics.items():
        if value is not None:
            assert card.metrics[name] == pytest.approx(value, rel=1e-12, nan_ok=True), name
