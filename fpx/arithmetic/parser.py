"""Expressions as people write them, such as `fma(a, b, 0.1) - sum(1, 2^-8)`, as lists of steps.

Nothing of an expression is evaluated here, and no recursion is deeper than parentheses may nest.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from fpx.core.literals import NAMES, ReadAs, parse_literal
from fpx.core.numbers import Code, Literal
from fpx.errors import InputError
from fpx.words import did_you_mean, listed, quoted

LONGEST = 20_000  # characters
_DEEPEST = 50  # parentheses inside each other

LITERAL, VARIABLE = "literal", "variable"
"""The operations of steps without operands."""


class Step(NamedTuple):
    """One operation of an expression.

    Attributes:
        operation: a name of `fpx.arithmetic.operations.OPERATIONS`, LITERAL or VARIABLE.
        operands: the places of the steps whose results it works on; all come before it.
        column: where it is written: of an operator that of the sign, from 1.
        literal: of a LITERAL, the number.
        variable: of a VARIABLE, its name.
    """

    operation: str
    operands: tuple[int, ...]
    column: int
    literal: Literal | None = None
    variable: str = ""


@dataclass(frozen=True)
class Expression:
    """An expression as steps, each after those that it needs; the last gives the result.

    Attributes:
        text: as it was written.
        steps: the steps; of `dot`, the operands are the first vector's, then the second's.
        variables: the names that may stand in it.
    """

    text: str
    steps: tuple[Step, ...]
    variables: tuple[str, ...] = ()

    def fails(self, column: int, message: str) -> InputError:
        """The error that something is wrong at a column."""
        return InputError(f"{quoted(self.text)}, column {column}: {message}")


_FUNCTIONS = {"sqrt": 1, "abs": 1, "fma": 3, "min": 0, "max": 0, "sum": 0, "dot": 0}
"""Function -> how many arguments it takes; 0 is one or more."""

_HINTS = {
    "^": ": a power is a number, such as 2^-8",
    "[": ": a bracket is not closed",
    **dict.fromkeys("−–", ": a minus is '-'"),
    **dict.fromkeys("÷∕", ": write '/'"),
    **dict.fromkeys("·⋅∙", ": write '*'"),
    "√": ": write sqrt(…)",
}
"""What is meant by a character that means nothing."""

_TOKEN = re.compile(
    r"(?P<literal>\[[^\[\]]*\]"
    r"|0[xX][0-9a-fA-F_]*(?:\.[0-9a-fA-F]*)?(?:[pP][+-]?[0-9]+)?|0[bB][01_]+"
    r"|(?:[0-9][0-9_]*\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?(?:(?:\^|\*\*)[+-]?[0-9]+)?"
    r"|[sS]?[nN][aA][nN]\([0-9a-zA-Z]+\))"
    r"|(?P<name>[^\W\d]\w*)|(?P<sign>[-+*/×(),|])"
)


def parse(text: str, variables: Sequence[str] = (), read_as: ReadAs = ReadAs.AUTO) -> Expression:
    """The expression that a text means.

    Numbers are what `fpx decode` reads; those with a `/` or parentheses of their own stand in
    brackets: `[1/3]`. A minus sign before a number is part of it. Operators are `+`, `-`, `*` (or
    `×`) and `/`, functions `sqrt(a)`, `abs(a)`, `fma(a, b, c)`, `min(…)`, `max(…)`, `sum(…)` and
    `dot(a, … | b, …)`.

    Args:
        text: up to LONGEST characters.
        variables: names that stand for a number that is not known yet.
        read_as: what `0x…`, `0b…` and plain integers mean.

    Raises:
        InputError: it is no expression; the message names the column.
    """
    whole = Expression(text, (), tuple(variables))
    if len(text) > LONGEST:
        raise InputError(f"{quoted(text)}: an expression has up to {LONGEST:,} characters")
    for name in variables:
        if not re.fullmatch(r"(?a:[a-zA-Z_]\w*)", name):
            raise InputError(f"{quoted(name)} is no name of a variable: write letters, such as x")
        if name in _FUNCTIONS or name.lower() in NAMES:
            raise InputError(f"{quoted(name)} has a meaning already: name the variable x or y")
    steps = _Parser(whole, read_as).whole()
    unused = [name for name in variables if all(step.variable != name for step in steps)]
    if unused:
        raise InputError(f"{quoted(text)} has no variable {quoted(unused[0])}")
    return Expression(text, steps, tuple(variables))


class _Token(NamedTuple):
    kind: str
    text: str
    column: int


class _Parser:
    """Recursive descent: sum, product, signed, atom."""

    def __init__(self, whole: Expression, read_as: ReadAs) -> None:
        self._whole = whole
        self._read_as = read_as
        self._tokens = self._tokenised()
        self._at = 0
        self._depth = 0
        self._steps: list[Step] = []

    def whole(self) -> tuple[Step, ...]:
        """The steps of all of it."""
        self._sum()
        token = self._tokens[self._at]
        if token.kind != "end":
            if token.text == ")":
                raise self._error(token, "a parenthesis is closed that was not opened")
            if token.kind == "sign":
                raise self._error(token, f"{quoted(token.text)} stands in the wrong place")
            raise self._error(token, f"an operator is missing before {quoted(token.text)}")
        return tuple(self._steps)

    def _tokenised(self) -> list[_Token]:
        text, at = self._whole.text, 0
        found: list[_Token] = []
        while True:
            while at < len(text) and text[at].isspace():
                at += 1
            if at == len(text):
                return [*found, _Token("end", "", at + 1)]
            match = _TOKEN.match(text, at)
            if match is None or match.lastgroup is None:
                raise self._whole.fails(
                    at + 1, f"{quoted(text[at])} means nothing here{_HINTS.get(text[at], '')}"
                )
            found.append(_Token(match.lastgroup, match[0], at + 1))
            at = match.end()

    def _error(self, token: _Token, message: str) -> InputError:
        return self._whole.fails(token.column, message)

    def _taken(self, *signs: str) -> _Token | None:
        """The next token, if it is one of these signs."""
        if not self._is_next(*signs):
            return None
        self._at += 1
        return self._tokens[self._at - 1]

    def _is_next(self, *signs: str) -> bool:
        token = self._tokens[self._at]
        return token.kind == "sign" and token.text in signs

    def _step(self, operation: str, operands: tuple[int, ...], token: _Token) -> int:
        self._steps.append(Step(operation, operands, token.column))
        return len(self._steps) - 1

    def _sum(self) -> int:
        left = self._product()
        while token := self._taken("+", "-"):
            left = self._step(token.text, (left, self._product()), token)
        return left

    def _product(self) -> int:
        left = self._signed()
        while token := self._taken("*", "×", "/"):
            operation = "/" if token.text == "/" else "*"
            left = self._step(operation, (left, self._signed()), token)
        return left

    def _signed(self) -> int:
        minus: list[_Token] = []
        while token := self._taken("+", "-"):
            minus += [token] if token.text == "-" else []
        at = self._atom()
        if len(minus) % 2 == 0:
            return at
        step, last = self._steps[at], self._tokens[self._at - 1]
        if step.literal is None or isinstance(step.literal, Code) or last.text == ")":
            return self._step("negate", (at,), minus[0])
        literal: Literal = step.literal._replace(
            negative=not step.literal.negative, text=f"-{step.literal.text}"
        )
        self._steps[at] = step._replace(literal=literal, column=minus[0].column)
        return at

    def _atom(self) -> int:
        token = self._tokens[self._at]
        self._at += 1
        if token.kind == "literal":
            return self._number(token, token.text.strip("[]"))
        if token.kind == "name":
            if token.text in _FUNCTIONS and self._taken("("):
                return self._call(token)
            return self._named(token)
        if token.text == "(":
            self._deeper(token)
            at = self._sum()
            self._closed(token)
            return at
        if token.kind == "end":
            raise self._error(token, "a number is missing at the end")
        raise self._error(token, f"a number is missing before {quoted(token.text)}")

    def _number(self, token: _Token, text: str) -> int:
        try:
            literal = parse_literal(text, self._read_as)
        except InputError as error:
            raise self._error(token, str(error)) from None
        self._steps.append(Step(LITERAL, (), token.column, literal))
        return len(self._steps) - 1

    def _named(self, token: _Token) -> int:
        name, known = token.text, self._whole.variables
        if name in known:
            self._steps.append(Step(VARIABLE, (), token.column, variable=name))
            return len(self._steps) - 1
        if name.lower() in NAMES:
            return self._number(token, name)
        if name in _FUNCTIONS:
            raise self._error(token, f"{name} is a function: write {name}(…)")
        meant = did_you_mean(name, (*_FUNCTIONS, *NAMES))
        if not meant:
            meant = f": functions are {listed(_FUNCTIONS)}"
            if name.isascii() and not self._is_next("("):
                meant += f'; a variable takes `all_="{name}"`'
        raise self._error(token, f"{quoted(name)} is no number and no function{meant}")

    def _call(self, token: _Token) -> int:
        self._deeper(token)
        groups: list[list[int]] = [[self._sum()]]
        while separator := self._taken(",", "|"):
            if separator.text == "|":
                if token.text != "dot" or len(groups) == 2:
                    raise self._error(separator, "'|' stands between the two vectors of dot")
                groups.append([])
            groups[-1].append(self._sum())
        self._closed(token)
        self._check(token, [len(group) for group in groups])
        return self._step(token.text, tuple(at for group in groups for at in group), token)

    def _check(self, token: _Token, counts: list[int]) -> None:
        """Refuses a number of arguments that a function does not take."""
        name, takes = token.text, _FUNCTIONS[token.text]
        if name == "dot" and (len(counts) == 1 or counts[0] != counts[1]):
            sizes = f", not {counts[0]} and {counts[1]}" if len(counts) == 2 else ""
            raise self._error(
                token, f"dot takes two vectors of one length, dot(a, … | b, …){sizes}"
            )
        if takes and counts != [takes]:
            what = "argument" if takes == 1 else "arguments"
            raise self._error(token, f"{name} takes {takes} {what}, not {counts[0]}")

    def _deeper(self, token: _Token) -> None:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise self._error(token, f"parentheses nest deeper than {_DEEPEST}")

    def _closed(self, opened: _Token) -> None:
        """Takes the parenthesis that closes one."""
        if not self._taken(")"):
            token = self._tokens[self._at]
            if token.kind == "end":
                raise self._error(opened, "a parenthesis is not closed")
            if token.kind == "sign":
                raise self._error(token, f"{quoted(token.text)} stands in the wrong place")
            raise self._error(token, f"an operator is missing before {quoted(token.text)}")
        self._depth -= 1
