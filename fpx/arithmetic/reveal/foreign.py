"""The user's function in a process of its own, which may print, fail, crash or never end."""

from __future__ import annotations

import inspect
import os
import signal
from array import array
from collections.abc import Callable, Sequence
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any

from fpx.arithmetic.reveal.runner import NotOfferedError
from fpx.arithmetic.reveal.subjects import FunctionSubject
from fpx.callables import load_function
from fpx.casts.device import Device
from fpx.core.spec import FormatSpec
from fpx.errors import FpxError, InputError
from fpx.report.reveal_case import Case, Size
from fpx.words import reason

PATIENCE = 60.0
"""Seconds that a function may take for 64 calls."""

_AT_ONCE = 64
_STARTING = 60.0  # seconds more, to load torch and its module


def count_operands(function: Callable[..., Any], name: str) -> int:
    """Whether a function takes one vector or two matrices: 1 or 2.

    Raises:
        InputError: neither, or it is no function.
    """
    if not callable(function):
        raise InputError(f"{name} is a {type(function).__name__}, not a function")
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        raise InputError(
            f"{name} does not tell what it takes: wrap it in a function of one or two tensors"
        ) from None
    needed = [item for item in parameters if item.kind in kinds and item.default is item.empty]
    if len(needed) not in (1, 2):
        raise InputError(
            f"{name} takes {len(needed)} operands: it is to take one vector, or two matrices"
        )
    return len(needed)


class ForeignReduction:
    """A reduction in another process.

    Attributes:
        count, leaf, out, products, alike: as of `TorchReduction`.
    """

    def __init__(
        self, subject: ForeignSubject, count: int, leaf: FormatSpec, out: FormatSpec, alike: bool
    ) -> None:
        self.count, self.leaf, self.out, self.alike = count, leaf, out, alike
        self.products = subject.products
        self._subject = subject

    def __call__(self, rows: Sequence[tuple[array[float], array[float]]]) -> list[int]:
        """As of `Reduction`.

        Raises:
            InputError: the function failed, or took too long.
        """
        return [
            code
            for at in range(0, len(rows), _AT_ONCE)
            for code in self._some(rows[at : at + _AT_ONCE])
        ]

    def _some(self, rows: Sequence[tuple[array[float], array[float]]]) -> list[int]:
        places: dict[int, int] = {}
        distinct: list[array[float]] = []
        which = []
        for _, b in rows:
            if id(b) not in places:
                places[id(b)] = len(distinct)
                distinct.append(b)
            which.append(places[id(b)])
        codes: list[int] = self._subject.asked("rows", [a for a, _ in rows], distinct, which)
        return codes


class ForeignSubject:
    """A function of the user's, by its name.

    Args:
        name: `module:function`.
        patience: seconds that it may take for 64 calls.

    Raises:
        InputError: there is no such function.
    """

    def __init__(self, name: str, patience: float = PATIENCE) -> None:
        self.name, self.multiple = name, 1
        self._patience = patience
        context = get_context("spawn")
        self._end, other = context.Pipe()
        self._process = context.Process(target=_serve, args=(other, name), daemon=True)
        self._process.start()
        other.close()
        operands: int = self._answer(patience + _STARTING)
        self.products = self.matrix = operands == 2
        self.size = Size(4, 32, 4) if self.products else Size(1, 32, 1, matrix=False)

    def build(self, leaf: FormatSpec, case: Case, device: Device) -> ForeignReduction:
        """As of `Subject`.

        Raises:
            InputError: the function failed, or what it gives is no number or no such matrix.
        """
        out, alike = self.asked("build", leaf, case, device)
        return ForeignReduction(self, case.size.k, leaf, out, alike)

    def close(self) -> None:
        """Ends the process."""
        self._process.kill()
        self._process.join()
        self._end.close()

    def asked(self, *question: object) -> Any:
        """What the process answers.

        Raises:
            InputError: the function failed, or took too long.
            NotOfferedError: torch refuses what it does.
        """
        try:
            self._end.send(question)
        except OSError:
            raise self._ended() from None
        return self._answer(self._patience)

    def _answer(self, patience: float) -> Any:
        try:
            if not self._end.poll(patience):
                self.close()
                raise InputError(
                    f"{self.name} gave no answer within {patience:g} seconds: it is to be faster, "
                    "or `timeout` longer"
                )
            kind, found = self._end.recv()
        except (EOFError, OSError):
            raise self._ended() from None
        if kind == "refused":
            raise NotOfferedError(found)
        if kind == "failed":
            self.close()
            raise InputError(found)
        return found

    def _ended(self) -> InputError:
        self._process.join()
        code = self._process.exitcode or 0
        how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        return InputError(f"{self.name} ended its process ({how})")


def _serve(end: Connection, name: str) -> None:
    """The other process: answers questions until nobody asks."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who asks decides
    os.dup2(2, 1)  # stdout is for results
    state: dict[str, Any] = {}
    while True:
        try:
            answer = _answered(state, end.recv()) if state else _loaded(state, name)
        except EOFError:
            return
        except NotOfferedError as error:
            end.send(("refused", str(error)))
            continue
        except FpxError as error:
            end.send(("failed", str(error)))
            continue
        except BaseException as error:  # noqa: BLE001 - somebody's function: sys.exit() too
            why = f"{type(error).__name__}: {reason(error)}"
            end.send(("failed", f"{name} raised {why}"))
            continue
        end.send(("answer", answer))


def _loaded(state: dict[str, Any], name: str) -> int:
    function = load_function(name, "with_").function
    operands = count_operands(function, name)
    state["subject"] = FunctionSubject(function, name, operands == 2)
    return operands


def _answered(state: dict[str, Any], question: tuple[Any, ...]) -> Any:
    kind, *rest = question
    if kind == "build":
        state["built"] = state["subject"].build(*rest)
        return state["built"].out, state["built"].alike
    first, second, which = rest
    return state["built"]([(a, second[at]) for a, at in zip(first, which, strict=True)])
