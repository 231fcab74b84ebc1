"""First entries: a student's submission of a homework which the gradebook does not have yet, written as rows.

nbgrader's own objects are made, flushed and read back one by one, which takes ten times as long as grading's other
writing; what stands in the tables afterwards is the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from autograder.course.course import Homework
from autograder.results import rows
from autograder.results.late import owed, times
from autograder.results.result import CellResult, Late

Points = Mapping[tuple[str, str], CellResult]
"""what hidden tests decided, by notebook and grade cell"""


@dataclass(frozen=True)
class _Notebook:
    id: str
    name: str
    graded: tuple[tuple[str, str], ...]
    """id and name of each cell with points"""
    commented: tuple[str, ...]
    """ids of the cells that take a comment"""


class Entries:
    """Writes first entries of a homework into nbgrader's gradebook."""

    def __init__(self, book: Any, homework: Homework) -> None:
        """`book` is nbgrader's Gradebook, in which the homework is registered."""
        assignment = book.find_assignment(homework.name)
        self._book, self._homework, self._assignment = book, homework, assignment.id
        self._notebooks = [_notebook(notebook) for notebook in assignment.notebooks]
        self._students = rows.students(book)
        self._entered = rows.entered(book, homework)

    def add(self, student: str, points: Points, late: Late | None) -> bool:
        """Write a student's entry in one transaction. False, and nothing is written, if there is one already.

        Raises sqlalchemy's IntegrityError if another program has written it meanwhile.
        """
        if student in self._entered:
            return False
        from nbgrader import api

        db, submission = self._book.db, api.new_uuid()
        extension, timestamp = times(self._homework, late) or (None, None)
        if student not in self._students:
            db.execute(api.Student.__table__.insert(), [{"id": student}])
        db.execute(api.SubmittedAssignment.__table__.insert(), [self._head(submission, student, extension, timestamp)])
        books, grades, comments = [], [], []
        for notebook in self._notebooks:
            ident = api.new_uuid()
            found = [points.get((notebook.name, name)) for _, name in notebook.graded]
            score = sum(cell.earned or 0.0 for cell in found if cell is not None)
            off = owed(score, late) if self._homework.due is not None else None
            books.append(
                {
                    "id": ident,
                    "assignment_id": submission,
                    "notebook_id": notebook.id,
                    "flagged": False,
                    "late_submission_penalty": off,
                }
            )
            for (cell_id, _), cell in zip(notebook.graded, found, strict=True):
                earned = cell.earned if cell is not None else None
                grades.append(
                    {
                        "id": api.new_uuid(),
                        "cell_id": cell_id,
                        "notebook_id": ident,
                        "auto_score": earned,
                        "needs_manual_grade": earned is None,
                    }
                )
            comments += [{"id": api.new_uuid(), "cell_id": cell, "notebook_id": ident} for cell in notebook.commented]
        for table, made in ((api.SubmittedNotebook, books), (api.Grade, grades), (api.Comment, comments)):
            if made:
                db.execute(table.__table__.insert(), made)
        db.commit()
        self._students |= {student}
        self._entered |= {student}
        return True

    def _head(
        self, ident: str, student: str, extension: timedelta | None, timestamp: datetime | None
    ) -> Mapping[str, object]:
        return {
            "id": ident,
            "assignment_id": self._assignment,
            "student_id": student,
            "timestamp": timestamp,
            "extension": extension,
        }


def _notebook(notebook: Any) -> _Notebook:
    graded = [*notebook.grade_cells, *notebook.task_cells]
    commented = [*notebook.solution_cells, *notebook.task_cells]
    cells = tuple((cell.id, cell.name) for cell in graded)
    return _Notebook(notebook.id, notebook.name, cells, tuple(cell.id for cell in commented))
