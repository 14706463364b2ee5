"""One element of a GGUF block from its bytes to its number, in fractions. Loads no library."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from types import MappingProxyType

from fpx.core.codec import decode
from fpx.core.elements import element_value
from fpx.core.formats import FORMATS
from fpx.tensors.files.gguf_types import IQ4_NL, BlockType, mxfp4_scale, nvfp4_scale


@dataclass(frozen=True)
class Piece:
    """One of the numbers that an element of a block is made of.

    Attributes:
        role: `element`, `scale`, `scale of scales`, `minimum` or `scale of minima`.
        at: the byte of the block that holds its code, or the low bits of that; where it has
            several bytes, the first.
        format: what the code is of.
        bits: width of the code.
        code: the code.
        value: what that is; None for a NaN or an infinity.
        shares: whether the byte has other codes too.
    """

    role: str
    at: int
    format: str
    bits: int
    code: int
    value: Fraction | None
    shares: bool = True


def pieces(block: bytes, number: int, type_: BlockType) -> tuple[Piece, ...] | None:
    """What an element of a block is made of, the element first.

    Args:
        block: the bytes of a block.
        number: which of its elements.
        type_: what the block is of.

    Returns:
        The pieces; None of a type whose elements are looked up by the group.
    """
    follow = _FOLLOWERS.get(type_.name)
    return None if follow is None else follow(block, number)


def formula(found: tuple[Piece, ...]) -> str:
    """How an element's value comes from its pieces: `element × scale - minimum`."""
    scales = [piece.role for piece in found if piece.role.startswith("scale")]
    shift = [piece.role for piece in found if piece.role == "minimum"]
    more = [role for role in scales if role == "scale of minima"]
    product = " × ".join(["element", *(role for role in scales if role not in more)])
    if not shift:
        return product
    return f"{product} - minimum × {more[0]}" if more else f"{product} + minimum"


def value_of(found: tuple[Piece, ...]) -> Fraction | None:
    """The number that the pieces make; None for a NaN or an infinity."""
    value, minus = Fraction(1), Fraction(0)
    for piece in found:
        if piece.value is None:
            return None
        match piece.role:
            case "minimum":
                minus = -piece.value
            case "scale of minima":
                minus *= -piece.value
            case _:
                value *= piece.value
    return value - minus


def _half(role: str, block: bytes, at: int) -> Piece:
    code = int.from_bytes(block[at : at + 2], "little")
    found = decode(code, FORMATS["float16"])
    value = None if found is None else found.fraction
    return Piece(role, at, "float16", 16, code, value, shares=False)


