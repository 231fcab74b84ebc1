"""Regrading on transcripts, explaining a score, and grouping what nothing explains: a class that was graded once."""

import ast
import json
import re
import shutil
import types
from dataclasses import replace
from pathlib import Path

import msgspec
import nbformat
import pytest
from typer.testing import CliRunner

from autograder.cli import after, app
from autograder.course import build
from autograder.course.course import CourseError, open_course
from autograder.examination.suite import Suite, collected
from autograder.grading import class_regrade, debug_notebook, explanation
from autograder.grading.context import GradingContext
from autograder.grading.orders import Change, Choosing, Scores
from autograder.grading.regrade import Place, regrade
from autograder.grading.server import GradingServer
from autograder.insight import clusters
from autograder.proving import example_class
from autograder.results import marks, record, transcript
from autograder.results.result import Mark
from autograder.sandbox.wire.messages import Call, Returned
from autograder.sandbox.wire.values import Dict, List, Ref
from tests.conftest import small_course

pytestmark = pytest.mark.slow(seconds=30)

UNKNOWN = "return 3 * dy @ self.weight"
"""a slip of the input's gradient that no known mistake describes"""


def cell_of(book, grade_id):
    return next(cell for cell in book["cells"] if cell["metadata"].get("nbgrader", {}).get("grade_id") == grade_id)


@pytest.fixture(scope="module")
def graded(tmp_path_factory):
    """A course whose class was graded once: the course's folder, with submitted/ and results/ in it."""
    root = tmp_path_factory.mktemp("class") / "course"
    course = small_course(root)
    homework = course.homework("hw1")
    desk = example_class.SubmissionWriter(homework, "mlp")
    books = {"ada": desk.solved(), "ben": desk.solved("mse-sign"), "eve": desk.untouched()}
    for number in (1, 2):
        book = desk.with_cell(f"# {number}")
        linear = cell_of(book, "linear")
        linear["source"] = linear["source"].replace("return dy @ self.weight", UNKNOWN)
        books[f"odd-{number}"] = book
    for student, book in books.items():
        folder = root / "submitted" / student / "hw1"
        folder.mkdir(parents=True)
        (folder / "mlp.ipynb").write_text(json.dumps(book))
    with GradingServer(homework, "none") as server:
        for student in books:
            server.grade(student, root / "submitted" / student, root / "results", root / "autograded" / student / "hw1")
    return root


@pytest.fixture
def root(graded, tmp_path):
    """A copy of it, to be changed."""
    return Path(shutil.copytree(graded, tmp_path / "course"))


class Room:
    """Regrades in this process: nothing can be executed here."""

    def __init__(self, root):
        self.root, self.course = root, open_course(root)
        self.homework = self.course.homework("hw1")

    def regrade(self, student, **choosing):
        folder = self.root / "submitted" / student
        marked = self.root / "autograded" / student / "hw1"
        place = Place(student, self.root / "results", folder if folder.is_dir() else None, marked)
        self.homework = self.course.homework("hw1")
        with GradingContext(self.course, self.homework, types.SimpleNamespace(tier="none")) as context:
            return regrade(context, place, Choosing(**choosing), lambda notebook, test: None)

    def result(self, student):
        return record.read(self.root / "results" / student / "hw1.json")

    def edit(self, path, old, new):
        file = self.root / path
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new, 1))


@pytest.fixture
def room(root):
    return Room(root)


