"""`fpx formats` as tables."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from fpx.core.policy import overflow_result
from fpx.render.tables import plain_table
from fpx.render.text import LABEL_STYLE
from fpx.report.formats import LIBRARIES, FormatsReport, NamesReport


def formats_tables(report: FormatsReport) -> RenderableType:
    """How codes are made, who has the format, and what it is called."""
    codes = _table("How codes map to values (layout: bits of sign-exponent-fraction)")
    for column in ("layout", "bias", "zeros", "infinity", "NaN", "overflow to"):
        codes.add_column(column, no_wrap=True)
    for item in report.items:
        spec = item.spec
        zeros = "none" if not spec.zero else "two" if spec.has_negative_zero else "one"
        codes.add_row(
            spec.name, item.layout, str(spec.bias), zeros, "yes" if spec.infinity else "no",
            _nan(item), overflow_result(spec).replace("_", " "),
        )  # fmt: skip
    have = _table("Who has it")
    shown = [name for name in LIBRARIES if any(name in item.libraries for item in report.items)]
    for library in shown:
        have.add_column(library, justify="center", no_wrap=True)
    for item in report.items:
        have.add_row(item.spec.name, *("x" if name in item.libraries else "" for name in shown))
    names = _table("Other names, in any case, and the source")
    names.add_column("names", overflow="fold")
    for item in report.items:
        known = [*item.spec.aliases, *item.libraries.values()]
        others = dict.fromkeys(name for name in known if name != item.spec.name)
        names.add_row(
            item.spec.name,
            Text.assemble(
                ", ".join(others), "\n" if others else "", (item.spec.citation, LABEL_STYLE)
            ),
        )
    families = Text(
        "Beyond the list: custom formats eXmY by IEEE 754's rules, also with ml_dtypes' suffixes "
        "fn, fnuz and fnu and a bias bN (e5m7, e3m4fn, e4m3b9fnuz), and IEEE P3109's binaryKpPse: "
        "K bits, precision P, s(igned) or u(nsigned), e(xtended) or f(inite) (binary8p4se).\n"
    )
    return Group(codes, *([have] if shown else []), names, families)


def _nan(item: NamesReport) -> str:
    return item.nan.replace("exponent all ones, fraction not 0", "as IEEE 754")


def _table(title: str) -> Table:
    table = plain_table(title)
    table.add_column("format", no_wrap=True, style="bold")
    return table
