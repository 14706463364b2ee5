"""Which numbers probes are made of: masks, units, and what a reduction makes of a single one.

A mask is so large that units added to it are lost. Whether there are such numbers is a matter of
the format's range: where there are none, nothing can be told, and it has to be said.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from fpx.arithmetic.reveal.probing import Asker, NotResolvableError, Put, Question
from fpx.core.spec import FormatSpec

WIDEST = 53
"""Bits of the widest accumulator that processors have: float64's."""

_FEWER = (8, 4)  # bits of accumulators that are narrower than what comes out
_WIDE = 100  # binades of mask over unit, where a format has so many


@dataclass(frozen=True)
class Powers:
    """Powers of two as leaves.

    Attributes:
        leaf: the format of the factors.
        products: whether a leaf has two factors.
        b: the exponent of second factors, where that suffices.
    """

    leaf: FormatSpec
    products: bool = False
    b: int = 0

    def factors(self, exponent: int) -> tuple[float, float]:
        """The factors of a leaf that is 2^exponent.

        Raises:
            NotResolvableError: there are none.
        """
        low, high = self.leaf.quantum_exponent, self.leaf.emax
        a = min(max(exponent - self.b, low), high)
        b = exponent - a
        if not low <= b <= high or not (self.products or b == 0):
            raise NotResolvableError(f"{self.leaf.name} has no number for 2^{exponent}")
        return math.ldexp(1.0, a), math.ldexp(1.0, b)

    def put(self, leaf: int, exponent: int, first: float = 1.0, second: float = 1.0) -> Put:
        """A leaf that is first * second * 2^exponent.

        Args:
            leaf: which.
            exponent: see above.
            first, second: significands of the factors, of a sign, numbers of the format.

        Raises:
            NotResolvableError: there is no such leaf.
        """
        a, b = self.factors(exponent)
        for factor, significand in ((a, first), (b, second)):
            if abs(significand) != 1 and factor < math.ldexp(1.0, self.leaf.emin):
                raise NotResolvableError(f"{self.leaf.name} has too small a range for its probes")
        return Put(leaf, a * first, b * second)


@dataclass(frozen=True)
class Scale:
    """Masks and units that a reduction was found to work with.

    Attributes:
        powers: how powers of two are made.
        mask, unit: exponents.
        gain: what the sum is multiplied by, such as 1/n of a mean.
        chunk: how many units one question may hold, so that the answer counts them.
        precision: the widest accumulator, in bits, in which a mask still hides all units.
        top: the exponent of the largest power of two that may come out.
    """

    powers: Powers
    mask: int
    unit: int
    gain: float
    chunk: int
    precision: int
    top: int

    def counted(self, value: float) -> int:
        """How many units an answer is.

        Raises:
            NotResolvableError: it is no number of units.
        """
        units = value / self.gain / math.ldexp(1.0, self.unit)
        count = round(units) if math.isfinite(units) else -1
        if not 0 <= count <= self.chunk or abs(units - count) > 0.25:
            raise NotResolvableError("masks leave something else than units")
        return count

    def is_power(self, value: float, exponent: int) -> bool:
        """Whether an answer is what 2^exponent alone gives.

        A gain that is no power of two may have been rounded once more, to a subnormal.
        """
        expected = math.ldexp(self.gain, exponent)
        return abs(value - expected) <= expected / 8

    def masked(self, i: int, j: int) -> tuple[Put, Put]:
        """The two leaves that hide whatever is added between them."""
        x, y = self.powers.put(i, self.mask), self.powers.put(j, self.mask, -1.0)
        return x, y

    def units(self, leaves: Sequence[int], count: int) -> tuple[array[float], array[float]]:
        """Rows of `count` leaves with units at some, and zeros elsewhere."""
        x, y = self.powers.factors(self.unit)
        a = array("d", [0.0]) * count
        for leaf in leaves:
            a[leaf] = x
        return a, array("d", [y]) * count


