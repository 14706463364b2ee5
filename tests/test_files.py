"""Every kind of tensor file: written by its own library and by hand, whole, damaged and hostile."""

from __future__ import annotations

import io
import json
import os
import signal
import struct
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from fpx.core.formats import FORMATS
from fpx.errors import InputError
from fpx.measure.cast_compare import cast_compare
from fpx.report.cast_compare import CastReport
from fpx.tensors.entry import Source
from fpx.tensors.opening import open_files

F16, BF16, F32 = (FORMATS[name] for name in ("float16", "bfloat16", "float32"))
X = torch.randn(7, 5, generator=torch.Generator().manual_seed(0)) * 1e4


def read(path: Path | str) -> dict[str, torch.Tensor]:
    """Every tensor of a file, in row-major order."""
    found = {}
    for source in open_files(str(path)):
        for entry in source.entries:
            blocks = [block.clone() for block in entry.blocks(3)]
            flat = torch.cat(blocks) if blocks else torch.empty(0, dtype=entry.dtype)
            order = entry.order or tuple(range(len(entry.shape)))
            as_read = flat.view([entry.shape[axis] for axis in order])
            found[entry.name] = as_read.permute([order.index(axis) for axis in range(len(order))])
    return found


def notes(path: Path) -> list[str]:
    return [note for source in open_files(str(path)) for note in source.notes]


def compare(*paths: object, **kinds: Any) -> CastReport:
    return cast_compare([str(path) for path in paths], [F16], from_=F32, **kinds)


def refusal(path: Path) -> str:
    """The one line that a file is refused with."""
    with pytest.raises(InputError) as error:
        compare(path)
    assert "\n" not in str(error.value)
    return str(error.value)


# -- HDF5 ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("chunks", [None, (2, 5), (7, 1), (3, 3)])
@pytest.mark.parametrize("dtype", ["<f4", ">f4", "<f8", "<f2", "<i4", ">i2", "?"])
def test_hdf5(tmp_path: Path, dtype: str, chunks: tuple[int, ...] | None) -> None:
    values = (X.numpy() % 100).astype(dtype)
    with h5py.File(tmp_path / "x.h5", "w") as file:
        packed = {"compression": "gzip"} if chunks else {}
        file.create_dataset("model/layer/kernel", data=values, chunks=chunks, **packed)
        file["model/scalar"] = 1.5
        file["empty"] = np.zeros((0, 3))
    found = read(tmp_path / "x.h5")
    assert set(found) == {"model/layer/kernel", "model/scalar", "empty"}
    assert np.array_equal(found["model/layer/kernel"].numpy(), values.astype(values.dtype.str[1:]))
    assert found["model/scalar"].item() == 1.5


