"""What block the shapes of numbers and of scales mean."""

from __future__ import annotations

import pytest

from fpx.tensors.quantised.geometry import block_of


@pytest.mark.parametrize(
    ("shape", "scales", "block"),
    [
        ((300, 200), (3, 2), (128, 128)),
        ((6, 300), (6, 3), (1, 128)),  # the last block is cut short
        ((300, 6), (3, 6), (128, 1)),
        ((6, 96), (6, 3), (1, 32)),
        ((6, 300), (6, 4), None),
        ((6, 300), (6, 0), None),
        ((6, 300), (6, 301), None),
    ],
)
def test_block_of(
    shape: tuple[int, ...], scales: tuple[int, ...], block: tuple[int, ...] | None
) -> None:
    assert block_of(shape, scales) == block
