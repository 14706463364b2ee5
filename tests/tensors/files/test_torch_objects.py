"""Pickled modules and TorchScript archives: their tensors, and no code."""

from __future__ import annotations

import argparse
import io
import os
import pickle
import struct
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from fpx.errors import InputError
from tests.helpers import call
from tests.tensors.reading import notes, open_files, read, refused
from tests.writers import rewritten

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


class Inner(nn.Module):
    """One with everything that a module can have."""

    def __init__(self) -> None:
        super().__init__()
        self.lin = nn.Linear(3, 2)
        self.k = torch.arange(3.0)
        self.register_buffer("seen", torch.arange(2))
        self.register_buffer("cache", torch.full((2,), 9.0), persistent=False)
        self.register_parameter("none", None)
        self.words = {"a": 1}

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.lin(x) + self.seen
        return y + self.k.sum() + torch.sum(self.cache)  # type: ignore[arg-type]


class Net(nn.Module):
    """Submodules, and a weight that two of them share."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = Inner()
        self.tied = nn.Linear(3, 2)
        self.tied.weight = self.inner.lin.weight
        self.blocks = nn.Sequential(nn.Linear(2, 2, dtype=torch.float64), nn.BatchNorm1d(2))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.inner(x) + self.tied(x)
        return y


def same(path: Path, expected: dict[str, Tensor]) -> None:
    """A file has these tensors, in this order, to the bit."""
    found = read(path)
    assert list(found) == list(expected)
    for name, tensor in expected.items():
        assert found[name].dtype == tensor.dtype
        assert torch.equal(found[name], tensor), name


@pytest.fixture(params=[True, False], ids=["zip", "old"])
def zipped(request: pytest.FixtureRequest) -> Any:
    return request.param


MODULES: dict[str, Any] = {
    "Linear": lambda: nn.Linear(3, 2),
    "nested": lambda: nn.Sequential(nn.Linear(3, 2), nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU())),
    "bfloat16": lambda: nn.Linear(3, 2).bfloat16(),
    "own": Net,
    "parallel": lambda: nn.DataParallel(Net()),
    "list": lambda: nn.ModuleList([nn.Embedding(3, 2), nn.ParameterList([torch.ones(2)])]),
}


@pytest.mark.parametrize("name", MODULES)
def test_modules_have_the_tensors_of_their_state_dict(
    name: str, zipped: bool, tmp_path: Path
) -> None:
    module = MODULES[name]()
    torch.save(module, tmp_path / "x.pt", _use_new_zipfile_serialization=zipped)
    same(tmp_path / "x.pt", module.state_dict())
    first = notes(tmp_path / "x.pt")[0]
    assert first.startswith("a pickle with code, which fpx never runs: only its tensors are read")
    assert f"'{type(module).__module__}.{type(module).__name__}'" in first


def test_buffers_that_do_not_persist_are_left_out_and_named(tmp_path: Path) -> None:
    torch.save(Net(), tmp_path / "x.pt")
    assert notes(tmp_path / "x.pt")[1:] == ["left out, as state_dict() does: 'inner.cache'"]


def test_tied_weights_share_a_storage(zipped: bool, tmp_path: Path) -> None:
    torch.save(Net(), tmp_path / "x.pt", _use_new_zipfile_serialization=zipped)
    (source,) = open_files(str(tmp_path / "x.pt"))
    layouts: dict[str, Any] = {entry.name: entry.layout for entry in source.entries}
    assert layouts["inner.lin.weight"].storage == layouts["tied.weight"].storage
    assert layouts["inner.lin.bias"].storage != layouts["tied.bias"].storage
    assert len({layout.storage for layout in layouts.values()}) == len(layouts) - 1


def test_checkpoints_of_modules_and_other_objects(zipped: bool, tmp_path: Path) -> None:
    net = Net()
    optimizer = torch.optim.Adam(net.parameters())
    net.inner.lin.weight.grad = torch.ones(2, 3)
    optimizer.step()
    value = {
        "model": net, "optimizer": optimizer,
        "args": argparse.Namespace(lr=0.1, mean=torch.ones(2)),
        "plain": [torch.ones(3), (torch.zeros(2),)], "epoch": 3, ("a", 1): torch.ones(1),
        "ordered": OrderedDict(x=torch.ones(4)), 5: {"y": torch.ones(5)},
    }  # fmt: skip
    torch.save(value, tmp_path / "x.pt", _use_new_zipfile_serialization=zipped)
    found = read(tmp_path / "x.pt")
    expected = {f"model.{name}": tensor for name, tensor in net.state_dict().items()}
    expected |= {
        "args.mean": torch.ones(2), "plain.0": torch.ones(3), "plain.1.0": torch.zeros(2),
        "(a, 1)": torch.ones(1), "ordered.x": torch.ones(4), "5.y": torch.ones(5),
    }  # fmt: skip
    others = {name: found.pop(name) for name in list(found) if name.startswith("optimizer.")}
    assert set(found) == set(expected)
    assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())
    moments = optimizer.state[net.inner.lin.weight]
    assert any(torch.equal(tensor, moments["exp_avg"]) for tensor in others.values())
    assert (
        "'argparse.Namespace'" in notes(tmp_path / "x.pt")[0]
        or "more)" in notes(tmp_path / "x.pt")[0]
    )


@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support")
@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor")
def test_every_layout_beside_an_object(zipped: bool, tmp_path: Path) -> None:
    points, z = torch.arange(12.0).view(3, 4), torch.tensor([[1 + 2j, 3 - 4j]])
    value: dict[str, Any] = {
        "t": points.t(), "row": points[1, 1:], "wide": points[0].expand(5, 4),
        "sparse": torch.eye(4).to_sparse(), "csr": torch.eye(3).to_sparse_csr(),
        "quantised": torch.quantize_per_tensor(torch.ones(3), 0.5, 0, torch.qint8),
        "complex": z, "conj": z.conj(), "neg": z.clone().conj().imag, "scalar": torch.tensor(3.0),
        "none": torch.empty(0, 3), "truth": torch.tensor([True, False]),
        "meta": torch.empty(3, device="meta"),
        "parameter": nn.Parameter(torch.ones(2)), "object": argparse.Namespace(),
    }  # fmt: skip
    if zipped:  # torch cannot load these from the old format itself
        value["e5m2"] = torch.ones(3).to(torch.float8_e5m2)
        value["u16"] = torch.tensor([65535], dtype=torch.uint16)
    torch.save(value, tmp_path / "x.pt", _use_new_zipfile_serialization=zipped)
    found = read(tmp_path / "x.pt")
    for name in ("t", "row", "wide", "scalar", "none", "truth", "parameter", "neg"):
        assert torch.equal(found[name], value[name].detach().resolve_neg()), name
    if zipped:
        assert torch.equal(found["e5m2"].float(), torch.ones(3))
        assert torch.equal(found["u16"], value["u16"])
    assert torch.equal(found["complex"], torch.view_as_real(z))
    assert torch.equal(found["conj"], torch.view_as_real(z.conj().resolve_conj()))
    assert found["sparse"].tolist() == [1, 1, 1, 1]
    assert found["csr"].tolist() == [1, 1, 1]
    assert found["quantised"].tolist() == [2, 2, 2]
    told = notes(tmp_path / "x.pt")
    assert "quantised: quantised: its stored integers are read" in told
    assert {"sparse: sparse: its stored values are read"} <= set(told)
    assert any(note.startswith("meta: made by 'torch._utils._rebuild_meta_tensor") for note in told)
    assert "meta" not in found


def test_protocol_4_of_a_plain_state_dict(tmp_path: Path) -> None:
    """torch itself loads that by running what it names only."""
    state = nn.Linear(3, 2).state_dict()
    torch.save(state, tmp_path / "x.pt", pickle_protocol=4)
    same(tmp_path / "x.pt", state)
    assert notes(tmp_path / "x.pt") == []


# -- what must not run -----------------------------------------------------------------------------


class _Evil:
    def __init__(self, *call: Any) -> None:
        self.call = call

    def __reduce__(self) -> Any:
        return self.call


def evils(touched: Path) -> dict[str, Any]:
    text = str(touched)
    return {
        "system": _Evil(os.system, (f"touch {text}",)),
        "eval": _Evil(eval, (f"open({text!r}, 'w')",)),
        "getattr": _Evil(getattr, (Path(text), "touch")),
        "state": _Evil(_Evil, (), {"x": _Evil(os.mkdir, (text,))}),
        "items": _Evil(list, (), None, iter([_Evil(os.mkdir, (text,))])),
        "keys": _Evil(dict, (), None, None, iter([("k", _Evil(os.mkdir, (text,)))])),
        "hooks": _Evil(torch._utils._rebuild_parameter, (_Evil(os.mkdir, (text,)), True, {})),
        "type": _Evil(torch._tensor._rebuild_from_type_v2, (os.mkdir, torch.Tensor, (text,), {})),
    }


@pytest.mark.parametrize("name", list(evils(Path())))
def test_code_beside_tensors_is_passed_over(name: str, zipped: bool, tmp_path: Path) -> None:
    touched = tmp_path / "touched"
    value = {"x": torch.ones(3), "evil": evils(touched)[name], "y": nn.Linear(2, 2)}
    torch.save(value, tmp_path / "x.pt", _use_new_zipfile_serialization=zipped)
    assert list(read(tmp_path / "x.pt")) == ["x", "y.weight", "y.bias"]
    assert "which fpx never runs" in notes(tmp_path / "x.pt")[0]
    assert not touched.exists()
    torch.save(value["evil"], tmp_path / "alone.pt", _use_new_zipfile_serialization=zipped)
    refused(tmp_path / "alone.pt", "")
    assert not touched.exists()


def test_names_of_classes_are_escaped_and_few(tmp_path: Path) -> None:
    data = pickle.dumps({"x": 1}, 2)
    calls = b"".join(b"cos\x1b[31m\nf%d\n)R" % number for number in range(5000))

    def swap(name: str, old: bytes) -> bytes:
        assert data
        return old[:-1] + b"0(" + calls + old[2:-1] + b"l." if name.endswith("data.pkl") else old

    rewritten(tmp_path / "x.pt", torch.ones(3), swap)
    (told,) = notes(tmp_path / "x.pt")
    assert r"'os\x1b[31m.f0'" in told
    assert "(4997 more)" in told
    assert len(told) < 200


def test_damage_inside_a_module(tmp_path: Path) -> None:
    def cut(name: str, data: bytes) -> bytes:
        return data[:20] if name.endswith("data/0") else data

    rewritten(tmp_path / "x.pt", nn.Linear(3, 2), cut)
    refused(tmp_path / "x.pt", "'weight' is larger than its record")

    def gone(name: str, data: bytes) -> bytes:
        return data.replace(b"X\1\0\0\x000", b"X\1\0\0\x009") if name.endswith(".pkl") else data

    rewritten(tmp_path / "x.pt", nn.Linear(3, 2), gone)
    refused(tmp_path / "x.pt", "'weight' is larger than its record")
    for view in (b"K\3K\1\x86", b"K\2K\3\x86"):  # its strides, its shape

        def larger(name: str, data: bytes, view: bytes = view) -> bytes:
            return data.replace(view, b"K\x09K\x09\x86") if name.endswith(".pkl") else data

        rewritten(tmp_path / "x.pt", nn.Linear(3, 2), larger)
        refused(tmp_path / "x.pt", "'weight' is larger than its record")

    def negative(name: str, data: bytes) -> bytes:
        minus = b"J" + struct.pack("<i", -1) + b"K\1\x86"
        return data.replace(b"K\3K\1\x86", minus) if name.endswith(".pkl") else data

    rewritten(tmp_path / "x.pt", nn.Linear(3, 2), negative)
    assert list(read(tmp_path / "x.pt")) == ["bias"]
    assert "weight: it is damaged" in notes(tmp_path / "x.pt")[1]
    torch.save(nn.Linear(3, 2), tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    (tmp_path / "old.pt").write_bytes((tmp_path / "old.pt").read_bytes()[:-3])
    refused(tmp_path / "old.pt", "is larger than its record")


def test_a_module_of_the_other_byte_order(tmp_path: Path) -> None:
    def swap(name: str, data: bytes) -> bytes:
        return b"big" if name.endswith("byteorder") else data

    rewritten(tmp_path / "x.pt", nn.Linear(3, 2), swap)
    refused(tmp_path / "x.pt", "is of the other byte order, and a pickle with code")


def test_an_old_module_of_the_other_byte_order(tmp_path: Path) -> None:
    path = tmp_path / "x.pt"
    torch.save(nn.Linear(3, 2), path, _use_new_zipfile_serialization=False)
    data = path.read_bytes()
    at = data.index(b"little_endian") + len(b"little_endian")
    path.write_bytes(data[:at] + data[at:].replace(b"\x88", b"\x89", 1))
    refused(path, "is of the other byte order, and a pickle with code")


def test_an_old_module_that_claims_a_huge_storage(tmp_path: Path) -> None:
    path = tmp_path / "x.pt"
    net = nn.Linear(3, 2)
    torch.save(net, path, _use_new_zipfile_serialization=False)
    data = path.read_bytes()
    count = struct.pack("<Q", 2)  # of the bias, which may be first
    for huge in (2**63, 2**64 - 1, 3):
        path.write_bytes(data.replace(count, struct.pack("<Q", huge)))
        try:
            found = read(path)
        except InputError as error:
            assert "is larger than its record" in str(error)  # noqa: PT017
        else:
            assert set(found) == {"weight", "bias"}


def test_a_module_in_itself_ends(tmp_path: Path) -> None:
    net = nn.Linear(2, 2)
    net.__dict__["_modules"] = {"again": net, "own": nn.Linear(1, 1)}
    torch.save(net, tmp_path / "x.pt")
    assert list(read(tmp_path / "x.pt")) == ["weight", "bias", "own.weight", "own.bias"]


def test_modules_that_hold_each_other_twice(tmp_path: Path) -> None:
    net: nn.Module = nn.Linear(2, 2)
    for _ in range(40):
        outer = nn.Module()
        outer.__dict__["_modules"] = {"a": net, "b": net}
        net = outer
    torch.save(net, tmp_path / "x.pt")
    refused(tmp_path / "x.pt", "things in one collection")


DEEP = b")" + b"\x85" * 100_000


@pytest.mark.parametrize("old", [False, True])
def test_a_key_that_no_stack_can_hash(old: bool, tmp_path: Path) -> None:
    """torch would end the process."""
    body = b"\x80\x02}" + DEEP + b"Ns."
    if old:
        data = io.BytesIO()
        torch.save(None, data, _use_new_zipfile_serialization=False)
        head = data.getvalue()[: data.getvalue().index(b"\x80\x02N.")]
        (tmp_path / "x.pt").write_bytes(head + body + b"\x80\x02].")
    else:
        rewritten(
            tmp_path / "x.pt", None, lambda name, data: body if name.endswith("data.pkl") else data
        )
    refused(tmp_path / "x.pt", "a key of many parts")


# -- TorchScript -----------------------------------------------------------------------------------


class Listed(nn.Module):
    """Tensors in a list and a dict."""

    def __init__(self) -> None:
        super().__init__()
        self.items = [torch.ones(1), torch.zeros(2)]
        self.named = {"a": torch.ones(4)}

    def forward(self, x: Tensor) -> Tensor:
        return x + self.items[0] + self.named["a"].sum()


def test_scripted_modules_have_their_attributes(tmp_path: Path) -> None:
    net = Net()
    torch.jit.save(torch.jit.script(net), tmp_path / "x.pt")
    found = read(tmp_path / "x.pt")
    expected = dict(net.state_dict()) | {"inner.k": net.inner.k, "inner.cache": net.inner.cache}
    assert set(found) == set(expected)
    assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())
    assert notes(tmp_path / "x.pt") == []
    (source,) = open_files(str(tmp_path / "x.pt"))
    assert source.kind == "torch (TorchScript)"


def test_tied_weights_of_scripts(tmp_path: Path) -> None:
    torch.jit.save(torch.jit.script(Net()), tmp_path / "x.pt")
    (source,) = open_files(str(tmp_path / "x.pt"))
    layouts: dict[str, Any] = {entry.name: entry.layout for entry in source.entries}
    assert layouts["inner.lin.weight"].storage == layouts["tied.weight"].storage


def test_collections_in_scripts(tmp_path: Path) -> None:
    torch.jit.save(torch.jit.script(Listed()), tmp_path / "x.pt")
    found = read(tmp_path / "x.pt")
    assert {name: found[name].tolist() for name in found} == {
        "items.0": [1], "items.1": [0, 0], "named.a": [1, 1, 1, 1],
    }  # fmt: skip


def test_traced_and_frozen_modules(tmp_path: Path) -> None:
    net = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 4).double().float()).eval()
    traced: Any = torch.jit.trace(  # type: ignore[no-untyped-call]
        net, torch.ones(1, 3)
    )
    torch.jit.save(traced, tmp_path / "traced.pt")
    same(tmp_path / "traced.pt", dict(net.state_dict()))
    frozen = torch.jit.freeze(torch.jit.script(net))
    torch.jit.save(frozen, tmp_path / "frozen.pt")
    found = read(tmp_path / "frozen.pt")
    assert set(found) == {f"CONSTANTS.c{at}" for at in range(4)}
    assert sorted(tensor.flatten().tolist() for tensor in found.values()) == sorted(
        tensor.flatten().tolist() for tensor in net.state_dict().values()
    )
    code = zipfile.ZipFile(tmp_path / "frozen.pt")
    (text,) = [code.read(name).decode() for name in code.namelist() if name.endswith(".py")]
    assert "torch.linear(input, CONSTANTS.c0, CONSTANTS.c1)" in text
    assert torch.equal(found["CONSTANTS.c0"], net.state_dict()["0.weight"])


def test_other_dtypes_in_scripts(tmp_path: Path) -> None:
    net = nn.Linear(3, 2).bfloat16()
    torch.jit.save(torch.jit.script(net), tmp_path / "x.pt")
    same(tmp_path / "x.pt", dict(net.state_dict()))
    code, out, err = call("cast-compare", tmp_path / "x.pt", "--to", "fp16")
    assert (code, err) == (0, "")
    assert "weight" in out


def changed(path: Path, change: Any) -> None:
    """A scripted module, its members changed."""
    data = io.BytesIO()
    torch.jit.save(torch.jit.script(nn.Linear(3, 2)), data)
    with zipfile.ZipFile(data) as old, zipfile.ZipFile(path, "w") as new:
        for info in old.infolist():
            new.writestr(info.filename, change(info.filename, old.read(info)))


def test_code_in_an_archive_is_not_even_unpacked(tmp_path: Path) -> None:
    """Nor need it be Python, or small."""
    changed(tmp_path / "x.pt", lambda name, data: b"junk(" if "/code/" in name else data)
    assert list(read(tmp_path / "x.pt")) == ["weight", "bias"]


@pytest.mark.parametrize(
    ("member", "data", "words"),
    [
        ("/data/0", b"\0" * 20, "'weight' is larger than its record"),
        ("/data.pkl", b"\x80\x02N.", "holds no tensors"),
        ("/data.pkl", b"junk", "damaged torch file"),
        ("/constants.pkl", b"junk", "damaged torch file"),
        ("/byteorder", b"big", "other byte order"),
    ],
)
def test_damaged_scripts(member: str, data: bytes, words: str, tmp_path: Path) -> None:
    changed(tmp_path / "x.pt", lambda name, old: data if name.endswith(member) else old)
    refused(tmp_path / "x.pt", words)


def test_packed_tensors_in_a_script(tmp_path: Path) -> None:
    data = io.BytesIO()
    torch.jit.save(torch.jit.script(nn.Linear(3, 2)), data)
    with (
        zipfile.ZipFile(data) as old,
        zipfile.ZipFile(tmp_path / "x.pt", "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for info in old.infolist():
            new.writestr(info.filename, old.read(info))
    refused(tmp_path / "x.pt", "is compressed")


def test_a_script_that_calls(tmp_path: Path) -> None:
    touched = tmp_path / "touched"
    evil = b"\x80\x02cos\nsystem\nX" + struct.pack("<I", len(f"touch {touched}"))
    evil += f"touch {touched}".encode() + b"\x85R."
    changed(tmp_path / "x.pt", lambda name, data: evil if name.endswith("/data.pkl") else data)
    with pytest.raises(InputError, match="holds no tensors"):
        open_files(str(tmp_path / "x.pt"))
    assert not touched.exists()


def test_numpy_in_a_checkpoint_is_no_reason_to_refuse_its_tensors(tmp_path: Path) -> None:
    value = {"x": torch.ones(3), "rng": np.random.default_rng(0).standard_normal(3)}
    torch.save(value, tmp_path / "x.pt")
    assert list(read(tmp_path / "x.pt")) == ["x"]
