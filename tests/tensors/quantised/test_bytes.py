"""Stretches of tensors: boxes of places, and places of boxes."""

from __future__ import annotations

from itertools import product
from math import prod

import pytest

from fpx.tensors.quantised.bytes import boxes_between, runs


def places(shape: tuple[int, ...], box: tuple[range, ...]) -> list[int]:
    found = []
    for index in product(*box):
        place = 0
        for at, length in zip(index, shape, strict=True):
            place = place * length + at
        found.append(place)
    return found


@pytest.mark.parametrize("shape", [(), (7,), (3, 4), (2, 3, 4), (2, 1, 3, 2), (1, 5)])
def test_every_stretch_is_its_boxes(shape: tuple[int, ...]) -> None:
    count = prod(shape)
    for start in range(count + 1):
        for stop in range(start, count + 1):
            boxes = list(boxes_between(shape, start, stop))
            if shape:
                found = [place for box in boxes for place in places(shape, box)]
                assert found == list(range(start, stop))
            assert len(boxes) <= max(2 * len(shape) - 1, 1)


@pytest.mark.parametrize("shape", [(7,), (3, 4), (2, 3, 4), (2, 2, 3, 2)])
def test_every_box_is_its_stretches(shape: tuple[int, ...]) -> None:
    spans = [[range(a, b) for a in range(n) for b in range(a + 1, n + 1)] for n in shape]
    for box in product(*spans):
        found = [place for start, stop in runs(shape, box) for place in range(start, stop)]
        assert found == places(shape, box)
