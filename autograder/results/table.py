"""The class table: a CSV file with one line for each student."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from autograder.course.roster import Roster
from autograder.results.plain_text import flat, points_text
from autograder.results.result import Late, Result

_Column = tuple[str, str]
"""a notebook and a grade cell; '' for the notebook's own points"""
Cell = str | float | None
"""a text, or points: None where there are none yet"""
_SIGNS = "=+@\\-＝＋＠－"
_FORMULA = re.compile(rf"(?:^|(?<=;))(?=\s*[{_SIGNS}])")
"""where a spreadsheet would begin to read a formula, also one that divides lines at semicolons"""
_QUOTED = re.compile(rf"[,;\"]|^[\s'{_SIGNS}]")


class _Line(NamedTuple):
    """What one line of the table takes from a result: little, so that a large class fits into memory."""

    student: str
    total: tuple[float, float]
    """the score, and the most"""
    late: tuple[str, float, float | None] | None
    columns: tuple[_Column, ...]
    """one object for all results of the same shape"""
    points: tuple[float | None, ...]
    tier: str
    findings: str


def csv_text(results: Iterable[Result], absent: Mapping[str, str] | None = None, roster: Roster | None = None) -> str:
    """The class table in CSV (RFC 4180): one line for each student, one column for each notebook and grade cell.

    Where a homework has a due date, there are columns for the time of submission and what lateness costs.

    A field is empty when the cell is not marked yet, or when the student's result does not contain it. The students in
    `absent` have no result; the last field of their lines says why. With a roster, there are names and sections, and
    the findings say who is not in it.
    """
    columns: dict[_Column, None] = {}
    shapes: dict[tuple[_Column, ...], tuple[_Column, ...]] = {}
    lines: list[_Line] = []
    for result in results:
        line = _line(result)
        columns |= dict.fromkeys(line.columns)
        lines.append(line._replace(columns=shapes.setdefault(line.columns, line.columns)))
    order = list(dict.fromkeys(notebook for notebook, _ in columns))
    wanted = sorted(columns, key=lambda column: order.index(column[0]))  # a stable sort: cells stay in notebook order
    names = [f"{notebook}/{cell}" if cell else notebook for notebook, cell in wanted]
    about = ("name", "section") if roster else ()
    dates = ("submitted", "days_late", "penalty") if any(line.late for line in lines) else ()
    header = ("student", *about, "score", "max", *dates, *names, "tier", "findings")
    rows: list[Sequence[Cell]] = [header]
    for line in lines:
        points = dict(zip(line.columns, line.points, strict=True))
        late = (line.late or (None, None, None)) if dates else ()
        row = [*line.total, *late, *map(points.get, wanted)]
        stranger = f"not in {roster.path.name}" if roster and not roster.bearer(line.student) else ""
        findings = "; ".join(filter(None, [stranger, line.findings]))
        rows.append([*_about(line.student, roster), *row, line.tier, findings])
    for student, why in (absent or {}).items():
        rows.append([*_about(student, roster), *[None] * (len(dates) + len(wanted) + 3), why])
    return written(rows)


def _line(result: Result) -> _Line:
    points: dict[_Column, float | None] = {}
    for book in result.notebooks:
        points[book.notebook, ""] = book.score
        points |= {(book.notebook, cell.grade_id): cell.earned for cell in book.cells}
    return _Line(
        result.student,
        (result.score, result.max_score),
        _late(result.late) if result.late else None,
        tuple(points),
        tuple(points.values()),
        result.tier,
        "; ".join(result.findings),
    )


def _late(late: Late) -> tuple[str, float, float | None]:
    """When it was handed in, how many days late, and the points taken off."""
    return late.submitted, late.days, late.penalty


def _about(id: str, roster: Roster | None) -> list[str]:
    """A student, and the name and the section if there is a roster."""
    student = roster.get(id) if roster else None
    return [id, *((student.name if student else "", student.section if student else "") if roster else ())]


def written(rows: Iterable[Sequence[Cell]]) -> str:
    """Rows as CSV (RFC 4180) that every spreadsheet reads as data, whatever sign it divides lines at."""
    return "".join(",".join(map(_field, row)) + "\r\n" for row in rows)


def _field(cell: Cell) -> str:
    if not isinstance(cell, str):
        return points_text(cell)
    text = cell_text(cell)
    return '"' + text.replace('"', '""') + '"' if _QUOTED.search(text) else text


def cell_text(text: str) -> str:
    """The text in one line, with a quote in front of whatever a spreadsheet would take for the start of a formula.

    That is its first sign, or one behind a semicolon, where spreadsheets of some languages divide lines.
    """
    return _FORMULA.sub("'", flat(text.replace("\t", " ")))
