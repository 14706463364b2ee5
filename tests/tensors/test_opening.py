"""Opening files, directories and stdin: several, and bad ones among them."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import FrozenInstanceError
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from fpx.errors import InputError
from fpx.tensors.draws import Sample
from fpx.tensors.files.numpy_file import open_stdin
from fpx.tensors.opening import open_all
from tests.helpers import call, run
from tests.tensors.reading import open_files, refused, report_of
from tests.writers import gguf, onnx, onnx_tensor, sharded


def test_npy_on_stdin() -> None:
    data = io.BytesIO()
    np.save(data, np.array([1.0, 1e6], np.float32))
    args = ("cast-compare", "-", "--to", "fp16", "--json")
    result = run(*args, warm=True, input=data.getvalue(), text=False)
    assert result.returncode == 0
    (row,) = json.loads(result.stdout)["results"]
    assert (row["count"], row["overflow_count"]) == (2, 1)


FILES: dict[str, Callable[[Path], object]] = {
    "torch": lambda path: torch.save({"x": torch.ones(2)}, path),
    "torch (legacy)": lambda path: torch.save(
        {"x": torch.ones(2)}, path, _use_new_zipfile_serialization=False
    ),
    "safetensors": lambda path: save_file({"x": torch.ones(2)}, path),
    "npz": lambda path: path.write_bytes(npz()),
    "hdf5": lambda path: h5py.File(path, "w").close(),
    "gguf": lambda path: path.write_bytes(gguf({"x": (0, (1,), bytes(4))})),
    "onnx": lambda path: path.write_bytes(onnx(onnx_tensor("x", 1, (1,), (9, bytes(4))))),
    "zip": lambda path: path.write_bytes(b"PK\3\4" + bytes(22) + b"\1\0\0\0a"),
}


def npz() -> bytes:
    data = io.BytesIO()
    np.savez(data, x=np.ones(2))
    return data.getvalue()


@pytest.mark.parametrize("command", ["inspect", "cast-compare"])
@pytest.mark.parametrize("kind", FILES)
def test_stdin_takes_npy_and_names_what_came(kind: str, command: str, tmp_path: Path) -> None:
    FILES[kind](tmp_path / "file")
    code, out, err = call(command, "-", stdin=(tmp_path / "file").read_bytes())
    assert (code, out) == (2, "")
    assert err == (
        f"fpx: stdin takes one .npy file, and this is of kind {kind}: pass other kinds of files by "
        "their path\n"
    )


@pytest.mark.parametrize(("data", "words"), [(b"", "nothing came"), (b"words", "this is none")])
def test_stdin_that_is_no_tensor_file(data: bytes, words: str) -> None:
    code, _, err = call("inspect", "-", stdin=data)
    assert (code, err.count("\n")) == (2, 1)
    assert f"stdin takes one .npy file, and {words}" in err


def test_stdin_is_read_once() -> None:
    data = io.BytesIO()
    np.save(data, np.ones(3))
    source = open_stdin(io.BytesIO(data.getvalue()))
    (entry,) = source.entries
    assert [block.tolist() for block in entry.blocks(2)] == [[1, 1], [1]]
    with pytest.raises(InputError, match="stdin can be read only once"):
        list(entry.blocks(2))


def test_only_who_draws_distributions_speaks_of_them(tmp_path: Path) -> None:
    absent = tmp_path / "nofile"
    _, _, err = call("inspect", absent)
    assert err == f"fpx: '{absent}': no such file\n"
    _, _, err = call("cast-compare", absent)
    assert f"'{absent}': no such file, and no distribution has that name (normal, " in err
    with pytest.raises(InputError, match="'normal': no such file"):
        open_all(["normal"])
    (source,) = open_all(["normal"], sample=Sample(torch.float32, 10)).sources
    assert (source.name, source.kind, source.entries[0].count) == ("normal", "distribution", 10)


def test_of_several_sources_a_bad_one_is_a_line_and_the_only_one_raises(tmp_path: Path) -> None:
    good = tmp_path / "good.npy"
    np.save(good, np.ones(3))
    opened = open_all([good, str(tmp_path / "gone"), {"x": torch.ones(2)}, "also gone"])
    assert [source.name for source in opened.sources] == [str(good), "tensor2"]
    assert opened.count == 5
    assert opened.errors == (f"'{tmp_path}/gone': no such file", "'also gone': no such file")
    with pytest.raises(InputError, match="no such file"):
        open_all([tmp_path / "gone"])
    (source,) = open_all([good], include=["g*"]).sources
    assert [entry.name for entry in source.entries] == ["good"]
    with pytest.raises(InputError, match="none of the 1 tensors is left"):
        open_all([good], exclude=["*"])


def test_what_was_opened_cannot_be_changed(tmp_path: Path) -> None:
    sharded(tmp_path)
    np.savez(tmp_path / "z.npz", x=np.ones(2), words=np.array(["a"]))
    for source in (
        *open_files(str(tmp_path / "m-1.safetensors")),
        *open_files(str(tmp_path / "z.npz")),
    ):
        assert hash((source.name, source.notes, source.kind))
        assert isinstance(source.entries, tuple)
        with pytest.raises(FrozenInstanceError):
            source.notes = ()  # type: ignore[misc]


def test_directories_without_tensors(tmp_path: Path) -> None:
    refused(tmp_path, "no tensor files")
    (tmp_path / "a.index.json").write_text("{}")
    (tmp_path / "b.index.json").write_text("{}")
    refused(tmp_path, "several indexes")


def test_a_bad_shard_among_good_ones(tmp_path: Path) -> None:
    sharded(tmp_path)
    (tmp_path / "broken.safetensors").write_bytes(b"junk")
    report = report_of(tmp_path / "m-1.safetensors", tmp_path / "broken.safetensors")
    assert len(report.errors) == 1
    assert len(report.rows) == 2


@pytest.mark.parametrize("command", ["cast-compare", "inspect"])
def test_a_bad_file_in_a_directory_does_not_stop_the_others(command: str, tmp_path: Path) -> None:
    save_file({"a": torch.ones(3)}, tmp_path / "a.safetensors")
    save_file({"c": torch.ones(3)}, tmp_path / "c.safetensors")
    (tmp_path / "b.safetensors").write_bytes(b"junk")
    code, out, err = call(command, tmp_path, "--json")
    document = json.loads(out)
    assert code == 2
    assert {row["tensor"] for row in document["results"]} == {"a", "c"}
    assert err.count("\n") == 1
    assert "b.safetensors" in err
    (tmp_path / "m.index.json").write_text(
        json.dumps({"weight_map": {"a": "a.safetensors", "gone": "absent.safetensors"}})
    )
    code, out, err = call(command, tmp_path, "--json")
    document = json.loads(out)
    assert code == 2
    assert {row["tensor"] for row in document["results"]} == {"a"}
    assert "absent.safetensors" in err


def test_without_a_list_the_first_bad_shard_is_an_error(tmp_path: Path) -> None:
    save_file({"a": torch.ones(3)}, tmp_path / "a.safetensors")
    (tmp_path / "b.safetensors").write_bytes(b"junk")
    with pytest.raises(InputError, match=r"b\.safetensors"):
        open_files(str(tmp_path))
