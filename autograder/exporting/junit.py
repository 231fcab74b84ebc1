"""A class run for continuous integration: as JUnit's XML, and as a Markdown table for a step's summary.

The XML has the elements that Jenkins' xunit plugin documents in its schema `junit-10.xsd`, which GitLab, Jenkins and
GitHub's actions for test reports read: a suite for each student, a case for each exercise.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from xml.etree import ElementTree

from autograder.results.plain_text import points_text
from autograder.results.result import CellResult, NotebookResult, Result
from autograder.results.waiting import WAITS_FOR, kind, waiting_in

_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""characters that XML 1.0 has no way to write, lone surrogates among them"""


def xml(homework: str, results: Iterable[Result], missing: Mapping[str, str]) -> bytes:
    """The report. `missing` are the students without a result, each with the reason."""
    root = ElementTree.Element("testsuites", name=homework)
    for result in results:
        suite = ElementTree.SubElement(root, "testsuite", name=_clean(result.student), timestamp=result.graded_at[:19])
        for book in result.notebooks:
            for cell in book.cells:
                suite.append(_case(result.homework, book, cell))
        _count(suite)
        suite.set("time", f"{result.wall_seconds:.3f}")
    for student, why in missing.items():
        suite = ElementTree.SubElement(root, "testsuite", name=_clean(student))
        case = ElementTree.SubElement(suite, "testcase", classname=homework, name="graded")
        ElementTree.SubElement(case, "error", message=_clean(why))
        _count(suite)
    for count in ("tests", "failures", "errors", "skipped"):
        root.set(count, str(sum(int(suite.get(count, "0")) for suite in root)))
    ElementTree.indent(root)
    text: bytes = ElementTree.tostring(root, "utf-8", xml_declaration=True)
    return text + b"\n"


def markdown(homework: str, results: Iterable[Result], missing: Mapping[str, str]) -> str:
    """The table: a line for each student, with what was found."""
    lines = [f"### {homework}", "", "| student | points | of | found |", "| --- | ---: | ---: | --- |"]
    for result in results:
        found = _cell("; ".join([*result.findings[:4], *waiting_in([result]).phrases]))
        lines.append(
            f"| {_cell(result.student)} | {points_text(result.score)} | {points_text(result.max_score)} | {found} |"
        )
    lines += [f"| {_cell(student)} | – | – | not graded: {_cell(why)} |" for student, why in missing.items()]
    return "\n".join([*lines, ""])


def _case(homework: str, book: NotebookResult, cell: CellResult) -> ElementTree.Element:
    name = f"{cell.title} ({cell.grade_id})"
    seconds = sum(test.seconds for test in cell.tests)
    case = ElementTree.Element(
        "testcase", classname=f"{homework}.{_clean(book.notebook)}", name=_clean(name), time=f"{seconds:.3f}"
    )
    if cell.earned is None:
        why = WAITS_FOR[kind(book, cell)]
        ElementTree.SubElement(case, "skipped", message=f"waits for {why}, {points_text(cell.points)} points")
    elif cell.lost:
        said = [f"{test.says}\n{test.message}".strip() for test in cell.tests if not test.passed]
        hints = [f"Hint: {one.hint}" for one in cell.diagnoses]
        message = f"{points_text(cell.earned)} of {points_text(cell.points)} points"
        failure = ElementTree.SubElement(case, "failure", message=message, type="points")
        failure.text = _clean("\n\n".join(filter(None, [cell.note, *said, *hints, *cell.causes])))
    return case


def _count(suite: ElementTree.Element) -> None:
    for attribute, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(attribute, str(len(suite.findall(f"testcase/{tag}"))))
    suite.set("tests", str(len(suite)))


def _clean(text: str) -> str:
    return _NO_XML.sub("�", text)


def _cell(text: str) -> str:
    """Text for one cell of a Markdown table: no line end, nothing that Markdown or HTML would read as its own."""
    flat = " ".join(_clean(text).split())
    return re.sub(r"([\\`*_\[\]|~#!&])", r"\\\1", flat).replace("<", "&lt;").replace(">", "&gt;")
