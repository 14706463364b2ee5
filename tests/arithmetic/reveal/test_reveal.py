"""`fpx.reveal` on torch here: certificates, classes, what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

import fpx
from fpx.arithmetic.reveal.catalogue import OPERATIONS, find_operation
from fpx.arithmetic.reveal.circumstances import Circumstances, parse_numbers
from fpx.arithmetic.reveal.reveal import find_subjects, reveal
from fpx.arithmetic.reveal.runner import TorchReduction
from fpx.arithmetic.reveal.settings import SETTINGS, applied, current
from fpx.core.formats import FORMATS
from fpx.errors import InputError, UnavailableError
from fpx.report.reveal import NUMBERS, RevealReport, RevealRow
from fpx.report.reveal_before import parse_before
from fpx.report.reveal_case import ranges
from fpx.report.reveal_row import Verdict

ROWS = 200


@pytest.fixture(autouse=True)
def one_thread() -> Any:
    """Threads change no order of so few numbers, and waiting for them takes long."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def row_of(operation: Any, dtype: str = "float32", **kinds: Any) -> RevealRow:
    (row,) = fpx.reveal(operation, dtype, rows=ROWS, **kinds).rows
    return row


SUMS = [name for name, row in OPERATIONS.items() if not row.products and name != "softmax"]


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("operation", [*SUMS, "dot"])
def test_sums_are_certified(operation: str, dtype: str) -> None:
    row = row_of(operation, dtype, n=16)
    assert (row.verdict, row.reason) == (Verdict.CERTIFIED, None)
    assert row.certificate is not None
    assert (row.certificate.rows, row.certificate.equal) == (ROWS, ROWS)
    assert row.computation is not None
    assert row.computation.leaf_count == 16


@pytest.mark.parametrize("rows", [1, 2, 17])
@pytest.mark.parametrize(("operation", "size"), [("cumsum", {"n": 4}), ("mm", {"shape": "2x4x3"})])
def test_a_certificate_compares_as_many_rows_as_asked(
    rows: int, operation: str, size: dict[str, Any]
) -> None:
    (row,) = fpx.reveal(operation, "bfloat16", rows=rows, **size).rows
    assert row.certificate is not None
    assert row.certificate.rows == row.certificate.equal == rows


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("operation", ["mv", "mm", "addmm", "bmm", "linear", "einsum", "conv1d"])
def test_products_are_certified(operation: str, dtype: str) -> None:
    row = row_of(operation, dtype, shape="8x16x8")
    assert (row.verdict, row.reason) == (Verdict.CERTIFIED, None)
    assert row.computation is not None
    assert row.computation.products in ("exact", "rounded", "fused", "mixed")
    assert (row.computation.products == "exact") == (dtype != "float32")


def test_conv2d_and_scaled_mm() -> None:
    assert row_of("conv2d", shape="1x18x2").verdict is Verdict.CERTIFIED
    (row,) = fpx.reveal("scaled_mm", shape="16x32x16", rows=ROWS).rows
    assert (row.dtype, row.out_dtype) == ("float8_e4m3fn", "float32")
    assert row.verdict is Verdict.CERTIFIED


def test_what_torch_documents_of_cumsum() -> None:
    """float32 is summed in float64 there: the result is that of the exact sum."""
    row = row_of("cumsum", n=8)
    assert (row.order, row.accumulator) == ("left to right", "float64")


def test_two_ways_to_one_place() -> None:
    one, other = row_of("index_add", "bfloat16", n=8), row_of("scatter_add", "bfloat16", n=8)
    assert (one.accumulator, other.accumulator) == ("bfloat16", "float32")
    x = torch.tensor([256.0] + [1.0] * 7, dtype=torch.bfloat16)  # 256 + 1 is 256 in bfloat16
    place = torch.zeros(8, dtype=torch.long)
    zero = torch.zeros(1, dtype=torch.bfloat16)
    assert zero.clone().index_add_(0, place, x).item() == 256
    assert zero.clone().scatter_add_(0, place, x).item() == 264


def test_one_column_of_a_matrix_is_a_chain_of_its_own() -> None:
    """A function whose order is known: seven additions, in Python."""

    def backwards(x: torch.Tensor) -> torch.Tensor:
        total = x[-1]
        for item in reversed(x[:-1]):
            total = total + item
        return total

    row = row_of(backwards, n=8)
    assert (row.order, row.accumulator, row.verdict) == (
        "right to left", "float32", Verdict.CERTIFIED,
    )  # fmt: skip
    assert row.operation.endswith("backwards")


