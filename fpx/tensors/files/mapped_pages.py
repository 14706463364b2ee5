"""The memory that maps a file, given back while it is read."""

from __future__ import annotations

import ctypes
import mmap
import sys
from pathlib import Path

RELEASE_EVERY = 64 << 20  # bytes read between two releases of mapped pages
_MADV_DONTNEED = 4  # Linux; the pages are read from the file again if they are needed again


class Pages:
    """The memory that maps a file, to be given back once it was read.

    Pages of a mapped file count as the process's memory until the system wants them back, so that
    reading a large file would look (and in a container be) as expensive as loading it. Does nothing
    where the system tells no mappings (/proc/self/maps).
    """

    def __init__(self, path: Path) -> None:
        self._ranges: list[tuple[int, int]] = []
        self._since = 0
        if sys.platform != "linux":
            return
        wanted = path.stat()
        # another file may have the same number, on another device
        shown = str(path.resolve()).replace("\n", "\\012")
        with open("/proc/self/maps", encoding="utf-8", errors="surrogateescape") as maps:  # noqa: PTH123
            for line in maps:
                addresses, permissions, _, _, inode, *where = line.rstrip("\n").split(maxsplit=5)
                # a private mapping that nobody wrote to: dropping its pages loses nothing
                same = int(inode) == wanted.st_ino and where == [shown]
                if same and permissions.endswith("p"):
                    start, end = (int(address, 16) for address in addresses.split("-"))
                    self._ranges.append((start, end))
        self._madvise = ctypes.CDLL(None, use_errno=True).madvise

    def read(self, nbytes: int) -> None:
        """Hears that so many bytes more were read, and now and then gives back what was."""
        self._since += nbytes
        if self._since >= RELEASE_EVERY:
            self._since = 0
            self._release()

    def _release(self) -> None:
        for start, end in self._ranges:
            assert start % mmap.PAGESIZE == 0
            self._madvise(
                ctypes.c_void_p(start), ctypes.c_size_t(end - start), ctypes.c_int(_MADV_DONTNEED)
            )
