"""The class table: a CSV file with one line for each student."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence

from autograder.course.roster import Roster
from autograder.results.plain_text import plain, points_text
from autograder.results.result import Late, Result

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")


def csv_text(results: Sequence[Result], absent: Mapping[str, str] | None = None, roster: Roster | None = None) -> str:
    """The class table in CSV (RFC 4180): one line for each student, one column for each notebook and grade cell.

    Where a homework has a due date, there are columns for the time of submission and what lateness costs.

    A field is empty when the cell is not marked yet, or when the student's result does not contain it. The students in
    `absent` have no result; the last field of their lines says why. With a roster, there are names and sections.
    """
    columns: dict[tuple[str, str], None] = {}
    for result in results:
        for book in result.notebooks:
            columns |= dict.fromkeys([(book.notebook, ""), *((book.notebook, cell.grade_id) for cell in book.cells)])
    order = list(dict.fromkeys(notebook for notebook, _ in columns))
    wanted = sorted(columns, key=lambda column: order.index(column[0]))  # a stable sort: cells stay in notebook order
    text = io.StringIO()
    table = csv.writer(text)
    names = [f"{notebook}/{cell}" if cell else notebook for notebook, cell in wanted]
    about = ("name", "section") if roster else ()
    dates = ("submitted", "days_late", "penalty") if any(result.late for result in results) else ()
    header = ("student", *about, "score", "max", *dates, *names, "tier", "findings")
    table.writerow([cell_text(name) for name in header])
    for result in results:
        points: dict[tuple[str, str], float | None] = {}
        for book in result.notebooks:
            points[book.notebook, ""] = book.score
            points |= {(book.notebook, cell.grade_id): cell.earned for cell in book.cells}
        row = [
            points_text(result.score),
            points_text(result.max_score),
            *(_late(result.late) if dates else ()),
            *(points_text(points.get(column)) for column in wanted),
        ]
        table.writerow(
            [*_about(result.student, roster), *row, cell_text(result.tier), cell_text("; ".join(result.findings))]
        )
    for student, why in (absent or {}).items():
        table.writerow([*_about(student, roster), *[""] * (len(dates) + len(wanted) + 3), cell_text(why)])
    return text.getvalue()


def _late(late: Late | None) -> tuple[str, str, str]:
    """When it was handed in, how many days late, and the points taken off."""
    return (late.submitted, str(late.days), points_text(late.penalty)) if late is not None else ("", "", "")


def _about(id: str, roster: Roster | None) -> list[str]:
    """A student, and the name and the section if there is a roster."""
    student = roster.get(id) if roster else None
    about = [student.name if student else "", student.section if student else ""] if roster else []
    return [cell_text(text) for text in (id, *about)]


def cell_text(text: str) -> str:
    """The text with a quote in front when a spreadsheet would treat it as a formula."""
    text = plain(text)
    return f"'{text}" if text.lstrip(" \n").startswith(_FORMULA) else text