def test_hdf5_never_leaves_the_file(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["secret"] = np.ones(3)
    (tmp_path / "raw.bin").write_bytes(b"\0" * 24)
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["mine"] = np.ones(3, "f4")
        file["link"] = h5py.ExternalLink("other.h5", "secret")
        file["soft"] = h5py.SoftLink("/mine")
        file["alias"] = file["mine"]
        file["loop"] = file["/"]
        file.create_dataset("raw", (3,), "f8", external=[(str(tmp_path / "raw.bin"), 0, 24)])
        layout = h5py.VirtualLayout((3,), "f8")
        layout[:] = h5py.VirtualSource(tmp_path / "other.h5", "secret", (3,))
        file.create_virtual_dataset("virtual", layout)
        file["text"] = "words"
        file["complex"] = np.array([1 + 2j, 3 - 4j])
        file.create_dataset("huge", (1 << 20,), "f8", chunks=(1 << 20,), compression="gzip")
        file["huge chunk"] = 0
        del file["huge chunk"]
        file.create_dataset("huge chunk", (1 << 24,), "f8", chunks=(1 << 24,))
    found = read(tmp_path / "x.h5")
    assert "mine" in found or "alias" in found
    assert set(found) <= {"mine", "alias", "complex", "huge"}
    assert found["complex"].tolist() == [[1, 2], [3, -4]]
    told = "\n".join(notes(tmp_path / "x.h5"))
    for name in ("link", "soft", "loop", "raw", "virtual", "text", "huge chunk"):
        assert f"{name}: " in told


def keras_archive(path: Path, kind: int = zipfile.ZIP_STORED) -> Path:
    """What Keras 3 saves: its layers' and its optimiser's variables, in an archive."""
    with h5py.File(path.with_suffix(".h5"), "w") as file:
        file["layers/dense/vars/0"] = np.arange(200_000, dtype=np.float32).reshape(500, 400)
        file.create_dataset("layers/dense/vars/1", data=np.ones(400, np.float16), chunks=(7,))
        file["optimizer/vars/0"] = np.int32(3)
    with zipfile.ZipFile(path, "w", kind) as archive:
        archive.writestr("metadata.json", "{}")
        archive.writestr("config.json", "{}")
        archive.write(path.with_suffix(".h5"), "model.weights.h5")
    return path


def test_keras(tmp_path: Path) -> None:
    found = read(keras_archive(tmp_path / "x.keras"))
    assert list(found) == ["layers/dense/vars/0", "layers/dense/vars/1", "optimizer/vars/0"]
    assert torch.equal(found["layers/dense/vars/0"], torch.arange(200_000.0).view(500, 400))
    assert torch.equal(found["layers/dense/vars/1"], torch.ones(400, dtype=torch.float16))
    assert int(found["optimizer/vars/0"]) == 3
    with pytest.raises(InputError, match="compressed"):
        open_files(str(keras_archive(tmp_path / "y.keras", zipfile.ZIP_DEFLATED)))


@pytest.mark.parametrize("what", ["nothing", "words"])
def test_a_file_without_tensors_is_an_error(what: str, tmp_path: Path) -> None:
    """A check in CI must not pass because there was nothing to check."""
    if what == "nothing":
        save_file({}, tmp_path / "x")
    else:
        np.savez(tmp_path / "x.npz", words=np.array(["a"]))
        (tmp_path / "x.npz").rename(tmp_path / "x")
    with pytest.raises(InputError, match="holds no tensors"):
        open_files(str(tmp_path / "x"))


def test_hdf5_without_h5py_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["x"] = 1.0
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(Exception, match=r"fpx-cli\[hdf5\]") as error:
        open_files(str(tmp_path / "x.h5"))
    assert getattr(error.value, "exit_code", None) == 3


# -- GGUF ------------------------------------------------------------------------------------------


def gguf(
    tensors: dict[str, tuple[int, tuple[int, ...], bytes]], version: int = 3, alignment: int = 32
) -> bytes:
    """A GGUF file by hand: name -> (ggml type, shape, bytes)."""

    def text(words: str) -> bytes:
        return struct.pack("<Q", len(words.encode())) + words.encode()

    keys = [
        text("general.architecture") + struct.pack("<I", 8) + text("test"),
        text("tokens") + struct.pack("<IIQ", 9, 8, 2) + text("a") + text("bc"),
        text("scores") + struct.pack("<IIQ", 9, 6, 3) + struct.pack("<3f", 1, 2, 3),
        text("general.alignment") + struct.pack("<II", 4, alignment),
    ]
    head = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(keys)) + b"".join(keys)
    data = b""
    for name, (kind, shape, raw) in tensors.items():
        head += text(name) + struct.pack(f"<I{len(shape)}Q", len(shape), *shape[::-1])
        head += struct.pack("<IQ", kind, len(data))
        data += raw + b"\0" * (-len(raw) % alignment)
    return head + b"\0" * (-len(head) % alignment) + data


