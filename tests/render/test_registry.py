"""Who draws what."""

from __future__ import annotations

from importlib import import_module

import pytest

import fpx
from fpx.render.registry import _DRAWN_BY, renderable
from fpx.report.base import Report


@pytest.mark.parametrize("name", _DRAWN_BY)
def test_every_row_leads_to_a_report_and_a_function(name: str) -> None:
    module, _, kind = name.partition(".")
    assert issubclass(getattr(import_module(f"fpx.report.{module}"), kind), Report)
    module, _, function = _DRAWN_BY[name].partition(":")
    assert callable(getattr(import_module(f"fpx.render.{module}"), function))


def test_what_is_no_report_is_not_drawn() -> None:
    with pytest.raises(TypeError, match="str is no report"):
        renderable("x")  # type: ignore[arg-type]


def test_the_nearest_base_draws() -> None:
    class Mine(fpx.EncodeReport):
        pass

    report = fpx.encode("1", "bf16")
    mine = Mine(report.literal, report.spec, report.rounding, report.overflow, report.rounded)
    assert renderable(mine) == "0x3f80"
