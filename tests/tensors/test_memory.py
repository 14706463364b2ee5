"""Tensors in memory: torch's, numpy's, and collections of them."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from types import MappingProxyType
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import torch

from fpx.errors import InputError
from fpx.measure.cast_compare import cast_compare
from fpx.measure.inspect import inspect, inspect_all
from fpx.report.cast_compare import CastReport
from fpx.report.decode import DecodeReport
from fpx.tensors.entry import Source
from fpx.tensors.memory import as_tensor, source_of
from tests.helpers import F16, F32


def values(source: Source) -> dict[str, list[Any]]:
    """Every tensor of a source, flat and in row-major order."""
    return {
        entry.name: [x for block in entry.blocks(2) for x in block.tolist()]
        for entry in source.entries
    }


def report_of(data: object) -> CastReport:
    return cast_compare([data], [F16], from_=F32)


# -- one -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6.0),
        np.arange(6, dtype=">i4"),
        np.arange(12.0).reshape(3, 4)[:, ::2],
        np.arange(6.0)[::-1],
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.array([True, False]),
        np.array(3.0),
        np.zeros((0, 3)),
        np.zeros(3, [("a", "u1"), ("b", "<f4")])["b"] + np.float32(2),
        np.array([(1, 2.5), (3, 4.5)], [("a", "u1"), ("b", "<f4")])["b"],
        np.array([1, 2**63 + 1], np.uint64),
    ],
    ids=repr,
)
def test_arrays(array: np.ndarray[Any, Any]) -> None:
    assert as_tensor(array).tolist() == array.tolist()


@pytest.mark.parametrize(
    "name", ["bfloat16", "float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz"]
)
def test_arrays_of_ml_dtypes(name: str) -> None:
    array = np.array([[1, 2], [3, 4]]).astype(getattr(ml_dtypes, name))
    for view in (array, array.T, array[:, ::-1], array[0, 0]):
        tensor = as_tensor(view)
        assert tensor.dtype is getattr(torch, name)
        assert tensor.to(torch.float32).tolist() == np.asarray(view, np.float32).tolist()


def test_nothing_is_copied(tmp_path: Path) -> None:
    """A mapped array larger than the memory must not be loaded."""
    np.save(tmp_path / "x.npy", np.arange(6.0))
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    assert as_tensor(mapped).data_ptr() == mapped.ctypes.data
    brain = np.ones(3, ml_dtypes.bfloat16)
    assert as_tensor(brain).data_ptr() == brain.ctypes.data
    x = torch.ones(3, requires_grad=True)
    assert as_tensor(x).data_ptr() == x.data_ptr()


@pytest.mark.parametrize(
    ("data", "words"),
    [(3.5, "a float cannot be read"), (b"x", "a bytes cannot be read"),
     (np.array(["a"]), "torch has no dtype for numpy's <U1"),
     (torch.eye(2).to_sparse(), "of layout torch.sparse_coo are not read"),
     ({}, "holds no tensors"), ([], "holds no tensors"), ({"lr": 3}, "holds no tensors"),
     ({"a": np.array(["a"])}, "that fpx reads (a: torch has no dtype"),
     (torch.nn.ReLU(), "ReLU holds no tensors")],
    ids=str,
)  # fmt: skip
def test_what_is_no_tensor_raises(data: object, words: str) -> None:
    for call in (report_of, lambda data: inspect([data])):
        with pytest.raises(InputError) as error:
            call(data)
        assert words in str(error.value)


# -- collections -----------------------------------------------------------------------------------


def test_a_dict() -> None:
    data = {"a": torch.ones(2), "b": {"c": [np.zeros(3), (torch.tensor(2.0),)]}, 5: np.float32(1),
            "lr": 1e-3, "name": "x", "none": None}  # fmt: skip
    source = source_of(data)
    assert values(source) == {"a": [1, 1], "b.c.0": [0, 0, 0], "b.c.1.0": [2]}
    assert source.notes == ()
    assert values(source_of(MappingProxyType({"x": torch.ones(1)}))) == {"x": [1]}


def test_what_of_a_dict_cannot_be_read_is_told() -> None:
    data = {"x": torch.ones(2), "bad": torch.eye(2).to_sparse(), "odd": object()}
    report = report_of(data)
    assert [row.tensor for row in report.rows] == ["x"]
    assert any(note.startswith("tensor: bad: ") for note in report.notes)
    assert "tensor: odd: passed over, a object is no tensor" in report.notes


def test_a_dict_that_holds_itself() -> None:
    data: dict[str, Any] = {"x": torch.ones(1)}
    data["self"] = data
    assert values(source_of(data)) == {"x": [1]}


def test_lists_that_hold_each_other_twice() -> None:
    data: list[Any] = [torch.ones(1)]
    for _ in range(40):
        data = [data, data]
    with pytest.raises(InputError, match="things in one collection"):
        source_of(data)


class Tied(torch.nn.Module):
    """A module whose weights are tied, with a buffer, and one that is not saved."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = torch.nn.Embedding(3, 2)
        self.head = torch.nn.Linear(2, 3, bias=False)
        self.head.weight = self.embed.weight
        self.register_buffer("scale", torch.tensor(2.0))
        self.register_buffer("scratch", torch.zeros(9), persistent=False)


def test_a_module_has_the_names_of_its_state_dict() -> None:
    module = Tied()
    names = ["scale", "embed.weight", "head.weight"]
    for data, source in ((module, "Tied"), (module.state_dict(), "tensor")):
        report = report_of(data)
        assert [row.tensor for row in report.rows] == names
        assert {row.source for row in report.rows} == {source}
    found = inspect_all([module])
    by_name = {row.tensor: row for row in found.tensors}
    assert by_name["embed.weight"].storage == by_name["head.weight"].storage == "#2"
    assert by_name["embed.weight"].shares_with == ("head.weight",)
    assert found.storage_count == 2
    assert found.bytes - found.storage_bytes == 24


def test_an_optimizers_state() -> None:
    x = torch.nn.Parameter(torch.ones(2))
    optimizer = torch.optim.Adam([x])
    x.grad = torch.ones(2)
    optimizer.step()
    assert set(values(source_of(optimizer.state_dict()))) == {
        "state.0.step", "state.0.exp_avg", "state.0.exp_avg_sq",
    }  # fmt: skip


def test_inspect_takes_what_is_in_memory() -> None:
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    (info,) = inspect_all([x.T], stats=True).tensors
    assert (info.shape, info.stride, info.kind) == ((3, 2), (1, 3), "tensor")
    assert info.stats is not None
    assert (info.stats.min, info.stats.max) == (0, 5)
    one = inspect([{"x": x}], tensor="x", index=(1, -1))
    assert isinstance(one, DecodeReport)
    assert one.value == 5


def test_several_sources_have_names_of_their_own() -> None:
    report = cast_compare([torch.ones(1), np.ones(2), {"a": torch.ones(3)}], [F16], from_=F32)
    assert [(row.source, row.tensor, row.count) for row in report.rows] == [
        ("tensor", "tensor", 1), ("tensor1", "tensor1", 2), ("tensor2", "a", 3),
    ]  # fmt: skip


def test_empty_tensors_share_nothing() -> None:
    found = inspect_all([OrderedDict(a=torch.empty(0), b=torch.empty(0))])
    assert [row.shares_with for row in found.tensors] == [(), ()]
