"""What nbgrader's gradebook knows about a homework, read as rows: one query for a class, not many a student."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import msgspec

from autograder.course.course import Homework

_INDEXES = {
    "submitted_assignment": "student_id",
    "submitted_notebook": "assignment_id",
    "grade": "notebook_id",
    "comment": "notebook_id",
}
"""columns by which nbgrader looks up rows, and for which its tables have no index"""


class Decided(NamedTuple):
    """What a person decided on one cell of a submission; for a cell that takes comments alone, only the comment."""

    student: str
    notebook: str
    cell: str
    points: float | None
    extra: float
    again: bool
    """whether nbgrader shows it among the cells to be marked"""
    comment: str


def index(book: Any) -> None:
    """Let the database look up what belongs to a submission; else each lookup reads the rows of the whole class."""
    from sqlalchemy import text

    for table, column in _INDEXES.items():
        book.db.execute(text(f"CREATE INDEX IF NOT EXISTS ix_{table}_{column} ON {table} ({column})"))
    book.db.commit()


def students(book: Any) -> set[str]:
    """The students whom the gradebook knows."""
    from nbgrader.api import Student
    from sqlalchemy import select

    return set(book.db.execute(select(Student.id)).scalars())


def entered(book: Any, homework: Homework, student: str | None = None) -> set[str]:
    """The students who have a submission of a homework in the gradebook; only one is looked for, if asked."""
    from nbgrader.api import Assignment, SubmittedAssignment
    from sqlalchemy import select

    found = select(SubmittedAssignment.student_id).join(Assignment).where(Assignment.name == homework.name)
    found = found if student is None else found.where(SubmittedAssignment.student_id == student)
    return set(book.db.execute(found).scalars())


def decided(book: Any, homework: Homework, student: str | None = None) -> Iterator[Decided]:
    """All that persons decided on a homework, by default on everybody's: points and extra credit, then comments."""
    from nbgrader.api import BaseCell, Comment, Grade
    from sqlalchemy import or_

    fields = (Grade.manual_score, Grade.extra_credit, Grade.needs_manual_grade)
    any_points = or_(Grade.manual_score.is_not(None), Grade.extra_credit != 0)
    for who, notebook, cell, points, extra, again in book.db.execute(
        _of(homework, Grade, BaseCell.name, *fields, student=student).where(any_points)
    ):
        yield Decided(who, notebook, cell, points, extra or 0.0, bool(again), "")
    said = Comment.manual_comment != ""  # what is NULL is not unequal to it either
    for who, notebook, cell, comment in book.db.execute(
        _of(homework, Comment, BaseCell.name, Comment.manual_comment, student=student).where(said)
    ):
        yield Decided(who, notebook, cell, None, 0.0, False, comment)


def tested(book: Any, homework: Homework) -> Mapping[str, bytes]:
    """For each student a digest of what the hidden tests decided, as `digest` makes it."""
    from nbgrader.api import BaseCell, Grade, SubmittedAssignment

    rows = _of(homework, Grade, BaseCell.name, Grade.auto_score).order_by(SubmittedAssignment.student_id)
    found: dict[str, bytes] = {}
    scores: dict[tuple[str, str], float | None] = {}
    last = None
    for student, notebook, cell, score in book.db.execute(rows):
        if student != last and last is not None:
            found[last] = digest(scores)
            scores = {}
        scores[notebook, cell] = score
        last = student
    if last is not None:
        found[last] = digest(scores)
    return found


def digest(scores: Mapping[tuple[str, str], float | None]) -> bytes:
    """A digest of points by notebook and grade cell, which takes little memory for a large class."""
    listed = sorted((*place, None if score is None else float(score)) for place, score in scores.items())
    return hashlib.blake2b(msgspec.msgpack.encode(listed), digest_size=16).digest()


def earned(book: Any, homework: Homework, student: str | None = None) -> Mapping[str, float]:
    """The points of each submitted notebook, marks by hand included, by the notebook's id in the gradebook."""
    from nbgrader.api import Grade
    from sqlalchemy import func

    sums = _of(homework, Grade, Grade.notebook_id, func.sum(Grade.score), student=student).group_by(Grade.notebook_id)
    return {notebook: total for _, _, notebook, total in book.db.execute(sums)}


class HandedIn(NamedTuple):
    """A submitted notebook, with what the gradebook has about its lateness."""

    student: str
    submission: str
    """id of the submission in the gradebook"""
    extension: timedelta | None
    timestamp: datetime | None
    notebook: str
    """id of the submitted notebook in the gradebook"""
    penalty: float | None


def handed_in(book: Any, homework: Homework, student: str | None = None) -> list[HandedIn]:
    """The submitted notebooks of a homework, by default everybody's."""
    from nbgrader.api import Assignment, SubmittedAssignment, SubmittedNotebook
    from sqlalchemy import select

    one, notebook = SubmittedAssignment, SubmittedNotebook
    columns = (one.student_id, one.id, one.extension, one.timestamp, notebook.id, notebook.late_submission_penalty)
    found = (
        select(*columns)
        .join(Assignment, Assignment.id == one.assignment_id)
        .join(notebook, notebook.assignment_id == one.id)
        .where(Assignment.name == homework.name)
    )
    found = found if student is None else found.where(one.student_id == student)
    return [HandedIn(*row) for row in book.db.execute(found)]


def _of(homework: Homework, what: Any, *columns: Any, student: str | None = None) -> Any:
    """A query for rows of `what`, Grade or Comment: student, notebook's name, and these columns."""
    from nbgrader.api import Assignment, BaseCell, Notebook, SubmittedAssignment, SubmittedNotebook
    from sqlalchemy import select

    found = (
        select(SubmittedAssignment.student_id, Notebook.name, *columns)
        .select_from(SubmittedAssignment)
        .join(Assignment, Assignment.id == SubmittedAssignment.assignment_id)
        .join(SubmittedNotebook, SubmittedNotebook.assignment_id == SubmittedAssignment.id)
        .join(Notebook, Notebook.id == SubmittedNotebook.notebook_id)
        .join(what, what.notebook_id == SubmittedNotebook.id)
        .join(BaseCell, BaseCell.id == what.cell_id)
        .where(Assignment.name == homework.name)
    )
    return found if student is None else found.where(SubmittedAssignment.student_id == student)
