"""`fpx reveal`, as it is typed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.helpers import call, document, results

SMALL = ("reveal", "index_add", "--n", "4", "--dtype", "bf16", "--rows", "50")


@pytest.fixture(autouse=True)
def one_thread() -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_every_form() -> None:
    (entry,) = results(*SMALL)
    assert (entry["operation"], entry["dtype"], entry["verdict"]) == (
        "index_add", "bfloat16", "certified",
    )  # fmt: skip
    assert document(*SMALL)["environment"]["seed"] == 0
    for form in ("--csv", "--markdown", "--jsonl"):
        code, out, err = call(*SMALL, form)
        assert (code, err) == (0, "")
        assert "certified" in out
    code, out, err = call(*SMALL)
    assert (code, err) == (0, "")
    assert "sum = x[0] + x[1] + x[2] + x[3]" in out


def test_save_and_against(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    assert call(*SMALL, "--save", path)[0] == 0
    code, _, err = call(*SMALL, "--against", path)
    assert (code, err) == (
        0,
        f"fpx: note: against '{path}': 1 equal, 0 changed, 0 new, 0 missing\n",
    )
    entry = json.loads(path.read_text())
    entry["results"][0]["fingerprint"] = "abcdefabcdef"
    path.write_text(json.dumps(entry))
    code, out, err = call(*SMALL, "--against", path, "--json")
    assert code == 1
    assert "0 equal, 1 changed" in err
    assert err.splitlines()[-1].startswith(
        "fpx: index_add in bfloat16, 4 computes another way: abcdef"
    )
    assert json.loads(out)["against"]["changed"][0]["old"] == "abcdefabcdef"


def test_fail_if() -> None:
    code, out, err = call(*SMALL, "--fail-if", "kept_bits<23", "--fail-if", "uncertified")
    assert code == 1
    assert out
    assert err == "fpx: index_add in bfloat16, 4: kept_bits<23 holds (kept_bits is 7)\n"
    assert call(*SMALL, "--fail-if", "uncertified")[0] == 0


def test_dot() -> None:
    code, out, err = call(*SMALL, "--dot")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == 'digraph "index_add in bfloat16, 4" {'
    assert lines[-1] == "}"
    assert [line for line in lines if "->" in line] == [
        "  n0 -> n4", "  n1 -> n4", "  n4 -> n5", "  n2 -> n5", "  n5 -> n6", "  n3 -> n6",
    ]  # fmt: skip
    code, _, err = call(*SMALL, "--dot", "--json")
    assert (code, err) == (2, "fpx: --dot and --json exclude each other: choose one\n")


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["sun"], "no such operation: 'sun'; did you mean 'sum'?"),
        (["sum", "--n", "x"], "--n: 'x' is no number from 1 and no range: write 64, 1,2,4 or "
         "1..256"),
        (["sum", "--batch", "4"], "sum takes a vector, which has no --batch"),
        (["sum", "--timeout", "0"], "--timeout must be more than 0, not 0"),
        (["sum", "--against", "none.json"], "--against: 'none.json' cannot be read: No such file "
         "or directory"),
        (["--with", "nothing"], "'nothing' names no function: write --with as module:function, "
         "such as rounding:to_bfloat16"),
    ],
)  # fmt: skip
def test_errors_are_one_line(args: list[str], says: str) -> None:
    code, out, err = call("reveal", *args)
    assert (code, out) == (2, "")
    assert err == f"fpx: {says}\n"


def test_what_torch_refuses_is_said() -> None:
    code, _, err = call("reveal", "sum", "--dtype", "e4m3fn", "--n", "4")
    assert code == 3
    assert err.startswith("fpx: sum in float8_e4m3fn: not probed, torch refuses: ")


def test_what_is_tried_is_shown() -> None:
    code, out, err = call(
        "reveal", "mm", "--shape", "1x4x2", "--batch", "1..3", "--layout", "contiguous,strided",
        "--dtype", "fp32", "--rows", "20", columns=120,
    )  # fmt: skip
    assert (code, err) == (0, "")
    assert "mm in float32" in out
    assert any(word in out for word in ("give the same bits", "Bits depend on", "batch invariant"))
