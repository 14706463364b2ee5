"""What a cast loses: by hand, and against the definitions."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import fpx
from fpx.casts.backends import TorchBackend
from fpx.casts.device import Device
from fpx.core.formats import FORMATS
from fpx.core.spec import FormatSpec
from fpx.core.targets import find_targets
from fpx.errors import InputError
from fpx.measure.cast_compare import cast_compare
from fpx.measure.distinct import has_few_codes
from fpx.report.cast_row import Location
from fpx.report.metrics import METRICS
from fpx.tensors.dtypes import Origin, torch_dtype
from fpx.tensors.memory import entry_of
from fpx.tensors.progress import Silent
from tests.helpers import BF16, F16, F32, F64, FP8, results
from tests.measure.definitions import (
    agree,
    cpu,
    first_largest,
    integer_reference,
    reference_row,
    row_of,
)

NEVER = 1 << 62
"""Elements that no tensor has."""


def test_counts_by_hand() -> None:
    inf, nan = math.inf, math.nan
    x = torch.tensor([1.0, 65519.0, 65520.0, -1e30, 1e-9, -1e-7, 0.0, -0.0, inf, nan, 1.0001])
    row = row_of(x, F16)
    assert row.count == 11
    assert (row.overflow_count, row.overflow_to_inf_count) == (2, 2)
    assert (row.overflow_to_nan_count, row.saturated_count) == (0, 0)
    assert (row.underflow_count, row.subnormal_count) == (1, 1)
    assert (row.nan_input_count, row.inf_input_count, row.nan_lost_count) == (1, 1, 0)
    assert row.exact_count == 4  # 1, both zeros, inf
    assert row.surviving_max_abs_error == 15
    assert row.surviving_max_rel_error == 1.0
    assert row.surviving_max_error_ulp == pytest.approx(15 / 32)
    assert row.first_overflow == row.first_destroyed == Location("tensor", (2,), 65520.0, inf)
    assert (row.destroyed_count, row.max_abs) == (2, -x[3].item())
    assert row.max_abs_location.index == (3,)
    assert row.min_abs == torch.tensor(1e-9).item()
    assert row.underflow_rate == 1 / 7
    for name in ("max_abs_error", "max_rel_error", "max_error_ulp"):
        assert row.metrics[name] == inf
        assert row.locations[f"{name}_location"] == row.first_destroyed
    assert row.exponent_histogram == {0: 2, 15: 2, 99: 1, -30: 1, -24: 1}


def test_integers_beyond_float64() -> None:
    x = torch.tensor([2**62 + 1, 2**53 + 1, -(2**62) - 3, 16973823])
    row = row_of(x, F64)
    assert row.exact_count == 1
    assert row.max_abs_error == 3
    y = torch.tensor([2**64 - 1, 2**63 + 1], dtype=torch.uint64)
    assert row_of(y, F64).max_abs_error == 1


def test_torchs_double_rounding_shows_as_more_than_half_an_ulp() -> None:
    row = row_of(torch.tensor([1 + 2**-11 + 2**-40], dtype=torch.float64), F16)
    assert row.max_error_ulp > 0.5
    row = row_of(torch.tensor([65519.999999999], dtype=torch.float64), F16)
    assert (row.overflow_count, row.unexpected_nonfinite_count) == (0, 1)


@pytest.mark.parametrize(
    ("target", "db"), [(F16, 73.65), (BF16, 55.60), (FP8[0], 31.53), (FP8[1], 25.55)]
)
def test_golden_sqnr(target: FormatSpec, db: float) -> None:
    row = cast_compare(["normal"], [target], from_=F32, size=1 << 20).rows[0]
    assert row.sqnr_db == pytest.approx(db, abs=0.05)


def test_no_data_and_no_noise() -> None:
    empty = row_of(torch.zeros(0, 3), F16)
    assert empty.count == 0
    assert math.isnan(empty.sqnr_db)
    assert math.isnan(empty.rms_error)
    assert row_of(torch.ones(3), F16).sqnr_db == math.inf


FLOATS = [torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.float8_e5m2]
INTEGERS = [torch.int8, torch.int16, torch.int32, torch.int64, torch.uint8, torch.uint16,
            torch.uint32, torch.uint64, torch.bool]  # fmt: skip


@pytest.mark.parametrize("target", [F16, BF16, *FP8], ids=lambda s: s.name)
@pytest.mark.parametrize("dtype", [*FLOATS, *INTEGERS], ids=str)
def test_random_tensors_of_every_dtype(dtype: torch.dtype, target: FormatSpec) -> None:
    g = torch.Generator().manual_seed(1)
    if dtype.is_floating_point:
        spread = torch.exp(torch.randn(300, generator=g, dtype=torch.float64) * 8)
        x = (torch.randn(300, generator=g, dtype=torch.float64) * spread).to(dtype)
        specials = torch.tensor([0.0, -0.0, math.inf, -math.inf, math.nan, 65520.0, 464.0])
        x = torch.cat([x, specials.to(dtype)])
    else:
        bits = torch.randint(-(2**62), 2**62, (300,), generator=g) >> torch.randint(
            0, 62, (300,), generator=g
        )
        x = bits.to(dtype)
    row = row_of(x, target)
    exact = [v.item() for v in x] if not dtype.is_floating_point else x.to(torch.float64).tolist()
    values = np.array(exact, dtype=object if not dtype.is_floating_point else np.float64)
    result = x.to(torch_dtype(target)).to(torch.float64).numpy()
    if values.dtype == object:  # integers, exactly
        expected = integer_reference(values, result, target)
    else:
        expected = reference_row(values, result, target)
    agree(row.metrics, expected)


def test_block_size_does_not_matter() -> None:
    x = torch.randn(300, 7).t()
    rows = []
    for block in (1, 13, 1 << 16):
        row = row_of(x, BF16, device=cpu(block))
        rows.append((row.max_abs_error_location, row.exact_count, row.max_error_ulp_location))
    assert rows[0] == rows[1] == rows[2]
    at = rows[0][0]
    assert at is not None
    assert x[at.index].item() == at.value


@pytest.mark.parametrize("target", [F16, BF16, F32, *FP8], ids=lambda s: s.name)
@pytest.mark.parametrize(
    ("dtype", "by_code"),
    [
        (torch.float32, False),
        *((dtype, False) for dtype in (torch.bfloat16, torch.float16, torch.float8_e5m2)),
        *((dtype, True) for dtype in (torch.bfloat16, torch.float16, torch.float8_e5m2)),
    ],
    ids=str,
)
def test_blocks_of_every_kind_against_fractions(
    dtype: torch.dtype, target: FormatSpec, by_code: bool
) -> None:
    """Short blocks, some tame and some with specials, so that every way of measuring is merged."""
    rng = np.random.default_rng(7)
    inf, tiny = math.inf, 2.0**-149
    specials = [0.0, -0.0, inf, -inf, math.nan, tiny, -3 * tiny, 2.0**-24, 65519.0, -65520.0, 464.0]
    parts = [torch.from_numpy(rng.standard_normal(60) * 2.0**e) for e in (0, -12, -130, 9, 125)]
    parts[1][::3] = 0.0
    parts += [torch.tensor(specials, dtype=torch.float64), torch.arange(-20, 20) * 2.0**-11 + 1]
    x = torch.cat(parts).to(dtype)
    row = row_of(x, target, device=cpu(30), worthwhile=0 if by_code else NEVER)
    values = x.to(torch.float64).numpy()
    result = x.to(torch_dtype(target)).to(torch.float64).numpy()
    expected = reference_row(values, result, target)
    agree(row.metrics, expected)
    for name, at in first_largest(values, result, target).items():
        found = getattr(row, f"{name}_location")
        assert (found and found.index) == at, name
    exponents = [math.frexp(v)[1] - 1 for v in values.tolist() if v and math.isfinite(v)]
    assert row.exponent_histogram == {e: exponents.count(e) for e in sorted(set(exponents))}


def test_relative_errors_that_look_alike_in_float32() -> None:
    x = torch.from_numpy(np.random.default_rng(5).standard_normal(100_000)).to(torch.float32)
    error = (x.to(torch.float16).double() - x.double()).abs()
    exact = error / x.double().abs()
    rounded = error.float() / x.abs()
    order = exact.argsort()
    alike = (rounded[order][1:] == rounded[order][:-1]) & (exact[order][1:] != exact[order][:-1])
    down = rounded.double()[order][:-1] < exact[order][:-1]
    chosen = [*alike.nonzero()[:20].view(-1), *(alike & down).nonzero()[:20].view(-1)]
    assert len(chosen) > 30
    for block in (1, 2):  # in blocks of their own, the larger must not be passed over either
        for at in chosen:
            pair = order[at : at + 2]  # the smaller error first
            row = row_of(x[pair], F16, device=cpu(block))
            assert row.max_rel_error == exact[pair[1]].item()
            assert row.max_rel_error_location is not None
            assert row.max_rel_error_location.index == (1,)


def test_long_16_bit_tensors_are_taken_by_code() -> None:
    """Which shows in nothing: their statistics are those of the same numbers in 32 bits."""
    x = torch.randn(1 << 18, generator=torch.Generator().manual_seed(0)).to(torch.bfloat16)
    entry = entry_of("x", x)
    assert has_few_codes(entry)
    assert not has_few_codes(entry_of("x", x.float()))
    assert not has_few_codes(entry_of("x", x[:1000]))
    by_code, direct = row_of(x, F16), row_of(x.float(), F16)
    counts = [name for name, metric in METRICS.items() if metric.is_count]
    for name in (*counts, "max_abs_error", "max_abs_error_location", "max_rel_error_location",
                 "max_error_ulp", "max_error_ulp_location", "exponent_histogram"):  # fmt: skip
        assert getattr(by_code, name) == getattr(direct, name), name
    assert by_code.max_error_ulp_location == row_of(x, F16, worthwhile=NEVER).max_error_ulp_location
    assert by_code.rms_error == pytest.approx(direct.rms_error, rel=1e-12)
    assert by_code.sqnr_db == pytest.approx(direct.sqnr_db, rel=1e-12)


class _Faulty(TorchBackend):
    """On the device it truncates and sets other NaN bits; the CPU, asked next, rounds."""

    def __init__(self) -> None:
        super().__init__()
        self.on_cpu_next = False

    def cast(
        self,
        codes: torch.Tensor,
        origin: Origin,
        target: FormatSpec,
        layout: str = "contiguous",
        compiled: bool = False,
    ) -> torch.Tensor:
        if self.on_cpu_next or origin is not F32 or len(codes) == 1:
            self.on_cpu_next = False
            return super().cast(codes, origin, target)
        self.on_cpu_next = True
        q = (codes >> 16).to(torch.int16)
        nan = codes.view(torch.float32).isnan()
        return torch.where(nan, torch.tensor(0x7FFF, dtype=torch.int16), q)


class _Card(Device):
    """A device that is not the CPU, though it runs there."""

    @property
    def is_cpu(self) -> bool:
        return False


def test_results_that_differ_from_the_cpu_are_counted() -> None:
    card = _Card(torch.device("cpu"), "a card", 2)
    x = torch.tensor([1.0, 1.999, math.nan, -1.999])
    report = cast_compare([x, x], [BF16], from_=F32, backend=_Faulty(), device=card)
    first, second = report.rows
    assert first.device_mismatch_count == 2
    assert first.device_nan_bits_mismatch_count == 1
    assert first.first_device_mismatch == Location("tensor", (1,), x[1].item(), 1.9921875)
    assert second.first_device_mismatch.tensor == "tensor1"
    (total,) = report.totals
    assert (total.device_mismatch_count, total.device_nan_bits_mismatch_count) == (4, 2)
    assert total.first_device_mismatch == first.first_device_mismatch
    same = cast_compare([x], [BF16], from_=F32, device=card).rows[0]
    assert (same.device_mismatch_count, same.device_nan_bits_mismatch_count) == (0, 0)
    assert same.first_device_mismatch is None
    here = cast_compare([x], [BF16], from_=F32).rows[0]
    assert here.device_mismatch_count is here.device_nan_bits_mismatch_count is None


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_interrupted_in_the_middle_of_a_tensor(dtype: torch.dtype, tmp_path: Path) -> None:
    count = 4 << 20
    save_file({"x": torch.full((count,), 1e30).to(dtype)}, tmp_path / "x.safetensors")

    class Interrupts(Silent):
        done = 0

        def advance(self, count: int) -> None:
            self.done += count
            if self.done >= 1 << 20:
                raise KeyboardInterrupt

    report = cast_compare(
        [str(tmp_path / "x.safetensors")], [FORMATS["float16"]], from_=FORMATS["float32"],
        progress=Interrupts(), keep_partial=True,
    )  # fmt: skip
    assert report.partial
    (total,) = report.totals
    assert 1 << 20 <= total.count < count
    assert total.overflow_count == total.count
    (answer,) = report.answers
    assert answer.text.startswith(f"so far no. It overflows: {total.count:,} of {total.count:,} ")


def test_what_was_interrupted_is_no_yes() -> None:
    """Though all that was cast fits: the rest was not seen."""

    class Interrupts(Silent):
        def advance(self, count: int) -> None:
            raise KeyboardInterrupt

    tensors = {"a": torch.full((3,), 1.0004), "b": torch.full((3,), 1e9)}
    targets = [FORMATS["float16"], *find_targets(["mxfp4"])]
    report = cast_compare([tensors], targets, progress=Interrupts(), keep_partial=True)
    assert report.partial
    assert [row.count for row in report.rows] == [3, 0]
    assert [answer.text for answer in report.answers] == [
        "so far yes. It fits; 67.96 dB.", "so far nothing was cast.",
    ]  # fmt: skip
    assert not any(answer.fits for answer in (*report.answers, *report.overall))


def test_boundaries_are_cast_to_the_target_they_are_of() -> None:
    rows = results("cast-compare", "boundaries", "--to", "fp16", "--to", "bf16")
    assert [row["to"] for row in rows] == ["float16", "bfloat16"]
    assert rows[0]["count"] != rows[1]["count"]


def test_the_totals_of_several_formats_are_mixed() -> None:
    one, other = torch.ones(2), torch.ones(3, dtype=torch.bfloat16)
    (total,) = fpx.cast_compare([one, other], to="fp16").totals
    assert (total.from_, total.count) == ("mixed", 5)
    (total,) = fpx.cast_compare([one, one], to="fp16").totals
    assert total.from_ == "float32"
    (total,) = fpx.cast_compare([other], to="fp16").totals
    assert total.from_ == "bfloat16"


def test_of_equal_errors_the_first_tensor_has_the_largest() -> None:
    """Totals keep the place of the first of equals, over tensors too."""
    x = torch.tensor([1.0, 1.0004])
    (total,) = fpx.cast_compare([x, x, x], to="fp16").totals
    for at in (
        total.max_abs_error_location,
        total.max_rel_error_location,
        total.max_error_ulp_location,
    ):
        assert at is not None
        assert (at.tensor, at.index) == ("tensor", (1,))
    x = torch.tensor([7e4])
    (total,) = fpx.cast_compare([torch.ones(1), x, -x], to="fp16").totals
    assert total.first_overflow == Location("tensor1", (0,), 7e4, math.inf)


def test_totals_come_in_the_order_of_the_targets() -> None:
    report = fpx.cast_compare(torch.ones(2), to=["bf16", "fp16", "e5m2"])
    assert [row.to for row in report.totals] == ["bfloat16", "float16", "float8_e5m2"]
    assert [row.to for row in report.rows] == ["bfloat16", "float16", "float8_e5m2"]


def test_integers_are_left_as_they_are() -> None:
    """As `module.half()` leaves them; a source of nothing else is no answer to anything."""
    tensors = {
        "w": torch.ones(2),
        "n": torch.tensor(5),
        "m": torch.tensor(6),
        "b": torch.ones(1) > 0,
    }
    report = cast_compare([tensors], [F16], from_=F32)
    assert [row.tensor for row in report.rows] == ["w"]
    assert report.totals[0].count == 2
    assert report.notes == (
        "tensor: 2 int64, 1 bool tensors left as they are: `integers=True` casts such too",
    )
    every = cast_compare([tensors], [F16], from_=F32, integers=True)
    assert ([row.tensor for row in every.rows], every.notes) == (["w", "n", "m", "b"], ())
    for only in ({"n": torch.tensor(5)}, torch.arange(3)):
        with pytest.raises(InputError, match="1 int64 tensor left as it is"):
            cast_compare([only], [F16], from_=F32)
    mixed = cast_compare([torch.arange(3), torch.ones(1)], [F16], from_=F32)
    assert [row.tensor for row in mixed.rows] == ["tensor1"]
    assert [total.source for total in mixed.subtotals] == ["tensor1"]


def test_every_source_has_its_total() -> None:
    report = cast_compare(
        [{"a": torch.ones(2), "b": torch.tensor([7e4])}, torch.ones(3)], [F16, BF16], from_=F32
    )
    found = [(row.source, row.tensor, row.to, row.count) for row in report.subtotals]
    assert found == [
        ("tensor", "(total)", "float16", 3), ("tensor", "(total)", "bfloat16", 3),
        ("tensor1", "(total)", "float16", 3), ("tensor1", "(total)", "bfloat16", 3),
    ]  # fmt: skip
    assert [row.overflow_count for row in report.subtotals] == [1, 0, 0, 0]
    assert [row.count for row in report.totals] == [6, 6]
