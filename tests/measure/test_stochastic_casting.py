"""Casts that round stochastically: what is expected of them, and draws that anyone can repeat."""

from __future__ import annotations

import json
import math
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

import fpx
from fpx.casts.backends import BACKENDS
from fpx.casts.device import Device
from fpx.core import codec
from fpx.core.formats import FORMATS
from fpx.core.policy import Scheme, Stochastic
from fpx.core.spec import FormatSpec
from fpx.core.stochastic import distribute
from fpx.errors import FpxError
from fpx.measure import fused
from fpx.measure.block import SourceBlock
from fpx.measure.cast_compare import cast_compare
from fpx.measure.measurement import Measurer
from fpx.measure.measurers import Chosen
from fpx.measure.metrics import measure
from fpx.measure.shares import parts
from fpx.measure.stochastic_casting import StochasticCasting
from fpx.report.cast_compare import CastReport
from fpx.report.cast_row import CastRow
from tests.helpers import call
from tests.measure.plain import measure_plainly
from tests.measure.test_metrics import equal
from tests.ranks.teams import close, rehearse

E4M3, BF16 = FORMATS["float8_e4m3fn"], FORMATS["bfloat16"]
NUMBERS = torch.tensor(
    [1.0, 1.06, -1.06, 3.14159, 447.0, 448.0, 449.0, -470.0, 479.0, 481.0, 1e9, 0.0, -0.0,
     1e-3, -1e-3, 1e-4, 3e-9, 2.0**-10, 3 * 2.0**-10, 1.9999, math.inf, -math.inf, math.nan]
)  # fmt: skip


def rows_of(source: Any, to: str = "e4m3fn", rounding: str = "stochastic", **more: Any) -> CastRow:
    (row,) = fpx.cast_compare(source, to, rounding=rounding, **more).rows
    assert isinstance(row, CastRow)
    return row


def expected(numbers: Tensor, target: FormatSpec, rounding: Stochastic) -> dict[str, Fraction]:
    """The same from the distributions of single numbers."""
    bias = nearest_bias = underflow = nearest_underflow = overflow = Fraction(0)
    steady = 0
    for x in numbers.tolist():
        if not math.isfinite(x):
            continue
        found = distribute(Fraction(x), target, rounding)
        numerator, denominator = x.as_integer_ratio()
        nearest = codec.round_exact(numerator, denominator, target)
        overflow += found.overflow_probability
        if x:
            zero = target.sign_mask if x < 0 else 0
            underflow += found.codes.get(zero, Fraction(0))
            nearest_underflow += nearest.code == zero
        if not any(item.rounded.overflow for item in found.outcomes):
            steady += 1
            value = codec.decode(nearest.code, target)
            assert value is not None
            assert found.bias_ulp is not None
            assert found.ulp is not None
            bias += found.bias_ulp
            nearest_bias += (value.fraction - Fraction(x)) / found.ulp
    return {
        "expected_mean_error_ulp": bias / steady,
        "nearest_mean_error_ulp": nearest_bias / steady,
        "expected_underflow_count": underflow,
        "nearest_underflow_count": nearest_underflow,
        "expected_overflow_count": overflow,
    }


@pytest.mark.parametrize(
    "rounding", [Stochastic(), Stochastic(4), Stochastic(8, Scheme.B), Stochastic(3, Scheme.C)]
)
@pytest.mark.parametrize("target", [E4M3, BF16], ids=lambda spec: spec.name)
def test_expectations_are_those_of_single_numbers(target: FormatSpec, rounding: Stochastic) -> None:
    numbers = torch.cat([NUMBERS, torch.randn(500, generator=torch.Generator().manual_seed(0))])
    row = rows_of(numbers, target.name, rounding.value)
    for name, value in expected(numbers, target, rounding).items():
        assert row.metrics[name] == pytest.approx(float(value), rel=1e-12, abs=1e-15), name
    if rounding.bits is None:
        assert row.metrics["expected_mean_error_ulp"] == 0
    assert row.metrics["expected_overflow_rate"] == pytest.approx(
        (row.metrics["expected_overflow_count"] or 0) / len(numbers)
    )


