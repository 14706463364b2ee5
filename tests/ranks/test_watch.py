from __future__ import annotations

import threading
from typing import Any

import pytest

from fpx.ranks.watch import Watch
from fpx.ranks.wire import LostError, SharedStore
from tests.helpers import PATIENCE

EVERY = 0.01


class Held:
    """torch's store, as a dict; or gone."""

    def __init__(self) -> None:
        self.texts: dict[str, bytes] = {}
        self.gone = False

    def set(self, key: str, text: str) -> None:
        self.check([])
        self.texts[key] = text.encode()

    def check(self, keys: list[str]) -> bool:
        if self.gone:
            raise RuntimeError("Connection reset by peer")
        return all(key in self.texts for key in keys)

    def get(self, key: str) -> bytes:
        return self.texts[key]


class Watched:
    """A rank that is watched over, and what its watch said."""

    def __init__(self, store: Any, rank: int, size: int) -> None:
        self.said: list[object] = []
        self.ended = threading.Event()
        self.watch = Watch(
            SharedStore(store), rank, size, self.note, self.note, every=EVERY, patience=20 * EVERY
        )
        self.watch.start()

    def note(self, what: object) -> None:
        self.said.append(what)
        self.ended.set()


def lost(found: Watched) -> int | None:
    assert found.ended.wait(PATIENCE)
    (error,) = found.said
    assert isinstance(error, LostError)
    return error.rank


def test_who_gives_signs_of_life_is_not_lost() -> None:
    store = Held()
    ranks = [Watched(store, rank, 3) for rank in range(3)]
    assert not ranks[0].ended.wait(60 * EVERY)
    for each in ranks:
        each.watch.stop()
    assert [each.said for each in ranks] == [[], [], []]


@pytest.mark.parametrize(("silent", "who"), [(1, 0), (2, 0), (0, 1), (0, 2)])
def test_who_gives_none_is(silent: int, who: int) -> None:
    store = Held()
    ranks = {rank: Watched(store, rank, 3) for rank in range(3) if rank != silent}
    assert lost(ranks[who]) == silent
    for each in ranks.values():
        each.watch.stop()


def test_who_stops_in_the_middle_is() -> None:
    store = Held()
    ranks = [Watched(store, rank, 2) for rank in range(2)]
    assert not ranks[0].ended.wait(10 * EVERY)
    ranks[1].watch.stop()
    assert lost(ranks[0]) == 1


def test_when_rank_0_gives_up_all_end_with_its_code() -> None:
    store = Held()
    ranks = [Watched(store, rank, 3) for rank in range(3)]
    assert ranks[1].watch.code() is None
    ranks[0].watch.give_up(70)
    ranks[0].watch.stop()
    for each in ranks[1:]:
        assert each.ended.wait(PATIENCE)
        assert each.said == [70]
    assert ranks[1].watch.code() == 70


def test_without_the_store_rank_0_is_lost() -> None:
    store = Held()
    found = Watched(store, 1, 2)
    store.gone = True
    assert lost(found) == 0
    assert found.watch.code() is None
