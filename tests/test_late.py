"""nbgrader's own autograde takes off for lateness what the course's settings say, and recording does the same."""

from __future__ import annotations

import csv
import os
import shutil
from collections.abc import Iterator
from datetime import datetime
from html import escape
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from nbgrader.api import Gradebook
from nbgrader.converters import Autograde
from nbgrader.coursedir import CourseDirectory
from traitlets.config.loader import PyFileConfigLoader
from typer.testing import CliRunner

from autograder import nbgrading
from autograder.cli import app
from autograder.course import build
from autograder.course.course import Course, open_course
from autograder.course.late_rules import penalty
from autograder.exporting import scores
from autograder.grading import marking
from autograder.grading.standing import Standing
from autograder.results import late, record
from autograder.results.gradebook import Recorder
from autograder.results.registration import alembic_on_path
from autograder.results.result import CellResult, Late, NotebookResult, Result
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
        return result_of(course, student)

    return lambda homework, floor: SimpleNamespace(wait=lambda: None, grade=result, close=lambda: None)


def result_of(course: Course, student: str) -> Result:
    """What everybody is graded as."""
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


def ours(course: Course, student: str) -> Late:
    found = Standing(course, course.homework("hw1")).late(student)
    assert found is not None
    return found


@pytest.mark.parametrize("student", SUBMITTED)
def test_autograde_takes_off_what_we_do(dated: tuple[Course, dict[str, Any]], student: str) -> None:
    course, taken = dated
    per_cent = ours(course, student).per_cent
    assert taken[student] == {name: penalty(points, per_cent) for name, points in EARNED.items()}


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
            late.record_penalties(book, course.homework("hw1"), {one.student.id: ours(course, one.student.id)})
        book.db.commit()
    assert penalties(course) == taken


def test_a_mark_by_hand_costs_its_share_after_recording_again(course: Course) -> None:
    with opened(course) as book:
        submission = book.find_submission("hw1", "late")
        before = [notebook.score for notebook in submission.notebooks]
        book.find_grade("term-why", "terms", "hw1", "late").manual_score = 2.0
        late.record_penalties(book, course.homework("hw1"), {"late": ours(course, "late")})
        book.db.commit()
    assert before == list(EARNED.values())
    assert penalties(course)["late"] == {"sums": 0.2334, "terms": 0.5}


def test_a_date_set_in_formgrader_stays_where_homework_toml_has_none(course: Course) -> None:
    with opened(course) as book:
        book.update_or_create_assignment("hw1", duedate="2026-01-01 00:00:00 UTC")
        late.set_due(book, msgspec.structs.replace(course.homework("hw1"), due=None))
        assert book.find_assignment("hw1").duedate == datetime(2026, 1, 1)


def result_in(course: Course, student: str) -> Result:
    return record.read(course.root / "results" / student / "hw1.json")


@pytest.fixture
def graded(course: Course) -> Course:
    """The course with everybody's result, before anything was said about lateness."""
    for student in SUBMITTED:
        record.write(late.settled(result_of(course, student)), course.root / "results")
    return course


def test_marks_bring_lateness_to_results_pages_table_and_gradebook(
    graded: Course, dated: tuple[Course, dict[str, Any]]
) -> None:
    _, taken = dated
    found = marking.run(graded, graded.homework("hw1"), graded.root / "results")
    assert {change.student for change in found.changes} == set(SUBMITTED)
    for student, books in taken.items():
        result = result_in(graded, student)
        assert result.late is not None
        assert result.late.penalty == pytest.approx(sum(books.values()))
        assert result.score == pytest.approx(sum(EARNED.values()) - sum(books.values()))
        page = (graded.root / "results" / student / "hw1.html").read_text(encoding="utf-8")
        assert escape(result.late.says) in page
        assert ("5.33 points earned" in page) == bool(result.late.penalty)
    with (graded.root / "results" / "hw1.csv").open(encoding="utf-8", newline="") as file:
        lines = {line["student"]: line for line in csv.DictReader(file)}
    assert (lines["late"]["days_late"], lines["late"]["penalty"], lines["late"]["score"]) == ("2", "0.53", "4.8")
    assert lines["late"]["submitted"] == "2026-11-29T12:00:00+01:00"
    assert (lines["unknown"]["submitted"], lines["unknown"]["penalty"]) == ("", "0")
    assert penalties(graded) == taken
    assert marking.run(graded, graded.homework("hw1"), graded.root / "results").changes == ()


def test_a_mark_is_brought_less_what_lateness_costs(graded: Course) -> None:
    marking.run(graded, graded.homework("hw1"), graded.root / "results")
    with opened(graded) as book:
        grade = book.find_grade("term-why", "terms", "hw1", "late")
        grade.manual_score, grade.needs_manual_grade = 2.0, False
        book.db.commit()
    [change] = marking.run(graded, graded.homework("hw1"), graded.root / "results").changes
    assert (change.student, change.before, change.after) == ("late", 4.8001, 6.6001)
    assert change.new == "marks or comments"
    assert penalties(graded)["late"] == {"sums": 0.2334, "terms": 0.5}


def test_an_extension_granted_afterwards_gives_the_points_back(graded: Course) -> None:
    marking.run(graded, graded.homework("hw1"), graded.root / "results")
    (graded.root / "roster.csv").write_text("id,extra_days\nlate,3\n", encoding="utf-8")
    changes = marking.run(graded, graded.homework("hw1"), graded.root / "results").changes
    [change] = [one for one in changes if one.student == "late"]
    assert (change.before, change.after) == (4.8001, 5.3335)
    assert penalties(graded)["late"] == {"sums": 0.0, "terms": 0.0}


