"""Weights and their scales, found in the tensors of a source or of the files of one checkpoint.

What does not add up is said, and its tensors stay as they are stored.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from fpx.core.packing import default_packing
from fpx.core.spec import FormatSpec
from fpx.errors import InputError
from fpx.tensors.entry import Source
from fpx.tensors.quantised import bitsandbytes
from fpx.tensors.quantised.candidates import CODES, candidates
from fpx.tensors.quantised.choosing import close, settle
from fpx.tensors.quantised.entries import entry_of
from fpx.tensors.quantised.group import LEFT, MORE, NOBODY, OTHERS, DoubledError, Group
from fpx.tensors.quantised.hints import LateHints
from fpx.tensors.quantised.layouts import logical_name
from fpx.tensors.quantised.model import Evidence
from fpx.tensors.quantised.recipe import Recipe, Stored
from fpx.tensors.quantised.told import Told, recipe_of
from fpx.words import listed

_MOST_NOTES = 20


def paired(
    sources: Sequence[Source],
    told: Sequence[Told] = (),
    met: set[str] | None = None,
    wrong: dict[str, str] | None = None,
) -> list[Source]:
    """The sources, which are one checkpoint, with weights in the place of their codes and scales.

    Args:
        sources: files, whose names are their paths, or tensors in memory.
        told: what the user said of some of their tensors.
        met: gets the texts of those that hold here.
        wrong: gets the texts of those that are of a tensor here, which cannot be that, and why.
    """
    group = Group(sources)
    hints = LateHints(sources)
    for each in told:
        try:
            if _as_told(group, each) and met is not None:
                met.add(each.text)
        except InputError as error:
            if wrong is not None:
                wrong[each.text] = str(error)
    for number, source in enumerate(sources):
        if source.kind not in OTHERS:
            _bitsandbytes(group, number)
    for place, found in candidates(group).items():
        settle(group, place, found, hints)
    close(group)
    for number in range(len(sources)):
        _alone(group, number, hints)
        group.notes[number] += hints.notes(number)
    return [_replaced(group, number) for number in range(len(sources))]


def _as_told(group: Group, told: Told) -> bool:
    """Takes the weights of that name as the user says; whether there are any."""
    met = False
    for number in range(len(group.sources)):
        codes = group.own(number, told.weight)
        if codes is None:
            continue
        if (number, codes.name) in group.found:
            raise told.wrong("it was said before of the same tensor")

        def look(name: str, number: int = number) -> Stored | None:
            found = group.look(name, number)
            return None if found is None else found[1]

        try:
            name = group.name_for(logical_name(codes.name), codes)
            recipe = recipe_of(told, codes, name, look)
            entry = entry_of(recipe, f"{told.target.name}, as told", Evidence.TOLD, told.text)
            group.take(number, codes, entry, [each.entry.name for each in recipe.scales])
        except DoubledError as error:
            raise told.wrong(str(error)) from None
        met = True
    return met


def _bitsandbytes(group: Group, number: int) -> None:
    """Takes bitsandbytes' weights of 4 bits, of which a state says what they are."""

    def look(name: str) -> Stored | None:
        found = group.look(name, number)
        return None if found is None else found[1]

    bases = [bitsandbytes.base_of(stored.name) for stored in group.stored(number)]
    for base in dict.fromkeys(each for each in bases if each):
        try:
            place = group.look(base, number)
            if place is None:
                group.notes[number].append(f"{base}{bitsandbytes.ENDING}: {NOBODY}")
                continue
            if (place[0], base) in group.found:
                continue
            recipe, beside = bitsandbytes.recipe_of(base, look)
        except (ValueError, DoubledError, InputError) as error:
            group.leave(number, base, error)
            continue
        name = recipe.element.name.removesuffix("_bnb")
        by = next(each for each in beside if bitsandbytes.is_state(each))
        entry = entry_of(
            recipe, f"bitsandbytes {name}", Evidence.METADATA, f"tensor {by}", beside=beside
        )
        group.take(place[0], place[1], entry, (base + bitsandbytes.ENDING, *beside))


# -- what is left ----------------------------------------------------------------------------------


_UNREAD = {
    ".qweight": "integers of GPTQ or AWQ, which fpx does not read",
    "quantized_weight_values": "fouroversix's layout, which fpx does not read",
}
_ALONE = ("weight_packed", "_blocks", ".blocks", "_qdata")


def _alone(group: Group, number: int, hints: LateHints) -> None:
    """Codes without scales: of formats that torch lacks they are read as such; else a note."""
    mentioned = {name for place, name in group.mentioned if place == number}
    kinds = {entry.quantised.stored_type for entry in group.found.values() if entry.quantised}
    said = hints(number).of if hints.has_own(number) else {}
    lacking: list[str] = []
    for codes in group.stored(number):
        place = (number, codes.name)
        if place in group.found or place in group.used:
            continue
        spec = codes.type
        unread = next((why for end, why in _UNREAD.items() if codes.name.endswith(end)), None)
        if isinstance(spec, FormatSpec) and codes.entry.type != spec:
            recipe = Recipe(codes.name, codes.shape, codes, spec, default_packing(spec.bits))
            group.found[place] = entry_of(
                recipe, f"{spec.name} without scales", Evidence.METADATA, f"dtype {codes.called}"
            )
        elif codes.name in mentioned:
            continue
        elif unread is not None:
            group.leave(number, codes.name, unread)
        elif spec.name in CODES and (
            codes.name.endswith(_ALONE)
            or (codes.called in kinds and codes.name.endswith("weight"))
            or logical_name(codes.name) in said
        ):
            lacking.append(codes.name)
    if lacking:
        group.notes[number].append(f"{listed(lacking)}: codes without scales; {LEFT}")


def _left(group: Group, number: int) -> list[str]:
    """A line for each reason why weights are left as they are stored."""
    return [f"{listed(names, 3)}: {why}; {LEFT}" for why, names in group.left[number].items()]


def _replaced(group: Group, number: int) -> Source:
    """The source with weights where their codes were, and without their scales."""
    source, notes = group.sources[number], [*group.notes[number], *_left(group, number)]
    more = len(notes) - _MOST_NOTES
    if more > 1:
        notes = [*notes[:_MOST_NOTES], f"and {more:,} {MORE}"]
    found = {name: entry for (place, name), entry in group.found.items() if place == number}
    used = {name for place, name in group.used if place == number}
    if not (found or used or notes):
        return source
    entries = [found.get(each.name, each) for each in source.entries if each.name not in used]
    raw = [found[each.name] for each in source.unread if each.name in found]
    left = [each for each in source.unread if each.name not in found and each.name not in used]
    if raw:
        entries = sorted([*entries, *raw], key=lambda each: each.name)
    return replace(
        source, entries=tuple(entries), unread=tuple(left), notes=(*source.notes, *notes)
    )
