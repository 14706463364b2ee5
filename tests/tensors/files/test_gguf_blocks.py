"""GGUF's block types as the numbers that they mean: against the library, and against fractions."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from fractions import Fraction
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fpx.core.blocks import BLOCK_FORMATS
from fpx.core.formats import FORMATS
from fpx.core.packing import Packing
from fpx.core.scaling import Reach
from fpx.core.targets import find_target
from fpx.errors import InputError
from fpx.tensors.entry import TensorEntry
from fpx.tensors.files import gguf_blocks
from fpx.tensors.files.gguf_types import BLOCK_TYPES, BlockType, mxfp4_scale, nvfp4_scale
from fpx.tensors.opening import open_all
from fpx.tensors.quantised.model import Evidence, Quantised, ScaleTensor
from tests.helpers import call, memory_of
from tests.tensors.reading import notes, open_files, read, refused
from tests.writers import gguf

IN_FILES = [row for row in BLOCK_TYPES.values() if row.in_files]
OURS = [row for row in IN_FILES if not row.by_library]
BY_NAME = {row.name: row for row in BLOCK_TYPES.values()}
NO_GGUF = "gguf is not installed: pip install fpx-cli[gguf]"

Raw = dict[str, tuple[int, tuple[int, ...], bytes]]


def named(row: BlockType) -> str:
    return row.name


def random_bytes(count: int, seed: int = 0) -> bytes:
    return np.random.default_rng(seed).integers(0, 256, count, dtype=np.uint8).tobytes()


def write(path: Path, tensors: Raw) -> Path:
    path.write_bytes(gguf(tensors))
    return path


def of(type_: str | BlockType, shape: tuple[int, ...], seed: int = 0) -> tuple[int, Any, bytes]:
    """A tensor of random blocks."""
    row = BY_NAME[type_] if isinstance(type_, str) else type_
    count = int(np.prod(shape)) // row.elements
    return row.code, shape, random_bytes(count * row.nbytes, seed)


def entries(path: Path) -> dict[str, TensorEntry]:
    return {entry.name: entry for source in open_files(str(path)) for entry in source.entries}


def quantised(entry: TensorEntry) -> Quantised:
    assert entry.quantised is not None
    return entry.quantised


def floats(*numbers: float) -> bytes:
    return struct.pack(f"<{len(numbers)}f", *numbers)


# -- against the library ---------------------------------------------------------------------------


def test_the_table_is_that_of_the_library() -> None:
    constants = pytest.importorskip("gguf.constants", reason=NO_GGUF)
    sizes = {kind.value: (kind.name, *constants.GGML_QUANT_SIZES[kind])
             for kind in constants.GGMLQuantizationType}  # fmt: skip
    for code, row in BLOCK_TYPES.items():
        assert sizes[code] == (row.name, row.elements, row.nbytes)
    plain = {"F32", "F16", "BF16", "F64", "I8", "I16", "I32", "I64"}
    assert {name for name, *_ in sizes.values()} == plain | {r.name for r in BLOCK_TYPES.values()}


@pytest.mark.parametrize("row", [r for r in IN_FILES if r.name != "Q1_0"], ids=named)
def test_blocks_are_what_the_library_makes_of_them(row: BlockType, tmp_path: Path) -> None:
    """The library rounds to float32 once at most; fpx does not."""
    quants = pytest.importorskip("gguf.quants", reason=NO_GGUF)
    constants = pytest.importorskip("gguf.constants", reason=NO_GGUF)
    kind, shape, raw = of(row, (2, 1500, 2 * row.elements))
    found = read(write(tmp_path / "x.gguf", {"q": (kind, shape, raw)}), 997)["q"]
    assert found.dtype == torch.float64
    few = {"q": (kind, (2, *shape[2:]), raw[: 4 * row.nbytes])}
    by_threes = read(write(tmp_path / "few.gguf", few), 3)["q"]
    assert np.array_equal(by_threes.numpy(), found[0, :2].numpy(), equal_nan=True)
    blocks = np.frombuffer(raw, dtype=np.uint8).reshape(*shape[:-1], -1)
    with np.errstate(all="ignore"):
        wanted = quants.dequantize(blocks, constants.GGMLQuantizationType(kind))
        ours = found.numpy().astype(np.float32)
    assert np.array_equal(ours, wanted, equal_nan=True)
    assert np.isnan(wanted).mean() < 0.1  # most say something


# -- against fractions -----------------------------------------------------------------------------


def half(number: float) -> bytes:
    return np.float16(number).tobytes()


def test_blocks_made_by_hand(tmp_path: Path) -> None:
    """Each with a few elements that are worked out from ggml's description of the block."""
    nibbles = bytes(range(16))  # element j is j, element 16 + j is 0
    high = bytes([0b00000101, 0, 0, 0x80])  # the fifth bits of elements 0, 2 and 31
    six = bytes([1 | 3 << 6, 2, 3, 4, 5 | 2 << 6, 6, 7, 8, 9 | 10 << 4, 0, 0, 0])
    cases: dict[str, tuple[bytes, dict[int, float]]] = {
        "Q4_0": (half(0.5) + nibbles, {0: -4, 15: 3.5, 16: -4, 31: -4}),
        "Q4_1": (half(0.5) + half(-3) + nibbles, {0: -3, 15: 4.5, 31: -3}),
        "Q5_0": (half(2) + high + nibbles, {0: 0, 1: -30, 2: 4, 15: -2, 31: 0, 30: -32}),
        "Q5_1": (half(2) + half(1) + high + nibbles, {0: 33, 1: 3, 2: 37, 31: 33, 30: 1}),
        "Q8_0": (half(0.25) + bytes(range(240, 256)) + bytes(range(16)),
                 {0: -4, 15: -0.25, 31: 3.75}),
        # sub-block 0: scale 1, minimum 5; 4: scale 9 + 3 * 16, minimum 10 + 2 * 16
        "Q4_K": (half(0.5) + half(0.25) + six + bytes([0x21]) * 128,
                 {0: 0.5 * 1 * 1 - 0.25 * 5, 31: 0.5 - 1.25, 32: 0.5 * 2 * 2 - 0.25 * 6,
                  64: 0.5 * 3 - 0.25 * 7, 128: 0.5 * 57 - 0.25 * 42, 160: -0.0}),
        "Q5_K": (half(0.5) + half(0.25) + six + bytes([0b00010001]) * 32 + bytes([0x21]) * 128,
                 {0: 0.5 * 17 - 0.25 * 5, 32: 0.5 * 2 * 2 - 0.25 * 6,
                  128: 0.5 * 57 * 17 - 0.25 * 42}),
        "Q6_K": (bytes([0x21]) * 128 + bytes([0b11100100]) * 64 + b"\1" * 15 + b"\xfe" + half(3),
                 {0: 3 * (1 - 32), 32: 3 * (1 + 16 - 32), 64: 3 * (2 + 32 - 32),
                  96: 3 * (2 + 48 - 32), 128: 3 * (1 - 32), 255: -2 * 3 * (2 + 48 - 32)}),
        "Q2_K": (bytes([0x21]) * 15 + bytes([0x43]) + bytes([0b11100100]) * 64 + half(2) + half(4),
                 {0: 0 - 8, 32: 2 - 8, 64: 4 - 8, 96: 6 - 8, 128: -8, 255: 3 * 2 * 3 - 16}),
        "Q3_K": (bytes([0b1]) * 32 + bytes([0b11100100]) * 64 + bytes([0x21]) * 8 + bytes([0b1100])
                 + bytes(3) + half(2),
                 {0: 2 * (1 - 32) * 0, 32: 2 * (1 - 32) * (1 - 4), 64: 2 * (49 - 32) * (2 - 4),
                  128: 2 * (2 - 32) * (0 - 4)}),
        "IQ4_NL": (half(2) + nibbles, {0: -254, 7: -20, 8: 2, 15: 226, 16: -254}),
        "IQ4_XS": (half(2) + bytes([0b1101, 0]) + bytes([0x21]) * 4 + bytes([0xF0]) * 128,
                   {0: 2 * (17 - 32) * -127, 16: 2 * (17 - 32) * 113, 32: 2 * (2 + 48 - 32) * -127,
                    255: 2 * (2 - 32) * 113}),
        "TQ1_0": (bytes([255, 0, 128]) + bytes(49) + half(2),
                  {0: 2, 1: -2, 2: 0, 32: 2, 33: -2}),
        "TQ2_0": (bytes([0b11100100]) * 64 + half(2), {0: -2, 32: 0, 64: 2, 96: 4, 128: -2}),
        "MXFP4": (bytes([128]) + bytes([0x21, 0xF7]) + bytes(14),
                  {0: 1, 1: 12, 16: 2, 17: -12, 2: 0}),
        "NVFP4": (bytes([0x38, 0x40, 0x7F, 0]) + bytes([0x21] + [0] * 7) * 4,
                  {0: 0.5, 8: 1, 16: 1, 24: 2, 32: 0, 48: 0}),
        "Q1_0": (half(2) + bytes([0b101]) + bytes(14) + bytes([0x80]),
                 {0: 2, 1: -2, 2: 2, 3: -2, 126: -2, 127: 2}),
    }  # fmt: skip
    assert set(cases) == {row.name for row in OURS}
    for name, (block, wanted) in cases.items():
        row = BY_NAME[name]
        assert len(block) == row.nbytes, name
        path = write(tmp_path / "x.gguf", {"q": (row.code, (row.elements,), block)})
        found = read(path)["q"]
        assert {place: found[place].item() for place in wanted} == wanted, name


