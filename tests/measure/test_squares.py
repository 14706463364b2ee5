"""Sums of squares that neither overflow nor vanish."""

from __future__ import annotations

import pytest
import torch

from fpx.measure.squares import ScaledSquares


def test_norms_of_huge_and_tiny_values() -> None:
    for scale in (1e-300, 1.0, 1e300):
        x = torch.tensor([3.0, 4.0], dtype=torch.float64) * scale
        assert ScaledSquares.of(x, 4.0 * scale).root() == pytest.approx(5 * scale, rel=1e-14)
    big, small = ScaledSquares.of(x, 4e300), ScaledSquares(25.0)
    assert big.ratio_db(small) == pytest.approx(6000)
    assert (big + small).root() == pytest.approx(5e300)


def test_sums_of_unlike_exponents() -> None:
    small, large = ScaledSquares(3.0, -1), ScaledSquares(5.0, 1)  # 3 / 4 and 5 × 4
    for total in (small + large, large + small):
        assert total == ScaledSquares(5.0 + 3 / 16, 1)
