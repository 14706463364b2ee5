"""`fpx explore`: what it begins with, and where it does not begin."""

from __future__ import annotations

import shlex
import sys
import tomllib
from importlib.util import find_spec
from typing import Any

import pytest

from fpx.cli.explore import DTYPES, NEEDS
from fpx.core.policy import Overflow, Rounding
from fpx.explore.state import State
from tests.examples import ROOT
from tests.helpers import call


def begun(monkeypatch: pytest.MonkeyPatch, *args: object) -> tuple[State, str]:
    """The state that the program begins with, and what the command prints in the end."""
    pytest.importorskip("textual", reason="Textual is not installed")
    found: list[State] = []

    class App:
        return_code = 0

        def __init__(self, state: State) -> None:
            self.state = state
            found.append(state)

        def run(self) -> None:
            self.state = self.state.stepped(up=True)

    monkeypatch.setattr("fpx.explore.app.ExploreApp", App)
    monkeypatch.setattr("fpx.cli.explore._here", lambda: True)
    code, out, err = call("explore", *args)
    assert (code, err) == (0, "")
    return found[0], out


def test_what_it_begins_with(monkeypatch: pytest.MonkeyPatch) -> None:
    state, out = begun(monkeypatch)
    assert [spec.name for spec in state.formats] == list(DTYPES)
    assert (state.code, state.report.input) == (0x4049, "3.14")
    assert out == "fpx decode 3.15625 --dtype bfloat16,float16,float32\n"
    assert begun(monkeypatch, "-0x1.8p1", "--dtype", "bf16")[0].code == 0xC040


@pytest.mark.parametrize(
    ("code", "lead"),
    [("0x4049", "bfloat16"), ("0x40490fdb", "float32"), ("0x400921fb54442d18", "float64"),
     ("0x4000921fb54442d18469898cc51701b8", "float128")],
)  # fmt: skip
def test_a_code_is_led_by_a_format_that_it_fits(
    code: str, lead: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    state, _ = begun(monkeypatch, code)
    assert [spec.name for spec in state.formats] == list(dict.fromkeys([lead, *DTYPES]))
    assert state.report.input == code


def test_options(monkeypatch: pytest.MonkeyPatch) -> None:
    state, out = begun(
        monkeypatch, "16", "--as", "code", "--dtype", "fp16", "--dtype", "bf16,e4m3fn",
        "--rounding", "toward_zero", "--overflow", "saturate",
    )  # fmt: skip
    assert [spec.name for spec in state.formats] == ["float16", "bfloat16", "float8_e4m3fn"]
    assert state.code == 0x10
    assert (state.rounding, state.overflow) == (Rounding.TOWARD_ZERO, Overflow.SATURATE)
    assert out.endswith(" --rounding toward_zero --overflow saturate\n")
    assert call(*shlex.split(out)[1:])[0] == 0


def test_a_program_that_broke_is_a_bug(monkeypatch: pytest.MonkeyPatch) -> None:
    app = pytest.importorskip("fpx.explore.app", reason="Textual is not installed").ExploreApp

    def broken(self: Any) -> None:
        self._return_code = 1  # as after Textual has drawn what was raised

    monkeypatch.setattr(app, "run", broken)
    monkeypatch.setattr("fpx.cli.explore._here", lambda: True)
    assert call("explore")[:2] == (70, "")


def test_a_block(monkeypatch: pytest.MonkeyPatch) -> None:
    state, out = begun(monkeypatch, "3", "-4", "--dtype", "mxfp4", "--dtype", "bf16")
    assert state.block is not None
    assert [row.element_text for row in state.block.report.rows] == ["3", "-4"]
    assert [spec.name for spec in state.formats] == ["bfloat16"]
    assert out == "fpx decode --dtype mxfp4 --codes e6 --scale-code 0x7f\n"
    alone, _ = begun(monkeypatch, "6", "--dtype", "nvfp4")
    assert [spec.name for spec in alone.formats] == list(DTYPES)


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["3.x"], "'3.x': a number is missing at the end"),
        (["1", "2"], "one VALUE at a time, not 2"),
        (["1", "--dtype", "fp17"], "did you mean 'fp16'?"),
        (["--dtyp", "bf16"], "no such option: '--dtyp'; did you mean '--dtype'?"),
        (["--host", "0.0.0.0"], "--host is of --web"),
        (["nan", "--dtype", "fp4"], "float4_e2m1fn has no NaN"),
        (["3.14"], "fpx explore draws on a terminal, and here is none"),
        (["1", "--dtype", "bf16,mxfp4"], "mxfp4 has a scale, and such formats lead: name it first"),
        (["0x" + "0" * 33], "wider than the 128 bits of float128"),
        (["1 " * 20, "--dtype", "nvfp4"], "20 numbers are 2 blocks of nvfp4"),
    ],
)
def test_where_it_does_not_begin(args: list[str], said: str) -> None:
    code, out, err = call("explore", *args)
    assert (code, out) == (2, "")
    assert said in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("args", [[], ["--web"]])
def test_without_textual_it_says_what_installs_it(
    args: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def without(name: str) -> Any:
        return None if name == ("textual_serve" if args else "textual") else find_spec(name)

    monkeypatch.setattr("fpx.cli.explore.find_spec", without)
    code, out, err = call("explore", "3.14", *args)
    assert (code, out) == (3, "")
    needed = " ".join(f"'{each}'" for each in NEEDS)
    assert err == (
        "fpx: fpx explore needs Textual, which is not installed: "
        f"{sys.executable} -m pip install {needed}\n"
    )


def test_that_line_installs_what_the_extra_does() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    assert tuple(extras["explore"]) == NEEDS
    assert "explore" in extras["test"][0]
    pinned = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    assert {need.replace(">=", "==") for need in NEEDS} <= set(pinned)