@pytest.mark.parametrize("row", [r for r in OURS if r.name != "TQ1_0"], ids=named)
def test_every_element_can_be_followed(row: BlockType, tmp_path: Path) -> None:
    shape = (2, 3, 2 * row.elements)
    path = write(tmp_path / "x.gguf", {"before": of("Q8_0", (32,)), "q": of(row, shape, 7)})
    entry = entries(path)["q"]
    values = read(path)["q"]
    stored = np.frombuffer(of(row, shape, 7)[2], dtype=np.uint8)
    stored = stored.reshape(quantised(entry).stored_shape)
    follow = quantised(entry).follow
    assert follow is not None
    finite = 0
    for index in product(*map(range, shape)):
        found, value = follow(index), values[index].item()
        if np.isfinite(value):
            finite += 1
            assert found.value == Fraction(value), index
        else:
            assert found.value is None
        element, *scales = found.parts
        assert element.role == "element"
        assert {part.tensor for part in found.parts} == {"q"}
        for part in found.parts:
            byte = int(stored[part.index])
            assert part.stored in (None, byte)
            if part.bits == 8:
                assert part.code == byte
            elif part.bits == 16:
                assert part.code == byte + 256 * int(stored[(*part.index[:-1], part.index[-1] + 1)])
            elif part.bits == 4:
                assert part.code in (byte & 15, byte >> 4)
            elif part.bits < 4 and row.name != "Q3_K":  # whose third bit is elsewhere
                assert part.code in {byte >> shift & (1 << part.bits) - 1 for shift in range(8)}
        assert scales
    assert finite > 0.8 * values.numel()


