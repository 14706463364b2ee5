"""Ctrl-C: an interrupt, whoever catches the exception that it is."""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
import time
from _thread import start_new_thread
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import FrameType

INTERRUPTED = 130
"""The exit code: 128 and the number of the signal, as shells have it."""

_AGAIN = 0.01  # seconds after which what nobody heard is raised once more

_came: list[int] = []  # signals


def remember_interrupts() -> None:
    """From here on Ctrl-C is an interrupt, whatever a library or Python makes of it.

    What is raised while numpy is imported ends as an ImportError or a RecursionError. What is
    raised where Python can't pass it on, in callbacks of weak references and destructors, Python
    would print, and go on.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _interrupt)
        # when Python takes itself down, it would be ended by what comes too late to end anything
        atexit.register(signal.signal, signal.SIGINT, signal.SIG_IGN)
        sys.unraisablehook = _unheard


def was_interrupted() -> bool:
    """Whether Ctrl-C came."""
    return bool(_came)


def check_interrupts() -> None:
    """For places that long work comes by again and again.

    Raises:
        KeyboardInterrupt: Ctrl-C came, and who called what it ended went on, as libraries do that
            try to load another.
    """
    if _came:
        raise KeyboardInterrupt


def say_interrupted() -> None:
    """A line on stderr, where the command is not there to write it."""
    sys.stderr.write("fpx: interrupted\n")
    sys.stderr.flush()


def end_by_exit_code() -> None:
    """Sees to it that a process that was interrupted ends with its exit code, not by the signal.

    Of `python -m`, Python ends by the signal if an interrupt ever left code that was compiled from
    text (of dataclasses, of numba), whoever caught it then. To run such code makes it forget that.
    And Ctrl-C once more would end its wait for threads, which C++ that they run does not survive.
    """
    if _came:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        exec("")  # noqa: S102 - nothing


def _interrupt(number: int, frame: FrameType | None) -> None:
    _came.append(number)
    if _is_loading("torch"):  # of an exception where its C++ calls Python, it aborts
        say_interrupted()
        os._exit(INTERRUPTED)  # nothing was done yet
    signal.default_int_handler(number, frame)


def _is_loading(name: str) -> bool:
    """Whether a module is being imported."""
    spec = getattr(sys.modules.get(name), "__spec__", None)
    return bool(getattr(spec, "_initializing", False))  # as importlib has it


def _unheard(exception: sys.UnraisableHookArgs) -> None:
    if exception.exc_type is KeyboardInterrupt:
        start_new_thread(_interrupt_again, ())
    else:
        sys.__unraisablehook__(exception)


def _interrupt_again() -> None:
    time.sleep(_AGAIN)
    main = threading.main_thread().ident
    if main is not None:
        signal.pthread_kill(main, signal.SIGINT)
