"""How every command ends: lines on stderr, exit codes, closed pipes."""

from __future__ import annotations

import os
import re
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn, TextIO

import typer.main

from fpx.cli.interrupts import INTERRUPTED, was_interrupted
from fpx.cli.output import NO_ROOM, Output, deliver
from fpx.errors import CheckError, FpxError, InputError, UnavailableError
from fpx.report.base import Report
from fpx.words import did_you_mean, escape, quoted

if TYPE_CHECKING:
    from fpx.report.checks import Failure

INTERNAL_ERROR = 70  # EX_SOFTWARE in BSD's sysexits.h: a bug in fpx, never a result


# click's base class of usage errors, wherever this typer keeps it
UsageError: type[Exception] = next(
    base for base in typer.BadParameter.__mro__ if base.__name__ == "ClickException"
)


_LONGEST_LINE = 1000  # characters
_FAILURES_SHOWN = 20


_PARAMETER = r"`([a-z_]+)(?:=([^`]*))?`"
_options: dict[str, str] = {}  # of the command that runs: parameter -> option
_path = ["fpx"]  # and its name


def speak_of(name: str, parameters: Iterable[Any] = ()) -> None:
    """From here on, messages are about a command and call its parameters what it calls them.

    Args:
        name: of the command, as it is typed.
        parameters: click's; an option is called by its longest name, an argument by its metavar.
    """
    _path[:] = [name]
    _options.clear()
    for item in parameters:
        if item.param_type_name == "option":
            _options[item.name] = max(item.opts, key=len)
        else:
            _options[item.name] = (item.metavar or item.name.upper()).removesuffix("...")


def meant_option(text: str) -> str:
    """The end of a message about an option that the command has not: which it may have been.

    One that it has is a value where it stands: after `--`.
    """
    name = text.partition("=")[0]
    known = (*(option for option in _options.values() if option.startswith("-")), "--help")
    return " after --: options stand before that" if name in known else did_you_mean(name, known)


def command_path() -> str:
    """The command that runs, as it is typed: `fpx decode`."""
    return _path[0]


def in_options(message: str) -> str:
    """A message of the library (see `fpx.errors.FpxError`) in the words of the command line.

    `size` in backquotes becomes --size, `overflow="saturate"` --overflow saturate, `sample=True`
    --sample; what is no parameter of the command stays.
    """

    def option(found: re.Match[str]) -> str:
        name, value = found.groups()
        if name not in _options:
            return found[0]
        if value is None or value == "True":
            return _options[name]
        return f"{_options[name]} {value.strip(chr(34))}"

    return re.sub(_PARAMETER, option, message)


def complain(message: str) -> None:
    """One line on stderr."""
    line = escape(" ".join(in_options(message).split()))
    if len(line) > _LONGEST_LINE:  # a file's own names can have any length
        line = f"{line[:_LONGEST_LINE]}…"
    try:
        sys.stderr.write(f"fpx: {line}\n")
        sys.stderr.flush()
    except OSError:  # a full disk, a reader that went away: the exit code is all that is left
        _drop(sys.stderr)


def note(message: str) -> None:
    """One line on stderr about something that is no failure."""
    complain(f"note: {message}")


def usage_message(error: Any) -> str:
    # an option without its value comes without a context
    command = error.ctx.command_path if getattr(error, "ctx", None) else _path[0]
    parameter = getattr(error, "param", None)
    message = str(getattr(error, "message", None) or error).rstrip(".")
    given = getattr(error, "option_name", None)
    extra = re.fullmatch(_EXTRA, message)
    if extra is not None:  # where numbers such as -1 are no options, others are none either
        given = next((word for word in extra[1].split() if word.startswith("--")), None)
    if given is not None and (extra is not None or type(error).__name__ == "NoSuchOption"):
        message = f"no such option: {quoted(given)}{meant_option(given)}"
    choice = re.fullmatch(_CHOICE, message)
    if choice is not None:
        message += did_you_mean(choice[2], re.findall(r"'([^']*)'", choice[3]))
    if parameter is not None:
        is_option = parameter.param_type_name == "option"
        name = max(parameter.opts, key=len) if is_option else parameter.make_metavar(error.ctx)
        if type(error).__name__ == "MissingParameter":
            message = f"{name} is missing"
        else:
            message = f"{name}: {message}"
    elif message[:1].isalpha():
        message = message[0].lower() + message[1:]
    return f"{message} (see {command} --help)"