def test_formulas(tmp_path: Path) -> None:
    shifted = "element × scale × scale of scales - minimum × scale of minima"
    wanted = {
        "Q4_0": "element × scale", "Q4_1": "element × scale + minimum", "Q4_K": shifted,
        "Q2_K": shifted, "Q6_K": "element × scale × scale of scales", "MXFP4": "element × scale",
    }  # fmt: skip
    for name, formula in wanted.items():
        size = BY_NAME[name].elements
        tensors: Raw = {"q": of(name, (size,)), "q.scale": (0, (1,), floats(0.5))}
        entry = entries(write(tmp_path / "x.gguf", {"q": tensors["q"]}))["q"]
        follow = quantised(entry).follow
        assert follow is not None
        assert follow((3,)).formula == formula
        follow = quantised(entries(write(tmp_path / "x.gguf", tensors))["q"]).follow
        assert follow is not None
        shown = f"({formula})" if "+" in formula or "-" in formula else formula
        assert follow((3,)).formula == f"{shown} × global scale"


def test_a_q4_k_is_followed_to_its_bytes(tmp_path: Path) -> None:
    six = bytes([1 | 3 << 6, 2, 3, 4, 5 | 2 << 6, 6, 7, 8, 9 | 10 << 4, 0, 0, 0])
    block = half(0.5) + half(0.25) + six + bytes([0x21]) * 128
    path = write(tmp_path / "x.gguf", {"q": (12, (2, 256), bytes(144) + block)})
    follow = quantised(entries(path)["q"]).follow
    assert follow is not None
    found = follow((1, 130))
    assert found.value == Fraction(18)
    assert [
        (p.role, p.index, p.format, p.code, p.bits, p.value, p.stored) for p in found.parts
    ] == [
        ("element", (1, 16 + 66), "uint4", 1, 4, 1, 0x21),
        ("scale", (1, 12), "uint6", 57, 6, 57, 0xA9),
        ("scale of scales", (1, 0), "float16", 0x3800, 16, Fraction(1, 2), None),
        ("minimum", (1, 12), "uint6", 42, 6, 42, 0xA9),
        ("scale of minima", (1, 2), "float16", 0x3400, 16, Fraction(1, 4), None),
    ]


