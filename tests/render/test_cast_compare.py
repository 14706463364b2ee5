"""`fpx cast-compare` as tables."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

import fpx
from fpx.measure.cast_compare import cast_compare
from fpx.render.cast_columns import COLUMNS, places
from fpx.render.cast_compare import View, cast_tables
from fpx.report.cast_compare import CastReport
from tests.conformance.planted import Planted
from tests.helpers import F16, F32, call, cells, drawn


def checkpoint(path: Path, worst: int = 30) -> Path:
    """31 tensors of which one overflows: neither among the first, nor the largest."""
    tensors = {f"layer.{n:02}": torch.full((4,), 1 + n * 2.0**-13) for n in range(31)}
    tensors[f"layer.{worst:02}"] = torch.tensor([1.0, 1e6])
    save_file(tensors, path / "x.safetensors")
    return path / "x.safetensors"


def names(text: str) -> list[str]:
    return [row[0] for row in cells(text) if row[0].startswith("layer.")]


def test_what_needs_attention_is_shown_and_the_rest_counted(tmp_path: Path) -> None:
    args = ("cast-compare", checkpoint(tmp_path), "--to", "fp16")
    code, out, _ = call(*args)
    assert (code, names(out)) == (0, ["layer.30"])
    assert "30 more tensors (--all shows every one)" in out
    _, out, _ = call(*args, "--top", "3")
    assert names(out) == ["layer.30", "layer.04", "layer.12"]  # overflow, then an SQNR of 73 dB
    assert "28 more tensors (--all" in out
    _, out, _ = call(*args, "--tolerate-overflow", "50%")
    assert names(out) == []
    assert "31 tensors (--all shows every one)" in out
    _, out, _ = call(*args, "--top", "31")
    every = names(out)
    assert sorted(every) == [f"layer.{n:02}" for n in range(31)]
    assert "--all" not in out
    assert names(call(*args, "--all")[1]) == every
    for bad in ("0", "-1"):
        assert call(*args, "--top", bad)[0] == 2
    assert call(*args, "--top", "3", "--all")[0] == 2


def test_the_worst_sqnr_is_the_lowest_one() -> None:
    tensors = {
        "underflows": torch.cat([torch.full((999,), 1 + 2.0**-14), torch.tensor([1e-9])]),
        "noisy": torch.full((1000,), 1 + 2.0**-11),  # of lower SQNR, though nothing underflows
        "empty": torch.zeros(0),
    }
    shown = drawn(fpx.cast_compare(tensors, to="fp16"))
    answer, line = re.findall(r"worst (\S+)(?: dB)? \((.*?)\)", shown)
    assert answer == line
    assert line[1] == "noisy"
    assert "worst -\n" in drawn(fpx.cast_compare({n: torch.zeros(0) for n in "ab"}, to="fp16"))


def test_what_has_no_finite_value_has_no_largest_one() -> None:
    tensors = {"nan": torch.full((3,), torch.nan), "none": torch.zeros(0), "zero": torch.zeros(2)}
    shown = cells(drawn(fpx.cast_compare(tensors, to="fp16"), 200))
    assert {row[0]: row[3] for row in shown if row[0] in tensors} == {
        "nan": "-",
        "none": "-",
        "zero": "0",
    }


def test_small_sources_are_shown_whole() -> None:
    few, many = ({f"layer.{n}": torch.ones(2) for n in range(count)} for count in (10, 11))
    assert len(names(drawn(fpx.cast_compare(few, to="fp16")))) == 10
    assert names(drawn(fpx.cast_compare(many, to="fp16"))) == []


def test_more_that_do_not_fit_than_there_is_room_for() -> None:
    bad = {f"layer.{n:02}": torch.tensor([1e6 + n]) for n in range(23)}
    text = drawn(fpx.cast_compare({**bad, "ok": torch.ones(1)}, to="fp16"))
    assert len([row for row in cells(text) if row[0][:5] == "layer" and len(row) > 4]) == 20
    assert "4 more tensors, 3 that do not fit (--all" in text


def test_rows_are_sorted_by_any_metric(tmp_path: Path) -> None:
    tensors = {"a": torch.tensor([1.0004]), "b": torch.tensor([2e-9, 5.0]), "c": torch.ones(3)}
    save_file(tensors, tmp_path / "x.safetensors")

    def order(metric: str) -> list[str]:
        _, out, _ = call(
            "cast-compare", tmp_path / "x.safetensors", "--to", "fp16", "--sort", metric
        )
        return [row[0] for row in cells(out) if row[0] in "abc" and len(row) > 3]

    assert order("sqnr_db") == ["a", "b", "c"]  # the smallest first
    assert order("underflow_rate") == ["b", "a", "c"]  # the largest first
    assert order("max_abs") == ["b", "a", "c"]
    assert order("exact_count") == ["a", "b", "c"]
    code, _, err = call("cast-compare", "normal", "--sort", "sqnr")
    assert (code, err.count("\n")) == (2, 1)


def test_targets_are_not_mixed(tmp_path: Path) -> None:
    _, out, _ = call("cast-compare", checkpoint(tmp_path), "--to", "fp16,e4m3fn", "--all")
    order = [f"layer.{n:02}" for n in range(31)]
    assert sorted(names(out)[:31]) == sorted(names(out)[31:62]) == order
    lines = out.splitlines()
    first, second = lines.index("float16"), lines.index("float8_e4m3fn")
    assert first < second
    assert all(name in "\n".join(lines[first:second]) for name in order)


def test_the_columns_say_what_their_heads_say() -> None:
    """Each number another one, so that none stands in the place of another."""
    x = [7e4] * 5 + [1e-9] * 4 + [2.0**-20] * 3 + [1.0, 1.0004, float("nan"), float("inf")]
    report = fpx.cast_compare(torch.tensor(x, dtype=torch.float64), to="fp16")
    columns = [column for column in COLUMNS if column.earns_its_place(report.rows)]
    assert [column.heading.replace("\n", " ") for column in columns] == [
        "values", "max |x|", "overflow", "underflow", "subnormal", "NaN, inf before", "SQNR dB",
    ]  # fmt: skip
    rows = [row for row in cells(drawn(report, 140)) if row[0] == "tensor"]
    assert rows[1] == [
        "tensor", "loses range", "16", "70,000", "5 (31.2%)", "4 (28.6%)", "3 (18.8%)", "2", "-inf",
    ]  # fmt: skip
    survivors = fpx.cast_compare(torch.tensor(x[5:-2]), to="fp16", tolerate_underflow=0.5)
    (row,) = (
        row for row in cells(drawn(survivors, 140)) if row[0] == "tensor" and row[1] == "fits"
    )
    assert float(row[-1]) == pytest.approx(survivors.rows[0].sqnr_db, abs=0.005)


def test_infinities_that_nobody_expects_are_lost_too() -> None:
    report = fpx.cast_compare(torch.tensor([65519.999999999, 1.0], dtype=torch.float64), to="fp16")
    assert (report.rows[0].overflow_count, report.rows[0].unexpected_nonfinite_count) == (0, 1)
    (row,) = (row for row in cells(drawn(report, 140)) if row[:2] == ["tensor", "loses range"])
    assert row[2:5] == ["2", "65,520", "1 (50%)"]


def test_ulps_are_shown_where_a_cast_rounds_wrongly() -> None:
    right = fpx.cast_compare(torch.tensor([1.0004]), to="fp16")
    wrong = fpx.cast_compare(torch.tensor([1 + 2**-11 + 2**-40], dtype=torch.float64), to="fp16")
    assert "ulp" not in drawn(right)
    assert right.rows[0].max_error_ulp <= 0.5 < wrong.rows[0].max_error_ulp
    assert "ulp" in drawn(wrong)


@pytest.mark.parametrize(
    ("x", "shown"),
    [(3e7, "937,486"), (3e10, "937,499,986"), (4e10, "1.25e+09"), (2.0**1000, "3.34846e+299")],
)
def test_ulps_without_end_are_shown_in_few_digits(x: float, shown: str) -> None:
    """Of float64, whatever saturates may be 10^306 ulps off: 32 of e4m3fn's are 448 - 416."""
    report = fpx.cast_compare(torch.tensor([x], dtype=torch.float64), to="e4m3fn")
    assert report.rows[0].saturated_count == 1
    assert [row[-2] for row in cells(drawn(report, 140)) if row[0] == "tensor"][1:] == [shown]


