"""Whatever a user names, opened: files, directories, stdin, distributions, tensors in memory."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, ParamSpec, Protocol

from fpx.errors import InputError, UnavailableError
from fpx.tensors.blocks import READ_AHEAD, ReadPart
from fpx.tensors.distributions import NAMES
from fpx.tensors.entry import Source, TensorEntry
from fpx.tensors.files import sharded
from fpx.tensors.files.again import portable
from fpx.tensors.files.kinds import DAMAGE, SUFFIXES, kind_of
from fpx.tensors.files.numpy_file import open_stdin
from fpx.tensors.late import load
from fpx.tensors.quantised.pairing import paired
from fpx.tensors.quantised.told import parse
from fpx.tensors.select import select
from fpx.words import did_you_mean, escape, quoted, quoted_path, reason

if TYPE_CHECKING:
    from torch import Tensor

    from fpx.tensors.draws import Sample


@dataclass(frozen=True)
class Opened:
    """Sources that were opened.

    Attributes:
        sources: those that are tensor files or tensors, in the order in which they were named.
        errors: a line for each that is not, and for each tensor that is damaged.
        remarks: what directories say of the files in them that are not read, a line each.
        strange: what was said (`as_`) and holds of no source, each with the reason why.
    """

    sources: tuple[Source, ...]
    errors: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    strange: tuple[tuple[str, str], ...] = ()

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


Header = Source | InputError
"""What a file holds, or why that cannot be told."""


class Spread(Protocol):
    """Who opens many files: several processes, each some of them."""

    def __call__(
        self,
        work: Callable[[sharded.Shard], Header],
        items: Sequence[sharded.Shard],
        names: Sequence[str],
    ) -> list[Header]:
        """What `work` makes of each item, all of which `names` tells, in their order."""


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
    return _open_all(sources, include, exclude, sample, _readable, stored, as_, elsewhere, spread)


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
    located = [_located(source, number, sample) for number, source in enumerate(sources)]
    headers = iter(_headers([shard for place in located for shard in place.shards], spread))
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


def open_files(name: str) -> tuple[Source, ...]:
    """The tensors of a file, of a directory of files, or of an index with its shards: all of them.

    Raises:
        InputError: no such file, no tensor file, or a damaged or dangerous one; also of several.
        UnavailableError: the kind needs a package that is not installed.
    """
    located = _in_path(name, f"{quoted_path(name)}: no such file")
    opened, refused = located.opened(_headers(located.shards))
    if refused:
        raise refused[0]
    return tuple(map(_readable, opened))


class _Located(NamedTuple):
    """Where a source is.

    Attributes:
        shards: the files to open.
        sources: what there is to open no file for.
        remarks: what is said of it.
        error: why it is nowhere.
    """

    shards: Sequence[sharded.Shard] = ()
    sources: Sequence[Source] = ()
    remarks: Sequence[str] = ()
    error: InputError | None = None

    def opened(self, headers: Iterable[Header]) -> tuple[list[Source], list[InputError]]:
        """What can be read of it, and what cannot.

        Args:
            headers: of its `shards`.

        Raises:
            InputError: nothing can.
        """
        if self.error is not None:
            raise self.error
        opened = [*self.sources]
        refused: list[InputError] = []
        for (path, _), header in zip(self.shards, headers, strict=True):
            if isinstance(header, InputError):
                refused.append(header)
                continue
            opened.append(_safe_source(replace(header, damaged=()), quoted_path(path)))
            called = quoted_path(header.name)
            refused += (InputError(f"{called}: {line}") for line in header.damaged)
        if refused and not opened:
            raise refused[0]
        return opened, refused


def _located(source: object, number: int, sample: Sample | None) -> _Located:
    try:
        return _locate(source, number, sample)
    except InputError as error:
        return _Located(error=error)


def _locate(source: object, number: int, sample: Sample | None) -> _Located:
    if isinstance(source, os.PathLike):
        source = os.fspath(source)
    if isinstance(source, str):
        absent = f"{quoted_path(source)}: no such file"
        if sample is not None:
            if source in NAMES:
                return _Located(sources=[load("fpx.tensors.draws:named_source")(source, sample)])
            absent += f", and no distribution has that name ({', '.join(NAMES)})"
            absent += did_you_mean(source, NAMES)
        return _in_path(source, absent)
    source_of = load("fpx.tensors.memory:source_of")
    return _Located(sources=[source_of(source, f"tensor{number}" if number else "tensor")])


def _in_path(name: str, absent: str) -> _Located:
    """A path; `absent` says that there is nothing at it."""
    if name == "-":
        return _Located(sources=[open_stdin()])
    try:
        path = Path(name)
        mode = path.stat().st_mode
    except FileNotFoundError:
        raise InputError(absent) from None
    except (OSError, ValueError) as error:
        raise InputError(f"{quoted_path(name)} cannot be read: {_why(error)}") from None
    if stat.S_ISDIR(mode):
        directory = sharded.in_directory(path, SUFFIXES)
        passed = tuple(f"{escape(name)}: {escape(line)}" for line in directory.passed)
        return _Located(directory.shards, remarks=passed)
    if not stat.S_ISREG(mode):
        raise InputError(f"{quoted_path(name)} is not a regular file: fpx reads only those")
    if sharded.is_part(path):
        raise InputError(
            f"{quoted_path(name)} is a part of a distributed checkpoint: name its directory"
        )
    if sharded.is_index(path):
        return _Located(sharded.of_index(path))
    return _Located([(path, None)])


def _headers(shards: Sequence[sharded.Shard], spread: Spread | None = None) -> list[Header]:
    """What each file holds."""
    if spread is None:
        return [_header(shard) for shard in shards]
    return spread(_sent_header, shards, [str(path) for path, _ in shards])


def _header(shard: sharded.Shard) -> Header:
    try:
        return _open_file(*shard)
    except InputError as error:
        return error


def _sent_header(shard: sharded.Shard) -> Header:
    try:
        return _open_file(*shard, send=True)
    except InputError as error:
        return InputError(str(error))  # what is derived from it may not travel


_EXPANSION = 100  # times its size: a file that claims more, and is not small, is a bomb
_SMALL = 1 << 30  # bytes of tensors that no file is refused for


def _open_file(path: Path, tensors: frozenset[str] | None, *, send: bool = False) -> Source:
    """One file; of a shard, the tensors that its index names.

    Its entries are to be made safe. `send` says that other processes will read them too.
    """
    shown = quoted_path(path)
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise InputError(f"{shown} is not a regular file: fpx reads only those")
        size = path.stat().st_size
        with path.open("rb") as file:
            kind = kind_of(file, size)
        source: Source = load(kind.open)(path)
    except (InputError, UnavailableError):
        raise
    except FileNotFoundError:
        raise InputError(f"{shown}: no such file") from None
    except DAMAGE as error:
        raise InputError(f"{shown} cannot be read: {_why(error)}") from None
    if send:
        source = portable(source, path, kind.open)
    entries, unread = source.entries, source.unread
    if tensors is not None:
        missing = tensors - {entry.name for entry in entries} - {item.name for item in unread}
        if missing:
            raise InputError(f"{shown} lacks {quoted(min(missing))}, which its index says it has")
        entries = tuple(entry for entry in entries if entry.name in tensors)
        unread = tuple(item for item in unread if item.name in tensors)
    if not entries and not unread:
        raise _without_tensors(shown, (*source.damaged, *source.notes))
    size = size if source.stored is None else source.stored
    claimed = sum(entry.nbytes for entry in entries)
    if claimed > max(_SMALL, _EXPANSION * size):
        raise InputError(
            f"{shown} has {size:,} bytes and claims tensors of {claimed:,}: fpx takes at most "
            f"{_EXPANSION} times a file's size"
        )
    return replace(source, entries=entries, unread=unread, kind=kind.name)


def _without_tensors(shown: str, notes: Sequence[str]) -> InputError:
    why = f" that fpx reads ({escape(notes[0])})" if notes else ""
    return InputError(f"{shown} holds no tensors{why}")


def _readable(source: Source) -> Source:
    """The source with what can be read of it, and notes of the rest.

    Raises:
        InputError: nothing can.
    """
    if not source.unread:
        return source
    notes = (*source.notes, *(item.note for item in source.unread))
    if not source.entries:
        raise _without_tensors(quoted_path(source.name), notes)
    return replace(source, notes=notes, unread=())


def _safe_source(source: Source, shown: str) -> Source:
    """A file whose tensors are read ahead, and safely."""
    unread = tuple(
        item if item.raw is None else replace(item, raw=_safe(item.raw, shown))
        for item in source.unread
    )
    entries = tuple(_safe(entry, shown) for entry in source.entries)
    return replace(source, entries=entries, unread=unread)


def _safe(entry: TensorEntry, shown: str) -> TensorEntry:
    """The entry, read ahead; damage that shows only in its data is an error of the input too."""
    read = _guarded(entry.read, entry.name, shown)
    parts = _guarded(entry.read_box, entry.name, shown) if entry.read_box else None
    count, part = entry.count, entry.read_part
    if count <= READ_AHEAD:  # the many small ones are spared what it takes to read ahead
        return replace(entry, read=read, read_box=parts, read_part=None)

    def ahead(limit: int) -> Iterator[Tensor]:
        prefetched = load("fpx.tensors.files.prefetch:prefetched")
        blocks: Iterator[Tensor] = prefetched(read, count, entry.lasting)(limit)
        return blocks

    part = None if part is None else _guarded_part(part, entry.name, shown)
    return replace(entry, read=ahead, read_box=parts, read_part=part, lasting=True)


_Arguments = ParamSpec("_Arguments")


def _guarded(
    read: Callable[_Arguments, Iterator[Tensor]], name: str, shown: str
) -> Callable[_Arguments, Iterator[Tensor]]:
    def blocks(*args: _Arguments.args, **kinds: _Arguments.kwargs) -> Iterator[Tensor]:
        try:
            yield from read(*args, **kinds)
        except DAMAGE as error:
            raise _unreadable(name, shown, error) from None

    return blocks


def _guarded_part(read: ReadPart, name: str, shown: str) -> ReadPart:
    def part(start: int, count: int) -> Tensor:
        try:
            return read(start, count)
        except DAMAGE as error:
            raise _unreadable(name, shown, error) from None

    return part


def _unreadable(name: str, shown: str, error: Exception) -> InputError:
    return InputError(f"{shown}: {quoted(name)} cannot be read: {reason(error)}")


def _why(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or reason(error))