def find_scale(asker: Asker) -> Scale:
    """Masks and units for a reduction, tried.

    Raises:
        NotResolvableError: there are none, or this is no sum; why.
    """
    reduction = asker.reduction
    if reduction.count < 2:
        raise NotResolvableError("there is nothing to add to one leaf")
    gain = _gain(asker)
    best: Scale | None = None
    why = f"{reduction.leaf.name} has too small a range for masks"
    for scale in _candidates(asker, gain):
        if best is not None and scale.precision <= best.precision:
            continue
        try:
            _try(asker, scale)
        except NotResolvableError as error:
            why = str(error)
            continue
        best = scale
        if best.precision >= WIDEST:
            break
    if best is None:
        raise NotResolvableError(why)
    return best


def _gain(asker: Asker) -> float:
    """What becomes of a single 1, which is to be the same at every leaf."""
    n = asker.reduction.count
    answers = set(asker.numbers(Question((Put(leaf, 1.0),)) for leaf in range(n)))
    if len(answers) > 1:
        raise NotResolvableError(
            "leaves do not count alike: a 1 gives another result at another place"
        )
    (gain,) = answers
    if not (math.isfinite(gain) and gain > 0):
        raise NotResolvableError(f"a single 1 among zeros gives {gain:g}")
    if asker.ask(Put(0, -1.0)) != -gain:
        raise NotResolvableError("this is no sum: -1 does not give the negative of what 1 gives")
    return gain


def _candidates(asker: Asker, gain: float) -> Iterator[Scale]:
    """Scales that might do, those first that use plain numbers."""
    reduction = asker.reduction
    leaf, out, n = reduction.leaf, reduction.out, reduction.count
    power = math.frexp(gain)[0] == 0.5
    counts = [out.precision, *(bits for bits in _FEWER if bits < out.precision)]
    chunks = [1 << (bits if power else max(bits - 3, 0)) for bits in counts]
    room = (n - 1).bit_length()
    least = out.quantum_exponent - math.frexp(gain)[1] + 1  # whose result is still a number
    if not power:
        least += 4
    plain = Powers(leaf, reduction.products)
    top = out.emax - max(math.frexp(gain)[1], 0)
    ranges = [(min(_WIDE, leaf.emax), 0, plain)] if leaf.emax >= _WIDE else []
    ranges += [(leaf.emax, max(low, least), plain) for low in (leaf.quantum_exponent, leaf.emin)]
    if reduction.products:
        for low in (2 * leaf.emin, 2 * leaf.quantum_exponent):
            unit = max(low, least)
            split = replace(plain, b=max(unit // 2, leaf.emin))
            ranges.append((min(2 * leaf.emax, unit + WIDEST + room + 2), unit, split))
    for mask, unit, powers in ranges:
        precision = mask - unit - room - 1
        if precision >= 2:
            for chunk in sorted({min(chunk, n) for chunk in chunks}, reverse=True):
                yield Scale(powers, mask, unit, gain, chunk, precision, min(mask, top))


def _try(asker: Asker, scale: Scale) -> None:
    """Whether masks cancel, single units survive and units are counted.

    Raises:
        NotResolvableError: not so.
    """
    n = asker.reduction.count
    for i, j in {(0, 1), (0, n - 1), (n - 1, 0), (n // 2, 0)} - {(0, 0), (n - 1, n - 1)}:
        if asker.ask(*scale.masked(i, j)) != 0:
            raise NotResolvableError(f"2^{scale.mask} and its negative do not cancel")
    one = (Question((scale.powers.put(leaf, scale.unit),)) for leaf in range(n))
    if any(scale.counted(answer) != 1 for answer in asker.numbers(one)):
        raise NotResolvableError(f"a single 2^{scale.unit} does not come through")
    for start in range(0, n, scale.chunk):
        leaves = range(start, min(start + scale.chunk, n))
        (answer,) = asker.numbers([Question((), *scale.units(leaves, n))])
        if scale.counted(answer) != len(leaves):
            raise NotResolvableError("units do not add up to their number")
