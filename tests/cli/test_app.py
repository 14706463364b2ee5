"""The commands: their help, the version, where they are imported from."""

from __future__ import annotations

from pathlib import Path

import pytest

import fpx
from fpx.cli.app import COMMANDS
from tests.helpers import call, run


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_examples(command: str) -> None:
    code, out, err = call(command, "--help")
    assert (code, err) == (0, "")
    assert "Examples" in out
    assert f"fpx {command}" in out.split("Examples")[1]


def test_version_and_bare_call() -> None:
    assert call("--version") == (0, f"fpx {fpx.__version__}\n", "")
    code, out, _ = call()
    assert code == 0
    assert "cast-compare" in out


def test_nothing_is_imported_from_the_current_directory(tmp_path: Path) -> None:
    (tmp_path / "rich.py").write_text("raise SystemExit('imported')")
    assert run("encode", "1", "--dtype", "bf16", cwd=tmp_path).stdout == "0x3f80\n"
