"""Numbers that share a scale: exact values, errors, losses, bytes; and what is refused."""

from __future__ import annotations

import json
import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fpx
from fpx.core.blocks import BLOCK_FORMATS
from fpx.core.numbers import fraction_text
from fpx.core.packing import Packing
from fpx.core.quantise import Datum, quantise
from fpx.core.scaling import ScaledFormat
from fpx.core.targets import find_target
from fpx.report.block import BlockReport, BlocksReport
from fpx.report.verdicts import Outcome

E2M1 = (0, 0.5, 1, 1.5, 2, 3, 4, 6)


def entry_of(*args: Any, **options: Any) -> dict[str, Any]:
    """The only entry of a document that JSON can hold."""
    report = fpx.decode_block(*args, **options)
    (entry,) = json.loads(json.dumps(report.to_dict(), allow_nan=False))["results"]
    found: dict[str, Any] = entry
    return found


def column(entry: dict[str, Any], key: str) -> list[Any]:
    return [row[key] for row in entry["elements"]]


# -- encoded ---------------------------------------------------------------------------------------


def test_a_block_of_every_kind_of_value() -> None:
    entry = entry_of("6 -4 3 2 1.5 1 0.5 0 -0.5 -6")
    assert (entry["scale_code"], entry["scale"], entry["amax"]) == ("0x7f", "1", "6")
    assert column(entry, "code") == [f"0x{digit}" for digit in "7e543210"] + ["0x9", "0xf"]
    assert column(entry, "value") == ["6", "-4", "3", "2", "1.5", "1", "0.5", "0", "-0.5", "-6"]
    assert entry["packed"]["low_first"] == "e7452301f9"
    assert entry["packed"]["high_first"] == "7e5432109f"
    assert entry["packed"]["bytes"] == "070e050403020100090f"
    assert (entry["clipped_count"], entry["flushed_count"]) == (0, 0)
    assert (entry["outcome"], entry["sqnr_db"]) == ("exact", None)
    assert set(column(entry, "error")) == set(column(entry, "error_ulp")) == {"0"}


def test_split_halves_of_a_part_are_a_whole_block() -> None:
    entry = entry_of("6 -4 3 2 1.5 1 0.5 0 -0.5 -6")
    # the bytes after the scale of GGUF's block of these numbers
    assert entry["packed"]["split_halves"] == "070e050403020100090f000000000000"
    nv = entry_of([1] * 9 + [6], "nvfp4", global_scale=1)
    assert len(nv["packed"]["split_halves"]) == 16  # of 16 numbers each
    assert nv["packed"]["split_halves"][:4] == "2272"


def test_clipped_and_flushed_numbers_and_their_errors() -> None:
    entry = entry_of("7.9 0.1 -0.2 6.5 5 -0")
    rows = entry["elements"]
    assert [row["clipped"] for row in rows] == [True, False, False, True, False, False]
    assert [row["flushed"] for row in rows] == [False, True, True, False, False, False]
    assert (entry["clipped_count"], entry["flushed_count"], entry["count"]) == (2, 2, 6)
    assert column(entry, "value") == ["6", "0", "-0", "6", "4", "-0"]
    assert column(entry, "error") == ["-1.9", "-0.1", "0.2", "-0.5", "-1", "0"]
    # ulps: 2 from 4 on, 0.5 below 2
    assert column(entry, "error_ulp") == ["-0.95", "-0.2", "0.4", "-0.25", "-0.5", "0"]
    assert entry["outcome"] == "saturated"
    assert column(entry, "bits")[:2] == ["0111", "0000"]
    assert column(entry, "element")[2] == "-0"
    assert column(entry, "input") == ["7.9", "0.1", "-0.2", "6.5", "5", "-0"]


NUMBERS = st.lists(
    st.fractions(-1000, 1000)
    | st.floats(allow_nan=False, allow_infinity=False, width=32).map(Fraction),
    min_size=1,
    max_size=40,
)


