"""Ctrl-C: an interrupt, whoever catches the exception that it is."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import typer

from fpx.cli import interrupts
from fpx.cli.failures import failures_explained
from fpx.cli.interrupts import remember_interrupts
from fpx.cli.progress import ProgressBar
from fpx.errors import InputError
from tests.helpers import PATIENCE


@pytest.fixture
def remembered(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(interrupts, "_came", [])
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    remember_interrupts()
    yield
    signal.signal(signal.SIGINT, before)


def swallowed() -> None:
    with suppress(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize(
    ("error", "otherwise"), [(ImportError("no cause"), 70), (InputError("no numpy"), 2)]
)
@pytest.mark.parametrize("interrupted", [True, False])
@pytest.mark.usefixtures("remembered")
def test_an_interrupt_that_a_library_swallows_is_one(
    interrupted: bool, error: Exception, otherwise: int
) -> None:
    code = 130 if interrupted else otherwise

    def load() -> None:
        if interrupted:
            swallowed()
        raise error

    with pytest.raises(typer.Exit) as ended, failures_explained():
        load()
    assert ended.value.exit_code == code


@pytest.mark.parametrize("what", [ProgressBar.start, ProgressBar.advance])
@pytest.mark.usefixtures("remembered")
def test_work_ends_after_an_interrupt_that_was_swallowed(
    what: Callable[[ProgressBar, int], None],
) -> None:
    with ProgressBar("working") as progress:
        what(progress, 1)
        swallowed()
        with pytest.raises(KeyboardInterrupt):
            what(progress, 1)


def in_a_callback(lose: Callable[[], None]) -> None:
    class Held:
        pass

    held = Held()
    ref = weakref.ref(held, lambda _: lose())
    del held
    assert ref() is None


def in_a_destructor(lose: Callable[[], None]) -> None:
    class Held:
        def __del__(self) -> None:
            lose()

    Held()


def in_a_generator(lose: Callable[[], None]) -> None:
    def held() -> Iterator[None]:
        try:
            yield
        finally:
            lose()

    next(held())


@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize("where", [in_a_callback, in_a_destructor, in_a_generator])
@pytest.mark.usefixtures("remembered")
def test_an_interrupt_comes_again_where_nobody_can_hear_it(
    where: Callable[[Callable[[], None]], None], times: int, capfd: pytest.CaptureFixture[str]
) -> None:
    def work() -> None:
        where(lambda: signal.raise_signal(signal.SIGINT))
        for _ in range(times - 1):
            where(lambda: time.sleep(PATIENCE))
        time.sleep(PATIENCE)

    with pytest.raises(typer.Exit) as ended, failures_explained():
        work()
    assert ended.value.exit_code == 130
    assert capfd.readouterr().err == "fpx: interrupted\n"


def test_another_exception_that_nobody_hears_is_told_as_ever() -> None:
    code = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from fpx.cli.interrupts import remember_interrupts; remember_interrupts()\n"
        "class Held:\n    def __del__(self): raise ValueError('never')\n"
        "Held()"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0
    assert "ValueError: never" in result.stderr


_FOUND = """
import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler)
class Named:
    def __set_name__(self, owner, name): signal.raise_signal(signal.SIGINT)
class Finder:
    def find_spec(self, name, *_):
        if name == where:
            WHAT
