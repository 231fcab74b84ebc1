"""Results reach the gradebook, and marks that a person gives there reach results, pages and the table."""

import csv
import io
import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from nbgrader.api import Gradebook

from autograder.course.course import CourseError, open_course
from autograder.grading import class_regrade, class_run, marking
from autograder.grading.orders import Choosing
from autograder.grading.submissions import survey
from autograder.proving import example_class
from autograder.results import marks, record, recording
from autograder.results.result import Mark
from tests.conftest import small_course

pytestmark = pytest.mark.slow(seconds=40)

ANSWER = "Half the step halves only the second-order error."


def handed_in(root, student, book):
    folder = root / "submitted" / student / "hw1"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "mlp.ipynb").write_text(json.dumps(book))


def written(book, text):
    """The notebook with this text as its written answer."""
    cell = next(cell for cell in book["cells"] if cell["metadata"].get("nbgrader", {}).get("grade_id") == "step-reason")
    cell["source"] = text
    return book


@pytest.fixture(scope="module")
def graded(tmp_path_factory):
    """A course whose class of two was graded by the whole class run."""
    root = tmp_path_factory.mktemp("class") / "course"
    course = small_course(root)
    desk = example_class.SubmissionWriter(course.homework("hw1"), "mlp")
    handed_in(root, "ada", written(desk.solved(), ANSWER))
    handed_in(root, "ben", written(desk.solved("mse-sign"), ANSWER))
    grade(root)
    return root


@pytest.fixture
def root(graded, tmp_path):
    """A copy of it, to be changed."""
    return Path(shutil.copytree(graded, tmp_path / "course"))


def grade(root):
    course = open_course(root)
    todo = survey(root / "submitted", "hw1").todo
    return class_run.run(course, course.homework("hw1"), todo, root / "results", 2, unconfined=True)


def bring(root):
    course = open_course(root)
    return marking.run(course, course.homework("hw1"), root / "results")


def mark(root, student, cell, points=None, comment="", extra=None, comment_at=""):
    """Mark as formgrader does: it stores the points, and that the answer no longer waits."""
    with Gradebook(f"sqlite:///{root / 'gradebook.db'}", "deep-learning") as book:
        grade = book.find_grade(cell, "mlp", "hw1", student)
        grade.manual_score, grade.extra_credit, grade.needs_manual_grade = points, extra, False
        if comment:
            book.find_comment(comment_at or cell, "mlp", "hw1", student).manual_comment = comment
        book.db.commit()


def waits(root, student, cell):
    with Gradebook(f"sqlite:///{root / 'gradebook.db'}", "deep-learning") as book:
        return book.find_grade(cell, "mlp", "hw1", student).needs_manual_grade


def result(root, student):
    return record.read(root / "results" / student / "hw1.json")


def cell(root, student, grade_id):
    return next(cell for cell in result(root, student).notebooks[0].cells if cell.grade_id == grade_id)


def line(root, student):
    rows = csv.DictReader(io.StringIO((root / "results/hw1.csv").read_text()))
    return next(row for row in rows if row["student"] == student)


def page(root, student):
    return (root / "results" / student / "hw1.html").read_text()


def test_a_mark_and_its_comment_reach_result_page_and_table(root):
    before = result(root, "ada").score
    mark(root, "ada", "step-reason", 0.5, "Say *why*, too: <b>which</b> term?")
    found = bring(root)
    assert [(change.student, change.before, change.after) for change in found.changes] == [
        ("ada", before, before + 0.5)
    ]
    assert (cell(root, "ada", "step-reason").earned, result(root, "ada").score) == (0.5, before + 0.5)
    assert (line(root, "ada")["mlp/step-reason"], float(line(root, "ada")["score"])) == ("0.5", before + 0.5)
    assert "Say *why*, too: &lt;b&gt;which&lt;/b&gt; term?" in page(root, "ada")
    assert "more points are not marked yet" not in page(root, "ada")
    assert "more points are not marked yet" in page(root, "ben")


def test_marks_are_brought_once(root):
    mark(root, "ada", "step-reason", 1)
    assert len(bring(root).changes) == 1
    before = page(root, "ada")
    assert bring(root).changes == ()
    assert page(root, "ada") == before


def test_points_of_tests_are_overridden_and_both_are_told(root):
    lost = next(
        one for one in result(root, "ben").notebooks[0].cells if one.earned is not None and one.earned < one.points
    )
    mark(root, "ben", lost.grade_id, lost.points)
    bring(root)
    now = cell(root, "ben", lost.grade_id)
    assert (now.earned, now.mark.tests) == (lost.points, lost.earned)
    assert "the checks alone gave" in page(root, "ben")