@given(NUMBERS, st.sampled_from([*BLOCK_FORMATS.values(), find_target("e4m3fn:tensor")]))
def test_blocks_are_those_of_the_encoder(numbers: list[Fraction], target: ScaledFormat) -> None:
    report = fpx.decode_block(numbers, target)
    size = target.reach.columns if "tensor" not in target.name else len(numbers)
    starts = range(0, len(numbers), size)
    assert [item.start for item in report] == list(starts)
    assert [item.number for item in report] == list(range(len(starts)))
    signal = noise = Fraction(0)
    for item, start in zip(report.items, starts, strict=True):
        data = [Datum.of(number) for number in numbers[start : start + size]]
        assert item.block == quantise(data, target, item.block.global_scale)
        for row, number in zip(item.rows, numbers[start : start + size], strict=True):
            assert row.value is not None
            assert row.error is not None
            assert Fraction(row.value_text) == row.value
            assert Fraction(row.error) == row.value - number
            if row.ulp is not None:
                assert row.error_ulp is not None
                assert Fraction(row.error_ulp) * row.ulp == row.value - number
                if not row.clipped:
                    assert abs(row.value - number) <= row.ulp / 2
            signal += number**2
            noise += (row.value - number) ** 2
    loss = report.losses[target]
    assert loss.count == len(numbers)
    assert loss.clipped_count == sum(sum(item.block.clipped) for item in report.items)
    assert loss.flushed_count == sum(sum(item.block.flushed) for item in report.items)
    assert loss.sqnr_db is not None
    if noise:
        assert loss.sqnr_db == pytest.approx(10 * math.log10(signal / noise), rel=1e-9, abs=1e-9)
    else:
        assert loss.outcome is Outcome.EXACT
        assert loss.sqnr_db == math.inf


def test_beyond_the_largest_scale_an_ulp_is_that_of_the_largest_elements() -> None:
    entry = entry_of("1e6 2688", "nvfp4", global_scale=1)
    assert (entry["scale_code"], entry["clipped_count"]) == ("0x7e", 1)
    assert entry["elements"][0]["error"] == "-997312"
    assert Fraction(entry["elements"][0]["error_ulp"]) == Fraction(-997312, 2 * 448)
    assert entry["elements"][1]["error_ulp"] == "0"


def test_a_global_scale_is_that_of_all_numbers() -> None:
    numbers = [5376.0, -2688.0, *[0.0] * 14, 12.0, 1.0, -0.5]
    first, second = fpx.decode_block(numbers, "nvfp4").results()
    assert (first["global_scale"], second["global_scale"]) == ("2", "2")
    assert first["global_scale_code"] == "0x40000000"
    assert (first["scale_code"], second["scale_code"]) == ("0x7e", "0x38")
    assert column(second, "value") == ["12", "1", "-0"]
    assert column(first, "value")[:2] == ["5376", "-2688"]
    assert [row["index"] for row in second["elements"]] == [16, 17, 18]
    given_one = entry_of("12 1", "nvfp4", global_scale="0x40000000")
    assert (given_one["global_scale"], given_one["scale_code"]) == ("2", "0x38")
    assert entry_of("12 1", "nvfp4:global=none")["global_scale"] is None
    assert entry_of("12 1", "mxfp4")["global_scale"] is None


def test_nan_and_infinities() -> None:
    entry = entry_of("1 nan 2")
    assert (entry["scale_code"], entry["scale"]) == ("0xff", "nan")
    assert column(entry, "value") == ["nan"] * 3
    assert column(entry, "error") == [None] * 3
    assert (entry["outcome"], entry["sqnr_db"], entry["amax"]) == ("destroyed", None, "2")
    assert fpx.decode_block("1 nan").items[0].loss.sqnr_db == -math.inf  # type: ignore[union-attr]
    assert entry_of("nan -inf")["outcome"] == "empty"
    assert entry_of("nan -inf")["amax"] is None
    alone = entry_of("1 nan -inf inf", "mxfp8_e5m2:nan=element")
    assert column(alone, "value") == ["1", "nan", "-inf", "inf"]
    assert column(alone, "error") == ["0", None, "0", "0"]
    assert column(alone, "error_ulp") == ["0", None, "0", "0"]
    assert alone["outcome"] == "rounded"  # no number was harmed, but there is no word for the rest
    limited = entry_of("1 -inf inf nan", "mxfp4:nan=element")
    assert column(limited, "value") == ["1", "-1.5", "1.5", "0"]
    assert column(limited, "error") == ["0", "inf", "-inf", None]


