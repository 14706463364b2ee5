"""`fpx formats` as tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from fpx.core.policy import overflow_result
from fpx.core.scaling import ScaledFormat
from fpx.render.tables import plain_table
from fpx.render.text import LABEL_STYLE
from fpx.report.formats import LIBRARIES, FormatsReport, NamesReport, ScaledNames


def formats_tables(report: FormatsReport) -> RenderableType:
    """How codes are made, who has the format, and what it is called; then those with scales."""
    plain = [item for item in report.items if isinstance(item, NamesReport)]
    scaled = [item.spec for item in report.items if isinstance(item, ScaledNames)]
    return Group(*(_plain(plain) if plain else ()), *(_scaled(scaled) if scaled else ()))


def _plain(items: Sequence[NamesReport]) -> Iterator[RenderableType]:
    codes = _table("How codes map to values (layout: bits of sign-exponent-fraction)")
    for column in ("layout", "bias", "zeros", "infinity", "NaN", "overflow to"):
        codes.add_column(column, no_wrap=True)
    for item in items:
        spec = item.spec
        zeros = "none" if not spec.zero else "two" if spec.has_negative_zero else "one"
        codes.add_row(
            spec.name, item.layout, str(spec.bias), zeros, "yes" if spec.infinity else "no",
            _nan(item), overflow_result(spec).replace("_", " "),
        )  # fmt: skip
    have = _table("Who has it")
    shown = [name for name in LIBRARIES if any(name in item.libraries for item in items)]
    for library in shown:
        have.add_column(library, justify="center", no_wrap=True)
    for item in items:
        have.add_row(item.spec.name, *("x" if name in item.libraries else "" for name in shown))
    names = _table("Other names, in any case, and the source")
    names.add_column("names", overflow="fold")
    for item in items:
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
    yield codes
    if shown:
        yield have
    yield names
    yield families


def _scaled(targets: Sequence[ScaledFormat]) -> Iterator[RenderableType]:
    """What numbers with scales are made of, a line each, and where they are from."""
    made = _table(
        "Numbers with scales, which multiply their elements (bits: a number's share of both)"
    )
    for column in ("bits", "element", "scale", "shared by", "global scale"):
        made.add_column(column, no_wrap=True, justify="right" if column == "bits" else "left")
    for target in targets:
        made.add_row(
            target.name, f"{target.bits_per_element:g}", target.element.name, target.scale.name,
            str(target.reach).replace(":", " of "),
            "-" if target.global_scale is None else target.global_scale.name,
        )  # fmt: skip
    names = _table("Their other names, in any case, and the source")
    names.add_column("names", overflow="fold")
    for target in targets:
        others = ", ".join(target.aliases)
        names.add_row(
            target.name,
            Text.assemble(others, "\n" if others else "", (target.citation, LABEL_STYLE)),
        )
    yield made
    yield names
    yield Text(
        "Any other by hand: an element, a colon and options, such as e4m3fn:channel, "
        "e2m1:block=32,scale=e8m0,rule=rceil or mxfp4:like=torchao.\n"
    )


def _nan(item: NamesReport) -> str:
    return item.nan.replace("exponent all ones, fraction not 0", "as IEEE 754")


def _table(title: str) -> Table:
    table = plain_table(title)
    table.add_column("format", no_wrap=True, style="bold")
    return table
