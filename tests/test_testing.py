"""`fpx.testing`: what other people's test suites are told."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import fpx
from fpx.errors import InputError, UnavailableError
from fpx.testing import Tolerance, assert_fits
from tests.helpers import PATIENCE

FINE, OVER, SMALL = torch.tensor([1.0, 0.1]), torch.tensor([1.0, 1e6]), torch.tensor([1e-9, 1e-9])


def said(*args: Any, **kinds: Any) -> str:
    """The message of the assertion that fails."""
    with pytest.raises(AssertionError) as caught:
        assert_fits(*args, **kinds)
    return str(caught.value)


def everything(folder: Path) -> list[Any]:
    """What holds 1.0 and 0.1, in every way."""
    save_file({"w": FINE}, folder / "m.safetensors")
    module = torch.nn.Linear(2, 1, bias=False)
    module.load_state_dict({"weight": FINE.view(1, 2)})
    return [
        FINE, FINE.numpy(), {"w": FINE}, {"w": FINE.numpy()}, module, module.state_dict(),
        folder / "m.safetensors", str(folder / "m.safetensors"),
    ]  # fmt: skip


def test_whatever_fits_passes(tmp_path: Path) -> None:
    for source in everything(tmp_path):
        assert_fits(source, "float16")
        assert_fits(source, ["fp16", "bf16"], "overflow_count==0", "sqnr_db>=50")
        assert "sqnr_db>=90 does not hold (sqnr_db is " in said(source, "bf16", "sqnr_db>=90")


def test_the_message_has_the_rows_and_the_remedy() -> None:
    first, second, answer = said({"a": OVER, "b": FINE}, "float16").splitlines()
    assert first == "1 of 2 casts loses too much:"
    assert second == (
        "  tensor a -> float16: verdict==fits does not hold (verdict is loses range: "
        "destroyed_rate is 0.5)"
    )
    assert answer.startswith("float16: no. 1 of 2 tensors overflows: a, 1 of 2 values become inf")
    assert "Keep it wider, or scale it by 2^-4." in answer
    both = said({"a": OVER, "b": SMALL, "c": FINE}, "fp16", "overflow_count==0", "sqnr_db>=50")
    lines = both.splitlines()
    assert lines[0] == "2 of 3 casts lose too much:"
    assert lines[1:4] == [
        "  tensor a -> float16: overflow_count==0 does not hold (overflow_count is 1)",
        "  tensor a -> float16: sqnr_db>=50 does not hold (sqnr_db is -inf)",
        "  tensor b -> float16: sqnr_db>=50 does not hold (sqnr_db is 0)",
    ]
    assert lines[4].startswith("float16: no. 2 of 3 tensors do not fit: ")


@pytest.mark.parametrize(
    ("source", "condition", "holds"),
    [
        (FINE, "overflow_count==0", True),
        (OVER, "overflow_count==0", False),
        (OVER, "overflow_count<=50%", True),
        (OVER, "sqnr_db>=50", False),
        (OVER, "surviving_sqnr_db>=50", True),
        (OVER, "mean_error_ulp<1", False),  # undefined, which never holds
        (OVER, "mean_error_ulp>=1", False),
        (torch.tensor([float("nan")]), "sqnr_db>=50", True),  # nothing is lost of it
        (torch.zeros(3), "sqnr_db>=50", True),
        (SMALL, "verdict!='loses range'", True),
        (SMALL, "outcome==exact", False),
    ],
)
def test_conditions_are_what_must_hold(source: object, condition: str, holds: bool) -> None:
    if holds:
        assert_fits(source, "fp16", condition)
    else:
        assert f"{condition} does not hold" in said(source, "fp16", condition)


def test_options() -> None:
    mixed = {"a.running_var": OVER, "a.weight": FINE, "steps": torch.tensor([10**6])}
    assert "a.running_var" in said(mixed, "fp16")
    assert_fits(mixed, "fp16", exclude="*.running_var")
    assert_fits(mixed, "fp16", include=["*.weight"])
    assert "steps" in said(mixed, "fp16", exclude="*.running_var", integers=True)
    half = {"w": torch.tensor([1e-9, 1.0])}
    assert "loses small values" in said(half, "fp16")
    assert_fits(half, "fp16", tolerance=Tolerance(underflow_rate=0.5))
    assert "w" in said(half, "fp16", tolerance=Tolerance(underflow_rate=0.49))
    assert_fits({"w": OVER}, "fp16", tolerance=Tolerance(overflow_rate=0.5))
    assert_fits({"w": OVER}, ["bf16"])
    assert "float16: no." in said({"w": OVER}, ["bf16", "fp16"])


def test_a_long_message_ends() -> None:
    message = said({f"t{n:03}": OVER for n in range(50)}, "fp16")
    assert message.startswith("50 of 50 casts lose too much:\n")
    assert "\n  and 30 more\n" in message


def test_a_test_that_checks_nothing_does_not_pass(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="device_mismatch_count==0 cannot be checked"):
        assert_fits(FINE, "fp16", "device_mismatch_count==0")
    np.save(tmp_path / "i.npy", np.arange(3))
    (tmp_path / "bad.pt").write_bytes(b"no tensor file")
    files = [tmp_path, *(tmp_path / name for name in ("i.npy", "bad.pt", "none.pt"))]
    sources: list[object] = [{}, *files]
    for source in sources:
        with pytest.raises(InputError):
            assert_fits(source, "fp16")


@pytest.mark.parametrize(
    ("conditions", "says"),
    [
        (["sqnr>=50"], "'sqnr' is no metric; did you mean 'sqnr_db'?"),
        (["overflow_count=0"], "did you mean '=='?"),
        (["verdict==good"], "'good' is no verdict"),
    ],
)
def test_wrong_conditions(conditions: list[str], says: str) -> None:
    with pytest.raises(InputError) as caught:
        assert_fits(FINE, "fp16", *conditions)
    assert says in str(caught.value)


def test_it_is_imported_on_use() -> None:
    script = (
        "import sys, fpx; print('fpx.testing' in sys.modules, 'torch' in sys.modules)\n"
        "print(fpx.testing.assert_fits.__name__, 'torch' in sys.modules)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True, text=True, timeout=PATIENCE, check=True,
        cwd=Path(fpx.__file__).parents[1],
    )  # fmt: skip
    assert ran.stdout == "False False\nassert_fits False\n"
