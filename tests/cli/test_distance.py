"""`fpx distance`."""

from __future__ import annotations

from tests.helpers import call, results


def test_distance() -> None:
    (entry,) = results("distance", "-smallest_subnormal", "smallest_subnormal", "--dtype", "bf16")
    assert (entry["steps"], entry["between"]) == (2, 1)
    (entry,) = results("distance", "0", "-0", "--dtype", "bf16")
    assert (entry["steps"], entry["between"], entry["difference"]) == (0, 0, "0")
    (entry,) = results("distance", "max", "inf", "--dtype", "bf16")
    assert (entry["steps"], entry["difference"]) == (1, None)
    assert len(results("distance", "1", "2")) == 4
    assert call("distance", "1", "-")[0] == 2


def test_what_digits_mean() -> None:
    (entry,) = results("distance", "16", "18", "--as", "code", "--dtype", "fp16")
    assert entry["steps"] == 2
    (entry,) = results("distance", "16", "18", "--as", "value", "--dtype", "fp16")
    assert entry["steps"] == 128
    (entry,) = results("distance", "0x10", "0x12", "--as", "value", "--dtype", "fp16")
    assert entry["steps"] == 128
