"""Numbers that share a scale, and what keys make of their bits."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, replace

from fpx.core import codec
from fpx.core.elements import Codebook
from fpx.core.literals import parse_literal
from fpx.core.numbers import Code, Literal
from fpx.core.packing import BLOCK, Packing, pack
from fpx.core.scaling import ScaledFormat
from fpx.errors import InputError
from fpx.report.base import hex_code, once
from fpx.report.block import BlockReport, block_size, packings
from fpx.report.blocking import blocks_of_bytes, blocks_of_numbers

SCALE = -1
"""Where the cursor is on the scale; from 0 on it is on an element."""


@dataclass(frozen=True)
class Block:
    """One block of a format with scales: numbers, or since a bit was turned over codes.

    Attributes:
        target: the format.
        literals: the numbers; none where there are codes.
        codes: of the elements.
        scale_code: of their scale.
        global_: the scale that multiplies all blocks; None without one, and of numbers.
        at: where the cursor is: SCALE, or the number of an element.
        bit: its bit; the lowest is 0.
    """

    target: ScaledFormat
    literals: tuple[Literal, ...] = ()
    codes: tuple[int, ...] = ()
    scale_code: int = 0
    global_: Code | None = None
    at: int = 0
    bit: int = 0

    @classmethod
    def of(cls, literals: tuple[Literal, ...], target: ScaledFormat) -> Block:
        """The block of these numbers.

        Raises:
            InputError: the format has none of one of them, or they are more than one block.
        """
        found = cls(target, literals, bit=target.bits - 1)
        _ = found.report
        return found

    @once
    def report(self) -> BlockReport:
        """All about the block, as `fpx decode` has it."""
        target = self.target
        if self.literals:
            items = blocks_of_numbers(self.literals, [target]).items
            if len(items) > 1:
                raise InputError(
                    f"{len(self.literals)} numbers are {len(items)} blocks of {target.name}: give "
                    f"{block_size(target)} or fewer"
                )
            return items[0]
        scales, packing = [self.scale_code], self.packing
        return blocks_of_bytes(self.packed, scales, target, packing, self.global_).items[0]

    @property
    def packing(self) -> Packing:
        """How the codes may lie in bytes without bits that belong to none."""
        whole = len(self.codes) * self.target.bits % 8 == 0
        return packings(self.target)[0] if whole else Packing.BYTES

    @property
    def packed(self) -> bytes:
        """The codes of the elements in bytes."""
        size = block_size(self.target) or BLOCK
        return pack(self.codes, self.target.bits, self.packing, size)

    # -- the cursor --------------------------------------------------------------------------------

    @property
    def width(self) -> int:
        """Bits of what the cursor is on."""
        return self.target.scale.bits if self.at == SCALE else self.target.bits

    def pointed(self, at: int, bit: int) -> Block:
        """The cursor at a bit of the scale or an element."""
        return replace(self, at=at, bit=bit)

    def moved(self, left: bool) -> Block:
        """The cursor at the next bit, which may be one of the scale or element beside."""
        bit = self.bit + (1 if left else -1)
        if 0 <= bit < self.width:
            return replace(self, bit=bit)
        beside = replace(self, at=self.at + (-1 if left else 1))
        if not SCALE <= beside.at < len(self.report.rows):
            return self
        return replace(beside, bit=0 if left else beside.width - 1)

    def turned(self, forward: bool) -> Block:
        """The cursor on the next element, and after the last one on the scale; or on the last."""
        places = len(self.report.rows) + 1
        at = (self.at + 1 + (1 if forward else -1)) % places - 1
        found = replace(self, at=at)
        return replace(found, bit=found.width - 1)

    # -- codes -------------------------------------------------------------------------------------

    @property
    def code(self) -> int:
        """The code under the cursor."""
        block = self.report.block
        return block.scale_code if self.at == SCALE else block.codes[self.at]

    def with_code(self, code: int, at: int) -> Block:
        """Another code of the scale or of an element; what the numbers were is forgotten.

        Raises:
            InputError: it is no scale.
        """
        report, spec = self.report, self.target.global_scale
        codes = list(report.block.codes)
        scale_code = report.block.scale_code
        if at == SCALE:
            scale_code = code
        else:
            codes[at] = code
        global_ = self.global_
        if spec is not None and report.global_code is not None:
            global_ = Code(report.global_code, spec.bits, hex_code(report.global_code, spec))
        found = replace(
            self, literals=(), codes=tuple(codes), scale_code=scale_code, global_=global_
        )
        _ = found.report
        return found

    def flipped(self) -> Block:
        """The bit under the cursor turned over."""
        return self.with_code(self.code ^ 1 << self.bit, self.at)

    def stepped(self, up: bool) -> Block:
        """The next upper or lower value under the cursor; itself at an end and at a NaN."""
        return self._stepped(up, self.at)

    def scaled(self, up: bool) -> Block:
        """The next upper or lower scale, and with it all of the block."""
        return self._stepped(up, SCALE)

    def negated(self) -> Block:
        """The other sign under the cursor; itself where there is none."""
        element = self.target.element
        if self.at == SCALE or isinstance(element, Codebook) or not element.signed:
            return self
        return self.with_code(self.code ^ element.sign_mask, self.at)

    def _stepped(self, up: bool, at: int) -> Block:
        block, element = self.report.block, self.target.element
        code: int | None
        if at == SCALE:
            code = codec.neighbours(block.scale_code, self.target.scale)[up]
        elif isinstance(element, Codebook):
            code = _next_code(block.codes[at], element, up)
        else:
            code = codec.neighbours(block.codes[at], element)[up]
        return self if code is None else self.with_code(code, at)


def _next_code(code: int, element: Codebook, up: bool) -> int | None:
    """The code of the next upper or lower value of a table; None past the ends."""
    values = [value for value, _ in element.ordered]
    own = element.values[code]
    place = bisect_right(values, own) if up else bisect_left(values, own) - 1
    return element.ordered[place][1] if 0 <= place < len(values) else None


def block_of_text(text: str, target: ScaledFormat) -> Block:
    """The block of the numbers in a text: `6 -4 3 0.1`.

    Raises:
        InputError: one is none, or as `Block.of`.
    """
    from fpx.core.literals import split_numbers

    return Block.of(tuple(map(parse_literal, split_numbers(text))), target)