def test_scales_that_ggml_reads_its_own_way(tmp_path: Path) -> None:
    assert mxfp4_scale(0xFF) == 2**128
    assert mxfp4_scale(0) == Fraction(1, 2**127)
    assert [nvfp4_scale(code) for code in (0, 0x7F)] == [0, 0]
    e4m3 = FORMATS["float8_e4m3fn"]
    assert nvfp4_scale(1) == Fraction(1, 512)
    assert nvfp4_scale(8) == Fraction(1, 64)
    assert nvfp4_scale(0x7E) == e4m3.max_finite.fraction
    assert nvfp4_scale(0xB8) == nvfp4_scale(0x38) == 1  # there is no sign
    path = write(tmp_path / "x.gguf", {"q": (39, (32,), b"\xff" + b"\x77" * 16)})
    assert read(path)["q"].tolist() == [6 * 2.0**128] * 32
    path = write(tmp_path / "x.gguf", {"q": (40, (64,), b"\x7f\0\x38\x01" + b"\x77" * 32)})
    assert read(path)["q"].tolist() == [0] * 32 + [6] * 16 + [6 * 2.0**-9] * 16
    path = write(tmp_path / "x.gguf", {"q": (8, (32,), half(float("nan")) + bytes(32))})
    assert read(path)["q"].isnan().all()


# -- reading ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", [1, 3, 32, 100, 1 << 20])
def test_blocks_of_any_length(limit: int, tmp_path: Path) -> None:
    path = write(tmp_path / "x.gguf", {"q": of("MXFP4", (5, 96))})
    entry, whole = entries(path)["q"], read(path)["q"]
    found = [block.clone() for block in entry.blocks(limit)]
    assert max(map(len, found)) <= limit
    assert torch.equal(torch.cat(found), whole.reshape(-1))
    groups = [block.clone() for block in entry.blocks(max(limit, 32), multiple_of=32)]
    assert all(len(block) % 32 == 0 for block in groups)
    assert torch.equal(torch.cat(groups), whole.reshape(-1))


def boxes(shape: tuple[int, ...], count: int) -> Iterator[tuple[range, ...]]:
    rng = np.random.default_rng(1)
    for _ in range(count):
        ends = [sorted(rng.choice(length + 1, 2, replace=False)) for length in shape]
        yield tuple(range(int(first), int(last)) for first, last in ends)


@pytest.mark.parametrize("limit", [7, 64, 1 << 20])
@pytest.mark.parametrize("scales", [(), (0.5,), (0.5, 3.0, -1.0, 0.25)], ids=len)
def test_parts(limit: int, scales: tuple[float, ...], tmp_path: Path) -> None:
    shape = (4, 5, 192)
    tensors: Raw = {"x.weight": of("NVFP4", shape)}
    if scales:
        tensors["x.scale"] = (0, (len(scales),), floats(*scales))
    path = write(tmp_path / "x.gguf", tensors)
    entry, whole = entries(path)["x.weight"], read(path)["x.weight"]
    for box in boxes(shape, 40):
        cut = whole[tuple(slice(along.start, along.stop) for along in box)]
        assert torch.equal(entry.part(box, limit), cut)


