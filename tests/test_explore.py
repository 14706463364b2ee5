"""The commands that look at formats: surveys, tables, distances, raw bytes, names, comparisons."""

from __future__ import annotations

import csv
import io
import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

import fpx
from fpx.cli.app import app
from fpx.core import codec
from fpx.core.formats import AMBIGUOUS, FORMATS
from fpx.core.literals import parse_literal
from fpx.core.names import find_format
from fpx.core.numbers import CONSTANTS
from fpx.core.packing import Packing, group_bytes, unpack
from fpx.core.policy import Overflow, Rounding
from fpx.report.distance import DistanceReport
from fpx.report.ranges import FormatReport, RangeComparison
from fpx.report.survey import survey
from fpx.report.table import TableReport

BF16, F16 = FORMATS["bfloat16"], FORMATS["float16"]


def call(*args: str, stdin: bytes | str | None = None) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, list(args), input=stdin)
    return result.exit_code, result.stdout, result.stderr


def results(*args: str, stdin: bytes | str | None = None) -> list[dict[str, Any]]:
    code, out, err = call(*args, "--json", stdin=stdin)
    assert (code, err) == (0, ""), err
    found: list[dict[str, Any]] = json.loads(out)["results"]
    return found


# -- constants -------------------------------------------------------------------------------------


@pytest.mark.parametrize("spec", FORMATS.values(), ids=lambda s: s.name)
@pytest.mark.parametrize("name", CONSTANTS)
def test_constants_are_values(name: str, spec: fpx.FormatSpec) -> None:
    attribute = getattr(spec, CONSTANTS[name])
    if attribute is None:
        with pytest.raises(fpx.FpxError, match="has no smallest_subnormal"):
            fpx.decode(name, spec)
        return
    report = fpx.decode(name, spec)
    assert report.value == attribute.fraction
    assert report.input == name
    assert report.rounding_error == "0"
    if spec.signed:
        assert fpx.decode(f"-{name.upper()}", spec).value == -attribute.fraction


def test_min_is_what_numpy_and_torch_call_min() -> None:
    assert fpx.decode("min", "float16").value == Fraction(float(np.finfo(np.float16).min))
    info: Any = ml_dtypes.finfo(ml_dtypes.bfloat16)  # type: ignore[no-untyped-call]
    assert fpx.decode("min", "bf16").value == Fraction(float(info.min))


def machin(bits: int) -> Fraction:
    """pi = 16 atan(1/5) - 4 atan(1/239) (Machin, 1706), off by less than 2^-bits."""

    def atan_inverse(n: int) -> Fraction:
        total, k = Fraction(0), 0
        while n ** (2 * k + 1) * (2 * k + 1) < 1 << (bits + 8):
            total += Fraction((-1) ** k, (2 * k + 1) * n ** (2 * k + 1))
            k += 1
        return total

    return 16 * atan_inverse(5) - 4 * atan_inverse(239)


def euler(bits: int) -> Fraction:
    """The sum of 1/n!, off by less than 2^-bits."""
    total, term, n = Fraction(0), Fraction(1), 0
    while term > Fraction(1, 1 << (bits + 8)):
        total += term
        n += 1
        term /= n
    return total


@pytest.mark.parametrize("spec", [*FORMATS.values(), find_format("e5m58")], ids=lambda s: s.name)
def test_pi_and_e_are_correctly_rounded(spec: fpx.FormatSpec) -> None:
    for name, value in (("pi", machin(300)), ("e", euler(300))):
        for sign in (1, -1) if spec.signed else (1,):
            found = fpx.encode(f"{'-' if sign < 0 else ''}{name}", spec).code
            assert found == fpx.encode(sign * value, spec).code
    assert fpx.decode("one", spec).value == 1


# -- surveys ---------------------------------------------------------------------------------------


def test_a_survey_is_sorted_by_error() -> None:
    found = survey(
        parse_literal("448"), list(FORMATS.values()), [Rounding.TIES_TO_EVEN], Overflow.IEEE
    )
    names = [item.format for item in found.items]
    assert set(names) == set(FORMATS)
    assert names[0] == "float128"
    assert names.index("float8_e4m3fn") < names.index("float8_e8m0fnu")
    assert names.index("float8_e8m0fnu") < names.index("float6_e3m2fn")
    assert names.index("float4_e2m1fn") < names.index("float8_e4m3")  # finite before infinite
    assert names[-1] in ("float8_e4m3fnuz", "float8_e4m3b11fnuz")  # NaN last


