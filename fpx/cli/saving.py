"""Files that are there whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from fpx.errors import InputError
from fpx.words import quoted_path


@contextmanager
def replacing(path: str) -> Iterator[TextIO]:
    """A stream whose text becomes the file when the block ends well; else the file stays as it was.

    What is written goes to a temporary file in the same folder, which then takes the file's name;
    its mode is what the umask gives. A link is followed: it keeps pointing at the file.

    Raises:
        OSError: it cannot be written.
    """
    target = Path(os.path.realpath(path))
    draft = target.with_name(f".fpx-{os.urandom(8).hex()}.tmp")
    number = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        with os.fdopen(number, "w", encoding="utf-8", newline="") as out:
            yield out
            out.flush()
            os.fsync(number)
        draft.replace(target)
    except BaseException:
        with suppress(FileNotFoundError):
            draft.unlink()
        raise


def check_writable(path: str) -> None:
    """Tells before the work what would go wrong after it.

    Raises:
        InputError: no such file can be written there.
    """
    target = Path(os.path.realpath(path))
    shown = quoted_path(path)
    try:
        if target.is_dir():
            raise InputError(f"`save`: {shown} is a folder: name a file")
        if not target.parent.is_dir():
            folder = quoted_path(target.parent)
            raise InputError(f"`save`: {shown} cannot be written: there is no folder {folder}")
        if target.exists() and not (target.is_file() and os.access(target, os.W_OK)):
            raise InputError(f"`save`: {shown} is there already and may not be replaced")
        draft = target.with_name(f".fpx-{os.urandom(8).hex()}.tmp")
        os.close(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
        draft.unlink()
    except OSError as error:
        raise InputError(f"`save`: {shown} cannot be written: {error.strerror}") from None
