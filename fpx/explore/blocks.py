"""One block of numbers that share a scale: its bits, and what they mean."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.style import Style
from rich.text import Text

from fpx.core.elements import is_format
from fpx.core.spec import FormatSpec
from fpx.explore.block import SCALE, Block
from fpx.explore.exact import code_literal
from fpx.explore.marks import BIT, PLACE, marked
from fpx.render.block import block_tables
from fpx.render.panel import marked_bits
from fpx.render.text import LABEL_STYLE
from fpx.report.decode import DecodeReport


def block_bits(block: Block) -> RenderableType:
    """The bits of the scale, then those of each element, all of which may be clicked on."""
    report, target = block.report, block.target
    element = target.element if is_format(target.element) else None
    scale = Text("scale  ", LABEL_STYLE)
    scale.append_text(_bits(block, SCALE, report.block.scale_code, target.scale, target.scale.bits))
    elements = Text("elements  ", LABEL_STYLE)
    for at, code in enumerate(report.block.codes):
        elements.append("   " if at else "")
        elements.append_text(_bits(block, at, code, element, target.bits))
    return Group(scale, elements)


def _bits(block: Block, at: int, code: int, spec: FormatSpec | None, bits: int) -> Text:
    """The bits of one code by its fields; of an element that is a table of numbers all alike."""

    def mark(position: int) -> Style:
        here = (block.at, block.bit) == (at, position)
        return marked(here, **{PLACE: at, BIT: position})

    if spec is not None:
        fields = DecodeReport.of(code_literal(code, spec), spec).bit_fields
        return Text("-").join(marked_bits(field, mark) for field in fields)
    text = Text(f"{code:0{bits}b}")
    for place in range(bits):
        text.stylize(mark(bits - 1 - place), place, place + 1)
    return text


def block_facts(block: Block) -> RenderableType:
    """The tables of `fpx decode`."""
    return block_tables(block.report)
