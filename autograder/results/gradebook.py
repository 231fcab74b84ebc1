"""Writes scores into nbgrader's gradebook.

It uses nbgrader's own API, so that formgrader, manual marks and exports still work.
"""

from __future__ import annotations

import logging
import sqlite3
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from autograder.course.course import Course, CourseError, Homework
from autograder.course.roster import Roster
from autograder.results import late, marks, rows
from autograder.results.entries import Entries, points_of
from autograder.results.marks import Before, LateOf
from autograder.results.registration import (
    Recorded,
    Totals,
    alembic_on_path,
    changes,
    check,
    is_registered,
    register,
    settle,
    submissions_of,
    told,
    totals,
)
from autograder.results.result import Result
from autograder.warming import loading


class Recorder:
    """Writes results into <course>/gradebook.db, with one commit per submission.

    It is a context manager. Only one recorder may write at a time.
    """

    def __init__(
        self,
        course: Course,
        homework: Homework,
        roster: Roster | None = None,
        recorded: Recorded = Recorded.REFUSE,
        lateness: LateOf | None = None,
    ) -> None:
        """Students have the names and e-mail addresses that the roster has.

        `recorded` says what happens when cells or points have changed since submissions were recorded; `lateness` is
        for `bring`.
        """
        self._lateness = lateness
        self._course, self._homework, self._roster, self._recorded = course, homework, roster, recorded
        self._places = marks.exercises(homework)
        self._then: Totals = {}
        self._tested: Mapping[str, bytes] | None = None
        self._new: set[str] = set()  # whose entries have just been written: nobody can have marked them
        self.copy: Path | None = None
        """the gradebook as it was, if changed cells were taken over"""

    def __enter__(self) -> Recorder:
        """Register the homework if necessary. Raises CourseError when the gradebook cannot store it."""
        self._book = opened(self._course)
        if not is_registered(self._book, self._homework):
            try:
                self._register()
            except BaseException:
                self._book.close()
                raise
        if self._roster is not None:
            with _quietly():
                enrol(self._book, self._roster)
        late.set_due(self._book, self._homework)
        rows.index(self._book)
        # Otherwise each commit would expire the homework's cells, and each submission would load them one by one.
        self._book.db().expire_on_commit = False
        notebooks = self._book.find_assignment(self._homework.name).notebooks
        self._cells = [list(notebook.source_cells) for notebook in notebooks]  # the session's references are weak
        self._entries = Entries(self._book, self._homework)
        self._book.db.commit()  # nothing stays open for reading while submissions are graded
        return self

    def __exit__(self, *why: object) -> None:
        self._book.close()

    def _register(self) -> None:
        if submissions_of(self._book, self._homework):
            found = changes(self._book, self._homework)
            self._then = totals(self._book, self._homework)
            self.copy = settle(self._book, self._course, self._homework, found, self._recorded)
            return
        self._book.close()
        register(self._course, self._homework, _url(self._course))
        self._book = opened(self._course)
        check(self._book, self._homework)

    def moved(self) -> str:
        """A table of who has another score since changed cells were taken over; '' if none were."""
        if not self._then:
            return ""
        self._book.db.expire_all()
        return told(self._then, totals(self._book, self._homework))

    def has(self, result: Result) -> bool:
        """Whether the gradebook has the scores of this result."""
        if self._tested is None:
            self._tested = rows.tested(self._book, self._homework)
        result = marks.unmarked(result)
        cells = {(book.notebook, cell.grade_id): cell.earned for book in result.notebooks for cell in book.cells}
        return self._tested.get(result.student) == rows.digest(cells)

    def undo(self) -> None:
        """Give up what was not recorded, after an error."""
        self._book.db.rollback()

    def bring(self, out: Path) -> dict[str, Result]:
        """Bring all marks to the results and pages in `out`. Returns the results that changed, by student."""
        return marks.bring(self._book, self._homework, out, self._roster, self._lateness)

    def enter(self, results: Sequence[Result]) -> bool:
        """Store the scores of students who have no entry yet. False, and nothing is stored, if one of them has."""
        return self._enter([marks.unmarked(result) for result in results])

    def _enter(self, results: Sequence[Result]) -> bool:
        if not self._entries.add(results):
            return False
        self._new = {result.student for result in results}
        return True

    def record(self, result: Result, before: Before | None = None) -> bool:
        """Store the scores of a result. Whether marks were restored.

        A mark given by a person is kept. It is flagged for a second check, unless `before` has the answer's digest.
        Where the gradebook has lost the submission, the marks are those that `before` has.
        """
        before = before or Before()
        result = marks.unmarked(result)
        if not before.marks and self._enter([result]):
            return False
        book, homework, student = self._book, self._homework.name, result.student
        cells = points_of(result)
        lost = bool(before.marks) and student not in rows.entered(book, self._homework, student)
        with _quietly():
            book.update_or_create_student(student)
            submission = book.update_or_create_submission(homework, student)
        if lost:
            marks.restore(submission, self._places, before.marks)
        for notebook in submission.notebooks:
            for grade in notebook.grades:
                cell = cells.get((notebook.name, grade.name))
                if cell is None:
                    continue
                grade.auto_score = cell.earned
                if grade.manual_score is None:
                    grade.needs_manual_grade = cell.earned is None
                elif not cell.answer or cell.answer != before.answers.get((notebook.name, grade.name)):
                    grade.needs_manual_grade = True
        late.record_penalties(book, self._homework, {student: result.late})
        book.db.commit()
        return lost

    def marked(self, result: Result) -> Result:
        """The result of a submission that was just recorded, with its marks."""
        if result.student in self._new:
            return marks.unmarked(result)
        given = marks.of_class(self._book, self._homework, self._places, result.student)
        return marks.applied(result, given.get(result.student, {}))