def test_a_device_that_agrees_says_so() -> None:
    report = fpx.cast_compare(torch.ones(3), to="fp16")
    assert "differs" not in drawn(report)
    (row,) = report.rows
    row = replace(row, metrics={**row.metrics, "device_mismatch_count": 0})
    agrees = replace(report, rows=(row,))
    assert "differs" in drawn(agrees)
    (shown,) = (row for row in cells(drawn(agrees)) if row[0] == "tensor" and row[1] == "fits")
    assert shown[-2] == "0"


def test_what_a_device_does_otherwise_needs_attention() -> None:
    tensors = {f"layer.{n:02}": torch.ones(2) for n in range(12)}
    report = fpx.cast_compare(tensors, to="fp16")
    assert names(drawn(report)) == []
    rows = [
        replace(row, metrics={**row.metrics, "device_mismatch_count": int(row.tensor[-1] == "7")})
        for row in report.rows
    ]
    assert names(drawn(replace(report, rows=tuple(rows)))) == ["layer.07"]


def test_sorting_shows_what_fits_too() -> None:
    tensors = {f"layer.{n:02}": torch.full((2,), 1 + n * 2.0**-13) for n in range(30)}
    report = fpx.cast_compare(tensors, to="fp16")
    assert len(names(drawn_view(report, View(sort="sqnr_db"), 100))) == 20


