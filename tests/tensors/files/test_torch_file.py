"""torch files: every layout, the old kind and the new."""

from __future__ import annotations

import json
import math
from collections import Counter, OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fpx.errors import InputError
from fpx.report.cast_row import Location
from tests.helpers import call, cells
from tests.tensors.reading import check_file, notes, open_files, read, refused, rows_of
from tests.writers import rewritten, tensors


@pytest.mark.parametrize("zipped", [True, False])
def test_torch_files(tmp_path: Path, zipped: bool) -> None:
    nested = {"model": tensors(), "list": [torch.ones(3), {"deep": torch.ones(2)}], "epoch": 3}
    torch.save(nested, tmp_path / "x.pt", _use_new_zipfile_serialization=zipped)
    check_file(tmp_path / "x.pt", lambda name: f"model.{name}")
    assert {"list.0", "list.1.deep"} <= set(rows_of(str(tmp_path / "x.pt")))


def test_a_transposed_view_in_a_torch_file(tmp_path: Path) -> None:
    points = torch.arange(6.0).reshape(2, 3)
    points[1, 2] = 1e6
    torch.save({"p": points, "t": points.t()}, tmp_path / "x.pt")
    rows = rows_of(tmp_path / "x.pt")
    assert rows["p"].first_overflow == Location("p", (1, 2), 1e6, math.inf)
    assert rows["t"].first_overflow == Location("t", (2, 1), 1e6, math.inf)


@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support")
@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor")
def test_torch_layouts(tmp_path: Path) -> None:
    points = torch.arange(12.0).view(3, 4)
    sparse = torch.eye(4).to_sparse()
    torch.save(
        {
            "points": points, "t": points.t(), "row": points[1], "wide": points[0].expand(5, 4),
            "sparse": sparse, "csr": torch.eye(3).to_sparse_csr(),
            "quantised": torch.quantize_per_tensor(torch.ones(3), 0.5, 0, torch.qint8),
            "complex": torch.tensor([1 + 2j]), "scalar": torch.tensor(3.0),
            "none": torch.empty(0, 3),
            "state": {"exp_avg": [torch.ones(2), {"deep": torch.zeros(1)}]},
        },
        tmp_path / "x.pt",
    )  # fmt: skip
    found = read(tmp_path / "x.pt")
    assert torch.equal(found["t"], points.t())
    assert torch.equal(found["wide"], points[0].expand(5, 4))
    assert found["sparse"].tolist() == [1, 1, 1, 1]
    assert found["csr"].tolist() == [1, 1, 1]
    assert found["quantised"].tolist() == [2, 2, 2]
    assert found["complex"].tolist() == [[1, 2]]
    assert found["state.exp_avg.1.deep"].tolist() == [0]
    assert found["none"].shape == (0, 3)
    told = notes(tmp_path / "x.pt")
    assert any(note.startswith("sparse: sparse") for note in told)
    assert any("quantised" in note for note in told)
    (source,) = open_files(str(tmp_path / "x.pt"))
    by_name = {entry.name: entry for entry in source.entries}
    one, other, row = (by_name[name].layout for name in ("points", "t", "row"))
    assert one is not None
    assert other is not None
    assert row is not None
    assert one.storage == other.storage == row.storage
    assert (one.stride, other.stride, row.offset) == ((4, 1), (1, 4), 4)


def test_a_view_of_2_to_the_40_elements(tmp_path: Path) -> None:
    torch.save({"x": torch.ones(1).expand(1 << 20, 1 << 20)}, tmp_path / "x.pt")
    refused(tmp_path / "x.pt", "claims tensors of")


class _Hidden(OrderedDict):  # type: ignore[type-arg]
    """Pickled as an OrderedDict with an attribute that hides its method."""

    def __reduce__(self) -> tuple[Any, ...]:
        return OrderedDict, (), {"items": OrderedDict()}, None, iter({"x": torch.ones(3)}.items())


class _Called:
    """Pickled as a call of a class with a tensor."""

    def __init__(self, called: object, tensor: torch.Tensor) -> None:
        self.called, self.tensor = called, tensor

    def __reduce__(self) -> tuple[Any, ...]:
        return self.called, (self.tensor,)


@pytest.mark.parametrize("called", [torch.Size, Counter, OrderedDict, set])
@pytest.mark.parametrize("old", [False, True])
def test_a_collection_made_of_a_huge_view(called: object, old: bool, tmp_path: Path) -> None:
    huge = torch.ones(1, dtype=torch.int64).expand(1 << 40)
    for value in ({"x": _Called(called, huge)}, {"t": huge, "x": _Called(called, huge)}):
        torch.save(value, tmp_path / "x.pt", _use_new_zipfile_serialization=not old)
        with pytest.raises(InputError, match="a collection made of one"):
            open_files(str(tmp_path / "x.pt"))