def test_extra_credit_comes_on_top_of_the_points(root):
    before = result(root, "ada").score
    mark(root, "ada", "relu", None, extra=0.75)
    bring(root)
    assert result(root, "ada").score == before + 0.75
    assert cell(root, "ada", "relu").earned == 2.75


def test_a_comment_on_the_code_stands_at_the_exercise_that_it_solves(root):
    mark(root, "ada", "relu", None, "Neat.", comment_at="activations")
    bring(root)
    assert cell(root, "ada", "relu").mark == Mark(comment="Neat.", tests=2.0)
    assert "Neat." in page(root, "ada")


def test_a_mark_that_is_taken_back_leaves_what_the_tests_gave(root):
    before = result(root, "ada")
    mark(root, "ada", "relu", 1)
    bring(root)
    mark(root, "ada", "relu", None)
    bring(root)
    assert result(root, "ada") == before


def test_the_same_answer_graded_again_stays_marked_and_a_new_one_waits(root):
    mark(root, "ada", "step-reason", 1)
    mark(root, "ben", "step-reason", 1)
    desk = example_class.SubmissionWriter(open_course(root).homework("hw1"), "mlp")
    handed_in(root, "ben", written(desk.solved("mse-sign"), "Something else."))
    grade(root)
    assert not waits(root, "ada", "step-reason")
    assert waits(root, "ben", "step-reason")
    assert (cell(root, "ada", "step-reason").earned, cell(root, "ben", "step-reason").earned) == (1, 1)
    assert "This answer has changed since it was marked" in page(root, "ben")
    assert "This answer has changed since it was marked" not in page(root, "ada")
    assert [(one.student, one.cell) for one in bring(root).again] == [("ben", "step-reason")]
    assert "changed after marking step-reason" in line(root, "ben")["findings"]
    grade(root)  # still the same new answer: the question stays open
    assert waits(root, "ben", "step-reason")


def test_regrading_keeps_marks_and_brings_them_to_what_it_rewrites(root):
    mark(root, "ada", "step-reason", 1, "Right.")
    mark(root, "ada", "relu", 1.5)
    tests = root / "hw1/hidden/test_mlp.py"
    text = tests.read_text()
    end = text.index('"""', text.index('"""', text.index("def test_two_sided_difference")) + 3) + 3
    tests.write_text(f"{text[:end]}\n    assert False\n{text[end:]}")
    course = open_course(root)
    results, submitted = root / "results", root / "submitted"
    found = class_regrade.run(course, course.homework("hw1"), results, submitted, 2, Choosing(), unconfined=True)
    [ada] = [one for one in found if one.student == "ada"]
    assert [change.cell for change in ada.changes] == ["numerical-gradient"]
    assert cell(root, "ada", "numerical-gradient").earned < 3
    assert (cell(root, "ada", "step-reason").earned, cell(root, "ada", "relu").earned) == (1, 1.5)
    assert not waits(root, "ada", "relu") and "Right." in page(root, "ada")
    again = class_regrade.run(course, course.homework("hw1"), results, submitted, 2, Choosing(), unconfined=True)
    assert all(one.result is None for one in again)
    assert cell(root, "ada", "relu").earned == 1.5


def test_marks_that_are_applied_twice_are_the_same(root):
    before = result(root, "ada")
    given = {("mlp", "relu"): Mark(points=1.0, extra=0.25), ("mlp", "step-reason"): Mark(points=0.5)}
    once = marks.applied(before, given)
    assert marks.applied(once, given) == once
    assert marks.unmarked(once) == before
    assert once.score == before.score - 1 + 0.25 + 0.5


def test_without_a_gradebook_the_way_out_is_said(root):
    (root / "gradebook.db").unlink()
    with pytest.raises(CourseError, match="run `autograder grade hw1` first"):
        bring(root)
    assert not (root / "gradebook.db").exists()


# ---- what is in the way of recording


@pytest.fixture
def locked(root, monkeypatch):
    """The gradebook, locked by another program, as long as the connection is open."""
    monkeypatch.setattr(recording, "PATIENCE", 0.1)
    with closing(sqlite3.connect(root / "gradebook.db")) as other:
        other.execute("BEGIN EXCLUSIVE")
        yield other


def again(root):
    course = open_course(root)
    return recording.record_again(course, course.homework("hw1"), root / "results")


def handed_in_anew(root, student):
    desk = example_class.SubmissionWriter(open_course(root).homework("hw1"), "mlp")
    handed_in(root, student, written(desk.solved("mse-sign"), "Something else."))