def test_a_function_of_two_matrices() -> None:
    def product(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        total = torch.zeros(len(a), b.shape[1])
        for k in range(a.shape[1]):
            total = total + a[:, k : k + 1] * b[k]
        return total

    row = row_of(product, shape="3x8x5")
    assert row.computation is not None
    assert (row.order, row.computation.products) == ("left to right", "rounded")
    assert row.verdict is Verdict.CERTIFIED


def test_elements_that_differ_are_told() -> None:
    def uneven(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        found = a @ b
        found[-1] = (a[-1].double() @ b.double()).float()
        return found

    row = row_of(uneven, shape="3x32x5")
    assert row.alike is False
    assert row.verdict is Verdict.CERTIFIED  # the first element, asked one question at a time
    assert row_of(lambda a, b: a @ b, shape="2x32x8").operation.endswith("<lambda>")


def test_classes_are_those_of_bits() -> None:
    def odd_batches(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        order = range(a.shape[1]) if len(a) % 2 else range(a.shape[1] - 1, -1, -1)
        total = torch.zeros(len(a), b.shape[1])
        for k in order:
            total = total + a[:, k : k + 1] * b[k]
        return total

    report = fpx.reveal(odd_batches, "float32", shape="1x8x2", batch="1..5", rows=ROWS)
    assert [[case.size.m for case in row.cases] for row in report.rows] == [[1, 3, 5], [2, 4]]
    assert [row.class_ for row in report.rows] == ["A", "B"]
    assert [row.order for row in report.rows] == ["left to right", "right to left"]
    assert {row.class_count for row in report.rows} == {2}
    text = str(report)
    assert "Not batch invariant: the first row's bits change at batch 2, 3, 4, 5." in text
    assert "1, 3, 5" in text


def test_flags_are_set_and_set_back() -> None:
    seen = []

    def told(x: torch.Tensor) -> torch.Tensor:
        seen.append((torch.get_float32_matmul_precision(), torch.get_num_threads()))
        return x.sum()

    before = current()
    report = fpx.reveal(
        told, "float32", n=4, rows=16, matmul_precision="highest,medium", threads="1,2"
    )
    assert set(seen) == {("highest", 1), ("medium", 1), ("highest", 2), ("medium", 2)}
    assert current() == before
    assert torch.get_num_threads() == 1
    assert sum(len(row.cases) for row in report.rows) == 4
    flags = {case.flags for row in report.rows for case in row.cases}
    assert flags == {
        (("float32_matmul_precision", "highest"),), (("float32_matmul_precision", "medium"),),
    }  # fmt: skip


def test_a_setting_is_set_back_after_an_error() -> None:
    before = torch.get_float32_matmul_precision()
    with pytest.raises(ZeroDivisionError), applied([("float32_matmul_precision", "medium")], 2):
        _ = 1 // (torch.get_float32_matmul_precision() != "medium")
    assert torch.get_float32_matmul_precision() == before
    assert torch.get_num_threads() == 1
    assert {"flush_denormal", "mkldnn.enabled"} <= set(SETTINGS)


def test_flush_denormal_is_seen() -> None:
    report = fpx.reveal("cumsum", "float32", n=4, rows=16, flag="flush_denormal=on,off")
    kept = {
        row.cases[0].flags[0][1]: row.computation.subnormals.output
        for row in report.rows
        if row.computation is not None
    }
    assert kept["off"] is True
    assert set(kept) in ({"on", "off"}, {"off"})


def test_layouts_reach_the_operation() -> None:
    seen = []

    def told(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        seen.append((a.stride(), b.stride()))
        return a @ b

    fpx.reveal(told, "float32", shape="2x4x3", rows=16, layout="contiguous,strided,transposed")
    assert set(seen) == {((4, 1), (3, 1)), ((8, 2), (6, 2)), ((1, 2), (1, 4))}


def test_more_numbers_than_are_looked_at() -> None:
    row = row_of("sum", n=5000)
    assert row.verdict is Verdict.NOT_RESOLVABLE
    assert "more than 4,096 numbers" in str(row.reason)
    assert row.fingerprint is not None


@pytest.mark.slow
def test_many_numbers_take_seconds() -> None:
    row = row_of("sum", n=4096)
    assert row.verdict is Verdict.CERTIFIED
    assert row.seconds < 60
    text = str(fpx.reveal("sum", "float32", n=4096, rows=16))
    assert len(text.splitlines()) < 30


def test_softmax_is_not_resolvable() -> None:
    row = row_of("softmax", n=8)
    assert row.verdict is Verdict.NOT_RESOLVABLE
    assert row.fingerprint is not None  # of its bits


def test_a_sum_that_varies() -> None:
    def noisy(x: torch.Tensor) -> torch.Tensor:
        return x[torch.randperm(len(x))].sum()

    row = row_of(noisy, n=32)
    assert row.verdict is Verdict.VARIES
    assert row.fingerprint is None


@pytest.mark.parametrize(
    ("kinds", "why"),
    [
        ({"operation": "sun"}, "no such operation: 'sun'; did you mean 'sum'"),
        ({"operation": "sum", "shape": "2x4x2"}, "sum takes its size by --n"),
        ({"operation": "mm", "n": 4}, "mm takes its size by --shape"),
        ({"operation": "mm", "shape": "2x4"}, "'2x4' is no shape"),
        ({"operation": "sum", "batch": 2}, "has no `batch`"),
        ({"operation": "sum", "n": "0"}, "'0' is no number from 1"),
        ({"operation": "sum", "n": "9..3"}, "'9..3' is no number"),
        ({"operation": "sum", "n": "1..99999999"}, "more than 4,096 numbers"),
        ({"operation": "sum", "n": 1}, "from 2 to"),
        ({"operation": "sum", "rows": 0}, "`rows` must be at least 1"),
        ({"operation": "conv2d", "shape": "1x10x1"}, "multiples of 9"),
        ({"operation": "mm", "shape": "1000000x4096x1"}, "operands have from 1 to"),
        ({"operation": "sum", "layout": "stride"}, "did you mean 'strided'"),
        ({"operation": "sum", "flag": "no=1"}, "no such flag: 'no'"),
        ({"operation": "sum", "flag": "mkldnn.enabled"}, "sets nothing"),
        ({"operation": "sum", "flag": "mkldnn.enabled=maybe"}, "is one of on, off"),
        ({"operation": "sum", "flag": ["mkldnn.enabled=on", "mkldnn.enabled=off"]}, "twice"),
        ({"operation": "sum", "fail_if": "depht>1"}, "did you mean 'depth'"),
        ({"operation": "mm", "batch": "1..4000", "threads": "1,2"}, "combinations"),
        ({"operation": lambda: 1}, "takes 0 operands"),
        ({"operation": "sum", "dtype": "bf61"}, "bf61"),
        ({"operation": "sum", "against": "/no/such"}, "cannot be read"),
    ],
)
def test_what_is_refused(kinds: dict[str, Any], why: str) -> None:
    with pytest.raises(InputError) as caught:
        fpx.reveal(**kinds)
    assert why in str(caught.value)


def test_no_such_device() -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a card")
    with pytest.raises(UnavailableError):
        fpx.reveal("sum", device="cuda")


def test_what_torch_has_not_is_no_row() -> None:
    report = fpx.reveal("sum", "float8_e4m3fn", n=4)
    assert report.rows == ()
    assert report.unchecked
    assert report.absent[0][:2] == ("sum", "float8_e4m3fn")


def test_an_interrupt_keeps_what_is_known() -> None:
    class Impatient:
        count = 0

        def start(self, total: int) -> None:
            assert total == 3

        def advance(self, count: int) -> None:
            self.count += count
            if self.count == 2:
                raise KeyboardInterrupt

    report = reveal(
        find_subjects(["sum"]),
        [FORMATS_BY[name] for name in ("float32", "bfloat16", "float16")],
        rows=16,
        progress=Impatient(),
    )
    assert [row.dtype for row in report.rows] == ["float32", "bfloat16"]
    assert report.complete is False
    assert report.to_dict()["complete"] is False


FORMATS_BY = {spec.name: spec for spec in FORMATS.values()}


def test_a_batch_is_answered_as_its_rows_are() -> None:
    """Rows of one call get their own answers, with second factors of their own."""
    from fpx.arithmetic.reveal.certificate import answers
    from fpx.arithmetic.reveal.data import draw
    from fpx.casts.device import find_device

    subject = find_subjects(["mm"])[0]
    (case,) = Circumstances(batch=(5,)).cases(subject, named=True)
    built = subject.build(FORMATS_BY["float32"], case, find_device("cpu"))
    assert isinstance(built, TorchReduction)
    data = draw(built.leaf, built.out, built.count, 40, products=True)
    codes = answers(built, data)
    exact = (data.a * data.b).sum(1)
    got = torch.tensor(codes, dtype=torch.int64).to(torch.int32).view(torch.float32)
    size = (abs(data.a) * abs(data.b)).sum(1)
    assert (abs(got.double().numpy() - exact) < size * 2.0**-20).all()
    assert len(set(codes)) > 30


def report_of(tmp_path: Path, **kinds: Any) -> tuple[RevealReport, Path]:
    report = fpx.reveal("cumsum", "float32", n=4, rows=16, **kinds)
    path = tmp_path / "a.json"
    path.write_text(json.dumps(report.to_dict(), allow_nan=False))
    return report, path


def test_against_an_older_report(tmp_path: Path) -> None:
    _, path = report_of(tmp_path)
    again = fpx.reveal("cumsum", "float32", n=4, rows=16, against=path)
    assert again.changes is not None
    assert (again.changes.equal_count, again.changes.changed) == (1, ())
    text = path.read_text()
    document = json.loads(text)
    document["results"][0]["fingerprint"] = "0" * 12
    document["environment"]["torch"] = "1.0"
    path.write_text(json.dumps(document))
    changed = fpx.reveal("cumsum", "float32", n=[4, 8], rows=16, against=path).changes
    assert changed is not None
    assert (changed.equal_count, changed.new_count, changed.missing_count) == (0, 1, 0)
    assert len(changed.changed) == 1
    assert "cumsum in float32, 4 computes another way" in changed.changed[0].text
    assert any(line.startswith('torch was "1.0"') for line in changed.lines())
    with pytest.raises(InputError, match="has none of what was revealed"):
        fpx.reveal("sum", "float32", n=4, rows=16, against=path)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"{", "is no report"),
        (b"[]", "is no report"),
        (b'{"schema": "fpx.diff/1"}', "is 'fpx.diff/1', not fpx.reveal/1"),
        (b'{"schema": "fpx.reveal/1"}', "is damaged"),
        (b'{"schema": "fpx.reveal/1", "results": [{}], "environment": {}}', "is damaged"),
        (b"\xff\xfe", "is no report"),
    ],
)
def test_older_reports_that_are_none(text: bytes, why: str) -> None:
    with pytest.raises(InputError, match="against") as caught:
        parse_before(text, "a.json")
    assert why in str(caught.value)


def test_json_is_whole(tmp_path: Path) -> None:
    report, path = report_of(tmp_path, fail_if=["kept_bits<53", "depth"])
    document = json.loads(path.read_text())
    (entry,) = document["results"]
    assert document["schema"] == "fpx.reveal/1"
    assert entry["order"]["steps"] == [[0, 1], [4, 2], [5, 3]]
    assert entry["order"]["formula"] == ["sum = x[0] + x[1] + x[2] + x[3]"]
    assert entry["accumulator"]["kept_bits_by_step"] == [52, 52, None]
    assert entry["cases"][0]["shape"] == [4]
    assert {"flags", "variables", "threads", "mkldnn"} <= set(document["environment"])
    assert [failure["check"] for failure in document["failures"]] == ["kept_bits<53", "depth"]
    assert set(report.rows[0].numbers()) == set(NUMBERS)
    assert "order.steps" not in report.table().columns


def test_numbers_and_ranges() -> None:
    assert parse_numbers(["1..4,2", "9"], "n") == (1, 2, 3, 4, 9)
    every = [1, 2, 3, 4, 8, 16]
    assert ranges([1], every) == "1"
    assert ranges([2, 3, 4, 8], every) == "2-8"
    assert ranges([1, 2, 4, 16], every) == "1-2, 4, 16"


def test_names_of_operations() -> None:
    assert find_operation("torch.Sum") is OPERATIONS["sum"]
    assert all(name == row.name for name, row in OPERATIONS.items())
