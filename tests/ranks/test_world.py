from __future__ import annotations

import pytest

from fpx.errors import InputError
from fpx.ranks.world import World

LAUNCHED = {"RANK": "1", "WORLD_SIZE": "3", "MASTER_ADDR": "here", "MASTER_PORT": "29500"}


def test_what_a_launcher_says() -> None:
    assert World.of(LAUNCHED) == World(1, 3)
    local = {"LOCAL_RANK": "2", "LOCAL_WORLD_SIZE": "4"}
    assert World.of(LAUNCHED | local) == World(1, 3, local_rank=2, local_size=4)


@pytest.mark.parametrize("name", LAUNCHED)
def test_without_all_of_it_there_is_one_process(name: str) -> None:
    assert World.of({key: text for key, text in LAUNCHED.items() if key != name}) is None
    assert World.of(LAUNCHED | {name: ""}) is None


def test_one_process_is_no_team() -> None:
    assert World.of(LAUNCHED | {"RANK": "0", "WORLD_SIZE": "1"}) is None


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"RANK": "3"}, "RANK is 3 and WORLD_SIZE 3: ranks are 0 to 2"),
        ({"RANK": "-1"}, "RANK is '-1' in the environment, and must be a number"),
        ({"LOCAL_RANK": "x"}, "LOCAL_RANK is 'x' in the environment, and must be a number"),
    ],
)
def test_nonsense_is_refused(wrong: dict[str, str], why: str) -> None:
    with pytest.raises(InputError) as error:
        World.of(LAUNCHED | wrong)
    assert str(error.value) == why