@given(st.fractions(), st.sampled_from([*Rounding]))
def test_survey_errors_grow(x: Fraction, rounding: Rounding) -> None:
    specs = [spec for spec in FORMATS.values() if spec.bits < 64]
    found = survey(fpx.decode(x, "float32").literal, specs, [rounding], Overflow.SATURATE)
    errors = [abs(item.value - x) for item in found.items if item.value is not None]
    assert errors == sorted(errors)


@pytest.mark.parametrize("overflow", ["ieee", "saturate"])
@pytest.mark.parametrize(
    "text", ["1e-999999999", "-1e999999999999", "inf", "nan", "0", "-0", "-1/3", "0x7e"]
)
def test_extreme_surveys(text: str, overflow: str) -> None:
    code, out, err = call("decode", text, "--dtype", "all", "--overflow", overflow)
    assert (code, err) == (0, "")
    assert "float8_e4m3fn" in out


def test_formats_that_refuse_are_named() -> None:
    code, out, err = call("decode", "nan", "--dtype", "all", "--json")
    assert code == 0
    assert "float4_e2m1fn" not in out
    assert err.count("fpx: note: ") == 3
    _, out, _ = call("decode", "nan", "--dtype", "all")
    assert "has no NaN" in out


def test_every_rounding_mode_side_by_side() -> None:
    found = results("decode", "-1.001", "--dtype", "bf16", "--rounding", "all")
    assert {entry["rounding"]: entry["code"] for entry in found} == {
        "ties_to_even": "0xbf80",
        "ties_to_away": "0xbf80",
        "toward_zero": "0xbf80",
        "toward_positive": "0xbf80",
        "toward_negative": "0xbf81",
        "to_odd": "0xbf81",
    }
    code, _, err = call("decode", "1", "--rounding", "up")
    assert code == 2
    assert "ties_to_away" in err


def test_overflow_to_nan() -> None:
    found = results("decode", "70000", "inf", "--dtype", "fp16", "--overflow", "nan")
    assert [entry["value"] for entry in found] == ["nan", "inf"]
    code, _, err = call("decode", "70000", "--dtype", "fp4", "--overflow", "nan")
    assert code == 2
    assert "no NaN" in err


# -- libraries -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "dtype", "verdicts"),
    [
        ("1", "bf16", {"torch": "", "ml_dtypes": ""}),
        ("nan", "fp16", {"torch": "", "numpy": ""}),
        ("1.0004882812500009", "fp16",
         {"torch": "rounded to float32 on the way", "numpy": ""}),
        ("257.00001", "bf16",
         {"torch": "rounded to float32 on the way", "ml_dtypes": "rounded to float32 on the way"}),
        ("2049.0000000000001", "fp16",
         {"torch": "the nearest float64 rounds so", "numpy": "the nearest float64 rounds so"}),
        ("-0.0001", "e4m3fnuz", {"torch": "", "ml_dtypes": ""}),
        ("3", "e8m0", {"torch": "rounds ties away from zero",
                       "ml_dtypes": "rounds ties away from zero"}),
        ("0", "e8m0", {"torch": "gives the smallest value", "ml_dtypes": ""}),
        ("-1", "e8m0", {"torch": "drops the sign", "ml_dtypes": ""}),
        ("-3", "e8m0",
         {"torch": "drops the sign, rounds ties away from zero", "ml_dtypes": ""}),
        ("7", "e3m4", {"ml_dtypes": ""}),
        ("0x7f80", "bf16", {"torch": "", "ml_dtypes": ""}),
        ("-0", "fp16", {"torch": "", "numpy": ""}),
    ],
)  # fmt: skip
def test_libraries(value: str, dtype: str, verdicts: dict[str, str]) -> None:
    (entry,) = results("decode", value, "--dtype", dtype, "--libraries")
    found = {cast["library"]: cast for cast in entry["libraries"]}
    assert {library: cast["reason"] for library, cast in found.items()} == verdicts
    for cast in found.values():
        assert cast["agrees"] == (not cast["reason"])


def test_the_cast_of_a_number_that_was_rounded_another_way() -> None:
    (entry,) = results(
        "decode", "-1e-3", "--dtype", "fp64", "--rounding", "toward_zero", "--libraries"
    )
    for cast in entry["libraries"]:
        assert (cast["code"], cast["reason"]) == (
            "0xbf50624dd2f1a9fc", "the nearest float64 rounds so"
        )  # fmt: skip


def test_saturation_is_named() -> None:
    (entry,) = results("decode", "1000", "--dtype", "e4m3fn", "--libraries")
    for cast in entry["libraries"]:  # which libraries saturate depends on their versions
        assert cast["code"] in ("0x7e", "0x7f")
        assert cast["reason"] == ("saturates" if cast["code"] == "0x7e" else "")


