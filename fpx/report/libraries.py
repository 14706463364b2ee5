"""What libraries' own casts make of a number, beside the exact result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from fpx.core.shortest import value_text
from fpx.core.spec import FormatSpec
from fpx.report.base import JsonValue, Report, hex_code
from fpx.report.columns import Table
from fpx.report.decode import DecodeReport


@dataclass(frozen=True)
class LibraryCast:
    """One library's cast of one number.

    Attributes:
        library, version: who cast.
        spec: the target.
        code: what it gave.
        agrees: whether that is the exact result; NaNs agree with any NaN.
        reason: why not, as far as the result tells; empty where it agrees.
    """

    library: str
    version: str
    spec: FormatSpec
    code: int
    agrees: bool
    reason: str

    @property
    def value(self) -> str:
        """The result's exact value, or `inf` or `nan`."""
        return value_text(self.code, self.spec)


_CAST_KEYS = ("library", "version", "input", "code", "value", "agrees", "reason")


@dataclass(frozen=True, eq=False, repr=False)
class LibraryReport(Report):
    """A number in a format, and what the libraries that have the format make of it.

    Attributes:
        exact: the exact result.
        source: the float64 that the libraries were given: the one nearest to the number.
        casts: one per library that has the cast.
        versions: library -> version, also of those without the cast.
    """

    schema: ClassVar[str] = "fpx.decode/1"

    exact: DecodeReport
    source: str
    casts: tuple[LibraryCast, ...]
    versions: Mapping[str, str]

    def environment(self) -> dict[str, JsonValue]:
        """The libraries' versions."""
        return dict(self.versions)

    def results(self) -> list[dict[str, JsonValue]]:
        """The entry of `DecodeReport`, with `libraries` in it."""
        (entry,) = self.exact.results()
        return [entry | {"libraries": [self._entry(cast) for cast in self.casts]}]

    def table(self) -> Table:
        """A row for each library: the columns of `DecodeReport`, then `cast.library` and so on."""
        exact = self.exact.table()
        casts = [self._entry(cast) for cast in self.casts] or [dict.fromkeys(_CAST_KEYS)]
        columns = (*exact.columns, *(f"cast.{key}" for key in _CAST_KEYS))
        return Table(columns, tuple((*exact.rows[0], *cast.values()) for cast in casts))

    def about(self) -> str:
        """Number, format and code."""
        return self.exact.about()

    def _entry(self, cast: LibraryCast) -> dict[str, JsonValue]:
        values = (
            cast.library, cast.version, self.source, hex_code(cast.code, cast.spec), cast.value,
            cast.agrees, cast.reason,
        )  # fmt: skip
        return dict(zip(_CAST_KEYS, values, strict=True))
