"""JUnit's results, as those read them who show them."""

from __future__ import annotations

from io import StringIO
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import fpx
from fpx.render import renderable
from fpx.render.writers import WRITERS, Setting
from fpx.report.base import Report
from tests.helpers import call

NAME = "a\x00b\u202e\x1b<&>\"'\ud800\uffff"


def junit(*reports: Report) -> Element:
    out = StringIO()
    WRITERS["JUnit"].write(reports, out, Setting(renderable))
    root = ElementTree.fromstring(out.getvalue().encode())
    check_structure(root)
    return root


def check_structure(root: Element) -> None:
    """What consumers rely on: nesting, names, and counts that are right."""
    assert root.tag == "testsuites"
    assert {suite.tag for suite in root} <= {"testsuite"}
    names = [suite.get("name") for suite in root]
    assert len(names) == len(set(names))
    for suite in root:
        assert {case.tag for case in suite} == {"testcase"}
        for case in suite:
            assert set(case.keys()) == {"classname", "name"}
            ends = [child.tag for child in case if child.tag != "system-out"]
            assert ends in ([], ["failure"], ["error"], ["skipped"])
            assert all(child.get("message") for child in case if child.tag != "system-out")
    for element in (root, *root):
        counts = {"tests": "testcase", "failures": "failure", "errors": "error",
                  "skipped": "skipped"}  # fmt: skip
        for attribute, tag in counts.items():
            assert element.get(attribute) == str(len(element.findall(f".//{tag}")))


def cases(root: Element) -> dict[tuple[str | None, str | None], str | None]:
    """(suite, name) -> why it fails."""
    return {
        (suite.get("name"), case.get("name")): None if (found := case.find("failure")) is None
        else found.get("message")
        for suite in root for case in suite
    }  # fmt: skip


def test_a_suite_for_each_source_and_target_and_a_case_for_each_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    save_file({"wide": torch.tensor([1.0, 1e6]), "fine": torch.ones(3)}, "a.safetensors")
    save_file({"wide": torch.tensor([2.0])}, "b.safetensors")
    report = fpx.cast_compare(
        ["a.safetensors", "b.safetensors"],
        to=["fp16", "bf16"],
        fail_if=["overflow_count>0", "count==2"],
    )
    root = junit(report)
    assert root.get("name") == "fpx cast-compare"
    sources = dict.fromkeys(row.source for row in report.rows)
    assert [suite.get("name") for suite in root] == [
        f"{source} -> {to}" for source in sources for to in ("float16", "bfloat16")
    ]
    found = cases(root)
    assert len(found) == len(report.rows) == 6
    failing = {(f"{row.source} -> {row.to}", row.tensor) for row in report.rows if row.count == 2}
    assert {case for case, why in found.items() if why} == failing
    first = next(iter(sources))
    assert "overflow_count>0 holds" in str(found[f"{first} -> float16", "wide"])
    both = root.find(".//failure")
    assert both is not None
    assert str(both.text).count("\n") == 1  # a line for each check
    said = [element.text for element in root.iter("system-out")]
    assert "verdict: loses range, decided_by: destroyed_rate, outcome: destroyed" in said


def test_names_that_xml_cannot_hold_are_spelled() -> None:
    report = fpx.cast_compare(
        {NAME: torch.tensor([1e6])}, to=["fp16"], fail_if=["overflow_count>0"]
    )
    ((_, name),) = cases(junit(report))
    assert name == "a\\x00b\\u202e\\x1b<&>\"'\\ud800\\uffff"


def test_casts_that_are_verified() -> None:
    report = fpx.cast_verify(from_=["uint8"], to=["e8m0", "fp16"], backend=["ml_dtypes"])
    root = junit(report)
    assert root[0].get("name") == "uint8 -> float8_e8m0fnu"
    assert {case.get("name") for case in root.iter("testcase")} >= {"ml_dtypes on cpu"}
    assert root.get("skipped") == str(len(report.unchecked)) != "0"


def test_what_an_older_report_had_is_a_case(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    save_file({"a": torch.ones(1), "b": torch.ones(1)}, "old.safetensors")
    save_file({"a": torch.ones(1)}, "new.safetensors")
    Path("old.json").write_text(call("inspect", "old.safetensors", "--json")[1])
    code, _, _ = call(
        "inspect",
        "new.safetensors",
        "--baseline",
        "old.json",
        "--save",
        "x.xml",
        "--save",
        "x.json",
    )
    root = ElementTree.parse("x.xml").getroot()
    check_structure(root)
    assert code == 1
    found = cases(root)
    assert found["new.safetensors", "a"] is None
    assert "gone" in str(found["new.safetensors", "b"])


def test_rows_whose_identity_is_not_plain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    np.savez("a.npz", x=np.ones(2), y=np.ones(2))
    np.savez("b.npz", x=np.ones(2), y=np.zeros(2))
    assert call("diff", "a.npz", "b.npz", "--save", "x.xml")[0] == 1
    root = ElementTree.parse("x.xml").getroot()
    check_structure(root)
    found = cases(root)
    assert found["fpx diff", "x"] is None
    assert "2 of 2 values differ" in str(found["fpx diff", "y"])


def test_files_that_cannot_be_read_are_errors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("x.npy", np.ones(2))
    Path("bad.npy").write_bytes(b"not one")
    assert call("cast-compare", "x.npy", "bad.npy", "--save", "x.xml")[0] == 2
    root = ElementTree.parse("x.xml").getroot()
    check_structure(root)
    assert root.get("errors") == "1"
    error = root.find(".//error")
    assert error is not None
    assert "bad.npy" in str(error.get("message"))


def test_other_reports_have_a_case_for_each_row() -> None:
    root = junit(fpx.encode(1, "bf16"), fpx.encode(2, "bf16"))
    assert root.get("name") == "fpx encode"
    assert root.get("tests") == "2"
