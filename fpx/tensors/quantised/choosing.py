"""Which layout the tensors of one weight are, of those that they fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fpx.tensors.quantised.entries import entry_of
from fpx.tensors.quantised.group import TAKEN, Candidate, DoubledError, Group, Place
from fpx.tensors.quantised.hints import Hint, Hints, LateHints
from fpx.tensors.quantised.layouts import BESIDE, ROWS, Row, logical_name
from fpx.tensors.quantised.model import Evidence
from fpx.tensors.quantised.recipe import Recipe, Stored
from fpx.words import listed


def settle(group: Group, place: Place, candidates: Sequence[Candidate], hints: LateHints) -> None:
    """What one weight is; or a note that says why it is left as it is stored."""
    number, name = place
    try:
        if len(candidates) > 1:
            several = listed(each.scales.name for each in candidates)
            raise _NoLayoutError(f"it has several tensors of scales ({several})")
        (candidate,) = candidates
        fits, hint = _fits(group, number, candidate, hints(number))
        choice = _chosen(fits, hint)
        if isinstance(choice, Choice):
            _keep(group, number, candidate, choice)
        else:
            group.open.append((number, candidate, choice))
    except (_NoLayoutError, DoubledError) as error:
        group.leave(number, name, error)


class _NoLayoutError(Exception):
    """Why tensors are no weight that fpx reads."""


_Fits = list[tuple[Row, Recipe]]


def _fits(
    group: Group, number: int, candidate: Candidate, hints: Hints
) -> tuple[_Fits, Hint | None]:
    """The rows that the tensors fit, at least one; and what metadata say."""
    codes, base, (weight, ending) = candidate.codes, candidate.base, candidate.endings
    if group.has(f"{base}_zero_point"):
        raise _NoLayoutError(f"it has zero points ({base}_zero_point), which fpx does not read")
    name = logical_name(codes.name)
    hint = hints.get(name) or hints.get(codes.name)
    fits: _Fits = []
    why: list[str] = []
    for row in ROWS:
        if (row.codes, row.scale) != (weight, ending):
            continue
        if codes.type.name not in row.stored or candidate.scales.type.name not in row.scales:
            continue
        made = _fit(group, number, candidate, row, hint, name)
        if isinstance(made, str):
            why.append(made)
        else:
            fits.append((row, made))
    if not fits:
        raise _NoLayoutError(_refusal(candidate, why))
    return fits, hint


@dataclass(frozen=True)
class Choice:
    """A row, the weight that it makes, and why that one."""

    row: Row
    recipe: Recipe
    layout: str
    evidence: Evidence
    by: str


_ELEMENTS = {
    "float4_e2m1fn_x2": "float4_e2m1fn", "nvfp4": "float4_e2m1fn", "fp6_e2m3": "float6_e2m3fn",
    "fp6_e3m2": "float6_e3m2fn", "float8_e4m3fn": "float8_e4m3fn", "float8_e5m2": "float8_e5m2",
    "float6_e2m3fn": "float6_e2m3fn", "float6_e3m2fn": "float6_e3m2fn",
}  # fmt: skip


def _chosen(fits: _Fits, hint: Hint | None) -> Choice | _Fits:
    """The row that metadata name, or the only one that there is; else those that are left."""
    named = [] if hint is None else [each for each in fits if hint.method in each[0].methods]
    wanted = _ELEMENTS.get(hint.element or "") if hint is not None else None
    if hint is not None and named and wanted is not None:
        same = [each for each in named if each[1].element.name == wanted]
        if not same:
            raise _NoLayoutError(
                f"{hint.where} says {hint.element}, which codes of its dtype are not"
            )
        named = same
    pool = named or [each for each in fits if not each[0].told] or fits
    distinct = {_reads(recipe): (row, recipe) for row, recipe in reversed(pool)}
    if len(distinct) > 1:
        return list(reversed(distinct.values()))
    row, recipe = pool[0]
    if hint is not None and named:
        return Choice(row, recipe, row.methods[hint.method], Evidence.METADATA, hint.where)
    by = "names, dtypes and shapes"
    if hint is not None:
        by += f" ({hint.where} is for others)"
    return Choice(row, recipe, row.name, Evidence.NAMES, by)


def _reads(recipe: Recipe) -> tuple[object, ...]:
    """What the numbers of a recipe depend on: rows of which this is the same do not differ."""
    return (
        recipe.element, recipe.packing, recipe.shape, recipe.divisor,
        tuple((each.format, each.block, each.divides, each.swizzled, each.top_is_number)
              for each in recipe.scales),
    )  # fmt: skip


def _keep(group: Group, number: int, candidate: Candidate, choice: Choice) -> None:
    """A weight that was recognised, with what belongs to it."""
    codes = candidate.codes
    module = codes.name[: codes.name.rfind(".") + 1]
    beside = [f"{module}{each}" for each in BESIDE]
    beside.append(f"{candidate.base}_act_per_tensor_scale")
    beside = [each for each in beside if group.has(each)]
    entry = entry_of(choice.recipe, choice.layout, choice.evidence, choice.by, beside=tuple(beside))
    parts = [each.entry.name for each in choice.recipe.scales]
    group.take(number, codes, entry, (*parts, *beside))


def close(group: Group) -> None:
    """Decides between layouts that fit the same names, dtypes and shapes.

    Where they differ in the order of scales alone, that is looked at: a checkpoint has one writer,
    and what some of its weights show is held to be so of the others.
    """
    undecided = [each for each in group.open if _differ_in_order(each[2])]
    if undecided:
        from fpx.tensors.quantised.rivals import swizzled

        tiles = swizzled([pool[0][1].scales[0] for _, _, pool in undecided],
                         [pool[0][1].folded for _, _, pool in undecided])  # fmt: skip
    for number, candidate, pool in group.open:
        choices = listed(dict.fromkeys(row.name for row, _ in pool))
        name = candidate.codes.name
        if not _differ_in_order(pool) or tiles is None:
            elements = listed(dict.fromkeys(recipe.element.name for _, recipe in pool))
            what = choices if _differ_in_order(pool) else elements
            group.leave(number, name, f"names and shapes fit {what} (--as can say which)")
            continue
        row, recipe = next(each for each in pool if each[1].scales[0].swizzled is tiles)
        order = "in tiles of 128 x 4" if tiles else "row by row"
        by = f"names and shapes fit {choices}; the scales look as if they lay {order}"
        _keep(group, number, candidate, Choice(row, recipe, row.name, Evidence.LIKELY, by))
        group.likely.setdefault((number, row.name, by), []).append(name)
    for (number, layout, by), names in group.likely.items():
        group.notes[number].append(f"{listed(names, 3)}: taken for {layout} ({by}); {TAKEN}")


def _differ_in_order(pool: _Fits) -> bool:
    """Whether it is in the order of scales that two layouts differ, beside that of nibbles."""
    return len(pool) == 2 and len({each.scales[0].swizzled for _, each in pool}) == 2


def _fit(
    group: Group, number: int, candidate: Candidate, row: Row, hint: Hint | None, name: str
) -> Recipe | str:
    beside: Stored | None = None
    if row.beside:
        found = group.look(candidate.base + row.beside, number)
        if found is None and not row.optional:
            return f"its global scale {candidate.base}{row.beside} is missing"
        beside = None if found is None else found[1]
    applies = hint if hint is not None and hint.method in row.methods else None
    return row.fit(
        group.name_for(name, candidate.codes), candidate.codes, candidate.scales, beside, applies
    )


def _refusal(candidate: Candidate, why: Sequence[str]) -> str:
    if why:
        return why[0]
    codes, scales = candidate.codes, candidate.scales
    return (
        f"codes of {codes.called} and scales of {scales.called} under such names are no layout "
        "that fpx knows"
    )
