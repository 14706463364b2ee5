"""`fpx devices` as a table for each device."""

from __future__ import annotations

from dataclasses import replace

from fpx.casts.device import find_device
from fpx.casts.environment import environment
from fpx.report.devices import DevicesReport, DeviceSupport, FormatSupport
from tests.helpers import cells, drawn

SUPPORT = FormatSupport(
    "bfloat16", True, True, False, None, 2.0,
    cast_gb_per_s=10.0, cast_gb_per_s_min=9.0, cast_gb_per_s_max=10.5, cast_in_cache=True,
    copy_gb_per_s=0.5, copy_gb_per_s_min=0.4, copy_gb_per_s_max=40.0, copy_in_cache=False,
)  # fmt: skip
LACKING = FormatSupport("float6_e2m3fn")


def report_of(*formats: FormatSupport) -> DevicesReport:
    cpu = DeviceSupport("cpu", "cpu (of ours)", None, None, 3 << 20, formats)
    return DevicesReport((cpu,), environment([find_device("cpu")]), 1234)


def test_rates_with_their_spread_and_what_fits_the_cache() -> None:
    text = drawn(report_of(SUPPORT, LACKING), 100)
    (row,) = (row for row in cells(text) if row[0] == "bfloat16")
    assert row == ["bfloat16", "yes", "yes", "no", "-", "2", "10* ±10%", "0.5 ×100"]
    (row,) = (row for row in cells(text) if row[0] == "float6_e2m3fn")
    assert row == ["float6_e2m3fn", "no", "no", "no", "-", "-", "-", "-"]
    assert "Rates of 1,234 elements" in text
    assert "* fits the cache of 3 MiB" in text


def test_no_word_of_a_cache_that_nothing_fits() -> None:
    text = drawn(report_of(replace(SUPPORT, cast_in_cache=False), LACKING), 100)
    assert "*" not in text
    assert "cache" not in text


def test_rates_stay_on_a_narrow_screen() -> None:
    wide = replace(
        SUPPORT, format="float8_e4m3b11fnuz", cast_gb_per_s=105.3, cast_gb_per_s_min=1.0,
        cast_gb_per_s_max=106.0,
    )  # fmt: skip
    text = drawn(report_of(wide), 80)
    assert max(map(len, text.splitlines())) <= 80
    assert "105* ±99%" in text
    assert "0.5 ×100" in text


def test_where_subnormals_are_lost() -> None:
    kept = replace(
        SUPPORT, subnormals=True, subnormals_cast=True, subnormals_product_small=True,
        subnormals_product_large=True,
    )  # fmt: skip
    for found, said in (
        (kept, ["yes"]),
        (replace(kept, subnormals_cast=None, subnormals_product_large=None), ["yes"]),
        (replace(SUPPORT, subnormals=False, subnormals_cast=False), ["no"]),
        (replace(kept, subnormals_product_large=False), ["not in", "large", "matmul"]),
        (replace(kept, subnormals=False, subnormals_cast=False), ["not in", "cast", "elementwise"]),
        (replace(kept, subnormals_product_small=False), ["not in", "small", "matmul"]),
    ):
        lines = cells(drawn(report_of(found), 100))
        (first,) = (at for at, row in enumerate(lines) if row[0] == "bfloat16")
        assert lines[first][4] == said[0]
        assert [row[0] for row in lines[first + 1 : first + len(said)]] == said[1:]
