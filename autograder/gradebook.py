"""nbgrader's gradebook: scores go in through its own API, so that formgrader, manual marks and exports still work."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from autograder.build import strip_config
from autograder.course import Course, CourseError, Homework
from autograder.result import Result


class Recorder:
    """Writes results into <course>/gradebook.db, one commit a submission. A context manager; one writer at a time."""

    def __init__(self, course: Course, homework: Homework) -> None:
        self._course, self._homework = course, homework
        self._url = f"sqlite:///{course.root / 'gradebook.db'}"

    def __enter__(self) -> Recorder:
        with _alembic_on_path():
            from nbgrader.api import Gradebook, MissingEntry

            self._book: Any = Gradebook(self._url, course_id=self._course.id)
        try:
            known = {book.name for book in self._book.find_assignment(self._homework.name).notebooks}
        except MissingEntry:
            known = set()
        if not {spec.name for spec in self._homework.notebooks} <= known:
            self._book.close()
            register(self._course, self._homework, self._url)
            self._book = Gradebook(self._url, course_id=self._course.id)
        return self

    def __exit__(self, *why: object) -> None:
        self._book.close()

    def record(self, result: Result) -> None:
        """Store a result's scores. A mark that a person gave stays, and is flagged for a second look."""
        book, homework, student = self._book, self._homework.name, result.student
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


@contextmanager
def _alembic_on_path() -> Iterator[None]:
    """nbgrader calls `alembic` by name when it makes a database."""
    before = os.environ.get("PATH", os.defpath)
    os.environ["PATH"] = os.pathsep.join((str(Path(sys.executable).parent), before))
    try:
        yield
    finally:
        os.environ["PATH"] = before