@pytest.mark.parametrize(("version", "alignment"), [(2, 32), (3, 32), (3, 64)])
def test_gguf(tmp_path: Path, version: int, alignment: int) -> None:
    half = X.to(torch.float16)
    brain = X.to(torch.bfloat16)
    path = tmp_path / "x.gguf"
    path.write_bytes(
        gguf(
            {
                "a": (0, (7, 5), X.numpy().tobytes()),
                "b": (1, (7, 5), half.numpy().tobytes()),
                "c": (30, (35,), brain.view(torch.int16).numpy().tobytes()),
                "d": (28, (), struct.pack("<d", 2.5)),
                "q": (12, (256,), b"\0" * 144),
            },
            version,
            alignment,
        )
    )
    found = read(path)
    assert torch.equal(found["a"], X)
    assert torch.equal(found["b"], half)
    assert torch.equal(found["c"], brain.view(-1))
    assert found["d"].item() == 2.5
    assert notes(path) == ["q: Q4_K is not compared"]


def test_damaged_gguf(tmp_path: Path) -> None:
    whole = gguf({"a": (0, (7, 5), X.numpy().tobytes())})
    path = tmp_path / "x.gguf"
    for damaged in (
        whole[:30],
        whole[:-70],
        whole[:4] + struct.pack("<I", 9) + whole[8:],
        whole[:8] + struct.pack("<Q", 1 << 63) + whole[16:],
        whole[:16] + struct.pack("<Q", 1 << 63) + whole[24:],
        whole.replace(b"tokens" + struct.pack("<IIQ", 9, 8, 2),
                      b"tokens" + struct.pack("<IIQ", 9, 8, 1 << 62)),
        whole.replace(struct.pack("<QQ", 5, 7), struct.pack("<QQ", 1 << 40, 1 << 40)),
        whole[:24],
    ):  # fmt: skip
        path.write_bytes(damaged)
        start = time.monotonic()
        assert "GGUF" in refusal(path)
        assert time.monotonic() - start < 2


# -- torch, numpy, safetensors ---------------------------------------------------------------------


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
    assert "claims tensors of" in refusal(tmp_path / "x.pt")


def test_zip_bomb(tmp_path: Path) -> None:
    import zipfile

    path = tmp_path / "x.npz"
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<f4", "fortran_order": False, "shape": (1 << 29,)}
    )
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", header.getvalue() + b"\0" * (1 << 20))
    start = time.monotonic()
    assert "claims tensors of" in refusal(path)
    assert time.monotonic() - start < 2


def test_complex_numpy(tmp_path: Path) -> None:
    for dtype in ("<c8", ">c16"):
        np.save(tmp_path / "x.npy", np.array([[1 + 2j, 3 - 4j]]).astype(dtype))
        assert read(tmp_path / "x.npy")["x"].tolist() == [[[1, 2], [3, -4]]]


def test_npy_on_stdin() -> None:
    data = io.BytesIO()
    np.save(data, np.array([1.0, 1e6], np.float32))
    result = subprocess.run(
        [sys.executable, "-P", "-m", "fpx", "cast-compare", "-", "--to", "fp16", "--json"],
        input=data.getvalue(),
        capture_output=True,
        check=True,
    )
    (row,) = json.loads(result.stdout)["results"]
    assert (row["count"], row["overflow_count"]) == (2, 1)


def test_safetensors_with_a_key_twice(tmp_path: Path) -> None:
    entry = '{"dtype":"F32","shape":[1],"data_offsets":[0,4]}'
    header = f'{{"a":{entry},"a":{entry}}}'.encode()
    path = tmp_path / "x.safetensors"
    path.write_bytes(struct.pack("<Q", len(header)) + header + b"\0" * 4)
    refusal(path)


# -- shards, directories, choices ------------------------------------------------------------------


def sharded(folder: Path) -> Path:
    save_file({"a.weight": X, "a.bias": X[0].clone()}, folder / "m-1.safetensors")
    save_file({"b.weight": X * 100, "stray": X}, folder / "m-2.safetensors")
    index = folder / "m.safetensors.index.json"
    weight_map = {"a.weight": "m-1.safetensors", "a.bias": "m-1.safetensors",
                  "b.weight": "m-2.safetensors"}  # fmt: skip
    index.write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    return index


