"""Of what kind a file is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import save_file

from fpx.errors import InputError
from fpx.tensors.distributions import NAMES, SAYS
from fpx.tensors.entry import Source
from fpx.tensors.files.kinds import KINDS, READS, SUFFIXES, FileKind
from fpx.tensors.late import load
from tests.helpers import call
from tests.tensors.reading import open_files


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


def test_what_is_no_tensor_file_is_told_what_there_is(tmp_path: Path) -> None:
    for data in (b"words", b"{", b"PK"):
        (tmp_path / "x").write_bytes(data)
        with pytest.raises(InputError) as error:
            open_files(str(tmp_path / "x"))
        assert str(error.value) == (
            f"'{tmp_path / 'x'}' is no tensor file that fpx knows: it reads {READS}"
        )


def test_what_a_failed_download_leaves_is_called_that(tmp_path: Path) -> None:
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"
    for data, why in ((b"", "is empty"), (pointer, "is a pointer of Git LFS")):
        (tmp_path / "x").write_bytes(data)
        with pytest.raises(InputError, match=f"x' {why}"):
            open_files(str(tmp_path / "x"))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_row_says_all_there_is_to_say(kind: FileKind) -> None:
    assert all(suffix in kind.says for suffix in kind.suffixes)
    assert kind.says in READS
    assert set(kind.suffixes) <= set(SUFFIXES)
    assert callable(load(kind.open))


@pytest.mark.parametrize("command", ["inspect", "cast-compare"])
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_help_names_every_kind(command: str, suffix: str) -> None:
    assert suffix in call(command, "--help")[1]


@pytest.mark.parametrize("name", NAMES)
def test_help_describes_every_distribution(name: str) -> None:
    _, out, _ = call("cast-compare", "--help")
    words = " ".join(out.split())
    assert f"{name} {SAYS[name]}" in words


def test_sources_tell_their_kind(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.ones(2))
    (source,) = open_files(str(tmp_path / "x.npy"))
    assert isinstance(source, Source)
    assert source.kind == "npy"
