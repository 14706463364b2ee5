"""Channels of tensors in every order, and means of every dtype."""

from __future__ import annotations

from fractions import Fraction
from itertools import permutations, product

import numpy as np
import pytest
import torch

from fpx.measure.values import tensor_stats
from fpx.report.inspect_row import Channel
from fpx.tensors.dtypes import origin_of
from fpx.tensors.entry import TensorEntry
from fpx.tensors.memory import entry_of
from fpx.tensors.types import INTEGERS


def stored_as(x: torch.Tensor, order: tuple[int, ...], size: int) -> TensorEntry:
    """An entry whose blocks have `size` elements and come with the axes in that order."""
    flat = x.permute(order).reshape(-1)

    def read(limit: int) -> object:
        return (flat[at : at + size] for at in range(0, len(flat), size))

    return TensorEntry("x", origin_of(x.dtype), tuple(x.shape), read, order)  # type: ignore[arg-type]


def expected(x: torch.Tensor, axis: int) -> tuple[int, float, float]:
    values = np.abs(np.moveaxis(x.double().numpy(), axis, 0).reshape(x.shape[axis], -1))
    maxima = np.where(np.isfinite(values), values, 0).max(1)
    return int(maxima.argmax()), float(maxima.max()), float(np.median(maxima))


@pytest.mark.parametrize("shape", [(7,), (3, 5), (4, 3, 5), (2, 1, 3, 2)], ids=str)
def test_channels_of_every_axis_order_and_block(shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(sum(shape))
    for order, axis, size in product(
        permutations(range(len(shape))), range(len(shape)), (1, 2, 3, 4, 7, 1000)
    ):
        x = torch.from_numpy(rng.standard_normal(shape))
        found = tensor_stats(stored_as(x, order, size), axis=axis).channel
        index, largest, median = expected(x, axis)
        assert found == Channel(axis, shape[axis], index, largest, median, largest / median)


def test_channels_are_of_finite_values() -> None:
    x = torch.tensor([[1.0, float("nan"), -3.0], [float("inf"), 2.0, 0.5], [0.0, 0.0, -0.0]])
    for size in (1, 2, 9):
        found = tensor_stats(stored_as(x, (0, 1), size), axis=0).channel
        assert found == Channel(0, 3, 0, 3.0, 2.0, 1.5)
    found = tensor_stats(entry_of("x", torch.tensor([[0.0], [0.0], [-7.0]])), axis=0).channel
    assert found == Channel(0, 3, 2, 7.0, 0.0, None)
    found = tensor_stats(entry_of("x", torch.zeros(2, 3)), axis=1).channel
    assert found == Channel(1, 3, 0, 0.0, 0.0, None)
    assert tensor_stats(entry_of("x", torch.zeros(0, 3)), axis=1).channel is None
    large = torch.tensor([1e308, 1.7e308, 1e308, 1.7e308], dtype=torch.float64)
    assert tensor_stats(entry_of("x", large), axis=0).channel == Channel(
        0, 4, 1, 1.7e308, 1.35e308, 1.7e308 / 1.35e308
    )


@pytest.mark.parametrize("name", ["float16", "bfloat16", "float8_e5m2", "float32", *INTEGERS])
def test_moments_of_every_dtype(name: str) -> None:
    dtype = getattr(torch, name)
    whole = torch.arange(-1500, 1500).remainder(2 if name == "bool" else 100).to(dtype)
    values = [Fraction(v) for v in whole.double().tolist()]
    mean = sum(values) / len(values)
    variance = sum((v - mean) ** 2 for v in values) / len(values)
    for block in (17, 1000, 10_000):
        stats = tensor_stats(entry_of("x", whole), block=block)
        assert stats.mean == pytest.approx(float(mean), rel=1e-14)
        assert stats.std is not None
        assert stats.std**2 == pytest.approx(float(variance), rel=1e-13)
