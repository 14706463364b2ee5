"""Who computes: every layout gives all results, refusals are said, reproductions reproduce."""

from __future__ import annotations

import shutil

import ml_dtypes
import numpy as np
import pytest
import torch

from fpx.arithmetic.functions.catalogue import FUNCTIONS
from fpx.arithmetic.functions.codes import taken
from fpx.arithmetic.functions.function import Function
from fpx.arithmetic.functions.implementations import Implementation, Numpy, Torch
from fpx.casts.backends import LAYOUTS
from fpx.casts.device import find_device
from fpx.core.names import find_format
from fpx.core.spec import FormatSpec
from fpx.errors import UnavailableError
from tests.helpers import BF16, E4M3, F16, F32, F64

CPU = find_device("cpu")
CODES = np.array([0, 1, 0x3F80, 0x4049, 0x7F80, 0x8001, 0xC049, 0x3E12])


@pytest.mark.parametrize("name", [name for name, row in FUNCTIONS.items() if row.torch])
def test_torch_has_every_function(name: str) -> None:
    columns = [CODES] * FUNCTIONS[name].arity
    found = Torch(CPU).compute(FUNCTIONS[name], columns, BF16)
    assert found.shape == CODES.shape
    assert found.dtype == np.int64
    assert ((found >= 0) & (found < 1 << 16)).all()


@pytest.mark.parametrize("name", [name for name, row in FUNCTIONS.items() if row.numpy])
def test_numpy_has_every_function(name: str) -> None:
    columns = [CODES] * FUNCTIONS[name].arity
    assert Numpy().compute(FUNCTIONS[name], columns, F32).shape == CODES.shape


def test_what_else_a_function_is_called_with() -> None:
    x = torch.linspace(-3, 3, 64).bfloat16()
    codes = taken(x.view(torch.int16), BF16)
    plain, tanh = (
        Torch(CPU).compute(FUNCTIONS[name], [codes], BF16) for name in ("gelu", "gelu_tanh")
    )
    wanted = torch.nn.functional.gelu(x, approximate="tanh")
    assert (tanh == taken(wanted.view(torch.int16), BF16)).all()
    assert (tanh != plain).any()


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("spec", [BF16, F16, F64], ids=lambda spec: spec.name)
@pytest.mark.parametrize("name", ["sqrt", "sub"])
def test_layouts(name: str, spec: FormatSpec, layout: str) -> None:
    """What is exact is the same in each, in its order."""
    one = spec.bias << spec.fraction_bits
    step = 1 << spec.fraction_bits
    columns = [np.array([one + 2 * step, 0, one, one]), np.array([one, one, one, 0])]
    wanted = {
        "sqrt": [one + step, 0, one, one],
        "sub": [one + step + step // 2, one | spec.sign_mask, 0, one],
    }[name]
    for by in (Torch(CPU, layout), Numpy(layout)):
        if by.name == "numpy" and spec is BF16:
            continue
        found = by.compute(FUNCTIONS[name], columns[: FUNCTIONS[name].arity], spec)
        assert [int(code) % (1 << spec.bits) for code in found] == wanted


def test_a_layout_is_laid_out(monkeypatch: pytest.MonkeyPatch) -> None:
    shapes: list[tuple[tuple[int, ...], tuple[int, ...]]] = []

    def spy(x: torch.Tensor) -> torch.Tensor:
        shapes.append((tuple(x.shape), x.stride()))
        return x * 1

    monkeypatch.setattr(torch, "exp", spy)
    for layout in LAYOUTS:
        Torch(CPU, layout).compute(FUNCTIONS["exp"], [CODES[:2]], BF16)
    assert shapes == [((2,), (1,)), ((2,), (2,)), ((), ()), ((), ())]


@pytest.mark.parametrize(
    ("by", "name", "spec", "why"),
    [
        (Torch(CPU), "exp", E4M3, "torch has no exp of float8_e4m3fn .*not implemented"),
        (Torch(CPU), "exp", find_format("e5m7"), "torch has no exp of e5m7 .*no dtype"),
        (Torch(CPU), "exp", find_format("fp4"), "only stores"),
        (Numpy(), "gelu", BF16, "numpy has no gelu of bfloat16"),
        (Numpy(), "exp", find_format("e5m7"), "numpy has no exp of e5m7"),
        (Numpy(), "sinc", E4M3, "its result is float"),
    ],
)
def test_refusals(by: Implementation, name: str, spec: FormatSpec, why: str) -> None:
    with pytest.raises(UnavailableError, match=why):
        by.compute(FUNCTIONS[name], [np.array([1])], spec)


def test_a_result_of_another_dtype_is_none() -> None:
    wide = Function("wide", "x", lambda x: None, lambda c, x: x, torch="Tensor.double")
    with pytest.raises(UnavailableError, match=r"its result is torch\.float64"):
        Torch(CPU).compute(wide, [CODES], BF16)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    ("name", "codes"),
    [("erf", [0x3444]), ("gelu_tanh", [0xC0B2]), ("fmod", [0x3F00, 0x0001]), ("exp", [0x3F80])],
)
def test_a_reproduction_gives_what_came(name: str, codes: list[int], layout: str) -> None:
    """The line is Python, and prints the code."""
    by = Torch(CPU, layout)
    columns = [np.array([code] * 64) for code in codes]
    wanted = by.compute(FUNCTIONS[name], columns, BF16)
    line = by.reproduction(FUNCTIONS[name], codes, BF16)
    assert line is not None
    assert eval(line, {"torch": torch, "hex": hex}) == hex(wanted[0])


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("spec", [F16, BF16, E4M3, F32], ids=lambda spec: spec.name)
def test_a_reproduction_with_numpy(spec: FormatSpec, layout: str) -> None:
    by = Numpy(layout)
    codes = [spec.bias << spec.fraction_bits, 3]
    wanted = by.compute(FUNCTIONS["add"], [np.array([code]) for code in codes], spec)
    line = by.reproduction(FUNCTIONS["add"], codes, spec)
    assert line is not None
    names = {"np": np, "ml_dtypes": ml_dtypes, "hex": lambda code: hex(int(code))}
    assert eval(line, names) == hex(wanted[0])


@pytest.mark.skipif(shutil.which("c++") is None, reason="torch.compile needs a C++ compiler")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of what torch imports to compile
def test_compiled() -> None:
    by = Torch(CPU, compiled=True)
    found = by.compute(FUNCTIONS["relu"], [CODES], BF16)
    assert (found == Torch(CPU).compute(FUNCTIONS["relu"], [CODES], BF16)).all()
    line = by.reproduction(FUNCTIONS["relu"], [1], BF16)
    assert line is not None
    assert line.startswith("hex(torch.compile(torch.nn.functional.relu)(")
