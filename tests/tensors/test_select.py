"""Which tensors are chosen by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fpx.errors import InputError
from tests.helpers import results
from tests.tensors.reading import report_of
from tests.writers import sharded


def test_include_and_exclude(tmp_path: Path) -> None:
    index = sharded(tmp_path)

    def names(**kinds: Any) -> set[str]:
        return {row.tensor for row in report_of(index, **kinds).rows}

    assert names(include=["*.weight"]) == {"a.weight", "b.weight"}
    assert names(include=["a.*"], exclude=["re:bias$"]) == {"a.weight"}
    assert names(exclude=["re:^a"]) == {"b.weight"}
    for bad in ({"include": ["nothing"]}, {"include": ["re:("]}):
        with pytest.raises(InputError):
            report_of(index, **bad)


@pytest.mark.parametrize("command", ["cast-compare", "inspect"])
@pytest.mark.parametrize(
    ("options", "left"),
    [
        ([], {"a.weight", "a.bias", "b.weight"}),
        (["--include", "a.*"], {"a.weight", "a.bias"}),
        (["--include", "a.bias", "--include", "b.*"], {"a.bias", "b.weight"}),
        (["--exclude", "a.bias"], {"a.weight", "b.weight"}),
        (["--exclude", "a.bias", "--exclude", "b.*"], {"a.weight"}),
        (["--include", "re:weight", "--exclude", "b.*"], {"a.weight"}),
    ],
)
def test_the_commands_choose_so(
    command: str, options: list[str], left: set[str], tmp_path: Path
) -> None:
    rows = results(command, sharded(tmp_path), *options)
    assert {row["tensor"] for row in rows} == left
