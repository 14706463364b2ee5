"""Whatever a user names, opened: files, directories, stdin, distributions, tensors in memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING

from fpx.errors import InputError
from fpx.tensors.entry import Source
from fpx.tensors.files.opening import Spread, headers_of, without_tensors
from fpx.tensors.locating import locate
from fpx.tensors.quantised.pairing import paired
from fpx.tensors.quantised.told import parse
from fpx.tensors.select import chooser, select
from fpx.words import escape, quoted_path

if TYPE_CHECKING:
    from fpx.tensors.draws import Sample


@dataclass(frozen=True)
class Opened:
    """Sources that were opened.

    Attributes:
        sources: those that are tensor files or tensors, in the order in which they were named.
        errors: a line for each that is not, and for each tensor that is damaged.
        remarks: what directories say of the files in them that are not read, a line each.
        unread: tensors that cannot be read, as a source and a name; of them there are notes.
        strange: what was said (`as_`) and holds of no source, each with the reason why.
    """

    sources: tuple[Source, ...]
    errors: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    strange: tuple[tuple[str, str], ...] = ()
    unread: tuple[tuple[str, str], ...] = ()

    @property
    def notes(self) -> tuple[str, ...]:
        """What is to be said of the sources, a line each, their names first."""
        return self.remarks + tuple(
            f"{escape(source.name)}: {escape(note)}"
            for source in self.sources
            for note in source.notes
        )

    @property
    def count(self) -> int:
        """Elements of all tensors."""
        return sum(entry.count for source in self.sources for entry in source.entries)


def open_all(
    sources: Sequence[object],
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    *,
    sample: Sample | None = None,
    stored: bool = False,
    as_: Sequence[str] = (),
    elsewhere: bool = False,
    spread: Spread | None = None,
) -> Opened:
    """Opens sources, of which a user chose some tensors, for their values.

    Tensors that cannot be read become notes.

    Args:
        sources: paths (text, or anything with `__fspath__`) of tensor files, of directories of them
            or of indexes of sharded checkpoints; `-` for .npy on stdin; names of distributions; and
            what `fpx.tensors.memory.source_of` takes: tensors, arrays, dicts of them, modules.
        include, exclude: patterns of tensor names, see `fpx.tensors.select`.
        sample: how distributions are drawn; without it, their names mean nothing.
        stored: whether quantised weights stay the tensors of codes and scales that they are stored
            as; else those that are recognised are read as the numbers that they mean.
        as_: how quantised weights are stored, see `fpx.tensors.quantised.told`.
        elsewhere: whether `as_` may speak of tensors that are not in these sources.
        spread: who opens the files, where this process does not open all of them.

    Raises:
        InputError: the only source cannot be read, no tensor is left, or one is not what `as_`
            says. Of several, one that cannot be read becomes a line of `errors`.
        UnavailableError: a kind of file needs a package that is not installed.
    """
    chosen, unread = chooser(include, exclude), list[tuple[str, str]]()

    def take(source: Source) -> Source:
        left = tuple(item for item in source.unread if chosen(item.name))
        readable = _readable(replace(source, unread=left) if source.entries else source)
        unread.extend((source.name, item.name) for item in left)
        return readable

    opened = _open_all(sources, include, exclude, sample, take, stored, as_, elsewhere, spread)
    return replace(opened, unread=tuple(unread))


def list_all(
    sources: Sequence[object],
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    *,
    stored: bool = False,
    as_: Sequence[str] = (),
) -> Opened:
    """Opens sources to list what is in them, `Source.unread` too; else as `open_all`.

    Loads no library of tensors for files whose header it reads without: safetensors, .npy, .npz,
    GGUF and ONNX.
    """
    return _open_all(sources, include, exclude, None, lambda source: source, stored, as_)


def _open_all(
    sources: Sequence[object],
    include: Sequence[str],
    exclude: Sequence[str],
    sample: Sample | None,
    take: Callable[[Source], Source],
    stored: bool,
    as_: Sequence[str],
    elsewhere: bool = False,
    spread: Spread | None = None,
) -> Opened:
    if stored and as_:
        raise InputError("`stored` leaves tensors as they are, and `as_` says what they mean: "
                         "choose one")  # fmt: skip
    told = [parse(text) for text in as_]
    strange = {each.text: str(each.wrong(_NO_SUCH)) for each in told}
    met: set[str] = set()
    opened: list[Source] = []
    refused: list[InputError] = []
    remarks: list[str] = []
    located = [locate(source, number, sample) for number, source in enumerate(sources)]
    headers = iter(headers_of([shard for place in located for shard in place.shards], spread))
    for place in located:
        try:
            found, bad = place.opened(islice(headers, len(place.shards)))
        except InputError as error:
            if len(sources) == 1:
                raise
            refused.append(error)
            continue
        refused += bad
        remarks += place.remarks
        if not stored:
            found = paired(found, told, met, strange)
        for each in found:
            try:
                opened.append(take(each))
            except InputError as error:
                if len(sources) == len(found) == 1:
                    raise
                refused.append(error)
    if include or exclude:
        opened = select(opened, include, exclude)
    left = tuple((text, why) for text, why in strange.items() if text not in met)
    if left and not elsewhere:
        raise InputError(left[0][1])
    return Opened(tuple(opened), tuple(map(str, refused)), tuple(remarks), left)


_NO_SUCH = "no source has a tensor of that name"


def holds_nowhere(*sides: Opened) -> str | None:
    """Why something that was said (`as_`) holds of none of them; None if all holds of some."""
    others = [dict(side.strange) for side in sides]
    for text, why in sides[0].strange:
        if all(text in other for other in others):
            every = [other[text] for other in others]
            return next((each for each in every if not each.endswith(_NO_SUCH)), why)
    return None


def _readable(source: Source) -> Source:
    """The source with what can be read of it, and notes of the rest.

    Raises:
        InputError: nothing can.
    """
    if not source.unread:
        return source
    notes = (*source.notes, *(item.note for item in source.unread))
    if not source.entries:
        raise without_tensors(quoted_path(source.name), notes)
    return replace(source, notes=notes, unread=())
