"""What becomes of subnormal numbers on their way in, as products, and as results.

Each is added to a normal number, or comes from normal ones, so that one flush does not hide behind
another; answers are read as bits.
"""

from __future__ import annotations

import math

from fpx.arithmetic.reveal.probing import Asker, Put, Question
from fpx.arithmetic.reveal.scales import Scale
from fpx.report.reveal_row import Subnormals


def find_subnormals(asker: Asker, scale: Scale) -> Subnormals:
    """Which subnormals survive; None where the formats have no numbers to ask with."""
    reduction = asker.reduction
    leaf, out = reduction.leaf, reduction.out
    room = max(leaf.emin, out.emin) - leaf.emin
    if leaf.smallest_subnormal is None or leaf.fraction_bits < 1 or out.fraction_bits < 2:
        return Subnormals()
    low, half = math.ldexp(1.0, leaf.emin), math.ldexp(0.5, leaf.emin)
    if reduction.products:
        lift = min(leaf.emax, max(out.emin, leaf.emin) - leaf.emin + 8)
        big = math.ldexp(1.0, lift)
        inputs = [_is(asker, scale, lift + leaf.emin - 1, Put(0, half, big)),
                  _is(asker, scale, lift + leaf.emin - 1, Put(0, big, half))]  # fmt: skip
        product = None
        if leaf.emin <= out.emin and scale.gain == 1:
            product = _beside(asker, leaf.emin, Put(0, low, 0.5), Put(1, low))
        return Subnormals(all(inputs), product, _result(asker, scale))
    added = None
    if room == 0 and scale.gain == 1:
        added = _beside(asker, leaf.emin, Put(0, half), Put(1, low))
    return Subnormals(added, None, _result(asker, scale))


def _is(asker: Asker, scale: Scale, exponent: int, put: Put) -> bool:
    return scale.is_power(asker.ask(put), exponent)


def _beside(asker: Asker, exponent: int, *puts: Put) -> bool:
    """Whether half of the smallest normal number is added to one."""
    return asker.ask(*puts) == math.ldexp(1.5, exponent)


def _result(asker: Asker, scale: Scale) -> bool | None:
    """Whether a difference of two normal numbers may be subnormal."""
    leaf, out = asker.reduction.leaf, asker.reduction.out
    exponent = out.emin
    lowest = (2 if asker.reduction.products else 1) * leaf.emin
    if exponent < lowest or exponent - 1 + math.frexp(scale.gain)[1] - 1 < out.quantum_exponent:
        return None
    if exponent < leaf.emin:
        factors = math.ldexp(1.0, leaf.emin), math.ldexp(1.0, exponent - leaf.emin)
    else:
        factors = math.ldexp(1.0, exponent), 1.0
    a, b = factors
    question = Question((Put(0, 1.5 * a, b), Put(1, -a, b)))
    return scale.is_power(asker.numbers([question])[0], exponent - 1)
