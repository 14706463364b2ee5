"""Drawings as SVG."""

from __future__ import annotations

from io import StringIO
from xml.etree import ElementTree

import pytest
import torch

import fpx
from fpx.render import renderable
from fpx.render.screen import write_plain
from fpx.render.writers import WRITERS, Setting
from fpx.report.base import Report

SVG = "{http://www.w3.org/2000/svg}"


def svg(*reports: Report, command: str = "fpx") -> str:
    out = StringIO()
    WRITERS["picture"].write(reports, out, Setting(renderable, command))
    return out.getvalue()


def lines(text: str) -> list[str]:
    """The lines of a picture, each glyph run at its column."""
    root = ElementTree.fromstring(text)
    found: dict[float, dict[int, str]] = {}
    for run in root.iter(f"{SVG}text"):
        if run.get("textLength"):
            column = round(float(run.get("x", "0")) / 12.2)
            found.setdefault(float(run.get("y", "0")), {})[column] = str(run.text)
    drawn = []
    for y in sorted(found):
        line = ""
        for column, run_text in sorted(found[y].items()):
            line = line.ljust(column) + run_text.replace("\xa0", " ")
        drawn.append(line.rstrip())
    return [line for line in drawn if line]


@pytest.mark.parametrize(
    "report",
    [fpx.decode("3.14", "bf16"), fpx.survey("1", ["float128", "bf16"]), fpx.encode(1, "bf16"),
     fpx.format_info("float128"), fpx.cast_compare("normal", size=99)],
    ids=lambda report: type(report).__name__,
)  # fmt: skip
def test_it_shows_what_the_text_does(report: Report) -> None:
    text = StringIO()
    write_plain([report], text, Setting(renderable))
    expected = [line for line in text.getvalue().splitlines() if line.strip()]
    assert lines(svg(report)) == expected


def test_sentences_wrap_and_tables_do_not() -> None:
    tensors = {f"{'long' * 20}.{n}": torch.tensor([1.0, 1e6]) for n in range(3)}
    report = fpx.cast_compare(tensors, to=["fp16"])
    text = StringIO()
    write_plain([report], text, Setting(renderable))
    long = text.getvalue().splitlines()
    found = lines(svg(report))
    tables = [line for line in long if "  " in line.strip()]
    assert [line for line in found if "  " in line.strip()] == tables
    widest = max(map(len, tables))
    assert max(map(len, found)) <= widest < max(map(len, long))
    assert " ".join(" ".join(found).split()) == " ".join(" ".join(long).split())


def test_it_is_wide_enough_and_no_wider() -> None:
    def width(report: Report) -> float:
        return float(ElementTree.fromstring(svg(report)).get("viewBox", "").split()[2])

    wide, narrow = width(fpx.survey("1", ["float128"])), width(fpx.encode(1, "bf16"))
    assert narrow < 700 < wide < 5000


def test_it_loads_nothing_and_has_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    report = fpx.decode("3.14", "bf16")
    text = svg(report)
    assert "url(http" not in text
    assert text.replace("http://www.w3.org/2000/svg", "").count("://") == 0
    assert "@font-face" not in text
    colours = {part[:7] for part in text.split("fill: ")[1:]}
    assert len(colours) > 3
    monkeypatch.setenv("NO_COLOR", "1")  # which is about terminals
    monkeypatch.setenv("COLUMNS", "20")
    assert svg(report) == text


@pytest.mark.parametrize("command", ["fpx '<b>&{x}\"'", f"fpx {'x' * 500}"])
def test_its_title_is_the_command(command: str) -> None:
    root = ElementTree.fromstring(svg(fpx.encode(1, "bf16"), command=command))
    title = root.find(f"{SVG}title")
    assert title is not None
    assert title.text == command == root.get("aria-label")