def test_shapes(tmp_path: Path) -> None:
    path = write(tmp_path / "x.gguf", {"none": (39, (0, 32), b""), "one": of("MXFP4", (32,))})
    found = read(path)
    assert found["none"].shape == (0, 32)
    assert found["one"].shape == (32,)
    assert notes(path) == []


# -- what is said of them --------------------------------------------------------------------------


def test_how_they_are_stored(tmp_path: Path) -> None:
    packings = {Packing.SPLIT_HALVES: "Q4_0 Q4_1 IQ4_NL MXFP4 NVFP4", Packing.BYTES: "Q8_0",
                Packing.LOW_FIRST: "Q1_0"}  # fmt: skip
    by_name = {name: packing for packing, names in packings.items() for name in names.split()}
    shares = {"Q2_K": 16, "Q3_K": 16, "Q4_K": 32, "Q5_K": 32, "Q6_K": 16, "NVFP4": 16}
    path = tmp_path / "x.gguf"
    for row in OURS:
        entry = entries(write(path, {"q": of(row, (3, 2 * row.elements))}))["q"]
        found = quantised(entry)
        assert (entry.type, entry.shape) == (FORMATS["float64"], (3, 2 * row.elements))
        assert found.layout == f"GGUF {row.name}"
        assert (found.stored, found.stored_type) == ("q", row.name)
        assert found.stored_shape == (3, 2 * row.nbytes)
        assert found.packing is by_name.get(row.name)
        assert (found.evidence, found.recognised_by) == (Evidence.METADATA, f"ggml type {row.name}")
        assert (found.scales, found.beside, found.doubts()) == ((), (), ())
        assert (found.follow is None) == (row.name == "TQ1_0")
        if row.elements == 32 or row.name in shares:
            assert found.reach == Reach.parse(f"block:{shares.get(row.name, 32)}")
        assert found.element == {"MXFP4": "float4_e2m1fn", "NVFP4": "float4_e2m1fn"}.get(
            row.name, row.element
        )
        if row.name not in ("MXFP4", "NVFP4"):
            assert found.format is None
    mxfp4 = entries(write(path, {"q": of("MXFP4", (32,))}))["q"]
    assert quantised(mxfp4).format is BLOCK_FORMATS["mxfp4"]
    nvfp4 = entries(write(path, {"q": of("NVFP4", (64,))}))["q"]
    assert quantised(nvfp4).format == find_target("nvfp4:global=none")
    paired = write(path, {"q": of("NVFP4", (64,)), "q.scale": (0, (1,), floats(0.5))})
    assert quantised(entries(paired)["q"]).format is BLOCK_FORMATS["nvfp4"]


@pytest.mark.parametrize("weight", ["blk.0.up.weight", "blk.0.up"])
@pytest.mark.parametrize("dotted", ["", ".weight"])
def test_scales_of_the_whole_tensor_multiply(weight: str, dotted: str, tmp_path: Path) -> None:
    stem = f"blk.0.up{dotted}" if weight.endswith("weight") else weight
    kind, shape, raw = of("NVFP4", (2, 64))
    plain = read(write(tmp_path / "plain.gguf", {weight: (kind, shape, raw)}))[weight]
    path = write(tmp_path / "x.gguf", {
        f"{stem}.scale": (0, (1,), floats(2.0**-12)),
        weight: (kind, shape, raw),
        f"{stem}.input_scale": (0, (), floats(0.125)),
        "other.scale": (0, (1,), floats(3)),
    })  # fmt: skip
    found = read(path)
    assert set(found) == {weight, "other.scale"}
    assert torch.equal(found[weight], plain * 2.0**-12)
    about = quantised(entries(path)[weight])
    assert about.scales == (ScaleTensor(f"{stem}.scale", "float32", (1,)),)
    assert about.beside == (f"{stem}.input_scale",)
    assert about.doubts() == ()
    assert about.follow is not None
    part = about.follow((1, 40)).parts[-1]
    assert (part.role, part.tensor, part.index) == ("global scale", f"{stem}.scale", (0,))
    assert (part.format, part.code, part.bits) == ("float32", 0x39800000, 32)
    assert part.value == Fraction(1, 4096)
    assert about.follow((1, 40)).value == Fraction(found[weight][1, 40].item())


