"""Which of several processes this is, by the environment that a launcher sets; loads no library."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fpx.errors import InputError
from fpx.words import quoted

_NEEDED = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")  # of torch.distributed's env://


@dataclass(frozen=True)
class World:
    """The processes of a run.

    Attributes:
        rank: the number of this one.
        size: how many there are.
        local_rank: its number among those of its machine.
        local_size: how many those are; None where the launcher does not tell.
    """

    rank: int
    size: int
    local_rank: int = 0
    local_size: int | None = None

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> World | None:
        """What an environment says; None where there is one process, or no launcher.

        Raises:
            InputError: what it says cannot be.
        """
        if not all(environment.get(name) for name in _NEEDED):
            return None
        rank, size = (_number(environment, name) for name in _NEEDED[:2])
        if size <= 1:
            return None
        if rank >= size:
            raise InputError(f"RANK is {rank} and WORLD_SIZE {size}: ranks are 0 to {size - 1}")
        given = {"LOCAL_RANK": 0} | {
            name: _number(environment, name)
            for name in ("LOCAL_RANK", "LOCAL_WORLD_SIZE")
            if environment.get(name)
        }
        return cls(rank, size, given["LOCAL_RANK"], given.get("LOCAL_WORLD_SIZE"))


def _number(environment: Mapping[str, str], name: str) -> int:
    text = environment[name].strip()
    if not (text.isascii() and text.isdigit()):
        raise InputError(f"{name} is {quoted(text)} in the environment, and must be a number")
    return int(text)
