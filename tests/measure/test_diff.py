"""Two checkpoints: constructed ones, against a second comparison that is plain."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from fpx.core.formats import FORMATS
from fpx.core.spec import FormatSpec
from fpx.errors import InputError
from fpx.measure.comparing import side_by_side
from fpx.measure.diff import diff
from fpx.report.diff_row import Change, Comparison, DiffRow
from fpx.tensors.dtypes import (
    INTEGERS,
    Origin,
    cast_dtype,
    container,
    widened_dtype,
    wrapped,
)
from fpx.tensors.memory import entry_of
from tests.measure.plain_diff import code_list, compare_plainly, wanted_code

TYPES: list[Origin] = [
    *(spec for spec in FORMATS.values() if widened_dtype(spec) is not None),
    *INTEGERS.values(),
]


def compared(x: Any, y: Any, **kinds: Any) -> Comparison:
    """What is found of two tensors."""
    found = only_row(x, y, **kinds).comparison
    assert found is not None
    return found


def only_row(x: Any, y: Any, **kinds: Any) -> DiffRow:
    (row,) = diff(x, y, **kinds).rows
    return row


def of_codes(codes: list[int], type_: Origin) -> torch.Tensor:
    dtype = container(type_)
    held = [wrapped(code & ((1 << 8 * dtype.itemsize) - 1), dtype) for code in codes]
    return torch.tensor(held, dtype=dtype).view(cast_dtype(type_))


def codes_to_try(type_: Origin, generator: np.random.Generator) -> list[int]:
    """Codes of every sort: zeros, the ends of the range, NaNs, and any."""
    if type_.bits == 1:
        return [int(code) for code in generator.integers(0, 2, 60)]
    special = [0, 1, 2]
    if isinstance(type_, FormatSpec):
        top = type_.max_finite_magnitude
        special += [top - 1, top, *range(top + 1, min(top + 4, type_.magnitude_mask + 1))]
        special += [type_.magnitude_mask]
        special += [code | type_.sign_mask for code in special]
    else:
        special += [(1 << type_.bits) - 1, 1 << (type_.bits - 1), (1 << (type_.bits - 1)) - 1]
    whole = 1 << type_.bits
    plain = [code % whole for code in generator.integers(0, 2**63, 40).tolist()]
    near_one = list(range(30))
    if isinstance(type_, FormatSpec):
        one = type_.bias << type_.fraction_bits
        near_one = [(one + step) % whole for step in generator.integers(-300, 300, 40).tolist()]
    return [*special, *plain, *near_one]


def changed(codes: list[int | None], type_: Origin, generator: np.random.Generator) -> list[int]:
    """What a converter may give for what was expected: it, a neighbour, or something else."""
    whole = 1 << max(type_.bits, 8 if type_.bits > 1 else 1)
    others = codes_to_try(type_, generator)
    found = []
    for code in codes:
        kind = generator.integers(0, 10)
        if code is None or kind == 0:
            found.append(others[generator.integers(0, len(others))])
        elif kind < 4:
            found.append((code + int(generator.integers(-3, 4))) % whole)
        elif kind == 4 and isinstance(type_, FormatSpec) and type_.signed:
            found.append(code ^ type_.sign_mask)
        else:
            found.append(code)
    return found


@pytest.mark.parametrize("b", TYPES, ids=lambda type_: type_.name)
@pytest.mark.parametrize("a", TYPES, ids=lambda type_: type_.name)
def test_every_pair_of_dtypes_is_compared_as_plainly(a: Origin, b: Origin) -> None:
    generator = np.random.default_rng(TYPES.index(a) * 100 + TYPES.index(b))
    codes = codes_to_try(a, generator)
    x = of_codes(codes, a)
    right = [wanted_code(code, a, b) for code in code_list(x)]
    finite_alone = [code if code is not None else 0 for code in right]
    for y, tolerance, block in (
        (of_codes(changed(right, b, generator), b), 2, 1 << 17),
        (of_codes(changed(right, b, generator), b), 0, 7),
        (of_codes(finite_alone, b), 0, 1 << 17),
    ):
        found = compared(x, y, tolerance_ulp=tolerance, block=block)
        plain = compare_plainly(x, y, tolerance)
        assert found.count == len(x)
        if not plain["differing_count"] and a == b:
            assert only_row(x, y).outcome is Change.EQUAL
            continue
        for name, value in plain.items():
            if not name.endswith("_at"):
                assert getattr(found, name) == value, name
        spots = {"max_at": found.max_distance_spot, "lost_at": found.first_lost_spot}
        for name, spot in spots.items():
            assert (None if spot is None else spot.index) == (
                None if plain[name] is None else (plain[name],)
            ), name


def test_where_it_is() -> None:
    x = torch.zeros(3, 4)
    y = x.clone()
    y[2, 1] = 3e-45  # two codes up
    y[1, 3] = math.inf
    found = compared(x, y, block=5)
    spot, lost = found.max_distance_spot, found.first_lost_spot
    assert spot is not None
    assert lost is not None
    assert (spot.index, spot.a, spot.b) == ((2, 1), 0.0, float(y[2, 1]))
    assert (spot.a_code, spot.b_code, spot.expected_code) == (
        "0x00000000", "0x00000002", "0x00000000",
    )  # fmt: skip
    assert (lost.index, lost.b, lost.b_code) == ((1, 3), math.inf, "0x7f800000")
    assert (found.differing_count, found.max_distance, found.mean_distance) == (2, 2, 2 / 11)


def test_a_right_conversion_has_distance_0_and_a_truncating_one_1() -> None:
    x = torch.randn(1000, generator=torch.Generator().manual_seed(0))
    truncated = (x.view(torch.int32) >> 16).to(torch.int16).view(torch.bfloat16)
    right, wrong = only_row(x, x.bfloat16()), only_row(x, truncated)
    assert right.outcome is Change.CONVERTED
    assert right.comparison is not None
    assert (right.comparison.max_distance, right.comparison.differing_count) == (0, 0)
    assert right.comparison.max_error_ulp == pytest.approx(0.5, abs=0.01)
    assert wrong.outcome is Change.DIFFERS
    assert wrong.comparison is not None
    assert wrong.comparison.max_distance == 1
    assert wrong.comparison.differing_count == int((truncated != x.bfloat16()).count_nonzero())
    assert only_row(x, truncated, tolerance_ulp=1).outcome is Change.WITHIN_TOLERANCE
    # ties go to even, and away from it is one off
    tie = torch.tensor([1 + 2.0**-8, 1 + 3 * 2.0**-8])
    assert only_row(tie, torch.tensor([1.0, 1 + 2.0**-6]).bfloat16()).outcome is Change.CONVERTED
    assert only_row(tie, torch.tensor([1.0, 1 + 2.0**-7]).bfloat16()).outcome is Change.DIFFERS


def test_a_wider_dtype_must_have_the_very_values() -> None:
    x = torch.randn(100).half()
    y = x.float()
    assert only_row(x, y).outcome is Change.CONVERTED
    y[3] = torch.nextafter(y[3], torch.tensor(9e9))
    found = compared(x, y)
    assert (found.max_distance, found.differing_count) == (1, 1)


def test_no_tolerance_covers_lost_range() -> None:
    ends = torch.tensor([65504.0, 1.0])
    for x, y in (
        (ends.half(), torch.tensor([math.inf, 1.0]).half()),  # one code, and all the range
        (ends.half(), torch.tensor([math.nan, 1.0]).half()),
        (torch.tensor([math.nan, 1.0]), torch.tensor([0.0, 1.0])),
        (torch.tensor([math.inf, 1.0]), torch.tensor([-math.inf, 1.0])),
        (ends * 2, (ends * 2).half()),  # rounded as it should be, and destroyed
        (ends * 2, torch.tensor([65504.0, 2.0]).half()),  # saturated
    ):
        row = only_row(x, y, tolerance_ulp=1 << 70)
        assert row.outcome is Change.DIFFERS
        assert row.comparison is not None
        assert row.comparison.beyond_count == row.comparison.differing_count == 1


def test_zeros_and_nans_of_other_bits() -> None:
    x = torch.tensor([0.0, -0.0, 1.0, math.nan])
    y = torch.tensor([-0.0, -0.0, 1.0, 0.0])
    y.view(torch.int32)[3] = 0x7FC01234
    row = only_row(x, y)
    assert row.outcome is Change.SAME_VALUES
    found = row.comparison
    assert found is not None
    assert (found.differing_count, found.zero_sign_count, found.nan_bits_count) == (2, 1, 1)
    assert (found.max_distance, found.beyond_count) == (0, 0)
    assert only_row(y, y.clone()).outcome is Change.EQUAL
    # who converts may make any NaN of a NaN, but no zero of the other sign
    assert only_row(y, y.half()).outcome is Change.CONVERTED
    tiny = torch.tensor([-1e-30])
    assert compared(tiny, tiny.half()).zero_sign_count == 0
    assert compared(tiny, -tiny.half()).zero_sign_count == 1


def test_integers_are_compared_exactly() -> None:
    x = torch.tensor([2**63 - 1, -(2**63), 2**53])
    y = torch.tensor([2**63 - 1, 2**63 - 1, 2**53 + 1])
    found = compared(x, y)
    assert (found.differing_count, found.max_distance) == (2, 2**64 - 1)
    assert found.mean_distance == 2**64 / 3
    assert found.max_abs_error is None
    assert compared(x[:1], torch.tensor([2**63 - 1], dtype=torch.uint64)).max_distance == 0
    assert compared(x[1:2], torch.tensor([0], dtype=torch.uint64)).out_of_range_count == 1
    assert compared(x[:1], torch.tensor([2.0**63])).max_distance == 0  # the nearest float32


def test_errors_are_those_of_cast_compare() -> None:
    from fpx.measure.cast_compare import cast_compare

    x = torch.randn(5000, generator=torch.Generator().manual_seed(3)) * 1e-4
    (row,) = cast_compare([x], [FORMATS["float16"]]).rows
    found = compared(x, x.half(), block=999)
    for name in ("max_abs_error", "max_rel_error", "max_error_ulp", "rms_error", "sqnr_db"):
        assert getattr(found, name) == pytest.approx(row.metrics[name], rel=1e-12), name
    # of equal dtypes too, over all elements and not only those that differ
    y = x.clone()
    y[4000] += 1
    found = compared(x, y, block=1000)
    wide, off = x.to(torch.float64), y.to(torch.float64)
    assert found.max_abs_error == float((off - wide).abs().max())
    ratio = float((wide**2).sum() / ((off - wide) ** 2).sum())
    assert found.sqnr_db == pytest.approx(10 * math.log10(ratio), rel=1e-9)


@pytest.mark.parametrize("shape", [(), (1,), (0,), (0, 3), (3, 0, 2), (2, 3)])
def test_shapes_of_every_size(shape: tuple[int, ...]) -> None:
    x = torch.full(shape, 2.0)
    row = only_row({"x": x}, {"x": x.clone()})
    assert row.outcome is Change.EQUAL
    assert row.comparison is not None
    assert row.comparison.count == x.numel()
    assert row.comparison.max_distance == (0 if x.numel() else None)
    assert only_row({"x": x}, {"x": x.half()}).outcome is Change.CONVERTED
    other = only_row({"x": x}, {"x": torch.full((*shape, 1), 2.0)})
    assert other.outcome is Change.RESHAPED
    assert other.comparison is None


def test_blocks_of_other_lengths_meet() -> None:
    """Strided tensors come in blocks as long as their rows."""
    whole = torch.arange(7 * 11 * 3.0).view(7, 11, 3)
    turned = whole.permute(2, 0, 1).contiguous().permute(1, 2, 0)
    assert not turned.is_contiguous()
    for limit in (1, 2, 3, 5, 8, 32, 33, 34, 100, 1000):
        pairs = list(side_by_side(entry_of("a", whole), entry_of("b", turned), limit))
        assert all(len(x) == len(y) <= limit for x, y in pairs)
        for side in zip(*pairs, strict=True):
            assert torch.equal(torch.cat(side), whole.view(-1))
        assert only_row(whole, turned, block=limit).outcome is Change.EQUAL
    turned[6, 10, 2] += 1
    found = compared(whole, turned, block=8)
    assert found.max_distance_spot is not None
    assert found.max_distance_spot.index == (6, 10, 2)


def test_missing_extra_renamed_and_reshaped() -> None:
    a = {"same": torch.ones(3), "gone": torch.ones(4), "old": torch.arange(6.0),
         "shape": torch.ones(2, 3), "kind": torch.zeros(2)}  # fmt: skip
    b = {"new": torch.arange(6.0), "same": torch.ones(3), "more": torch.ones(5),
         "shape": torch.ones(3, 2), "kind": torch.zeros(2, dtype=torch.int32)}  # fmt: skip
    report = diff(a, b)
    assert [(row.tensor, row.outcome.value) for row in report.rows] == [
        ("same", "equal"), ("gone", "missing"), ("old", "renamed"), ("shape", "reshaped"),
        ("kind", "converted"), ("more", "extra"),
    ]  # fmt: skip
    renamed = report.rows[2]
    assert renamed.a is not None
    assert renamed.b is not None
    assert (renamed.a.tensor, renamed.b.tensor) == ("old", "new")
    assert [failure.row.tensor for failure in report.failures()] == [
        "shape", "gone", "more", "old",
    ]  # fmt: skip
    allowed = diff(a, b, allow_renamed=True)
    assert "old" not in [failure.row.tensor for failure in allowed.failures()]
    # the same numbers of another dtype, or in another shape, are no renamed tensor
    assert [row.outcome.value for row in diff({"x": torch.ones(2, 3), "k": torch.ones(1)},
                                             {"y": torch.ones(3, 2), "k": torch.ones(1)}).rows
            ] == ["missing", "equal", "extra"]  # fmt: skip


def test_prefixes() -> None:
    a = {f"module.{name}": value for name, value in _layers(0).items()}
    renamed = diff(a, _layers(0))
    assert {row.outcome for row in renamed.rows} == {Change.RENAMED}
    for row in renamed.rows:  # equal biases go with the layer that they belong to
        assert row.a is not None
        assert row.b is not None
        assert row.a.tensor == f"module.{row.b.tensor}"
    with pytest.raises(InputError, match="nothing in common"):
        diff(a, {name: value + 1 for name, value in _layers(1).items()})
    stripped = diff(a, {name: value.half() for name, value in _layers(0).items()},
                    strip_prefix=["model.", "module."])  # fmt: skip
    assert {row.outcome for row in stripped.rows} == {Change.CONVERTED}
    assert not stripped.failures()


def _layers(seed: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    found = {}
    for at in (1, 0, 2):
        found[f"layers.{at}.weight"] = torch.randn(3, 3, generator=generator)
        found[f"layers.{at}.bias"] = torch.zeros(3)
    return found


def test_two_nameless_tensors_are_compared_whatever_they_are_called(tmp_path: Any) -> None:
    np.save(tmp_path / "x.npy", np.ones(3, np.float32))
    np.save(tmp_path / "y.npy", np.full(3, 2, np.float32))
    assert only_row(tmp_path / "x.npy", tmp_path / "y.npy").outcome is Change.DIFFERS
    assert only_row(tmp_path / "x.npy", {"w": torch.ones(3)}).outcome is Change.EQUAL
    assert only_row(np.ones(3), torch.ones(3)).outcome is Change.CONVERTED
    with pytest.raises(InputError, match="nothing in common"):
        diff({"a": torch.ones(3)}, {"b": torch.zeros(3)})


def test_modules_and_their_files(tmp_path: Any) -> None:
    layer = torch.nn.Linear(3, 2)
    torch.save(layer.state_dict(), tmp_path / "x.pt")
    report = diff(layer, tmp_path / "x.pt")
    assert report.equal
    assert report.answer == "Equal: 2 tensors, bit for bit."
    assert diff(layer, torch.nn.Linear(3, 2)).failures()


def test_two_tensors_of_one_name_are_told_of(tmp_path: Any) -> None:
    from safetensors.torch import save_file

    for name in ("a", "b"):
        save_file({"w": torch.ones(2)}, tmp_path / f"{name}.safetensors")
    with pytest.raises(InputError, match=r"two tensors are called 'w', in .*a\.safet.*`exclude`"):
        diff(tmp_path, tmp_path / "a.safetensors")
    with pytest.raises(InputError, match="two tensors are called 'w'"):
        diff({"w": torch.ones(2), "module.w": torch.ones(2)}, {"w": torch.ones(2)},
             strip_prefix=["module."])  # fmt: skip
    torch.save({"a": {"b": torch.ones(2)}, "a.b": torch.zeros(2)}, tmp_path / "x.pt")
    with pytest.raises(InputError, match=r"two tensors are called 'a\.b' in .*x\.pt': use `excl"):
        diff(tmp_path / "x.pt", tmp_path / "x.pt")


@pytest.mark.parametrize("tolerance", [-1, -(2**70)])
def test_a_negative_tolerance_is_refused(tolerance: int) -> None:
    with pytest.raises(InputError, match="`tolerance_ulp` must be at least 0"):
        diff(torch.ones(1), torch.ones(1), tolerance_ulp=tolerance)


class _Interrupts:
    """Progress that is interrupted after so many elements."""

    def __init__(self, after: int) -> None:
        self._left = after
        self.total = 0

    def start(self, total: int) -> None:
        self.total = total

    def advance(self, count: int) -> None:
        self._left -= count
        if self._left < 0:
            raise KeyboardInterrupt


def test_an_interrupted_comparison_keeps_what_it_knows() -> None:
    a = {name: torch.zeros(100) for name in "xyz"}
    b = {name: torch.zeros(100) for name in "xyz"}
    b["y"][3] = 1
    kinds: dict[str, Any] = {"keep_partial": True, "block": 10}
    assert [row.tensor for row in diff(a, b, progress=_Interrupts(95), **kinds).rows] == []
    report = diff(a, b, progress=_Interrupts(150), **kinds)
    assert report.partial
    assert not report.equal
    assert [(row.tensor, row.outcome) for row in report.rows] == [
        ("x", Change.EQUAL), ("y", Change.DIFFERS),
    ]  # fmt: skip
    assert report.rows[1].comparison is not None
    assert 10 <= report.rows[1].comparison.count < 100
    same = diff(a, a, progress=_Interrupts(150), **kinds)
    assert same.answer == "Equal: 1 tensor, bit for bit; interrupted before the others."
    with pytest.raises(KeyboardInterrupt):
        diff(a, b, progress=_Interrupts(150))


@pytest.mark.parametrize("change", ["none", "values", "dtype", "shape", "names"])
def test_progress_ends_where_it_said(change: str) -> None:
    told: list[int] = []

    class Counts:
        def start(self, total: int) -> None:
            told.append(-total)

        def advance(self, count: int) -> None:
            told.append(count)

    a = {"x": torch.zeros(1000), "y": torch.zeros(50, 3)}
    b = {name: value.clone() for name, value in a.items()}
    if change == "values":
        b["x"][777] = 1
    elif change == "dtype":
        b["x"] = b["x"].half()
    elif change == "shape":
        b["x"] = b["x"].view(10, 100)
    elif change == "names":
        b["z"] = b.pop("x")
    diff(a, b, progress=Counts(), block=64)
    assert sum(told) == 0
