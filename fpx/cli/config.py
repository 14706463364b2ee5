"""Options that a project keeps in a file: fpx.toml, or [tool.fpx] of pyproject.toml.

The nearest such file of the working folder and those above it, up to the root of the repository or
the user's home, gives defaults to the options of commands, and exceptions to conditions:

    [cast-compare]                      # in pyproject.toml: [tool.fpx.cast-compare]
    to = ["float16"]
    fail-if = ["verdict!=fits"]

    [[cast-compare.exceptions]]
    tensors = ["*.running_var"]
    fail-if = []
    reason = "kept in float32"

What is on the command line comes before what is in the file. No option that writes a file or
changes what stdout carries is taken from it.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from typer.core import TyperOption

from fpx.cli.failures import UsageError, note
from fpx.errors import FpxError, InputError
from fpx.words import cause, did_you_mean, listed, quoted, quoted_path, reason

if TYPE_CHECKING:
    from fpx.report.gates.exemptions import Exemption

NAMES = ("fpx.toml", "pyproject.toml")
"""Files that are looked for in a folder, the first before the others."""


MAX_BYTES = 1 << 20
"""What a file may hold: whoever has more options than that has another file."""


_PROJECTS = "pyproject.toml"
_OURS = rb"""tool["']?\s*\.\s*["']?fpx|^\s*\[\s*["']?tool["']?\s*\]|^\s*["']?tool["']?\s*="""
_EXCEPTIONS = "exceptions"
_HAVE_EXCEPTIONS = ("cast-compare",)
_PATHS = ("baseline",)  # of options: those in a file start from its folder
_WITHOUT = ("help", "config", "no_config", "save", "github")  # and the forms of output
_META = "fpx.cli.config"


class ConfigFile(NamedTuple):
    """A file with options.

    Attributes:
        path: where it is.
        prefix: what keys begin with in messages: `tool.fpx.`, or nothing.
        commands: the name of a command -> what the file has for it.
    """

    path: Path
    prefix: str
    commands: Mapping[str, Any]

    def wrong(self, key: str, what: str) -> InputError:
        """The error about one of its keys."""
        return InputError(f"{shown(self.path)}: {quoted(self.prefix + key)} {what}")


def shown(path: Path) -> str:
    """A path, as short as it can be."""
    try:
        return min(str(path), os.path.relpath(path), key=len)
    except (OSError, ValueError):  # no working folder; another drive, a null character
        return str(path)


def find(folder: Path) -> ConfigFile | None:
    """The nearest file with options, from a folder upwards; None if there is none.

    Raises:
        InputError: it cannot be read.
    """
    home = Path("~").expanduser()
    for place in (folder, *folder.parents):
        for name in NAMES:
            found = _read(place / name, sought=True)
            if found is not None:
                return found
        if place == home or (place / ".git").exists():
            return None
    return None


def load(path: Path) -> ConfigFile:
    """The file of that name.

    Raises:
        InputError: it cannot be read, or is a pyproject.toml without [tool.fpx].
    """
    found = _read(path, sought=False)
    if found is None:
        raise InputError(f"{_quoted(path)} has no [tool.fpx]")
    return found


def _read(path: Path, *, sought: bool) -> ConfigFile | None:
    """A file's options; None if it has none of fpx's, or is sought and not there."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            if sought:
                return None
            raise InputError(f"{_quoted(path)} is no file with options")
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        if sought:
            return None
        raise InputError(f"{_quoted(path)} is not there: `config` names a file") from None
    except (OSError, ValueError) as error:  # ValueError: a name with a null character
        raise InputError(f"{_quoted(path)} cannot be read: {cause(error)}{_LEAVE}") from None
    projects = path.name == _PROJECTS
    if projects and not (b"fpx" in data and re.search(_OURS, data, re.MULTILINE)):
        return None  # most are about other tools: no need to parse them
    if len(data) > MAX_BYTES:
        raise InputError(f"{_quoted(path)} is larger than {MAX_BYTES:,} bytes{_LEAVE}")
    table = _parsed(path, data)
    tool = table.get("tool")
    if not projects and not (isinstance(tool, dict) and "fpx" in tool):
        return ConfigFile(path, "", table)
    own = tool.get("fpx") if isinstance(tool, dict) else None
    if own is None:
        return None
    if not isinstance(own, dict):
        raise InputError(f"{_quoted(path)}: 'tool.fpx' is a table of commands, not {_kind(own)}")
    return ConfigFile(path, "tool.fpx.", own)


