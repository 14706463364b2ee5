"""What was checked, as JUnit's test results: for the many systems that show those.

A suite for each source and target, a case for each row. It is of checks that were asked for: a row
fails if it fails one of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TextIO

from fpx.render.told import command_of, lines_of
from fpx.render.writers import Setting
from fpx.report.base import Report
from fpx.words import escape

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

_COUNTED = {"failures": "failure", "errors": "error", "skipped": "skipped"}
"""Attributes that count children of cases by their tag."""

_SAID = ("verdict", "decided_by", "outcome")


def write_junit(reports: Iterable[Report], out: TextIO, setting: Setting) -> None:
    """One document of all reports."""
    from xml.etree import ElementTree as Xml

    root = Xml.Element("testsuites", name="fpx")
    suites: dict[str, Element] = {}

    def case(suite: str, name: str) -> Element:
        suite, name = escape(suite), escape(name)
        if suite not in suites:
            suites[suite] = Xml.SubElement(root, "testsuite", name=suite)
        return Xml.SubElement(suites[suite], "testcase", classname=suite, name=name)

    for report in reports:
        command = command_of(report)
        root.set("name", command)
        failing = _Failing(report)
        for entry in report.results():
            _fill(case(*_named(entry, command)), failing.take(entry), entry)
        for row, texts in failing.left():  # of what an older report had, and this one has not
            _fill(case(*_named(row, command)), texts, row)
        for tag, lines in (("error", lines_of(report, "errors")),
                           ("skipped", lines_of(report, "unchecked"))):  # fmt: skip
            for line in lines:
                Xml.SubElement(case(command, line), tag, message=escape(line))
    for element in (*suites.values(), root):
        element.set("tests", str(len(list(element.iter("testcase")))))
        for attribute, tag in _COUNTED.items():
            element.set(attribute, str(len(list(element.iter(tag)))))
    Xml.indent(root)
    out.write('<?xml version="1.0" encoding="UTF-8"?>\n')
    out.write(Xml.tostring(root, encoding="unicode") + "\n")


def _fill(case: Element, failures: Sequence[str], entry: Mapping[str, Any]) -> None:
    """Says of a case why it fails, if it does, and what the report says of its row."""
    from xml.etree import ElementTree as Xml

    if failures:
        found = Xml.SubElement(case, "failure", message=escape(failures[0]), type="check")
        found.text = "\n".join(map(escape, failures))
    said = [f"{key}: {entry[key]}" for key in _SAID if entry.get(key) is not None]
    if said:
        Xml.SubElement(case, "system-out").text = escape(", ".join(said))


class _Failing:
    """The failures of a report, by the rows that they are of."""

    def __init__(self, report: Report) -> None:
        self._found: dict[tuple[str, ...], tuple[Mapping[str, Any], list[str]]] = {}
        for failure in report.failures():
            row = failure.row.identity()
            self._found.setdefault(_values(row, row), (row, []))[1].append(failure.text)
        self._keys = {tuple(row) for row, _ in self._found.values()}
        self._taken: set[tuple[str, ...]] = set()

    def take(self, entry: Mapping[str, Any]) -> list[str]:
        """Why the row of an entry fails; nothing if it does not."""
        texts: list[str] = []
        for values in (_values(entry, keys) for keys in self._keys):
            if values in self._found:
                self._taken.add(values)
                texts += self._found[values][1]
        return texts

    def left(self) -> Iterator[tuple[Mapping[str, Any], list[str]]]:
        """The rows that no entry was of, and why they fail."""
        for values, found in self._found.items():
            if values not in self._taken:
                yield found


def _values(entry: Mapping[str, Any], keys: Iterable[str]) -> tuple[str, ...]:
    """Keys of an entry with their values, which may be mappings, as something to look up."""
    return tuple(f"{key}={entry.get(key)!r}" for key in keys)


def _named(entry: Mapping[str, Any], command: str) -> tuple[str, str]:
    """Suite and name of an entry's case."""
    of = [str(entry[key]) for key in ("source", "to") if entry.get(key) is not None]
    if "tensor" in entry:
        if "to" in entry and "kind" in entry:  # a tensor may have a row of each kind
            of[0] = f"{entry['kind']} of {of[0]}"
        return " -> ".join(of) or command, str(entry["tensor"])
    if "from" in entry and "backend" in entry:
        suite = f"{entry['from']} -> {entry['to']}"
        return suite, f"{entry['backend']} on {entry['device']}"
    plain = [str(value) for value in entry.values() if isinstance(value, (str, int))]
    return command, " ".join(plain[:2]) or command