def opened(course: Course) -> Any:
    """The course's gradebook, which is made if there is none: nbgrader's Gradebook, which the caller closes."""
    with loading():
        from nbgrader.api import Gradebook

    with alembic_on_path(), _quietly():
        return Gradebook(_url(course), course_id=course.id)


def _url(course: Course) -> str:
    return f"sqlite:///{course.root / 'gradebook.db'}"


def bring(
    course: Course, homework: Homework, out: Path, roster: Roster | None = None, lateness: LateOf | None = None
) -> dict[str, Result]:
    """`marks.bring` with the course's gradebook. Raises CourseError if it has none."""
    from sqlalchemy.exc import SQLAlchemyError

    path = course.root / "gradebook.db"
    if not path.is_file():
        raise CourseError(f"{path}: there is no gradebook yet: run `autograder grade {homework.name}` first")
    try:
        with closing(opened(course)) as book:
            return marks.bring(book, homework, out, roster, lateness)
    except (SQLAlchemyError, sqlite3.Error) as error:
        raise CourseError(
            f"{path}: this gradebook cannot be used ({str(error).splitlines()[0]}): close other programs that use it; "
            "if it is damaged, put a copy in its place, or move it away and grade again: marks come back from results/"
        ) from None


def enrol(book: Any, roster: Roster) -> None:
    """Give the gradebook's students the names and addresses of the roster, and add the students that it lacks.

    In a course with pseudonyms the gradebook gets these alone.
    """
    there = {student.id: student for student in book.students}
    for student in roster.enrolled:
        wanted = {"first_name": student.first_name, "last_name": student.last_name, "email": student.email}
        wanted = {field: text for field, text in wanted.items() if text}
        one = there.get(student.id)
        if one is None or any(getattr(one, field) != text for field, text in wanted.items()):
            book.update_or_create_student(student.id, **wanted)


@contextmanager
def _quietly() -> Iterator[None]:
    """Suppress a harmless SQLAlchemy warning about the order in which nbgrader adds a submission.

    Likewise the tracebacks that nbgrader logs before it raises an error: the error is told in our own words.
    """
    from sqlalchemy.exc import SAWarning

    log = logging.getLogger("tornado.application")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Object of type <Submitted.*> not in session", SAWarning)
        log.addFilter(_nothing)
        try:
            yield
        finally:
            log.removeFilter(_nothing)


def _nothing(line: logging.LogRecord) -> bool:
    return False
