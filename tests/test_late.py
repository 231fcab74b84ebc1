"""nbgrader's own autograde takes off for lateness what the course's settings say, and recording does the same."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from nbgrader.api import Gradebook
from nbgrader.converters import Autograde
from nbgrader.coursedir import CourseDirectory
from traitlets.config.loader import PyFileConfigLoader

from autograder import nbgrading
from autograder.course import build
from autograder.course.course import Course, open_course
from autograder.course.dates import Lateness
from autograder.course.roster import read_roster
from autograder.results import late
from autograder.results.gradebook import Recorder
from autograder.results.registration import alembic_on_path
from autograder.results.result import CellResult, NotebookResult, Result
from autograder.submission.timestamp import lateness_of
from tests.conftest import write_files

pytestmark = [
    pytest.mark.slow(seconds=8),
    pytest.mark.filterwarnings("ignore:Object of type <Submitted:sqlalchemy.exc.SAWarning"),
]

COURSE = """\
id = "dates"
title = "Dates"
homeworks = ["hw0", "hw1"]
repository = ""
floor = "none"
timezone = "Europe/Berlin"

[late]
per_day = 10
most_days = 3
grace_minutes = 10
free_days = 1
"""
HOMEWORK = """\
title = "Sums"
due = {due}

[[notebooks]]
name = "sums"
title = "Sums"
minutes = 5

[[notebooks]]
name = "terms"
title = "Terms"
minutes = 5
"""
MASTER = """\
# %% [markdown]
# # Sums

# %% nbgrader={"grade_id": "NAME", "solution": true}
def NAME(x, y):
    ### BEGIN SOLUTION
    return x + y
    ### END SOLUTION

# %% nbgrader={"grade_id": "NAME-check", "grade": true, "points": 3, "locked": true}
assert NAME(1, 2) == 3

