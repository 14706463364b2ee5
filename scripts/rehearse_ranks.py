"""What many ranks would do with a checkpoint far larger than this machine.

Everything is the real thing, but for the data: the files are headers and holes, and what a rank
finds in a tensor is what it finds in a small random one. The ranks run one after the other, so each
has the machine to itself.
"""

from __future__ import annotations

import argparse
import json
import pickle
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast
from unittest.mock import patch

import torch

from fpx.core.targets import find_target
from fpx.measure import cast_compare as module
from fpx.measure.block import SourceBlock
from fpx.measure.cast_compare import cast_compare
from fpx.measure.casting import Casting
from fpx.measure.metrics import measure
from fpx.measure.stats import CastStats
from fpx.ranks.team import HandedOverError, Team
from fpx.tensors.entry import TensorEntry

TARGETS = ("float16", "bfloat16")
LAYERS = 50  # tensors of a file
SMALL = 1 << 12  # elements of what is measured in the place of a tensor


class Rehearsed:
    """A rank whose peers said what they have to say before; what it says is kept.

    Args:
        rank, size: which of how many.
        said: what each rank gave in each exchange.
    """

    def __init__(self, rank: int, size: int, said: list[dict[int, bytes]]) -> None:
        self.rank, self.size = rank, size
        self._said, self._at = said, 0
        self.work = 0.0  # seconds until the last exchange began
        self._started = time.perf_counter()

    def device(self, name: str) -> str:
        """The CPU."""
        return name

    def spread(self, work: Callable[[Any], Any], items: Sequence[Any], names: Sequence[str]) -> Any:
        """As of a `Team`."""
        return Team.spread(cast("Team", self), work, items, names)

    def share(self, value: Any) -> Any:
        """What all give; what is not known yet is as good as empty."""
        return [pickle.loads(each) for each in self._exchange(value)]  # noqa: S301

    def gather(self, value: Any) -> Any:
        """As of a `Team`."""
        said = self._exchange(value)
        if self.rank:
            raise HandedOverError
        return [pickle.loads(each) for each in said]  # noqa: S301

    def _exchange(self, value: Any) -> list[bytes]:
        heard = self._said[self._at]
        self._at += 1
        heard[self.rank] = pickle.dumps(value)
        self.work = time.perf_counter() - self._started
        self._started = time.perf_counter()
        if len(heard) < self.size and self._at == 1:
            raise _NotYetError
        return [heard[rank] for rank in sorted(heard)]


class _NotYetError(Exception):
    """Other ranks have not spoken yet."""


def checkpoint(folder: Path, files: int, size: int) -> None:
    """Writes a checkpoint of that many files and bytes, of bfloat16, without data."""
    each = size // files // LAYERS // 2 // 4096
    for number in range(files):
        entries = {
            f"model.layers.{number}.block.{layer}.weight": {
                "dtype": "BF16",
                "shape": [each, 4096],
                "data_offsets": [layer * each * 8192, (layer + 1) * each * 8192],
            }
            for layer in range(LAYERS)
        }
        header = json.dumps(entries).encode()
        with (folder / f"model-{number:05}.safetensors").open("wb") as file:
            file.write(len(header).to_bytes(8, "little") + header)
            file.truncate(8 + len(header) + LAYERS * each * 8192)


def measured(entry: TensorEntry, casts: Sequence[Casting], *_: object) -> None:
    """In the place of reading a tensor: the casts of a small one."""
    seen.append(entry.nbytes)
    x = torch.randn(SMALL, generator=torch.Generator().manual_seed(entry.nbytes)).bfloat16()
    source = SourceBlock(x)
    for each in casts:
        each.take(source, each.codes(x), lambda at: (entry.name, entry.index(at)), measure)


seen: list[int] = []


def merged(said: Sequence[bytes]) -> float:
    """Seconds in which what ranks found is read and added up."""
    started = time.perf_counter()
    total = CastStats()
    for each in said:
        for _, sent in pickle.loads(each):  # noqa: S301
            for stats in sent.stats:
                total.add(stats)
    return time.perf_counter() - started


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints what the rehearsal shows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ranks", type=int, default=64)
    parser.add_argument("--files", type=int, default=400)
    parser.add_argument("--size", type=float, default=1e12, help="bytes of the checkpoint")
    given = parser.parse_args(arguments)
    targets = [find_target(name) for name in TARGETS]
    said: list[dict[int, bytes]] = [{}, {}]

    def run(rank: int) -> tuple[Rehearsed, Any]:
        team = Rehearsed(rank, given.ranks, said)
        try:
            return team, cast_compare([folder], targets, team=cast("Team", team))
        except (HandedOverError, _NotYetError):
            return team, None

    with (
        tempfile.TemporaryDirectory() as name,
        patch.object(module, "cast_entry", measured),
    ):
        folder = Path(name)
        checkpoint(folder, given.files, int(given.size))
        run(0)  # imports
        headers = sorted(run(rank)[0].work for rank in range(given.ranks))
        shares = []
        for rank in reversed(range(given.ranks)):
            seen.clear()
            started = time.perf_counter()
            team, report = run(rank)
            shares.append((sum(seen), len(seen)))
    merging = time.perf_counter() - team._started
    opening = time.perf_counter() - started - merging
    added = merged([*said[1].values()])
    part = sum(size for size, _ in shares) / given.ranks
    loads = [size / part for size, _ in shares]
    pieces = sum(count for _, count in shares)
    tensors = given.files * LAYERS
    print(
        f"{given.ranks} ranks, {given.files} files, {tensors:,} tensors, {given.size / 1e12:g} TB"
    )
    middle, slowest = headers[len(headers) // 2], headers[-1]
    print(f"headers: {middle:.3f} s on a rank, {slowest:.3f} s on the slowest")
    sizes = [sum(map(len, each.values())) for each in said]
    print(f"headers exchanged: {sizes[0] / 1e6:.2f} MB, which every rank gets")
    print(f"plan: {pieces:,} pieces; a rank reads {min(loads):.4f} to {max(loads):.4f} of its part")
    print(f"before the first tensor is read: {opening:.2f} s on each rank")
    largest = max(map(len, said[1].values()))
    print(f"results: {sizes[1] / 1e6:.2f} MB in all, {largest / 1e6:.2f} MB of one rank")
    print(f"rank 0 merges them in {added:.2f} s; {merging:.2f} s with a report of ", end="")
    print(f"{len(report.rows):,} rows")


if __name__ == "__main__":
    main()
