"""Random distributions."""

from __future__ import annotations

import pytest
import torch

from fpx.core.formats import FORMATS
from fpx.core.spec import FormatSpec
from fpx.errors import InputError
from fpx.measure.cast_compare import cast_compare
from fpx.tensors.distributions import DISTRIBUTIONS, NAMES
from fpx.tensors.draws import Sample, named_source
from tests.helpers import BF16, F16, F32


def drawn(name: str, size: int = 20_000, seed: int = 0) -> torch.Tensor:
    (entry,) = named_source(name, Sample(torch.float32, size, seed, [F16])).entries
    return torch.cat([block.clone() for block in entry.blocks(1000)])


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_distributions_depend_on_the_seed_alone(name: str) -> None:
    x = drawn(name)
    assert x.shape == (20_000,)
    assert x.isfinite().all()
    torch.manual_seed(5)
    assert torch.equal(x, drawn(name))
    assert not torch.equal(x, drawn(name, seed=1))


def test_distributions_are_what_they_say() -> None:
    assert drawn("normal").std().item() == pytest.approx(1, abs=0.02)
    assert drawn("uniform").abs().max() <= 1
    assert drawn("lognormal").log().std().item() == pytest.approx(3, rel=0.03)
    assert drawn("gradients").abs().median().item() == pytest.approx(1e-6, rel=0.1)
    assert (drawn("activations").abs() > 65504).sum() > 0
    assert (drawn("activations").abs() > 1000).float().mean().item() == pytest.approx(
        1 / 997, rel=0.1
    )
    assert drawn("subnormals").abs().max() <= 2**-13


CAST_TYPES = [spec for spec in FORMATS.values() if spec.torch is not None and spec.bits >= 8]


@pytest.mark.parametrize("source", CAST_TYPES, ids=lambda s: s.name)
def test_every_distribution_in_every_source(source: FormatSpec) -> None:
    report = cast_compare([], [F16, BF16], from_=source, size=2000)
    assert {row.source for row in report.rows} == set(NAMES)
    for row in report.rows:
        assert row.count > 0
        assert {row.from_} == {source.name}


@pytest.mark.parametrize("seed", [-1, 1 << 63, 10**30])
def test_a_seed_has_63_bits(seed: int) -> None:
    with pytest.raises(InputError, match="seed"):
        cast_compare(["normal"], [F16], from_=F32, size=10, seed=seed)


def test_names() -> None:
    assert [*DISTRIBUTIONS, "boundaries"] == list(NAMES)
    report = cast_compare([], [F16], from_=F32, size=100)
    assert [row.source for row in report.rows] == list(NAMES)
    with pytest.raises(InputError, match="size"):
        cast_compare(["normal"], [F16], from_=F32, size=0)
