"""Values from arguments and stdin."""

from __future__ import annotations

import sys
from codecs import BOM_UTF8
from collections.abc import Callable, Iterable, Iterator

from fpx.cli.failures import command_path, meant_option
from fpx.core.literals import ReadAs, parse_literal, split_numbers
from fpx.core.numbers import Literal
from fpx.errors import FpxError, InputError
from fpx.words import quoted

STDIN = "-"
"""The argument that stands for the lines of stdin."""

_LONGEST_LINE = 64 << 20  # bytes of stdin that one value may take
_CHUNK = 1 << 13  # bytes of stdin that are read at a time, or fewer if no more are there


def read_values(values: Iterable[str], read_as: ReadAs) -> Iterator[Literal]:
    """The literals of the arguments; `-` stands for the lines of stdin, read as they come.

    Raises:
        InputError: not a literal; for a line of stdin it names the line.
    """
    # arguments are all read before the first result, so that a typo among them costs no output
    given = [None if value == STDIN else _read_argument(value, read_as) for value in values]
    for literal in given:
        if literal is None:
            yield from _read_stdin(read_as)
        else:
            yield literal


def read_numbers(values: Iterable[str], read_as: ReadAs) -> Iterator[Literal]:
    """As `read_values`, but that an argument or a line may hold several numbers.

    Raises:
        InputError: as `read_values`.
    """
    for value in values:
        if value == STDIN:
            yield from _read_stdin(read_as, split_numbers)
        else:
            yield from (_read_argument(part, read_as) for part in split_numbers(value))


def _read_argument(value: str, read_as: ReadAs) -> Literal:
    try:
        return parse_literal(value, read_as)
    except InputError:
        # unknown options reach the values, because -3.14 and -inf look like options
        if value.startswith("--") or (value.startswith("-") and value[1:2].isalpha()):
            raise InputError(
                f"no such option: {quoted(value)}{meant_option(value)} "
                f"(see {command_path()} --help)"
            ) from None
        raise


def _one(line: str) -> list[str]:
    return [line]


def _read_stdin(read_as: ReadAs, parts: Callable[[str], list[str]] = _one) -> Iterator[Literal]:
    for number, line in enumerate(_lines_of_stdin(), 1):
        if number == 1:
            line = line.removeprefix(BOM_UTF8)
        try:
            for part in parts(line.decode("utf-8", "backslashreplace")):
                yield parse_literal(part, read_as)
        except FpxError as error:
            raise type(error)(f"line {number} of stdin: {error}") from None


def _lines_of_stdin() -> Iterator[bytes]:
    """The lines; whenever it has to wait for more, what was made of them is on stdout.

    Raises:
        InputError: a line is too long.
    """
    read = getattr(sys.stdin.buffer, "read1", sys.stdin.buffer.read)
    number, pieces, size = 1, [b""], 0
    while chunk := read(_CHUNK):
        first, *others = chunk.split(b"\n")
        pieces.append(first)
        size += len(first)
        if size >= _LONGEST_LINE:
            raise InputError(f"line {number} of stdin is longer than {_LONGEST_LINE >> 20} MiB")
        if others:
            yield b"".join(pieces)
            yield from others[:-1]
            number += len(others)
            pieces, size = [others[-1]], len(others[-1])
        sys.stdout.flush()
    if size:
        yield b"".join(pieces)
