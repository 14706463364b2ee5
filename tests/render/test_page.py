"""The page as a file: whole, alone, and with nothing in it that acts."""

from __future__ import annotations

import hashlib
import json
import re
from base64 import b64encode
from dataclasses import replace
from html.parser import HTMLParser
from io import StringIO

import pytest
import torch

import fpx
from fpx.render import renderable
from fpx.render.page import plain_rows
from fpx.render.writers import WRITERS, Setting
from fpx.report.base import Report
from fpx.report.cast_compare import CastReport
from fpx.words import escape

NASTY = "</script><script>alert(1)</script><!--\u202e\x1b[31m\u2028 & 'x' \"y\" {z}"


class Parts(HTMLParser):
    """The tags of a page, and the texts in them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.texts.append((self.tags[-1][0] if self.tags else "", data))


def page(*reports: Report, command: str = "fpx") -> str:
    out = StringIO()
    WRITERS["page"].write(reports, out, Setting(renderable, command))
    return out.getvalue()


@pytest.fixture(scope="module")
def cast() -> CastReport:
    tensors = {NASTY: torch.tensor([1e6, 1e-30]), "inf": torch.tensor([torch.inf, torch.nan])}
    return fpx.cast_compare(tensors, to=["fp16", "e4m3fn"], fail_if=["overflow_count>0"])


def data_of(text: str) -> dict[str, object]:
    (found,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', text, re.S)
    data: dict[str, object] = json.loads(
        found, parse_constant=lambda token: pytest.fail(f"{token} is not JSON")
    )
    return data


def test_it_loads_nothing(cast: Report) -> None:
    parts = Parts(page(cast))
    assert [tag for tag, _ in parts.tags].count("script") == 2
    for tag, attributes in parts.tags:
        assert not {"src", "srcset", "style", "onclick", "onload"} & set(attributes)
        if "href" in attributes:
            assert (tag, attributes["href"]) == ("link", "data:,")
    script, style = (next(text for tag, text in parts.texts[::-1] if tag == what)
                     for what in ("script", "style"))  # fmt: skip
    assert re.findall(r"https?://[\w.]+", script) == ["http://www.w3.org"]  # SVG's name
    assert not re.search(r"url\(|@import|@font-face", style)
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacent|document\.write|eval\(|fetch\(", script
    )


def test_its_own_script_and_style_alone_may_run(cast: Report) -> None:
    text = page(cast)
    parts = Parts(text)
    policy = next(
        str(attributes["content"])
        for tag, attributes in parts.tags
        if tag == "meta" and attributes.get("http-equiv") == "Content-Security-Policy"
    )
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == rules["base-uri"] == rules["form-action"] == "'none'"
    for rule, tag in (("script-src", "script"), ("style-src", "style")):
        body = re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.S)
        assert len(body) == 1
        digest = b64encode(hashlib.sha256(body[0].encode()).digest()).decode()
        assert rules[rule] == f"'sha256-{digest}'"


def test_what_is_in_it_is_escaped(cast: Report) -> None:
    text = page(cast, command=escape(f"fpx {NASTY}"))
    assert "alert(1)</script>" not in text
    assert "\u202e" not in text
    assert "\x1b" not in text
    data = data_of(text)
    assert data["command"] == escape(f"fpx {NASTY}")
    rows = data["rows"]
    assert isinstance(rows, list)
    assert {row["cells"][0] for row in rows} == {escape(NASTY), "inf"}


def test_it_is_the_same_each_time(cast: Report) -> None:
    assert page(cast) == page(cast)


def test_numbers_that_json_lacks_are_words(cast: Report) -> None:
    text = page(cast)
    assert '"-inf"' in text
    assert data_of(text)["title"] == "fpx cast-compare"


def test_what_all_rows_share_is_told_once() -> None:
    found = plain_rows([fpx.decode(number, "bf16") for number in ("1", "2", "3")])
    keys = [column["key"] for column in found.columns]
    assert keys[0] == "input"
    assert found.same["format"] == "bfloat16"
    assert not set(keys) & set(found.same)
    assert [row["cells"][0] for row in found.rows] == ["1", "2", "3"]
    assert len(found.rows[0]["cells"]) == len(keys)
    alone = plain_rows([fpx.decode("1", "bf16")])
    assert alone.same == {}


def test_reports_without_rows_have_a_page(cast: CastReport) -> None:
    nothing = replace(cast, rows=(), totals=(), subtotals=(), errors=("x.pt: not read",))
    found = data_of(page(nothing))
    assert found["rows"] == []
    assert found["errors"] == ["x.pt: not read"]
