"""References are kept, and only what is whole and meant is used."""

from __future__ import annotations

import os
import stat
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fpx.arithmetic.functions import store
from fpx.arithmetic.functions.catalogue import FUNCTIONS
from fpx.arithmetic.functions.codes import Codes
from fpx.core.spec import FormatSpec
from tests.helpers import BF16, E4M3, F16

COLUMNS = (np.arange(100),)
RESULTS = np.arange(100) * 3


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(store.FOLDER, str(tmp_path / "kept"))
    monkeypatch.setattr(store, "WORTHWHILE", 0.0)
    return tmp_path / "kept"


class Computing:
    """Computes, and counts how often."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> Codes:
        self.times += 1
        return RESULTS

    def ask(
        self, name: str = "exp", columns: tuple[Codes, ...] = COLUMNS, spec: FormatSpec = BF16
    ) -> int:
        """How often it has been asked, when that was answered."""
        found = store.kept(FUNCTIONS[name], columns, spec, self)
        assert (found == RESULTS).all()
        assert found.dtype == np.int64
        return self.times


def test_a_question_is_answered_once(folder: Path) -> None:
    asked = Computing()
    assert [asked.ask(), asked.ask(), asked.ask()] == [1, 1, 1]
    (file,) = folder.iterdir()
    assert b"fpx references" in file.read_bytes()
    assert stat.S_ISREG(file.stat().st_mode)


def test_another_question_is_another() -> None:
    asked = Computing()
    others = (np.arange(1, 101),)
    assert asked.ask() == 1
    assert asked.ask("exp2") == 2
    assert asked.ask(columns=others) == 3
    assert asked.ask(spec=F16) == 4
    assert asked.ask(spec=replace(BF16, bias=100)) == 5
    assert asked.ask("add", (COLUMNS[0], others[0])) == 6
    assert asked.ask("add", (others[0], COLUMNS[0])) == 7
    assert asked.ask(spec=replace(BF16, aliases=("other",))) == 7  # means the same
    assert asked.ask(spec=E4M3) == 8


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: content[:-1],
        lambda content: content + b"x",
        lambda content: content[:20],
        lambda content: content[:-9] + bytes([content[-9] ^ 1]) + content[-8:],
        lambda content: bytes([content[0] ^ 1]) + content[1:],
        lambda content: content[:60] + bytes([content[60] ^ 1]) + content[61:],
        lambda content: b"\x80\x04\x95" + content,
        lambda content: content[:40] + os.urandom(200),
    ],
)  # fmt: skip
def test_a_damaged_file_is_made_anew(folder: Path, damage: object) -> None:
    assert callable(damage)
    asked = Computing()
    asked.ask()
    (file,) = folder.iterdir()
    whole = file.read_bytes()
    file.write_bytes(damage(whole))
    assert [asked.ask(), asked.ask()] == [2, 2]
    assert file.read_bytes() == whole


def test_a_file_of_another_question_or_code_is_not_used(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = Computing()
    asked.ask()
    (file,) = folder.iterdir()
    content = file.read_bytes()
    asked.ask("exp2")
    (other,) = (path for path in folder.iterdir() if path != file)
    other.write_bytes(content)
    assert asked.ask("exp2") == 3
    monkeypatch.setattr(store, "_sources", lambda: "changed")
    assert asked.ask() == 4
    monkeypatch.setattr(store, "_sources", lambda: None)
    assert [asked.ask(), asked.ask()] == [5, 6]


def test_a_bomb_is_not_unpacked(folder: Path) -> None:
    """A body that is of the right digest but far too long when unpacked."""
    import hashlib
    import zlib

    asked = Computing()
    asked.ask()
    (file,) = folder.iterdir()
    head = file.read_bytes()[: len(b"fpx references 1\n") + 32 + 8]
    body = zlib.compress(bytes(1 << 19))  # some 500 bytes
    file.write_bytes(head + hashlib.sha256(body).digest() + body)
    assert asked.ask() == 2


@pytest.mark.parametrize("kind", ["file", "missing", "none"])
def test_a_directory_that_cannot_be_used_costs_time_alone(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("no directory")
    where = {"file": tmp_path / "file", "missing": tmp_path / "file" / "below", "none": ""}[kind]
    monkeypatch.setenv(store.FOLDER, str(where))
    asked = Computing()
    assert [asked.ask(), asked.ask()] == [1, 2]
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_read_only_directory(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.mkdir()
    asked = Computing()

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(store, "NamedTemporaryFile", refuse)  # root may write anywhere
    assert [asked.ask(), asked.ask()] == [1, 2]
    assert list(folder.iterdir()) == []


def test_a_full_disk_leaves_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Path, target: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    assert Computing().ask() == 1
    assert list(folder.iterdir()) == []


def test_what_is_quick_is_not_kept(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "WORTHWHILE", 60.0)
    asked = Computing()
    assert [asked.ask(), asked.ask()] == [1, 2]
    assert not folder.exists()


def test_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(store.FOLDER)
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert store.folder() == Path("/somewhere/fpx/references")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert store.folder() == Path.home() / ".cache" / "fpx" / "references"
    monkeypatch.setenv(store.FOLDER, "")
    assert store.folder() is None