def test_libraries_are_told_in_the_environment() -> None:
    _, out, _ = call("decode", "1", "--dtype", "bf16", "--libraries", "--json")
    assert set(json.loads(out)["environment"]) == {"torch", "numpy", "ml_dtypes"}
    _, out, _ = call("decode", "1", "--dtype", "e5m7", "--libraries")
    assert "None of torch, numpy, ml_dtypes casts to e5m7" in out


# -- tables ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["fp4", "e3m2fn", "e4m3fn", "e8m0", "e3m4", "e5m6", "binary8p4ue"])
def test_tables_hold_every_code(name: str) -> None:
    spec = find_format(name)
    entries = results("table", name)
    assert [int(entry["code"], 16) for entry in entries] == list(range(1 << spec.bits))
    for code, entry in enumerate(entries):
        value = codec.decode(code, spec)
        if value is not None:
            assert Fraction(entry["value"]) == value.fraction
            assert fpx.encode(entry["shortest"], spec, read_as="value").code in (code, 0)
    _, out, _ = call("table", name, "--csv")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert [row["value"] for row in rows] == [entry["value"] for entry in entries]


@pytest.mark.parametrize("columns", ["40", "80", "120"])
@pytest.mark.parametrize("name", ["fp4", "e4m3fn", "e8m0", "e3m4", "e5m6", "binary6p1se"])
def test_grids_hold_every_value_once(
    name: str, columns: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    spec = find_format(name)
    code, out, _ = call("table", name)
    assert code == 0
    assert max(map(len, out.splitlines())) <= int(columns)
    body = [line.split() for line in out.splitlines() if line[:2] in (" 0", " 1")]
    cells = [cell for line in body for cell in line[1:]]
    assert len(cells) == spec.magnitude_mask + 1
    numbers = [float(cell) for cell in cells if cell[0].isdigit()]
    assert len(set(numbers)) == spec.max_finite_magnitude + 1
    assert cells.count("inf") == int(spec.infinity)


def test_tables_around_a_value() -> None:
    report = TableReport.around(fpx.decode("1", "bf16"), 4)
    assert list(report.codes) == [0x3F7F, 0x3F80, 0x3F81, 0x3F82]
    report = TableReport.around(fpx.decode("-0", "bf16"), 3)
    assert list(report.codes) == [0x8001, 0x8000, 0x0001]
    report = TableReport.around(fpx.decode("inf", "bf16"), 5)
    assert list(report.codes) == [0x7F7E, 0x7F7F, 0x7F80]
    report = TableReport.around(fpx.decode("min", "binary8p4uf"), 3)
    assert list(report.codes) == [0, 1]
    assert call("table", "bf16", "--around", "-1", "--count", "3")[0] == 0
    for args in (["bf16"], ["bf16", "--around", "nan"], ["bf16", "--around", "1", "--count", "0"]):
        code, _, err = call("table", *args)
        assert code == 2
        assert err.count("\n") == 1


# -- distances -------------------------------------------------------------------------------------


@given(st.integers(0, 0xFFFF), st.integers(0, 0xFFFF))
def test_distance_counts_values(first: int, second: int) -> None:
    a, b = (fpx.decode(f"{code:#x}", "float16") for code in (first, second))
    report = DistanceReport(a, b)
    if "nan" in (a.shortest.lstrip("-"), b.shortest.lstrip("-")):
        with pytest.raises(fpx.FpxError, match="NaN"):
            _ = report.steps
        return
    steps, code = 0, first
    if abs(report.steps) < 40:  # walk there
        while steps != report.steps:
            lower, upper = codec.neighbours(code, F16)
            after = upper if report.steps > 0 else lower
            assert after is not None
            code, steps = after, steps + (1 if report.steps > 0 else -1)
        assert codec.ordinal(code, F16) == codec.ordinal(second, F16)
    if report.difference is not None:
        assert a.value is not None
        assert b.value is not None
        assert report.difference.fraction == b.value - a.value


def test_distance() -> None:
    (entry,) = results("distance", "-smallest_subnormal", "smallest_subnormal", "--dtype", "bf16")
    assert (entry["steps"], entry["between"]) == (2, 1)
    (entry,) = results("distance", "0", "-0", "--dtype", "bf16")
    assert (entry["steps"], entry["between"], entry["difference"]) == (0, 0, "0")
    (entry,) = results("distance", "max", "inf", "--dtype", "bf16")
    assert (entry["steps"], entry["difference"]) == (1, None)
    assert len(results("distance", "1", "2")) == 3
    assert call("distance", "1", "-")[0] == 2


# -- raw bytes -------------------------------------------------------------------------------------


def packed(codes: list[int], bits: int, packing: Packing) -> bytes:
    """Codes as bytes, by way of a string of bits."""
    if packing is Packing.BYTES:
        return b"".join(code.to_bytes(-(-bits // 8), "little") for code in codes)
    if packing is Packing.HIGH_FIRST:
        text = "".join(f"{code:0{bits}b}" for code in codes)
        text += "0" * (-len(text) % 8)
        return bytes(int(text[at : at + 8], 2) for at in range(0, len(text), 8))
    text = "".join(f"{code:0{bits}b}"[::-1] for code in codes)
    text += "0" * (-len(text) % 8)
    return bytes(int(text[at : at + 8][::-1], 2) for at in range(0, len(text), 8))


@given(
    st.sampled_from([1, 4, 5, 6, 8, 12, 13, 16, 19, 32]),
    st.sampled_from(list(Packing)),
    st.data(),
)
def test_unpack(bits: int, packing: Packing, data: st.DataObject) -> None:
    codes = data.draw(st.lists(st.integers(0, (1 << bits) - 1)))
    raw = packed(codes, bits, packing)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(raw)), max_size=4)))
    chunks = [raw[a:b] for a, b in zip([0, *cuts], [*cuts, len(raw)], strict=True)]
    found = list(unpack(chunks, bits, packing))
    assert found[: len(codes)] == codes
    assert not any(found[len(codes) :])  # padding of the last byte
    assert group_bytes(bits, packing) * 8 % (bits if packing is not Packing.BYTES else 8) == 0


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


