"""The program itself: what it leaves as it found it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.helpers import PATIENCE

_RUN = "import sys; sys.argv = ['fpx', 'encode', '1', '--dtype', 'bf16']; "


@pytest.mark.parametrize(
    "command",
    [
        "import fpx.cli",
        "import fpx.cli.app",
        f"{_RUN}import runpy; runpy.run_module('fpx', run_name='__main__')",
        f"{_RUN}import fpx.cli; fpx.cli.main()",
        f"{_RUN}from fpx.cli.app import app; app()",
    ],
)
def test_garbage_is_collected_afterwards(command: str) -> None:
    script = f"import atexit, gc\natexit.register(lambda: print(gc.isenabled()))\n{command}"
    result = subprocess.run(
        [sys.executable, "-P", "-c", script], capture_output=True, text=True, timeout=PATIENCE
    )
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.splitlines()[-1] == "True"


def test_that_test_can_fail() -> None:
    script = "import atexit, gc\natexit.register(lambda: print(gc.isenabled()))\ngc.disable()"
    result = subprocess.run(
        [sys.executable, "-P", "-c", script], capture_output=True, text=True, timeout=PATIENCE
    )
    assert result.stdout == "False\n"
