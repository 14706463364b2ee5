"""Who may import whom, that nothing goes in a circle, and what a scalar command must not load."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from tests.writers import gguf, nvfp4, onnx, onnx_tensor

PACKAGE = Path(__file__).parent.parent / "fpx"

_LEAVES = {"errors", "words", "version", "drawing", "patterns"}
_BULK = _LEAVES | {"core", "report", "tensors", "casts"}
STUDIES = {"measure", "conformance", "arithmetic", "training"}

# room -> rooms of fpx it may import (itself always)
MAY_USE: Mapping[str, set[str]] = {
    "version": set(),
    "errors": set(),
    "words": set(),
    "drawing": set(),
    "patterns": {"errors", "words"},
    "callables": {"errors", "words"},
    "core": {"errors", "words"},
    "report": _LEAVES | {"core"},
    "tensors": {"errors", "words", "patterns", "core"},
    "ranks": {"errors", "words"},
    "casts": _BULK,
    "measure": _BULK | {"ranks"},
    "conformance": _BULK | {"measure", "callables"},
    "arithmetic": _BULK | {"measure", "callables"},
    "training": _BULK | {"measure", "ranks"},
    "render": _LEAVES | {"core", "report"},
    "explore": _LEAVES | {"core", "report", "render", "arithmetic"},
    "cli": _BULK | STUDIES | {"ranks", "render", "explore"},
    "api": _BULK | STUDIES,
    "testing": _LEAVES | {"core", "report", "fpx"},
    "__init__": {"version", "drawing", "api", "render"},
    "__main__": {"cli"},
}
_NUMBERS = {"torch", "numpy", "ml_dtypes"}
OUTSIDE: Mapping[str, set[str]] = {
    "tensors": _NUMBERS | {"gguf", "h5py"},
    "ranks": {"torch"},
    "casts": _NUMBERS,
    "measure": _NUMBERS | {"numba"},
    "conformance": _NUMBERS,
    "arithmetic": _NUMBERS | {"mpmath"},
    "training": _NUMBERS,
    "render": {"rich"},
    "explore": {"rich", "textual", "textual_serve", "aiohttp"},
    "cli": {"rich", "typer"},
}
# cli, api and __init__ import these inside functions
LATE = {"api", "tensors", "casts", "ranks", "render", "explore", "rich", "torch", *STUDIES}
# but for tables that load no library themselves: options and help are made of them
LIGHT = {"fpx.casts.backends", "fpx.tensors.distributions", "fpx.tensors.files.kinds"}


def violations(room: str, source: str) -> list[str]:
    """What a module of that room imports and should not."""
    tree = _parsed(source)
    outer = room in ("cli", "api", "__init__")
    late = _inside_functions(tree) if outer else set()
    found = []
    for node, module in _imports(tree):
        top, _, rest = module.partition(".")
        if top == "fpx":
            used = rest.partition(".")[0] or "fpx"
            allowed = MAY_USE[room] | {room}
        else:
            used = top
            allowed = set(sys.stdlib_module_names) | OUTSIDE.get(room, set())
        if used not in allowed:
            found.append(f"line {node.lineno}: {room} imports {module}")
        elif module in LIGHT:
            continue
        elif outer and used in LATE - {room} and id(node) not in late:
            found.append(f"line {node.lineno}: {room} imports {module} at its top")
    return found


_parsed = cache(ast.parse)


def _imports(tree: ast.Module) -> Iterator[tuple[ast.stmt, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node, node.module or "."


def _inside_functions(tree: ast.Module) -> set[int]:
    """The ids of the nodes that do not run on import."""
    return {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef)
        or (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
        for inner in ast.walk(node)
    }


def modules() -> dict[str, str]:
    """Every module of the package by its dotted name -> its source."""
    return {
        ".".join(("fpx", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(
            ".__init__"
        ): path.read_text()
        for path in sorted(PACKAGE.rglob("*.py"))
    }


def circle(sources: Mapping[str, str]) -> list[str]:
    """Modules that import each other in a circle, at any depth; none if there is none."""
    graph: dict[str, set[str]] = {}
    for name, source in sources.items():
        used: set[str] = set()
        tree = _parsed(source)
        late = _inside_functions(tree) if name == "fpx" else set()
        for node in ast.walk(tree):
            if id(node) in late:  # the package's own functions load rooms when they are called
                continue
            if isinstance(node, ast.Import):
                used |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                whole = {f"{node.module}.{alias.name}" for alias in node.names} & set(sources)
                used |= whole or {node.module}
        graph[name] = (used & set(sources)) - {name}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return [str(name) for name in error.args[1]]
    return []


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
        ("core", "from fpx.report.base import Report"),
        ("report", "import rich"),
        ("report", "from fpx.tensors.entry import Layout"),
        ("tensors", "from fpx.report.base import Report"),
        ("tensors", "from fpx.casts.backends import BACKENDS"),
        ("casts", "from fpx.measure.stats import CastStats"),
        ("measure", "from fpx.render import renderable"),
        ("measure", "from fpx.conformance.causes import CAUSES"),
        ("arithmetic", "from fpx.conformance.causes import CAUSES"),
        ("training", "from fpx.arithmetic.parser import parse"),
        ("conformance", "from fpx.arithmetic.parser import parse"),
        ("render", "import torch"),
        ("cli", "import torch"),
        ("cli", "from fpx.casts.device import find_device"),
        ("cli", "from fpx.measure.cast_compare import cast_compare"),
        ("cli", "from fpx.explore.state import State"),
        ("cli", "import textual"),
        ("render", "from textual.app import App"),
        ("explore", "from fpx.casts.backends import BACKENDS"),
        ("render", "from fpx.explore.state import State"),
        ("api", "from fpx.tensors import entry"),
        ("cli", "from fpx.api.scalars import decode"),
        ("__init__", "from fpx.api import decode"),
        ("__init__", "from fpx.core.formats import FORMATS"),
    ],
)
def test_the_check_can_fail(room: str, line: str) -> None:
    assert violations(room, f"import sys\n{line}\n")


def test_no_circles() -> None:
    assert circle(modules()) == []


@pytest.mark.parametrize(
    "sources",
    [
        {"fpx.a": "import fpx.b", "fpx.b": "from fpx.a import x"},
        {
            "fpx.a": "from fpx import b",
            "fpx.b": "def f():\n    from fpx.c import x",
            "fpx.c": "import fpx.a",
        },
    ],
)
def test_circles_are_found(sources: dict[str, str]) -> None:
    assert circle(sources)


def test_no_room_is_the_house() -> None:
    lines: dict[str, int] = {}
    for path in PACKAGE.rglob("*.py"):
        room = str(path.parent.relative_to(PACKAGE))
        lines[room] = lines.get(room, 0) + len(path.read_text().splitlines())
    assert max(lines.values()) <= sum(lines.values()) / 5


# What lists a header, of the rooms that work on tensors. These import torch inside the functions
# that read values, which is why `fpx inspect` of such a file takes a tenth of a second, not 1.5.
LISTING = {
    "fpx.tensors.blocks", "fpx.tensors.entry", "fpx.tensors.opening", "fpx.tensors.types",
    "fpx.tensors.locating", "fpx.tensors.files.opening", "fpx.tensors.files.guarded",
    "fpx.tensors.files.gguf_blocks", "fpx.tensors.files.gguf_file", "fpx.tensors.files.gguf_follow",
    "fpx.tensors.files.gguf_types", "fpx.tensors.files.onnx_entries", "fpx.tensors.files.onnx_file",
    "fpx.tensors.files.protobuf", "fpx.tensors.files.headers", "fpx.tensors.files.numpy_file",
    "fpx.tensors.files.plain", "fpx.tensors.files.safetensors_file", "fpx.tensors.files.pickles",
    "fpx.tensors.files.torch_objects", "fpx.tensors.files.torch_archive",
    "fpx.tensors.files.dcp_file", "fpx.tensors.files.dcp_parts", "fpx.tensors.files.dcp_values",
    "fpx.measure.inspect", "fpx.measure.quantised",
    "fpx.render.inspect",
}  # fmt: skip


HEAVY = ("torch", "numpy", "ml_dtypes", "safetensors", "gguf", "numba")


def loaded(command: str) -> set[str]:
    """Which heavy libraries a process has loaded after running `command`."""
    report = f"import sys; print(*[m for m in {HEAVY} if m in sys.modules], file=sys.stderr)"
    script = f"import atexit\natexit.register(lambda: exec({report!r}, {{}}))\n{command}"
    result = subprocess.run(
        [sys.executable, "-P", "-c", script],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    return set(result.stderr.split()) & set(HEAVY)


def loaded_by_each(commands: list[str]) -> list[set[str]]:
    """The same after each of several commands, which one process runs one after the other.

    What one has loaded stays: where none has loaded any after the last, none does so alone.
    """
    script = f"""
