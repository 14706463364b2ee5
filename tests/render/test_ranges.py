"""Number lines."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest

from fpx.core.names import find_format
from fpx.render.number_lines import NumberLines
from tests.helpers import call, drawn


def test_number_lines_tell_normals_from_subnormals() -> None:
    _, out, _ = call("range", "--dtype", "fp16", "--dtype", "e4m3fn")
    lines = [line for line in out.splitlines() if "█" in line]
    assert lines[0].startswith(" float16")
    assert lines[0].index("░") < lines[1].index("░")
    assert lines[0].rindex("█") > lines[1].rindex("█")


@pytest.mark.parametrize("width", [40, 50, 79, 80, 81, 97, 120])
@pytest.mark.parametrize("names", [["fp32", "fp64"], ["fp128"], ["e19m4", "e5m2"], ["fp16"]])
def test_exponents_above_number_lines_are_whole_and_apart(names: list[str], width: int) -> None:
    axis, *lines = drawn(NumberLines([find_format(name) for name in names]), width).splitlines()
    labels = [int(label) for label in axis.split()]
    steps = {right - left for left, right in pairwise(labels)}
    assert len(steps) == (len(labels) > 1), axis
    for step in steps:
        assert re.fullmatch("10*|20*|50*", str(step))
        assert all(label % step == 0 for label in labels)
    assert len(axis) <= max(map(len, lines))
