"""What the scripts install, and when."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from scripts.minimum import ROOT, constraints, minimums
from scripts.rehearse_ranks import main as rehearse_ranks

PYPROJECT = """
[project]
dependencies = ["torch>=2.6", "numpy>=2", "ml_dtypes>=0.5.1"]
[project.optional-dependencies]
hdf5 = ["h5py>=3.11"]
"""


def test_the_oldest_versions_take_the_place_of_the_pinned_ones() -> None:
    """llvmlite is of the version that the oldest numba wants."""
    assert minimums(PYPROJECT) == {"numpy": "2", "ml_dtypes": "0.5.1", "h5py": "3.11"}
    pinned = "# why\nllvmlite==0.50.0\ntorch==2.13.0\nnumpy==2.4.6\npytest==9.2.0\n"
    assert constraints(PYPROJECT, pinned).splitlines() == [
        "# why", "torch==2.13.0", "pytest==9.2.0", "numpy==2", "ml_dtypes==0.5.1", "h5py==3.11"
    ]  # fmt: skip


@pytest.mark.parametrize("requirement", ["numpy", "numpy>2", "numpy==2", "numpy>=2,<3"])
def test_a_dependency_without_an_oldest_version_is_refused(requirement: str) -> None:
    with pytest.raises(ValueError, match=re.escape(requirement)):
        minimums(PYPROJECT.replace("numpy>=2", requirement))


def test_every_dependency_is_covered() -> None:
    pyproject = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    pinned = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    project = tomllib.loads(pyproject)["project"]
    needed = (*project["dependencies"], *project["optional-dependencies"]["hdf5"])
    names = {requirement.partition(">=")[0] for requirement in needed}
    lines = constraints(pyproject, pinned).splitlines()
    assert names == set(minimums(pyproject)) | {"torch"}
    assert {name: sum(line.startswith(f"{name}==") for line in lines) for name in names} == (
        dict.fromkeys(names, 1)
    )


def test_ranks_are_rehearsed(capsys: pytest.CaptureFixture[str]) -> None:
    rehearse_ranks(["--ranks", "3", "--files", "4", "--size", "4e9"])
    said = capsys.readouterr().out
    assert said.startswith("3 ranks, 4 files, 200 tensors, 0.004 TB\n")
    assert "plan: 202 pieces; a rank reads 1.0000 to 1.0000 of its part\n" in said
    assert said.endswith("with a report of 400 rows\n")


_PYTHON = """#!/bin/sh
printf '%s\\n' "$*" >>"$0.log"
case $1 in
-c) [ "$2" != 'import textual' ] || [ -e "$0.textual" ] ;;
-m) : >"$0.textual" ;;
*)
    [ "$4" != zz ] || { echo 'fpx: no number' >&2; exit 2; }
    [ "$4" != --help ] || { echo Usage; exit 0; }
    [ -e "$0.textual" ] || { echo 'fpx: no Textual' >&2; exit 3; }
    echo explored
    ;;
esac
"""


@pytest.mark.parametrize(
    ("word", "ends", "installs"),
    [("3.14", (0, "explored\n", ""), 1), ("zz", (2, "", "fpx: no number\n"), 0),
     ("--help", (0, "Usage\n", ""), 0)],
)  # fmt: skip
def test_explore_reads_its_arguments_before_anything_is_installed(
    word: str, ends: tuple[int, str, str], installs: int, tmp_path: Path
) -> None:
    for name in ("scripts/fpx", "scripts/setup.sh", "pyproject.toml", "constraints.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    python = tmp_path / ".venv/bin/python"
    python.parent.mkdir(parents=True)
    python.write_text(_PYTHON)
    python.chmod(0o755)
    (tmp_path / ".venv/made-for").write_text(f"{tmp_path}\n")
    (tmp_path / ".venv/ready-").touch()
    run = [str(tmp_path / "scripts/fpx"), "explore", word]
    done = subprocess.run(run, capture_output=True, encoding="utf-8", check=False)
    said = "".join(line for line in done.stderr.splitlines(True) if "setting up" not in line)
    assert (done.returncode, done.stdout, said) == ends
    log = (tmp_path / ".venv/bin/python.log").read_text().splitlines()
    assert sum(line.startswith("-m pip install") for line in log) == installs
    assert (tmp_path / ".venv/ready-explore").exists() == bool(installs)
