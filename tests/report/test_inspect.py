"""Groups of tensors whose names differ in numbers."""

from __future__ import annotations

import random
import re
from itertools import product

import pytest

from fpx.report.inspect_row import TensorInfo
from fpx.report.tensor_groups import groups


def info(name: str, **more: object) -> TensorInfo:
    kinds: dict[str, object] = {
        "source": "x", "kind": "k", "tensor": name, "dtype": "float32", "shape": (2,),
        "stride": (1,), "storage_offset": 0, "contiguous": True, "count": 2, "bytes": 8,
        "storage": name, "storage_bytes": 8,
    }  # fmt: skip
    return TensorInfo(**{**kinds, **more})  # type: ignore[arg-type]


def named(*names: str) -> list[str]:
    return [group.name for group in groups([info(name) for name in names])]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["a.0.w", "a.1.w", "a.2.w"], ["a.{0..2}.w"]),
        (["a.0.w", "a.1.w"], ["a.{0,1}.w"]),
        (["a.2.w", "a.0.w", "a.1.w"], ["a.{0..2}.w"]),
        (["a.0.w", "a.2.w", "a.4.w", "a.5.w", "a.6.w"], ["a.{0,2,4..6}.w"]),
        (["w1", "w2", "w10"], ["w{1,2,10}"]),
        (["w9", "w10", "w11"], ["w{9..11}"]),
        (["w08", "w09", "w10"], ["w{08..10}"]),
        (["w09", "w010", "w011", "w012"], ["w{09,010..012}"]),
        (["w8", "w09", "w10"], ["w{8,09,10}"]),
        (["w99", "w100", "w099"], ["w{099,99,100}"]),
        (["a0b0", "a0b1", "a1b0", "a1b1"], ["a{0,1}b{0,1}"]),
        (["a0b0", "a0b1", "a1b0"], ["a0b{0,1}", "a1b0"]),
        (["0", "1", "2"], ["{0..2}"]),
        (["alone", "other"], ["alone", "other"]),
        (["a.0", "b", "a.1"], ["a.{0,1}", "b"]),
        ([f"w{n}" for n in range(1, 40, 3)], ["w{1,4,7,10,…,37}"]),
        (["w" + "1" * 30, "w" + "2" * 30], ["w" + "1" * 30, "w" + "2" * 30]),
        (["w٣", "w٤"], ["w٣", "w٤"]),
    ],
)
def test_names(names: list[str], expected: list[str]) -> None:
    assert named(*names) == expected


@pytest.mark.parametrize(
    "other",
    [{"shape": (3,)}, {"dtype": "int8"}, {"contiguous": False}, {"storage_offset": 1},
     {"shares_with": ("x",)}, {"storage_bytes": 16}],
)  # fmt: skip
def test_what_is_described_otherwise_stands_alone(other: dict[str, object]) -> None:
    tensors = [info("w0"), info("w1"), info("w2", **other), info("w3", **other)]
    found = [group.name for group in groups(tensors)]
    alike = "shape" in other or "dtype" in other
    assert found == ["w{0,1}", *(["w{2,3}"] if alike else ["w2", "w3"])]


def spelled(name: str) -> set[str]:
    """Every name that a group's name stands for."""
    parts = re.split(r"\{([^}]*)\}", name)
    sets = []
    for part in parts[1::2]:
        numbers: list[str] = []
        for run in part.split(","):
            low, _, high = run.partition("..")
            numbers += [str(n).zfill(len(low)) for n in range(int(low), int(high or low) + 1)]
        sets.append(numbers)
    return {
        "".join(x for pair in zip(parts[::2], (*numbers, ""), strict=True) for x in pair)
        for numbers in product(*sets)
    }


def test_a_group_stands_for_its_tensors_and_no_others() -> None:
    rng = random.Random(0)
    for _ in range(300):
        names = {f"l{rng.randrange(4)}.h{rng.randrange(3)}.{rng.choice('ab')}" for _ in range(14)}
        found = groups([info(name) for name in names])
        for group in found:
            assert spelled(group.name) == {tensor.tensor for tensor in group.tensors}
        assert sorted(t.tensor for group in found for t in group.tensors) == sorted(names)
