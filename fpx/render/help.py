"""The help that lists the commands, in the look of typer's, which draws that of each command.

Typer's own would import every command for one line of its help, and what rich has for Markdown and
tracebacks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rich.columns import Columns
from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

_NAME_STYLE, _SHORT_STYLE, _USAGE_STYLE = "bold cyan", "bold green", "yellow"
_FRAME_STYLE = "dim"
_LONG, _SHORT, _USAGE = r"(?<!\w)--[\w-]+", r"(?<![\w-])-\w+(?![a-zA-Z0-9])", "Usage: "


def print_help(
    usage: str,
    says: str,
    options: Iterable[Any],
    commands: Mapping[str, Mapping[str, str]],
    epilog: str,
) -> None:
    """Prints the help of a group of commands on stdout.

    Args:
        usage: its first line.
        says: what all of the commands are.
        options: click's, of the group itself.
        commands: heading -> name of a command -> what it does.
        epilog: what comes last, in rich's markup, as `says`.
    """
    console = Console(highlight=False)
    console.print(Padding(_marked(Text(usage)), 1), style="bold")
    console.print(Padding(_marked(Text.from_markup(says, emoji=False)), (0, 1, 1, 1)))
    console.print(_panel("Options", _options(options)))
    width = max(len(name) for rows in commands.values() for name in rows)
    for heading, rows in commands.items():
        console.print(_panel(heading, _commands(rows, width)))
    console.print(Padding(_marked(Text.from_markup(epilog, emoji=False)), 1))


def _marked(text: Text) -> Text:
    """The text, with options in it told from words."""
    text.highlight_regex(_USAGE, _USAGE_STYLE)
    text.highlight_regex(_SHORT, _SHORT_STYLE)
    text.highlight_regex(_LONG, _NAME_STYLE)
    return text


def _options(options: Iterable[Any]) -> Table:
    table = _table()
    for option in options:
        long = ",".join(name for name in option.opts if name.startswith("--"))
        short = ",".join(name for name in option.opts if not name.startswith("--"))
        says = Columns([_marked(Text(option.help))])
        # typer's columns for names that negate and for types are empty here, but have their gaps
        table.add_row(_marked(Text(long)), _marked(Text(short)), "", "", "", says)
    return table


def _commands(rows: Mapping[str, str], width: int) -> Table:
    table = _table()
    table.add_column(style=_NAME_STYLE, no_wrap=True, width=width)
    table.add_column(ratio=1)
    for name, says in rows.items():
        table.add_row(name, _marked(Text(says)))
    return table


def _table() -> Table:
    return Table(show_header=False, expand=True, box=None, pad_edge=False)


def _panel(title: str, content: RenderableType) -> Panel:
    return Panel(content, title=title, title_align="left", border_style=_FRAME_STYLE)
