"""The class table: a CSV file with one line for each student."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from autograder.course.roster import Roster
from autograder.results.plain_text import plain, points_text
from autograder.results.result import Late, Result

_Column = tuple[str, str]
"""a notebook and a grade cell; '' for the notebook's own points"""
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")


class _Line(NamedTuple):
    """What one line of the table takes from a result: little, so that a large class fits into memory."""

    student: str
    total: tuple[str, str]
    """the score, and the most"""
    late: tuple[str, str, str] | None
    columns: tuple[_Column, ...]
    """one object for all results of the same shape"""
    points: tuple[str, ...]
    tier: str
    findings: str


def csv_text(results: Iterable[Result], absent: Mapping[str, str] | None = None, roster: Roster | None = None) -> str:
    """The class table in CSV (RFC 4180): one line for each student, one column for each notebook and grade cell.

    Where a homework has a due date, there are columns for the time of submission and what lateness costs.

    A field is empty when the cell is not marked yet, or when the student's result does not contain it. The students in
    `absent` have no result; the last field of their lines says why. With a roster, there are names and sections.
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
    text = io.StringIO()
    table = csv.writer(text)
    names = [f"{notebook}/{cell}" if cell else notebook for notebook, cell in wanted]
    about = ("name", "section") if roster else ()
    dates = ("submitted", "days_late", "penalty") if any(line.late for line in lines) else ()
    header = ("student", *about, "score", "max", *dates, *names, "tier", "findings")
    table.writerow([cell_text(name) for name in header])
    for line in lines:
        points = dict(zip(line.columns, line.points, strict=True))
        late = (line.late or ("", "", "")) if dates else ()
        row = [*line.total, *late, *(points.get(column, "") for column in wanted)]
        table.writerow([*_about(line.student, roster), *row, cell_text(line.tier), cell_text(line.findings)])
    for student, why in (absent or {}).items():
        table.writerow([*_about(student, roster), *[""] * (len(dates) + len(wanted) + 3), cell_text(why)])
    return text.getvalue()


def _line(result: Result) -> _Line:
    points: dict[_Column, str] = {}
    for book in result.notebooks:
        points[book.notebook, ""] = points_text(book.score)
        points |= {(book.notebook, cell.grade_id): points_text(cell.earned) for cell in book.cells}
    return _Line(
        result.student,
        (points_text(result.score), points_text(result.max_score)),
        _late(result.late) if result.late else None,
        tuple(points),
        tuple(map(sys.intern, points.values())),
        result.tier,
        "; ".join(result.findings),
    )


def _late(late: Late) -> tuple[str, str, str]:
    """When it was handed in, how many days late, and the points taken off."""
    return late.submitted, str(late.days), points_text(late.penalty)


def _about(id: str, roster: Roster | None) -> list[str]:
    """A student, and the name and the section if there is a roster."""
    student = roster.get(id) if roster else None
    about = [student.name if student else "", student.section if student else ""] if roster else []
    return [cell_text(text) for text in (id, *about)]


def cell_text(text: str) -> str:
    """The text with a quote in front when a spreadsheet would treat it as a formula."""
    text = plain(text)
    return f"'{text}" if text.lstrip(" \n").startswith(_FORMULA) else text
