"""Exact results as text, and how far codes are from them."""

from __future__ import annotations

from decimal import Context, Decimal
from fractions import Fraction

from fpx.arithmetic.operations import Value
from fpx.arithmetic.surds import approximated, log2_floor, negated
from fpx.core import codec
from fpx.core.dyadic import Dyadic
from fpx.core.numbers import fraction_text
from fpx.core.spec import FormatSpec
from fpx.report.calc import Exact

_DIGITS = 50  # of an irrational number
_BITS = 200  # that are more


def exact_text(value: Value) -> Exact:
    """A result before it is rounded."""
    sign = "-" if value.negative else ""
    number = value.number
    if number is None:
        return Exact("nan" if value.nan else f"{sign}inf")
    if isinstance(number, Fraction):
        return Exact(f"{sign}0" if number == 0 else fraction_text(number))
    return Exact(_cut_text(approximated(number, _BITS)), cut=True)


def errors(value: Value, code: int, spec: FormatSpec) -> tuple[str, str] | None:
    """code - value as text, and in ulps of the format at the value; None where one is no number."""
    found, number = codec.decode(code, spec), value.number
    if found is None or number is None:
        return None
    if number == 0:
        exponent = spec.quantum_exponent
    else:
        magnitude = log2_floor(negated(number) if value.negative else number)
        exponent = min(max(magnitude, spec.emin), spec.emax) - spec.fraction_bits
    error = found.fraction - approximated(number, spec.precision + _BITS)
    in_ulps = error / Dyadic(1, exponent).fraction
    written = fraction_text if isinstance(number, Fraction) else _cut_text
    return written(error), written(in_ulps)


def _cut_text(number: Fraction) -> str:
    """A number with its first digits."""
    context = Context(prec=_DIGITS, rounding="ROUND_DOWN")
    text = f"{context.divide(Decimal(number.numerator), Decimal(number.denominator)):E}"
    return fraction_text(Fraction(text))
