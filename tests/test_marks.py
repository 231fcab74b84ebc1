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

from autograder.confine.confinement import Tier
from autograder.course.course import CourseError, open_course
from autograder.grading import class_regrade, class_run, marking
from autograder.grading.orders import Choosing
from autograder.grading.origin import Origin
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


def test_a_document_in_place_of_the_notebook_waits_for_a_person(root):
    folder = root / "submitted" / "cal" / "hw1"
    folder.mkdir(parents=True)
    (folder / "mlp by hand.pdf").write_bytes(b"%PDF-1.4")
    grade(root)
    waiting = cell(root, "cal", "step-reason")
    assert waiting.earned is None and "‘hw1/mlp by hand.pdf’" in waiting.note
    assert {one.earned for one in result(root, "cal").notebooks[0].cells if one != waiting} == {0.0}
    assert waits(root, "cal", "step-reason") and (root / "autograded" / "cal" / "hw1" / "mlp.ipynb").is_file()
    mark(root, "cal", "step-reason", 1.0)
    bring(root)
    assert result(root, "cal").score == 1.0
    course = open_course(root)
    submitted = root / "submitted"
    class_regrade.run(course, course.homework("hw1"), root / "results", submitted, 2, Choosing(), unconfined=True)
    assert result(root, "cal").score == 1.0


def test_a_mark_and_its_comment_reach_result_page_and_table(root):
    before = result(root, "ada").score
    mark(root, "ada", "step-reason", 0.5, "Say *why*, too: <b>which</b> term?")
    found = bring(root)
    assert [(change.student, change.before, change.after) for change in found.changes] == [
        ("ada", before, before + 0.5)
    ]
    assert (cell(root, "ada", "step-reason").earned, result(root, "ada").score) == (0.5, before + 0.5)
    assert (line(root, "ada")["mlp/step-reason"], float(line(root, "ada")["score"])) == ("0.5", before + 0.5)
    assert "Say <em>why</em>, too: &lt;b&gt;which&lt;/b&gt; term?" in page(root, "ada")
    assert "not marked yet" not in page(root, "ada")
    assert "1 more point is not marked yet" in page(root, "ben")


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
    assert "This answer may have changed since it was marked" in page(root, "ben")
    assert "This answer may have changed since it was marked" not in page(root, "ada")
    assert [(one.student, one.cell) for one in bring(root).again] == [("ben", "step-reason")]
    assert "look again step-reason" in line(root, "ben")["findings"]
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


# ---- nothing twice, and nothing lost


def test_who_has_a_result_is_not_graded_again(root):
    before = result(root, "ada")
    outcomes = grade(root)
    assert [one.stood for one in outcomes] == [True, True]
    assert result(root, "ada") == before
    assert "ada" in line(root, "ada")["student"]


@pytest.mark.parametrize(
    "change",
    {
        "another submission": lambda root: handed_in_anew(root, "ada"),
        "a module beside it": lambda root: (root / "submitted/ada/hw1/more.py").write_text("x = 1"),
        "a hidden test": lambda root: with_a_line(root / "hw1/hidden/test_mlp.py"),
        "the master": lambda root: with_a_line(root / "hw1/mistakes/mlp.toml"),
        "the release": lambda root: with_a_line(root / "release/hw1/mlp.ipynb"),
        "the secret": lambda root: (root / ".course-secret").write_text("another"),
        "a page that is gone": lambda root: (root / "results/ada/hw1.html").unlink(),
        "a transcript that is gone": lambda root: (root / "results/ada/hw1.transcript").unlink(),
        "a notebook for formgrader that is gone": lambda root: (root / "autograded/ada/hw1/mlp.ipynb").unlink(),
        "a result that is cut off": lambda root: cut(root / "results/ada/hw1.json"),
    }.items(),
    ids=lambda pair: pair[0],
)
def test_whoever_has_no_valid_result_is_graded(root, change):
    change[1](root)
    course = open_course(root)
    found = Origin(course, course.homework("hw1")).standing(
        "ada", root / "submitted/ada", root / "results", root / "autograded", "none"
    )
    assert found is None


def with_a_line(path):
    path.write_text(path.read_text(encoding="utf-8") + "\n", encoding="utf-8")


def cut(path):
    path.write_bytes(path.read_bytes()[:-100])


def test_a_result_that_was_less_confined_is_made_again(root):
    course = open_course(root)
    origin = Origin(course, course.homework("hw1"))
    places = ("ada", root / "submitted/ada", root / "results", root / "autograded")
    tier = Tier(result(root, "ada").tier)
    stronger = [one for one in Tier if one != tier and one.at_least(tier)]
    assert origin.standing(*places, tier.value) is not None
    assert [origin.standing(*places, one.value) for one in stronger] == [None] * len(stronger)