where = sys.argv.pop()
sys.meta_path.insert(0, Finder())
import fpx.cli; fpx.cli.main()
"""


@pytest.mark.parametrize(
    "what", ["signal.raise_signal(signal.SIGINT)", "type('Owner', (), {'name': Named()})"]
)
@pytest.mark.parametrize("when", ["fpx.cli.app", "fpx.render.help"])
def test_an_interrupt_before_the_command_runs_is_one_line(when: str, what: str) -> None:
    """Of what is raised while a class is made, Python makes a RuntimeError."""
    fpx = [sys.executable, "-c", _FOUND.replace("WHAT", what), "--help", when]
    result = subprocess.run(fpx, capture_output=True, text=True, timeout=PATIENCE)
    assert (result.returncode, result.stderr) == (130, "fpx: interrupted\n")


def test_an_interrupt_while_torch_loads_numpy_is_not_lost(tmp_path: Path) -> None:
    """torch swallows it, and would go on without numpy."""
    path = tmp_path / "x.npy"
    np.save(path, np.ones(4))
    code = _FOUND.replace("WHAT", "signal.raise_signal(signal.SIGINT)")
    fpx = [sys.executable, "-c", code, "step-compare", str(path), "--lr", "1", "numpy._core"]
    result = subprocess.run(fpx, capture_output=True, text=True, timeout=PATIENCE)
    said = "fpx: interrupted\n"
    assert (result.returncode, result.stdout, result.stderr) == (130, "", said)


def test_an_interrupt_of_code_from_text_ends_with_the_exit_code(tmp_path: Path) -> None:
    """Python would end `python -m fpx` by the signal, whoever caught the exception."""
    code = _FOUND.replace("WHAT", "exec('signal.raise_signal(signal.SIGINT)')")
    (tmp_path / "probe.py").write_text(code, encoding="utf-8")
    fpx = [sys.executable, "-m", "probe", "--help", "fpx.render.help"]
    where = os.pathsep.join([str(tmp_path), *filter(None, sys.path)])
    result = subprocess.run(
        fpx,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        env=os.environ | {"PYTHONPATH": where},
    )
    assert (result.returncode, result.stderr) == (130, "fpx: interrupted\n")


def test_an_interrupt_while_torch_loads_raises_nothing(tmp_path: Path) -> None:
    """Where its C++ calls Python code that raises, it aborts the process."""
    loading = (
        "import signal\n"
        "try: signal.raise_signal(signal.SIGINT)\n"
        "except BaseException: print('terminate called')\n"
    )
    (tmp_path / "torch.py").write_text(loading, encoding="utf-8")
    code = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from fpx.cli.interrupts import remember_interrupts; remember_interrupts()\n"
        "sys.path.insert(0, sys.argv[1]); import torch"
    )
    fpx = [sys.executable, "-c", code, str(tmp_path)]
    result = subprocess.run(fpx, capture_output=True, text=True, timeout=PATIENCE)
    said = "fpx: interrupted\n"
    assert (result.returncode, result.stdout, result.stderr) == (130, "", said)


def test_a_process_that_was_interrupted_ends_once_threads_have() -> None:
    """Ctrl-C again would end the interpreter under them."""
    code = _FOUND.replace("WHAT", "signal.raise_signal(signal.SIGINT)") + (
        "finally:\n"
        "    import os, threading, time\n"
        "    threading.Thread(target=lambda: (time.sleep(0.4), print('finished'))).start()\n"
        "    threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()\n"
    )
    code = code.replace("import fpx.cli; fpx.cli.main()", "import fpx.cli\ntry: fpx.cli.main()")
    fpx = [sys.executable, "-c", code, "--help", "fpx.render.help"]
    result = subprocess.run(fpx, capture_output=True, text=True, timeout=PATIENCE)
    said = "fpx: interrupted\n"
    assert (result.returncode, result.stdout, result.stderr) == (130, "finished\n", said)


def test_an_interrupt_that_comes_too_late_changes_nothing() -> None:
    """Python gives its handlers up before it is gone, and then the signal would end it."""
    code = (
        "import atexit, signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "@atexit.register\n"
        "def last(): print(signal.getsignal(signal.SIGINT).name)\n"
        "import fpx.cli; fpx.cli.main()"
    )
    fpx = [sys.executable, "-c", code, "--version"]
    result = subprocess.run(fpx, capture_output=True, text=True, timeout=PATIENCE)
    assert (result.returncode, result.stdout.splitlines()[1:], result.stderr) == (
        0,
        ["SIG_IGN"],
        "",
    )


def test_main_remembers_interrupts() -> None:
    code = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); import fpx.cli\n"
        "try: fpx.cli.main()\n"
        "finally: print(signal.getsignal(signal.SIGINT).__module__)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.endswith("fpx.cli.interrupts\n")


def test_who_ignores_interrupts_is_not_interrupted() -> None:
    code = (
        "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN); import fpx.cli\n"
        "try: fpx.cli.main()\n"
        "finally: signal.raise_signal(signal.SIGINT); print('on')"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.endswith("on\n")