@pytest.mark.parametrize("old", [False, True])
def test_collections_that_checkpoints_have(old: bool, tmp_path: Path) -> None:
    value = {
        "x": torch.ones(3), "shape": torch.ones(2, 3).shape, "again": torch.Size([4]),
        "milestones": Counter([30, 60]), "names": {"x", "y"},
        "model": torch.nn.Linear(2, 2).state_dict(),
    }  # fmt: skip
    torch.save(value, tmp_path / "x.pt", _use_new_zipfile_serialization=not old)
    assert set(read(tmp_path / "x.pt")) == {"x", "model.weight", "model.bias"}


def test_an_attribute_that_hides_a_method(tmp_path: Path) -> None:
    torch.save(_Hidden(), tmp_path / "x.pt")
    assert read(tmp_path / "x.pt")["x"].tolist() == [1, 1, 1]


def test_types_that_torch_only_stores(tmp_path: Path) -> None:
    value = {"four": torch.zeros(3, dtype=torch.float8_e5m2), "x": torch.ones(3)}

    def swap(name: str, data: bytes) -> bytes:
        return data.replace(b"ctorch\nfloat8_e5m2\n", b"ctorch\nint4\n")

    rewritten(tmp_path / "x.pt", value, swap)
    assert list(read(tmp_path / "x.pt")) == ["x"]
    assert notes(tmp_path / "x.pt") == ["four: torch.int4 is not read"]


def test_other_byte_order_in_a_torch_file(tmp_path: Path) -> None:
    def swap(name: str, data: bytes) -> bytes:
        if name.endswith("byteorder"):
            return b"big"
        return np.frombuffer(data, "<f4").byteswap().tobytes() if "/data/" in name else data

    x = torch.arange(30_000_000, dtype=torch.float32)  # more than is read between two releases
    rewritten(tmp_path / "x.pt", {"x": x}, swap)
    (source,) = open_files(str(tmp_path / "x.pt"))
    for _ in range(2):
        at = 0
        for block in source.entries[0].blocks(1 << 20):
            assert torch.equal(block, x[at : at + len(block)])
            at += len(block)
        assert at == len(x)


def test_conjugates_negatives_and_what_has_no_data(tmp_path: Path) -> None:
    z = torch.tensor([[1 + 2j, 3 - 4j, 5j]])
    torch.save({"conj": z.conj(), "t": z.t(), "meta": torch.empty(3, device="meta")},
               tmp_path / "x.pt")  # fmt: skip
    torch.save({"neg": z.conj().imag}, tmp_path / "neg.pt")
    found = read(tmp_path / "x.pt")
    assert torch.equal(found["conj"], torch.view_as_real(z.conj().resolve_conj()))
    assert torch.equal(found["t"], torch.view_as_real(z.t()))
    assert read(tmp_path / "neg.pt")["neg"].tolist() == [[-2, 4, -5]]
    assert any("meta" in note for note in notes(tmp_path / "x.pt"))


@pytest.mark.parametrize("axes", [(0, 1, 2), (2, 1, 0), (1, 0, 2), (2, 0, 1)])
def test_views_are_read_in_the_order_of_their_storage(
    axes: tuple[int, ...], tmp_path: Path
) -> None:
    x = torch.arange(4 * 6 * 10.0).view(4, 6, 10)
    view = x.permute(axes)[:, 1::2]
    torch.save({"x": view}, tmp_path / "x.pt")
    assert torch.equal(read(tmp_path / "x.pt")["x"], view)
    (source,) = open_files(str(tmp_path / "x.pt"))
    (entry,) = source.entries
    flat = torch.cat([block.clone() for block in entry.blocks(7)])
    assert torch.equal(flat, flat.sort().values)  # each page of the file once
    for position, value in enumerate(flat.tolist()):
        index = entry.index(position)
        assert view[index].item() == value
        assert entry.position(index) == position


def test_views_of_complex_tensors_lie_in_real_numbers(tmp_path: Path) -> None:
    """Two of the storage's real numbers are one of its complex ones."""
    z = torch.arange(10, dtype=torch.float32).view(5, 2)
    views = {"whole": torch.view_as_complex(z), "tail": torch.view_as_complex(z)[2:]}
    torch.save(views, tmp_path / "x.pt")
    _, out, _ = call("inspect", tmp_path / "x.pt", "--json")
    rows = {row["tensor"]: row for row in json.loads(out)["results"]}
    assert (rows["tail"]["storage_offset"], rows["tail"]["stride"]) == (4, [2, 1])
    assert rows["tail"]["shape"] == [3, 2]
    assert rows["whole"]["storage_offset"] == 0
    _, out, _ = call("inspect", tmp_path / "x.pt", "--tensor", "tail", "--layout")
    assert cells(out)[-3:] == [["0", "4", "5"], ["1", "6", "7"], ["2", "8", "9"]]
    assert read(tmp_path / "x.pt")["tail"].tolist() == z[2:].tolist()
