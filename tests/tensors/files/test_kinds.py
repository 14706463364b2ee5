"""Of what kind a file is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import save_file

from fpx.errors import InputError
from fpx.tensors.entry import Source
from fpx.tensors.opening import open_files


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


def test_sources_tell_their_kind(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.ones(2))
    (source,) = open_files(str(tmp_path / "x.npy"))
    assert isinstance(source, Source)
    assert source.kind == "npy"
