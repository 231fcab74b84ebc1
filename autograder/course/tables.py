"""The tables of README.md and docs/ that say what homework.toml and the masters say: the build fills them.

A page has a table where it has these two comments, each on a line of its own: ``<!-- notebooks: made by `autograder
build` -->`` and ``<!-- end of notebooks -->``. What stands between them is replaced.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from autograder.course.course import Course
from autograder.course.master import AuthorError, Finding, Master, file_text
from autograder.course.source_notebook import badge_link

_BEGIN = re.compile(r"^<!-- (\w+): made by `autograder build` -->[ \t\r]*$", re.MULTILINE)

Masters = Mapping[str, Sequence[Master]]
"""the masters of each homework"""


def pages(course: Course, masters: Masters) -> dict[Path, str]:
    """The text of every page with such a table, by its path below the course, with the tables made anew.

    Raises AuthorError with all tables that do not end or that nobody knows.
    """
    found: dict[Path, str] = {}
    findings: list[Finding] = []
    for path in (course.root / "README.md", *sorted((course.root / "docs").glob("*.md"))):
        if path.is_file():
            try:
                text = file_text(path, "")
                fresh = filled(course, masters, text, path)
            except AuthorError as error:
                findings += error.findings
            else:
                if _BEGIN.search(text):
                    found[path.relative_to(course.root)] = fresh
    if findings:
        raise AuthorError(findings)
    return found


def filled(course: Course, masters: Masters, text: str, path: Path) -> str:
    """The text of the page `path` with its tables made anew. Raises AuthorError."""
    made: list[str] = []
    at = 0
    while begin := _BEGIN.search(text, at):
        line = text.count("\n", 0, begin.start()) + 1
        if begin[1] not in _TABLES:
            raise AuthorError([Finding(path, line, f"no table is called {begin[1]!r}, but {', '.join(_TABLES)}")])
        closing = f"<!-- end of {begin[1]} -->"
        end = re.compile(rf"^{closing}[ \t\r]*$", re.MULTILINE).search(text, begin.end())
        if end is None:
            raise AuthorError([Finding(path, line, f"this table does not end: write below it {closing}")])
        made += [text[at : begin.end()], "\n\n", _TABLES[begin[1]](course, masters), "\n\n"]
        at = end.start()
    return "".join([*made, text[at:]])


def machine_points(master: Master) -> float:
    """The points of a notebook that hidden tests give."""
    return sum(cell.maximum for cell in master.grade_cells() if cell.autograded)


def called(homework: str) -> str:
    """What a homework is called in a sentence: Homework 1."""
    number = re.fullmatch(r"hw0*(\d+)", homework)
    return f"Homework {number[1]}" if number else homework


def _notebooks(course: Course, masters: Masters) -> str:
    rows = ["| notebook | | points | of them by machine | minutes | |", "| --- | --- | --- | --- | --- | --- |"]
    for name, books in masters.items():
        for book, spec in zip(books, course.homework(name).notebooks, strict=True):
            link = f"[`{name}/{spec.name}`]({name}/{spec.name}.py)"
            points = f"{book.points:g} | {machine_points(book):g}"
            badge = badge_link(course, name, spec.name)
            rows.append(f"| {link} | {spec.title} | {points} | {spec.minutes} | {badge} |")
    return "\n".join(rows)


def _limits(course: Course, masters: Masters) -> str:
    limits = [course.homework(name).limits for name in masters]
    rows = {
        "limit": [called(name) for name in masters],
        "---": ["---"] * len(limits),
        "one cell": [f"{one.cell_seconds:g} s" for one in limits],
        "all cells of a notebook": [f"{one.total_seconds:g} s" for one in limits],
        "memory": [f"{one.memory_mb / 1024:g} GB" for one in limits],
        "output": [f"{one.output_mb} MB" for one in limits],
    }
    return "\n".join(f"| {what} | {' | '.join(values)} |" for what, values in rows.items())


_TABLES = {"notebooks": _notebooks, "limits": _limits}
