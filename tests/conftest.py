"""Set before torch is imported, here and in the processes that tests start."""

import gc
import os
import sys
from functools import partial

import pytest
from hypothesis import HealthCheck, settings

# the tests run side by side already: threads of each would only wait for each other
os.environ.setdefault("OMP_NUM_THREADS", "1")

# tests leave nothing in the user's cache directory
os.environ["FPX_CACHE_DIR"] = ""

# many containers forbid it, but without byte code every process of its own compiles fpx anew
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# a test that is about the width of a screen sets it; processes side by side get one otherwise
os.environ.pop("COLUMNS", None)

# torch and thousands of tests stay: each search for cycles of objects would go through them
gc.disable()


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.set_threshold(50_000)  # fractions by the million are no cycles to look for
    gc.enable()


# a machine that is busy is no fault: examples may take as long as they like
settings.register_profile("fpx", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("fpx")

pytest.register_assert_rewrite(
    "tests.helpers",
    "tests.tensors.reading",
    "tests.measure.definitions",
    "tests.conformance.planted",
)


@pytest.fixture
def quick_rates(monkeypatch: pytest.MonkeyPatch) -> None:
    """`fpx devices` in this process measures each rate for a moment."""
    from fpx.casts import devices

    monkeypatch.setattr(devices, "survey_devices", partial(devices.survey_devices, seconds=0.001))
