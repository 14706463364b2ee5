"""`fpx cast-verify`."""

from __future__ import annotations

import json
import os
import re
import select
import signal
import subprocess

from tests.helpers import PATIENCE, call, cells, running


def test_the_command() -> None:
    code, out, err = call("cast-verify", "--from", "float64", "--to", "fp16")
    assert code == 1
    assert "rounded to float32 on the way" in out
    assert err.startswith("fpx: float64 -> float16 by torch on cpu: ")
    code, out, _ = call("cast-verify", "--from", "bf16", "--to", "fp16", "--json")
    assert code == 0
    (entry,) = json.loads(out)["results"]
    assert (entry["verdict"], entry["checked_count"], entry["codes"]) == ("right", 1 << 16, "all")
    args = ("cast-verify", "--from", "fp16", "--to", "bf16", "--backend", "ml_dtypes")
    assert call(*args)[0] == 0
    assert call(*args, "--fail-on", "any")[0] == 1
    code, _, err = call("cast-verify", "--to", "float128")
    assert (code, err.count("\n")) == (2, 1)


def test_ctrl_c_reports_what_was_covered() -> None:
    """Its stderr is a terminal, whose progress bar says when some casts are done."""
    terminal, theirs = os.openpty()
    args = ("cast-verify", "--from", "fp32", "--to", "fp16")
    try:
        with running(*args, stdin=subprocess.DEVNULL, stderr=theirs) as process:
            os.close(theirs)
            shown = b""
            while not re.search(rb"[1-9][0-9]*%", shown):
                assert select.select([terminal], [], [], PATIENCE)[0], shown
                shown += os.read(terminal, 4096)
            process.send_signal(signal.SIGINT)
            assert process.stdout is not None
            out = process.stdout.read()
            assert process.wait(PATIENCE) == 130
            while select.select([terminal], [], [], 0)[0] and (more := _read(terminal)):
                shown += more
    finally:
        os.close(terminal)
    assert b"fpx: interrupted" in shown
    assert b"Traceback" not in shown
    (row,) = (row for row in cells(out) if row[:3] == ["float32", "float16", "all"])
    assert row[3] == "right, part"
    assert 0 < int(row[4].replace(",", "")) < 1 << 32


def _read(terminal: int) -> bytes:
    """What is there to read; nothing once the other end is closed."""
    try:
        return os.read(terminal, 4096)
    except OSError:
        return b""
