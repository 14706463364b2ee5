"""Reports draw themselves."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path

import numpy as np
import torch

import fpx
from fpx.report.base import to_json
from tests.helpers import results


def test_reports_draw_themselves() -> None:
    from rich.console import Console

    console = Console(width=80, file=open(os.devnull, "w", encoding="utf-8"), record=True)  # noqa: SIM115, PTH123
    for report in (fpx.decode("3.14"), fpx.encode("3.14"), fpx.format_info("bf16"),
                   fpx.cast_compare(torch.ones(2))):  # fmt: skip
        console.print(report)
        bundle = report._repr_mimebundle_()
        assert "<pre" in bundle["text/html"]
        assert bundle["text/plain"].strip()
    text = console.export_text()
    console.file.close()
    assert "0x4048f5c3" in text
    assert "bfloat16" in text


def test_json_spells_what_is_no_number() -> None:
    inf, nan = math.inf, math.nan
    found = to_json({"a": [inf, -inf, nan, 1.5, -0.0], 3: (True, None, "x")})
    assert json.dumps(found, allow_nan=False) == (
        '{"a": ["inf", "-inf", "nan", 1.5, -0.0], "3": [true, null, "x"]}'
    )


def test_infinite_extremes_keep_their_sign(tmp_path: Path) -> None:
    for name, x in (("low", [-math.inf, 1.0]), ("high", [math.inf, 1.0])):
        np.save(tmp_path / f"{name}.npy", np.array(x))
    low, high = (
        results("inspect", tmp_path / f"{name}.npy", "--stats")[0]["stats"]
        for name in ("low", "high")
    )
    assert (low["min"], low["max"]) == ("-inf", 1.0)
    assert (high["min"], high["max"]) == (1.0, "inf")
