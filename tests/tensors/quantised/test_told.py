"""`--as`: what a user says of a weight counts, and what cannot be is one line."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from fpx.core.packing import Packing
from fpx.errors import InputError
from fpx.tensors.opening import open_all
from fpx.tensors.quantised.model import Evidence
from fpx.tensors.quantised.told import parse
from tests import quantised_writers as writers
from tests.quantised_writers import Made, Raw
from tests.tensors.quantised.test_layouts import same, weight


def renamed(made: Made, **names: str) -> Made:
    """It with tensors of names that no layout has."""
    tensors = {names.get(key.removeprefix("a."), key): raw for key, raw in made.tensors.items()}
    return replace(made, tensors=tensors)


NV = {"weight": "W", "weight_scale": "S", "weight_scale_2": "G"}
PACKED = {"weight_packed": "W", "weight_scale": "S", "weight_global_scale": "G"}
HALVES = [code for block in range(6) for j in range(16) for code in (j, 15 - j)]


def halves() -> Made:
    """MXFP4 whose blocks have split halves, as GGUF's have, with scales beside."""
    codes = writers.codes_of(6 * 32, 4)
    data = bytes(
        codes[32 * block + at] | codes[32 * block + at + 16] << 4
        for block in range(6)
        for at in range(16)
    )
    scales = writers.e8m0(6)
    given = [writers.value_of(each, writers.E8M0) for each in scales]
    values = writers.numbers(codes, writers.FP4, (3, 64), (1, 32), given)
    tensors = {"W": Raw("U8", (3, 32), data), "S": Raw("U8", (3, 2), bytes(scales))}
    return Made(tensors, "W", (3, 64), values)