def test_a_table_of_numbers_has_no_ulp() -> None:
    entry = entry_of("0.5 -0.3", "nf4")
    assert column(entry, "error_ulp") == ["0", None]
    assert next(iter(entry["packed"])) == "high_first"
    assert column(entry_of("1 0.2", "mxint8"), "error_ulp") == ["0", "0.2"]
    assert [*entry_of("1", "mxint8")["packed"]] == ["bytes"]
    assert [*entry_of("1", "mxfp6_e2m3")["packed"]] == ["low_first", "high_first", "bytes"]


def test_formats_beside_each_other() -> None:
    report = fpx.decode_block("7 1", ["mxfp4", "nvfp4"], scale_rule="all")
    names = ["mxfp4", *(f"mxfp4:rule={rule}" for rule in ("even", "ceil", "rceil"))]
    names += ["nvfp4", "nvfp4:rule=4over6"]
    assert [item.format for item in report.items] == names
    assert [total["format"] for total in report.to_dict()["totals"]] == names
    assert [item.scale_hex for item in report.items[:4]] == ["0x7f", "0x80", "0x80", "0x80"]
    assert report.to_dict()["totals"][0]["bits_per_element"] == 4.25
    assert report.to_dict()["totals"][0]["clipped_count"] == 1


def test_likeness_reaches_the_encoder() -> None:
    assert column(entry_of("6 3.5", like="gguf"), "value") == ["6", "3"]
    assert column(entry_of("6 3.5"), "value") == ["6", "4"]
    assert entry_of("6 3.5", like="gguf")["encoding"]["ties"] == "toward zero"


def test_the_table_has_a_row_per_number() -> None:
    report = fpx.decode_block("7 1", ["mxfp4", "nvfp4"])
    table = report.table()
    rows = [dict(zip(table.columns, row, strict=True)) for row in table.rows]
    assert [(row["format"], row["index"]) for row in rows] == [
        ("mxfp4", 0), ("mxfp4", 1), ("nvfp4", 0), ("nvfp4", 1),
    ]  # fmt: skip
    assert [row["scale_code"] for row in rows] == ["0x7f", "0x7f", "0x7e", "0x7e"]
    assert rows[0]["clipped"] is True
    assert rows[0]["error"] == "-1"
    assert isinstance(report, BlocksReport)
    assert [isinstance(item, BlockReport) for item in report] == [True, True]
    assert len(report.items[0]) == 2
    assert "mxfp4" in repr(report)


# -- decoded ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale_code", [0, 1, 0x7F, 0x80, 0xFD, 0xFE])
def test_every_code_decodes_to_the_product(scale_code: int) -> None:
    codes = bytes(low | low + 1 << 4 for low in range(0, 16, 2))
    entry = entry_of(dtype="mxfp4", codes=codes, scale_code=scale_code)
    scale = Fraction(2) ** (scale_code - 127)
    for row, magnitude in zip(entry["elements"], (*E2M1, *E2M1), strict=True):
        negative = row["index"] >= 8
        assert row["code"] == f"{row['index']:#x}"
        assert row["value"].startswith("-") is negative
        value = Fraction(magnitude) * scale
        assert abs(Fraction(row["value"])) == value
        with np.errstate(over="ignore"):
            single = np.float32(float(value))
        expected = "exact"
        if math.isinf(single):
            expected = "overflow"
        elif 0 < value < Fraction(2) ** -126:
            expected = "subnormal"
        assert row["in_float32"] == expected
        assert row["input"] is row["clipped"] is row["flushed"] is row["error"] is None
    assert entry["encoding"] is None
    assert "outcome" not in entry
    assert entry["count"] == 16