_ERRORS = ("abs_error", "rel_error", "error_ulp")


def test_places_say_something() -> None:
    fine = fpx.cast_compare(torch.tensor([1 + 2**-11, 1000.2, 1e-7]), to="fp16")
    assert fine.rows[0].max_error_ulp == 0.5
    assert len({fine.rows[0].locations[f"max_{name}_location"] for name in _ERRORS}) == 3
    assert [place.what for place in places(fine.totals[0])] == ["max error", "max relative error"]
    over = fpx.cast_compare(torch.tensor([7e4, 1e5, 1.0004]), to="fp16")
    assert [(place.what, place.size) for place in places(over.totals[0])] == [
        ("first overflow", None), ("largest value", 1e5),
    ]  # fmt: skip
    found = places(fpx.cast_compare(torch.tensor([1.0, 1e5, 2e5]), to="e4m3fn").totals[0])
    assert [(place.what, place.location.index) for place in found] == [
        ("first overflow", (1,)), ("largest value", (2,)),
    ]  # fmt: skip
    wrong = torch.tensor([1 + 2**-11 + 2**-40, 3.0], dtype=torch.float64)
    found = places(fpx.cast_compare(wrong, to="fp16").totals[0])
    assert [place.what for place in found] == ["max error"]  # the same place is shown once
    wide = torch.tensor([1 + 2**-11 + 2**-40, 1000.2, 1e-7], dtype=torch.float64)
    found = places(fpx.cast_compare(wide, to="fp16").totals[0])
    assert [place.what for place in found] == [
        "max error", "max relative error", "max error in ulps",
    ]  # fmt: skip


def test_the_answers_come_first(tmp_path: Path) -> None:
    path = checkpoint(tmp_path)
    report = fpx.cast_compare(str(path), to=["fp16", "bf16"])
    text = " ".join(drawn(report).split())
    for answer in report.answers:
        assert f"{answer.to}: {answer.text}" in text
    assert text.index("bfloat16: yes") < text.index("Where")


