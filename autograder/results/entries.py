"""First entries: submissions of a homework which the gradebook does not have yet, written as rows.

nbgrader's own objects are made, flushed and read back one by one, which takes ten times as long as grading's other
writing; what stands in the tables afterwards is the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from autograder.course.course import Homework
from autograder.results import rows
from autograder.results.late import owed, times
from autograder.results.result import CellResult, Late, Result

Points = Mapping[tuple[str, str], CellResult]
Row = dict[str, object]


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

    def add(self, results: Sequence[Result]) -> bool:
        """Write students' entries in one transaction. False, and nothing is written, if one of them is there already.

        Raises sqlalchemy's IntegrityError if another program has written one meanwhile.
        """
        students = {result.student for result in results}
        if students & self._entered:
            return False
        from nbgrader import api

        heads: list[Row] = []
        books: list[Row] = []
        grades: list[Row] = []
        comments: list[Row] = []
        for result in results:
            heads.append(head := self._head(api.new_uuid(), result))
            points = points_of(result)
            for notebook in self._notebooks:
                books.append(book := self._notebook(api.new_uuid(), notebook, head["id"], points, result.late))
                for cell_id, name in notebook.graded:
                    grades.append(_grade(api.new_uuid(), cell_id, book["id"], points.get((notebook.name, name))))
                for cell_id in notebook.commented:
                    comments.append({"id": api.new_uuid(), "cell_id": cell_id, "notebook_id": book["id"]})
        for table, made in (
            (api.Student, [{"id": student} for student in sorted(students - self._students)]),
            (api.SubmittedAssignment, heads),
            (api.SubmittedNotebook, books),
            (api.Grade, grades),
            (api.Comment, comments),
        ):
            if made:
                self._book.db.execute(table.__table__.insert(), made)
        self._book.db.commit()
        self._students |= students
        self._entered |= students
        return True

    def _head(self, ident: str, result: Result) -> Row:
        extension, timestamp = times(self._homework, result.late) or (None, None)
        return {
            "id": ident,
            "assignment_id": self._assignment,
            "student_id": result.student,
            "timestamp": timestamp,
            "extension": extension,
        }

    def _notebook(self, ident: str, notebook: _Notebook, submission: object, points: Points, late: Late | None) -> Row:
        found = (points.get((notebook.name, name)) for _, name in notebook.graded)
        score = sum(cell.earned or 0.0 for cell in found if cell is not None)
        return {
            "id": ident,
            "assignment_id": submission,
            "notebook_id": notebook.id,
            "flagged": False,
            "late_submission_penalty": owed(score, late) if self._homework.due is not None else None,
        }


def points_of(result: Result) -> Points:
    """What hidden tests decided, by notebook and grade cell."""
    return {(book.notebook, cell.grade_id): cell for book in result.notebooks for cell in book.cells}


def _grade(ident: str, cell_id: str, notebook: object, cell: CellResult | None) -> Row:
    earned = cell.earned if cell is not None else None
    return {
        "id": ident,
        "cell_id": cell_id,
        "notebook_id": notebook,
        "auto_score": earned,
        "needs_manual_grade": earned is None,
    }


def _notebook(notebook: Any) -> _Notebook:
    graded = [*notebook.grade_cells, *notebook.task_cells]
    commented = [*notebook.solution_cells, *notebook.task_cells]
    cells = tuple((cell.id, cell.name) for cell in graded)
    return _Notebook(notebook.id, notebook.name, cells, tuple(cell.id for cell in commented))
