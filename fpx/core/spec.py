"""What a format is: how its codes map to values; every constant of it is derived from that.

Rounding and overflow are choices of a cast, not of a format: they live in `fpx.core.policy`.

The map, for a format with `f` fraction bits: the low `f` bits of a code are the `fraction` field,
the next `exponent_bits` the `biased_exponent` field, and the top bit, if `signed`, the sign.
Without the sign bit the code is the *magnitude*: an integer that grows with the absolute value.
Finite values come first, an infinity (if any) right after them, NaNs last, so
`FormatSpec.max_finite_magnitude` is all that tells apart formats whose special values are encoded
differently.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import Enum
from functools import cached_property
from typing import Any

from fpx.core.dyadic import Dyadic


class NanEncoding(Enum):
    """Where a format keeps its NaNs."""

    IEEE = "ieee"
    """Biased exponent all ones, fraction not zero (IEEE 754-2019, 3.4); infinity has fraction 0."""
    ALL_ONES = "all_ones"
    """The largest magnitude only: exponent and fraction all ones (OCP OFP8 E4M3, OCP MX E8M0)."""
    NEGATIVE_ZERO = "negative_zero"
    """The code that would be -0, so that there is one zero and one NaN (the `fnuz` family)."""
    NONE = "none"
    """No NaN: every code is a number (OCP MX FP6 and FP4)."""


@dataclass(frozen=True)
class FormatSpec:
    """How the codes of one format map to values. Specs are equal if all of their fields are.

    Attributes:
        name: torch's / ml_dtypes' name, such as `bfloat16`.
        exponent_bits: width of the biased exponent field, at least 1.
        fraction_bits: width of the trailing significand field, 0 or more.
        bias: `exponent` = `biased_exponent` - `bias` for normal numbers.
        signed: whether the top bit is a sign.
        zero: whether biased exponent 0 holds zero and the subnormals; if not, it is a binade like
            any other (E8M0).
        infinity: whether the magnitude right above the largest finite one is an infinity.
        nan: where NaNs are.
        aliases: other names, compared without regard to case.
        torch, numpy, ml_dtypes: the attribute that names the format there, or None.
        safetensors, onnx, cuda, gguf: what those call it, or None: the dtype of a header, the
            member of `TensorProto.DataType`, the C++ type, the name of a `ggml_type`.
        citation: the standard or paper, with its table or section.
    """

    name: str
    exponent_bits: int
    fraction_bits: int
    bias: int
    signed: bool = True
    zero: bool = True
    infinity: bool = True
    nan: NanEncoding = NanEncoding.IEEE
    aliases: tuple[str, ...] = ()
    torch: str | None = None
    numpy: str | None = None
    ml_dtypes: str | None = None
    safetensors: str | None = None
    onnx: str | None = None
    cuda: str | None = None
    gguf: str | None = None
    citation: str = ""

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        # equal specs have equal names, and hardly any others do
        return hash((self.name, self.bias, self.nan.value))

    def __getstate__(self) -> dict[str, Any]:
        """The fields alone: a copy, in another process too, works out for itself what it caches."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    # -- widths ------------------------------------------------------------------------------------

    @cached_property
    def bits(self) -> int:
        """Width of a code in bits."""
        return int(self.signed) + self.exponent_bits + self.fraction_bits

    @cached_property
    def precision(self) -> int:
        """p: bits of the significand, the leading one included."""
        return self.fraction_bits + 1

    @cached_property
    def sign_mask(self) -> int:
        """The sign bit of a code; 0 for an unsigned format."""
        return 1 << (self.bits - 1) if self.signed else 0

    @cached_property
    def magnitude_mask(self) -> int:
        """Every bit of a code but the sign."""
        return (1 << (self.exponent_bits + self.fraction_bits)) - 1

    @cached_property
    def code_digits(self) -> int:
        """Hexadecimal digits of a zero-padded code."""
        return -(-self.bits // 4)

    @cached_property
    def code_pattern(self) -> str:
        """How a code is written, for `%`: zero-padded hexadecimal, `0x%04x`."""
        return f"0x%0{self.code_digits}x"

    # -- special values ----------------------------------------------------------------------------

    @cached_property
    def max_finite_magnitude(self) -> int:
        """Magnitude of the largest finite value; an infinity or NaN may follow."""
        if self.nan is NanEncoding.IEEE:
            return (((1 << self.exponent_bits) - 1) << self.fraction_bits) - 1
        return self.magnitude_mask - (self.nan is NanEncoding.ALL_ONES) - self.infinity

    @cached_property
    def infinity_magnitude(self) -> int | None:
        """Magnitude of infinity, or None."""
        return self.max_finite_magnitude + 1 if self.infinity else None

    @cached_property
    def has_negative_zero(self) -> bool:
        """Whether zero has a sign."""
        return self.signed and self.zero and self.nan is not NanEncoding.NEGATIVE_ZERO

    @cached_property
    def has_nan_payload(self) -> bool:
        """Whether NaNs are quiet or signaling and carry a payload (IEEE 754 encodings only)."""
        return self.nan is NanEncoding.IEEE and self.fraction_bits > 0

    @cached_property
    def quiet_bit(self) -> int:
        """The fraction's top bit, set in quiet NaNs (IEEE 754-2019, 6.2.1)."""
        return 1 << (self.fraction_bits - 1) if self.has_nan_payload else 0

    @cached_property
    def nan_code(self) -> int | None:
        """Code of the canonical (positive, quiet, payload 0) NaN, or None."""
        if self.nan is NanEncoding.NONE:
            return None
        if self.nan is NanEncoding.NEGATIVE_ZERO:
            return self.sign_mask
        if self.nan is NanEncoding.ALL_ONES:
            return self.magnitude_mask
        return (self.max_finite_magnitude + 1) | self.quiet_bit

    # -- exponents ---------------------------------------------------------------------------------

    @cached_property
    def emin(self) -> int:
        """Exponent of the smallest normal number."""
        return int(self.zero) - self.bias

    @cached_property
    def emax(self) -> int:
        """Exponent of the largest finite number."""
        return self.max_finite.log2_floor

    @cached_property
    def quantum_exponent(self) -> int:
        """log2 of the smallest spacing between values."""
        return self.emin - self.fraction_bits

    # -- values ------------------------------------------------------------------------------------

    def finite(self, magnitude: int) -> Dyadic:
        """The value of a finite magnitude (an int from 0 to `max_finite_magnitude`)."""
        fraction_bits = self.fraction_bits
        biased_exponent = magnitude >> fraction_bits
        if biased_exponent == 0 and self.zero:
            return Dyadic(magnitude, self.quantum_exponent)
        leading = 1 << fraction_bits
        return Dyadic(
            leading | (magnitude & (leading - 1)), biased_exponent - self.bias - fraction_bits
        )

    @cached_property
    def max_finite(self) -> Dyadic:
        """The largest finite value."""
        return self.finite(self.max_finite_magnitude)

    @cached_property
    def lowest_finite(self) -> Dyadic:
        """The value below which there is no finite one: numpy's and torch's `finfo.min`."""
        return self.max_finite.negated if self.signed else self.finite(0)

    @cached_property
    def smallest_normal(self) -> Dyadic:
        """The smallest positive normal value."""
        return Dyadic(1, self.emin)

    @cached_property
    def smallest_subnormal(self) -> Dyadic | None:
        """The smallest positive subnormal value; None where the format has no subnormals."""
        return Dyadic(1, self.quantum_exponent) if self.zero and self.fraction_bits else None

    @cached_property
    def machine_epsilon(self) -> Dyadic:
        """2^(1-p): the spacing just above 1."""
        return Dyadic(1, 1 - self.precision)

    @cached_property
    def unit_roundoff(self) -> Dyadic:
        """2^-p: the largest relative error of a rounding to nearest without under- or overflow."""
        return Dyadic(1, -self.precision)

    @cached_property
    def digits10(self) -> int:
        """Decimal digits that survive decimal -> format -> decimal: the q of C's `FLT_DIG`.

        floor((p - 1) log10 2) for radix 2 (ISO C17, 5.2.4.2.2), found exactly: the largest q with
        10^q <= 2^(p-1).
        """
        return len(str(1 << (self.precision - 1))) - 1

    @cached_property
    def max_digits10(self) -> int:
        """Decimal digits that tell any two values apart: C's `FLT_DECIMAL_DIG`.

        ceil(1 + p log10 2) (ISO C17, 5.2.4.2.2): 2^p is never a power of ten, so that is 1 plus
        the digits of 2^p.
        """
        return 1 + len(str(1 << self.precision))

    @cached_property
    def max_consecutive_integer(self) -> int:
        """The largest n such that every integer from 0 (1 without a zero) to n is a value."""
        if (self.quantum_exponent if self.zero else self.emin) > 0:
            return 0
        top = 1 << self.precision
        return min(top, int(self.max_finite.fraction)) if self.max_finite.log2_floor >= 0 else 0

    @cached_property
    def first_missing_integer(self) -> int:
        """The smallest positive integer that is no value."""
        return self.max_consecutive_integer + 1

    @cached_property
    def smallest_positive(self) -> Dyadic:
        """The smallest value above zero."""
        return self.finite(int(self.zero))

    def holds(self, other: FormatSpec) -> bool:
        """Whether every finite value of another format is a value of this one."""
        return (
            self.precision >= other.precision
            and self.smallest_positive.fraction <= other.smallest_positive.fraction
            and self.max_finite.fraction >= other.max_finite.fraction
            and self.signed >= other.signed
            and self.zero >= other.zero
        )