def contents(folder):
    files = (path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {path: path.read_bytes() for path in files}


MISTAKE = f"""
[[mistake]]
id = "three-times"
title = "the gradient of the input is three times too large"
cell = "linear"
replace = "return dy @ self.weight"
with = "{UNKNOWN}"
fails = ["linear-backward"]
hint = "Your dx is three times as large as the slope that you measure."
"""
TEST = '''
@earns("linear-forward")
def test_that_is_new(student):
    """The layer has a weight."""
    assert student.Linear(2, 3).weight.shape == (3, 2)
'''


def failing(room, test="test_two_sided_difference"):
    """Let a test fail for everybody."""
    text = (room.root / "hw1/hidden/test_mlp.py").read_text()
    begin = text.index('"""', text.index(f"def {test}"))
    end = text.index('"""', begin + 3) + 3
    (room.root / "hw1/hidden/test_mlp.py").write_text(f"{text[:end]}\n    assert False\n{text[end:]}")


# ---- regrade


def test_nothing_is_written_where_nothing_has_changed(room):
    before = contents(room.root)
    for student in ("ada", "ben", "eve"):
        found = room.regrade(student)
        assert (found.changes, found.result, found.replayed, found.stale) == ((), None, 0, "")
    assert contents(room.root) == before


def test_a_changed_test_changes_the_cell_and_the_reason_is_told(room):
    failing(room)
    found = room.regrade("ada")
    why = ("test_two_sided_difference fails now",)
    assert found.changes == (Change("ada", "mlp", "numerical-gradient", 3.0, pytest.approx(2.1429), why),)
    assert 0 < found.replayed < 20 and found.executed == 0


def test_result_page_notebook_and_transcript_follow(room):
    failing(room)
    before = room.result("ada").score
    room.regrade("ada")
    after = room.result("ada")
    assert after.score == pytest.approx(before - 3 + 2.1429, abs=1e-3)
    assert "test_two_sided_difference" not in (room.root / "results/ada/hw1.html").read_text()
    assert "2.14" in (room.root / "results/ada/hw1.html").read_text()
    assert "2.14" in (room.root / "autograded/ada/hw1/mlp.ipynb").read_text()
    assert room.regrade("ada").replayed == 0


def test_a_test_that_is_mended_gives_back_exactly_what_was(room):
    before = room.result("ada")
    source = (room.root / "hw1/hidden/test_mlp.py").read_text()
    failing(room)
    room.regrade("ada")
    (room.root / "hw1/hidden/test_mlp.py").write_text(source)
    room.regrade("ada")
    after = room.result("ada")
    assert [cell.earned for book in after.notebooks for cell in book.cells] == [
        cell.earned for book in before.notebooks for cell in book.cells
    ]


def test_a_dry_run_tells_the_same_and_writes_nothing(room):
    failing(room)
    before = contents(room.root)
    assert room.regrade("ada", dry=True).changes
    assert contents(room.root) == before
    assert room.regrade("ada").changes


def test_a_new_hint_reaches_those_whose_answers_it_explains(room):
    with (room.root / "hw1/mistakes/mlp.toml").open("a") as file:
        file.write(MISTAKE)
    found = room.regrade("odd-1")
    assert [change.why for change in found.changes] == [("hint: three-times, not none",)] and found.executed == 0
    assert "Your dx is three times" in (room.root / "results/odd-1/hw1.html").read_text()
    assert room.regrade("ada").changes == ()


def test_other_weights_change_the_points(room):
    old = '@earns("linear-forward")\ndef test_linear_forward('
    new = '@earns("linear-forward", weight=9)\ndef test_linear_forward('
    if old not in (room.root / "hw1/hidden/test_mlp.py").read_text():
        old, new = old.replace('")', '", weight=2)'), new
    room.edit("hw1/hidden/test_mlp.py", old, new)
    assert room.regrade("ada").changes == ()  # all of nothing lost
    tests = {test.name: test for cell in room.result("ada").notebooks[0].cells for test in cell.tests}
    assert tests["test_linear_forward"].weight == 9


def test_a_removed_test_counts_no_more(room):
    failing(room)
    room.regrade("ada")
    text = (room.root / "hw1/hidden/test_mlp.py").read_text()
    begin = text.index("def test_two_sided_difference")
    begin, end = text.rindex("\n@earns", 0, begin) + 1, text.index("\n@earns", begin) + 1
    (room.root / "hw1/hidden/test_mlp.py").write_text(text[:begin] + text[end:])
    found = room.regrade("ada")
    assert [change.after for change in found.changes] == [3.0]
    assert "test_two_sided_difference is gone" in found.changes[0].why


def test_one_test_alone_is_regraded_when_it_is_chosen(room):
    failing(room, "test_two_sided_difference")
    failing(room, "test_linear_forward")
    assert [one.cell for one in room.regrade("ada", test="test_linear_forward").changes] == ["linear-forward"]
    assert [one.cell for one in room.regrade("ada").changes] == ["numerical-gradient"]


@pytest.mark.parametrize(
    "damage, why",
    [
        (lambda room: room.path.unlink(), "no transcript"),
        (lambda room: room.path.write_bytes(room.path.read_bytes()[:200]), "cut off|damaged"),
        (
            lambda room: room.path.write_bytes(room.path.read_bytes().replace(b"transcript 1", b"transcript 7")),
            "schema",
        ),
        (lambda room: shutil.copy(room.root / "results/ben/hw1.transcript", room.path), "another submission"),
        (lambda room: (room.root / ".course-secret").write_text("another"), "other draws"),
        (lambda room: (room.root / "submitted/ada/hw1/helpers.py").write_text("x = 1"), "other files"),
        (lambda room: room.edit("hw1/homework.toml", "memory_mb = 700", "memory_mb = 900"), "limits"),
        (lambda room: room.edit("results/ada/hw1.json", '"transcript": "', '"transcript": "0'), "does not belong"),
        (lambda room: (room.root / "results/ada/hw1.json").write_text("{"), "cannot be read"),
    ],
    ids=["missing", "cut", "schema", "of-another", "draws", "handed-in-again", "limits", "result", "no-result"],
)
def test_what_cannot_stand_for_the_submission_is_said_to_be_so_and_nothing_is_written(room, damage, why):
    room.path = room.root / "results/ada/hw1.transcript"
    failing(room)
    damage(room)
    before = contents(room.root)
    found = room.regrade("ada")
    assert found.changes == () and found.result is None
    assert re.search(why, found.stale)
    assert contents(room.root) == before


def test_without_the_submission_the_transcript_is_enough(room):
    failing(room)
    shutil.rmtree(room.root / "submitted")
    assert room.regrade("ada").changes


def test_a_score_is_as_before_where_a_person_marked_the_cell(room):
    marked = marks.applied(room.result("ada"), {("mlp", "linear-forward"): Mark(points=2.0)})
    record.write(marked, room.root / "results")
    failing(room, "test_linear_forward")
    found = room.regrade("ada", dry=True)
    assert [change.cell for change in found.changes] == ["linear-forward"]
    assert found.scores == Scores(marked.score, marked.score)


def test_the_summary_counts_students_by_their_scores(room):
    """Two points move from one cell to another: all changes of cells, but not all of scores."""
    room.edit(
        "hw1/mlp.py", '"linear-forward", "grade": true, "points": 2', '"linear-forward", "grade": true, "points": 4'
    )
    room.edit(
        "hw1/mlp.py", '"linear-backward", "grade": true, "points": 5', '"linear-backward", "grade": true, "points": 3'
    )
    room.edit("hw1/mlp.py", "| 2 | `Linear` | 2 + 5 |", "| 2 | `Linear` | 4 + 3 |")
    room.edit("hw1/mlp.py", "2 points forward, 5 points backward", "4 points forward, 3 points backward")
    build.build(room.course, ["hw1"])
    before = {student: room.result(student).score for student in ("ada", "ben", "eve", "odd-1", "odd-2")}
    words = ("--course", str(room.root), "--workers", "1", "--allow-unconfined")
    told = CliRunner().invoke(app, ["regrade", "hw1", "--dry-run", *words])
    assert told.exit_code == 0, told.output  # cells fell, but nobody's score
    counts = "scores: 2 rose, 0 fell, 3 stayed the same though cells changed, 0 without any change; nothing was written"
    assert counts in told.stdout
    CliRunner().invoke(app, ["regrade", "hw1", *words])
    after = {student: room.result(student).score for student in before}
    assert [student for student in before if after[student] > before[student]] == ["odd-1", "odd-2"]
    assert [student for student in before if after[student] == before[student]] == ["ada", "ben", "eve"]


def test_a_score_that_changes_without_a_cell_is_told_too():
    told = after._told([class_regrade.Regrading("ada", Scores(10.0, 8.5))], dry=False)
    assert re.search(r"ada +the score +10 +8\.5 +the due date", told) and "scores: 0 rose, 1 fell" in told


# ---- the class: what a test asks for the first time is executed


@pytest.fixture(scope="module")
def changed_class(graded, tmp_path_factory):
    """The class regraded by the command's own function, after one test asks something new."""
    root = Path(shutil.copytree(graded, tmp_path_factory.mktemp("regraded") / "course"))
    path = root / "hw1/hidden/test_mlp.py"
    path.write_text(path.read_text() + TEST)
    (root / "results/ben/hw1.transcript").unlink()
    room = Room(root)
    found = class_regrade.run(room.course, room.homework, root / "results", root / "submitted", 2, Choosing(), True)
    return room, {one.student: one for one in found}


def test_a_new_test_is_executed_and_only_its_cell(changed_class):
    room, found = changed_class
    assert found["ada"].executed > 0 and found["ada"].again == ""
    assert "test_that_is_new is new" in found["ada"].changes[0].why
    names = [test.name for cell in room.result("ada").notebooks[0].cells for test in cell.tests]
    assert "test_that_is_new" in names


def test_who_has_no_transcript_is_graded_again(changed_class):
    _, found = changed_class
    assert "no transcript" in found["ben"].again and found["ben"].result is not None


def test_the_tables_of_what_has_changed_are_written(changed_class):
    room, _ = changed_class
    lines = (room.root / "results/hw1.regraded.csv").read_text().splitlines()
    assert lines[0] == "student,notebook,cell,before,after,why"
    assert any(line.startswith("ada,mlp,linear-forward") for line in lines)
    assert json.loads((room.root / "results/hw1.regraded.json").read_text())[0]["student"] == "ada"


def test_executing_wrote_a_transcript_that_is_enough_the_next_time(changed_class):
    room, _ = changed_class
    assert (room.regrade("ada").replayed, room.regrade("ada").stale) == (0, "")


# ---- explain


def explained(room, student, cell="", everything=False):
    kept = explanation.opened(room.course, room.homework, room.root / "results", student)
    suite = Suite(room.course, room.homework, "mlp")
    with collected(suite):
        return kept, tuple(explanation.explained(kept, cell, everything, {"mlp": suite})), suite


def test_an_explanation_shows_the_first_difference_and_what_is_right(room):
    shutil.rmtree(room.root / "submitted")  # it works from the results alone
    _, cells, _ = explained(room, "odd-1")
    told = explanation.text("odd-1", cells)
    assert "linear.backward(" in told and "3 times" in told and "the reference: float32" in told


def test_an_explanation_names_the_known_mistake(room):
    _, cells, _ = explained(room, "ben")
    told = explanation.text("ben", cells)
    assert "looks like mse-sign" in told and "mse-sign answers the same as the student" in told


def test_of_a_right_exercise_all_tests_can_be_shown(room):
    _, cells, _ = explained(room, "ada", "mlp/linear-forward", everything=True)
    assert all(test.result.passed and test.steps for test in cells[0].tests)
    assert all(step.how == explanation.SAME for test in cells[0].tests for step in test.steps)


def test_who_passed_everything_has_nothing_to_be_explained(room):
    _, cells, _ = explained(room, "ada")
    assert explanation.text("ada", cells).startswith("ada: no points were lost")


@pytest.mark.parametrize("student, cell, why", [("nobody", "", "no such result"), ("ada", "nothing", "no grade cell")])
def test_what_is_not_there_is_named(room, student, cell, why):
    with pytest.raises(Exception, match=why):
        explained(room, student, cell)


def test_who_handed_in_nothing_is_said_to_have_no_result(room):
    (room.root / "roster.csv").write_text("id,name\nada,Ada\ndora,Dora\nfred,Fred\ngil,Gil\n")
    (room.root / "submitted/fred/hw2").mkdir(parents=True)
    shutil.copytree(room.root / "submitted/ada/hw1", room.root / "submitted/gil/hw1")
    for student, why in {
        "dora": "no such result: nothing was handed in for hw1",
        "fred": "no such result: nothing was handed in for hw1; there is only hw2",
        "gil": "handed in, but not graded yet: run `autograder grade hw1 --student gil`",
        "nobody": "no such result: choose one of ada",
    }.items():
        with pytest.raises(CourseError, match=f"results/{student}/hw1.json: .*{re.escape(why)}"):
            explained(room, student)
    shutil.rmtree(room.root / "submitted")
    with pytest.raises(CourseError, match="nothing was handed in for hw1"):
        explained(room, "dora")


def test_a_cell_that_a_person_marks_tells_the_mark_or_waits_for_it(room):
    _, cells, _ = explained(room, "ada", "step-reason")
    assert "it waits for a mark: a person marks it in formgrader" in explanation.text("ada", cells)
    given = {
        ("mlp", "step-reason"): Mark(points=0.5, comment="Say why.\n\nSee *rounding*."),
        ("mlp", "linear-forward"): Mark(points=1.0, extra=0.25, outdated=True),
    }
    record.write(marks.applied(room.result("ada"), given), room.root / "results")
    _, cells, _ = explained(room, "ada")
    told = explanation.text("ada", cells)
    assert "a person marked it: 0.5 of 1\n  the comment:\n    Say why.\n\n    See *rounding*." in told
    assert "a person marked it: 1 of 2 (the tests alone gave 2)\n  extra credit: 0.25\n  the answer may have" in told


def test_a_file_beside_the_notebook_is_named_without_its_markup(room):
    kept, cells, suite = explained(room, "odd-1")
    work = kept.transcript.body.work
    work["mlp"] = msgspec.structs.replace(work["mlp"], files={"<img src=x onerror=alert(1)>`[a](b)*.py": b""})
    with collected(suite):
        book = nbformat.reads(debug_notebook.written(kept, cells, {"mlp": suite}), as_version=4)
    [named] = [cell.source for cell in book.cells if cell.source.startswith("Beside it lay")]
    assert not set("<>`*[]()") & set(named) and "onerror" in named and ".py" in named


def test_the_debugging_notebook_repeats_the_wrong_answer(room):
    kept, cells, suite = explained(room, "odd-1")
    with collected(suite):
        book = nbformat.reads(debug_notebook.written(kept, cells, {"mlp": suite}), as_version=4)
    nbformat.validate(book)
    assert "unconfined" in book.cells[0].source
    names = {"__name__": "notebook"}
    wrong = 0
    for cell in book.cells:
        if cell.cell_type == "code":
            names.pop("right", None)
            try:
                exec(cell.source, names)
            except (AssertionError, NotImplementedError):
                continue  # the visible checks fail for this student, too
            if "right" in names and hasattr(names["right"], "shape"):
                wrong += not names["answer"].allclose(names["right"])
    assert wrong


HIDDEN = "x = 0; open('/tmp/no-such-canary', 'w')\nright = 'forged'\ny"


@pytest.mark.parametrize("name", [HIDDEN, "class", "torch", "right", "_run", "print"])
def test_no_name_that_a_student_chose_becomes_code_of_the_debugging_notebook(name):
    asked = Call(b"", 1, [], {})
    answers = (Ref(2, name), List([Ref(3, name), Ref(4, "Fine")]), Dict([(name, Ref(5, "Fine")), (7, Ref(6, "Fine"))]))
    code = debug_notebook._Code()
    for answer in answers:
        lines = code.lines(asked, Returned(b"", answer))
        stored = {
            node.id for node in ast.walk(ast.parse("\n".join(lines)))
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
        }  # fmt: skip
        letters = "".join(filter(str.isalnum, name))  # of a sentence, one harmless name is left
        assert stored <= {"answer", "thing", "thing2", "fine", "object_5", "object_6", letters, f"{letters}2"}
        assert not any(line.startswith(("x = 0", "right")) for line in lines)
        assert all(line.isprintable() for line in lines)


def test_an_explanation_has_no_lines_of_the_students(room):
    lie = "Tensor>\n        the reference: FORGED"
    step = explanation.Step(f"f({lie})", ((lie, lie),), lie, lie, lie, "", False, ((lie, lie),))
    _, cells, _ = explained(room, "odd-1")
    test = explanation.TestExplained(cells[0].tests[0].result, (step,), lie, lie)
    told = explanation.text("odd-1", [explanation.CellExplained("mlp", cells[0].cell, (test,), (lie,))])
    assert "FORGED" in told and not any(line.lstrip().startswith("the reference: FORGED") for line in told.splitlines())


def test_a_cluster_has_no_lines_of_the_students(room):
    found = clusters.of_class(room.course, room.homework, room.root / "results")
    lie = frozenset({"f(…) raises X\n1. FORGED", "g\u2028FORGED"})
    sly = clusters.Cluster("mlp", found[0].cell, (replace(found[0].members[0], features=lie),))
    for told in (clusters.text([sly], room.homework, room.root / "results"),
                 clusters.stub(sly, room.homework, room.root / "results")):  # fmt: skip
        assert "FORGED" in told and not re.search(r"(?m)^(1\. )?FORGED", "\n".join(told.splitlines()))


# ---- clusters


def test_who_handed_in_nothing_reads_why(room):
    shutil.rmtree(room.root / "submitted/eve/hw1")
    path = room.root / "results/eve/hw1.json"
    text = path.read_text().replace(
        '"incidents": []', '"incidents": [{"kind": "exit", "cell": "", "note": "It ended."}]'
    )
    path.write_text(text)
    _, cells, _ = explained(room, "eve")
    assert explanation.text("eve", cells).startswith("It ended.")


def test_blank_exercises_stand_in_no_cluster(room):
    found = clusters.of_class(room.course, room.homework, room.root / "results")
    assert "eve" not in {one.student for cluster in found for one in cluster.members}


def test_those_who_fail_alike_stand_together(room):
    found = clusters.of_class(room.course, room.homework, room.root / "results")
    members = [{one.student for one in cluster.members} for cluster in found if cluster.cell == "linear-backward"]
    assert members == [{"odd-1", "odd-2"}]


def test_what_a_known_mistake_explains_is_in_no_cluster(room):
    found = clusters.of_class(room.course, room.homework, room.root / "results")
    assert "ben" not in {one.student for cluster in found for one in cluster.members}


def test_a_stub_names_the_cell_and_shows_the_code(room):
    found = clusters.of_class(room.course, room.homework, room.root / "results")
    stub = clusters.stub(found[0], room.homework, room.root / "results")
    assert f'fails = ["{found[0].cell}"]' in stub and 'cell = "linear"' in stub and UNKNOWN in stub


def test_a_transcript_that_cannot_be_used_is_named(room):
    transcript.path_of(room.root / "results", "odd-1", "hw1").write_bytes(b"nonsense")
    lost = {}
    found = clusters.of_class(room.course, room.homework, room.root / "results", lost=lost.__setitem__)
    assert "not a transcript" in lost["odd-1"]
    assert [one.student for one in found[0].members] == ["odd-2"]
