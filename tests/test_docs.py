"""README.md and docs/ tell the truth: examples run, and no command, option or name is missing."""

from __future__ import annotations

import doctest
import re
import shutil
from importlib import import_module
from inspect import isfunction
from pathlib import Path
from pkgutil import iter_modules

import pytest
import typer.main

import fpx
import fpx.api
from fpx.cli.app import app
from fpx.report.metrics import METRICS
from fpx.tensors.distributions import NAMES as DISTRIBUTIONS
from fpx.tensors.files.kinds import SUFFIXES
from tests.examples import (
    PAGES,
    ROOT,
    Example,
    examples,
    output_of,
    python_examples,
    rewritten,
    with_metrics,
    with_screens,
)
from tests.helpers import REPORTING

PACKAGE = ROOT / "fpx"
GROUP = typer.main.get_group(app)
COMMANDS = GROUP.list_commands(typer.Context(GROUP))
TEXTS = {
    page.relative_to(ROOT).as_posix(): page.read_text(encoding="utf-8")
    for page in (*PAGES, ROOT / "CHANGELOG.md")
}
# some stand on two pages
EXAMPLES = list(dict.fromkeys(example for text in TEXTS.values() for example in examples(text)))

# what torch runs on differs from machine to machine; the numbers must not
_MACHINE = re.compile(
    r"cast by (torch|fpx) .*|torch .* on cpu|(torch|numpy|ml_dtypes) [0-9]\S* *|─"
)


@pytest.mark.parametrize(("command", "output"), EXAMPLES, ids=[e.command[:60] for e in EXAMPLES])
def test_console_examples(command: str, output: str, tmp_path: Path) -> None:
    if "| jq" in command and shutil.which("jq") is None:
        pytest.skip("jq is not installed")
    shown = output_of(command, tmp_path)
    assert _MACHINE.sub("", shown) == _MACHINE.sub("", output)


@pytest.mark.parametrize("page", [page for page in TEXTS if python_examples(TEXTS[page])])
def test_python_examples(page: str) -> None:
    if "to_pandas" in TEXTS[page]:
        pytest.importorskip("pandas")
    test = doctest.DocTestParser().get_doctest(python_examples(TEXTS[page]), {}, page, None, 0)
    assert test.examples
    assert doctest.DocTestRunner().run(test).failed == 0


def test_docstring_examples() -> None:
    found = doctest.testmod(fpx)
    assert found.attempted
    assert found.failed == 0


def test_what_an_example_is() -> None:
    page = "$ not this\n```console\n$ one\n1\n\n1\n$ two\n```\n```\n$ nor this\n```\n"
    assert examples(page) == [Example("one", "1\n\n1"), Example("two", "")]
    assert python_examples("```python\n>>> 1\n1\n```\n```sh\n>>> 2\n```\n") == ">>> 1\n1\n"


def test_examples_are_rewritten(tmp_path: Path) -> None:
    page = "Before\n```console\n$ echo one\nstale\n$ true\nstale\n```\n```\n$ echo as it was\n```\n"
    new = "Before\n```console\n$ echo one\none\n$ true\n```\n```\n$ echo as it was\n```\n"
    assert rewritten(page, tmp_path) == new
    assert rewritten(new, tmp_path) == new


def test_pages_are_found() -> None:
    named = {f"docs/{name}.md" for name in COMMANDS}
    assert named < set(TEXTS)
    assert all(page in TEXTS for page in ("README.md", "docs/python.md", "docs/conformance.md"))
    assert all(any(examples(TEXTS[page])) for page in named)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_documented(command: str) -> None:
    assert f"(docs/{command}.md)" in TEXTS["README.md"]
    page = TEXTS[f"docs/{command}.md"]
    assert page.startswith(f"# fpx {command}\n")
    assert f"$ fpx {command} " in page or f"; fpx {command} " in page or f"| fpx {command} " in page


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_is_documented(command: str) -> None:
    found = GROUP.get_command(typer.Context(GROUP), command)
    assert found is not None
    options = {name for parameter in found.params for name in parameter.opts if name[:2] == "--"}
    assert options
    page = TEXTS[f"docs/{command}.md"] + TEXTS["docs/ci.md"]  # which tells of those that all share
    missing = {name for name in options - {"--help"} if not re.search(rf"{name}(?![\w-])", page)}
    assert missing == set()


