"""What every report is: rows, plain data on demand, and a picture that `fpx.render` draws."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import FrozenInstanceError, fields
from enum import Enum
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar, overload

from fpx.core.dyadic import Dyadic
from fpx.core.spec import FormatSpec
from fpx.drawing import renderer
from fpx.errors import UnavailableError
from fpx.version import __version__
from fpx.words import listed

_Value = TypeVar("_Value")

JsonValue = Any
"""None, bool, int, float, str, or a list or dict of these."""


if TYPE_CHECKING:
    from typing import Protocol

    from fpx.report.columns import Table

    class Renderer(Protocol):
        """Who draws reports: `fpx.render` as a module is one."""

        def renderable(self, report: Report) -> Any:
            """What rich prints."""

        def plain_text(self, report: Report) -> str:
            """The drawing without colours."""

        def notebook(self, report: Report) -> dict[str, str]:
            """A notebook's bundle: MIME type -> content."""


def _drawer() -> Renderer:
    found: Renderer = renderer()
    return found


class Report:
    """Base of every report: a dataclass with a `schema`, or the like, that nobody changes.

    The reports that short commands need are plain classes: a dataclass takes 0.3 ms to make.
    """

    def __setattr__(self, name: str, value: object) -> None:
        raise FrozenInstanceError(f"cannot assign to field {name!r}: a report stays as it is")

    def __delattr__(self, name: str) -> None:
        raise FrozenInstanceError(f"cannot delete field {name!r}: a report stays as it is")

    @property
    def schema(self) -> str:
        """Name and version of the JSON form; removing or renaming a key raises the number."""
        raise NotImplementedError(f"{type(self).__name__} names no schema")

    def parts(self) -> Sequence[Any]:
        """What iterating over the report gives, one object per row: on one thing, itself."""
        return (self,)

    def results(self) -> list[dict[str, JsonValue]]:
        """The entries of the JSON document's `results`."""
        return [to_json(self)]

    def lines(self, encode: Callable[[JsonValue], str]) -> list[str]:
        """The entries of `results`, each as JSON by an encoder that breaks no lines."""
        return [encode(entry) for entry in self.results()]

    def environment(self) -> dict[str, JsonValue]:
        """The entries of the JSON document's `environment`."""
        return {}

    def beside(self) -> dict[str, JsonValue]:
        """What the JSON document has beside `results`: totals, notes, errors and the like."""
        return {}

    def failures(self) -> Sequence[Any]:
        """What of it fails a check that was asked for, as `fpx.report.checks.Failure`."""
        return ()

    def to_dict(self) -> dict[str, JsonValue]:
        """The whole JSON document, as plain data that `json.dumps(…, allow_nan=False)` takes."""
        return {**self.head(), "results": self.results(), **self.beside()}

    def head(self) -> dict[str, JsonValue]:
        """What the JSON document begins with: schema, version and environment."""
        return {"schema": self.schema, "fpx": __version__, "environment": self.environment()}

    def table(self) -> Table:
        """The entries of `results` as columns and rows of exact text."""
        from fpx.report.columns import table_of  # drawings have no columns of text

        return table_of(self.results())

    def to_pandas(self) -> Any:
        """`table` as a `pandas.DataFrame`; exact numbers stay text.

        Raises:
            UnavailableError: pandas is not installed.
        """
        try:
            from importlib import import_module

            pandas = import_module("pandas")
        except ImportError:
            raise UnavailableError(
                "pandas is not installed, which to_pandas makes a data frame of: pip install "
                "pandas, or use table()"
            ) from None
        table = self.table()
        return pandas.DataFrame(list(table.rows), columns=list(table.columns))

    def __iter__(self) -> Iterator[Any]:
        return iter(self.parts())

    def __len__(self) -> int:
        return len(self.parts())

    def __bool__(self) -> bool:
        return True  # an empty report is a report

    def __repr__(self) -> str:
        count = len(self)
        about = self.about()
        rows = f"{count} row{'' if count == 1 else 's'}"
        return f"<{type(self).__name__}: {rows}{', ' if about else ''}{about}>"

    def about(self) -> str:
        """What the one line of `repr` says beside the number of rows; may be empty."""
        return ""

    def __str__(self) -> str:
        return _drawer().plain_text(self)

    def __rich__(self) -> Any:
        """What `rich.print` shows."""
        return _drawer().renderable(self)

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        """What a notebook shows."""
        return _drawer().notebook(self)


