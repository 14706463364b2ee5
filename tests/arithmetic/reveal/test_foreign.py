"""Functions of somebody's: they may fail in every way, and never take fpx with them."""

from __future__ import annotations

import multiprocessing
from pathlib import Path
from typing import Any

import pytest
import torch

import fpx
from fpx.arithmetic.reveal.reveal import find_subjects
from fpx.errors import InputError
from fpx.report.reveal_row import Verdict
from tests.helpers import PATIENCE, run

HOSTILE = """
import os, sys

def chain(x):
    print("noise")
    total = x[0]
    for item in x[1:]:
        total = total + item
    return total

def hangs(x):
    while True:
        pass

def dies(x):
    os._exit(3)

def exits(x):
    sys.exit("enough")
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "hostile.py").write_text(HOSTILE)
    return tmp_path


def reveal(folder: Path, name: str, *more: str) -> Any:
    args = ["reveal", "--with", f"hostile:{name}", "--rows", "50", "--n", "6", *more]
    return run(*args, warm=True, cwd=folder)


def test_what_a_function_prints_is_no_result(folder: Path) -> None:
    done = reveal(folder, "chain", "--csv")
    assert done.returncode == 0, done.stderr
    head, line = done.stdout.splitlines()
    assert head.startswith("operation,dtype,")
    assert line.startswith("hostile:chain,float32,float32,cpu,A,1,certified")
    assert set(done.stderr.splitlines()) == {"noise"}


@pytest.mark.parametrize(
    ("name", "more", "says"),
    [
        ("hangs", ["--timeout", "1"], "hostile:hangs gave no answer within 1 seconds: it is to be "
         "faster, or --timeout longer"),
        ("dies", [], "hostile:dies ended its process (exit code 3)"),
        ("exits", [], "hostile:exits raised SystemExit: enough"),
        ("absent", [], "'hostile:absent': 'hostile' has no 'absent'"),
    ],
)  # fmt: skip
def test_one_line(folder: Path, name: str, more: list[str], says: str) -> None:
    done = reveal(folder, name, *more)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"fpx: {says}\n"


def test_no_process_is_left(folder: Path) -> None:
    before = _children()
    with pytest.raises(InputError):
        find_subjects([], ["no_such_module_at_all:f"], PATIENCE)
    assert _children() == before


def _children() -> int:
    return len(multiprocessing.active_children())


def raises(x: torch.Tensor) -> torch.Tensor:
    raise ValueError("no\nway")


@pytest.mark.parametrize(
    ("function", "says"),
    [
        (raises, "raises raised ValueError: no"),
        (lambda x: x, "gave a tensor of shape (6,): it is to give one number"),
        (lambda x: "text", "gave a str: it is to give a tensor or a number"),
        (lambda x: None, "gave a NoneType: it is to give a tensor or a number"),
        (lambda x: 3, "gave int64: it is to give floating point"),
        (lambda x: x.sum().to(torch.complex64), "gave complex64: it is to give floating point"),
        (lambda x, y, z: x, "takes 3 operands"),
        (dict.fromkeys, "gave a dict"),
    ],
)
def test_in_this_process_too(function: Any, says: str) -> None:
    with pytest.raises(InputError) as caught:
        fpx.reveal(function, "float32", n=6, rows=16)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_matrix_of_another_shape() -> None:
    with pytest.raises(InputError, match=r"gave a tensor of shape \(2, 4\): .* shape \(2, 3\)"):
        fpx.reveal(lambda a, b: a, "float32", shape="2x4x3", rows=16)


@pytest.mark.parametrize(
    ("function", "why"),
    [
        (lambda x: float("nan"), "a single 1 among zeros gives nan"),
        (lambda x: x.sum() * 0, "a single 1 among zeros gives 0"),
        (lambda x: x.max(), "-1 does not give the negative"),
        (lambda x: (x * torch.arange(6.0)).sum(), "leaves do not count alike"),
    ],
)
def test_what_is_no_sum(function: Any, why: str) -> None:
    (row,) = fpx.reveal(function, "float32", n=6, rows=16).rows
    assert row.verdict is Verdict.NOT_RESOLVABLE
    assert why in str(row.reason)


def test_a_function_that_changes_its_operands_changes_nothing_else() -> None:
    def spoils(x: torch.Tensor) -> torch.Tensor:
        total = x.cumsum(0)[-1].clone()
        x.fill_(float("nan"))
        return total

    (row,) = fpx.reveal(spoils, "bfloat16", n=16, rows=200).rows
    assert row.verdict is Verdict.CERTIFIED


def test_numbers_of_python_and_numpy() -> None:
    for function in (lambda x: float(x.double().sum()), lambda x: x.double().numpy().sum()):
        (row,) = fpx.reveal(function, "float32", n=3, rows=50).rows
        assert row.out_dtype == "float64"
        assert row.accumulator == "float64"
