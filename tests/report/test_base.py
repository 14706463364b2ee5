"""Reports draw themselves."""

from __future__ import annotations

import os

import torch

import fpx


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
