"""What is suspicious about scales, found without the codes."""

from __future__ import annotations

import struct
from dataclasses import replace
from pathlib import Path

import pytest

from fpx.tensors.opening import open_all
from tests import quantised_writers as writers
from tests.quantised_writers import Made, Raw
from tests.tensors.quantised.test_layouts import weight


def doubts(made: Made, folder: Path) -> tuple[str, ...]:
    return weight(open_all([made.write(folder)]), made.name)[1].doubts()


def scales(made: Made, name: str, *codes: int) -> Made:
    """It with other first codes of scales."""
    raw = made.tensors[name]
    return made.with_(name, replace(raw, data=bytes(codes) + raw.data[len(codes) :]))


NV = writers.nvfp4("modelopt")
CT = writers.nvfp4("compressed-tensors")


def test_nothing_is_wrong(tmp_path: Path) -> None:
    assert doubts(NV, tmp_path) == ()
    assert doubts(CT, tmp_path) == ()
    assert doubts(writers.deepseek(), tmp_path) == ()


def test_dead_blocks_and_nan_and_negative_scales(tmp_path: Path) -> None:
    made = scales(NV, "a.weight_scale", 0x7E, 0, 0x80, 0, 0x7F, 0xFF, 0xB8)
    dead, nan, negative = doubts(made, tmp_path)
    assert dead == "3 of 24 scales are 0: their blocks are all 0, whatever their codes"
    assert nan == "2 of 24 scales are NaN or infinite, and so are their blocks"
    assert negative == "1 of 24 scales are negative"


def test_what_pads_tiles_is_no_dead_block(tmp_path: Path) -> None:
    assert doubts(writers.nvfp4("comfyui"), tmp_path) == ()
    made = writers.nvfp4("comfyui")
    raw = made.tensors["a.weight_scale"]
    data = bytearray(raw.data)
    data[0] = 0
    (dead,) = doubts(made.with_("a.weight_scale", replace(raw, data=bytes(data))), tmp_path)[:1]
    assert dead.startswith("1 of 24 scales are 0")


@pytest.mark.parametrize(
    ("value", "says"),
    [(0.0, "is 0"), (float("nan"), "is not finite"), (float("inf"), "is not finite")],
)
def test_global_scales_that_are_no_numbers(value: float, says: str, tmp_path: Path) -> None:
    made = NV.with_("a.weight_scale_2", Raw("F32", (), struct.pack("<f", value)))
    assert f"the global scale a.weight_scale_2 {says}" in doubts(made, tmp_path)


def test_a_divisor_where_a_multiplier_is_expected(tmp_path: Path) -> None:
    made = NV.with_("a.weight_scale_2", writers.floats([2688], ()))
    (line,) = doubts(made, tmp_path)
    assert "multiplies and is 2688" in line
    made = CT.with_("a.weight_global_scale", writers.floats([0.001], (1,)))
    (line,) = doubts(made, tmp_path)
    assert "divides and is 0.001" in line


def test_a_global_scale_that_is_shared(tmp_path: Path) -> None:
    raw = NV.tensors["a.weight_scale"]
    made = NV.with_("a.weight_scale", replace(raw, data=bytes([0x60] * 24)))
    (line,) = doubts(made, tmp_path)
    assert "the largest block scale is 32" in line


def test_code_255_of_gpt_oss(tmp_path: Path) -> None:
    assert doubts(writers.gpt_oss(), tmp_path) == (
        "1 of 24 scales have code 255: 2^128 to gpt-oss, NaN in OCP's MX",
    )


def test_plain_scales(tmp_path: Path) -> None:
    data = struct.pack("<6f", 0, float("nan"), -1, 1, 2, 3)
    made = writers.scaled_fp8((6, 1), (1, 40)).with_("a.weight_scale", Raw("F32", (6, 1), data))
    assert doubts(made, tmp_path) == (
        "1 of 6 scales are 0",
        "1 of 6 scales are NaN or infinite, and so are their blocks",
        "1 of 6 scales are negative",
    )


@pytest.mark.parametrize(
    ("made", "value", "says"),
    [
        (NV, 1.0, ""), (NV, 1.5, "what a divisor looks like"),
        (CT, 1.0, ""), (CT, 0.75, "what a multiplier looks like"), (CT, 0.0, "is 0"),
    ],
)  # fmt: skip
def test_the_direction_of_a_global_scale_shows_from_1_on(
    made: Made, value: float, says: str, tmp_path: Path
) -> None:
    name = next(each for each in made.tensors if each.endswith(("_scale_2", "_global_scale")))
    raw = made.tensors[name]
    found = doubts(made.with_(name, replace(raw, data=struct.pack("<f", value))), tmp_path)
    assert [line for line in found if "global scale" in line] == list(found)
    assert len(found) == bool(says)
    assert all(says in line for line in found)


@pytest.mark.parametrize(("top", "told"), [(0x78, False), (0x77, True)])  # 256 and 240
def test_a_largest_scale_of_256_is_as_encoders_make_it(
    top: int, told: bool, tmp_path: Path
) -> None:
    raw = NV.tensors["a.weight_scale"]
    data = bytes([top] + [0x38] * (len(raw.data) - 1))
    found = doubts(NV.with_("a.weight_scale", replace(raw, data=data)), tmp_path)
    assert bool(found) == told