def test_shards(tmp_path: Path) -> None:
    index = sharded(tmp_path)
    assert set(read(index)) == {"a.weight", "a.bias", "b.weight"}
    assert set(read(tmp_path)) == {"a.weight", "a.bias", "b.weight"}
    index.unlink()
    assert set(read(tmp_path)) == {"a.weight", "a.bias", "b.weight", "stray"}
    report = compare(tmp_path)
    assert report.totals[0].count == 3 * 35 + 5


@pytest.mark.parametrize(
    "index",
    ["", "{}", "[]", '{"weight_map": 3}', '{"weight_map": {"a": "../m-1.safetensors"}}',
     '{"weight_map": {"a": "/etc/passwd"}}', '{"weight_map": {"a": "absent.safetensors"}}',
     '{"weight_map": {"nothing": "m-1.safetensors"}}', "[" * 100_000],
)  # fmt: skip
def test_bad_indexes(tmp_path: Path, index: str) -> None:
    path = sharded(tmp_path)
    path.write_text(index)
    refusal(path)


def test_directories_without_tensors(tmp_path: Path) -> None:
    assert "no tensor files" in refusal(tmp_path)
    (tmp_path / "a.index.json").write_text("{}")
    (tmp_path / "b.index.json").write_text("{}")
    assert "several indexes" in refusal(tmp_path)


def test_include_and_exclude(tmp_path: Path) -> None:
    index = sharded(tmp_path)

    def names(**kinds: Any) -> set[str]:
        return {row.tensor for row in compare(index, **kinds).rows}

    assert names(include=["*.weight"]) == {"a.weight", "b.weight"}
    assert names(include=["a.*"], exclude=["re:bias$"]) == {"a.weight"}
    assert names(exclude=["re:^a"]) == {"b.weight"}
    for bad in ({"include": ["nothing"]}, {"include": ["re:("]}):
        with pytest.raises(InputError):
            compare(index, **bad)


def test_a_bad_shard_among_good_ones(tmp_path: Path) -> None:
    sharded(tmp_path)
    (tmp_path / "broken.safetensors").write_bytes(b"junk")
    report = compare(tmp_path / "m-1.safetensors", tmp_path / "broken.safetensors")
    assert len(report.errors) == 1
    assert len(report.rows) == 2


# -- reading ahead, and being interrupted ----------------------------------------------------------


def test_reading_ahead_gives_the_same_blocks(tmp_path: Path) -> None:
    x = torch.arange(1_500_000, dtype=torch.float32)
    save_file({"x": x}, tmp_path / "x.safetensors")
    (source,) = open_files(str(tmp_path / "x.safetensors"))
    for limit in (1 << 16, 1000, 1 << 20):
        blocks = [block.clone() for block in source.entries[0].blocks(limit)]
        assert torch.equal(torch.cat(blocks), x)
        assert max(map(len, blocks)) <= limit