def test_scales_of_experts(tmp_path: Path) -> None:
    kind, shape, raw = of("NVFP4", (3, 2, 64))
    plain = read(write(tmp_path / "plain.gguf", {"x.weight": (kind, shape, raw)}))["x.weight"]
    scales = [0.5, 0.0, float("nan")]
    path = write(
        tmp_path / "x.gguf", {"x.weight": (kind, shape, raw), "x.scale": (0, (3,), floats(*scales))}
    )
    found = read(path)["x.weight"]
    assert torch.equal(found[0], plain[0] * 0.5)
    assert not found[1].any()
    assert found[2].isnan().all()
    about = quantised(entries(path)["x.weight"])
    assert about.doubts() == (
        "the global scale 'x.scale' is 0, and with it all that it multiplies (1 of 3 experts)",
        "the global scale 'x.scale' is no finite number (1 of 3 experts)",
    )
    assert about.follow is not None
    for expert in range(3):
        part = about.follow((expert, 1, 5)).parts[-1]
        assert part.index == (expert,)
        assert part.code == struct.unpack("<I", floats(scales[expert]))[0]
    assert about.follow((2, 1, 5)).value is None


@pytest.mark.parametrize(
    ("scale", "type_", "doubt"),
    [
        (2688.0, "NVFP4", "is above 1: it may be meant to divide"),
        (2688.0, "MXFP4", ""),
        (1.0, "NVFP4", ""),
        (-1.0, "MXFP4", "is negative"),
        (0.0, "Q4_K", "is 0, and with it all that it multiplies"),
        (float("inf"), "NVFP4", "is no finite number"),
    ],
)
def test_doubts(scale: float, type_: str, doubt: str, tmp_path: Path) -> None:
    tensors: Raw = {"x.weight": of(type_, (256,)), "x.scale": (0, (1,), floats(scale))}
    about = quantised(entries(write(tmp_path / "x.gguf", tensors))["x.weight"])
    assert about.doubts() == ((f"the global scale 'x.scale' {doubt}",) if doubt else ())


@pytest.mark.parametrize(
    ("scales", "why"),
    [
        ({"x.scale": (0, (3,), bytes(12))}, "its scale 'x.scale' has shape [3], not one float32"),
        ({"x.scale": (0, (0,), b"")}, "its scale 'x.scale' has shape [0], not one float32"),
        ({"x.scale": (1, (1,), bytes(2))}, "its scale 'x.scale' is not float32"),
        ({"x.scale": (40, (64,), bytes(36))}, "its scale 'x.scale' is not float32"),
        (
            {"x.scale": (0, (1,), bytes(4)), "x.weight.scale": (0, (1,), bytes(4))},
            "it has two scales, 'x.scale', 'x.weight.scale'",
        ),
    ],
)
def test_scales_that_do_not_fit(scales: Raw, why: str, tmp_path: Path) -> None:
    """An error of the tensor; all others, the odd scale among them, are read."""
    path = write(tmp_path / "x.gguf", {"x.weight": of("NVFP4", (2, 64)), **scales})
    opened = open_all([path])
    (error,) = opened.errors
    assert error.startswith(f"'{path}': x.weight cannot be read as NVFP4: {why}")
    assert {entry.name for entry in opened.sources[0].entries} == set(scales)
    code, _, err = call("cast-compare", path, "--to", "bf16")
    assert (code, why in err) == (2, True)


def test_what_is_no_scale_of_other_types(tmp_path: Path) -> None:
    """256 numbers beside a Q4_K are something of the model's; so is a `.scale` of plain numbers."""
    path = write(tmp_path / "x.gguf", {
        "x.weight": of("Q4_K", (2, 256)), "x.scale": (0, (256,), bytes(1024)),
        "y.weight": (0, (1,), floats(3)), "y.scale": (0, (1,), floats(2)),
    })  # fmt: skip
    found = read(path)
    assert set(found) == {"x.weight", "x.scale", "y.weight", "y.scale"}
    assert found["y.weight"].item() == 3
    assert quantised(entries(path)["x.weight"]).scales == ()


