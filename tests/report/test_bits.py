"""Raw bytes as codes, however they come."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import fpx
from fpx.core.names import find_format
from fpx.core.packing import Packing
from fpx.report.bits import ROW, bits_stream

DATA = bytes(range(1, 100))
DENSE = [packing for packing in Packing if packing is not Packing.SPLIT_HALVES]


@pytest.mark.parametrize(
    ("dtype", "packing", "length", "codes", "leftover"),
    [
        ("float32", None, 5, 1, 1),
        ("float32", None, 7, 1, 3),
        ("float32", None, 3, 0, 3),
        ("bfloat16", None, 5, 2, 1),
        ("bfloat16", None, 4, 2, 0),
        ("float4_e2m1fn", None, 3, 6, 0),
        ("float6_e3m2fn", None, 1, 1, 0),  # two bits over are padding, and no byte
        ("float6_e3m2fn", Packing.BYTES, 2, 2, 0),
        ("e5m7", None, 1, 0, 1),
        ("e5m7", Packing.HIGH_FIRST, 3, 1, 1),  # 24 bits: one code of 13, and 11 over
        ("e5m7", Packing.HIGH_FIRST, 4, 2, 0),
    ],
)
def test_leftover_bytes(
    dtype: str, packing: Packing | None, length: int, codes: int, leftover: int
) -> None:
    report = fpx.bits(DATA[:length], dtype, packing=packing)
    assert (len(report), report.leftover_bytes) == (codes, leftover)
    assert report.to_dict()["leftover_bytes"] == leftover
    if codes:
        assert fpx.bits(DATA[:length], dtype, packing=packing, count=codes).leftover_bytes == 0


@given(
    st.binary(max_size=200),
    st.sampled_from(["fp4", "float6_e3m2fn", "e4m3fn", "bf16", "float32", "e5m7"]),
    st.sampled_from([None, *DENSE]),
    st.lists(st.integers(0, 200), max_size=5),
    st.none() | st.integers(0, 120),
)
def test_pieces_make_the_whole(
    data: bytes, dtype: str, packing: Packing | None, cuts: list[int], count: int | None
) -> None:
    spec = find_format(dtype)
    whole = fpx.bits(data, spec, packing=packing, count=count)
    ends = sorted(min(cut, len(data)) for cut in cuts)
    chunks = [data[a:b] for a, b in zip([0, *ends], [*ends, len(data)], strict=True)]
    parts = list(bits_stream(chunks, spec, packing=packing, count=count))
    assert [entry for part in parts for entry in part.results()] == whole.results()
    assert parts[-1].leftover_bytes == whole.leftover_bytes
    assert all(len(part) % ROW == 0 and not part.leftover_bytes for part in parts[:-1])


def test_where_bytes_come_from(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(DATA)
    expected = fpx.bits(DATA, "bf16", offset=3).results()
    assert fpx.bits(path, "bf16", offset=3).results() == expected
    assert fpx.bits(str(path), "bf16", offset=3).results() == expected
    assert fpx.bits(BytesIO(DATA), "bf16", offset=3).results() == expected
    assert fpx.bits(memoryview(DATA), "bf16", offset=3).results() == expected
    with path.open("rb") as file:
        assert fpx.bits(file, "bf16", offset=3).results() == expected


def test_rows_are_codes() -> None:
    report = fpx.bits(b"I@\x80?", "bf16")
    assert [row.value for row in report] == ["3.140625", "1"]
    assert (report.offset_of(1), repr(report)) == (2, "<BitsReport: 2 rows, bfloat16>")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"offset": -1}, "`offset` must not be negative"),
        ({"count": -1}, "`count` must not be negative"),
        ({"offset": 100}, "end before byte 100: give a smaller `offset`"),
        ({"packing": "sideways"}, "`packing` is one of low-first, high-first, split-halves, bytes"),
    ],
)
def test_what_is_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(fpx.FpxError, match=message):
        fpx.bits(DATA, "bf16", **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("block", [2, 16, 18, 32])
@pytest.mark.parametrize("size", [7, 1 << 16])
def test_split_halves_come_in_blocks_however_the_bytes_come(block: int, size: int) -> None:
    data = DATA[: len(DATA) // block * block // 2]
    whole = fpx.bits(data, "fp4", packing="split-halves", block=block, offset=0)
    half, codes = block // 2, [row.code for row in whole]
    assert codes[:half] == [byte & 15 for byte in data[:half]]
    assert codes[half:block] == [byte >> 4 for byte in data[:half]]
    offsets = [entry["offset"] for entry in whole.results()]
    assert offsets[:block] == [*range(half), *range(half)]
    chunks = [data[at : at + size] for at in range(0, len(data), size)]
    parts = list(
        bits_stream(chunks, find_format("fp4"), offset=3, packing=Packing.SPLIT_HALVES, block=block)
    )
    assert [entry["offset"] - 3 for part in parts for entry in part.results()] == offsets
    assert [code for part in parts for code in part.codes] == codes


def test_half_a_block_is_left_over() -> None:
    report = fpx.bits(bytes(17), "fp4", packing="split-halves")
    assert (len(report), report.leftover_bytes) == (32, 1)


@pytest.mark.parametrize(
    ("dtype", "packing", "block", "says"),
    [
        ("fp4", None, 16, "split halves, and these codes are low-first"),
        ("bf16", "split-halves", 32, "4 bits, and these have 16"),
        ("fp4", "split-halves", 15, "even number"),
        ("mxfp4", None, 32, "numbers with scales"),
    ],
)
def test_blocks_that_there_are_not(dtype: str, packing: str | None, block: int, says: str) -> None:
    with pytest.raises(fpx.FpxError, match=says):
        fpx.bits(bytes(32), dtype, packing=packing, block=block)
