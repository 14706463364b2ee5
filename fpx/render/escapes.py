"""Text from files and users, in the languages that outputs are written in.

Names are hostile until they are escaped: one may hold a formula, a tag, the end of a cell or of a
line, or characters that a terminal acts on. `fpx.words.escape` spells the last; the rest is here.
"""

from __future__ import annotations

import re

from fpx.words import escape

_HEX_FLOAT = r"0x[0-9a-f]+(?:[.][0-9a-f]+)?p[+-]?[0-9]+"
_NUMBER = rf"[+-]?(?:{_HEX_FLOAT}|0[xb][0-9a-f]+|inf|nan|[0-9.]+(?:e[+-]?[0-9]+)?(?:/[0-9]+)?)"
_NUMBERS = re.compile(rf"{_NUMBER}(?:(?: [+-])? {_NUMBER})*", re.IGNORECASE)
_FORMULA = tuple("=+-@\t\r\n＝＋－＠")


def csv_cell(text: str) -> str:
    """A text as a cell of CSV: one that a spreadsheet would run gets an apostrophe first.

    Numbers stay as they are, exact ones too: `-1/3`, `-inf`, `-0x1.8p+0`, `-0.1 + 1e-30`.
    """
    if text.startswith(_FORMULA) and not _NUMBERS.fullmatch(text):
        text = f"'{text}"
    return escape(text)


# an underscore inside a word marks nothing up, and keys are full of them
_MARKUP = re.compile(
    r"[\\`*\[\]<>&|~$@]|(?<![^\W_])_|_(?![^\W_])|:(?=//)|(?<=www)\.", re.IGNORECASE
)


def markdown(text: str) -> str:
    """A text as Markdown that shows it, inside a cell too."""
    return _MARKUP.sub(lambda found: f"\\{found[0]}", escape(text))


def code_block(text: str) -> str:
    """Lines as a block of code in Markdown, whatever backquotes they hold."""
    longest = max(map(len, re.findall("`+", text)), default=0)
    fence = "`" * max(longest + 1, 3)
    return f"{fence}text\n{text.rstrip()}\n{fence}\n"


def command_data(text: str) -> str:
    """A text as the message of a workflow command of GitHub."""
    return escape(text).replace("%", "%25")


def command_property(text: str) -> str:
    """A text as a property of one."""
    return command_data(text).replace(":", "%3A").replace(",", "%2C")
