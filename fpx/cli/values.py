"""Values from arguments and stdin."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator

from fpx.cli.failures import command_path, meant_option
from fpx.core.literals import ReadAs, parse_literal, split_numbers
from fpx.core.numbers import Literal
from fpx.errors import FpxError, InputError
from fpx.words import quoted

_LONGEST_LINE = 64 << 20  # bytes of stdin that one value may take


def read_values(values: Iterable[str], read_as: ReadAs) -> Iterator[Literal]:
    """The literals of the arguments; `-` stands for the lines of stdin, read as they come.

    Raises:
        InputError: not a literal; for a line of stdin it names the line.
    """
    # arguments are all read before the first result, so that a typo among them costs no output
    given = [None if value == "-" else _read_argument(value, read_as) for value in values]
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
        if value == "-":
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
    readline = sys.stdin.buffer.readline
    number = 0
    while line := readline(_LONGEST_LINE):
        number += 1
        if len(line) == _LONGEST_LINE:
            raise InputError(f"line {number} of stdin is longer than {_LONGEST_LINE >> 20} MiB")
        try:
            for part in parts(line.decode("utf-8", "backslashreplace")):
                yield parse_literal(part, read_as)
        except FpxError as error:
            raise type(error)(f"line {number} of stdin: {error}") from None
