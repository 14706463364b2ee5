"""Functions of users, named as `module:function`: loaded, and called with care.

What they print goes to stderr, since stdout is for results; whatever they raise is one line that
names them; and who does not return in time is stopped.
"""

from __future__ import annotations

import importlib
import os
import re
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar

from fpx.errors import InputError
from fpx.words import did_you_mean, quoted, reason

TIME_LIMIT = 60.0
"""Seconds that importing a module, or one call, may take."""


_GRACE = 5.0  # seconds more, until a process that does not listen is ended
_NAME = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")
_MISSING = object()
_Found = TypeVar("_Found")


@dataclass(frozen=True)
class NamedFunction:
    """A function of a user's.

    Attributes:
        name: how it was named.
        function: the function.
        limit: seconds that a call may take.
    """

    name: str
    function: Callable[..., Any]
    limit: float = TIME_LIMIT

    def __call__(self, *arguments: object) -> Any:
        """What it returns.

        Raises:
            InputError: it raises something, wants to end the process, or takes too long.
        """
        return _watched(quoted(self.name), lambda: self.function(*arguments), self.limit)


def load_function(name: str, parameter: str, limit: float = TIME_LIMIT) -> NamedFunction:
    """The function of a name.

    Args:
        name: `module:function`, each with dots where it is inside something; the module is looked
            for in the current folder first, then among those that are installed.
        parameter: what messages call the name.
        limit: seconds that importing it, and later each call, may take.

    Raises:
        InputError: there is none, it cannot be imported, or it is no function.
    """
    module_name, colon, path = name.strip().partition(":")
    if not colon or not _NAME.fullmatch(module_name) or not _NAME.fullmatch(path):
        raise InputError(
            f"{quoted(name)} names no function: write `{parameter}` as module:function, such as "
            "rounding:to_bfloat16"
        )
    found: Any = _watched(f"importing {quoted(module_name)}", lambda: _imported(module_name), limit)
    for part in path.split("."):
        holder, found = found, getattr(found, part, _MISSING)
        if found is _MISSING:
            raise InputError(
                f"{quoted(name)}: {quoted(module_name)} has no {quoted(path)}"
                f"{did_you_mean(part, dir(holder))}"
            )
    if not callable(found):
        raise InputError(f"{quoted(name)} is no function, but {quoted(type(found).__name__)}")
    return NamedFunction(name, found, limit)


def _imported(name: str) -> Any:
    here = str(Path.cwd())
    sys.path.insert(0, here)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise
        raise _NoModuleError(name) from None
    finally:
        sys.path.remove(here)
        if here not in sys.path:  # for what it imports later; last, where it hides nothing
            sys.path.append(here)


class _NoModuleError(Exception):
    """There is no module of that name."""


class _TimeUpError(BaseException):
    """Who catches every exception is to let this one pass."""


def _watched(what: str, call: Callable[[], _Found], limit: float) -> _Found:
    """What a call returns.

    Raises:
        InputError: as `NamedFunction.__call__`.
    """
    try:
        with _stdout_kept_clean(), _stopped_after(limit, what):
            return call()
    except _TimeUpError:
        raise InputError(f"{what} takes more than {limit:g} seconds: is there an end to it?") from (
            None
        )
    except _NoModuleError as error:
        raise InputError(
            f"there is no module {quoted(str(error))} in this folder, and none is installed"
        ) from None
    except SystemExit as error:
        raise InputError(f"{what}: it wants to end the process ({error.code})") from error
    except Exception as error:  # what others wrote can raise anything
        raise InputError(f"{what}: {type(error).__name__}: {reason(error)}") from error


@contextmanager
def _stdout_kept_clean() -> Iterator[None]:
    """Sends to stderr what is printed meanwhile, also by other processes and libraries in C."""
    sys.stdout.flush()
    kept = os.dup(1)
    try:
        os.dup2(2, 1)
        with redirect_stdout(sys.stderr):
            yield
    finally:
        sys.stderr.flush()
        os.dup2(kept, 1)
        os.close(kept)


@contextmanager
def _stopped_after(seconds: float, what: str) -> Iterator[None]:
    """Raises `_TimeUpError` in what takes longer; ends the process where that does not stop it."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise _TimeUpError

    def end() -> None:
        sys.stderr.write(
            f"fpx: {what} takes more than {seconds:g} seconds, and cannot be stopped\n"
        )
        sys.stderr.flush()
        os._exit(InputError.exit_code)

    last_resort = threading.Timer(seconds + _GRACE, end)
    last_resort.daemon = True
    last_resort.start()
    # signals reach the main thread alone
    timed = hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGALRM, stop) if timed else None
    try:
        if timed:
            signal.setitimer(signal.ITIMER_REAL, seconds)
        yield
    finally:
        if timed:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
        last_resort.cancel()