# -- damage, and what is missing -------------------------------------------------------------------


def test_rows_of_no_whole_blocks(tmp_path: Path) -> None:
    path = write(tmp_path / "x.gguf", {
        "odd": (12, (2, 384), bytes(3 * 144)), "point": (39, (), bytes(17)),
        "x": (0, (1,), bytes(4)),
    })  # fmt: skip
    opened = open_all([path])
    assert [error.removeprefix(f"'{path}': ") for error in opened.errors] == [
        "odd cannot be read as Q4_K: its rows of 384 elements are no whole blocks of 256",
        "point cannot be read as MXFP4: its rows of 1 elements are no whole blocks of 32",
    ]
    assert [entry.name for entry in opened.sources[0].entries] == ["x"]
    refused(write(path, {"odd": (12, (2, 384), bytes(3 * 144))}), "no whole blocks of 256")


def test_types_that_no_file_should_have(tmp_path: Path) -> None:
    path = write(tmp_path / "x.gguf", {
        "a": (9, (32,), bytes(40)), "b": (15, (256,), bytes(292)), "c": (99, (32,), bytes(40)),
        "x": (0, (1,), bytes(4)),
    })  # fmt: skip
    made = "it is made while a model runs, and no file should have it"
    assert notes(path) == [
        f"a: Q8_1 is not read: {made}", f"b: Q8_K is not read: {made}",
        "c: ggml type 99 is not read",
    ]  # fmt: skip
    assert set(read(path)) == {"x"}


def test_without_the_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gguf_blocks, "find_spec", lambda name: None)
    rows = [row for row in IN_FILES if row.by_library]
    path = write(tmp_path / "x.gguf", {row.name: of(row, (2, 256)) for row in IN_FILES})
    missing = "its tables are in the package gguf: install fpx-cli[gguf]"
    assert notes(path) == [f"{row.name}: {row.name} is not read: {missing}" for row in rows]
    assert set(read(path)) == {row.name for row in OURS}
    code, _, err = call("cast-compare", path, "--to", "bf16")
    assert code == 0
    assert err.count(missing) == len(rows)


def test_truncated(tmp_path: Path) -> None:
    data = gguf({"q": of("Q6_K", (2, 256))}, alignment=1)
    path = tmp_path / "x.gguf"
    path.write_bytes(data[:-1])
    refused(path, "'q' runs past its end")
    path.write_bytes(data)
    entry = entries(path)["q"]
    path.write_bytes(data[:-1])  # while it is open
    for use in (
        lambda: list(entry.blocks(1000)),
        lambda: list(entry.read_box(1000, (range(1, 2), range(250, 256)))),  # type: ignore[misc]
        lambda: quantised(entry).follow((1, 255)),  # type: ignore[misc]
    ):
        with pytest.raises(InputError, match="ends too early"):
            use()
    path = write(tmp_path / "y.gguf", {"q": of("Q6_K", (256,)), "q.scale": (0, (1,), bytes(4))})
    entry = entries(path)["q"]
    path.write_bytes(path.read_bytes()[:-32])
    with pytest.raises(InputError, match="ends too early"):
        list(entry.blocks(1000))


def test_memory_stays_flat(tmp_path: Path) -> None:
    """60 million elements of 34 MB, which are 480 MB of float64."""
    path = write(tmp_path / "x.gguf", {"q": (39, (3, 20_000_000), b"")})
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size + 3 * 20_000_000 // 32 * 17)
    found = memory_of("cast-compare", path, "--to", "bf16", "--json")
    assert (found.code, found.err) == (0, "")
    assert '"count": 60000000' in found.out
    assert found.megabytes < 250


def test_they_are_cast_and_inspected(tmp_path: Path) -> None:
    path = write(tmp_path / "x.gguf", {"q": (39, (32,), b"\x7f" + b"\x27" * 16)})  # 6 and 1
    code, out, err = call("cast-compare", path, "--to", "e4m3fn", "--json")
    assert (code, err) == (0, "")
    assert '"max_abs_error": 0.0' in out
    code, out, err = call("inspect", path, "--tensor", "q", "--stats", "--json")
    assert (code, err) == (0, "")
    assert '"max": 6.0' in out