def test_the_draw_is_of_the_neighbours_and_of_the_seed() -> None:
    numbers = torch.full((4000,), 1.0625 + 1 / 64)  # 5/8 of an ulp above 1
    first, second = (rows_of(numbers, seed=seed) for seed in (0, 1))
    assert first.metrics == rows_of(numbers, seed=0).metrics
    assert first.metrics["mean_error_ulp"] != second.metrics["mean_error_ulp"]
    for row in (first, second):
        assert row.metrics["max_error_ulp"] == 0.625
        assert row.metrics["mean_error_ulp"] == pytest.approx(0, abs=0.04)
        assert row.metrics["nearest_mean_error_ulp"] == 0.375


def test_overflow_is_counted_as_it_is_drawn() -> None:
    numbers = torch.cat([torch.full((1000,), 456.0), torch.full((10,), 1000.0)])
    row = rows_of(numbers)
    assert row.metrics["overflow_count"] == 10  # to nearest
    assert row.metrics["expected_overflow_count"] == 260
    drawn = row.metrics["drawn_overflow_count"]
    assert drawn == row.metrics["destroyed_count"]
    assert drawn is not None
    assert 200 < drawn < 320
    saturated = rows_of(numbers, "fp4")  # it has neither infinity nor NaN
    assert saturated.metrics["drawn_overflow_count"] == 1010
    assert saturated.metrics["destroyed_count"] == 0


def test_tensors_of_other_names_draw_differently() -> None:
    x = torch.randn(3000, generator=torch.Generator().manual_seed(0))
    report = fpx.cast_compare({"a": x, "b": x}, "e4m3fn", rounding="stochastic")
    first, second = report.rows
    assert first.metrics["expected_underflow_count"] == second.metrics["expected_underflow_count"]
    assert first.metrics["mean_error_ulp"] != second.metrics["mean_error_ulp"]
    alone = fpx.cast_compare({"b": x}, "e4m3fn", rounding="stochastic").rows[0]
    assert alone.metrics == second.metrics


@pytest.fixture
def file(tmp_path: Path) -> str:
    generator = torch.Generator().manual_seed(0)
    tensors = {
        "layer.weight": torch.randn(211, 97, generator=generator) * 160,  # some overflow
        "half": torch.randn(999, generator=generator).half(),
        "bf16": torch.randn(300_000, generator=generator).bfloat16(),  # that codes are counted of
    }
    save_file(tensors, tmp_path / "m.safetensors")
    return str(tmp_path / "m.safetensors")


def compared(file: str, **more: Any) -> CastReport:
    return cast_compare([file], [E4M3, BF16], rounding=Stochastic(), seed=5, **more)


def document(report: CastReport) -> Any:
    return json.loads(json.dumps(report.to_dict()))


def test_draws_do_not_depend_on_blocks_and_threads(file: str) -> None:
    usual = document(compared(file))
    overflows = [entry["drawn_overflow_count"] for entry in usual["results"]]
    assert overflows == [entry["destroyed_count"] for entry in usual["results"]]
    assert max(overflows) > 20
    for block in (1000, 777, 1 << 20):
        device = Device(torch.device("cpu"), "cpu", block)
        for chosen in (Chosen(measure, ""), Chosen(measure, "", threaded=True)):
            found = document(compared(file, device=device, measurer=chosen))
            close(found["results"], usual["results"])


@pytest.mark.parametrize("threaded", [False, True])
@pytest.mark.parametrize("ranks", [2, 5])
def test_draws_do_not_depend_on_ranks(
    ranks: int, threaded: bool, file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "__defaults__", (64,))  # small tensors are cut too
    device = Device(torch.device("cpu"), "cpu", 1000)
    chosen = Chosen(measure, "", threaded)
    many, _ = rehearse(
        ranks, lambda team: compared(file, team=team, device=device, measurer=chosen)
    )
    close(document(compared(file))["results"], document(many)["results"])