# %% [markdown] nbgrader={"grade_id": "NAME-why", "grade": true, "solution": true, "points": 2}
# Sums add up.
"""
TESTS = '''\
from autograder import earns


@earns("NAME-check")
def test_sum(student):
    """Sums add up."""
    assert student.NAME(1, 2) == 3
'''
EARNED = {"sums": 2.3335, "terms": 3.0}
ROSTER = "id,name,extra_days\nextended,Ann,1\n"
SUBMITTED = {
    "punctual": ("", "2026-11-27 23:59:00 Europe/Berlin"),
    "forgiven": ("", "2026-11-28 00:09:00+01:00"),
    "late": ("", "2026-11-29 12:00:00+01:00"),
    "spent": ("2026-11-21 12:00:00+01:00", "2026-11-28 12:00:00+01:00"),
    "west": (
        "2026-11-21 12:00:00+01:00",
        "2026-11-27 18:10:00 -0500",
    ),  # nbgrader reads an offset after a blank as seconds: before the due date
    "extended": ("", "2026-11-30 00:08:59+01:00"),
    "too-late": ("", "2026-12-10 12:00:00 UTC"),
    "unknown": ("", ""),
}
PER_CENT = {"late": 10, "spent": 10, "west": 10, "too-late": 100}


@pytest.fixture(scope="module")
def dated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Course, dict[str, Any]]]:
    """A course whose submissions nbgrader has autograded, and what the gradebook has then."""
    root = tmp_path_factory.mktemp("dated")
    files = {"course.toml": COURSE, "roster.csv": ROSTER}
    for name, due in {"hw0": "2026-11-20T23:59:00", "hw1": "2026-11-27T23:59:00"}.items():
        files[f"{name}/homework.toml"] = HOMEWORK.format(due=due)
        for book in EARNED:
            files[f"{name}/{book}.py"] = MASTER.replace("NAME", book[:-1])
            files[f"{name}/hidden/test_{book}.py"] = TESTS.replace("NAME", book[:-1])
    write_files(root, files)
    shutil.copy(Path(__file__).parents[1] / "nbgrader_config.py", root)
    course = open_course(root)
    build.build(course)
    for student, stamps in SUBMITTED.items():
        for name, stamp in zip(course.homeworks, stamps, strict=True):
            folder = root / "submitted" / student / name
            folder.mkdir(parents=True)
            for book in EARNED:
                shutil.copy(course.homework(name).release(book), folder)
            if stamp:
                (folder / "timestamp.txt").write_text(stamp, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch, Recorder(course, course.homework("hw1")):
        patch.setenv("PATH", os.environ["PATH"])
        patch.setattr(nbgrading, "GradingServer", grading_server(course))
        config = PyFileConfigLoader("nbgrader_config.py", str(root)).load_config()
        config.CourseDirectory.assignment_id = "hw1"
        Autograde(coursedir=CourseDirectory(config=config), config=config).start()
    yield course, penalties(course)


def grading_server(course: Course) -> Any:
    """In place of the grading server, one that gives everybody the same points."""

    def result(student: str, folder: Path) -> Result:
        books = []
        for name, points in EARNED.items():
            cells = (
                CellResult(grade_id=f"{name[:-1]}-check", title="", points=3, earned=points),
                CellResult(grade_id=f"{name[:-1]}-why", title="", points=2, earned=None),
            )
            books.append(
                NotebookResult(
                    notebook=name, title="", file="", score=points, max_score=5, cells=cells, tier="A", seed=0,
                    cpu_seconds=0, wall_seconds=0, peak_memory_mb=0,
                )
            )  # fmt: skip
        return Result(
            schema=1, course=course.id, homework="hw1", title="", student=student, score=0, max_score=10,
            notebooks=tuple(books), tier="A", versions={}, graded_at="", cpu_seconds=0, wall_seconds=0,
        )  # fmt: skip

    return lambda homework, floor: SimpleNamespace(wait=lambda: None, grade=result, close=lambda: None)


def opened(course: Course) -> Any:
    with alembic_on_path():
        return Gradebook(f"sqlite:///{course.root / 'gradebook.db'}", course.id)


def penalties(course: Course) -> dict[str, Any]:
    """The penalty of each notebook in the gradebook, by student."""
    with opened(course) as book:
        return {
            one.student.id: {notebook.name: notebook.late_submission_penalty or 0.0 for notebook in one.notebooks}
            for one in book.assignment_submissions("hw1")
        }


def ours(course: Course, student: str) -> Lateness:
    known = read_roster(course.root / "roster.csv").get(student)
    folder = course.root / "submitted" / student
    return lateness_of(course, course.homework("hw1"), known, lambda name: folder / name)


@pytest.mark.parametrize("student", SUBMITTED)
def test_autograde_takes_off_what_we_do(dated: tuple[Course, dict[str, Any]], student: str) -> None:
    course, taken = dated
    assert taken[student] == {name: ours(course, student).penalty(points) for name, points in EARNED.items()}


def test_the_late_pay_and_nobody_else(dated: tuple[Course, dict[str, Any]]) -> None:
    _, taken = dated
    cost = {student: round(100 * books["terms"] / EARNED["terms"]) for student, books in taken.items()}
    assert {student: per_cent for student, per_cent in cost.items() if per_cent} == PER_CENT


def test_the_gradebook_knows_how_late_everybody_is(dated: tuple[Course, dict[str, Any]]) -> None:
    course, _ = dated
    with opened(course) as book:
        found = {one.student.id: one.total_seconds_late for one in book.assignment_submissions("hw1")}
    assert found == {
        "punctual": 0, "forgiven": 600, "late": 129660, "spent": 43260, "west": 660, "extended": 86999,
        "too-late": 1083660, "unknown": 0,
    }  # fmt: skip


@pytest.fixture
def course(dated: tuple[Course, dict[str, Any]], tmp_path: Path) -> Course:
    """A copy of it, to be changed."""
    return open_course(Path(shutil.copytree(dated[0].root, tmp_path, dirs_exist_ok=True)))


def test_recording_gives_the_penalties_of_autograde(course: Course, dated: tuple[Course, dict[str, Any]]) -> None:
    _, taken = dated
    with opened(course) as book:
        for one in book.assignment_submissions("hw1"):
            one.timestamp = one.extension = None
            for notebook in one.notebooks:
                notebook.late_submission_penalty = 0.5
        book.db.commit()
        late.set_due(book, course.homework("hw1"))
        for one in book.assignment_submissions("hw1"):
            late.record_penalty(book, one, ours(course, one.student.id))
        book.db.commit()
    assert penalties(course) == taken


def test_a_mark_by_hand_costs_its_share_after_recording_again(course: Course) -> None:
    with opened(course) as book:
        submission = book.find_submission("hw1", "late")
        before = [notebook.score for notebook in submission.notebooks]
        book.find_grade("term-why", "terms", "hw1", "late").manual_score = 2.0
        total = late.record_penalty(book, submission, ours(course, "late"))
        book.db.commit()
    assert before == list(EARNED.values())
    assert (total, penalties(course)["late"]["terms"]) == (pytest.approx(0.2334 + 0.5), 0.5)


def test_a_date_set_in_formgrader_stays_where_homework_toml_has_none(course: Course) -> None:
    with opened(course) as book:
        book.update_or_create_assignment("hw1", duedate="2026-01-01 00:00:00 UTC")
        late.set_due(book, msgspec.structs.replace(course.homework("hw1"), due=None))
        assert book.find_assignment("hw1").duedate == datetime(2026, 1, 1)
