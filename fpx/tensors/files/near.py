"""Small stretches of a file, read together with what lies beside them."""

from __future__ import annotations

from pathlib import Path

from fpx.tensors.files.headers import ends_early

_STRETCH = 1 << 16
"""Bytes that are read at once, and kept until others are."""


SMALL = _STRETCH >> 4
"""Bytes of what is read so: what is longer is worth a read of its own."""


class Near:
    """A file of which small stretches are read one after the other, in about the file's order.

    It is open only while it is read.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._kept = (0, b"")  # in one, for threads: where it begins, and what is there

    def read(self, at: int, size: int) -> bytearray:
        """Bytes from a place on, at most SMALL; whoever gets them may write to them.

        Raises:
            InputError: the file ends before.
        """
        start, kept = self._kept
        if not start <= at <= start + len(kept) - size:
            with self._path.open("rb") as file:
                file.seek(at)
                kept = file.read(_STRETCH)
            if len(kept) < size:
                raise ends_early(str(self._path))
            start = at
            self._kept = start, kept
        return bytearray(kept[at - start : at - start + size])