@pytest.mark.parametrize("name", [*METRICS, *DISTRIBUTIONS, *SUFFIXES])
def test_every_metric_distribution_and_kind_of_file_is_documented(name: str) -> None:
    assert f"`{name}`" in TEXTS["docs/cast-compare.md"] + TEXTS["docs/metrics.md"]


def test_the_table_of_metrics_is_that_of_the_code() -> None:
    page = TEXTS["docs/metrics.md"]
    assert with_metrics(page) == page
    assert with_metrics(page.replace("| `count` |", "| `old` |")) == page


def test_the_screens_of_explore_are_those_of_the_program() -> None:
    page = TEXTS["docs/explore.md"]
    assert page.count("<!-- explore") > 3
    assert with_screens(page) == page
    stale = page.replace("1 ulp = 2^-6", "1 ulp = 2^-7").replace("| `space` |", "| `enter` |")
    assert stale != page
    assert with_screens(stale) == page


def test_python_names_are_documented() -> None:
    """Every public name is told of, and no other."""
    code = "".join(re.findall(r"```python\n.*?```|`[^`\n]+`", TEXTS["docs/python.md"], re.DOTALL))
    imported = set(re.findall(r"\bfpx\.(\w+)", code))
    assert imported <= set(fpx.__all__)
    assert {name for name in fpx.__all__ if not re.search(rf"\b{name}\b", code)} == set()


def test_every_command_is_a_function() -> None:
    functions = {"ranges" if name == "range" else name.replace("-", "_") for name in REPORTING}
    assert {*functions, "compare_ranges", "survey", "libraries"} <= set(fpx.__all__)


def test_what_is_public_is_what_the_api_has() -> None:
    themes = [import_module(f"fpx.api.{module.name}") for module in iter_modules(fpx.api.__path__)]
    functions = {
        name: item
        for theme in themes
        for name, item in vars(theme).items()
        if isfunction(item) and item.__module__ == theme.__name__ and not name.startswith("_")
    }
    assert set(fpx.__all__) == {*fpx.api.__all__, *functions, "__version__"} == set(dir(fpx))
    assert all(getattr(fpx, name) is item for name, item in functions.items())
    assert all(getattr(fpx, name) is not None for name in fpx.__all__)
    with pytest.raises(AttributeError, match="no_such"):
        _ = fpx.no_such


def test_the_map_of_the_house_is_complete() -> None:
    """docs/ARCHITECTURE.md names every module but those named after commands, and no other."""
    paths = {path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py")}
    named = set(re.findall(r"`((?!fpx/|tests/)(?:\w+/)+\w+\.py)`", TEXTS["docs/ARCHITECTURE.md"]))
    assert named - paths == set()
    of_commands = {"ranges" if name == "range" else name.replace("-", "_") for name in COMMANDS}
    of_commands |= {"survey", "libraries"}  # decode --dtype all, decode --libraries
    others = {
        path
        for path in paths
        if "/" in path and Path(path).stem not in {"__init__", "__main__", *of_commands}
    }
    assert others - named == set()


@pytest.mark.parametrize("page", TEXTS)
def test_links_lead_somewhere(page: str) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", TEXTS[page]):
        name, _, heading = target.partition("#")
        path = (ROOT / page).parent / name if name else ROOT / page
        assert path.is_file(), target
        if heading:
            headings = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
            anchors = {re.sub(r"[^\w -]", "", h).lower().replace(" ", "-") for h in headings}
            assert heading in anchors, target


def test_every_page_is_listed() -> None:
    names = {Path(page).name for page in TEXTS if page.startswith("docs/")} - {"README.md"}
    assert {name for name in names if f"]({name})" not in TEXTS["docs/README.md"]} == set()


def test_the_changelog_knows_this_version() -> None:
    headings = re.findall(r"^## (\S+)", TEXTS["CHANGELOG.md"], re.MULTILINE)
    assert headings[0] == "Unreleased"
    assert headings[1] == fpx.__version__
