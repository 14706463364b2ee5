"""Work in threads: all of it once and in order, and none of it left behind by Ctrl-C or a fault."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

import pytest
import torch

from fpx.casts.sweep import check_flush_denormal, sweep
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
    assert len(work.begun) <= at + 2 * 8


@pytest.mark.parametrize(("held", "most"), [(False, 2 * 8), (True, 2 * 2)])
def test_few_pieces_are_asked_for_ahead(held: bool, most: int) -> None:
    asked: list[int] = []
    ahead: list[int] = []

    def pieces() -> Iterator[int]:
        for number in range(100):
            asked.append(number)
            yield number

    def done(number: int) -> None:
        ahead.append(len(asked) - number)

    sweep(lambda number: number, pieces(), 2, done, held=held)
    assert max(ahead) == most + 1  # the one that waits for its place


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
    cleaning = sorted(set(every))[-2:]  # two statements, which nothing can guard
    stages = [at for at, line in enumerate(every, 1) if line not in cleaning]
    assert len(stages) > 20
    threads = threading.active_count(), torch.get_num_threads()
    for at in stages:
        work, lines, interrupted = lines_of_a_sweep(at)
        assert interrupted
        assert lines[:at] == every[:at]
        assert work.told == [10 * number for number in range(len(work.told))]
        assert (threading.active_count(), torch.get_num_threads()) == threads


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
