"""The report of `fpx decode` of scaled formats: numbers that share a scale, element by element."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar

from fpx.core.elements import Codebook
from fpx.core.numbers import fraction_text
from fpx.core.packing import BLOCK, Packing, pack
from fpx.core.quantise import QuantisedBlock
from fpx.core.scaling import ScaledFormat, Scope
from fpx.core.shortest import value_text
from fpx.report.base import JsonValue, Report, Reports, hex_code, once
from fpx.report.block_row import BlockRow, Given, Loss
from fpx.report.columns import Table, table_of


@dataclass(frozen=True, eq=False, repr=False)
class BlockReport(Report):
    """Numbers that share a scale.

    Attributes:
        target: their format.
        block: codes, scale and values.
        number: which block it is, from 0.
        start: the index of its first number among all.
        given: the numbers; None of what was decoded from bytes.
        global_code: of the global scale; None without one.
    """

    schema: ClassVar[str] = "fpx.block/1"

    target: ScaledFormat
    block: QuantisedBlock
    number: int = 0
    start: int = 0
    given: tuple[Given, ...] | None = None
    global_code: int | None = None

    @property
    def format(self) -> str:
        """The format's name, with what differs from the usual one of its kind."""
        return self.target.name

    @property
    def scale_hex(self) -> str:
        """The scale's code as `0x7f`."""
        return hex_code(self.block.scale_code, self.target.scale)

    @property
    def scale_text(self) -> str:
        """The scale's exact value, or `nan`."""
        return value_text(self.block.scale_code, self.target.scale)

    @property
    def global_hex(self) -> str | None:
        """The global scale's code; None without one."""
        spec = self.target.global_scale
        return (
            None if spec is None or self.global_code is None else hex_code(self.global_code, spec)
        )

    @property
    def global_text(self) -> str | None:
        """The global scale's exact value; None without one."""
        return None if self.global_hex is None else fraction_text(self.block.global_scale)

    @property
    def amax(self) -> Fraction | None:
        """The largest finite magnitude of the numbers; None without any."""
        if self.given is None:
            return None
        finite = (abs(each.datum.value) for each in self.given if each.datum.value is not None)
        return max(finite, default=None)

    @once
    def rows(self) -> tuple[BlockRow, ...]:
        """One per number."""
        block, count = self.block, len(self.block.codes)
        step = None if block.scale is None else block.scale * block.global_scale
        nothing = (False,) * count
        columns = zip(
            block.codes,
            block.values,
            self.given or (None,) * count,
            block.clipped or nothing,
            block.flushed or nothing,
            strict=True,
        )
        return tuple(
            BlockRow(self.target.element, self.start + at, code, value, step, given, clipped, zero)
            for at, (code, value, given, clipped, zero) in enumerate(columns)
        )

    @once
    def loss(self) -> Loss | None:
        """What became of the numbers; None of what was decoded from bytes."""
        return None if self.given is None else Loss.of(self.rows)

    @property
    def packings(self) -> tuple[Packing, ...]:
        """How the codes may lie in bytes, the usual way first."""
        return packings(self.target)

    def packed(self, packing: Packing) -> bytes:
        """The codes in bytes, without the scale."""
        size = block_size(self.target) or BLOCK
        return pack(self.block.codes, self.target.bits, packing, size)

    def parts(self) -> tuple[BlockRow, ...]:
        """One row per number."""
        return self.rows

    def about(self) -> str:
        """The format."""
        return self.format

    def results(self) -> list[dict[str, JsonValue]]:
        """One entry, with `elements`, one per number."""
        target, amax, loss = self.target, self.amax, self.loss
        return [
            {
                "format": self.format,
                "element": target.element.name,
                "scale_format": target.scale.name,
                "shares": str(target.reach),
                "block": self.number,
                "scale_code": self.scale_hex,
                "scale": self.scale_text,
                "global_scale_code": self.global_hex,
                "global_scale": self.global_text,
                "amax": None if amax is None else fraction_text(amax),
                **(loss.entry() if loss else {"count": len(self.rows)}),
                "packed": {
                    each.value.replace("-", "_"): self.packed(each).hex() for each in self.packings
                },
                "encoding": target.choices() if loss else None,
                "elements": [row.entry() for row in self.rows],
            }
        ]

    def table(self) -> Table:
        """A row per number."""
        shared = {
            "format": self.format,
            "block": self.number,
            "scale_code": self.scale_hex,
            "scale": self.scale_text,
            "global_scale": self.global_text,
        }
        return table_of([shared | row.entry() for row in self.rows])


class BlocksReport(Reports):
    """Blocks of the same numbers, of one scaled format after the other."""

    items: tuple[BlockReport, ...]

    @property
    def schema(self) -> str:
        """That of blocks."""
        return BlockReport.schema

    @property
    def by_target(self) -> dict[ScaledFormat, tuple[BlockReport, ...]]:
        """The blocks of each format."""
        found: dict[ScaledFormat, list[BlockReport]] = {}
        for item in self.items:
            found.setdefault(item.target, []).append(item)
        return {target: tuple(items) for target, items in found.items()}

    @once
    def losses(self) -> dict[ScaledFormat, Loss]:
        """What became of all numbers, by format; nothing of what was decoded from bytes."""
        return {
            target: Loss.of(row for item in items for row in item.rows)
            for target, items in self.by_target.items()
            if items[0].given is not None
        }

    def beside(self) -> dict[str, JsonValue]:
        """`totals`: of each format, over all blocks."""
        return {
            "totals": [
                {"format": target.name, "bits_per_element": target.bits_per_element} | loss.entry()
                for target, loss in self.losses.items()
            ]
        }


def block_size(target: ScaledFormat) -> int | None:
    """How many numbers share a scale; None where all do, of a tensor or a channel."""
    reach = target.reach
    return reach.rows * reach.columns if reach.scope is Scope.BLOCK else None


def packings(target: ScaledFormat) -> tuple[Packing, ...]:
    """How codes of a format may lie in bytes, the usual way first.

    bitsandbytes, whose tables nf4 and fp4_bnb are, has the first number in the high nibble.
    """
    if target.bits >= 8:
        return (Packing.BYTES,)
    usual = [Packing.LOW_FIRST, Packing.HIGH_FIRST]
    if isinstance(target.element, Codebook):
        usual.reverse()
    if target.bits == 4 and not (block_size(target) or BLOCK) % 2:
        usual.append(Packing.SPLIT_HALVES)
    return (*usual, Packing.BYTES)