def test_who_handed_in_when_is_remembered_without_the_submission(graded: Course) -> None:
    marking.run(graded, graded.homework("hw1"), graded.root / "results")
    before = result_in(graded, "late")
    shutil.rmtree(graded.root / "submitted" / "late")
    marking.run(graded, graded.homework("hw1"), graded.root / "results")
    after = result_in(graded, "late").late
    assert before.late is not None and after is not None
    assert (after.submitted, after.days) == (before.late.submitted, before.late.days)


def test_what_is_recorded_and_exported_is_less_what_lateness_costs(graded: Course) -> None:
    marking.run(graded, graded.homework("hw1"), graded.root / "results")
    homework = graded.homework("hw1")
    with opened(graded) as book:
        for notebook in book.find_submission("hw1", "late").notebooks:
            notebook.late_submission_penalty = None
        book.db.commit()
    with Recorder(graded, homework) as recorder:
        recorder.record(result_in(graded, "late"))
    assert penalties(graded)["late"] == {"sums": 0.2334, "terms": 0.3}
    results = scores.results_of(graded.root / "results", homework)
    made = scores.made("csv", homework, results, None, partial=True).data.decode("utf-8-sig")
    assert "late,,,,10,4.8" in made


def test_free_days_of_earlier_homeworks_are_spent(course: Course) -> None:
    found = ours(course, "spent")
    assert (found.days, found.free_days, found.per_cent) == (1, 0, 10)
    shutil.rmtree(course.root / "submitted" / "spent" / "hw0")
    assert ours(course, "spent").free_days == 1


def test_other_homeworks_are_not_read_where_there_are_no_free_days(course: Course) -> None:
    text = COURSE.replace("free_days = 1\n", "").replace('"hw0"', '"gone"')
    (course.root / "course.toml").write_text(text, encoding="utf-8")
    assert ours(open_course(course.root), "late").per_cent == 20


def test_a_team_is_as_late_as_its_submission(course: Course) -> None:
    (course.root / "roster.csv").write_text("id,group\nlate,Owls\nsecond,Owls\n", encoding="utf-8")
    assert ours(course, "second").days == ours(course, "late").days == 2


@pytest.mark.parametrize("folder", ["HW1", "homework 1", "."])
def test_the_time_is_found_in_whatever_the_folder_is_called(course: Course, folder: str) -> None:
    there = course.root / "submitted" / "late" / "hw1"
    if folder == ".":
        for path in list(there.iterdir()):
            path.rename(there.parent / path.name)
        shutil.rmtree(there)
        shutil.rmtree(there.parent / "hw0")
    else:
        there.rename(there.parent / folder)
    assert ours(course, "late").days == 2


def test_a_time_that_cannot_be_read_is_named_and_counts_as_on_time(course: Course) -> None:
    path = course.root / "submitted" / "late" / "hw1" / "timestamp.txt"
    path.write_text("yesterday", encoding="utf-8")
    standing = Standing(course, course.homework("hw1"))
    found = standing.late("late")
    assert found is not None
    assert (found.submitted, found.penalty) == ("", 0.0)
    assert list(standing.unread) == [str(path)]


def test_marks_names_a_time_that_cannot_be_read(graded: Course) -> None:
    path = graded.root / "submitted" / "late" / "hw1" / "timestamp.txt"
    path.write_text("yesterday", encoding="utf-8")
    for _ in range(2):  # the second time, nothing has changed since
        said = CliRunner().invoke(app, ["marks", "hw1", "--course", str(graded.root)])
        assert said.exit_code == 1 and f"{path}: 'yesterday' is not a moment" in said.stderr
        assert "Until then, it counts as on time" in said.stderr


def test_marks_says_that_only_the_time_of_submission_is_new(graded: Course) -> None:
    marking.run(graded, graded.homework("hw1"), graded.root / "results")
    path = graded.root / "submitted" / "late" / "hw1" / "timestamp.txt"
    path.write_text("2026-11-29 10:58:00 UTC", encoding="utf-8")
    said = CliRunner().invoke(app, ["marks", "hw1", "--course", str(graded.root)])
    assert "late: 4.8 points, as before; new: the time of submission" in said.stdout


@pytest.mark.parametrize(
    ("points", "step", "most", "score"),
    [
        (7.25, 0.5, 10, 7.5), (7.24, 0.5, 10, 7.0), (7.5, 1, 10, 8), (0.15, 0.1, 1, 0.2), (9.8, 1, 9.9, 9.9),
        (10.3, 0.5, 10, 10.5), (7.3335, 0, 10, 7.3335), (0.2, 1, 10, 0), (1 / 3, 0.25, 1, 0.25),
    ],
)  # fmt: skip
def test_the_score_is_rounded_as_the_course_says(
    course: Course, points: float, step: float, most: float, score: float
) -> None:
    result = result_of(course, "late")
    book = msgspec.structs.replace(result.notebooks[0], score=points)
    rounded = late.settled(msgspec.structs.replace(result, notebooks=(book,), max_score=most, rounding=step))
    assert rounded.score == pytest.approx(score)
    assert rounded.earned == pytest.approx(points, abs=1e-4)


def test_rounding_follows_lateness(graded: Course) -> None:
    (graded.root / "course.toml").write_text("rounding = 0.5\n" + COURSE, encoding="utf-8")
    rounded = open_course(graded.root)
    marking.run(rounded, rounded.homework("hw1"), graded.root / "results")
    assert (result_in(graded, "late").score, result_in(graded, "punctual").score) == (5.0, 5.5)
    assert "5.33 points earned, 0.53 taken off, rounded to steps of 0.5." in (
        graded.root / "results" / "late" / "hw1.html"
    ).read_text(encoding="utf-8")
