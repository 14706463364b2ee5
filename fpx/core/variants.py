"""Scaled formats made from others: another scale, another rule, the choices of a library."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from fpx.core.choices import LIKE, POWERS_OF_TWO, NonFinite, ScaleRule
from fpx.core.elements import Element
from fpx.core.formats import FORMATS
from fpx.core.scaling import Encoding, Reach, ScaledFormat
from fpx.core.spec import FormatSpec
from fpx.errors import InputError
from fpx.words import did_you_mean, listed, quoted

FLOAT32 = FORMATS["float32"]
_ONE = 0x3F800000  # of float32


def usual(element: Element, reach: Reach) -> ScaledFormat:
    """An element with a float32 scale per tensor, channel or block, by the usual rule."""
    encoding = Encoding(ScaleRule.AMAX, zero_block=_ONE, nonfinite=NonFinite.ELEMENT)
    return ScaledFormat(element.name, element, FLOAT32, reach, encoding)


def with_scale(target: ScaledFormat, scale: FormatSpec) -> ScaledFormat:
    """A target with scales of another format; the rule and the scale of zeros follow it."""
    if scale == target.scale:
        return target
    powers = scale.fraction_bits == 0
    encoding = replace(
        target.encoding,
        rule=ScaleRule.RCEIL if powers else ScaleRule.AMAX,
        zero_block=_ONE if scale is FLOAT32 else 0,
        nonfinite=NonFinite.ELEMENT if scale.nan_code is None else target.encoding.nonfinite,
    )
    return replace(target, scale=scale, encoding=encoding)


def like(library: str, target: ScaledFormat) -> ScaledFormat:
    """A format as a library encodes it.

    Raises:
        InputError: no such library here, or it does not write this format.
    """
    rows = LIKE.get(library.strip().lower())
    if rows is None:
        meant = did_you_mean(library, LIKE)
        raise InputError(
            f"no encoder is called {quoted(library)}{meant or ': use one of ' + listed(LIKE, 40)}"
        )
    base = target.name.partition(":")[0]
    found = rows.get(base)
    if found is None:
        raise InputError(
            f"{library.strip().lower()} writes no {base}, as far as fpx knows: it has "
            f"{listed(rows, 40)}"
        )
    return replace(target, encoding=changed(target.encoding, found))


def changed(encoding: Encoding, choices: Mapping[str, Any]) -> Encoding:
    """Other choices, with what belongs to the rule that was before left behind."""
    rule = choices.get("rule", encoding.rule)
    own = {} if rule is encoding.rule else {"global_top": usual_top(rule), "even_bits": None}
    return replace(encoding, **{**own, **choices})


def usual_top(rule: ScaleRule) -> int:
    """448, the largest E4M3; for `4over6` 256, so that 3/2 of it, 384, is one too."""
    return 256 if rule is ScaleRule.FOUR_OVER_SIX else 448


def rules_for(target: ScaledFormat) -> tuple[ScaleRule, ...]:
    """The rules worth comparing for a target: those of powers of two, or for other scales amax."""
    if target.scale.fraction_bits == 0:
        even = not isinstance(target.element, FormatSpec) and target.element.fraction_bits is None
        return tuple(r for r in POWERS_OF_TWO if not (even and r is ScaleRule.EVEN))
    if target.element.name == "float4_e2m1fn" and target.global_scale is not None:
        return (ScaleRule.AMAX, ScaleRule.FOUR_OVER_SIX)
    return (ScaleRule.AMAX, ScaleRule.RCEIL)
