"""`fpx devices`."""

from __future__ import annotations

from tests.helpers import call


def test_the_command() -> None:
    code, out, _ = call("devices", "--device", "cpu", "--size", "1000")
    assert code == 0
    assert "bfloat16" in out
    assert "Rates of 1,000 elements" in out


def test_no_elements() -> None:
    code, out, err = call("devices", "--size", "0")
    assert (code, out) == (2, "")
    assert err == "fpx: --size must be at least 1, not 0\n"
