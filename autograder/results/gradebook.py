"""Writes scores into nbgrader's gradebook.

It uses nbgrader's own API, so that formgrader, manual marks and exports still work.
"""

from __future__ import annotations

import os
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from autograder.course.course import Course, CourseError, Homework
from autograder.course.release import released
from autograder.course.roster import Roster
from autograder.course.stripping import strip_config
from autograder.results import marks
from autograder.results.result import Result
from autograder.warming import loading


class Recorder:
    """Writes results into <course>/gradebook.db, with one commit per submission.

    It is a context manager. Only one recorder may write at a time.
    """

    def __init__(self, course: Course, homework: Homework, roster: Roster | None = None) -> None:
        """Students have the names and e-mail addresses that the roster has."""
        self._course, self._homework, self._roster = course, homework, roster
        self._url = f"sqlite:///{course.root / 'gradebook.db'}"
        self._marked: dict[str, dict[tuple[str, str], str]] = {}

    def __enter__(self) -> Recorder:
        """Register the homework if necessary. Raises CourseError when the gradebook cannot store it."""
        self._book = self._open()
        if not is_registered(self._book, self._homework):
            submissions = submissions_of(self._book, self._homework)
            self._book.close()
            try:
                register(self._course, self._homework, self._url)
            except CourseError as error:
                raise _refused(self._course, self._homework, submissions, error) from None
            self._book = self._open()
            if not is_registered(self._book, self._homework):
                self._book.close()
                raise CourseError(f"source/ and release/ of {self._homework.name} differ: run `autograder build`")
        if self._roster is not None:
            enrol(self._book, self._roster)
        # Otherwise each commit would expire the homework's cells, and each submission would load them one by one.
        self._book.db().expire_on_commit = False
        notebooks = self._book.find_assignment(self._homework.name).notebooks
        self._cells = [list(notebook.source_cells) for notebook in notebooks]  # the session's references are weak
        return self

    def __exit__(self, *why: object) -> None:
        self._book.close()

    def remember(self, out: Path) -> None:
        """Remember which answers the marks in the gradebook are for, before the results in `out` are replaced."""
        marked = marks.of_class(self._book, self._homework)
        self._marked = {student: marks.answers(out, self._homework, student) for student in marked}

    def bring(self, out: Path) -> dict[str, Result]:
        """Bring all marks to the results and pages in `out`. Returns the results that changed, by student."""
        return marks.bring(self._book, self._homework, out, self._roster)

    def record(self, result: Result) -> None:
        """Store the scores of a result.

        A mark given by a person is kept. It is flagged for a second check unless the answer is what was remembered.
        """
        book, homework, student = self._book, self._homework.name, result.student
        with _quietly():
            book.update_or_create_student(student)
            submission = book.update_or_create_submission(homework, student)
        result, before = marks.unmarked(result), self._marked.get(student, {})
        cells = {(book.notebook, cell.grade_id): cell for book in result.notebooks for cell in book.cells}
        for notebook in submission.notebooks:
            for grade in notebook.grades:
                cell = cells.get((notebook.name, grade.name))
                if cell is None:
                    continue
                grade.auto_score = cell.earned
                if grade.manual_score is None:
                    grade.needs_manual_grade = cell.earned is None
                elif not cell.answer or cell.answer != before.get((notebook.name, grade.name)):
                    grade.needs_manual_grade = True
        book.db.commit()

    def _open(self) -> Any:
        with loading():
            from nbgrader.api import Gradebook

        with _alembic_on_path():
            return Gradebook(self._url, course_id=self._course.id)


def bring(course: Course, homework: Homework, out: Path, roster: Roster | None = None) -> dict[str, Result]:
    """Bring all marks of the course's gradebook to the results in `out`. Returns those that changed, by student.

    Raises CourseError if the course has no gradebook.
    """
    path = course.root / "gradebook.db"
    if not path.is_file():
        raise CourseError(f"{path}: there is no gradebook yet: run `autograder grade {homework.name}` first")
    recorder = Recorder(course, homework, roster)
    with closing(recorder._open()) as book:
        return marks.bring(book, homework, out, roster)