def _quoted(path: Path) -> str:
    return quoted_path(shown(path))


_LEAVE = " (--no-config goes without it)"


def _parsed(path: Path, data: bytes) -> dict[str, Any]:
    import tomllib

    try:
        return tomllib.loads(data.decode())
    except RecursionError:
        why = "it is nested too deeply"
    except ValueError as error:  # no TOML, no UTF-8, or an integer of thousands of digits
        why = reason(error)
    raise InputError(f"{_quoted(path)} is no TOML: {why}{_LEAVE}")


# -- options from it -------------------------------------------------------------------------------


def parameters() -> list[Any]:
    """The options --config and --no-config, for any command.

    They are eager: what they find is there when the command's own options take their defaults.
    """
    return [
        TyperOption(
            param_decls=["--config"],
            metavar="FILE",
            help="Defaults of options from that file, not from the nearest fpx.toml or "
            "pyproject.toml.",
            is_eager=True,
            expose_value=False,
            callback=_configure,
        ),
        TyperOption(
            param_decls=["--no-config"],
            help="No defaults from files.",
            is_flag=True,
            default=False,
            is_eager=True,
            expose_value=False,
            callback=_leave,
        ),
    ]


def _leave(context: Any, _parameter: Any, given: bool) -> None:
    """--no-config, which counts wherever it stands."""
    if not given or context.resilient_parsing:
        return
    if context.meta.get(_META, {}).get("named"):
        raise InputError("`config` and `no_config` exclude each other: choose one")
    context.meta[_META] = {"left": True}
    context.default_map = None


def _configure(context: Any, _parameter: Any, name: str | None) -> None:
    """--config, or without it the search."""
    left = context.meta.get(_META, {}).get("left")
    if context.resilient_parsing or (left and name is None):
        return
    if left:
        raise InputError("`config` and `no_config` exclude each other: choose one")
    if name is not None:
        found: ConfigFile | None = load(Path(name))
    else:
        try:
            found = find(Path.cwd())
        except FileNotFoundError:  # the working folder is gone
            found = None
    if found is None:
        return
    options, exemptions = settings(found, context)
    context.default_map = options
    context.meta[_META] = {"named": name is not None, "exemptions": exemptions}
    used = [*(option.replace("_", "-") for option in options), *_counted(exemptions)]
    if used:
        note(f"options from {shown(found.path)}: {listed(used)}")


def _counted(exemptions: Sequence[object]) -> list[str]:
    count = len(exemptions)
    return [f"{count} exception{'' if count == 1 else 's'}"] if count else []


def exemptions_of(context: Any) -> tuple[Exemption, ...]:
    """The exceptions for the command that runs in a context of typer's."""
    found: tuple[Exemption, ...] = context.meta.get(_META, {}).get("exemptions", ())
    return found


def settings(file: ConfigFile, context: Any) -> tuple[dict[str, Any], tuple[Exemption, ...]]:
    """What a file has for the command of a context: parameters with values, and exceptions.

    Raises:
        InputError: no such command or option, or not a value of it.
    """
    command = context.info_name
    commands = context.parent.command.list_commands(context.parent)
    for name, table in file.commands.items():
        if name not in commands:
            raise file.wrong(name, f"is no command of fpx{_like(name, commands)}")
        if not isinstance(table, dict):
            raise file.wrong(name, f"is a table of options, not {_kind(table)}")
    options = _options(context.command.params)
    known = [*options, *([_EXCEPTIONS] if command in _HAVE_EXCEPTIONS else [])]
    values: dict[str, Any] = {}
    exemptions: tuple[Exemption, ...] = ()
    for key, value in file.commands.get(command, {}).items():
        name = key.replace("_", "-")
        at = f"{command}.{key}"
        if name in options:
            values[options[name].name] = _value(file, at, options[name], value, context)
        elif name in known:
            exemptions = tuple(_exemptions(file, at, value))
        elif key.replace("-", "_") in _without():
            raise file.wrong(at, f"is for the command line alone: --{name}")
        else:
            raise file.wrong(at, f"is no option of fpx {command}{_like(name, known)}")
    return values, exemptions


