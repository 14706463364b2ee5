"""The one family of exceptions; each knows the exit code it becomes on the command line."""

from __future__ import annotations


class FpxError(Exception):
    """A failure that fpx explains in one line: what was wrong, and what to do.

    A message names the parameters of fpx's functions, in backquotes and with a value where there is
    one: "`size` must be at least 1, not 0", "choose `overflow="saturate"`". The command line has
    the same names, so it can print them as its options: --size, --overflow saturate
    (`fpx.cli.failures.in_options`).
    """

    exit_code = 2


class InputError(FpxError):
    """The input is not what fpx can work on: a bad literal, format, option or file."""


class UnavailableError(FpxError):
    """The machine lacks what was asked for: a device, or an optional package."""

    exit_code = 3


class CheckError(FpxError):
    """A check that the user asked for did not hold."""

    exit_code = 1
