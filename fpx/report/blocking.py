"""Numbers to blocks, and bytes to blocks: what `fpx decode` is asked for in scaled formats."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from typing import NamedTuple

from fpx.core.choices import ScaleRule, find_rule
from fpx.core.codec import decode, encode
from fpx.core.literals import ReadAs, parse_literal
from fpx.core.names import ALL
from fpx.core.numbers import Code, Constant, Infinity, Literal, Nan, as_fraction
from fpx.core.packing import BLOCK, Packing, Unpacker, pack
from fpx.core.quantise import (
    Datum,
    QuantisedBlock,
    dequantise,
    global_scale,
    quantise,
    scale_value,
)
from fpx.core.scaling import ScaledFormat
from fpx.core.shortest import value_text
from fpx.core.targets import Target, with_scaling
from fpx.errors import InputError
from fpx.report.base import hex_code
from fpx.report.block import BlockReport, BlocksReport, block_size, packings
from fpx.report.block_row import Given
from fpx.words import listed, quoted


class BlockOptions(NamedTuple):
    """What was given; None where nothing was."""

    scale_rule: str | None = None
    like: str | None = None
    global_scale: Literal | None = None
    codes: str | bytes | None = None
    scale_code: str | Sequence[int] | None = None
    packing: Packing | None = None

    def refuse(self, targets: Sequence[Target]) -> None:
        """Refuses them where no format has scales.

        Raises:
            InputError: one was given.
        """
        if any(isinstance(target, ScaledFormat) for target in targets):
            return
        for name, value in self._asdict().items():
            if value is not None:
                raise InputError(
                    f"`{name}` is about scales, and {listed(each.name for each in targets)} "
                    "has none: choose a format such as mxfp4"
                )

    def report(self, targets: Sequence[Target], numbers: Iterable[Literal]) -> BlocksReport:
        """The blocks of these numbers, or of the codes that were given.

        Raises:
            InputError: options exclude each other, or name what there is not.
        """
        rules: Sequence[ScaleRule] | None = ()
        if self.scale_rule is not None:
            rules = None if self.scale_rule == ALL else [find_rule(self.scale_rule)]
        chosen = with_scaling(targets, rules=rules, library=self.like)
        scaled = [target for target in chosen if isinstance(target, ScaledFormat)]
        for target in scaled:
            if self.packing not in (None, *packings(target)):
                known = listed(each.value for each in packings(target))
                raise InputError(f"`packing` of {target.name} is one of {known}")
        if self.codes is not None:
            return self._decoded(self.codes, scaled, numbers)
        if self.scale_code is not None:
            raise InputError("`scale_code` is of codes: give them as `codes`")
        return blocks_of_numbers(numbers, scaled, self.global_scale)

    def _decoded(
        self, given: str | bytes, scaled: Sequence[ScaledFormat], numbers: Iterable[Literal]
    ) -> BlocksReport:
        """The blocks of the codes that were given."""
        for _ in numbers:
            raise InputError("`codes` takes the place of numbers: leave one of them out")
        for name in ("scale_rule", "like"):
            if getattr(self, name) is not None:
                raise InputError(f"`{name}` is about encoding, and `codes` are encoded already")
        if self.scale_code is None:
            raise InputError("`codes` mean nothing without their scale: give its `scale_code`")
        if len(scaled) > 1:
            raise InputError("`codes` are of one format: name one")
        scales = self.scale_code
        return blocks_of_bytes(
            read_hex(given) if isinstance(given, str) else given,
            read_scale_codes(scales) if isinstance(scales, str) else scales,
            scaled[0],
            self.packing,
            self.global_scale,
        )


class GlobalScale(NamedTuple):
    """The one scale that a tensor has beside those of its blocks."""

    code: int
    value: Fraction

    @classmethod
    def of(cls, literal: Literal, target: ScaledFormat) -> GlobalScale:
        """A number or a code as a global scale, which multiplies, rounded to its format.

        Raises:
            InputError: the format has none, or it is no such scale.
        """
        spec = target.global_scale
        if spec is None:
            raise InputError(f"{target.name} has no global scale: leave `global_scale` out")
        code = encode(literal, spec).code
        value = decode(code, spec)
        if value is None or value.significand < 0:
            raise InputError(
                f"`global_scale` is a number of {spec.name} from 0 on, not {quoted(literal.text)}"
            )
        return cls(code, value.fraction)


def blocks_of_numbers(
    literals: Iterable[Literal],
    targets: Iterable[ScaledFormat],
    global_: Literal | None = None,
) -> BlocksReport:
    """What scaled formats make of some numbers, as if they were the last axis of a tensor.

    Args:
        literals: the numbers, at least one.
        targets: the formats.
        global_: the global scale; None takes it from the largest of the numbers.

    Raises:
        InputError: no number, one that has no value there, or a global scale that nothing takes.
    """
    given = tuple(map(_given, literals))
    if not given:
        raise InputError("no number: give some, such as '6 -4 3 0.1'")
    return BlocksReport(
        tuple(report for target in targets for report in _encoded(given, target, global_))
    )


def _encoded(
    given: Sequence[Given], target: ScaledFormat, wanted: Literal | None
) -> Iterator[BlockReport]:
    global_ = None if wanted is None else GlobalScale.of(wanted, target)
    if global_ is not None and not global_.value:
        raise InputError("`global_scale` is 0, and no number can be divided by that")
    if target.global_scale is not None and global_ is None:
        finite = (abs(each.datum.value) for each in given if each.datum.value is not None)
        global_ = GlobalScale(*global_scale(max(finite, default=Fraction(0)), target))
    code, step = (None, Fraction(1)) if global_ is None else global_
    size = block_size(target) or len(given)
    for number, start in enumerate(range(0, len(given), size)):
        part = tuple(given[start : start + size])
        block = quantise([each.datum for each in part], target, step)
        yield BlockReport(target, block, number, start, part, code)


def blocks_of_bytes(
    codes: bytes,
    scale_codes: Sequence[int],
    target: ScaledFormat,
    packing: Packing | None = None,
    global_: Literal | None = None,
) -> BlocksReport:
    """What the packed codes of elements and those of their scales mean.

    Args:
        codes: the elements' codes; the last byte may be filled up with zeros.
        scale_codes: one per block.
        target: the format.
        packing: how the codes lie; None is the usual way, see `packings`.
        global_: the global scale; None is 1.

    Raises:
        InputError: as many scales as blocks are wanted, a code that there is not, or bits that
            belong to none.
    """
    if global_ is None and target.global_scale is not None:
        global_ = parse_literal("1")
    tensors = None if global_ is None else GlobalScale.of(global_, target)
    packing = packing or packings(target)[0]
    size = block_size(target)
    elements = _unpacked(codes, target, packing)
    size = size or len(elements)
    wanted = -(-len(elements) // size)
    if len(scale_codes) != wanted:
        raise InputError(
            f"{len(elements)} codes are {wanted} block{'s' if wanted > 1 else ''} of "
            f"{target.name}: give as many codes of scales in `scale_code`, not {len(scale_codes)}"
        )
    code, step = (None, Fraction(1)) if tensors is None else tensors
    items = []
    for number, scale_code in enumerate(scale_codes):
        part = elements[number * size : (number + 1) * size]
        scale = _checked_scale(scale_code, target)
        values = dequantise(part, target, scale, step)
        block = QuantisedBlock(scale_code, scale, step, tuple(part), values)
        items.append(BlockReport(target, block, number, number * size, None, code))
    return BlocksReport(tuple(items))


def _unpacked(data: bytes, target: ScaledFormat, packing: Packing) -> list[int]:
    """The codes in some bytes, of which none is left over and no bit that is set.

    Raises:
        InputError: there is something left.
    """
    bits, block = target.bits, block_size(target) or BLOCK
    unpacker = Unpacker(bits, packing, block=block)
    elements = unpacker.feed(data)
    rest, leftover = unpacker.finish()
    elements += rest
    told = f"codes of {target.element.name}, packed {packing.value}"
    if leftover or not elements:
        count = f"{len(data)} byte{'s are' if len(data) != 1 else ' is'}"
        raise InputError(f"{count} no whole number of {told}")
    if pack(elements, bits, packing, block) != data:
        raise InputError(
            f"{quoted(data.hex())} has bits set that belong to none of its {told}: is a byte "
            "missing, or is it another `packing`?"
        )
    return elements


def _checked_scale(code: int, target: ScaledFormat) -> Fraction | None:
    spec = target.scale
    if not 0 <= code < 1 << spec.bits:
        raise InputError(f"{code:#x} is no code of a scale: {spec.name} has {spec.bits} bits")
    if value_text(code, spec).endswith("inf"):
        raise InputError(f"{hex_code(code, spec)} is an infinity of {spec.name}, and no scale")
    return scale_value(code, target)


def _given(literal: Literal) -> Given:
    """What a literal means beside a scale.

    Raises:
        InputError: it means something in a format alone, or is too long to compute with.
    """
    if isinstance(literal, Code):
        raise InputError(
            f"{quoted(literal.text)} is a code, and blocks have codes of two kinds: give them "
            'as `codes` and `scale_code`, or read it as a number with `read_as="value"`'
        )
    if isinstance(literal, Constant):
        raise InputError(
            f"{quoted(literal.text)} is another number in every format: beside a scale, write "
            "it out"
        )
    if isinstance(literal, (Infinity, Nan)):
        infinite = isinstance(literal, Infinity)
        return Given(literal.text, Datum(None, literal.negative, infinite))
    value = as_fraction(literal)
    if value is None:
        raise InputError(
            f"{quoted(literal.text)} is too large, too small or too long for a block: what "
            "shares a scale is computed exactly, within 10^±6000"
        )
    return Given(literal.text, Datum(value, literal.negative))


def read_hex(text: str) -> bytes:
    """Bytes in hexadecimal, with blanks, underscores and a 0x as you like: `e7 45`.

    Raises:
        InputError: it is none.
    """
    digits = "".join(text.split()).replace("_", "").lower().removeprefix("0x")
    if not digits.isascii() or len(digits) % 2:
        raise InputError(
            f"{quoted(text)} is no row of bytes: write two hexadecimal digits for each"
        )
    try:
        return bytes.fromhex(digits)
    except ValueError:
        raise InputError(
            f"{quoted(text)} is no row of bytes: write two hexadecimal digits for each"
        ) from None


def read_scale_codes(text: str) -> list[int]:
    """The codes of scales in a text, with commas between them: `0x7f,0x80`.

    Raises:
        InputError: one of them is none.
    """
    codes = (parse_literal(part, ReadAs.CODE) for part in text.split(","))
    return [code.code for code in codes if isinstance(code, Code)]
