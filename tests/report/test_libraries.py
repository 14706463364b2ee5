"""The libraries that a report names."""

from __future__ import annotations

import json

from tests.helpers import call


def test_libraries_are_told_in_the_environment() -> None:
    _, out, _ = call("decode", "1", "--dtype", "bf16", "--libraries", "--json")
    assert set(json.loads(out)["environment"]) == {"torch", "numpy", "ml_dtypes"}
    _, out, _ = call("decode", "1", "--dtype", "e5m7", "--libraries")
    assert "None of torch, numpy, ml_dtypes casts to e5m7" in out
