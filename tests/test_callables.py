"""Functions of users: found, called, and kept from doing harm."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from fpx.callables import load_function
from fpx.errors import InputError

MODULE = """
import os
import sys
import time

print("imported")

number = 3


def double(x):
    return 2 * x


def loud(x):
    print("python")
    sys.stdout.flush()
    os.system("echo shell")
    return x


def raises(x):
    raise ValueError("first line\\nsecond line")


def leaves(x):
    sys.exit(3)


def endless(x):
    while True:
        pass


def sleeps(x):
    time.sleep(1000)


def catches_all(x):
    while True:
        try:
            time.sleep(1000)
        except:
            pass


class Inner:
    @staticmethod
    def same(x):
        return x
"""


@pytest.fixture(autouse=True)
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a module in the current folder."""
    name = f"users_{tmp_path.name}"
    (tmp_path / f"{name}.py").write_text(MODULE)
    (tmp_path / f"{name}_broken.py").write_text("def f(:\n")
    (tmp_path / f"{name}_needy.py").write_text("import not_installed_anywhere\n")
    (tmp_path / f"{name}_slow.py").write_text("import time\ntime.sleep(1000)\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    return name


def test_functions_are_found_here_and_installed(module: str) -> None:
    assert load_function(f"{module}:double", "with_")(21) == 42
    assert load_function(f"{module}:Inner.same", "with_")(1) == 1
    assert load_function("math:sqrt", "with_")(9) == 3
    assert load_function("os.path:basename", "with_")("a/b") == "b"


def test_the_current_folder_comes_last_when_it_is_done(module: str, tmp_path: Path) -> None:
    load_function(f"{module}:double", "with_")
    assert sys.path.index(str(tmp_path)) == len(sys.path) - 1


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("math", "'math' names no function: write `with_` as module:function"),
        ("math:", "names no function"),
        ("math.py:f", "there is no module 'math.py' in this folder"),
        ("./m:f", "names no function"),
        ("no_such_module_here:f", "there is no module 'no_such_module_here' in this folder"),
        ("math:sqr", "'math' has no 'sqr'; did you mean 'sqrt'"),
        ("math:pi", "is no function, but 'float'"),
        ("M:number", "is no function, but 'int'"),
        ("M:Inner.sam", "has no 'Inner.sam'; did you mean 'same'"),
        ("M_broken:f", "importing 'M_broken': SyntaxError: invalid syntax"),
        ("M_needy:f", "ModuleNotFoundError: No module named 'not_installed_anywhere'"),
    ],
)
def test_what_is_no_function_is_one_line(name: str, says: str, module: str) -> None:
    with pytest.raises(InputError) as caught:
        load_function(name.replace("M", module), "with_")
    assert says.replace("M_", f"{module}_") in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_slow_import_is_stopped(module: str) -> None:
    with pytest.raises(InputError, match=r"importing '.*_slow' takes more than 0\.2 seconds"):
        load_function(f"{module}_slow:f", "with_", 0.2)


def test_what_is_printed_goes_to_stderr(module: str, capfd: pytest.CaptureFixture[str]) -> None:
    function = load_function(f"{module}:loud", "with_")
    print("before")
    assert function(1) == 1
    print("after")
    sys.stdout.flush()
    out, err = capfd.readouterr()
    assert out == "before\nafter\n"
    assert err.splitlines() == ["imported", "python", "shell"]


@pytest.mark.parametrize(
    ("function", "says"),
    [
        ("raises", ":raises': ValueError: first line"),
        ("leaves", r":leaves': it wants to end the process \(3\)"),
        ("endless", r":endless' takes more than 0\.2 seconds"),
        ("sleeps", r":sleeps' takes more than 0\.2 seconds"),
    ],
)
def test_what_goes_wrong_in_a_call_is_one_line(module: str, function: str, says: str) -> None:
    called = load_function(f"{module}:{function}", "with_", 0.2)
    with pytest.raises(InputError, match=says) as caught:
        called(1)
    assert "\n" not in str(caught.value)


def test_who_catches_everything_is_ended(module: str) -> None:
    code = (
        "from fpx import callables\n"
        "callables._GRACE = 0.2\n"
        f"callables.load_function('{module}:catches_all', 'with_', 0.2)(1)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == (
        f"fpx: '{module}:catches_all' takes more than 0.2 seconds, and cannot be stopped"
    )
