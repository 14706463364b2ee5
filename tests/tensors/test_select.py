"""Which tensors are chosen by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fpx.errors import InputError
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
