"""Work in threads: all of it once and in order, and none of it left behind by Ctrl-C or a fault."""

from __future__ import annotations

import linecache
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

import pytest
import torch

from fpx.casts.sweep import _Queue, check_flush_denormal, sweep, threads_for
from fpx.errors import UnavailableError


class Work:
    """Work that says what it did."""

    def __init__(self, fails_at: int = -1) -> None:
        self.fails_at = fails_at
        self.begun: list[int] = []
        self.told: list[int] = []

    def __call__(self, number: int) -> int:
        self.begun.append(number)
        if number == self.fails_at:
            raise ValueError(f"fault at {number}")
        return 10 * number

    def sweep(self, count: int, workers: int, **more: Any) -> None:
        sweep(self, range(count), workers, self.told.append, **more)


@pytest.fixture(autouse=True)
def _nothing_is_left() -> Any:
    before = set(threading.enumerate()), torch.get_num_threads()
    yield
    assert (set(threading.enumerate()), torch.get_num_threads()) == before


@pytest.mark.parametrize("workers", [1, 2, 5])
@pytest.mark.parametrize("count", [0, 1, 4, 100])
def test_all_is_done_once_and_told_in_order(count: int, workers: int) -> None:
    work = Work()
    work.sweep(count, workers)
    assert sorted(work.begun) == list(range(count))
    assert work.told == [10 * number for number in range(count)]


@pytest.mark.parametrize("at", [0, 1, 50, 99])
def test_a_fault_in_a_thread_is_the_callers(at: int) -> None:
    work = Work(fails_at=at)
    with pytest.raises(ValueError, match=f"fault at {at}"):
        work.sweep(100, 2)
    assert work.told == [10 * number for number in range(at)]
    assert len(work.begun) <= at + 2 * 16


def test_few_results_wait_for_the_one_before_them() -> None:
    """Threads that are far ahead of one that is slow wait for it."""
    begun: list[int] = []
    late = threading.Event()

    def work(number: int) -> int:
        begun.append(number)
        if not number:
            assert late.wait(60)
        return number

    def pieces() -> Iterator[int]:
        for number in range(100):
            if number == 2 * 16 - 1:  # the last for which there is room
                threading.Timer(0.2, late.set).start()
            assert number < 2 * 16 or late.is_set()
            yield number

    told: list[int] = []
    sweep(work, pieces(), 2, told.append)
    assert told == list(range(100))


def test_a_piece_is_asked_for_when_a_thread_is_free() -> None:
    """Pieces hold memory: there are never more than there are threads."""
    held, most = 0, 0
    lock = threading.Lock()

    def pieces() -> Iterator[int]:
        nonlocal held, most
        for number in range(100):
            with lock:
                held += 1
                most = max(most, held)
            yield number

    def work(number: int) -> int:
        nonlocal held
        with lock:
            held -= 1
        return number

    sweep(work, pieces(), 3, lambda _: None)
    assert held == 0
    assert most <= 3


@pytest.mark.parametrize("at", [0, 1, 50, 99])
def test_a_fault_in_the_pieces_is_the_callers(at: int) -> None:
    def pieces() -> Iterator[int]:
        yield from range(at)
        raise ValueError(f"fault at {at}")

    told: list[int] = []
    with pytest.raises(ValueError, match=f"fault at {at}"):
        sweep(lambda number: number, pieces(), 2, told.append)
    assert told == list(range(at))


@pytest.mark.parametrize("at", [0, 1, 50, 99])
def test_a_fault_in_taking_in_is_the_callers(at: int) -> None:
    told: list[int] = []

    def done(number: int) -> None:
        if number == at:
            raise ValueError(f"fault at {at}")
        told.append(number)

    with pytest.raises(ValueError, match=f"fault at {at}"):
        sweep(lambda number: number, range(100), 2, done)
    assert told == list(range(at))


def test_a_fault_ends_threads_that_wait() -> None:
    """Those that are far ahead of a piece that fails wait for its turn."""
    begun: list[int] = []
    ahead = threading.Event()

    def work(number: int) -> int:
        begun.append(number)
        if len(begun) == 2 * 16:
            ahead.set()
        if not number:
            assert ahead.wait(60)
            time.sleep(0.1)
            raise ValueError("fault at 0")
        return number

    with pytest.raises(ValueError, match="fault at 0"):
        sweep(work, range(100), 2, lambda _: None)
    assert len(begun) == 2 * 16


def test_one_thread_more_where_torch_has_every_core(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2}, raising=False)
    for threads, expected in ((1, 1), (2, 2), (3, 4), (4, 4)):
        monkeypatch.setattr(torch, "get_num_threads", lambda threads=threads: threads)
        assert [threads_for(pieces) for pieces in (0, 1, 2, 100)] == [
            1, 1, min(2, expected), expected,
        ]  # fmt: skip
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    assert threads_for(100) == 5


