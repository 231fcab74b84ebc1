"""nbgrader's gradebook: scores go in through its own API, so that formgrader, manual marks and exports still work."""

from __future__ import annotations

import os
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from autograder.course.course import Course, CourseError, Homework
from autograder.course.release import released
from autograder.course.stripping import strip_config
from autograder.results.result import Result
from autograder.warming import loading


class Recorder:
    """Writes results into <course>/gradebook.db, one commit a submission. A context manager; one writer at a time."""

    def __init__(self, course: Course, homework: Homework) -> None:
        self._course, self._homework = course, homework
        self._url = f"sqlite:///{course.root / 'gradebook.db'}"

    def __enter__(self) -> Recorder:
        """Registers the homework where that is due. Raises CourseError when the gradebook cannot take it."""
        self._book = self._open()
        if not is_registered(self._book, self._homework):
            submissions = _submissions(self._book, self._homework)
            self._book.close()
            try:
                register(self._course, self._homework, self._url)
            except CourseError as error:
                raise _refused(self._course, self._homework, submissions, error) from None
            self._book = self._open()
            if not is_registered(self._book, self._homework):
                self._book.close()
                raise CourseError(f"source/ and release/ of {self._homework.name} differ: run `autograder build`")
        # else each commit forgets the homework's cells, and each submission reads them again, one by one
        self._book.db().expire_on_commit = False
        notebooks = self._book.find_assignment(self._homework.name).notebooks
        self._cells = [list(notebook.source_cells) for notebook in notebooks]  # the session alone would not keep them
        return self

    def __exit__(self, *why: object) -> None:
        self._book.close()

    def record(self, result: Result) -> None:
        """Store a result's scores. A mark that a person gave stays, and is flagged for a second look."""
        book, homework, student = self._book, self._homework.name, result.student
        with _quietly():
            book.update_or_create_student(student)
            submission = book.update_or_create_submission(homework, student)
        scores = {
            (notebook.notebook, cell.grade_id): cell.earned for notebook in result.notebooks for cell in notebook.cells
        }
        for notebook in submission.notebooks:
            for grade in notebook.grades:
                if (notebook.name, grade.name) in scores:
                    grade.auto_score = scores[notebook.name, grade.name]
                    grade.needs_manual_grade = grade.auto_score is None or grade.manual_score is not None
        book.db.commit()

    def _open(self) -> Any:
        with loading():
            from nbgrader.api import Gradebook

        with _alembic_on_path():
            return Gradebook(self._url, course_id=self._course.id)


def is_registered(book: Any, homework: Homework) -> bool:
    """Whether nbgrader's `book` knows the homework's labelled cells and their points as they are released now."""
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
    """Tell the gradebook of the homework's notebooks and cells, by nbgrader's own generate_assignment."""
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
        raise CourseError(f"gradebook.db: nbgrader cannot register {homework.name}:\n{outcome.get('log')}")


def _submissions(book: Any, homework: Homework) -> int:
    from nbgrader.api import MissingEntry

    try:
        return len(book.find_assignment(homework.name).submissions)
    except MissingEntry:
        return 0


def _refused(course: Course, homework: Homework, submissions: int, error: CourseError) -> CourseError:
    if not submissions:
        return error
    return CourseError(
        f"{course.root / 'gradebook.db'}: {homework.name} has other cells now than when its {submissions} submissions "
        "were recorded, and nbgrader keeps those to their cells. Either give the cells their old grade_ids again and "
        f"run `autograder build`; or copy gradebook.db, run `nbgrader db assignment remove {homework.name} --force` "
        "(marks and comments given by hand go with it), and grade again"
    )


@contextmanager
def _quietly() -> Iterator[None]:
    """nbgrader adds a submission in an order that makes SQLAlchemy warn, though nothing is lost."""
    from sqlalchemy.exc import SAWarning

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Object of type <Submitted.*> not in session", SAWarning)
        yield


@contextmanager
def _alembic_on_path() -> Iterator[None]:
    """nbgrader calls `alembic` by name when it makes a database."""
    before = os.environ.get("PATH", os.defpath)
    os.environ["PATH"] = os.pathsep.join((str(Path(sys.executable).parent), before))
    try:
        yield
    finally:
        os.environ["PATH"] = before
