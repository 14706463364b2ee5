"""The tensors of the sources that are one checkpoint, and what is found of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from fpx.core.formats import FORMATS
from fpx.tensors.entry import Source, TensorEntry
from fpx.tensors.quantised.hints import NAMES_USED
from fpx.tensors.quantised.layouts import Row
from fpx.tensors.quantised.recipe import Recipe, Stored

OTHERS = ("gguf", "onnx")  # kinds whose own types say what is quantised
LEFT = "left as they are stored"
NOBODY = "scales of weights that nobody has"
TAKEN = "--as can say otherwise"
MORE = "more lines like these"
REMARKS = (LEFT, NOBODY, TAKEN, MORE, NAMES_USED)
"""How notes end that tell how tensors are read, and not that one is passed over."""


Place = tuple[int, str]
"""Number of a source, and the name of codes there."""


class DoubledError(Exception):
    """Several files have a tensor of the name."""


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
