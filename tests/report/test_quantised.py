"""Quantised weights in the report of `fpx inspect`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fpx.errors import InputError
from fpx.report.gates.baseline import read_baseline
from fpx.report.inspect import InspectReport, quantised_totals
from fpx.report.inspect_row import TensorInfo
from fpx.report.quantised import EVIDENCE, Fit, QuantisedInfo, ScaleInfo
from fpx.report.tensor_groups import groups
from fpx.tensors.quantised.model import Evidence
from tests.report.test_inspect import info


def how(**more: object) -> QuantisedInfo:
    kinds: dict[str, object] = {
        "layout": "modelopt NVFP4", "format": "nvfp4", "element": "float4_e2m1fn",
        "element_bits": 4, "stored": "w", "stored_dtype": "U8", "stored_shape": (2, 8),
        "stored_bytes": 16, "packing": "low-first", "reach": "block:16",
        "scales": (ScaleInfo("scale", "s", "float8_e4m3fn", (2, 1), 2, "multiplies"),),
        "evidence": "metadata", "recognised_by": "config.json",
    }  # fmt: skip
    return QuantisedInfo(**{**kinds, **more})  # type: ignore[arg-type]


def weight(name: str, **more: object) -> TensorInfo:
    return info(
        name, dtype="nvfp4", shape=(2, 16), stride=(16, 1), count=32, bytes=18, storage_bytes=18,
        quantised=how(**more),
    )  # fmt: skip


def test_every_evidence_has_words() -> None:
    assert set(EVIDENCE) == {each.value for each in Evidence}


@pytest.mark.parametrize(
    "other",
    [{"layout": "other"}, {"stored_shape": (16,)}, {"packing": "high-first"}, {"scales": ()},
     {"evidence": "likely"}, {"recognised_by": "names"}, {"stored_dtype": "I8"}],
    ids=lambda other: next(iter(other)),
)  # fmt: skip
def test_weights_that_are_stored_otherwise_stand_alone(other: dict[str, object]) -> None:
    tensors = [weight("w0"), weight("w1"), weight("w2", **other), weight("w3", **other)]
    assert [group.name for group in groups(tensors)] == ["w{0,1}", "w{2,3}"]


def test_doubts_part_no_group() -> None:
    assert [g.name for g in groups([weight("w0"), weight("w1", doubts=("odd",))])] == ["w{0,1}"]


def test_weights_are_counted_by_layout() -> None:
    tensors = [weight("a"), info("plain"), weight("b"), weight("c", layout="other"),
               weight("d", evidence="likely")]  # fmt: skip
    found = [(t.layout, t.dtype, t.evidence, t.tensors, t.elements, t.bytes)
             for t in quantised_totals(tensors)]  # fmt: skip
    assert found == [("modelopt NVFP4", "nvfp4", "metadata", 2, 64, 36),
                     ("other", "nvfp4", "metadata", 1, 32, 18),
                     ("modelopt NVFP4", "nvfp4", "likely", 1, 32, 18)]  # fmt: skip
    report = InspectReport(tuple(tensors))
    document = report.to_dict()
    assert [row["tensors"] for row in document["quantised"]] == [2, 1, 1]
    assert document["elements"] == 4 * 32 + 2
    assert document["bytes"] == 4 * 18 + 8
    assert {row["dtype"]: row["bits_per_element"] for row in document["dtypes"]} == {
        "nvfp4": 4.5, "float32": 32,
    }  # fmt: skip


def test_an_entry_says_how_it_is_stored() -> None:
    entry = weight("a", doubts=("odd",), fits=(Fit("codes", "1 = 1", True),)).entry()
    assert entry["bits_per_element"] == 4.5
    stored = entry["quantised"]
    assert (stored["format"], stored["stored_shape"], stored["doubts"]) == (
        "nvfp4",
        [2, 8],
        ["odd"],
    )
    assert stored["scales"] == [
        {"role": "scale", "tensor": "s", "format": "float8_e4m3fn", "shape": [2, 1], "bytes": 2,
         "direction": "multiplies", "swizzled": False, "value": None},
    ]  # fmt: skip
    assert stored["fits"] == [{"of": "codes", "says": "1 = 1", "holds": True}]
    plain = info("p").entry()
    assert (plain["quantised"], plain["bits_per_element"]) == (None, 32)
    assert info("p", bytes=None).entry()["bits_per_element"] is None
    assert info("p", count=0, bytes=0).entry()["bits_per_element"] is None
    json.dumps(InspectReport((weight("a"),)).to_dict(), allow_nan=False)


def test_a_table_has_columns_for_it() -> None:
    found = InspectReport((weight("a"), info("p"))).table()
    rows = [dict(zip(found.columns, row, strict=True)) for row in found.rows]
    assert [row["quantised.layout"] for row in rows] == ["modelopt NVFP4", None]
    assert [row["bits_per_element"] for row in rows] == [4.5, 32]


@pytest.mark.parametrize(
    ("before", "after", "worse", "better"),
    [(("odd",), ("odd",), 0, 0), ((), ("odd",), 1, 0), (("odd",), (), 0, 1),
     (("odd",), ("even",), 1, 0), (None, ("odd",), 0, 0), (("odd",), None, 0, 0)],
)  # fmt: skip
def test_a_baseline_notices_new_doubts(
    before: tuple[str, ...] | None,
    after: tuple[str, ...] | None,
    worse: int,
    better: int,
    tmp_path: Path,
) -> None:
    path = tmp_path / "old.json"
    path.write_text(json.dumps(InspectReport((weight("a", doubts=before),)).to_dict()))
    found = InspectReport((weight("a", doubts=after),)).since(
        read_baseline(path, InspectReport.schema)
    )
    assert found.baseline is not None
    assert (found.baseline.worse_count, found.baseline.better_count) == (worse, better)
    assert len(found.failures()) == worse


@pytest.mark.parametrize("stored", [3, {"doubts": 3}, {"doubts": [3]}])
def test_a_damaged_baseline_is_refused(stored: object, tmp_path: Path) -> None:
    document = InspectReport((weight("a"),)).to_dict()
    document["results"][0]["quantised"] = stored
    path = tmp_path / "old.json"
    path.write_text(json.dumps(document))
    with pytest.raises(InputError, match="'quantised' is"):
        read_baseline(path, InspectReport.schema)