def test_several_files_have_a_block_each(tmp_path: Path) -> None:
    """And an answer on all of them; rows stand under the name of their file."""
    one, other = (tmp_path / f"{name}.safetensors" for name in "ab")
    save_file({"w": torch.tensor([1e6]), "v": torch.ones(2)}, one)
    save_file({"w": torch.tensor([3.0])}, other)
    report = fpx.cast_compare([str(one), str(other)], to="fp16")
    lines = drawn(report, 300).splitlines()
    heads = [lines.index(str(path)) for path in (one, other)]
    assert lines[2] == f"float16: {report.overall[0].text}"
    assert f"{one} w" in lines[2]
    assert f"float16: {report.answers[0].text}" in lines[heads[0] : heads[1]]
    assert f"float16: {report.answers[1].text}" in lines[heads[1] :]
    blocks = ["\n".join(lines[heads[0] : heads[1]]), "\n".join(lines[heads[1] :])]
    found = [[row[0] for row in cells(block) if row[-1] in ("exact", "-inf")] for block in blocks]
    assert found == [["w", "v", "(total)"], ["w"]]


def test_histograms_are_drawn_over_the_ranges(tmp_path: Path) -> None:
    x = torch.tensor([2.0**-30] * 100 + [2.0**-3] * 10 + [1.0])
    report = fpx.cast_compare(x, to=["fp16", "bf16"])
    console_text = drawn_view(report, View(histogram=True), 100)
    chart = console_text.partition("values by exponent")[2].splitlines()
    bars, names_of = chart[1:6], chart[7:9]
    assert [name.split()[0] for name in names_of] == ["float16", "bfloat16"]
    assert bars[0].lstrip().startswith("100 ")
    columns = {at for line in bars for at, char in enumerate(line) if char in "▁▂▃▄▅▆▇█"}
    start, normal = names_of[0].index("░"), names_of[0].index("█")
    assert min(columns) < start  # 2^-30 is below all that float16 has
    # as many columns for each of three binades, of which float16 has ten of subnormals
    binade = (normal - start) / 10
    assert 3 * (binade - 1) <= len(columns) <= 3 * (binade + 1)
    assert max(columns) - min(columns) == pytest.approx(31 * binade, abs=2)
    heights = {at: sum(line[at : at + 1].strip() != "" for line in bars) for at in columns}
    assert [heights[at] for at in sorted(columns)] == sorted(heights.values(), reverse=True)
    assert "values by exponent" not in drawn(report)
    empty = fpx.cast_compare(torch.zeros(2), to="fp16")
    assert "no finite values but zeros" in drawn_view(empty, View(histogram=True), 80)


def drawn_view(report: CastReport, view: View, width: int) -> str:
    return drawn(cast_tables(report, view), width)


def test_long_names_keep_their_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    name = "model.decoder." + ".".join(f"block{n}" for n in range(20)) + ".attention.weight"
    save_file({name: torch.ones(2)}, tmp_path / "x.safetensors")
    _, out, _ = call("cast-compare", tmp_path / "x.safetensors", "--to", "fp16")
    (shown,) = (row[0] for row in cells(out) if row[0].startswith("model.") and "…" in row[0])
    assert name.startswith(shown.partition("…")[0])
    assert name.endswith(shown.partition("…")[2])
    assert len(shown) >= 16
    monkeypatch.delenv("COLUMNS")
    _, out, _ = call("cast-compare", tmp_path / "x.safetensors", "--to", "fp16")
    assert f" {name} " in out  # a pipe has room for all of it


def test_whoever_casts_is_named_with_the_version() -> None:
    """Also a backend that no library of the environment is."""
    report = cast_compare([torch.ones(3)], [F16], from_=F32, backend=Planted())
    assert "cast by planted 0 on cpu" in drawn(report, 120)


def test_neighbouring_binades_touch_in_a_histogram() -> None:
    report = fpx.cast_compare(torch.tensor([1.0, 2.0, 4.0]), to="e4m3fn")
    chart = drawn_view(report, View(histogram=True), 100).partition("by exponent")[2].splitlines()
    bar = chart[1].partition("1 ")[2]
    assert set(bar.strip()) == {"█"}
    per_binade = len(bar.strip()) / 3
    normals = chart[7].count("█")
    assert normals == pytest.approx(per_binade * 15, abs=3)  # binades of float8_e4m3fn
