"""The report of `fpx formats`: what formats are called, and by whom."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from fpx.core.policy import overflow_result
from fpx.core.scaling import ScaledFormat
from fpx.core.spec import FormatSpec, NanEncoding
from fpx.report.base import JsonValue, Report, Reports, hex_code
from fpx.report.columns import Table, table_of

LIBRARIES = ("torch", "numpy", "ml_dtypes", "safetensors", "onnx", "cuda", "gguf")
"""Where formats have names, in the order in which they are told."""


@dataclass(frozen=True, eq=False, repr=False)
class NamesReport(Report):
    """What one format is called, by whom, and how its special values are encoded."""

    schema: ClassVar[str] = "fpx.formats/2"

    spec: FormatSpec

    @property
    def libraries(self) -> dict[str, str]:
        """Library -> its name there; only those that have the format."""
        names = {library: getattr(self.spec, library) for library in LIBRARIES}
        return {library: name for library, name in names.items() if name is not None}

    @property
    def nan(self) -> str:
        """Where the NaNs are, in words."""
        spec, code = self.spec, self.spec.nan_code
        if code is None:
            return "none"
        if spec.nan is NanEncoding.IEEE:
            return "exponent all ones, fraction not 0"
        if spec.nan is NanEncoding.ALL_ONES and spec.signed:
            return f"{hex_code(code, spec)}, {hex_code(code | spec.sign_mask, spec)}"
        return hex_code(code, spec)

    @property
    def layout(self) -> str:
        """The widths of sign, exponent and fraction: `1-8-7`."""
        return f"{int(self.spec.signed)}-{self.spec.exponent_bits}-{self.spec.fraction_bits}"

    def results(self) -> list[dict[str, JsonValue]]:
        """One entry."""
        spec = self.spec
        return [
            {
                "format": spec.name,
                "bits": spec.bits,
                "signed": spec.signed,
                "exponent_bits": spec.exponent_bits,
                "fraction_bits": spec.fraction_bits,
                "bias": spec.bias,
                "zero": "none" if not spec.zero else "signed" if spec.has_negative_zero else "one",
                "infinity": spec.infinity,
                "nan": spec.nan.value,
                "nan_code": None if spec.nan_code is None else hex_code(spec.nan_code, spec),
                "overflow": overflow_result(spec),
                "libraries": self.libraries,
                "aliases": list(spec.aliases),
                "citation": spec.citation,
            }
        ]

    def table(self) -> Table:
        """One row, with a column for every library."""
        (entry,) = self.results()
        entry["libraries"] = dict.fromkeys(LIBRARIES) | entry["libraries"]
        return table_of([entry])

    def about(self) -> str:
        """The format."""
        return self.spec.name


@dataclass(frozen=True, eq=False, repr=False)
class ScaledNames(Report):
    """What one scaled format is made of, and called."""

    schema: ClassVar[str] = NamesReport.schema

    spec: ScaledFormat

    def results(self) -> list[dict[str, JsonValue]]:
        """One entry: the keys of single numbers, null where they have no meaning, and its own."""
        spec = self.spec
        return [
            dict.fromkeys(_KEYS)
            | {
                "format": spec.name,
                "bits": spec.bits,
                "signed": True,
                "libraries": {},
                "aliases": list(spec.aliases),
                "citation": spec.citation,
                "bits_per_element": spec.bits_per_element,
                "element": spec.element.name,
                "scale_format": spec.scale.name,
                "shares": str(spec.reach),
                "global_scale_format": None
                if spec.global_scale is None
                else spec.global_scale.name,
                "encoding": spec.choices(),
            }
        ]

    def table(self) -> Table:
        """One row, with a column for every library."""
        (entry,) = self.results()
        return table_of([entry | {"libraries": dict.fromkeys(LIBRARIES)}])

    def about(self) -> str:
        """The format."""
        return self.spec.name


_KEYS = (
    "format", "bits", "signed", "exponent_bits", "fraction_bits", "bias", "zero", "infinity",
    "nan", "nan_code", "overflow", "libraries", "aliases", "citation",
)  # fmt: skip


class FormatsReport(Reports):
    """The names of several formats."""

    items: tuple[NamesReport | ScaledNames, ...]

    @classmethod
    def of(cls, targets: Iterable[FormatSpec | ScaledFormat]) -> FormatsReport:
        """The names of these."""
        return cls(
            tuple(
                ScaledNames(target) if isinstance(target, ScaledFormat) else NamesReport(target)
                for target in targets
            )
        )
