"""Weights and their scales, found in the tensors of a source or of the files of one checkpoint.

What does not add up is said, and its tensors stay as they are stored.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from fpx.core.formats import FORMATS
from fpx.core.packing import default_packing
from fpx.core.spec import FormatSpec
from fpx.errors import InputError
from fpx.tensors.entry import Source, TensorEntry
from fpx.tensors.quantised import bitsandbytes
from fpx.tensors.quantised.entries import entry_of
from fpx.tensors.quantised.hints import NAMES_USED, Hint, Hints, hints_of
from fpx.tensors.quantised.layouts import BESIDE, ENDINGS, ROWS, Row
from fpx.tensors.quantised.model import Evidence
from fpx.tensors.quantised.recipe import Recipe, Stored
from fpx.tensors.quantised.told import Told, recipe_of
from fpx.words import listed

_OTHERS = ("gguf", "onnx")  # kinds whose own types say what is quantised
_MOST_NOTES = 20
_LEFT = "left as they are stored"
_NOBODY = "scales of weights that nobody has"
_TAKEN = "--as can say otherwise"
_MORE = "more lines like these"
REMARKS = (_LEFT, _NOBODY, _TAKEN, _MORE, NAMES_USED)
"""How notes end that tell how tensors are read, and not that one is passed over."""
_CODES = frozenset(
    ("uint8", "int8", "uint32", "int32", "float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz",
     "float8_e5m2fnuz", "float4_e2m1fn", "float6_e2m3fn", "float6_e3m2fn")
)  # fmt: skip


class DoubledError(Exception):
    """Several files have a tensor of the name."""


@dataclass
class Group:
    """The tensors of the sources that are one checkpoint.

    Attributes:
        sources: those.
        found: the weights that were recognised, by source and by the tensor of their codes.
        used: the tensors that are a part of them, by source and name.
        notes: what is to be said, by source.
        open: weights that fit several layouts.
        mentioned: codes of which a note says why they are left, by source and name.
        left: by source, why weights are left as they are stored -> the names of their codes.
        likely: those of which one was chosen by their values: source, layout and why -> names.
    """

    sources: Sequence[Source]
    found: dict[tuple[int, str], TensorEntry] = field(default_factory=dict)
    used: set[tuple[int, str]] = field(default_factory=set)
    notes: list[list[str]] = field(default_factory=list)
    open: list[tuple[int, Candidate, list[tuple[Row, Recipe]]]] = field(default_factory=list)
    left: list[dict[str, list[str]]] = field(default_factory=list)
    mentioned: set[tuple[int, str]] = field(default_factory=set)
    likely: dict[tuple[int, str, str], list[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.notes = [[] for _ in self.sources]
        self.left = [{} for _ in self.sources]
        self._places: dict[str, list[int]] = {}
        self._stored: list[dict[str, Stored]] = []
        for number, source in enumerate(self.sources):
            stored = {each.name: each for each in _stored(source)}
            self._stored.append(stored)
            for name in stored:
                self._places.setdefault(name, []).append(number)

    def stored(self, number: int) -> Iterable[Stored]:
        """The tensors of a source."""
        return self._stored[number].values()

    def own(self, number: int, name: str) -> Stored | None:
        """The tensor of a name in a source."""
        return self._stored[number].get(name)

    def look(self, name: str, number: int) -> tuple[int, Stored] | None:
        """The tensor of a name: of that source, else of the only other one; None if none has it.

        Raises:
            DoubledError: several others have it.
        """
        places = self._places.get(name, ())
        if number in places:
            return number, self._stored[number][name]
        if len(places) > 1:
            raise DoubledError(f"{len(places)} files have a tensor {name}")
        return (places[0], self._stored[places[0]][name]) if places else None

    def has(self, name: str) -> bool:
        """Whether any source has a tensor of that name."""
        return name in self._places

    def leave(self, number: int, codes: str, why: object) -> None:
        """Says why the weight of some codes is left as it is stored."""
        self.mentioned.add((number, codes))
        self.left[number].setdefault(str(why), []).append(codes)

    def take(self, number: int, codes: Stored, entry: TensorEntry, parts: Iterable[str]) -> None:
        """Keeps a weight that was recognised, and what it is made of."""
        places = [self.look(name, number) for name in parts]
        self.used |= {(found[0], found[1].name) for found in places if found is not None}
        self.found[number, codes.name] = entry

    def name_for(self, wanted: str, codes: Stored) -> str:
        """The name of a weight: that of its codes, if another tensor has the wanted one."""
        return codes.name if wanted != codes.name and self.has(wanted) else wanted


def paired(
    sources: Sequence[Source], told: Sequence[Told] = (), met: set[str] | None = None
) -> list[Source]:
    """The sources, which are one checkpoint, with weights in the place of their codes and scales.

    Args:
        sources: files, whose names are their paths, or tensors in memory.
        told: what the user said of some of their tensors.
        met: gets the texts of those that are of a tensor here.

    Raises:
        InputError: a tensor cannot be what the user said.
    """
    group = Group(sources)
    hints = _Late(sources)
    for each in told:
        if _as_told(group, each) and met is not None:
            met.add(each.text)
    for number, source in enumerate(sources):
        if source.kind not in _OTHERS:
            _bitsandbytes(group, number)
    for place, found in _candidates(group).items():
        _settle(group, place, found, hints)
    _close(group)
    for number in range(len(sources)):
        _alone(group, number, hints)
        group.notes[number] += hints.notes(number)
    return [_replaced(group, number) for number in range(len(sources))]


class _Late:
    """The hints of sources, which are looked for when a candidate is there."""

    def __init__(self, sources: Sequence[Source]) -> None:
        self._sources = sources
        self._found: dict[int, Hints] = {}

    def __call__(self, number: int) -> Hints:
        if number not in self._found:
            self._found[number] = hints_of(self._sources[number])
        return self._found[number]

    def has_own(self, number: int) -> bool:
        """Whether a source says something of single tensors."""
        said = self._sources[number].metadata
        return "_quantization_metadata" in said or "tensor_names" in said

    def notes(self, number: int) -> tuple[str, ...]:
        """What is to be said of those that were looked for."""
        return self._found[number].notes if number in self._found else ()


def _stored(source: Source) -> Iterator[Stored]:
    for entry in source.entries:
        if entry.quantised is None:
            called = entry.type.name
            if source.kind == "safetensors":
                called = entry.type.safetensors or called
            yield Stored(entry, entry.type, entry.shape, called)
    for item in source.unread:
        spec = FORMATS.get(item.type)
        if item.raw is not None and spec is not None:
            yield Stored(item.raw, spec, item.shape, spec.safetensors or spec.name)


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
                group.notes[number].append(f"{base}{bitsandbytes.ENDING}: {_NOBODY}")
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


# -- candidates ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Candidate:
    """A tensor of scales, and the codes that it belongs to by its name.

    Attributes:
        codes, scales: those.
        base: what their names begin with; their endings come after it.
        endings: those of the codes and of the scales.
    """

    codes: Stored
    scales: Stored
    base: str
    endings: tuple[str, str]


_ENDINGS = tuple(ENDINGS)
_SURE = ("_scale_inv", "_scales_inv", ".qscale_weight", ".SCB")  # are nothing else
_Place = tuple[int, str]


def _candidates(group: Group) -> dict[_Place, list[Candidate]]:
    """Scales by the codes that they may belong to; those of codes that nobody has become notes."""
    found: dict[_Place, list[Candidate]] = {}
    for number, source in enumerate(group.sources):
        if source.kind in _OTHERS:
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
                group.notes[number].append(f"{scales.name}: {error}, {_LEFT}")
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
            group.notes[number].append(f"{listed(orphans)}: {_NOBODY}")
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
    if candidate.codes.type.name in _CODES:
        return True
    return candidate.scales.name.endswith(("weight_scale", *_SURE))


# -- one weight ------------------------------------------------------------------------------------


def _settle(group: Group, place: _Place, candidates: Sequence[Candidate], hints: _Late) -> None:
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


def _close(group: Group) -> None:
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
        group.notes[number].append(f"{listed(names, 3)}: taken for {layout} ({by}); {_TAKEN}")


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


_REPLACED = (("_packed", ""), ("_blocks", ""), (".blocks", ""))


def logical_name(codes: str) -> str:
    """What the weight of some codes is called where it is not quantised."""
    if codes.endswith("_qdata"):  # torchao: module._weight_qdata is of module.weight
        module, _, own = codes.removesuffix("_qdata").rpartition("._")
        return f"{module}.{own}" if module else own.removeprefix("_")
    for ending, plain in _REPLACED:
        if codes.endswith(ending):
            return codes.removesuffix(ending) + plain
    return codes


# -- what is left ----------------------------------------------------------------------------------


_UNREAD = {
    ".qweight": "integers of GPTQ or AWQ, which fpx does not read",
    "quantized_weight_values": "fouroversix's layout, which fpx does not read",
}
_ALONE = ("weight_packed", "_blocks", ".blocks", "_qdata")


def _alone(group: Group, number: int, hints: _Late) -> None:
    """Codes without scales: of formats that torch lacks they are read as such; else a note."""
    mentioned = {name for place, name in group.mentioned if place == number}
    kinds = {entry.quantised.stored_type for entry in group.found.values() if entry.quantised}
    said = hints(number).of if hints.has_own(number) else {}
    lacking: list[str] = []
    for codes in group.stored(number):
        place = (number, codes.name)
        if place in group.found or place in group.used or codes.name in mentioned:
            continue
        spec = codes.type
        unread = next((why for end, why in _UNREAD.items() if codes.name.endswith(end)), None)
        if unread is not None:
            group.leave(number, codes.name, unread)
        elif isinstance(spec, FormatSpec) and codes.entry.type != spec:
            recipe = Recipe(codes.name, codes.shape, codes, spec, default_packing(spec.bits))
            group.found[place] = entry_of(
                recipe, f"{spec.name} without scales", Evidence.METADATA, f"dtype {codes.called}"
            )
        elif spec.name in _CODES and (
            codes.name.endswith(_ALONE)
            or (codes.called in kinds and codes.name.endswith("weight"))
            or logical_name(codes.name) in said
        ):
            lacking.append(codes.name)
    if lacking:
        group.notes[number].append(f"{listed(lacking)}: codes without scales; {_LEFT}")


def _left(group: Group, number: int) -> list[str]:
    """A line for each reason why weights are left as they are stored."""
    return [f"{listed(names, 3)}: {why}; {_LEFT}" for why, names in group.left[number].items()]


def _replaced(group: Group, number: int) -> Source:
    """The source with weights where their codes were, and without their scales."""
    source, notes = group.sources[number], [*group.notes[number], *_left(group, number)]
    more = len(notes) - _MOST_NOTES
    if more > 1:
        notes = [*notes[:_MOST_NOTES], f"and {more:,} {_MORE}"]
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
