"""What a workflow on GitHub is told."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from markdown_it import MarkdownIt
from safetensors.torch import save_file

import fpx
from fpx.render import renderable
from fpx.render.github import annotate, summary
from fpx.render.told import few
from fpx.render.writers import Setting
from tests.helpers import call

WIDE = torch.tensor([1.0, 1e6])


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)


def told(err: str, kind: str) -> list[str]:
    return [line for line in err.splitlines() if line.startswith(f"::{kind} ")]


def test_failures_are_errors_answers_warnings_or_notices() -> None:
    save_file({"wide": WIDE, "fine": torch.ones(2)}, "m.safetensors")
    args = ["cast-compare", "m.safetensors", "--to", "fp16,bf16", "--fail-if", "overflow_count>0"]
    plain = call(*args)
    code, out, err = call(*args, "--github")
    assert (code, out) == plain[:2] == (1, plain[1])
    assert told(err, "error") == [
        "::error title=fpx cast-compare::m.safetensors wide -> float16: overflow_count>0 holds "
        "(overflow_count is 1)"
    ]
    (warning,) = told(err, "warning")
    assert warning.startswith("::warning title=fpx cast-compare::float16: no. 1 of 2 tensors over")
    (notice,) = told(err, "notice")
    assert notice.startswith("::notice title=fpx cast-compare::bfloat16: yes.")
    rest = [line for line in err.splitlines() if not line.startswith("::")]
    assert rest == plain[2].splitlines()


def test_what_was_interrupted_is_no_notice() -> None:
    report = fpx.diff({"x": torch.ones(2)}, {"x": torch.ones(2)})
    assert annotate([report])[0].startswith("::notice ")
    assert annotate([replace(report, partial=True)])[0].startswith("::warning ")


def test_of_a_kind_there_are_ten_at_most_and_the_last_tells_of_the_rest() -> None:
    report = fpx.cast_compare(
        {str(n): WIDE for n in range(25)}, to=["fp16"], fail_if=["overflow_count>0"]
    )
    errors = [line for line in annotate([report]) if line.startswith("::error")]
    assert len(errors) == 10
    assert errors[-1].endswith("::and 16 more")
    assert len({*errors}) == 10


@pytest.mark.parametrize("count", range(13))
def test_few(count: int) -> None:
    lines = [str(n) for n in range(count)]
    found = few(lines, 10)
    assert len(found) == min(count, 10)
    if count > 10:
        assert found[-1] == f"and {count - 9} more"
    else:
        assert found == lines


def test_what_cannot_be_read_or_checked_is_told() -> None:
    np.save("x.npy", np.ones(2))
    Path("bad.npy").write_bytes(b"not one")
    _, _, err = call("inspect", "x.npy", "bad.npy", "--github")
    assert "bad.npy" in told(err, "error")[0]
    _, _, err = call("cast-verify", "--from", "uint8", "--to", "fp16", "--backend", "ml_dtypes",
                     "--github")  # fmt: skip
    assert "not checked" in told(err, "warning")[0]
    code, _, err = call("cast-compare", "/no/such,file", "--github")
    assert code == 2
    assert told(err, "error")[0].startswith("::error title=fpx cast-compare::'/no/such,file'")


def test_without_the_option_nothing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", "summary.md")
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    _, _, err = call("cast-compare", "normal", "--size", "9", "--fail-if", "count==9")
    assert "::" not in err
    assert not Path("summary.md").exists()


def test_the_summary_is_appended_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", "summary.md")
    Path("summary.md").write_text("# before\n")
    save_file({"a|`b`<b>\n": WIDE}, "m.safetensors")
    call(
        "cast-compare", "m.safetensors", "--to", "fp16", "--fail-if", "overflow_count>0", "--github"
    )
    call("encode", "1", "--dtype", "bf16", "--github")
    text = Path("summary.md").read_text()
    tokens = MarkdownIt("commonmark").parse(text)
    heads = [
        tokens[at + 1].content for at, token in enumerate(tokens) if token.type == "heading_open"
    ]
    assert heads == ["before", "fpx cast-compare", "fpx encode"]
    # no tag but fpx's own
    assert [token.content.strip() for token in tokens if token.type == "html_block"] == [
        "<details><summary>Report</summary>", "</details>"
    ]  # fmt: skip
    inline = [child for token in tokens for child in token.children or []]
    assert {child.type for child in inline} <= {
        "text",
        "text_special",
        "strong_open",
        "strong_close",
    }
    shown = "".join(child.content for child in inline)
    assert "❌ float16: no. It overflows" in shown
    assert "m.safetensors a|`b`<b>\\n -> float16: overflow_count>0 holds" in shown
    fences = [token.content for token in tokens if token.type == "fence"]
    assert "loses range" in fences[0]
    assert fences[2] == "0x3f80\n"


def test_a_summary_that_cannot_be_written_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", "no/such/file")
    code, out, err = call("encode", "1", "--dtype", "bf16", "--github")
    assert (code, out) == (2, "0x3f80\n")
    assert "the summary cannot be written to 'no/such/file'" in err


def test_a_long_summary_is_cut_at_a_line() -> None:
    report = fpx.decode("3.14", "bf16")
    text = summary([report] * 2000, Setting(renderable))
    assert len(text) < 1 << 20
    assert MarkdownIt("commonmark").parse(text)[-1].type == "fence"
    assert "\n…\n" in text
