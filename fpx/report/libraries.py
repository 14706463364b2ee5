"""What libraries' own casts make of a number, beside the exact result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from fpx.core.shortest import value_text
from fpx.core.spec import FormatSpec
from fpx.report.base import JsonValue, Report, hex_code
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
        return [
            entry
            | {
                "libraries": [
                    {
                        "library": cast.library,
                        "version": cast.version,
                        "input": self.source,
                        "code": hex_code(cast.code, cast.spec),
                        "value": cast.value,
                        "agrees": cast.agrees,
                        "reason": cast.reason,
                    }
                    for cast in self.casts
                ]
            }
        ]