def test_no_more_is_begun_than_threads_need() -> None:
    """Of 2^14 blocks, most are not even made when Ctrl-C comes."""
    begun: list[int] = []

    def interrupted(_: int) -> None:
        raise KeyboardInterrupt

    def work(number: int) -> int:
        begun.append(number)
        return number

    with pytest.raises(KeyboardInterrupt):
        sweep(work, range(1 << 14), 2, interrupted)
    assert len(begun) <= 4


def interrupting(at: int) -> tuple[Callable[..., Any], list[int]]:
    """A trace function that raises KeyboardInterrupt before the at-th line that `sweep` runs."""
    lines: list[int] = []

    def in_sweep(frame: FrameType, event: str, _: object) -> Any:
        if event == "line":
            lines.append(frame.f_lineno)
            if len(lines) == at:
                raise KeyboardInterrupt
        return in_sweep

    def trace(frame: FrameType, event: str, _: object) -> Any:
        return in_sweep if frame.f_code is sweep.__code__ else None

    return trace, lines


def lines_of_a_sweep(at: int = -1) -> tuple[Work, list[int], bool]:
    """A sweep that is interrupted before its at-th line: (work, lines it ran, interrupted)."""
    work = Work()
    trace, lines = interrupting(at)
    old = sys.gettrace()
    sys.settrace(trace)
    try:
        work.sweep(5, 2)
    except KeyboardInterrupt:
        return work, lines, True
    finally:
        sys.settrace(old)
    return work, lines, False


def test_ctrl_c_at_every_line() -> None:
    _, every, interrupted = lines_of_a_sweep()
    assert not interrupted
    cleaning = sorted(set(every))[-4:]  # which nothing can guard
    stages = [at for at, line in enumerate(every, 1) if line not in cleaning]
    assert len(stages) >= 8
    threads = threading.active_count(), torch.get_num_threads()
    for at in stages:
        work, lines, interrupted = lines_of_a_sweep(at)
        assert interrupted
        assert lines[:at] == every[:at]
        assert work.told == [10 * number for number in range(len(work.told))]
        assert (threading.active_count(), torch.get_num_threads()) == threads


@pytest.mark.parametrize("line", ["with self._turn:", "self._turn.notify_all()"])
def test_ctrl_c_twice(line: str) -> None:
    """The second comes while the queue closes: no more is begun all the same."""
    begun: list[int] = []
    raised: list[str] = []
    main = threading.get_ident()

    def interrupt(frame: FrameType, event: str, _: object) -> Any:
        here = linecache.getline(frame.f_code.co_filename, frame.f_lineno).strip()
        if event == "line" and here == line:
            raised.append(here)
            raise KeyboardInterrupt
        return interrupt

    def trace(frame: FrameType, event: str, _: object) -> Any:
        return interrupt if frame.f_code is _Queue.close.__code__ else None

    def work(number: int) -> None:
        begun.append(number)
        if number == 10:
            signal.pthread_kill(main, signal.SIGINT)
        time.sleep(1e-3)

    old = sys.gettrace()
    sys.settrace(trace)
    try:
        with pytest.raises(KeyboardInterrupt):
            sweep(work, range(1 << 14), 2, lambda _: None)
    finally:
        sys.settrace(old)
    assert raised == [line]
    assert len(begun) < 1 << 10


def test_what_is_under_way_is_finished() -> None:
    begun, finished = threading.Event(), threading.Event()

    def work(number: int) -> int:
        if number:
            begun.set()
            time.sleep(0.2)
            finished.set()
        else:
            assert begun.wait(60)
        return number

    def interrupted(_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sweep(work, range(2), 2, interrupted)
    assert finished.is_set()


def test_torch_uses_one_core_in_each_thread() -> None:
    seen: list[int] = []

    def work(_: int) -> int:
        seen.append(torch.get_num_threads())
        return 0

    sweep(work, range(8), 2, lambda _: None)
    assert set(seen) == {1}


def flushes() -> bool:
    """Whether this thread's casts flush subnormals."""
    x = torch.tensor([2.0**-130], dtype=torch.float64)
    return not x.to(torch.float32).item()


def test_the_mode_is_the_threads_own() -> None:
    try:
        check_flush_denormal()
    except UnavailableError:
        pytest.skip("this processor has no flush-to-zero mode")
    assert not flushes()
    for mode in (True, False):
        seen: list[bool] = []

        def work(_: int, seen: list[bool] = seen) -> int:
            seen.append(flushes())
            return 0

        sweep(work, range(4), 2, lambda _: None, flush_denormal=mode)
        assert set(seen) == {mode}
        assert not flushes()


def test_a_callers_mode_does_not_reach_the_threads() -> None:
    if not torch.set_flush_denormal(True):
        pytest.skip("this processor has no flush-to-zero mode")
    try:
        seen: list[bool] = []

        def work(_: int) -> int:
            seen.append(flushes())
            return 0

        sweep(work, range(4), 2, lambda _: None)
        check_flush_denormal()
        assert set(seen) == {False}
        assert flushes()
    finally:
        torch.set_flush_denormal(False)
