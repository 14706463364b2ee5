"""Text on terminals that have few characters."""

from __future__ import annotations

import os

from tests.helpers import run


def test_an_ascii_terminal_gets_ascii() -> None:
    env = os.environ | {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    result = run("decode", "1e-40", "--dtype", "fp32", env=env)
    assert result.returncode == 0
    assert result.stdout.isascii()
    assert "2^(1-127) x 0." in result.stdout
