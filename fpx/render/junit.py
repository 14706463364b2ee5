"""What was checked, as JUnit's test results: for the many systems that show those.

A suite for each source and target, a case for each row. It is of checks that were asked for: a row
fails if it fails one of them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
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

    def fail(made: Element, texts: list[str]) -> None:
        if texts:
            found = Xml.SubElement(made, "failure", message=escape(texts[0]), type="check")
            found.text = "\n".join(map(escape, texts))

    for report in reports:
        root.set("name", command_of(report))
        failing = _Failing(report)
        for entry in report.results():
            made = case(*_named(entry, command_of(report)))
            fail(made, failing.texts(entry))
            said = [f"{key}: {entry[key]}" for key in _SAID if entry.get(key) is not None]
            if said:
                Xml.SubElement(made, "system-out").text = escape(", ".join(said))
        for identity, texts in failing.of_no_entry():
            fail(case(*_named(identity, command_of(report))), texts)
        for tag, lines in (("error", lines_of(report, "errors")),
                           ("skipped", lines_of(report, "unchecked"))):  # fmt: skip
            for line in lines:
                made = case(command_of(report), line)
                Xml.SubElement(made, tag, message=escape(line))
    for element in (*suites.values(), root):
        element.set("tests", str(len(list(element.iter("testcase")))))
        for attribute, tag in _COUNTED.items():
            element.set(attribute, str(len(list(element.iter(tag)))))
    Xml.indent(root)
    out.write('<?xml version="1.0" encoding="UTF-8"?>\n')
    out.write(Xml.tostring(root, encoding="unicode") + "\n")


class _Failing:
    """The failures of a report, by the entries that they are of."""

    def __init__(self, report: Report) -> None:
        self._texts: dict[tuple[tuple[str, Any], ...], list[str]] = defaultdict(list)
        for failure in report.failures():
            self._texts[tuple(failure.row.identity().items())].append(failure.text)
        self._keys = {tuple(name for name, _ in identity) for identity in self._texts}
        self._seen: set[tuple[tuple[str, Any], ...]] = set()

    def texts(self, entry: Mapping[str, Any]) -> list[str]:
        """Why the row of an entry fails; none if it does not."""
        found: list[str] = []
        for keys in self._keys:
            identity = tuple((key, entry.get(key)) for key in keys)
            self._seen.add(identity)
            found += self._texts.get(identity, [])
        return found

    def of_no_entry(self) -> Iterator[tuple[dict[str, Any], list[str]]]:
        """What fails of rows that the report does not have: a tensor that is gone, say."""
        for identity, texts in self._texts.items():
            if identity not in self._seen:
                yield dict(identity), texts


def _named(entry: Mapping[str, Any], command: str) -> tuple[str, str]:
    """Suite and name of an entry's case."""
    of = [str(entry[key]) for key in ("source", "to") if entry.get(key) is not None]
    if "tensor" in entry:
        return " -> ".join(of) or command, str(entry["tensor"])
    if "from" in entry and "backend" in entry:
        suite = f"{entry['from']} -> {entry['to']}"
        return suite, f"{entry['backend']} on {entry['device']}"
    plain = [str(value) for value in entry.values() if isinstance(value, (str, int))]
    return command, " ".join(plain[:2]) or command