def test_a_locked_gradebook_stops_no_class_run_and_is_recorded_later(root, request):
    mark(root, "ada", "step-reason", 1)
    mark(root, "ben", "step-reason", 1)
    before = result(root, "ada").score
    handed_in_anew(root, "ada")
    other = request.getfixturevalue("locked")
    outcomes = grade(root)
    assert [outcome.recorded for outcome in outcomes] == [False, False]
    assert result(root, "ada").score < before and float(line(root, "ada")["score"]) < before
    other.rollback()
    assert again(root) == (2, "")
    assert (waits(root, "ada", "step-reason"), waits(root, "ben", "step-reason")) == (True, False)
    assert cell(root, "ada", "step-reason").earned == 1
    assert again(root) == (0, "")
    assert not list((root / "results").glob("*.unrecorded.json"))


def test_while_the_gradebook_is_locked_recording_says_so_and_keeps_the_list(root, locked):
    grade(root)
    done, why = again(root)
    assert done == 0 and "another program has it locked" in why
    assert list((root / "results").glob("hw1.unrecorded.json"))


def test_a_lock_that_ends_in_time_is_waited_for(root):
    said = []
    course = open_course(root)
    with closing(sqlite3.connect(root / "gradebook.db")) as other:
        other.execute("BEGIN EXCLUSIVE")

        def told(text):
            said.append(text)
            other.rollback()

        with recording.Recording(course, course.homework("hw1"), root / "results", tell=told) as book:
            assert book.record(result(root, "ada"))
    assert len(said) == 1 and "is in use by another program" in said[0]


def test_a_result_that_an_interrupted_run_did_not_record_is_recorded(root):
    handed_in_anew(root, "ada")
    grade(root)
    with Gradebook(f"sqlite:///{root / 'gradebook.db'}", "deep-learning") as book:
        book.remove_submission("hw1", "ada")
    assert again(root) == (1, "")
    with Gradebook(f"sqlite:///{root / 'gradebook.db'}", "deep-learning") as book:
        assert book.find_submission("hw1", "ada").score == result(root, "ada").score


def test_results_elsewhere_touch_nothing_of_the_course(root, tmp_path):
    def files():
        return {path: path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}

    handed_in_anew(root, "ada")
    before = files()
    course = open_course(root)
    todo = survey(root / "submitted", "hw1").todo
    class_run.run(course, course.homework("hw1"), todo, tmp_path / "elsewhere", 2, unconfined=True)
    assert files() == before
    assert record.read(tmp_path / "elsewhere/ada/hw1.json").score < result(root, "ada").score


def dated(root, due):
    """The course with a due date, and ada's submission with the time of the last day of November, at noon."""
    path = root / "hw1" / "homework.toml"
    path.write_text(f"due = {due}\n" + path.read_text(encoding="utf-8"), encoding="utf-8")
    path = root / "course.toml"
    path.write_text(path.read_text(encoding="utf-8") + "\n[late]\nper_day = 10\n", encoding="utf-8")
    (root / "submitted" / "ada" / "hw1" / "timestamp.txt").write_text("2026-11-30 12:00:00 UTC")


def penalty(root, student):
    with Gradebook(f"sqlite:///{root / 'gradebook.db'}", "deep-learning") as book:
        return book.find_submission("hw1", student).late_submission_penalty


def test_grading_takes_off_what_lateness_costs(root):
    before = result(root, "ada").score
    dated(root, "2026-11-29T12:00:00")
    grade(root)
    assert (result(root, "ada").score, result(root, "ada").late.penalty) == (before * 0.9, pytest.approx(before * 0.1))
    assert penalty(root, "ada") == pytest.approx(before * 0.1)
    assert (float(line(root, "ada")["score"]), line(root, "ada")["days_late"]) == (round(before * 0.9, 2), "1")
    assert "1 day late; 10 % of your points are taken off" in page(root, "ada")
    assert "It is not known when you handed in" in page(root, "ben")
    assert (result(root, "ben").late.penalty, penalty(root, "ben")) == (0, 0)


def test_regrading_takes_off_what_lateness_costs_now(root):
    before = result(root, "ada").score
    dated(root, "2026-11-29T12:00:00")
    course = open_course(root)
    homework, submitted = course.homework("hw1"), root / "submitted"
    found = class_regrade.run(course, homework, root / "results", submitted, 2, Choosing(), unconfined=True)
    assert all(one.changes == () for one in found)
    assert (result(root, "ada").score, penalty(root, "ada")) == (before * 0.9, pytest.approx(before * 0.1))
    assert line(root, "ada")["penalty"] == f"{before * 0.1:g}"
