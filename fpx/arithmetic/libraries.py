"""What torch and numpy (with ml_dtypes) give for an expression, operation by operation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np
import torch

from fpx.arithmetic.evaluation import rounded_steps
from fpx.arithmetic.parser import Expression
from fpx.arithmetic.results import Target
from fpx.core import codec
from fpx.core.spec import FormatSpec
from fpx.errors import UnavailableError
from fpx.report.calc import CalcReport, LibraryResult
from fpx.tensors.dtypes import array_dtype, cast_dtype, container, wrapped
from fpx.words import reason

_NUMPY: Mapping[str, Callable[..., Any]] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": np.divide,
    "negate": np.negative,
    "abs": np.abs,
    "sqrt": np.sqrt,
    "min": lambda *items: np.min(np.stack(items)),
    "max": lambda *items: np.max(np.stack(items)),
    "sum": lambda *items: np.sum(np.stack(items)),
    "dot": lambda *items: np.dot(*np.split(np.stack(items), 2)),
}

_TORCH: Mapping[str, Callable[..., Any]] = {
    "+": torch.add,
    "-": torch.subtract,
    "*": torch.multiply,
    "/": torch.divide,
    "negate": torch.negative,
    "abs": torch.abs,
    "sqrt": torch.sqrt,
    "min": lambda *items: torch.min(torch.stack(items)),
    "max": lambda *items: torch.max(torch.stack(items)),
    "sum": lambda *items: torch.sum(torch.stack(items)),
    "dot": lambda *items: torch.dot(*torch.stack(items).chunk(2)),
}


class _Library(NamedTuple):
    """A library, and how it computes with single codes.

    Attributes:
        name, version: of the library.
        operations: by the names of `OPERATIONS`; what it lacks is not there.
        number: a code of a format as a number of the library; raises UnavailableError.
        code: the code of such a number.
    """

    name: str
    version: str
    operations: Mapping[str, Callable[..., Any]]
    number: Callable[[int, FormatSpec], Any]
    code: Callable[[Any, FormatSpec], int]


def with_libraries(report: CalcReport, expression: Expression, target: Target) -> CalcReport:
    """The report with what the libraries give.

    They start from the codes that the literals became, so that only arithmetic may differ. Sums and
    dot products are theirs, in their own order.

    Args:
        report: on the expression.
        expression: as it was written.
        target: how fpx rounds; libraries round ties to even.
    """
    libraries = tuple(_result(library, report, expression, target) for library in _libraries())
    versions = {
        "torch": str(torch.__version__),
        "numpy": np.__version__,
        "ml_dtypes": ml_dtypes.__version__,
    }
    return replace(report, libraries=libraries, versions=versions)


def _libraries() -> Sequence[_Library]:
    return (
        _Library("numpy", np.__version__, _NUMPY, _array, _array_code),
        _Library("torch", str(torch.__version__), _TORCH, _tensor, _tensor_code),
    )


def _result(
    library: _Library, report: CalcReport, expression: Expression, target: Target
) -> LibraryResult:
    spec = target.spec

    def answer(code: int | None, why: str) -> LibraryResult:
        return LibraryResult(library.name, library.version, code, not why, why)

    found: list[Any] = []
    starting = rounded_steps(expression, target)
    for step, ours in zip(expression.steps, starting, strict=True):
        if ours.exact is None:
            try:
                found.append(library.number(ours.coded.code, spec))
            except UnavailableError as error:
                return answer(None, str(error))
            continue
        operation = library.operations.get(step.operation)
        if operation is None:
            return answer(None, f"{library.name} has no {step.operation}")
        try:
            with np.errstate(all="ignore"):
                found.append(operation(*(found[at] for at in step.operands)))
        except (TypeError, RuntimeError, NotImplementedError) as error:
            return answer(None, f"no {step.operation} of {spec.name}: {reason(error)}")
    code = library.code(found[-1], spec)
    both_nan = codec.is_nan(code, spec) and codec.is_nan(report.code, spec)
    if code == report.code or both_nan:
        return answer(code, "")
    for step, ours, theirs in zip(expression.steps, starting, found, strict=True):
        got = library.code(theirs, spec)
        if got != ours.coded.code and not (
            codec.is_nan(got, spec) and codec.is_nan(ours.coded.code, spec)
        ):
            return answer(code, f"{step.operation} at column {step.column} differs")
    return answer(code, "its sums differ: another order, or wider inside")


def _array(code: int, spec: FormatSpec) -> Any:
    dtype = array_dtype(spec)
    if dtype is None:
        raise UnavailableError(f"numpy and ml_dtypes have no {spec.name}")
    return np.frombuffer(code.to_bytes(dtype.itemsize, "little"), dtype.newbyteorder("<"))[0]


def _array_code(number: Any, spec: FormatSpec) -> int:
    dtype = array_dtype(spec)
    assert dtype is not None
    content = np.asarray(number).astype(dtype).tobytes()
    return int.from_bytes(content, "little") & ((1 << spec.bits) - 1)


def _tensor(code: int, spec: FormatSpec) -> Any:
    dtype, kind = cast_dtype(spec), container(spec)
    return torch.tensor([wrapped(code, kind)], dtype=kind).view(dtype)[0]


def _tensor_code(number: Any, spec: FormatSpec) -> int:
    return int(number.reshape(1).view(container(spec)).item()) % (1 << spec.bits)
