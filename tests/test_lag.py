"""The lag of a release behind its master: what was edited since `autograder build`, and what that stops."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from autograder.cli import app
from autograder.course import lag
from autograder.course.course import Course, CourseError, open_course
from tests.conftest import small_course

ROOT = Path(__file__).parents[1]
FORWARD = '"grade_id": "linear-forward", "grade": true, "points": 2'
BACKWARD = '"grade_id": "linear-backward", "grade": true, "points": 5'


@pytest.fixture
def course(tmp_path: Path) -> Course:
    """A copy of the course with hw1/mlp alone, as it was built."""
    return small_course(tmp_path / "course")


def edit(course: Course, *pairs: tuple[str, str], path: str = "hw1/mlp.py") -> None:
    file = course.root / path
    text = file.read_text(encoding="utf-8")
    for old, new in pairs:
        assert old in text
        text = text.replace(old, new, 1)
    file.write_text(text, encoding="utf-8")


def said(course: Course) -> str:
    return "\n".join(lag.checked(course.homework("hw1")))


@pytest.mark.parametrize("homework", open_course(ROOT).homeworks)
def test_what_was_just_built_does_not_lag(homework: str) -> None:
    assert list(lag.lags(open_course(ROOT).homework(homework))) == []


def test_points_that_were_not_built_are_named_before_texts(course: Course) -> None:
    edit(course, ("**Exercise 2 · `Linear`**", "**Exercise 2 · Linear**"))
    edit(course, (FORWARD, FORWARD.replace("2", "3")), (BACKWARD, BACKWARD.replace("5", "4")))
    text = said(course)
    assert text.startswith(f"{course.root / 'hw1/mlp.py'}: changed since the last `autograder build`")
    assert "linear-forward is worth 3 points, not 2; linear-backward is worth 4 points, not 5; linear-text has" in text


def test_a_new_paragraph_is_named_with_its_line_and_no_other(course: Course) -> None:
    helpers = '# %% nbgrader={"grade_id": "helpers"'
    edit(course, (helpers, f"# %% [markdown]\n# A new paragraph.\n\n{helpers}"))
    [one] = lag.lags(course.homework("hw1"))
    assert len(one.changes) == 1 and one.changes[0].startswith("the text in line ")


def test_a_cell_that_is_gone_and_one_that_moved_are_named(course: Course) -> None:
    path = course.root / "hw1/mlp.py"
    cells = path.read_text(encoding="utf-8").split("\n# %% ")
    at = next(number for number, cell in enumerate(cells) if '"step-prediction"' in cell.split("\n")[0])
    gone = cells.pop(at)
    path.write_text("\n# %% ".join(cells), encoding="utf-8")
    assert "step-prediction is gone" in said(course)
    cells.insert(at - 1, gone)
    path.write_text("\n# %% ".join(cells), encoding="utf-8")
    assert "stands elsewhere" in said(course) and "is gone" not in said(course)


def test_a_solution_counts_at_once_so_nothing_is_said_of_it(course: Course) -> None:
    edit(course, ("    ### BEGIN SOLUTION\n", "    ### BEGIN SOLUTION\n    # another line\n"))
    assert said(course) == ""


@pytest.mark.parametrize(
    ("path", "old", "new", "cell"),
    [
        ("hw1/mlp.py", "class Identity:\n", "class Identity:\n    slope = 1\n\n", "identity"),
        ("common.py", "tolerance=1e-4", "tolerance=1e-3", "common"),
    ],
)
def test_grading_is_refused_where_the_reference_runs_other_given_code(
    course: Course, path: str, old: str, new: str, cell: str
) -> None:
    edit(course, (old, new), path=path)
    with pytest.raises(CourseError, match=f"given cells has changed .*{cell}.*: run `autograder build`"):
        said(course)
    for command in ("grade", "regrade"):
        told = CliRunner().invoke(app, [command, "hw1", "--course", str(course.root)])
        assert told.exit_code == 2 and cell in told.output


def test_a_comment_in_given_code_is_only_told(course: Course) -> None:
    edit(course, ("class Identity:\n", "class Identity:  # the simplest one\n"))
    assert "identity has another text" in said(course)


def test_a_figure_for_students_alone_is_only_told(course: Course) -> None:
    path = course.root / "hw1/mlp.py"
    head, mark, rest = path.read_text(encoding="utf-8").partition('tags=["demo"]\n')
    path.write_text(f"{head}{mark}# another line\n{rest}", encoding="utf-8")
    assert "has another text" in said(course)


def test_a_master_with_errors_is_left_to_those_who_read_all_of_it(course: Course) -> None:
    edit(course, ("class Linear:\n", "class Linear\n"))
    assert said(course) == ""


def test_a_release_that_was_never_built_is_left_to_those_who_need_it(course: Course) -> None:
    course.homework("hw1").release("mlp").unlink()
    assert said(course) == ""
