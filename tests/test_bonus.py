"""Bonus points come on top: no maximum contains them; page, table, gradebook, nbgrader and exports have them."""

from __future__ import annotations

import csv
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from nbgrader.api import Gradebook
from nbgrader.converters import Autograde
from nbgrader.coursedir import CourseDirectory
from traitlets.config.loader import PyFileConfigLoader

from autograder.course import build
from autograder.course.course import Course, open_course
from autograder.course.master import AuthorError
from autograder.course.parsing import read_master
from autograder.exporting import scores
from autograder.grading import class_regrade, class_run, marking
from autograder.grading.orders import Choosing
from autograder.grading.submissions import survey
from autograder.results import record
from autograder.results.registration import alembic_on_path
from autograder.results.result import Result
from tests.conftest import write_files

pytestmark = [
    pytest.mark.slow(seconds=20),
    pytest.mark.filterwarnings("ignore:Object of type <Submitted:sqlalchemy.exc.SAWarning"),
]

COURSE = 'id = "extra"\ntitle = "Extra"\nhomeworks = ["hw1"]\nrepository = ""\nfloor = "none"\n'
HOMEWORK = 'title = "Sums"\n\n[[notebooks]]\nname = "sums"\ntitle = "Sums"\nminutes = 5\n'
MASTER = """\
# %% [markdown]
# # Sums
#
# **Exercise 1 · Plus** · 3 points

# %% nbgrader={"grade_id": "plus", "solution": true}
def plus(x, y):
    ### BEGIN SOLUTION
    return x + y
    ### END SOLUTION

# %% nbgrader={"grade_id": "plus-check", "grade": true, "points": 3, "locked": true}
assert plus(1, 2) == 3

# %% [markdown]
# **Exercise 2 · Minus** · 2 bonus points

# %% nbgrader={"grade_id": "minus", "solution": true}
def minus(x, y):
    ### BEGIN SOLUTION
    return x - y
    ### END SOLUTION

# %% nbgrader={"grade_id": "minus-check", "grade": true, "points": 2, "bonus": true, "locked": true}
assert minus(1, 2) == -1

# %% [markdown]
# **Exercise 3 · Why?** · 1½ bonus points

# %% [markdown] nbgrader={"grade_id": "why", "grade": true, "solution": true, "points": 1.5, "bonus": true}
# Sums add up.
"""
TESTS = '''\
from autograder import earns


@earns("plus-check")
def test_sum(student):
    """Sums add up."""
    assert student.plus(1, 2) == 3


@earns("minus-check")
def test_difference(student):
    """Differences are what is left."""
    assert student.minus(5, 2) == 3


@earns("minus-check")
def test_difference_below_zero(student):
    """Differences may be negative."""
    assert student.minus(2, 5) == -3
'''
ANSWERS = {
    "both": {"plus": "return x + y", "minus": "return x - y", "why": "They do."},
    "half": {"plus": "return x + y", "minus": "return max(x - y, 0)"},
    "none": {"plus": "return x + y"},
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Course:
    """A course with bonus exercises, and its class as `autograder grade` grades it."""
    root = tmp_path_factory.mktemp("bonus")
    files = {"course.toml": COURSE, "hw1/homework.toml": HOMEWORK, "hw1/sums.py": MASTER}
    write_files(root, files | {"hw1/hidden/test_sums.py": TESTS})
    shutil.copy(Path(__file__).parents[1] / "nbgrader_config.py", root)
    course = open_course(root)
    build.build(course)
    homework = course.homework("hw1")
    for student, answers in ANSWERS.items():
        book = json.loads(homework.release("sums").read_text(encoding="utf-8"))
        for cell in book["cells"]:
            name = cell["metadata"].get("nbgrader", {}).get("grade_id")
            if name in answers:
                cell["source"] = answers[name] if name == "why" else f"def {name}(x, y):\n    {answers[name]}"
        folder = root / "submitted" / student / "hw1"
        folder.mkdir(parents=True)
        (folder / "sums.ipynb").write_text(json.dumps(book), encoding="utf-8")
    class_run.run(course, homework, survey(root / "submitted", "hw1").todo, root / "results", 2, unconfined=True)
    return course


@pytest.fixture
def course(made: Course, tmp_path: Path) -> Course:
    """A copy of it, to be changed."""
    return open_course(Path(shutil.copytree(made.root, tmp_path, dirs_exist_ok=True)))


def result(course: Course, student: str) -> Result:
    return record.read(course.root / "results" / student / "hw1.json")


def recorded(course: Course) -> Iterator[tuple[str, Any, Any]]:
    """Each student's score and the most points, in the gradebook."""
    with alembic_on_path(), Gradebook(f"sqlite:///{course.root / 'gradebook.db'}", course.id) as book:
        for one in book.assignment_submissions("hw1"):
            yield one.student.id, one.score, one.max_score


def test_bonus_points_come_on_top(made: Course) -> None:
    assert [result(made, student).score for student in ANSWERS] == [5, 4, 3]
    assert {result(made, student).max_score for student in ANSWERS} == {3}
    assert sorted(recorded(made)) == [("both", 5, 3), ("half", 4, 3), ("none", 3, 3)]


def test_the_page_says_what_is_a_bonus_and_that_nothing_was_lost(made: Course) -> None:
    pages = {student: (made.root / "results" / student / "hw1.html").read_text(encoding="utf-8") for student in ANSWERS}
    assert "2 / 2 bonus" in pages["both"]
    assert "1 / 2 bonus" in pages["half"]
    assert "no bonus" in pages["none"]
    assert not any("points lost" in page for page in pages.values())
    assert "Every check passed" in pages["both"]
    assert "Every check passed" not in pages["half"]
    assert "No points were lost" in pages["half"]


def test_table_and_export_have_the_bonus(made: Course) -> None:
    with (made.root / "results" / "hw1.csv").open(encoding="utf-8", newline="") as file:
        lines = {line["student"]: line for line in csv.DictReader(file)}
    assert [lines["both"][column] for column in ("score", "max", "sums/minus-check")] == ["5", "3", "2"]
    results = scores.results_of(made.root / "results", made.homework("hw1"))
    text = scores.made("csv", made.homework("hw1"), results, None, partial=True).data.decode("utf-8-sig")
    assert "both,,,,3,5\r\n" in text


def test_nbgraders_autograde_gives_the_same_bonus(course: Course, monkeypatch: pytest.MonkeyPatch) -> None:
    before = sorted(recorded(course))
    (course.root / "gradebook.db").unlink()
    shutil.rmtree(course.root / "autograded")
    monkeypatch.setenv("PATH", os.environ["PATH"])
    config = PyFileConfigLoader("nbgrader_config.py", str(course.root)).load_config()
    config.CourseDirectory.assignment_id = "hw1"
    Autograde(coursedir=CourseDirectory(config=config), config=config).start()
    assert sorted(recorded(course)) == before


def test_a_bonus_answer_is_marked_by_hand_as_extra_credit(course: Course) -> None:
    with alembic_on_path(), Gradebook(f"sqlite:///{course.root / 'gradebook.db'}", course.id) as book:
        grade = book.find_grade("why", "sums", "hw1", "both")
        grade.manual_score, grade.extra_credit, grade.needs_manual_grade = 0, 1.5, False
        book.db.commit()
    [change] = marking.run(course, course.homework("hw1"), course.root / "results").changes
    assert (change.before, change.after) == (5, 6.5)


def test_a_cell_that_becomes_a_bonus_is_regraded(course: Course) -> None:
    path = course.root / "hw1" / "sums.py"
    text = path.read_text(encoding="utf-8").replace('"points": 3, "locked"', '"points": 1, "locked"')
    text = text.replace("Plus** · 3 points", "Plus** · 1 point")
    text = text.replace('"points": 2, "bonus": true', '"points": 2').replace("2 bonus points", "2 points")
    path.write_text(text, encoding="utf-8")
    build.build(course)
    out, submitted = course.root / "results", course.root / "submitted"
    found = class_regrade.run(course, course.homework("hw1"), out, submitted, 2, Choosing(), unconfined=True)
    assert not any(one.lost for one in found)
    assert [(result(course, name).score, result(course, name).max_score) for name in ANSWERS] == [
        (3, 3),
        (2, 3),
        (1, 3),
    ]
    assert sorted(recorded(course)) == [("both", 3, 3), ("half", 2, 3), ("none", 1, 3)]


@pytest.mark.parametrize(
    ("old", "new", "error"),
    [
        ("2 bonus points", "1 bonus point", "the text says 1 bonus points, its cells have 2"),
        ("2 bonus points", "2 points", "the text says 2 points, its cells have 0"),
        ('"points": 2, "bonus": true', '"points": 0, "bonus": true', "a bonus without points"),
        ('"points": 3, "locked"', '"points": 3, "bonus": true, "locked"', "the notebook carries no points"),
    ],
)
def test_an_authors_slip_with_a_bonus_is_named(course: Course, old: str, new: str, error: str) -> None:
    path = course.root / "hw1" / "sums.py"
    path.write_text(path.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
    with pytest.raises(AuthorError, match=error):
        read_master(course.homework("hw1"), "sums")