@pytest.mark.parametrize("target", [E4M3, BF16, FORMATS["float16"]], ids=lambda spec: spec.name)
def test_what_a_draw_lost_is_measured_as_the_definitions_have_it(target: FormatSpec) -> None:
    """Numbers that a draw takes up from far below the smallest one of the target, too."""
    least = 2.0 ** (target.emin - target.fraction_bits)
    x = torch.rand(400, generator=torch.Generator().manual_seed(1)) * least
    x[::2] *= 2.0**-4
    loaded = fused.load()
    measurers: list[Measurer] = [measure] if loaded is None else [measure, loaded[0]]
    for some in (x, x + least, x * 2**10, x * 2**20):
        casting = StochasticCasting(BACKENDS["exact"], FORMATS["float32"], target, tensor="x")
        q = casting.results(some)
        plain = measure_plainly(SourceBlock(some), q, target)
        assert plain.counts["underflow_count"] < len(x)
        for each in measurers:
            equal(each(SourceBlock(some), q, target), plain)


def test_verdicts_know_how_much_noise_draws_make() -> None:
    x = torch.randn(100_000, generator=torch.Generator().manual_seed(0))
    row = rows_of(x, "bf16")
    nearest = fpx.cast_compare(x, "bf16").rows[0]
    lost = nearest.number("sqnr_db") - row.number("sqnr_db")
    assert lost == pytest.approx(10 * math.log10(2), abs=0.1)
    assert row.number("small_value_loss_db") < 0.1
    assert row.fits


def test_small_values_lose_as_much_as_they_do_to_nearest() -> None:
    """Two binades below the normal numbers an ulp is four times what it would be: 12 dB."""
    x = (1 + torch.rand(50_000, generator=torch.Generator().manual_seed(0))) * 2.0**-8
    for row in (rows_of(x), fpx.cast_compare(x, "e4m3fn").rows[0]):
        assert row.number("small_value_loss_db") == pytest.approx(20 * math.log10(4), abs=0.1)


def test_other_casts_have_none_of_these() -> None:
    row = fpx.cast_compare(NUMBERS, "e4m3fn").rows[0]
    for name in ("expected_overflow_count", "drawn_overflow_rate", "nearest_mean_error_ulp"):
        assert row.metrics[name] is None


@pytest.mark.parametrize(
    ("args", "says"),
    [
        ("--rounding to_odd", "casts round to nearest, not to_odd: --rounding is ties_to_even or"),
        ("--rounding stochastic --backend torch", "leave out --backend, or --rounding"),
        ("--rounding stochastic:99", "the number of random bits is 1 to 32"),
    ],
)
def test_what_no_draw_is_made_of_is_one_line(args: str, says: str) -> None:
    code, out, err = call("cast-compare", "normal", "--size", "10", *args.split())
    assert (code, out) == (2, "")
    assert says in err
    assert err.count("\n") == 1


def test_the_function_refuses_other_roundings() -> None:
    with pytest.raises(FpxError, match="`rounding` is ties_to_even or stochastic"):
        fpx.cast_compare(NUMBERS, "bf16", rounding="to_odd")


def test_the_command_tells_all_three(tmp_path: Path) -> None:
    numbers = torch.cat([torch.full((1000,), 456.0), torch.full((8,), 2.0**-12)])
    save_file({"w": numbers}, tmp_path / "m.safetensors")
    args = (
        "cast-compare", tmp_path / "m.safetensors", "--to", "e4m3fn", "--rounding", "stochastic:4",
        "--seed", "3",
    )  # fmt: skip
    code, out, _ = call(*args, columns=80)
    assert code == 0
    assert "rounding stochastic:4:a: one draw by seed 3" in out
    assert max(map(len, out.splitlines())) <= 80
    rows = {
        line[:12].strip(): line.split()[-3:]
        for line in out.splitlines()
        if line.startswith((" to nearest", " expected", " this draw"))
    }
    found = json.loads(call(*args, "--json")[1])
    (entry,) = found["results"]
    assert found["rounding"] == "stochastic:4:a"
    assert found["environment"]["seed"] == 3
    assert rows["to nearest"] == ["-0.125", "8", "0"]
    assert rows["expected"] == ["0", "7", "250"]
    assert rows["this draw"][1:] == [
        str(entry["underflow_count"]), str(entry["drawn_overflow_count"])
    ]  # fmt: skip
    code, _, err = call(*args, "--fail-if", "expected_overflow_rate>0.2")
    assert code == 1
    assert "expected_overflow_rate" in err