def _field(block: bytes, at: int, width: int, run: int, number: int) -> tuple[int, int]:
    """(a code, its byte): in each run of bytes the codes in the lowest bits of all come first."""
    each = 8 // width
    byte = at + number // (each * run) * run + number % run
    return block[byte] >> width * (number // run % each) & (1 << width) - 1, byte


def _whole(at: int, bits: int, code: int, plus: int = 0, role: str = "element") -> Piece:
    """A whole number whose code is it plus so much."""
    signed = f"int{bits} + {plus}" if plus else f"uint{bits}"
    return Piece(role, at, signed, bits, code, Fraction(code - plus))


def _int8(role: str, block: bytes, at: int) -> Piece:
    code = block[at]
    return Piece(role, at, "int8", 8, code, Fraction(code - 256 * (code > 127)), shares=False)


def _q4_0(block: bytes, number: int) -> tuple[Piece, ...]:
    code, at = _field(block, 2, 4, 16, number)
    return _whole(at, 4, code, 8), _half("scale", block, 0)


def _q4_1(block: bytes, number: int) -> tuple[Piece, ...]:
    code, at = _field(block, 4, 4, 16, number)
    return _whole(at, 4, code), _half("scale", block, 0), _half("minimum", block, 2)


def _q5_0(block: bytes, number: int) -> tuple[Piece, ...]:
    code, at = _field(block, 6, 4, 16, number)
    high, _ = _field(block, 2, 1, 1, number)
    return _whole(at, 5, code | high << 4, 16), _half("scale", block, 0)


def _q5_1(block: bytes, number: int) -> tuple[Piece, ...]:
    code, at = _field(block, 8, 4, 16, number)
    high, _ = _field(block, 4, 1, 1, number)
    return _whole(at, 5, code | high << 4), _half("scale", block, 0), _half("minimum", block, 2)


def _q8_0(block: bytes, number: int) -> tuple[Piece, ...]:
    return _int8("element", block, 2 + number), _half("scale", block, 0)


def _q2_k(block: bytes, number: int) -> tuple[Piece, ...]:
    code, at = _field(block, 16, 2, 32, number)
    both = number // 16
    return (
        _whole(at, 2, code),
        _whole(both, 4, block[both] & 15, role="scale"),
        _half("scale of scales", block, 80),
        _whole(both, 4, block[both] >> 4, role="minimum"),
        _half("scale of minima", block, 82),
    )


def _q3_k(block: bytes, number: int) -> tuple[Piece, ...]:
    code, at = _field(block, 32, 2, 32, number)
    high, _ = _field(block, 0, 1, 32, number)
    low, low_at = _field(block, 96, 4, 8, number // 16)
    top, _ = _field(block, 104, 2, 4, number // 16)
    return (
        _whole(at, 3, code | high << 2, 4),
        _whole(low_at, 6, low | top << 4, 32, "scale"),
        _half("scale of scales", block, 108),
    )


def _six_bits(block: bytes, part: int, shift: int, role: str) -> Piece:
    """A scale (shift 0) or minimum (shift 4) of Q4_K and Q5_K, of which there are eight each."""
    if part < 4:
        at = 4 + shift + part
        return _whole(at, 6, block[at] & 63, role=role)
    at = 8 + part
    return _whole(at, 6, block[at] >> shift & 15 | block[shift + part] >> 6 << 4, role=role)


def _shifted(element: Piece, block: bytes, number: int) -> tuple[Piece, ...]:
    return (
        element,
        _six_bits(block, number // 32, 0, "scale"),
        _half("scale of scales", block, 0),
        _six_bits(block, number // 32, 4, "minimum"),
        _half("scale of minima", block, 2),
    )


def _q4_k(block: bytes, number: int) -> tuple[Piece, ...]:
    code, at = _field(block, 16, 4, 32, number)
    return _shifted(_whole(at, 4, code), block, number)


def _q5_k(block: bytes, number: int) -> tuple[Piece, ...]:
    code, at = _field(block, 48, 4, 32, number)
    high, _ = _field(block, 16, 1, 32, number)
    return _shifted(_whole(at, 5, code | high << 4), block, number)


def _q6_k(block: bytes, number: int) -> tuple[Piece, ...]:
    code, at = _field(block, 0, 4, 64, number)
    high, _ = _field(block, 128, 2, 32, number)
    return (
        _whole(at, 6, code | high << 4, 32),
        _int8("scale", block, 192 + number // 16),
        _half("scale of scales", block, 208),
    )


def _iq4(at: int, code: int) -> Piece:
    return Piece("element", at, "iq4_nl", 4, code, Fraction(IQ4_NL[code]))


def _iq4_nl(block: bytes, number: int) -> tuple[Piece, ...]:
    code, at = _field(block, 2, 4, 16, number)
    return _iq4(at, code), _half("scale", block, 0)


def _iq4_xs(block: bytes, number: int) -> tuple[Piece, ...]:
    code, at = _field(block, 8, 4, 16, number)
    low, low_at = _field(block, 4, 4, 1, number // 32)
    high, _ = _field(block, 2, 2, 1, number // 32)
    scale = _whole(low_at, 6, low | high << 4, 32, "scale")
    return _iq4(at, code), scale, _half("scale of scales", block, 0)


def _tq2_0(block: bytes, number: int) -> tuple[Piece, ...]:
    code, at = _field(block, 0, 2, 32, number)
    return _whole(at, 2, code, 1), _half("scale", block, 64)


def _q1_0(block: bytes, number: int) -> tuple[Piece, ...]:
    code, at = _field(block, 2, 1, 1, number)
    return (
        Piece("element", at, "sign", 1, code, Fraction(2 * code - 1)),
        _half("scale", block, 0),
    )


def _e2m1(at: int, code: int) -> Piece:
    element = FORMATS["float4_e2m1fn"]
    return Piece("element", at, element.name, 4, code, element_value(code, element))


def _mxfp4(block: bytes, number: int) -> tuple[Piece, ...]:
    code, at = _field(block, 1, 4, 16, number)
    scale = Piece("scale", 0, "float8_e8m0fnu", 8, block[0], mxfp4_scale(block[0]), shares=False)
    return _e2m1(at, code), scale


def _nvfp4(block: bytes, number: int) -> tuple[Piece, ...]:
    code, at = _field(block, 4, 4, 8, number)
    place = number // 16
    scale = nvfp4_scale(block[place])
    return (
        _e2m1(at, code),
        Piece("scale", place, "float8_e4m3fn", 8, block[place], scale, shares=False),
    )


_FOLLOWERS: Mapping[str, Callable[[bytes, int], tuple[Piece, ...]]] = MappingProxyType(
    {
        "Q4_0": _q4_0, "Q4_1": _q4_1, "Q5_0": _q5_0, "Q5_1": _q5_1, "Q8_0": _q8_0, "Q2_K": _q2_k,
        "Q3_K": _q3_k, "Q4_K": _q4_k, "Q5_K": _q5_k, "Q6_K": _q6_k, "IQ4_NL": _iq4_nl,
        "IQ4_XS": _iq4_xs, "TQ2_0": _tq2_0, "MXFP4": _mxfp4, "NVFP4": _nvfp4, "Q1_0": _q1_0,
    }
)  # fmt: skip
