"""`fpx cast-verify`."""

from __future__ import annotations

import json
import signal
import sys
import time

import pytest

from tests.helpers import PATIENCE, call, running


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


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_ctrl_c_reports_what_was_covered() -> None:
    with running("cast-verify", "--from", "fp32", "--to", "fp16") as process:
        time.sleep(6)  # torch's import, and some blocks
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert "interrupted" in err
    assert "Traceback" not in err
    assert "right, part" in out or "not run" in out
