"""`fpx bits`: raw bytes as numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np

from tests.helpers import call, results


def test_bits_are_numpys(tmp_path: Path) -> None:
    values = np.array([3.14, -0.0, 1e-40, np.inf, 65504], dtype=np.float32)
    for kind, dtype, extra in (
        ("<f4", "float32", []), (">f4", "float32", ["--big-endian"]), ("<f2", "float16", []),
        (ml_dtypes.bfloat16, "bf16", []), (ml_dtypes.float8_e5m2, "e5m2", []),
    ):  # fmt: skip
        with np.errstate(all="ignore"):
            array: Any = values.astype(kind)
        path = tmp_path / "x.bin"
        path.write_bytes(b"??" + array.tobytes())
        found = results("bits", str(path), "--dtype", dtype, "--offset", "2", *extra)
        expected = array.astype(np.float64).tolist()
        assert [float(entry["value"]) for entry in found] == expected
        assert [entry["offset"] for entry in found] == [2 + n * array.itemsize for n in range(5)]


def test_bits_of_packed_formats() -> None:
    found = results("bits", "-", "--dtype", "fp4", stdin=b"\x21\x43")
    assert [entry["code"] for entry in found] == ["0x1", "0x2", "0x3", "0x4"]
    assert [entry["offset"] for entry in found] == [0, 0, 1, 1]
    found = results("bits", "-", "--dtype", "fp4", "--packing", "high-first", stdin=b"\x12\x34")
    assert [entry["code"] for entry in found] == ["0x1", "0x2", "0x3", "0x4"]
    found = results("bits", "-", "--dtype", "fp4", "--packing", "bytes", stdin=b"\x01\x02")
    assert [entry["code"] for entry in found] == ["0x1", "0x2"]
    found = results("bits", "-", "--dtype", "fp4", "--count", "3", stdin=b"\x21\x43")
    assert len(found) == 3


def test_bits_as_lines() -> None:
    code, out, _ = call("bits", "-", "--dtype", "bf16", stdin=b"\x49\x40\x80\x3f\xc0\x7f")
    assert code == 0
    assert out == "00000000: 4049 3f80 7fc0           3.141          1        nan\n"
    for args in (["/no/such"], ["-", "--offset", "9"], ["-", "--count", "-1"], ["/"]):
        code, _, err = call("bits", *args, "--dtype", "bf16", stdin=b"\x00")
        assert (code, err.count("\n")) == (2, 1)


def test_lines_count_from_the_offset(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(bytes(range(48)))
    _, out, _ = call("bits", tmp_path / "x", "--dtype", "bf16", "--offset", "16", "--count", "12")
    lines = out.splitlines()
    per_line = 12 // len(lines)
    assert len(lines) > 1
    assert [int(line[:8], 16) for line in lines] == [
        16 + 2 * per_line * n for n in range(len(lines))
    ]
    assert lines[0].startswith("00000010: 1110 1312")
    _, out, _ = call("bits", tmp_path / "x", "--dtype", "fp4", "--offset", "5", "--count", "40")
    lines = out.splitlines()
    assert [int(line[:8], 16) for line in lines] == [
        5 + n * (40 // len(lines)) // 2 for n in range(len(lines))
    ]
