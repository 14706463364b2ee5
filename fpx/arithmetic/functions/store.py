"""References kept between runs, as files in the user's cache directory.

A file is a head and compressed integers: nothing in it runs. It is used if it is whole, made for
the very question, and made by this very code; whatever else is there is as good as nothing, and a
directory that cannot be read or written only costs time.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
import zlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import fields
from functools import cache
from pathlib import Path
from tempfile import NamedTemporaryFile

import mpmath
import numpy as np

from fpx.arithmetic.functions.codes import Codes
from fpx.arithmetic.functions.function import Function
from fpx.core.spec import FormatSpec
from fpx.version import __version__

FOLDER = "FPX_CACHE_DIR"
"""The variable of the environment that names the directory; empty: nothing is kept."""

WORTHWHILE = 0.5
"""Seconds of computing from which on a result is kept."""

_MAGIC = b"fpx references 1\n"
_DIGEST = hashlib.sha256().digest_size
_LENGTH = 8  # bytes of the number of codes


def folder() -> Path | None:
    """Where references are kept; None if nowhere."""
    named = os.environ.get(FOLDER)
    if named is not None:
        return Path(named) if named else None
    with suppress(RuntimeError):  # no home
        if sys.platform == "win32":
            base = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
        elif sys.platform == "darwin":
            base = Path.home() / "Library" / "Caches"
        else:
            base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        return Path(base) / "fpx" / "references"
    return None


def kept(
    function: Function,
    columns: Sequence[Codes],
    spec: FormatSpec,
    compute: Callable[[], Codes],
) -> Codes:
    """What `compute` gives of these operands, from an earlier run if that is at hand."""
    where = folder()
    sources = _sources()
    if where is None or sources is None:
        return compute()
    key = _key(function, columns, spec, sources)
    path = where / f"{key.hex()[:40]}.bin"
    found = _read(path, key, len(columns[0]))
    if found is not None:
        return found
    start = time.perf_counter()
    found = compute()
    if time.perf_counter() - start >= WORTHWHILE:
        _write(path, key, found)
    return found


def _key(function: Function, columns: Sequence[Codes], spec: FormatSpec, sources: str) -> bytes:
    """A digest of the question and of the code that answers it."""
    operands = hashlib.sha256()
    for column in columns:
        operands.update(np.ascontiguousarray(column, "<i8").tobytes())
    shape = {
        field.name: str(getattr(spec, field.name))
        for field in fields(spec)
        if field.type in ("int", "bool", "NanEncoding")
    }
    versions = [__version__, mpmath.__version__, sources]
    question = [function.name, shape, len(columns), operands.hexdigest(), versions]
    return hashlib.sha256(json.dumps(question, sort_keys=True).encode()).digest()


@cache
def _sources() -> str | None:
    """A digest of the files beside this one; None where they are not to be read."""
    digest = hashlib.sha256()
    try:
        for path in sorted(Path(__file__).parent.glob("*.py")):
            digest.update(path.read_bytes())
    except OSError:
        return None
    return digest.hexdigest()


def _read(path: Path, key: bytes, count: int) -> Codes | None:
    head = _MAGIC + key + count.to_bytes(_LENGTH, "little")
    most = len(head) + _DIGEST + 9 * count + 1024  # what does not compress grows a little
    try:
        with path.open("rb") as file:
            content = file.read(most)
    except OSError:
        return None
    start = len(head) + _DIGEST
    body = content[start:]
    if not content.startswith(head) or hashlib.sha256(body).digest() != content[len(head) : start]:
        return None
    with suppress(zlib.error):
        unpacker = zlib.decompressobj()
        plain = unpacker.decompress(body, 8 * count)
        if len(plain) == 8 * count and unpacker.eof:
            return np.frombuffer(plain, "<i8").astype(np.int64)
    return None


def _write(path: Path, key: bytes, codes: Codes) -> None:
    body = zlib.compress(codes.astype("<i8").tobytes(), 1)
    head = _MAGIC + key + len(codes).to_bytes(_LENGTH, "little")
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile(dir=path.parent, prefix=".", delete=False) as file:
            try:
                file.write(head + hashlib.sha256(body).digest() + body)
                file.close()
                Path(file.name).replace(path)
            except OSError:
                Path(file.name).unlink(missing_ok=True)
                raise
