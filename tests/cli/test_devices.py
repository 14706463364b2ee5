"""`fpx devices`."""

from __future__ import annotations

import json

import pytest

from fpx.casts.devices import survey_devices
from fpx.errors import InputError
from tests.helpers import call


def test_the_command() -> None:
    code, out, _ = call("devices", "--device", "cpu", "--size", "1000")
    assert code == 0
    assert "bfloat16" in out
    code, out, _ = call("devices", "--size", "1000", "--json")
    assert json.loads(out)["schema"] == "fpx.devices/1"
    with pytest.raises(InputError):
        survey_devices(["cpu"], 0)
