"""Commands that several processes do together, where a launcher such as torchrun started them."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from fpx.cli.failures import complain, note
from fpx.errors import FpxError

if TYPE_CHECKING:
    from fpx.ranks.team import Team

SHARED = ("cast-compare", "diff", "step-compare")
"""The commands that share their work; all others do not look at the environment."""

_Result = TypeVar("_Result")
_team: list[Team] = []  # of this process, if it has others beside it


def on_all_ranks(arguments: Sequence[str], command: Callable[[], Any]) -> Any:
    """Runs a command line, with the other processes of a run where there are some.

    Rank 0 alone parses it, reads files beside the tensors and says what is to be said. The others
    do what it asks for, in silence. All end with the same exit code.

    Args:
        arguments: the command line.
        command: parses and runs it here, and tells its exit code.
    """
    if not {*arguments[:1]} & {*SHARED}:
        return command()
    from fpx.ranks.world import World

    try:
        world = World.of(os.environ)
        if world is None:
            return command()
        # where a peer is gone, torch would print its own stack; it reads this when it is loaded
        os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
        from fpx.ranks.team import Team

        team = Team(world, note if world.rank == 0 else _silently, _say_lost)
    except FpxError as error:
        complain(str(error))  # each rank its own: nobody else hears of it
        return error.exit_code
    if team.rank:
        return team.serve()
    _team.append(team)
    try:
        code = command()
    finally:
        _team.clear()
    team.end(code if isinstance(code, int) else 0)
    return code


def together(
    function: Callable[..., _Result], *args: Any, here: Mapping[str, Any], **kinds: Any
) -> _Result:
    """Calls a function, and where there are other ranks, has them call it too.

    Args:
        function: of several processes, each is given its `Team` as `team`.
        args, kinds: what all call it with.
        here: what this process calls it with besides: what only rank 0 has use for.
    """
    if not _team:
        return function(*args, **kinds, **here)
    team = _team[0]
    team.run(function, args, kinds)
    return function(*args, **kinds, **here, team=team)


def has_ranks() -> bool:
    """Whether other processes share the work."""
    return bool(_team)


def _silently(line: str) -> None:
    """What ranks other than 0 say."""


def _say_lost(error: Exception) -> None:
    complain(str(error))
    if sys.stderr.isatty():
        sys.stderr.write("\x1b[?25h")  # a progress bar hid the cursor
        sys.stderr.flush()
