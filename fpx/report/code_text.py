"""What JSON lines say of codes: kept of those that were there before, and quick inside a binade.

What there is to say, `fpx.report.decode` decides: codes of a binade have a template, which is made
of what it says of one of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Self

from fpx.core.codec import Classification, classify, decode
from fpx.core.dyadic import Dyadic, power_of_five, with_places
from fpx.core.policy import Rounding
from fpx.core.shortest import shortest_decimal
from fpx.core.spec import FormatSpec

_MOST_BITS, _MOST_EXPONENT_BITS = 64, 11  # as float64: few enough binades, and digits for `str`

_FEW_BITS = 16  # of formats in which most numbers of a stream become a code that was there before
_MOST_KEPT = 1 << 15  # with some 800 bytes each
_TO_NEAREST = (Rounding.TIES_TO_EVEN, Rounding.TIES_TO_AWAY)

_Says = Callable[[], Mapping[str, Any]]
_Encode = Callable[[Any], str]

_BEFORE = ("code", "bits", "fraction", "significand", "value", "shortest", "hex_float")
_AFTER = ("lower", "upper")
_INTERVAL = ("low", "high")
_HOLE = "\0"  # which no text of a report has; JSON escapes it


class CodeText(NamedTuple):
    """What a line says of a code before the errors and after them, as JSON without braces."""

    before: str
    after: str
    dyadic: Dyadic | None
    kind: Classification


class CodeTexts:
    """What lines say of the codes of a format, rounded in one way.

    Args:
        spec, rounding: those.
    """

    def __init__(self, spec: FormatSpec, rounding: Rounding) -> None:
        self._spec, self._rounding = spec, rounding
        self._kept: dict[int, CodeText] = {}
        self._binades: dict[tuple[int, int], Binade] = {}

    def of(self, code: int, before: _Says, after: _Says, encode: _Encode) -> CodeText:
        """What a line says of a code.

        Args:
            code: any.
            before, after: what there is to say of it before the errors and after them.
            encode: to JSON, without breaking lines.
        """
        found = self._kept.get(code)
        if found is not None:
            return found
        spec = self._spec
        if self._rounding in _TO_NEAREST and is_inside(code, spec):
            key = code >> spec.fraction_bits, code & 1
            binade = self._binades.get(key)
            if binade is None:
                binade = self._binades[key] = Binade.like(code, spec, before(), after(), encode)
            found = binade.text(code)
        else:
            told, told_after = encode(before())[1:-1], encode(after())[1:-1]
            found = CodeText(told, told_after, decode(code, spec), classify(code, spec))
        if spec.bits <= _FEW_BITS:
            if len(self._kept) == _MOST_KEPT:
                self._kept.clear()
            self._kept[code] = found
        return found


class Unit(NamedTuple):
    """A power of two, as factor / 10^places."""

    factor: int
    places: int

    @classmethod
    def of(cls, exponent: int) -> Self:
        """2^exponent."""
        if exponent >= 0:
            return cls(1 << exponent, 0)
        return cls(power_of_five(-exponent), -exponent)


class Binade(NamedTuple):
    """Codes of one sign and biased exponent, and of one parity, whose neighbours are finite too.

    Attributes:
        spec: their format.
        sign: `-` or nothing.
        before, after: what is said of them before the errors and after them, for `%`.
        ulp, half: the unit in the last place and half of that.
        significand: the unit of the significand.
        kind: what they are.
    """

    spec: FormatSpec
    sign: str
    before: str
    after: str
    ulp: Unit
    half: Unit
    significand: Unit
    kind: Classification

    @classmethod
    def like(
        cls,
        code: int,
        spec: FormatSpec,
        before: Mapping[str, Any],
        after: Mapping[str, Any],
        encode: _Encode,
    ) -> Self:
        """The binade of a code `is_inside` one, by what is said of that code."""
        exponent = spec.finite(code & spec.magnitude_mask).exponent
        interval = {**after["interval"], **dict.fromkeys(_INTERVAL, _HOLE)}
        return cls(
            spec,
            "-" if code & spec.sign_mask else "",
            _template({**before, **dict.fromkeys(_BEFORE, _HOLE)}, encode),
            _template({**after, **dict.fromkeys(_AFTER, _HOLE), "interval": interval}, encode),
            Unit.of(exponent),
            Unit.of(exponent - 1),
            Unit.of(-spec.fraction_bits),
            classify(code, spec),
        )

    def text(self, code: int) -> CodeText:
        """What is said of one of the codes."""
        spec, sign, before, after, (ulp, places), (half, more_places), (unit, digits), kind = self
        significand, exponent = spec.finite(code & spec.magnitude_mask)
        number = significand * ulp
        below = with_places(sign, str(number - ulp), places)
        above = with_places(sign, str(number + ulp), places)
        number_in_halves = 2 * significand * half
        low = with_places(sign, str(number_in_halves - half), more_places)
        high = with_places(sign, str(number_in_halves + half), more_places)
        if sign:
            below, above, low, high = above, below, high, low
        dyadic = Dyadic(-significand if sign else significand, exponent)
        told = (
            spec.code_pattern % code,
            f"{code:0{spec.bits}b}",
            f"0x{code & ((1 << spec.fraction_bits) - 1):0{-(-spec.fraction_bits // 4)}x}",
            with_places("", str(significand * unit), digits),
            with_places(sign, str(number), places),
            shortest_decimal(code, spec),
            dyadic.hex_float,
        )
        return CodeText(before % told, after % (below, above, low, high), dyadic, kind)


def is_inside(code: int, spec: FormatSpec) -> bool:
    """Whether both neighbours of a code are finite, not zero, and have its exponent and sign."""
    magnitude, last = code & spec.magnitude_mask, (1 << spec.fraction_bits) - 1
    return (
        1 < magnitude & last < last
        and magnitude < spec.max_finite_magnitude
        and spec.exponent_bits <= _MOST_EXPONENT_BITS
        and spec.bits <= _MOST_BITS
    )


def _template(entry: Mapping[str, Any], encode: _Encode) -> str:
    return encode(entry)[1:-1].replace("%", "%%").replace("\\u0000", "%s")