import sys
for command in {commands!r}:
    try:
        exec(command, {{"__name__": "__main__"}})
    except SystemExit as ended:
        assert not ended.code, command
    print("loaded", *[m for m in {HEAVY} if m in sys.modules], file=sys.stderr)
"""
    result = subprocess.run(
        [sys.executable, "-P", "-c", script],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    lines = [line.split() for line in result.stderr.splitlines()]
    return [set(words) for first, *words in lines if first == "loaded"]


def test_scalar_commands_load_no_tensor_library() -> None:
    commands = [
        ["decode", "3.14"], ["encode", "1", "--dtype", "bf16"], ["range"], ["--help"],
        ["cast-verify", "--help"], ["step-compare", "--help"], ["op-verify", "--help"],
        ["decode", "1 2", "--dtype", "mxfp4", "--scale-rule", "all"],
        ["range", "nvfp4"], ["formats"], ["table", "nf4"],
        ["decode", "1", "--dtype", "nf4", "--json"], ["calc", "sqrt(2) - 1", "--trace"],
        ["calc", "x + 1", "--dtype", "fp4", "--all", "x"],
    ]  # fmt: skip
    found = loaded_by_each([_run(*args) for args in commands])
    assert [*zip(commands, found, strict=True)] == [(args, set()) for args in commands]


# What a command that answers in a moment loads of fpx. Whatever more it needs is to be imported in
# a function, where it is needed.
_ANY = {
    "fpx", "fpx.cli", "fpx.cli.app", "fpx.cli.config", "fpx.cli.failures",
    "fpx.cli.interrupts", "fpx.cli.output",
    "fpx.cli.saving", "fpx.core", "fpx.core.dyadic", "fpx.core.spec",
    "fpx.drawing", "fpx.errors",
    "fpx.report", "fpx.report.base", "fpx.version", "fpx.words",
}  # fmt: skip
_NUMBER = _ANY | {
    "fpx.cli.options", "fpx.cli.values", "fpx.core.codec", "fpx.core.formats",
    "fpx.core.literals", "fpx.core.names", "fpx.core.numbers", "fpx.core.policy",
    "fpx.render", "fpx.render.registry", "fpx.render.screen", "fpx.render.writers",
    "fpx.report.encode",
}  # fmt: skip
LOADS: Mapping[str, set[str]] = {
    "--help": _ANY | {"fpx.render", "fpx.render.help", "fpx.render.registry"},
    "--version": _ANY,
    "encode 3.14 --dtype bf16": _NUMBER | {"fpx.cli.encode"},
    "decode 3.14 --dtype bf16": _NUMBER | {
        "fpx.cli.decode", "fpx.core.choices", "fpx.core.interval", "fpx.core.packing",
        "fpx.core.shortest", "fpx.render.decode", "fpx.render.panel", "fpx.render.text",
        "fpx.report.decode",
    },
}  # fmt: skip
# of other libraries: what takes longer to load than such a command takes
SLOW = {"typer.rich_utils", "rich.markdown", "rich.traceback", "rich.syntax",
        "markdown_it", "pygments", "json", "tomllib", "asyncio", "shlex", "textual"}  # fmt: skip


def all_loaded(*args: str) -> set[str]:
    """Every module that a process has loaded after running a command."""
    report = "import sys; print(*sys.modules, file=sys.stderr)"
    script = f"import atexit\natexit.register(lambda: exec({report!r}, {{}}))\n{_run(*args)}"
    result = subprocess.run(
        [sys.executable, "-P", "-c", script],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    return set(result.stderr.split())


@pytest.mark.parametrize("command", LOADS)
def test_what_answers_in_a_moment_loads_little(command: str) -> None:
    found = all_loaded(*command.split())
    assert {name for name in found if name.partition(".")[0] == "fpx"} == LOADS[command]
    assert found & SLOW == set()


def test_that_names_are_those_of_modules() -> None:
    assert all_loaded("decode", "--help") >= {"typer.rich_utils", "rich.markdown", "markdown_it"}
    assert all_loaded("decode", "1", "--json") >= {"json"}


def files(folder: Path) -> dict[str, Path]:
    """A file of each kind whose header is read without a library of tensors."""
    found = {name: folder / f"x.{name}" for name in ("safetensors", "npy", "npz", "gguf", "onnx")}
    save_file({"x": np.ones((2, 3), np.float32)}, found["safetensors"], {"format": "np"})
    np.save(found["npy"], np.ones(3))
    np.savez(found["npz"], x=np.ones(3))
    found["gguf"].write_bytes(gguf({"x": (0, (1,), bytes(4)), "q": (12, (256,), bytes(144))}))
    halves = onnx_tensor("q", 23, (2,), (9, b"\x21"))
    found["onnx"].write_bytes(onnx(onnx_tensor("x", 1, (1,), (9, bytes(4))), halves))
    return found


KINDS = ["safetensors", "npy", "npz", "gguf", "onnx", "folder", "quantised"]


@pytest.mark.parametrize("kind", KINDS)
def test_headers_are_listed_without_a_tensor_library(kind: str, tmp_path: Path) -> None:
    made = files(tmp_path)
    path = nvfp4(tmp_path / "nvfp4") if kind == "quantised" else made.get(kind, tmp_path)
    commands = [
        _run("inspect", str(path), *more) for more in ([], ["--json"], ["--csv", "--include", "*"])
    ]
    assert loaded_by_each(commands) == [set()] * len(commands)


def test_values_are_read_with_one(tmp_path: Path) -> None:
    assert "torch" in loaded(_run("inspect", str(files(tmp_path)["npy"]), "--stats"))


def _run(*args: str) -> str:
    return f"import sys; sys.argv = ['fpx', *{args!r}]; import fpx.cli; fpx.cli.main()"


def test_tables_load_no_tensor_library() -> None:
    tables = sorted(LIGHT | LISTING)
    found = loaded_by_each([f"import {table}" for table in tables])
    assert dict(zip(tables, found, strict=True)) == {table: set() for table in tables}


def test_little_data_loads_no_compiler() -> None:
    assert loaded(_run("cast-compare", "normal", "--size", "1000", "--json")) & {"numba"} == set()


def test_that_test_can_fail() -> None:
    assert loaded("import numpy") == {"numpy"}
    found = loaded_by_each(["import json", "import numpy", "import json", _run("--version")])
    assert found == [set(), {"numpy"}, {"numpy"}, {"numpy"}]
