"""Opening files, directories and stdin: several, and bad ones among them."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from fpx.errors import InputError
from fpx.tensors.opening import open_files
from tests.helpers import call, run
from tests.tensors.reading import refused, report_of
from tests.writers import sharded


def test_npy_on_stdin() -> None:
    data = io.BytesIO()
    np.save(data, np.array([1.0, 1e6], np.float32))
    result = run("cast-compare", "-", "--to", "fp16", "--json", input=data.getvalue(), text=False)
    assert result.returncode == 0
    (row,) = json.loads(result.stdout)["results"]
    assert (row["count"], row["overflow_count"]) == (2, 1)


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
