"""`fpx diff` on the screen."""

from __future__ import annotations

import math
import re

import pytest
import torch

import fpx
from fpx.render.diff import diff_tables
from fpx.report.diff import DiffReport
from tests.helpers import cells, drawn

LONG = "encoder.layers.10.self_attention.query_key_value.weight"


def a_report() -> DiffReport:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(40, 25, generator=generator)
    one = torch.ones(1, dtype=torch.float64)
    a = {LONG: x, "cut": x, "lost": x, "old.name": x[0] * 2, "gone": x[1], "shape": x[:, 0],
         "same": x, "steps": torch.tensor(2**62), "double": one}  # fmt: skip
    b = dict(a) | {LONG: x.clone(), "lost": x.clone(), "steps": torch.tensor(-(2**62)),
                   "cut": (x.view(torch.int32) >> 16).to(torch.int16).view(torch.bfloat16),
                   "new.name": x[0] * 2, "shape": x[:, :1].contiguous(),
                   "double": one + 2.0**-52}  # fmt: skip
    del b["old.name"], b["gone"]
    b[LONG][30, 20] += 1e-3
    b["lost"][2, 3] = math.nan
    return fpx.diff(a, b)


@pytest.mark.parametrize("width", [*range(50, 130, 7), 60, 80, 120, 100_000])
def test_nothing_on_it_is_cut(width: int) -> None:
    report = a_report()
    whole, shown = drawn(diff_tables(report), 100_000), drawn(diff_tables(report), width)
    assert all(len(line) <= width for line in shown.splitlines())
    numbers = set(re.findall(r"(?<![\w.])-?\d[\w.,-]*(?:e[+-]\d+)?", whole))
    for line in shown.splitlines():
        if line.startswith(" "):  # a line of a table
            for word in re.findall(r"(?<!\S)-?\d[\w.,-]*(?:e[+-]\d+)?", line):
                assert word.rstrip(",") in numbers | {number.rstrip(",") for number in numbers}
    for heading in ("values", "SQNR", "code"):
        missing = not re.search(rf"^ .*\b{heading}\b", shown, re.MULTILINE)
        assert not missing or "No room for" in shown


def test_what_it_says() -> None:
    text = drawn(diff_tables(a_report()), 100_000)
    lines = [re.split(r" {2,}", line.strip()) for line in text.splitlines() if line.strip()]
    assert text.splitlines()[0].startswith("5 of 6 tensors differ: worst lost, 1 became NaN; ")
    assert ["old.name", "renamed", "float32 [25]", "float32 [25]", "new.name"] in lines
    assert ["gone", "missing", "float32 [25]", "-"] in lines
    assert ["shape", "reshaped", "float32 [40]", "float32 [40, 1]"] in lines
    (lost,) = (line for line in lines if line[:1] == ["lost"])
    assert lost[1:7] == ["float32", "differs", "1 (0.1%)", "0", "0", "1 became NaN"]
    (cut,) = (line for line in lines if line[:2] == ["cut", "float32"])
    assert cut[2] == "differs"
    assert cut[4] == "1"
    assert "1 tensor is equal, bit for bit." in text
    # where: both values, told apart, and both codes
    assert ["steps", "A", "4611686018427387904", "0x4000000000000000"] in lines
    assert ["B", "-4611686018427387904", "0xc000000000000000"] in lines
    assert ["double[0]", "A", "1", "0x3ff0000000000000"] in lines
    assert ["B", "1.0000000000000002", "0x3ff0000000000001"] in lines
    assert any(line[0] == "A as bfloat16" for line in lines)


def test_the_rest_in_a_line() -> None:
    text = drawn(diff_tables(a_report(), 1), 100_000)
    assert "6 more in --json or with --all. 1 tensor is equal, bit for bit." in text
    assert LONG not in text.partition("\n")[2]
    equal = drawn(fpx.diff(torch.ones(2), torch.ones(2)), 80)
    assert equal == "Equal: 1 tensor, bit for bit.\nA tensor  B tensor"


def test_hostile_names_are_escaped() -> None:
    name = "w\x1b[31m\u202e"
    text = drawn(fpx.diff({name: torch.ones(1), "o\x07": torch.ones(3)},
                          {name: torch.zeros(1), "n\x07": torch.ones(3)}), 120)  # fmt: skip
    assert not {"\x1b", "\u202e", "\x07"} & set(text)
    assert r"w\x1b[31m\u202e" in text


@pytest.mark.parametrize(
    ("part", "share"), [(1, "<0.01%"), (100_000, "100%"), (99_999, "99.9%"), (1234, "1.2%")]
)
def test_shares(part: int, share: str) -> None:
    x = torch.zeros(100_000)
    y = x.clone()
    y[:part] = 1
    assert f"{part:,} ({share})" in drawn(fpx.diff(x, y), 120)


def test_names_that_differ_look_different() -> None:
    a = {f"encoder.layer.{n}.attention.output.weight": torch.ones(2) for n in range(3)}
    b = {name: value.bfloat16() for name, value in a.items()}
    for other in (b, {f"model.{name}": value for name, value in a.items()}):
        rows = [row[0] for row in cells(drawn(fpx.diff(a, other), 80)) if row[0][:4] == "enco"]
        assert len(set(rows)) == len(rows) == 3