def test_what_float32_makes_of_a_product() -> None:
    def kinds(dtype: str, **options: Any) -> list[str]:
        return column(entry_of(dtype=dtype, **options), "in_float32")

    assert kinds("mxfp4", codes="0107", scale_code=0, packing="bytes") == ["subnormal", "exact"]
    assert kinds("nvfp4", codes="71", scale_code=0x09, global_scale="1e-45") == ["zero", "zero"]
    assert kinds("nvfp4", codes="05", scale_code=0x39, global_scale="0.1")[0] == "rounded"


def test_codes_of_a_nan_scale_are_nan_and_the_rest_is_not() -> None:
    report = fpx.decode_block(dtype="mxfp4", codes="e7" * 32, scale_code="0xff,0x7f")
    first, second = report.results()
    assert set(column(first, "value")) == {"nan"}
    assert set(column(second, "value")) == {"6", "-4"}
    assert (first["block"], second["block"]) == (0, 1)
    assert column(first, "index") + column(second, "index") == [*range(64)]
    assert report.to_dict()["totals"] == []


@pytest.mark.parametrize(
    ("packing", "values"),
    [("low-first", ["6", "-4"]), ("high-first", ["-4", "6"]), (None, ["6", "-4"])],
)
def test_packings_of_codes(packing: str | None, values: list[str]) -> None:
    entry = entry_of(dtype="mxfp4", codes="0xE7", scale_code=[127], packing=packing)
    assert column(entry, "value") == values


def test_the_usual_packing_of_bitsandbytes_is_high_first() -> None:
    entry = entry_of(dtype="nf4", codes="f0", scale_code=0x3F800000)
    assert column(entry, "value") == ["1", "-1"]


def test_split_halves_of_codes_have_the_blocks_own_length() -> None:
    codes = "8091a2b3c4d5e6f7"
    entry = entry_of(dtype="nvfp4", codes=codes, scale_code=0x38, packing="split-halves")
    assert column(entry, "code") == [f"{code:#x}" for code in range(16)]
    assert entry["global_scale"] == "1"
    with pytest.raises(fpx.FpxError, match="no whole number of codes"):
        fpx.decode_block(dtype="mxfp4", codes=codes, scale_code=127, packing="split-halves")


def test_codes_with_a_global_scale() -> None:
    entry = entry_of(dtype="nvfp4", codes="71", scale_code=0x7E, global_scale=2)
    assert column(entry, "value") == ["448", "5376"]
    entry = entry_of(dtype="nvfp4", codes="f1", scale_code=0x7E, global_scale=0)
    assert column(entry, "value") == ["0", "-0"]


@pytest.mark.parametrize("target", BLOCK_FORMATS.values(), ids=lambda row: row.name)
def test_what_is_packed_is_decoded_again(target: ScaledFormat) -> None:
    numbers = [(-1) ** at * 1.1**at for at in range(9)]
    (item,) = fpx.decode_block(numbers, target)
    for packing in item.packings:
        again = fpx.decode_block(
            dtype=target,
            codes=item.packed(packing),
            scale_code=item.block.scale_code,
            packing=packing,
            global_scale=item.block.global_scale if target.global_scale else None,
        )
        rows = again.items[0].rows
        assert [row.value_text for row in rows[:9]] == [row.value_text for row in item.rows]
        assert not any(row.code for row in rows[9:])
    assert Packing.BYTES in item.packings