def test_damage_that_is_met_while_reading_ahead(tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    np.save(path, np.zeros(2_000_000, np.float32))
    with path.open("r+b") as file:
        file.truncate(6_000_000)
    assert "ends too early" in refusal(path)


def test_ctrl_c_shows_the_totals_so_far(tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    with path.open("wb") as file:  # sparse: 4 GB that take no room
        header = {"descr": "<f4", "fortran_order": False, "shape": (1_000_000_000,)}
        np.lib.format.write_array_header_1_0(file, header)
        file.truncate(file.tell() + 4_000_000_000)
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "fpx", "cast-compare", str(path), "--to", "fp16", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:  # until it has begun to read
        fds = Path(f"/proc/{process.pid}/fd")
        if any(os.path.realpath(fd) == str(path.resolve()) for fd in fds.iterdir()):
            break
        time.sleep(0.05)
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    start = time.monotonic()
    out, err = process.communicate(timeout=30)
    assert time.monotonic() - start < 5
    assert process.returncode == 130
    assert err.startswith("fpx: interrupted")
    document = json.loads(out)
    assert document["partial"] is True
    assert 0 < document["totals"][0]["count"] < 1_000_000_000


def test_sources_tell_their_kind(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.ones(2))
    (source,) = open_files(str(tmp_path / "x.npy"))
    assert isinstance(source, Source)
    assert source.kind == "npy"


# -- memory ----------------------------------------------------------------------------------------

MEASURE = """
import sys, resource, torch
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
from fpx.core.formats import FORMATS
from fpx.measure.cast_compare import cast_compare
targets = [FORMATS["float16"], FORMATS["bfloat16"]]
report = cast_compare([sys.argv[1]], targets, from_=FORMATS["float32"])
used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
print(report.totals[0].count, report.totals[0].overflow_count, used // 1024)
"""


def measured(path: Path) -> tuple[int, int, int]:
    """(elements, overflows, megabytes beyond `import torch`) of a comparison in its own process."""
    result = subprocess.run(
        [sys.executable, "-c", MEASURE, str(path)], capture_output=True, text=True, check=True
    )
    count, overflows, megabytes = map(int, result.stdout.split())
    return count, overflows, megabytes


@pytest.mark.parametrize("kind", ["h5", "h5 chunked", "gguf"])
def test_memory_stays_flat_for_other_kinds(kind: str, tmp_path: Path) -> None:
    count = 60_000_000  # 240 MB of zeros and one value too large
    path = tmp_path / "x"
    if kind == "gguf":
        path.write_bytes(gguf({"x": (0, (2, count // 2), b"")}))
        with path.open("r+b") as file:
            file.seek(0, 2)
            file.write(struct.pack("<f", 1e9))
            file.truncate(file.tell() + 4 * count - 4)
    else:
        with h5py.File(path, "w") as file:
            chunks = (1, 1 << 18) if kind == "h5 chunked" else None
            data = file.create_dataset("x", (2, count // 2), "f4", chunks=chunks)
            data[:] = np.zeros((2, count // 2), "f4")
            data[0, 0] = 1e9
    found, overflows, megabytes = measured(path)
    assert (found, overflows) == (count, 1)
    assert megabytes < 200  # less than the file


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["safetensors", "npy", "pt"])
def test_memory_stays_flat_on_6_gb(kind: str, tmp_path: Path) -> None:
    count = 1_500_000_000
    path = tmp_path / f"x.{kind}"
    block = np.random.default_rng(0).standard_normal(1 << 24, dtype=np.float32)
    block[12345] = 1e9
    whole, rest = divmod(count, len(block))
    with path.open("wb") as file:
        if kind == "npy":
            header = {"descr": "<f4", "fortran_order": False, "shape": (count,)}
            np.lib.format.write_array_header_1_0(file, header)
        elif kind == "safetensors":
            entry = f'{{"dtype":"F32","shape":[{count}],"data_offsets":[0,{4 * count}]}}'
            text = f'{{"x":{entry}}}'.encode()
            file.write(struct.pack("<Q", len(text)) + text)
        for _ in range(whole):
            file.write(block.data)
        file.write(block[:rest].data)
    if kind == "pt":  # from the raw numbers, mapped: nothing of 6 GB is in memory at once
        raw = path.rename(tmp_path / "raw")
        torch.save({"x": torch.from_file(str(raw), size=count)}, path)
        raw.unlink()
    written = whole + (rest > 12345)
    found, overflows, megabytes = measured(path)
    path.unlink()
    assert (found, overflows) == (count, written)
    assert megabytes < 500


def test_memory_stays_flat_on_many_tensors(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    save_file({f"layer.{i}.weight": torch.full((7,), 1e6) for i in range(2000)}, path)
    found, overflows, megabytes = measured(path)
    assert (found, overflows) == (14_000, 14_000)
    assert megabytes < 500