# -- names and comparisons -------------------------------------------------------------------------


def test_formats() -> None:
    entries = results("formats")
    assert [entry["format"] for entry in entries] == list(FORMATS)
    by_name = {entry["format"]: entry for entry in entries}
    assert by_name["float8_e4m3fn"]["libraries"]["onnx"] == "FLOAT8E4M3FN"
    assert by_name["float8_e4m3fn"]["overflow"] == "nan"
    assert by_name["float4_e2m1fn"]["overflow"] == "max_finite"
    assert by_name["float8_e8m0fnu"]["zero"] == "none"
    for entry in entries:
        for name in (*entry["aliases"], *entry["libraries"].values()):
            if name.lower() not in AMBIGUOUS:  # safetensors' F4 is numpy's float32
                assert find_format(name).name == entry["format"]
    _, out, _ = call("formats", "e5m7", "binary8p4se")
    assert "1-5-7" in out
    assert "0x80" in out


@pytest.mark.parametrize("spec", FORMATS.values(), ids=lambda s: s.name)
def test_first_missing_integer(spec: fpx.FormatSpec) -> None:
    n = spec.first_missing_integer
    assert fpx.decode(n, spec).value != n
    for k in range(1, min(n, 70)):
        assert fpx.decode(k, spec).value == k
    assert fpx.decode(n - 1, spec).value in (n - 1, None)
    binades = FormatReport(spec).dynamic_range_log2
    ratio = spec.max_finite.fraction / spec.smallest_positive.fraction
    assert abs(Fraction(2) ** int(binades) / ratio - 1) < 1


def test_comparison_says_what_the_tutorial_says() -> None:
    report = RangeComparison(FORMATS["float32"], BF16)
    assert report.summary.startswith("bfloat16 has the same exponent range as float32 and 8 bits")
    changes = {(d.what, d.change) for d in report.differences}
    assert ("precision", "lost") in changes
    assert ("smallest normal", "same") in changes
    assert not report.keeps_every_value
    assert RangeComparison(BF16, FORMATS["float32"]).keeps_every_value
    code, out, _ = call("range", "--compare", "fp16", "bf16")
    assert code == 0
    assert "112 binades" in out
    assert call("range", "--compare", "fp16", "bf16", "--dtype", "fp16")[0] == 2


@pytest.mark.parametrize("old", [s for s in FORMATS.values() if s.bits <= 8], ids=lambda s: s.name)
@pytest.mark.parametrize("new", [s for s in FORMATS.values() if s.bits <= 16], ids=lambda s: s.name)
def test_holds_means_every_value(old: fpx.FormatSpec, new: fpx.FormatSpec) -> None:
    values = {codec.decode(code, old) for code in range(1 << old.bits)} - {None}
    there = all(
        fpx.decode(value.fraction, new, overflow="saturate").value == value.fraction
        for value in values
        if value is not None
    )
    assert new.holds(old) == there


def test_number_lines_tell_normals_from_subnormals() -> None:
    _, out, _ = call("range", "--dtype", "fp16", "--dtype", "e4m3fn")
    lines = [line for line in out.splitlines() if "█" in line]
    assert lines[0].startswith(" float16")
    assert lines[0].index("░") < lines[1].index("░")
    assert lines[0].rindex("█") > lines[1].rindex("█")
