"""The class table: a CSV file with one line a student."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from autograder.results.plain_text import plain, points_text
from autograder.results.result import Result

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")


def csv_text(results: Sequence[Result]) -> str:
    """The class table, RFC 4180: one line a student, one column for each notebook and each of its grade cells.

    A cell that waits for marking, or that a student's result does not have, is empty.
    """
    columns: dict[tuple[str, str], None] = {}
    for result in results:
        for book in result.notebooks:
            columns |= dict.fromkeys([(book.notebook, ""), *((book.notebook, cell.grade_id) for cell in book.cells)])
    order = list(dict.fromkeys(notebook for notebook, _ in columns))
    wanted = sorted(columns, key=lambda column: order.index(column[0]))  # stable: cells stay in the notebook's order
    text = io.StringIO()
    table = csv.writer(text)
    names = [f"{notebook}/{cell}" if cell else notebook for notebook, cell in wanted]
    table.writerow([_cell(name) for name in ("student", "score", "max", *names, "tier", "findings")])
    for result in results:
        points: dict[tuple[str, str], float | None] = {}
        for book in result.notebooks:
            points[book.notebook, ""] = book.score
            points |= {(book.notebook, cell.grade_id): cell.earned for cell in book.cells}
        row = [
            points_text(result.score),
            points_text(result.max_score),
            *(points_text(points.get(column)) for column in wanted),
        ]
        table.writerow([_cell(result.student), *row, _cell(result.tier), _cell("; ".join(result.findings))])
    return text.getvalue()


def _cell(text: str) -> str:
    """Text for a spreadsheet, which would take what begins like a formula for one."""
    text = plain(text)
    return f"'{text}" if text.lstrip(" \n").startswith(_FORMULA) else text
