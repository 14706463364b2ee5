"""Formats that are parsed from their names: custom `eXmY`, and the IEEE P3109 family."""

from __future__ import annotations

import re
from functools import lru_cache

from fpx.core.formats import AMBIGUOUS, FORMATS, make_spec
from fpx.core.spec import FormatSpec, NanEncoding
from fpx.errors import InputError

_WIDEST = 64  # bits
_WIDEST_EXPONENT = 19  # bits, as binary256 has: exact decimals of more would take minutes
_CUSTOM = re.compile(
    r"(?:float([0-9]{1,2})_)?e([0-9]{1,3})m([0-9]{1,3})(?:b(-?[0-9]{1,5}))?(fnuz|fnu|fn)?"
)


_P3109 = re.compile(r"(?:p3109_)?binary([0-9]{1,2})p([0-9]{1,2})([su])([ef])")


def family_member(name: str) -> FormatSpec | None:
    """The custom or P3109 format of a name in lower case; None if the name is no such thing.

    `e5m7` follows IEEE 754's rules: bias 2^(w-1) - 1, subnormals, infinities and NaNs in the
    topmost exponent (without a fraction: infinities alone). ml_dtypes' suffixes change that: `fn`
    has no infinity and one NaN, all ones; `fnuz` has one zero, and its NaN where -0 would be;
    `fnu`, for formats without fraction bits, has neither sign nor zero. `b11` before the suffix
    sets the bias. A width in front (`float8_e4m3`) is checked.

    `binary8p4se` is IEEE P3109's format of 8 bits and precision 4, s(igned) or u(nsigned),
    e(xtended, with infinities) or f(inite): IEEE P3109 interim report v3, 3.

    A format that FORMATS has is that row, whatever it was called.

    Raises:
        InputError: the name asks for a format that cannot be.
    """
    match = _P3109.fullmatch(name)
    if match is not None:
        bits, precision, sign, domain = match.groups()
        return _p3109(int(bits), int(precision), sign, domain)
    match = _CUSTOM.fullmatch(name)
    if match is None:
        return None
    width, exponent_bits, fraction_bits, bias, suffix = match.groups()
    spec = _custom(int(exponent_bits), int(fraction_bits), suffix or "", bias)
    if width is not None and int(width) != spec.bits:
        raise InputError(f"format '{name}': that layout has {spec.bits} bits, not {width}")
    return spec


@lru_cache(maxsize=256)
def _custom(exponent_bits: int, fraction_bits: int, kind: str, bias: str | None) -> FormatSpec:
    bits = exponent_bits + fraction_bits + (kind != "fnu")
    name = f"e{exponent_bits}m{fraction_bits}"
    if not 1 <= bits <= _WIDEST or not 1 <= exponent_bits <= _WIDEST_EXPONENT:
        raise InputError(
            f"format '{name}' has {bits} bits, {exponent_bits} of them exponent: custom formats "
            f"have up to {_WIDEST} bits and 1 to {_WIDEST_EXPONENT} exponent bits"
        )
    if kind == "fnu" and fraction_bits:
        raise InputError(f"format '{name}fnu': fnu is for formats without fraction bits (m0)")
    rules = "infinite" if not kind and not fraction_bits else kind
    spec = make_spec(name + kind, exponent_bits, fraction_bits, rules)
    if bias is not None and int(bias) != spec.bias:
        name += f"b{int(bias)}"
        spec = make_spec(name + kind, exponent_bits, fraction_bits, rules, bias=int(bias))
    elif bias is not None:  # the default, spelled out
        return _custom(exponent_bits, fraction_bits, kind, None)
    name += kind
    for row in FORMATS.values():
        if name in row.aliases or row.name == f"float{bits}_{name}":
            return row
    if name in AMBIGUOUS:  # then only the long name finds it again
        return make_spec(f"float{bits}_{name}", exponent_bits, fraction_bits, rules)
    return _with_normals(spec)


@lru_cache(maxsize=256)
def _p3109(bits: int, precision: int, sign: str, domain: str) -> FormatSpec:
    signed, name = sign == "s", f"binary{bits}p{precision}{sign}{domain}"
    exponent_bits = bits - precision + (not signed)
    if not 2 <= bits <= _WIDEST or precision < 1 or not 1 <= exponent_bits <= _WIDEST_EXPONENT:
        raise InputError(
            f"format '{name}': P3109 formats have 2 to {_WIDEST} bits and a precision from 1 to "
            f"the bits{' less one' if signed else ''}, here up to {_WIDEST_EXPONENT} exponent bits"
        )
    return _with_normals(
        FormatSpec(
            name,
            exponent_bits,
            precision - 1,
            bias=1 << (exponent_bits - 1),
            signed=signed,
            infinity=domain == "e",
            nan=NanEncoding.NEGATIVE_ZERO if signed else NanEncoding.ALL_ONES,
            citation="IEEE P3109 interim report v3, 3",
        )
    )


def _with_normals(spec: FormatSpec) -> FormatSpec:
    """The format itself, if it has a normal number at all."""
    if spec.max_finite_magnitude >> spec.fraction_bits < int(spec.zero):
        raise InputError(f"format '{spec.name}' has no normal numbers: give it more bits")
    return spec
