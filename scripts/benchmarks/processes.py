"""Commands in processes of their own, and processes that keep every core busy."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

PYTHON = (sys.executable, "-P")
FPX = (*PYTHON, "-m", "fpx")

# ends with the process that started it, whatever ended that
_SPIN = """
import os
parent = os.getppid()
while os.getppid() == parent:
    for _ in range(1_000_000):
        pass
"""
_SETTLE = 0.5  # seconds until all of them run


def output(*command: str, stdin: bytes = b"") -> bytes:
    """What a command that ends well writes to stdout.

    Raises:
        CalledProcessError: it does not.
    """
    done = subprocess.run(command, input=stdin, capture_output=True, check=True)  # noqa: S603
    return done.stdout


@contextmanager
def busy_cores() -> Iterator[None]:
    """One process per core that spins, until the block ends."""
    command = (*PYTHON, "-S", "-c", _SPIN)
    spinning = [
        subprocess.Popen(command)  # noqa: S603
        for _ in range(os.cpu_count() or 1)
    ]
    try:
        time.sleep(_SETTLE)
        yield
    finally:
        for process in spinning:
            process.kill()
        for process in spinning:
            process.wait()