class once(Generic[_Value]):  # noqa: N801 - used as a decorator, like `property`
    """A property that is computed when it is first asked for.

    `functools.cached_property` without the lock that it takes before Python 3.12: a stream of
    reports has tens of thousands a second to compute.
    """

    def __init__(self, compute: Callable[[Any], _Value]) -> None:
        self._compute, self._name = compute, compute.__name__
        self.__doc__ = compute.__doc__

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...

    @overload
    def __get__(self, instance: object, owner: type) -> _Value: ...

    def __get__(self, instance: object | None, owner: type) -> Self | _Value:
        if instance is None:
            return self
        value = instance.__dict__[self._name] = self._compute(instance)
        return value


def share(part: int, whole: int) -> float:
    """A part of a whole, 0 to 1; 0 of nothing."""
    return part / whole if whole else 0.0


def to_json(value: Any) -> JsonValue:
    """Plain JSON data for dataclasses, enums, mappings, sequences and floats (recursively).

    A float that is infinite or NaN is None: JSON has no such numbers, and text among numbers is
    what jq and pandas compare wrongly. What it was, a key beside it says.

    A dataclass field whose name ends in `_` (Python's keywords) loses it: `from_` becomes `from`.
    """
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if hasattr(value, "__dataclass_fields__"):
        return {f.name.rstrip("_"): to_json(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): to_json(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_json(item) for item in value]
    return value


def hex_code(code: int, spec: FormatSpec) -> str:
    """A code as zero-padded hexadecimal: `0x4049`."""
    return spec.code_pattern % code


def exact_text(value: Dyadic | None) -> str | None:
    """The exact decimal of a value; None for None."""
    return None if value is None else value.decimal


class Reports(Report):
    """Several reports of one kind as one document.

    Attributes:
        items: the reports, which share their schema and environment.
        of_none: the schema if there are none.
    """

    items: tuple[Report, ...]
    of_none = "fpx.nothing/1"

    def __init__(self, items: tuple[Any, ...], of_none: str = of_none) -> None:
        self.__dict__.update(items=items, of_none=of_none)

    @property
    def schema(self) -> str:
        """The schema of the reports in it; of none at all, one that says so."""
        return self.items[0].schema if self.items else self.of_none

    def parts(self) -> tuple[Report, ...]:
        """The reports."""
        return self.items

    def results(self) -> list[dict[str, JsonValue]]:
        """The entries of all of them, in order."""
        return [entry for item in self.items for entry in item.results()]

    def lines(self, encode: Callable[[JsonValue], str]) -> list[str]:
        """The lines of all of them, in order."""
        return [line for item in self.items for line in item.lines(encode)]

    def environment(self) -> dict[str, JsonValue]:
        """The environment of them all, which they share."""
        return {key: value for item in self.items for key, value in item.environment().items()}

    def table(self) -> Table:
        """The rows of all of them; a column that one of them lacks is None there."""
        from fpx.report.columns import Table

        tables = [item.table() for item in self.items]
        columns = tuple(dict.fromkeys(name for table in tables for name in table.columns))
        rows = (
            dict(zip(table.columns, row, strict=True)) for table in tables for row in table.rows
        )
        return Table(columns, tuple(tuple(map(row.get, columns)) for row in rows))

    def about(self) -> str:
        """Whose rows these are."""
        return listed(dict.fromkeys(item.about() for item in self.items), 4)

    def __getitem__(self, index: int) -> Any:
        return self.items[index]
