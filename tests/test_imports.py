"""Who may import whom, and what a scalar command must not load."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "fpx"

# room -> rooms of fpx it may import (itself always); `fpx` is the package's own __init__
MAY_USE = {
    "errors": set(),
    "core": {"errors"},
    "report": {"errors", "core"},
    "harness": {"errors", "core", "report"},
    "render": {"errors", "core", "report"},
    "cli": {"errors", "core", "report", "harness", "render", "fpx"},
    "__init__": {"errors", "core", "report", "harness", "render"},
    "__main__": {"cli"},
}
OUTSIDE = {
    "harness": {"torch", "numpy", "ml_dtypes", "safetensors", "h5py"},
    "render": {"rich"},
    "cli": {"rich", "typer"},
}
LATE = {"harness", "render", "rich", "torch"}  # cli and __init__ import these inside functions


def violations(room: str, source: str) -> list[str]:
    """What a module of that room imports and should not."""
    tree = ast.parse(source)
    late = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef)
        or (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
        for inner in ast.walk(node)
    }
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            modules = [node.module or "."]
        else:
            continue
        for module in modules:
            top, _, rest = module.partition(".")
            if top == "fpx":
                used = rest.partition(".")[0] or "fpx"
                allowed = MAY_USE[room] | {room}
            else:
                used = top
                allowed = set(sys.stdlib_module_names) | OUTSIDE.get(room, set())
            if used not in allowed:
                found.append(f"line {node.lineno}: {room} imports {module}")
            elif used in LATE and room in ("cli", "__init__") and id(node) not in late:
                found.append(f"line {node.lineno}: {room} imports {module} at its top")
    return found


def rooms() -> list[tuple[str, Path]]:
    return [
        (path.relative_to(PACKAGE).parts[0].removesuffix(".py"), path)
        for path in sorted(PACKAGE.rglob("*.py"))
    ]


@pytest.mark.parametrize(("room", "path"), rooms(), ids=lambda v: str(v).rpartition("fpx/")[2])
def test_imports_point_one_way(room: str, path: Path) -> None:
    assert violations(room, path.read_text()) == []


@pytest.mark.parametrize(
    ("room", "line"),
    [
        ("core", "import numpy as np"),
        ("core", "from fpx.report import Report"),
        ("report", "import rich"),
        ("harness", "from fpx.render import renderable"),
        ("render", "import torch"),
        ("cli", "import torch"),
        ("cli", "from fpx.harness.compare import cast_compare"),
        ("__init__", "from fpx.harness import stats"),
    ],
)
def test_the_check_can_fail(room: str, line: str) -> None:
    assert violations(room, f"import sys\n{line}\n")


HEAVY = ("torch", "numpy", "ml_dtypes", "safetensors")


def loaded(command: str) -> set[str]:
    """Which heavy libraries a process has loaded after running `command`."""
    report = f"import sys; print(*[m for m in {HEAVY} if m in sys.modules], file=sys.stderr)"
    script = f"import atexit\natexit.register(lambda: exec({report!r}, {{}}))\n{command}"
    result = subprocess.run(
        [sys.executable, "-P", "-c", script], capture_output=True, text=True, check=False
    )
    return set(result.stderr.split()) & set(HEAVY)


@pytest.mark.parametrize(
    "args", [["decode", "3.14"], ["encode", "1", "--dtype", "bf16"], ["range"]]
)
def test_scalar_commands_load_no_tensor_library(args: list[str]) -> None:
    assert (
        loaded(f"import sys; sys.argv = ['fpx', *{args!r}]; import fpx.cli; fpx.cli.main()")
        == set()
    )


def test_that_test_can_fail() -> None:
    assert loaded("import numpy") == {"numpy"}
