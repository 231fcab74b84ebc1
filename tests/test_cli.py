"""The command line: what it writes, what it says, and its exit codes: 0 done, 1 findings, 2 usage."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from autograder.cli import app
from autograder.course.course import open_course
from autograder.proving import example_class
from tests.conftest import small_course

ROOT = Path(__file__).parents[1]


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


graded_once = pytest.mark.slow(seconds=20)


@pytest.fixture(scope="module")
def graded(tmp_path_factory):
    """A small class, graded by the command, and what the command said."""
    course = small_course(tmp_path_factory.mktemp("class") / "course")
    desk = example_class.SubmissionWriter(course.homework("hw1"), "mlp")
    made = {"ada": desk.solved(), "ben": desk.solved("mse-sign"), "eve": desk.untouched()}
    for student, book in made.items():
        folder = course.root / "submitted" / student / "hw1"
        folder.mkdir(parents=True)
        (folder / "mlp.ipynb").write_text(json.dumps(book))
    (course.root / "submitted" / "joe" / "hw1").mkdir(parents=True)
    (course.root / "submitted" / "joe" / "hw1" / "mlp.ipynb").write_text("{ not JSON")
    return course, run("grade", "hw1", "--course", course.root, "--workers", 2, "--json")


@graded_once
def test_a_class_is_graded_and_every_submission_has_a_line(graded):
    _, said = graded
    assert said.exit_code == 1  # of joe nothing could be graded
    lines = {line["student"]: line for line in map(json.loads, said.stdout.splitlines())}
    assert {student: line["score"] for student, line in lines.items()} == {"ada": 34, "ben": 32.5, "eve": 0, "joe": 0}
    assert lines["joe"]["found"] == ["unreadable mlp"]


@graded_once
def test_who_has_handed_in_nothing_that_can_be_graded_is_named_with_the_reason(graded):
    course, _ = graded
    said = run("grade", "hw1", "--course", course.root)
    assert said.exit_code == 1 and "joe: no notebook of hw1 could be graded: The file ‘mlp.ipynb’" in said.stdout
    exported = run("export", "hw1", "--to", "csv", "--partial", "--course", course.root)
    assert "joe: 0 points, because no notebook of hw1 could be graded" in exported.stdout


@graded_once
def test_a_mended_test_changes_scores_and_a_lower_one_is_a_finding(graded):
    course, _ = graded
    path = course.root / "hw1" / "hidden" / "test_mlp.py"
    source = path.read_text()
    begin = source.index('"""', source.index("def test_linear_forward("))
    end = source.index('"""', begin + 3) + 3
    path.write_text(f"{source[:end]}\n    assert False{source[end:]}")
    fell = run("regrade", "hw1", "--course", course.root)
    path.write_text(source)
    rose = run("regrade", "hw1", "--course", course.root)
    assert (fell.exit_code, rose.exit_code) == (1, 0)
    assert "ada" in fell.stdout and "test_linear_forward fails now" in fell.stdout
    assert "scores: 0 rose, 2 fell" in fell.stdout
    assert "scores: 2 rose, 0 fell" in rose.stdout and "test_linear_forward passes now" in rose.stdout


@graded_once
def test_a_score_is_explained(graded):
    course, _ = graded
    said = run("explain", "hw1", "ben", "--course", course.root)
    assert said.exit_code == 0 and "looks like mse-sign" in said.stdout
    assert run("explain", "hw1", "nobody", "--course", course.root).exit_code == 2


@graded_once
def test_clusters_of_a_class_that_known_mistakes_explain_are_none(graded):
    course, _ = graded
    said = run("clusters", "hw1", "--course", course.root)
    assert said.exit_code == 0 and "ben" not in said.stdout


@graded_once
def test_results_pages_table_and_autograded_notebooks_are_written(graded):
    course, _ = graded
    results = course.root / "results"
    for student in ("ada", "ben", "eve", "joe"):
        assert json.loads((results / student / "hw1.json").read_text())["student"] == student
        assert (results / student / "hw1.html").is_file()
    with (results / "hw1.csv").open(newline="") as file:
        first = next(csv.DictReader(file))
    assert (first["student"], first["score"]) == ("ada", "34")
    marked = json.loads((course.root / "autograded" / "ben" / "hw1" / "mlp.ipynb").read_text())
    assert any(
        cell["id"] == "mse-loss" and cell["outputs"][0]["data"]["text/plain"] == "1.5" for cell in marked["cells"]
    )


@graded_once
def test_the_gradebook_has_the_scores(graded):
    from nbgrader.api import Gradebook

    course, _ = graded
    with Gradebook(f"sqlite:///{course.root / 'gradebook.db'}", course.id) as book:
        scores = {student: book.find_submission("hw1", student).score for student in ("ada", "ben", "eve", "joe")}
    assert scores == {"ada": 34, "ben": 32.5, "eve": 0, "joe": 0}


@graded_once
def test_the_report_names_the_mistake_and_gives_its_hint(graded):
    course, _ = graded
    [book] = json.loads((course.root / "results" / "ben" / "hw1.json").read_text())["notebooks"]
    [cell] = [cell for cell in book["cells"] if cell["grade_id"] == "mse-loss"]
    assert [one["mistake"] for one in cell["diagnoses"]] == ["mse-sign"]
    assert "<strong>Hint.</strong>" in (course.root / "results" / "ben" / "hw1.html").read_text()


@graded_once
def test_grading_again_gives_the_same_scores(graded):
    course, _ = graded
    said = run("grade", "hw1", "--course", course.root, "--student", "ben", "--json")
    assert said.exit_code == 0 and json.loads(said.stdout)["score"] == 32.5
    assert len((course.root / "results" / "hw1.csv").read_text().splitlines()) == 5  # the others' lines stay


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("grade", "hw9"), "no homework 'hw9': choose one of"),
        (("grade", "hw1", "--submitted", "nowhere"), "nowhere: no such folder"),
        (("grade", "hw1", "--student", "nobody"), "no such"),
        (("build", "--course", "/"), "course.toml: this file is missing"),
        (("grade",), "Missing argument"),
    ],
)
def test_a_wrong_call_says_what_to_do_and_exits_with_2(tmp_path, monkeypatch, arguments, words):
    monkeypatch.chdir(ROOT)
    said = run(*arguments)
    assert said.exit_code == 2 and words in said.output


def test_a_stale_release_is_a_finding(tmp_path):
    course = small_course(tmp_path)
    release = course.homework("hw1").release("mlp")
    release.write_text(release.read_text().replace("A multilayer perceptron", "The multilayer perceptron"))
    for room in ("source", "release"):  # what the small course's homework.toml does not list
        for path in (tmp_path / room / "hw1").iterdir():
            if path.stem != "mlp":
                path.unlink()
    said = run("build", "--check", "--course", tmp_path)
    assert said.exit_code == 1 and '-    "# The multilayer' in said.output and "1 files are stale" in said.output


def test_the_course_is_found_from_within(monkeypatch):
    monkeypatch.chdir(ROOT / "hw1" / "hidden")
    from autograder.course.course import find_course

    assert find_course(Path.cwd()) == open_course(ROOT)


def test_help_needs_no_heavy_import():
    heavy = "[name for name in ('torch', 'nbgrader', 'pytest') if name in sys.modules]"
    code = f"import sys; from autograder import cli; print({heavy})"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
