"""Tests fpx with the oldest versions that it promises to run with; started by scripts/test-minimum.

pyproject.toml is the one place that says which these are: each dependency's `>=`. Everything else,
and torch, whose older builds bring gigabytes of CUDA along, is taken as constraints.txt pins it.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv-minimum"
AS_PINNED = {"torch"}
FOLLOWING = {"llvmlite"}  # of the one version that numba wants


def minimums(pyproject: str) -> dict[str, str]:
    """The oldest version of each of fpx's own dependencies, optional ones included.

    Raises:
        ValueError: a dependency names none.
    """
    project = tomllib.loads(pyproject)["project"]
    oldest = {}
    for requirement in (*project["dependencies"], *project["optional-dependencies"]["hdf5"]):
        found = re.fullmatch(r"([\w.-]+)>=([\w.]+)(?:;.*)?", requirement)
        if not found:
            raise ValueError(f"pyproject.toml: {requirement} does not name its oldest version")
        if found[1] not in AS_PINNED:
            oldest[found[1]] = found[2]
    return oldest


def constraints(pyproject: str, pinned: str) -> str:
    """The text of constraints.txt with the oldest versions in place of the pinned ones."""
    oldest = minimums(pyproject)
    left_out = {*oldest, *FOLLOWING}
    others = [line for line in pinned.splitlines() if line.partition("==")[0] not in left_out]
    return "\n".join((*others, *(f"{name}=={version}" for name, version in oldest.items()), ""))


def say(line: str) -> None:
    """A line on stderr, by fpx."""
    sys.stderr.write(f"fpx: {line}\n")


def main(arguments: list[str]) -> int:
    """pytest's exit code; 3 if the environment could not be made."""
    pyproject = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    wanted = constraints(pyproject, (ROOT / "constraints.txt").read_text(encoding="utf-8"))
    python = VENV / "bin" / "python"
    ready = VENV / "ready"  # what it was made of
    made_of = f"{sys.version}\n{ROOT}\n{pyproject}{wanted}"
    if not ready.exists() or ready.read_text(encoding="utf-8") != made_of:
        venv.create(VENV, clear=True, with_pip=True)
        pins = VENV / "constraints.txt"
        pins.write_text(wanted, encoding="utf-8")
        install = subprocess.run(  # noqa: S603 - our own commands, here and below
            [str(python), "-m", "pip", "install", "--disable-pip-version-check", "--quiet",
             "--constraint", str(pins), "--editable", f"{ROOT}[test]"],
            stdout=sys.stderr, check=False,
        )  # fmt: skip
        if install.returncode:
            say("pip could not install the oldest versions: the lines above say why")
            return 3
        ready.write_text(made_of, encoding="utf-8")
    versions = ", ".join(f"{name} {version}" for name, version in minimums(pyproject).items())
    say(f"Python {sys.version.split()[0]}, {versions}")
    tests = [str(python), "-m", "pytest", "-n", "auto", "--dist", "worksteal", *arguments]
    return subprocess.run(tests, cwd=ROOT, check=False).returncode  # noqa: S603


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