def _options(params: Iterable[Any]) -> dict[str, Any]:
    """Key -> typer's parameter."""
    return {
        max(item.opts, key=len).lstrip("-"): item
        for item in params
        if item.param_type_name == "option" and item.name not in _without()
    }


def _without() -> set[str]:
    """Parameters that a file does not set: what stdout carries, and what else is written."""
    from fpx.render.writers import OPTIONS

    return {*_WITHOUT, *(form.name for form in OPTIONS)}


def _like(name: str, names: Sequence[str]) -> str:
    return did_you_mean(name, names) or f": use one of {listed(names, 40)}"


_STRING = ((str,), "a string")
_TYPES: Mapping[str, tuple[tuple[type, ...], str]] = {
    "boolean": ((bool,), "true or false"),
    "int": ((int,), "an integer"),
    "integer": ((int,), "an integer"),
    "float": ((int, float), "a number"),
}
"""typer's name of a type, in any version -> what TOML has for it; of others, a string."""


def _value(file: ConfigFile, key: str, option: Any, value: Any, context: Any) -> Any:
    """The value of an option, as typer takes it."""
    types, what = _TYPES.get(option.type.name, _STRING)
    if type(option.type).__name__ == "FuncParamType":  # what fpx reads itself, such as 1%
        types, what = (str, int, float), "a string or a number"
    several = option.multiple or option.nargs > 1
    items = value if several and isinstance(value, list) else [value]
    for item in items:
        if not isinstance(item, types) or (isinstance(item, bool) and bool not in types):
            wanted = f"{what}, or an array of those" if several else what
            raise file.wrong(key, f"must be {wanted}, not {_found(value, item)}")
    if str in types:
        items = list(map(str, items))
    if option.name in _PATHS:
        items = [str(file.path.parent / item) for item in items]
    found = items if several else items[0]
    try:
        option.type_cast_value(context, found)
    except UsageError as error:
        why = str(getattr(error, "message", error)).rstrip(".")
        raise file.wrong(key, f"is wrong: {why}") from None
    return found


_KINDS = {
    str: "a string",
    bool: "true or false",
    int: "an integer",
    float: "a number",
    list: "an array",
    dict: "a table",
}


def _kind(value: object) -> str:
    """What a value of TOML is."""
    return _KINDS.get(type(value), "a date or a time")


def _found(value: object, item: object) -> str:
    """What a value is; of an array, what is in it that should not be."""
    return _kind(value) if item is value else f"{_kind(value)} with {_kind(item)} in it"


# -- exceptions ------------------------------------------------------------------------------------


_KEYS = ("tensors", "to", "fail-if", "reason")


def _exemptions(file: ConfigFile, key: str, value: object) -> Iterable[Exemption]:
    """The exceptions of a command."""
    from fpx.report.gates.exemptions import parse_exemption

    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise file.wrong(key, f"is an array of tables: write [[{file.prefix}{key}]]")
    for number, table in enumerate(value, 1):
        at = f"{key}[{number}]"
        given = {}
        for name, item in table.items():
            plain = name.replace("_", "-")
            if plain not in _KEYS:
                raise file.wrong(f"{at}.{name}", f"is no key of an exception{_like(plain, _KEYS)}")
            given[plain] = _texts(file, f"{at}.{name}", item, single=plain == "reason")
        for name in ("tensors", "fail-if"):
            if name not in given:
                raise file.wrong(at, f"lacks {name}: {_MISSING[name]}")
        if not given["tensors"]:
            raise file.wrong(f"{at}.tensors", f"is empty: {_MISSING['tensors']}")
        try:
            yield parse_exemption(
                given["tensors"],
                given["fail-if"],
                given.get("to"),
                next(iter(given.get("reason", ())), None),
            )
        except FpxError as error:
            raise file.wrong(at, f"is wrong: {error}") from None


_MISSING = {
    "tensors": "patterns of the names that it is for",
    "fail-if": "the conditions that hold for these tensors instead ([] for none)",
}


def _texts(file: ConfigFile, key: str, value: object, *, single: bool) -> list[str]:
    """A string, or an array of them."""
    items: list[Any] = value if isinstance(value, list) and not single else [value]
    for item in items:
        if not isinstance(item, str):
            wanted = "a string" if single else "an array of strings"
            raise file.wrong(key, f"must be {wanted}, not {_found(value, item)}")
    return items
