"""Scales, and the codes that they may belong to by their names."""

from __future__ import annotations

from fpx.tensors.quantised.group import LEFT, NOBODY, OTHERS, Candidate, DoubledError, Group, Place
from fpx.tensors.quantised.layouts import BESIDE, ENDINGS
from fpx.tensors.quantised.recipe import Stored
from fpx.words import listed

CODES = frozenset(
    ("uint8", "int8", "uint32", "int32", "float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz",
     "float8_e5m2fnuz", "float4_e2m1fn", "float6_e2m3fn", "float6_e3m2fn")
)  # fmt: skip
"""Dtypes of codes."""

_ENDINGS = tuple(ENDINGS)
_SURE = ("_scale_inv", "_scales_inv", ".qscale_weight", ".SCB")  # are nothing else


def candidates(group: Group) -> dict[Place, list[Candidate]]:
    """Scales by the codes that they may belong to; those of codes that nobody has become notes."""
    found: dict[Place, list[Candidate]] = {}
    for number, source in enumerate(group.sources):
        if source.kind in OTHERS:
            continue
        orphans: list[str] = []
        for scales in group.stored(number):
            if not scales.name.endswith(_ENDINGS) or scales.name.endswith(BESIDE):
                continue
            if (number, scales.name) in group.used:
                continue
            try:
                owner = _owner(group, number, scales)
            except DoubledError as error:
                group.notes[number].append(f"{scales.name}: {error}, {LEFT}")
                continue
            if owner is None:
                if _is_scale(scales):
                    orphans.append(scales.name)
                continue
            place, candidate = owner
            if (place, candidate.codes.name) in group.found:
                continue
            if _is_worth(candidate):
                found.setdefault((place, candidate.codes.name), []).append(candidate)
        if orphans:
            group.notes[number].append(f"{listed(orphans)}: {NOBODY}")
    return found


def _owner(group: Group, number: int, scales: Stored) -> tuple[int, Candidate] | None:
    for ending, others in ENDINGS.items():
        if not scales.name.endswith(ending):
            continue
        base = scales.name.removesuffix(ending)
        for other in others:
            if base + other == scales.name:
                continue
            codes = group.look(base + other, number)
            if codes is not None:
                return codes[0], Candidate(codes[1], scales, base, (other, ending))
    return None


def _is_scale(scales: Stored) -> bool:
    """Whether a tensor whose codes are nowhere is scales for certain."""
    if scales.name.endswith(_SURE) or scales.name.endswith("weight_scale"):
        return True
    few = scales.type.name in ("float8_e8m0fnu", "uint8")
    return few and scales.name.endswith(("_scales", ".scales", ".scale"))


def _is_worth(candidate: Candidate) -> bool:
    """Whether names alone do not mislead: `norm.scale` beside `norm.weight` are two parameters."""
    if candidate.codes.type.name in CODES:
        return True
    return candidate.scales.name.endswith(("weight_scale", *_SURE))
