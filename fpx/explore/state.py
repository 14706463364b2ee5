"""What is explored, and what a key makes of it: plain values, that know nothing of a screen.

What numbers and codes are is asked of the reports of `fpx decode` and its kin; here is only which
of them are shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

from fpx.core import codec
from fpx.core.numbers import Code, Constant, Literal, RationalNumber
from fpx.core.policy import Overflow, Rounding, with_sign
from fpx.core.spec import FormatSpec
from fpx.errors import InputError
from fpx.explore.exact import code_literal, exact_literal, number_of
from fpx.report.base import hex_code, once
from fpx.report.decode import DecodeReport

if TYPE_CHECKING:
    from fpx.explore.block import Block

LEVELS = 12
"""How far one may zoom out: the last level is the whole range of the formats."""

OPERATIONS = ("+", "-", "*", "/", "min", "max")
"""What the arithmetic view computes with two operands."""

_ONE = RationalNumber(False, 1, 1, 0, "1")


class View(Enum):
    """What the middle of the screen shows."""

    BITS = "bits"
    LINE = "line"
    TABLE = "table"
    CALC = "calc"


class Refused(NamedTuple):
    """A format that cannot hold the number at all."""

    spec: FormatSpec
    reason: str


@dataclass(frozen=True)
class State:
    """A number, the formats that show it, and how it is looked at.

    Attributes:
        literal: the number as it was given; a `Code` is one of the first format. Never a
            `Constant`, which would be another number in each format.
        formats: those that show it; the first leads.
        rounding, overflow: how numbers are rounded.
        bit: where the cursor is; the lowest bit is 0.
        zoom: how far the number line reaches, from 0 to `LEVELS`.
        view: what is looked at.
        operation: one of OPERATIONS.
        second: the other operand, as a code of the first format or a number; never a `Constant`.
        block: numbers that share a scale, which lead while there are any.
    """

    literal: Literal
    formats: tuple[FormatSpec, ...]
    rounding: Rounding = Rounding.TIES_TO_EVEN
    overflow: Overflow = Overflow.IEEE
    bit: int = 0
    zoom: int = 0
    view: View = View.BITS
    operation: str = OPERATIONS[0]
    second: Literal = _ONE
    block: Block | None = None

    @classmethod
    def of(
        cls,
        literal: Literal,
        formats: Sequence[FormatSpec],
        rounding: Rounding = Rounding.TIES_TO_EVEN,
        overflow: Overflow = Overflow.IEEE,
    ) -> State:
        """The state that shows a number in some formats, the first of which leads.

        Raises:
            InputError: the first format cannot hold it.
        """
        empty = cls(_ONE, tuple(formats), rounding, overflow)
        return empty.with_literal(literal)

    # -- what there is to see ----------------------------------------------------------------------

    @property
    def lead(self) -> FormatSpec:
        """The format whose bits are under the keys."""
        return self.formats[0]

    @once
    def report(self) -> DecodeReport:
        """All about the number in the format that leads."""
        return DecodeReport.of(self.literal, self.lead, self.rounding, self.overflow)

    @property
    def code(self) -> int:
        """The number's code in the format that leads."""
        return self.report.code

    @once
    def number(self) -> Literal:
        """The number without its format: what the other formats are given."""
        return number_of(self.report) if isinstance(self.literal, Code) else self.literal

    @once
    def others(self) -> tuple[DecodeReport | Refused, ...]:
        """What becomes of the number in the formats that do not lead."""
        return tuple(map(self._in_other, self.formats[1:]))

    def _in_other(self, spec: FormatSpec) -> DecodeReport | Refused:
        try:
            return DecodeReport.of(self.number, spec, self.rounding, self.overflow)
        except InputError as error:
            return Refused(spec, str(error))

    # -- another number ----------------------------------------------------------------------------

    def with_literal(self, literal: Literal) -> State:
        """Another number, or a code of the format that leads.

        Raises:
            InputError: that format cannot hold it.
        """
        if isinstance(literal, Constant):
            spec = self.lead
            literal = code_literal(codec.encode(literal, spec).code, spec)
        return replace(self, literal=literal, block=None)._held()

    def _held(self) -> State:
        """Itself, if the format that leads can hold the number."""
        _ = self.report  # which refuses it otherwise
        return self

    def with_code(self, code: int) -> State:
        """Another code of the format that leads."""
        return replace(self, literal=code_literal(code, self.lead))

    def with_block(self, block: Block) -> State:
        """Numbers that share a scale in the lead."""
        return replace(self, block=block)

    def flipped(self) -> State:
        """The bit under the cursor turned over.

        Raises:
            InputError: what it makes of a scale is none.
        """
        if self.block is not None:
            return self.with_block(self.block.flipped())
        return self.with_code(self.code ^ 1 << self.bit)

    def stepped(self, up: bool) -> State:
        """The next upper or lower value; itself at an end and at a NaN."""
        if self.block is not None:
            return self.with_block(self.block.stepped(up))
        code = self.report.neighbours[up]
        return self if code is None else self.with_code(code)

    def scaled(self, up: bool) -> State:
        """A binade up or down: twice or half the value, rounded as any number is.

        Of numbers that share a scale, the next scale.

        Raises:
            InputError: the format has no code for what overflows.
        """
        if self.block is not None:
            return self.with_block(self.block.scaled(up))
        value = self.report.dyadic
        if value is None or not value.significand:
            return self
        significand, exponent = value.significand, value.exponent + (1 if up else -1)
        return self.with_literal(exact_literal(significand, exponent))

    def negated(self) -> State:
        """The other sign; itself where there is no sign."""
        if self.block is not None:
            return self.with_block(self.block.negated())
        spec, code = self.lead, self.code
        magnitude = code & spec.magnitude_mask
        turned = with_sign(magnitude, not code & spec.sign_mask, spec)
        lonely_nan = code == spec.nan_code and magnitude == 0  # the code that would be -0
        return self if lonely_nan or turned == code else self.with_code(turned)

    def smallest(self) -> State:
        """The smallest value above zero."""
        return self.with_code(int(self.lead.zero))

    def smallest_normal(self) -> State:
        """The smallest normal value."""
        return self.with_code(int(self.lead.zero) << self.lead.fraction_bits)

    def largest(self) -> State:
        """The largest finite value."""
        return self.with_code(self.lead.max_finite_magnitude)

    # -- other formats -----------------------------------------------------------------------------

    def led_by(self, spec: FormatSpec) -> State:
        """The same number with another format in the lead, which joins the others if it is new.

        Raises:
            InputError: it cannot hold the number.
        """
        rest = tuple(each for each in self.formats if each != spec)
        bit = min(self.bit, spec.bits - 1)
        second = self._second_for(spec)
        found = replace(self, literal=self.number, formats=(spec, *rest), bit=bit, second=second)
        return replace(found, block=None)._held()

    def turned(self, forward: bool) -> State:
        """The next format in the lead, while the one that led goes to the end; or the last one.

        Formats that cannot hold the number are passed over. Of numbers that share a scale, the
        next one under the cursor.
        """
        if self.block is not None:
            return self.with_block(self.block.turned(forward))
        order = self.formats
        for _ in order[1:]:
            order = (*order[1:], order[0]) if forward else (order[-1], *order[:-1])
            with suppress(InputError):
                return replace(self.led_by(order[0]), formats=order)
        return self

    def without_lead(self) -> State:
        """The format that leads left out; itself where it is the only one."""
        if self.block is not None:
            return replace(self, block=None)
        found = self.turned(forward=True)
        rest = tuple(spec for spec in found.formats if spec != self.lead)
        return self if found.lead == self.lead else replace(found, formats=rest)

    def _second_for(self, spec: FormatSpec) -> Literal:
        """The other operand, which has to be a number where it was a code of another format."""
        if not isinstance(self.second, Code) or spec == self.lead:
            return self.second
        return number_of(DecodeReport.of(self.second, self.lead))

    # -- how numbers are rounded, and looked at ----------------------------------------------------

    def rounded(self, step: int) -> State:
        """The next rounding mode, or with -1 the one before.

        Raises:
            InputError: it overflows to a NaN that the format does not have.
        """
        modes = tuple(Rounding)
        at = (modes.index(self.rounding) + step) % len(modes)
        return replace(self, rounding=modes[at])._held()

    def overflowing(self) -> State:
        """The next overflow policy that the format has a code for."""
        policies = tuple(Overflow)
        at = policies.index(self.overflow)
        for policy in (*policies[at + 1 :], *policies[:at]):
            with suppress(InputError):
                return replace(self, overflow=policy)._held()
        return self

    def pointed(self, bit: int) -> State:
        """The cursor at a bit, or at the end that is nearest to it."""
        return replace(self, bit=min(max(bit, 0), self.lead.bits - 1))

    def moved(self, left: bool) -> State:
        """The cursor at the next bit."""
        if self.block is not None:
            return self.with_block(self.block.moved(left))
        return self.pointed(self.bit + (1 if left else -1))

    def zoomed(self, out: bool) -> State:
        """The number line with more on it, or less."""
        return replace(self, zoom=min(max(self.zoom + (1 if out else -1), 0), LEVELS))

    def seen(self, view: View) -> State:
        """Another view; the same again leads back to the bits."""
        return replace(self, view=View.BITS if self.view is view else view)

    # -- arithmetic --------------------------------------------------------------------------------

    def with_second(self, literal: Literal) -> State:
        """Another operand.

        Raises:
            InputError: the format that leads cannot hold it.
        """
        found = DecodeReport.of(literal, self.lead, self.rounding, self.overflow)
        if isinstance(literal, Constant):
            literal = code_literal(found.code, self.lead)
        return replace(self, second=literal, view=View.CALC)

    def operated(self) -> State:
        """The next operation."""
        at = OPERATIONS.index(self.operation)
        return replace(self, operation=OPERATIONS[(at + 1) % len(OPERATIONS)], view=View.CALC)

    @property
    def expression(self) -> str:
        """What the arithmetic view computes, as `fpx calc` reads it: the operands are codes."""
        second = DecodeReport.of(self.second, self.lead, self.rounding, self.overflow)
        a, b = (hex_code(code, self.lead) for code in (self.code, second.code))
        if self.operation.isalpha():
            return f"{self.operation}({a}, {b})"
        return f"{a} {self.operation} {b}"