def test_a_run_that_was_stopped_goes_on_and_completes_gradebook_and_table(root):
    """As after a power cut: ben has no result, and the gradebook knows nothing of ada's."""
    for path in (root / "results/ben").iterdir():
        path.unlink()
    (root / "results/hw1.csv").unlink()
    with Gradebook(f"sqlite:///{root / 'gradebook.db'}", "deep-learning") as book:
        book.remove_submission("hw1", "ada")
        book.remove_submission("hw1", "ben")
    outcomes = grade(root)
    assert [(one.submission.student, one.stood) for one in outcomes] == [("ada", True), ("ben", False)]
    with Gradebook(f"sqlite:///{root / 'gradebook.db'}", "deep-learning") as book:
        scores = {one.student.id: one.score for one in book.assignment_submissions("hw1")}
    assert scores == {name: result(root, name).score for name in ("ada", "ben")}
    assert float(line(root, "ben")["score"]) == result(root, "ben").score


def test_a_lost_gradebook_gets_its_marks_back_from_the_results(root):
    mark(root, "ada", "step-reason", 0.5, "Which term?", extra=0.25)
    mark(root, "ada", "relu", 1)
    bring(root)
    before = result(root, "ada")
    (root / "gradebook.db").unlink()
    outcomes = grade(root)
    for now, then in zip(result(root, "ada").notebooks[0].cells, before.notebooks[0].cells, strict=True):
        assert now == then
    assert result(root, "ada") == before
    assert outcomes[0].result.score == before.score
    assert not waits(root, "ada", "step-reason") and not waits(root, "ada", "relu")
    assert bring(root).changes == ()


def test_a_lost_gradebook_gets_the_marks_of_who_is_graded_again(root):
    mark(root, "ada", "step-reason", 0.5, "Which term?")
    bring(root)
    (root / "gradebook.db").unlink()
    desk = example_class.SubmissionWriter(open_course(root).homework("hw1"), "mlp")
    handed_in(root, "ada", written(desk.solved(), "Something else."))
    grade(root)
    assert cell(root, "ada", "step-reason").mark.points == 0.5
    assert waits(root, "ada", "step-reason")


def test_marks_without_a_submission_in_the_gradebook_stay_in_the_result(root):
    mark(root, "ada", "step-reason", 0.5)
    bring(root)
    before = result(root, "ada")
    with Gradebook(f"sqlite:///{root / 'gradebook.db'}", "deep-learning") as book:
        book.remove_submission("hw1", "ada")
    bring(root)
    assert result(root, "ada") == before


def test_a_mark_given_while_the_class_is_graded_is_for_the_answer_as_it_was(root):
    course = open_course(root)
    homework = course.homework("hw1")
    with recording.Recording(course, homework, root / "results") as book:
        mark(root, "ada", "step-reason", 1)
        assert book.record(result(root, "ada"))
    assert not waits(root, "ada", "step-reason")


def test_a_result_that_cannot_be_read_is_named_everywhere(root):
    cut(root / "results/ada/hw1.json")
    found = bring(root)
    assert list(found.damaged) == ["ada"] and found.results == 1
    assert "not a results file" in line(root, "ada")["findings"]


def test_a_members_mark_counts_for_the_group_where_the_answer_is_the_same(root):
    (root / "roster.csv").write_text("id,name,group\nada,Ada,Owls\nben,Ben,Owls\ncleo,Cleo,Owls\n")
    shutil.copytree(root / "submitted" / "ada", root / "submitted" / "cleo")
    grade(root)
    mark(root, "ada", "step-reason", 0.5, "Which term?", extra=0.25)
    mark(root, "ada", "relu", 1)
    bring(root)
    assert (cell(root, "ben", "step-reason").mark.points, cell(root, "ben", "step-reason").mark.extra) == (0.5, 0)
    assert "Which term?" in page(root, "cleo")
    assert not waits(root, "cleo", "step-reason")
    assert cell(root, "ben", "relu").mark is None  # other code in the notebook
    assert cell(root, "cleo", "relu").mark.points == 1
    mark(root, "ben", "step-reason", 1)
    bring(root)
    assert [cell(root, name, "step-reason").mark.points for name in ("ada", "ben", "cleo")] == [0.5, 1, 0.5]


def test_a_damaged_gradebook_is_told_in_a_sentence(root):
    (root / "gradebook.db").write_bytes(b"no database at all, but some words " * 200)
    before = result(root, "ada")
    with pytest.raises(CourseError, match="this gradebook cannot be used"):
        bring(root)
    told = []
    course = open_course(root)
    with recording.Recording(course, course.homework("hw1"), root / "results", tell=told.append) as book:
        assert not book.record(before)
        book.bring()
    assert any("scores could not be recorded" in line and "not a database" in line for line in told)


def test_a_result_that_stands_follows_the_due_date_elsewhere_too(root, tmp_path):
    course = open_course(root)
    todo = survey(root / "submitted", "hw1").todo
    out = tmp_path / "elsewhere"
    class_run.run(course, course.homework("hw1"), todo, out, 2, unconfined=True)
    before = record.read(out / "ada" / "hw1.json").score
    dated(root, "2026-11-29T12:00:00")
    course = open_course(root)
    outcomes = class_run.run(course, course.homework("hw1"), todo, out, 2, unconfined=True)
    assert all(one.stood for one in outcomes)
    assert record.read(out / "ada" / "hw1.json").score == outcomes[0].result.score == pytest.approx(before * 0.9)