def enrol(book: Any, roster: Roster) -> None:
    """Give the gradebook's students the names and addresses of the roster, and add the students that it lacks."""
    there = {student.id: student for student in book.students}
    for student in roster.students:
        wanted = {"first_name": student.first_name, "last_name": student.last_name, "email": student.email}
        wanted = {field: text for field, text in wanted.items() if text}
        one = there.get(student.id)
        if one is None or any(getattr(one, field) != text for field, text in wanted.items()):
            book.update_or_create_student(student.id, **wanted)


def is_registered(book: Any, homework: Homework) -> bool:
    """Whether the gradebook `book` has the labelled cells and points of the homework's current release."""
    from nbgrader.api import MissingEntry

    for spec in homework.notebooks:
        try:
            notebook = book.find_notebook(spec.name, homework.name)
        except MissingEntry:
            return False
        known = {cell.name: None for cell in notebook.source_cells}
        known |= {cell.name: cell.max_score for cell in (*notebook.grade_cells, *notebook.task_cells)}
        cells = released(homework, spec.name).cells
        labelled = [cell for cell in cells if cell.fixed or cell.solution or cell.task]
        if known != {cell.grade_id: cell.points if cell.grade or cell.task else None for cell in labelled}:
            return False
    return True


def register(course: Course, homework: Homework, url: str) -> None:
    """Add the homework's notebooks and cells to the gradebook, with nbgrader's own generate_assignment."""
    from nbgrader.converters import GenerateAssignment
    from nbgrader.coursedir import CourseDirectory
    from nbgrader.utils import capture_log

    for spec in homework.notebooks:
        if not homework.source(spec.name).is_file():
            raise CourseError(f"{homework.source(spec.name)}: this file is missing: run `autograder build`")
    with tempfile.TemporaryDirectory(prefix="release-") as folder, _alembic_on_path():
        config = strip_config()
        config.CourseDirectory.root = str(course.root)
        config.CourseDirectory.course_id = course.id
        config.CourseDirectory.db_url = url
        config.CourseDirectory.assignment_id = homework.name
        config.CourseDirectory.release_directory = str(Path(folder).resolve())
        outcome = capture_log(GenerateAssignment(coursedir=CourseDirectory(config=config), config=config))
    if not outcome["success"]:
        raise CourseError(
            f"gradebook.db: nbgrader cannot register {homework.name}; its log says:\n{outcome.get('log')}"
        )


def submissions_of(book: Any, homework: Homework) -> int:
    """How many submissions of a homework the gradebook has recorded."""
    from nbgrader.api import MissingEntry

    try:
        return len(book.find_assignment(homework.name).submissions)
    except MissingEntry:
        return 0


def _refused(course: Course, homework: Homework, submissions: int, error: CourseError) -> CourseError:
    if not submissions:
        return error
    return CourseError(
        f"{course.root / 'gradebook.db'}: the cells of {homework.name} have changed since {submissions} submissions "
        "were recorded, and nbgrader cannot change the cells of a recorded submission. Either restore the old "
        "grade_ids and run `autograder build`; or copy gradebook.db, run "
        f"`nbgrader db assignment remove {homework.name} --force` (this deletes marks and comments given by hand), "
        "and grade again"
    )


@contextmanager
def _quietly() -> Iterator[None]:
    """Suppress a harmless SQLAlchemy warning about the order in which nbgrader adds a submission."""
    from sqlalchemy.exc import SAWarning

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Object of type <Submitted.*> not in session", SAWarning)
        yield


@contextmanager
def _alembic_on_path() -> Iterator[None]:
    """Put the folder of `alembic` on PATH: nbgrader calls it by name when it creates a database."""
    before = os.environ.get("PATH", os.defpath)
    os.environ["PATH"] = os.pathsep.join((str(Path(sys.executable).parent), before))
    try:
        yield
    finally:
        os.environ["PATH"] = before