# of click, about an option that takes one of some values
_CHOICE = r"(['\"])(.*)\1 is not one of ('.*')"

_EXTRA = r"Got unexpected extra argument\S* \((.*)\)"


def _drop(stream: TextIO) -> None:
    """Keeps the interpreter's exit from flushing to where nothing can be written."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


@contextmanager
def failures_explained() -> Iterator[None]:
    try:
        yield
    except FpxError as error:
        _trace()
        if was_interrupted():  # and an import was left half done
            complain("interrupted")
            raise typer.Exit(INTERRUPTED) from None
        complain(str(error))
        raise typer.Exit(error.exit_code) from None
    except KeyboardInterrupt:
        _trace()
        complain("interrupted")
        raise typer.Exit(INTERRUPTED) from None
    except BrokenPipeError:
        _drop(sys.stdout)  # the reader has had enough
        raise typer.Exit(0) from None
    except OSError as error:
        if error.errno not in NO_ROOM:
            _explain_bug(error)
        _trace()
        _drop(sys.stdout)
        complain(f"the output cannot be written: {error.strerror}")
        raise typer.Exit(InputError.exit_code) from None
    except (typer.Exit, typer.Abort, UsageError):
        raise
    except Exception as error:  # noqa: BLE001 - the last resort: a bug still gets one line
        if not was_interrupted():
            _explain_bug(error)
        _trace()
        complain("interrupted")
        raise typer.Exit(INTERRUPTED) from None


def _explain_bug(error: Exception) -> NoReturn:
    _trace()
    name = type(error).__name__
    complain(f"internal error, {name}: {error} (set FPX_DEBUG=1 for the traceback)")
    raise typer.Exit(INTERNAL_ERROR) from None


def _trace() -> None:
    if os.environ.get("FPX_DEBUG"):
        traceback.print_exc()


def finish(
    report: Report,
    how: Output,
    *,
    draw: Callable[[Any], Any] | None = None,
    took: str | None = None,
    notes: Sequence[str] = (),
    errors: Sequence[str] = (),
    interrupted: str | None = None,
    unchecked: Sequence[str] = (),
    failures: Sequence[Failure[Any]] = (),
) -> None:
    """Shows a report and all that is to be said about it, and ends the command.

    Args:
        report, how, draw: as for `show`.
        took: the device that `auto` stands for, if it was asked for.
        notes: lines about what is no failure, said before the report.
        errors: what could not be done although the rest was: one line each, exit code 2.
        interrupted: what to say of a report on a part of the work: exit code 130.
        unchecked: what was asked for and could not be checked here: one line each, exit code 3.
        failures: checks that did not hold: exit code 1.

    Raises:
        typer.Exit: with that code; a command without errors returns.
    """
    if took is not None:
        sys.stderr.write(f"fpx: auto took {escape(took)}\n")
    for line in notes:
        note(line)
    problems = [*deliver(report, how, draw), *errors]
    for problem in problems:
        complain(problem)
    if interrupted is not None:
        complain(interrupted)
        raise typer.Exit(INTERRUPTED)
    for line in unchecked:
        complain(line)
    for failure in failures[:_FAILURES_SHOWN]:
        complain(failure.text)
    if len(failures) > _FAILURES_SHOWN:
        complain(f"and {len(failures) - _FAILURES_SHOWN} more")
    if problems:
        raise typer.Exit(InputError.exit_code)
    if unchecked:
        raise typer.Exit(UnavailableError.exit_code)
    if failures:
        raise typer.Exit(CheckError.exit_code)
