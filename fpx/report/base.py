"""What every report is: plain data on demand, and a picture that `fpx.render` draws."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from enum import Enum
from typing import Any, ClassVar

from fpx.core.dyadic import Dyadic
from fpx.core.spec import FormatSpec

JsonValue = Any
"""None, bool, int, float, str, or a list or dict of these."""


class Report:
    """Base of every report.

    Attributes:
        schema: name and version of the JSON form; removing or renaming a key raises the number.
        renderer: turns a report into a rich renderable. `fpx/__init__.py` sets it, so that this
            module need not know rich.
        notebook: turns a report into a notebook's bundle of MIME types; set likewise.
    """

    schema: ClassVar[str]
    renderer: ClassVar[Callable[[Report], Any]]
    notebook: ClassVar[Callable[[Report], dict[str, str]]]

    def results(self) -> list[dict[str, JsonValue]]:
        """The entries of the JSON document's `results`."""
        return [to_json(self)]

    def environment(self) -> dict[str, JsonValue]:
        """The entries of the JSON document's `environment`."""
        return {}

    def to_dict(self, version: str = "") -> dict[str, JsonValue]:
        """The whole JSON document, as plain data that `json.dumps(…, allow_nan=False)` takes."""
        return {
            "schema": self.schema,
            "fpx": version,
            "environment": self.environment(),
            "results": self.results(),
        }

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        """What a notebook shows."""
        return Report.notebook(self)

    def __rich__(self) -> Any:
        """What `rich.print` shows."""
        return Report.renderer(self)


def to_json(value: Any) -> JsonValue:
    """Plain JSON data for dataclasses, enums, mappings, sequences and floats (recursively).

    A dataclass field whose name ends in `_` (Python's keywords) loses it: `from_` becomes `from`.
    """
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, float):
        if math.isfinite(value):
            return value
        return "nan" if value != value else "inf" if value > 0 else "-inf"
    if hasattr(value, "__dataclass_fields__"):
        return {f.name.rstrip("_"): to_json(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): to_json(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_json(item) for item in value]
    return value


def hex_code(code: int, spec: FormatSpec) -> str:
    """A code as zero-padded hexadecimal: `0x4049`."""
    return f"0x{code:0{spec.code_digits}x}"


def exact_text(value: Dyadic | None, sign: int = 0) -> str | None:
    """The exact decimal of a value, "-0" for a zero with a sign; None for None."""
    if value is None:
        return None
    return "-0" if sign and not value.significand else value.decimal


@dataclass(frozen=True, eq=False)
class Reports(Report):
    """Several reports of one kind as one document."""

    items: tuple[Report, ...]

    @property
    def schema(self) -> str:  # type: ignore[override]
        """The schema of the reports in it."""
        return self.items[0].schema

    def results(self) -> list[dict[str, JsonValue]]:
        """The entries of all of them, in order."""
        return [entry for item in self.items for entry in item.results()]

    def environment(self) -> dict[str, JsonValue]:
        """The environment of them all, which they share."""
        return {key: value for item in self.items for key, value in item.environment().items()}

    def __iter__(self) -> Iterator[Report]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> Report:
        return self.items[index]
