"""What JSON lines say of codes: kept of those that were there before, and quick among their like.

What there is to say, `fpx.report.decode` decides: codes that are alike have a template, which is
made of what it says of one of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Self

from fpx.core.codec import Classification, classify, decode
from fpx.core.dyadic import Dyadic, in_places, place_point, power_of_five, power_of_ten
from fpx.core.policy import Rounding
from fpx.core.shortest import POSITIONAL
from fpx.core.spec import FormatSpec

_MOST_BITS, _MOST_EXPONENT_BITS = 64, 11  # as float64: few enough binades, and digits for `str`
_LEAST_FRACTION_BITS = 5  # with fewer, a decimal of one digit may be the shortest

_FEW_BITS = 16  # of formats in which most numbers of a stream become a code that was there before
_MOST_KEPT = 1 << 15  # with some 800 bytes each
_TO_NEAREST = (Rounding.TIES_TO_EVEN, Rounding.TIES_TO_AWAY)

_Says = Callable[[], Mapping[str, Any]]
_Encode = Callable[[Any], str]

_HOLE, _ENCODED_HOLE = "\0", "\\u0000"  # which no text of a report has


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
        self._spec, self._few = spec, spec.bits <= _FEW_BITS
        self._quick = rounding in _TO_NEAREST and _has_templates(spec)
        self._kept: dict[int, CodeText] = {}
        self._binades: dict[int, Binade] = {}

    def of(self, code: int, before: _Says, after: _Says, encode: _Encode) -> CodeText:
        """What a line says of a code.

        Args:
            code: any.
            before, after: what there is to say of it before the errors and after them.
            encode: to JSON, without breaking lines.
        """
        found = self._kept.get(code) if self._few else None
        if found is not None:
            return found
        spec = self._spec
        if self._quick and is_inside(code, spec):
            key = code >> spec.fraction_bits << 1 | code & 1
            binade = self._binades.get(key)
            if binade is None:
                binade = self._binades[key] = Binade(code, spec)
            found = binade.text(code, before, after, encode)
        if found is None:
            told, told_after = encode(before())[1:-1], encode(after())[1:-1]
            found = CodeText(told, told_after, decode(code, spec), classify(code, spec))
        if self._few:
            if len(self._kept) == _MOST_KEPT:
                self._kept.clear()
            self._kept[code] = found
        return found


class Template(NamedTuple):
    """What is said of those codes of a binade whose values have as many digits.

    Attributes:
        before, after: the errors, in pieces; between them is what differs.
        whole: digits of a value in front of the point; 0 if the pieces have the point.
    """

    before: Sequence[str]
    after: Sequence[str]
    whole: int

    @classmethod
    def like(
        cls, before: Mapping[str, Any], after: Mapping[str, Any], spec: FormatSpec, encode: _Encode
    ) -> Self:
        """That of a code, by what is said of it."""
        decimal, e, power = before["value"].partition("e")
        digits = decimal.lstrip("-0.")
        lead = decimal.removesuffix(digits)
        value = f"{lead}{_HOLE}{e}{power}"
        in_front, _, fraction = before["hex_float"].partition(".")
        holes = {
            "code": f"0x{_HOLE}",
            "bits": before["bits"][: -spec.fraction_bits] + _HOLE,
            "fraction": f"0x{_HOLE}",
            "significand": f"1.{_HOLE}",
            "value": value,
            "shortest": _HOLE,
            "hex_float": f"{in_front}.{_HOLE}p{fraction.partition('p')[2]}",
        }
        interval = {**after["interval"], "low": value, "high": value}
        around = {"lower": value, "upper": value, "interval": interval}
        return cls(
            encode({**before, **holes})[1:-1].split(_ENCODED_HOLE),
            encode({**after, **around})[1:-1].split(_ENCODED_HOLE),
            0 if "." in lead else len(digits.partition(".")[0]),
        )


class Binade:
    """Normal codes of one sign and biased exponent, and of one parity.

    Values are whole numbers of 10^-places here, and so is half an ulp.

    Args:
        code: one of them that `is_inside`.
        spec: their format.
    """

    def __init__(self, code: int, spec: FormatSpec) -> None:
        self._spec, self._kind = spec, classify(code, spec)
        self._negative, self._odd = bool(code & spec.sign_mask), code & 1
        self._exponent = exponent = spec.finite(code & spec.magnitude_mask).exponent
        self._places = max(1 - exponent, 1)
        self._half = in_places(exponent - 1, self._places)
        # the least power of ten above an ulp: what rounds to a code holds one multiple of it at
        # most, and of its tenth one at least
        self._zeros = len(str(2 * self._half))
        self._coarse, self._fine = power_of_ten(self._zeros), power_of_ten(self._zeros - 1)
        self._leading = 1 << spec.fraction_bits
        self._significand_unit = power_of_five(spec.fraction_bits)
        digits = -(-spec.fraction_bits // 4)
        self._padding = 4 * digits - spec.fraction_bits
        # a digit before all others, so that `hex` leaves out none of them
        self._before_code, self._before_fraction = 1 << 4 * spec.code_digits, 1 << 4 * digits
        self._templates: dict[int, Template] = {}

    def text(self, code: int, before: _Says, after: _Says, encode: _Encode) -> CodeText | None:
        """What is said of one of the codes; None if its neighbours differ in their digits' number.

        Args:
            code, before, after, encode: as for `CodeTexts.of`.
        """
        half, fraction = self._half, code & (self._leading - 1)
        significand = self._leading | fraction
        number = 2 * half * significand
        value, below, above = str(number), str(number - 2 * half), str(number + 2 * half)
        if len(below) != len(above):
            return None
        template = self._templates.get(len(value))
        if template is None:
            template = Template.like(before(), after(), self._spec, encode)
            self._templates[len(value)] = template
        (a, b, c, d, e, f, g, h), (p, q, r, s, t), whole = template
        low, high = str(number - half), str(number + half)
        if whole:
            value, below, above, low, high = [
                f"{digits[:whole]}.{digits[whole:]}".rstrip("0").rstrip(".")
                for digits in (value, below, above, low, high)
            ]
        else:  # where the ends of the interval end in 5
            value, below, above = value.rstrip("0"), below.rstrip("0"), above.rstrip("0")
        if self._negative:
            below, above, low, high = above, below, high, low
        return CodeText(
            f"{a}{hex(self._before_code | code)[3:]}"
            f"{b}{bin(significand)[3:]}"
            f"{c}{hex(self._before_fraction | fraction)[3:]}"
            f"{d}{str(significand * self._significand_unit)[1:].rstrip('0')}"
            f"{e}{value}"
            f"{f}{self._shortest(number)}"
            f"{g}{hex(significand << self._padding)[3:].rstrip('0')}{h}",
            f"{p}{below}{q}{above}{r}{low}{s}{high}{t}",
            Dyadic(-significand if self._negative else significand, self._exponent),
            self._kind,
        )

    def _shortest(self, number: int) -> str:
        """`shortest_decimal` of a value."""
        half, zeros, unit = self._half, self._zeros, self._coarse
        found, rest = divmod(number, unit)
        if unit - rest < half or (unit - rest == half and not self._odd):
            found += 1
        elif rest > half or (rest == half and self._odd):
            zeros, unit = zeros - 1, self._fine
            found, rest = divmod(number, unit)
            found += 2 * rest > unit or (2 * rest == unit and found & 1)
        return place_point(self._negative, str(found), zeros - self._places, POSITIONAL)


def is_inside(code: int, spec: FormatSpec) -> bool:
    """Whether both neighbours of a code are finite, normal, and have its exponent and sign."""
    magnitude, last = code & spec.magnitude_mask, (1 << spec.fraction_bits) - 1
    return 1 < magnitude & last < last < magnitude < spec.max_finite_magnitude


def _has_templates(spec: FormatSpec) -> bool:
    return (
        spec.fraction_bits >= _LEAST_FRACTION_BITS
        and spec.exponent_bits <= _MOST_EXPONENT_BITS
        and spec.bits <= _MOST_BITS
    )
