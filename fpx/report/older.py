"""The file of an older report, which a new one is compared with."""

from __future__ import annotations

from os import PathLike, fspath
from pathlib import Path

from fpx.errors import InputError
from fpx.words import cause, quoted_path

_LARGEST = 256 << 20  # bytes: some 100,000 tensors


def read_older(path: str | PathLike[str], argument: str) -> tuple[str, bytes]:
    """The name of a file, and what is in it.

    Args:
        path: of the file.
        argument: what messages call it, as `baseline`.

    Raises:
        InputError: it cannot be read, or is too large for a report.
    """
    name = fspath(path)
    try:
        with Path(name).open("rb") as file:
            text = file.read(_LARGEST + 1)
    except (OSError, ValueError) as error:  # ValueError: a name with a null character
        raise InputError(
            f"`{argument}`: {quoted_path(name)} cannot be read: {cause(error)}"
        ) from None
    if len(text) > _LARGEST:
        raise InputError(f"`{argument}`: {quoted_path(name)} is larger than {_LARGEST >> 20} MiB")
    return name, text
