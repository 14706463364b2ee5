"""Teams for tests: ranks as threads of this process, and as processes started by hand."""

from __future__ import annotations

import math
import os
import pickle
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, cast

from fpx.ranks.team import HandedOverError, Team
from tests.forks import with_torch
from tests.helpers import PATIENCE


class Exchange:
    """What the threads of a rehearsal tell each other, and how many bytes that were."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.barrier = threading.Barrier(size, timeout=PATIENCE)
        self.said: list[bytes] = [b""] * size
        self.gathered = self.shared = 0
        self.work: list[list[str]] = [[] for _ in range(size)]


class Rehearsal:
    """A rank that is a thread: as `Team`, with everything pickled on its way."""

    def __init__(self, exchange: Exchange, rank: int) -> None:
        self._exchange, self.rank, self.size = exchange, rank, exchange.size

    device = staticmethod(lambda name: name)

    def spread(
        self, work: Callable[[Any], Any], items: Sequence[Any], names: Sequence[str]
    ) -> list[Any]:
        self._exchange.work[self.rank] = []
        return Team.spread(cast("Team", self), self._noted(work, names, items), items, names)

    def _noted(
        self, work: Callable[[Any], Any], names: Sequence[str], items: Sequence[Any]
    ) -> Callable[[Any], Any]:
        def noted(item: Any) -> Any:
            self._exchange.work[self.rank].append(names[items.index(item)])
            return work(item)

        return noted

    def share(self, value: Any) -> list[Any]:
        exchange = self._exchange
        exchange.said[self.rank] = pickle.dumps(value)
        exchange.barrier.wait()
        found = [pickle.loads(each) for each in exchange.said]
        if not self.rank:
            exchange.shared += sum(map(len, exchange.said))
        exchange.barrier.wait()
        return found

    def gather(self, value: Any) -> list[Any]:
        exchange = self._exchange
        exchange.said[self.rank] = pickle.dumps(value)
        exchange.barrier.wait()
        if self.rank:
            raise HandedOverError
        exchange.gathered += sum(map(len, exchange.said[1:]))
        return [pickle.loads(each) for each in exchange.said]


def rehearse(ranks: int, call: Callable[[Any], Any]) -> tuple[Any, Exchange]:
    """What `call` gives on rank 0 when every rank calls it with its team, and the exchange."""
    exchange = Exchange(ranks)
    failed: list[BaseException] = []
    results: list[Any] = []

    def work(rank: int) -> None:
        try:
            results.append(call(Rehearsal(exchange, rank)))
        except HandedOverError:
            pass
        except BaseException as error:  # noqa: BLE001 - told below
            failed.append(error)
            exchange.barrier.abort()

    threads = [threading.Thread(target=work, args=(rank,)) for rank in range(ranks)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    failed.sort(key=lambda error: isinstance(error, threading.BrokenBarrierError))
    if failed:
        raise failed[0]
    (result,) = results
    return result, exchange


class Ended(NamedTuple):
    """How a process ended."""

    code: int
    out: str
    err: str


def launch(
    ranks: int, *args: object, planted: str = "", cwd: Any = None, fresh: bool = False
) -> list[Ended]:
    """A command on that many ranks, each a process; `planted` is code that each runs before.

    Of a `fresh` one, torch is imported by the command itself.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    code = f"import sys; sys.argv = ['fpx', *{[*map(str, args)]!r}]\n{planted}\n"
    code += "import fpx.cli; fpx.cli.main()"
    python = [sys.executable, "-P"] if fresh else with_torch()
    started = []
    for rank in range(ranks):
        numbers = {"RANK": rank, "WORLD_SIZE": ranks, "LOCAL_RANK": rank, "MASTER_PORT": port}
        env = os.environ | {"MASTER_ADDR": "127.0.0.1", "OMP_NUM_THREADS": "1"}
        env |= {name: str(value) for name, value in numbers.items()}
        process = subprocess.Popen(
            [*python, "-c", code],
            env=env,
            text=True,
            cwd=cwd,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        started.append(process)
    try:
        told = [process.communicate(timeout=PATIENCE) for process in started]
    finally:
        for process in started:
            process.kill()
    return [Ended(process.returncode, *said) for process, said in zip(started, told, strict=True)]


def close(one: Any, many: Any, path: str = "") -> None:
    """Equal, but for the last bits of sums."""
    if isinstance(one, dict):
        assert list(one) == list(many), path
        for key in one:
            close(one[key], many[key], f"{path}.{key}")
    elif isinstance(one, list):
        assert len(one) == len(many), path
        for at, pair in enumerate(zip(one, many, strict=True)):
            close(*pair, f"{path}[{at}]")
    elif isinstance(one, float) and path.endswith(SUMS):
        assert math.isclose(one, many, rel_tol=1e-12, abs_tol=1e-12), path
    else:
        assert one == many, path


SUMS = ("_db", "mean_error_ulp", "rms_error", "expected_overflow_count", "expected_overflow_rate",
        "expected_underflow_count", "expected_underflow_rate", "expected_moved_count")  # fmt: skip
