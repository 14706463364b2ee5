"""What `fpx explore` loads."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.helpers import PATIENCE
from tests.test_imports import HEAVY

pytest.importorskip("textual", reason="Textual is not installed")

_PLAYED = """
import asyncio, sys
import fpx.cli
import fpx.cli.explore
import fpx.explore.app

def run(self):
    async def every_view():
        async with self.run_test(size=(80, 24)) as pilot:
            await pilot.press(*"c p l t f escape question_mark".split())
    asyncio.run(every_view())

fpx.cli.explore._here = lambda: True
fpx.explore.app.ExploreApp.run = run
try:
    fpx.cli.main()
finally:
    print("loaded", *(name for name in {HEAVY} if name in sys.modules), file=sys.stderr)
"""


def test_no_tensor_library_is_loaded() -> None:
    command = [sys.executable, "-c", _PLAYED.replace("{HEAVY}", repr(HEAVY)), "explore", "3.14"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=True)
    assert done.stderr.splitlines()[-1] == "loaded"