@pytest.mark.parametrize(
    ("made", "told"),
    [
        (
            renamed(writers.nvfp4("comfyui", (130, 80)), **NV),
            "W=nvfp4,scale=S,global=G,nibbles=high,swizzled",
        ),
        (renamed(writers.nvfp4("modelopt"), **NV), "W=nvfp4,scale=S,global=G"),
        (
            renamed(writers.nvfp4("compressed-tensors"), **PACKED),
            "W=nvfp4,scale=S,global=G,divides",
        ),
        (
            renamed(writers.nvfp4("modelopt"), **NV),
            "W=e2m1:block=16,scale=e4m3fn,global=float32,scale=S,global=G,shape=6x64",
        ),
        (renamed(writers.mx("float6_e3m2fn"), **NV), "W=mxfp6_e3m2,scale=S"),
        (
            renamed(writers.mx("float6_e2m3fn", one_per_byte=True), **NV),
            "W=mxfp6_e2m3,scale=S,nibbles=bytes",
        ),
        (renamed(writers.mx("float8_e4m3fn"), **NV), "W=mxfp8,scale=S"),
        (halves(), "W=mxfp4,scale=S,nibbles=halves"),
        (
            renamed(writers.scaled_fp8((6, 1), (1, 40)), **NV), "W=e4m3fn:channel,scale=S",
        ),
        (renamed(writers.scaled_fp8((), (6, 40)), **NV), "W=e4m3fn:tensor,scale=S"),
        (
            renamed(writers.scaled_fp8((2, 2), (4, 32), (6, 40)), **NV),
            "W=e4m3fn:block=4x32,scale=S",
        ),
        (
            renamed(writers.bitsandbytes(), **{"weight": "W", "weight.absmax": "S"}),
            "W=nf4,scale=S,shape=5x40",
        ),
    ],
)  # fmt: skip
def test_a_weight_is_read_as_it_is_told(made: Made, told: str, tmp_path: Path) -> None:
    found = open_all([made.write(tmp_path)], as_=[told])
    entry, quantised = weight(found, "W")
    assert (entry.shape, quantised.evidence, quantised.recognised_by) == (
        made.shape, Evidence.TOLD, told,
    )  # fmt: skip
    assert same(torch.cat(list(entry.blocks(1 << 16))).tolist(), made.values)
    box = tuple(range(length // 3, length - length // 4) for length in made.shape)
    part = entry.part(box, 50)
    assert quantised.follow is not None
    place = entry.position(tuple(along.start for along in box))
    assert float(part.reshape(-1)[0]) == float(made.values[place] or 0)
    for at in range(0, entry.count, 7):
        assert quantised.follow(entry.index(at)).value == made.values[at]


def test_what_is_told_overrides_what_is_recognised(tmp_path: Path) -> None:
    path = writers.nvfp4("compressed-tensors").write(tmp_path)
    plain, _ = weight(open_all([path]), "a.weight")
    told = "a.weight_packed=nvfp4,nibbles=high,divides"
    other, quantised = weight(open_all([path], as_=[told]), "a.weight")
    assert quantised.packing is Packing.HIGH_FIRST
    pairs = torch.cat(list(plain.blocks(999))).view(-1, 2)
    assert torch.equal(torch.cat(list(other.blocks(999))).view(-1, 2), pairs.flip(1))


def test_scales_that_are_called_as_usual_need_no_name(tmp_path: Path) -> None:
    made = writers.nvfp4("modelopt", (128, 64))
    entry, _ = weight(open_all([made.write(tmp_path)], as_=["a.weight=nvfp4"]), "a.weight")
    assert same(torch.cat(list(entry.blocks(1 << 16))).tolist(), made.values)


def test_a_weight_in_only_one_of_several_sources(tmp_path: Path) -> None:
    made = renamed(writers.nvfp4("modelopt"), **NV)
    path = made.write(tmp_path)
    other = writers.gpt_oss().write(tmp_path, "other.safetensors")
    found = open_all([other, path], as_=["W=nvfp4,scale=S,global=G"])
    assert weight(found, "W")[1].evidence is Evidence.TOLD
    with pytest.raises(InputError, match="no source has a tensor of that name"):
        open_all([other], as_=["W=nvfp4,scale=S,global=G"])
    assert open_all([other], as_=["W=nvfp4"], elsewhere=True).strange == ("W=nvfp4",)


@pytest.mark.parametrize(
    ("told", "why"),
    [
        ("", "write W=FORMAT"),
        ("W", "write W=FORMAT"),
        ("W=", "write W=FORMAT"),
        ("=nvfp4", "write W=FORMAT"),
        ("W=nvfp5", "nvfp5"),
        ("W=nvfp4,scales=S", "did you mean 'scale'?"),
        ("W=nvfp4,scale=S,scale=S", "scale comes twice"),
        ("W=nvfp4,swizzled=yes", "no 'swizzled=yes'"),
        ("W=nvfp4,scale", "no 'scale'"),
        ("W=nvfp4,nibbles=middle", "nibbles are low, high, halves, bytes"),
        ("W=nvfp4,shape=6", "bytes"),
        ("W=nvfp4,shape=6x", "a shape is written 4096x14336"),
        ("W=nvfp4,shape=0x4", "a shape is written 4096x14336"),
        ("W=nvfp4,scale=S,shape=6x65,global=G", "and [6, 65] of float4_e2m1fn takes 195"),
        ("W=nvfp4,global=G", "say which tensor has its scales"),
        ("W=nvfp4,scale=S", "say which tensor has its global scale"),
        ("W=nvfp4,scale=T,global=G", "no tensor 'T' there"),
        ("W=nvfp4,scale=S,global=T", "no tensor 'T' there"),
        ("W=nvfp4,scale=S,global=S", "'S' is not one number"),
        ("W=nvfp4,scale=G,global=G", "has 1 scales and [6, 64] needs 24 (a scale per block of 16)"),
        ("W=mxfp4,scale=S", "'S' is F8_E4M3, and no float8_e8m0fnu"),
        ("W=nvfp4,scale=S,global=G,swizzled", "has 24 scales and [6, 64] needs 512"),
        ("W=e2m1fn,scale=S", "float4_e2m1fn has no scales: say what shares one"),
        ("W=bf16:channel,scale=S", "'W' is U8"),
        ("W=mxfp6_e2m3,scale=S", "rows of 32 bytes hold no whole number of float6_e2m3fn"),
        ("W=e4m3fn:channel=3,scale=S", "shape [6, 32] has no axis 3"),
        ("W=nvfp4:block=48,scale=S,global=G,nibbles=halves,shape=6x64", ""),
    ],
)
def test_what_cannot_be_is_one_line(told: str, why: str, tmp_path: Path) -> None:
    path = renamed(writers.nvfp4("modelopt"), **NV).write(tmp_path)
    with pytest.raises(InputError) as error:
        open_all([path], as_=[told])
    message = str(error.value)
    assert message.startswith("`as_` '")
    assert why in message
    assert "\n" not in message


def test_the_same_tensor_twice(tmp_path: Path) -> None:
    path = writers.nvfp4("modelopt").write(tmp_path)
    with pytest.raises(InputError, match="said before"):
        open_all([path], as_=["a.weight=nvfp4", "a.weight=nvfp4,nibbles=high"])


def test_stored_and_told_exclude_each_other(tmp_path: Path) -> None:
    path = writers.nvfp4("modelopt").write(tmp_path)
    with pytest.raises(InputError, match="choose one"):
        open_all([path], stored=True, as_=["a.weight=nvfp4"])


def test_names_may_have_most_signs() -> None:
    assert parse(" a.b[0]:c =nvfp4").weight == "a.b[0]:c"