@pytest.mark.parametrize(
    ("given_", "options", "says"),
    [
        ("", {}, "no number"),
        ("max", {}, "another number in every format"),
        ("0x7", {}, "is a code"),
        ("1e99999999", {}, "too large, too small or too long"),
        ("1e-99999999", {}, "too large, too small or too long"),
        ("1,5", {}, "the decimal separator"),
        ("1", {"dtype": "bf16"}, "bfloat16 has no scale"),
        ("1", {"dtype": ["mxfp4", "bf16"]}, "mxfp4 is numbers with scales and bfloat16"),
        ("1", {"dtype": "mxfp5"}, "did you mean 'mxfp"),
        ("1", {"scale_rule": "flor"}, "no scale rule"),
        ("1", {"like": "me"}, "no encoder"),
        ("1", {"global_scale": 2}, "mxfp4 has no global scale"),
        ("1", {"dtype": "nvfp4", "global_scale": 0}, "no number can be divided"),
        ("1", {"dtype": "nvfp4", "global_scale": -2}, "a number of float32 from 0 on"),
        ("1", {"dtype": "nvfp4", "global_scale": "nan"}, "a number of float32 from 0 on"),
        ("1", {"scale_code": 127}, "give them as `codes`"),
        ("1", {"codes": "e7", "scale_code": 127}, "takes? the place of numbers"),
        ("1", {"packing": "middle"}, "`packing` is one of"),
        ("1", {"dtype": "mxint8", "packing": "high-first"}, "`packing` of mxint8 is one of bytes"),
        ((), {"codes": "e7"}, "mean nothing without their scale"),
        ((), {"codes": "e7", "scale_code": 256}, "0x100 is no code of a scale"),
        ((), {"codes": "e7", "scale_code": [1, 2]}, "2 codes are 1 block of mxfp4.* not 2"),
        ((), {"codes": "e7" * 17, "scale_code": 1}, "34 codes are 2 blocks of mxfp4.* not 1"),
        ((), {"codes": "", "scale_code": 1}, "no whole number of codes"),
        ((), {"codes": "e", "scale_code": 1}, "no row of bytes"),
        ((), {"codes": "8130", "scale_code": 1, "dtype": "mxfp6_e2m3"},
         "'8130' has bits set that belong to none of its codes of float6_e2m3fn, packed low-first"),
        ((), {"codes": "e7", "scale_code": 1, "packing": "bytes"}, "has bits set.*packed bytes"),
        ((), {"codes": "zz", "scale_code": 1}, "no row of bytes"),
        ((), {"codes": "e7", "scale_code": "x"}, "is not a code"),
        ((), {"codes": "e7", "scale_code": 1, "like": "gguf"}, "`like` is about encoding"),
        ((), {"codes": "e7", "scale_code": 1, "scale_rule": "all"}, "`scale_rule` is about enc"),
        ((), {"codes": "e7", "scale_code": 1, "dtype": ["mxfp4", "nvfp4"]}, "of one format"),
        ((), {"codes": "e7", "scale_code": 0x7F800000, "dtype": "nf4"}, "an infinity of float32"),
    ],
)  # fmt: skip
def test_what_is_refused(given_: object, options: dict[str, Any], says: str) -> None:
    with pytest.raises(fpx.FpxError, match=says) as caught:
        fpx.decode_block(given_, **options)
    assert "\n" not in str(caught.value)


def test_zeros_of_any_exponent_and_long_numbers_are_numbers() -> None:
    entry = entry_of(["0e99999999", "-0e-99999999", f"1.{'0' * 300}1", Fraction(1, 3), 10**100])
    assert column(entry, "value")[:2] == ["0", "-0"]
    small = entry_of([f"1.{'0' * 300}1", "1/3"])
    assert column(small, "error")[0] == f"-1e-{301}"
    assert column(small, "error")[1] == "1/24"


def test_numbers_of_thousands_of_digits_have_errors_and_ulps() -> None:
    """Python refuses to turn texts of more than 4,300 digits into integers."""
    large, small = entry_of(["1e5999"]), entry_of(["1e-5999/7"])
    error = 6 * 2**127 - 10**5999
    assert column(large, "error") == [fraction_text(Fraction(error))]
    assert column(large, "error_ulp") == [fraction_text(Fraction(error, 2 * 2**127))]
    wanted = Fraction(-1, 7 * 10**5999)
    assert column(small, "error") == [fraction_text(wanted)]
    assert column(small, "error_ulp") == [fraction_text(wanted * 2**128)]
