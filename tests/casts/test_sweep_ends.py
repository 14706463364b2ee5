"""How work in threads ends: at a fault, whose turn it is or not, nothing more is begun or told."""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections.abc import Iterator

import pytest
import torch

from fpx.casts.sweep import pieces, sweep, threads_for

AHEAD = 16  # pieces for each thread that may be begun before the first is taken in


def test_one_core_has_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0}, raising=False)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    assert threads_for(100) == 1


@pytest.mark.parametrize("lasting", [True, False])
def test_blocks_that_do_not_last_are_copied(lasting: bool) -> None:
    held = torch.empty(3)

    def blocks() -> Iterator[torch.Tensor]:
        for number in range(3):
            yield held.fill_(number)[: number + 1]

    found = list(pieces(blocks(), lasting))
    assert [(start, len(block)) for start, block in found] == [(0, 1), (1, 2), (3, 3)]
    assert [block[0].item() for _, block in found] == ([2, 2, 2] if lasting else [0, 1, 2])
    assert (found[0][1].data_ptr() == held.data_ptr()) == lasting


@pytest.mark.parametrize("workers", [2, 3, 4])
def test_no_thread_goes_on_before_there_is_room(workers: int) -> None:
    """Each time that one takes its result in, those that wait look again."""
    begun: list[int] = []
    late = threading.Event()

    def work(number: int) -> int:
        begun.append(number)
        if not number:
            while len(begun) < workers * AHEAD:
                time.sleep(1e-3)
            time.sleep(0.1)
            assert len(begun) == workers * AHEAD
            late.set()
        return number

    told: list[int] = []
    sweep(work, range(200), workers, told.append)
    assert late.is_set()
    assert told == list(range(200))


def test_one_thread_at_a_time_asks_or_tells() -> None:
    inside = threading.Lock()

    def alone(number: int) -> int:
        assert inside.acquire(blocking=False)
        time.sleep(1e-4)
        inside.release()
        return number

    told: list[int] = []
    sweep(
        lambda number: number,
        (alone(number) for number in range(100)),
        4,
        lambda number: told.append(alone(number)),
    )
    assert told == list(range(100))


@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt])
def test_nothing_is_begun_once_a_piece_failed_whose_turn_is_to_come(
    kind: type[BaseException],
) -> None:
    begun: list[int] = []
    failed = threading.Event()

    def work(number: int) -> int:
        begun.append(number)
        if number:
            failed.set()
            raise kind
        assert failed.wait(60)
        time.sleep(0.1)  # in which the other thread could begin many
        return number

    told: list[int] = []
    with pytest.raises(kind):
        sweep(work, range(100), 2, told.append)
    assert (sorted(begun), told) == ([0, 1], [0])


@pytest.mark.parametrize("workers", [2, 4])
def test_a_fault_ends_all_threads_that_wait(workers: int) -> None:
    """Those of the pieces before, too, for the first of which the caller waits."""
    begun: list[int] = []
    together = threading.Barrier(workers)

    def work(number: int) -> int:
        begun.append(number)
        if number < workers:
            together.wait(20)
        if number == workers - 1:
            while len(begun) < workers - 1 + workers * AHEAD:
                time.sleep(1e-3)
            time.sleep(0.1)
            raise ValueError("a fault")
        return number

    told: list[int] = []
    with pytest.raises(ValueError, match="a fault"):
        sweep(work, range(1000), workers, told.append)
    assert told == list(range(workers - 1))
    assert len(begun) == workers - 1 + workers * AHEAD


class _Counts:
    """An iterator that fails once, and would go on."""

    def __init__(self, fails_at: int, kind: type[BaseException]) -> None:
        self.asked = -1
        self._fails_at = fails_at
        self._kind = kind

    def __iter__(self) -> _Counts:
        return self

    def __next__(self) -> int:
        self.asked += 1
        if self.asked == self._fails_at:
            raise self._kind
        if self.asked == 100:
            raise StopIteration
        return self.asked


@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt])
def test_nothing_is_asked_for_once_asking_failed(kind: type[BaseException]) -> None:
    failing, late = _Counts(2, kind), threading.Event()

    def work(number: int) -> int:
        if not number:
            while failing.asked < 2:
                time.sleep(1e-3)
            late.wait(0.1)
        return number

    told: list[int] = []
    with pytest.raises(kind):
        sweep(work, failing, 3, told.append)
    assert (failing.asked, told) == (2, [0, 1])


@pytest.mark.parametrize("at", [0, 1])
def test_nothing_is_told_or_begun_once_taking_in_failed(at: int) -> None:
    """Of two threads, each of which takes one of the first two pieces, the other ends by itself."""
    failed, next_begun, together = threading.Event(), threading.Event(), threading.Barrier(2)
    begun: list[int] = []
    told: list[int] = []

    def work(number: int) -> int:
        begun.append(number)
        if number < 2:
            together.wait(20)
        if number == at:
            assert next_begun.wait(20)
        if number > at:
            next_begun.set()  # a thread each has this and the one that fails
            assert failed.wait(20)
            time.sleep(0.1)
        return number

    def done(number: int) -> None:
        if number == at:
            failed.set()
            raise ValueError("a fault")
        told.append(number)

    with pytest.raises(ValueError, match="a fault"):
        sweep(work, range(20), 2, done)
    assert sorted(begun) == list(range(at + 2))
    assert told == list(range(at))


@pytest.mark.parametrize("where", ["pieces", "work", "done"])
@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, ValueError])
def test_whatever_is_raised_is_the_callers(kind: type[BaseException], where: str) -> None:
    def fails(place: str, number: int) -> int:
        if place == where and number == 3:
            raise kind
        return number

    told: list[int] = []
    with pytest.raises(kind):
        sweep(
            lambda number: fails("work", number),
            (fails("pieces", number) for number in range(100)),
            2,
            lambda number: told.append(fails("done", number)),
        )
    assert told == [0, 1, 2]


@pytest.mark.parametrize("threads", [1, 3])
def test_threads_to_come_have_torchs_cores(threads: int) -> None:
    seen: list[int] = []
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        sweep(lambda number: number, range(3), 2, lambda _: None)
        other = threading.Thread(target=lambda: seen.append(torch.get_num_threads()))
        other.start()
        other.join()
    finally:
        torch.set_num_threads(before)
    assert seen == [threads]


class _Held:
    """What can be referred to weakly."""


def test_results_are_let_go_of_when_they_are_taken_in() -> None:
    taken: list[weakref.ref[_Held]] = []
    most = 0

    def done(result: _Held) -> None:
        nonlocal most
        taken.append(weakref.ref(result))
        most = max(most, sum(each() is not None for each in taken))

    sweep(lambda _: _Held(), range(100), 2, done)
    assert len(taken) == 100
    assert most <= 5


def test_pieces_are_let_go_of_before_the_next_is_asked_for() -> None:
    made: list[weakref.ref[_Held]] = []
    most = 0

    def given() -> Iterator[_Held]:
        nonlocal most
        for _ in range(100):
            piece = _Held()
            made.append(weakref.ref(piece))
            most = max(most, sum(each() is not None for each in made))
            yield piece
            del piece

    sweep(lambda _: 0, given(), 1, lambda _: None)
    assert len(made) == 100
    assert most == 1
