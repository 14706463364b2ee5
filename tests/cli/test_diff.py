"""`fpx diff`."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from itertools import product
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from tests.helpers import PATIENCE, call, memory_of, results, running
from tests.writers import gguf, keras_archive

X = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))
TENSORS = {"weight": X, "bias": X[0].clone()}
Tensors = Mapping[str, torch.Tensor]


def _safetensors(path: Path, tensors: Tensors) -> Path:
    save_file({name: x.clone().contiguous() for name, x in tensors.items()}, path)
    return path


def _torch(path: Path, tensors: Tensors) -> Path:
    torch.save(dict(tensors), path)
    return path


def _npz(path: Path, tensors: Tensors) -> Path:
    arrays: dict[str, Any] = {name: np.asfortranarray(x.numpy()) for name, x in tensors.items()}
    np.savez(path, **arrays)
    return path


def _hdf5(path: Path, tensors: Tensors) -> Path:
    with h5py.File(path, "w") as file:
        for name, x in tensors.items():
            file[name] = x.numpy()
    return path


def _gguf(path: Path, tensors: Tensors) -> Path:
    f32 = {name: (0, tuple(x.shape), x.numpy().tobytes()) for name, x in tensors.items()}
    path.write_bytes(gguf(f32))
    return path


def _arrays(path: Path, tensors: Tensors) -> Path:
    path.mkdir()
    for name, x in tensors.items():
        np.save(path / f"{name}.npy", np.asfortranarray(x.numpy()))
    return path


def _shards(path: Path, tensors: Tensors) -> Path:
    path.mkdir()
    for name, x in tensors.items():
        _safetensors(path / f"{name}.safetensors", {name: x})
    index = {"weight_map": {name: f"{name}.safetensors" for name in tensors}}
    (path / "model.safetensors.index.json").write_text(json.dumps(index))
    return path


KINDS: Mapping[str, tuple[str, Callable[[Path, Tensors], Path]]] = {
    "safetensors": (".safetensors", _safetensors),
    "torch": (".pt", _torch),
    "npz": (".npz", _npz),
    "hdf5": (".h5", _hdf5),
    "gguf": (".gguf", _gguf),
    "directory": ("", _arrays),
    "sharded": ("", _shards),
}


def write(folder: Path, name: str, kind: str, tensors: Tensors) -> Path:
    suffix, writer = KINDS[kind]
    return writer(folder / f"{name}{suffix}", tensors)


def _pairs() -> Iterator[Any]:
    """Every pair; those of a kind with itself and with the next one are tried at every run."""
    for (at, first), (to, second) in product(enumerate(KINDS), enumerate(KINDS)):
        soon = (to - at) % len(KINDS) < 2
        yield pytest.param(first, second, marks=[] if soon else pytest.mark.slow)


@pytest.mark.parametrize(("first", "second"), list(_pairs()))
def test_every_pair_of_kinds(first: str, second: str, tmp_path: Path) -> None:
    a = write(tmp_path, "a", first, TENSORS)
    b = write(tmp_path, "b", second, TENSORS)
    code, out, err = call("diff", a, b)
    assert (code, err) == (0, "")
    assert out.startswith("Equal: 2 tensors, bit for bit.\n")
    changed = X.clone()
    changed[3, 1] = torch.nextafter(changed[3, 1], torch.tensor(9.0))
    c = write(tmp_path, "c", second, {"weight": changed, "bias": TENSORS["bias"]})
    code, out, _ = call("diff", a, c, "--json")
    assert code == 1
    rows = {row["tensor"]: row for row in json.loads(out)["results"]}
    assert (rows["weight"]["outcome"], rows["bias"]["outcome"]) == ("differs", "equal")
    assert (rows["weight"]["max_distance"], rows["weight"]["differing_count"]) == (1, 1)
    assert rows["weight"]["max_distance_spot"]["index"] == [3, 1]
    assert call("diff", a, c, "--tolerance-ulp", "1")[0] == 0


def test_keras_and_plain_arrays(tmp_path: Path) -> None:
    keras = keras_archive(tmp_path / "x.keras")
    assert call("diff", keras, keras)[0] == 0
    arrays: dict[str, Any] = {
        "layers/dense/vars/0": np.arange(200_000, dtype=np.float32).reshape(500, 400),
        "layers/dense/vars/1": np.ones(400, np.float32),
        "optimizer/vars/0": np.int32(3),
    }
    np.savez(tmp_path / "y.npz", **arrays)
    outcomes = {row["tensor"]: row["outcome"] for row in results("diff", keras, tmp_path / "y.npz")}
    assert outcomes == {
        "layers/dense/vars/0": "equal", "layers/dense/vars/1": "converted",
        "optimizer/vars/0": "equal",
    }  # fmt: skip


@pytest.mark.parametrize("dtype", [torch.float8_e4m3fn, torch.float8_e5m2, torch.float8_e8m0fnu])
def test_narrow_dtypes_of_files(dtype: torch.dtype, tmp_path: Path) -> None:
    x = X.abs() + 1
    a = _safetensors(tmp_path / "a.safetensors", {"x": x})
    b = _safetensors(tmp_path / "b.safetensors", {"x": x.to(dtype)})
    (row,) = results("diff", b, b)
    assert row["outcome"] == "equal"
    codes = x.to(dtype).view(torch.uint8).clone()
    codes[2, 3] += 2
    c = _safetensors(tmp_path / "c.safetensors", {"x": codes.view(dtype)})
    code, out, _ = call("diff", b, c, "--json")
    (row,) = json.loads(out)["results"]
    assert (code, row["max_distance"], row["max_distance_spot"]["index"]) == (1, 2, [2, 3])
    if dtype is not torch.float8_e8m0fnu:  # which torch does not round to nearest
        assert results("diff", a, b)[0]["outcome"] == "converted"


def test_what_fails(tmp_path: Path) -> None:
    a = _torch(tmp_path / "a.pt", {"x": X, "y": X[1], "z": X[2] * 2})
    b = _torch(tmp_path / "b.pt", {"x": X, "m.y": X[1].clone(), "z": X[2] * 2})
    code, out, err = call("diff", a, b)
    assert (code, err) == (1, f"fpx: {a} y: renamed to 'm.y' (--allow-renamed allows that)\n")
    assert out.startswith("1 renamed; otherwise equal: 2 tensors, bit for bit.\n")
    assert call("diff", a, b, "--allow-renamed")[0] == 0
    assert call("diff", a, b, "--strip-prefix", "m.")[1].startswith("Equal: 3 tensors")
    assert call("diff", a, b, "--include", "[xz]")[0] == 0
    assert call("diff", a, b, "--exclude", "*y")[0] == 0
    c = _torch(tmp_path / "c.pt", {"x": X, "y": X[1].view(2, 2)})
    code, _, err = call("diff", a, c)
    assert code == 1
    assert err == f"fpx: {a} y: shape [4] became [2, 2]\nfpx: {a} z: missing in B\n"
    assert call("diff", c, a)[2].endswith(f"fpx: {a} z: in B alone\n")


def test_a_renamed_tensor_in_another_order_of_storage(tmp_path: Path) -> None:
    a = _safetensors(tmp_path / "a.safetensors", {"x": X, "y": X[0]})
    b = _npz(tmp_path / "b.npz", {"u": X, "y": X[0]})  # Fortran's order
    code, out, _ = call("diff", a, b, "--allow-renamed", "--json")
    assert code == 0
    outcomes = {row["tensor"]: row["outcome"] for row in json.loads(out)["results"]}
    assert outcomes == {"x": "renamed", "y": "equal"}


def test_options_of_the_screen(tmp_path: Path) -> None:
    names = [f"t{at:02d}" for at in range(30)]
    a = _torch(tmp_path / "a.pt", dict.fromkeys(names, X))
    b = _torch(tmp_path / "b.pt", {name: X + at for at, name in enumerate(names)})

    def shown(*options: str) -> int:
        out = call("diff", a, b, *options)[1]
        table = out.partition("\nWhere")[0].partition("\n")[2]
        return sum(
            any(line.startswith(f" {name} ") for name in names) for line in table.split("\n")
        )

    assert (shown(), shown("--all"), shown("--top", "3")) == (20, 29, 3)
    for options in (("--top", "0"), ("--top", "3", "--all"), ("--tolerance-ulp", "-1")):
        code, out, err = call("diff", a, b, *options)
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert options[0] in err


def test_csv_reads_back(tmp_path: Path) -> None:
    a, b = _torch(tmp_path / "a.pt", TENSORS), _torch(tmp_path / "b.pt", {"weight": X.half()})
    code, out, _ = call("diff", a, b, "--csv")
    assert code == 1
    first, second = csv.DictReader(io.StringIO(out))
    assert (first["tensor"], first["outcome"], first["b.dtype"]) == (
        "weight", "converted", "float16",
    )  # fmt: skip
    assert float(first["max_error_ulp"]) <= 0.5
    assert (second["outcome"], second["b.dtype"], second["count"]) == ("missing", "", "")
    lines = call("diff", a, b, "--jsonl")[1].splitlines()
    assert [json.loads(line)["outcome"] for line in lines] == ["converted", "missing"]
    assert "| float16 | 6 4 |  | converted | 24 |" in call("diff", a, b, "--markdown")[1]


def test_errors_are_one_line(tmp_path: Path) -> None:
    a = _torch(tmp_path / "a.pt", TENSORS)
    other = _torch(tmp_path / "b.pt", {"u": X * 3, "v\x1b[1m": X[:1] * 3})
    bad = tmp_path / "bad.safetensors"
    bad.write_bytes(b"junk")
    for args, told in (
        ((a, tmp_path / "absent.pt"), "absent.pt': no such file"),
        ((bad, a), "is no tensor file"),
        ((a, other), r"nothing in common: A has 'weight', 'bias', B has 'u', 'v\x1b[1m'"),
        (("-", "-"), "only one of the two can be -"),
        ((a, a, "--include", "nothing"), "check --include and --exclude"),
        ((a,), "B is missing"),
    ):
        code, out, err = call("diff", *args)
        assert (code, out, err.count("\n")) == (2, "", 1), args
        assert told in err


def test_damage_that_shows_only_on_reading(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.npz", tmp_path / "bad.npz"
    big = np.random.default_rng(0).standard_normal(50_000)
    np.savez_compressed(good, big=big, small=np.ones(3))
    data = bytearray(good.read_bytes())
    data[len(data) // 2] ^= 0xFF
    bad.write_bytes(data)
    code, out, err = call("diff", good, bad, "--json")
    assert code == 2
    document = json.loads(out)
    outcomes = {row["tensor"]: row["outcome"] for row in document["results"]}
    assert outcomes == {"big": "unreadable", "small": "equal"}
    assert err.count("\n") == len(document["errors"]) == 1
    assert "'big' cannot be read" in err
    assert document["equal"] is False
    assert call("diff", good, bad)[1].startswith("1 unreadable; otherwise equal: 1 tensor")
    for options in (("--include", "big"), ("--include", "big", "--json")):
        code, out, err = call("diff", good, bad, *options)
        assert (code, out, err.count("\n")) == (2, "", 1)
    # where a content cannot be hashed, the tensor stays missing
    with np.load(good) as arrays:
        np.savez(tmp_path / "renamed.npz", other=arrays["big"], small=arrays["small"])
    code, out, _ = call("diff", bad, tmp_path / "renamed.npz", "--json")
    assert code == 2
    assert [row["outcome"] for row in json.loads(out)["results"]] == ["missing", "equal", "extra"]


def test_a_shard_that_is_gone(tmp_path: Path) -> None:
    a = write(tmp_path, "a", "sharded", TENSORS)
    b = tmp_path / "b"
    shutil.copytree(a, b)
    (b / "bias.safetensors").write_bytes(b"junk")
    code, out, err = call("diff", a, b)
    assert code == 2
    assert out.startswith("1 missing; otherwise equal: 1 tensor, bit for bit.")
    assert "bias.safetensors' is no tensor file" in err


def test_stdin(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", X.numpy())
    data = (tmp_path / "x.npy").read_bytes()
    half = X.half().numpy()
    np.save(tmp_path / "y.npy", half)
    assert call("diff", "-", tmp_path / "x.npy", stdin=data)[0] == 0
    (row,) = results("diff", "-", tmp_path / "y.npy", stdin=data)
    assert row["outcome"] == "converted"
    np.save(tmp_path / "z.npy", X.numpy() * 2)
    code, out, _ = call("diff", tmp_path / "z.npy", "-", "--json", stdin=data)
    assert code == 1
    assert json.loads(out)["results"][0]["differing_count"] == X.numel()


def _sparse(path: Path, count: int, last: float = 0.0) -> Path:
    """An array of float32 zeros, which takes no room, and one last number."""
    with path.open("wb") as file:
        header = {"descr": "<f4", "fortran_order": False, "shape": (count // 1000, 1000)}
        np.lib.format.write_array_header_1_0(file, header)
        file.truncate(file.tell() + 4 * count)
        file.seek(-4, 2)
        file.write(np.float32(last).tobytes())
    return path


def test_memory_stays_flat(tmp_path: Path) -> None:
    count = 60_000_000  # 240 MB each
    a, b = _sparse(tmp_path / "a.npy", count), _sparse(tmp_path / "b.npy", count, 1e-30)
    found = memory_of("diff", a, b, "--json")
    assert found.code == 1
    (row,) = json.loads(found.out)["results"]
    assert (row["count"], row["differing_count"]) == (count, 1)
    assert row["max_distance_spot"]["index"] == [count // 1000 - 1, 999]
    assert found.megabytes < 200


def test_ctrl_c_tells_of_what_was_compared(tmp_path: Path) -> None:
    for side in ("a", "b"):
        (tmp_path / side).mkdir()
        np.save(tmp_path / side / "first.npy", np.ones(3))
        _sparse(tmp_path / side / "second.npy", 100_000_000_000)
    second = tmp_path / "b" / "second.npy"
    args = ("diff", tmp_path / "a", tmp_path / "b", "--json")
    with running(*args, stdin=subprocess.DEVNULL) as process:
        fds = Path(f"/proc/{process.pid}/fd")
        deadline = time.monotonic() + PATIENCE
        while not any(os.path.realpath(fd) == str(second.resolve()) for fd in fds.iterdir()):
            assert time.monotonic() < deadline  # it has not begun to read
            time.sleep(0.05)
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert err == "fpx: interrupted: the tensors that follow were not compared\n"
    document = json.loads(out)
    assert document["partial"] is True
    assert document["equal"] is False
    assert [row["tensor"] for row in document["results"]] == ["first"]
