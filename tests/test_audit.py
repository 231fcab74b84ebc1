"""Every homework of the course is built fresh and proven by its audit; and the audit finds what is off."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from autograder.cli import app
from autograder.course import build
from autograder.course.course import open_course
from autograder.course.mistakes import mistakes
from autograder.course.parsing import read_master
from autograder.forbidden import static
from autograder.proving import audit, demo

COURSE = open_course(Path(__file__).parents[1])
BANKS = {  # mistakes that each notebook's bank holds at least
    "hw1": {"theory": 150, "mlp": 140, "sgd": 70},
    "hw2": {"theory": 200, "cnn": 60, "rnn": 40, "seq_classification": 15},
    "hw3": {"theory": 200, "ocr": 100},
    "hw4": {"theory": 180, "transformer": 100},
}
AUDITS = {
    "hw4/transformer": 250,
    "hw1/sgd": 105,
    "hw1/theory": 75,
    "hw4/theory": 70,
    "hw2/rnn": 67,
    "hw3/theory": 65,
    "hw3/ocr": 65,
    "hw2/seq_classification": 62,
    "hw2/cnn": 55,
    "hw1/mlp": 45,
    "hw2/theory": 42,
}
"""what the audits take, in seconds, about; the long ones begin first"""
TRAINED = 1
"""alternatives of each notebook, and mistakes for each grade cell, that are trained here; `make audit` trains all"""
FOLLOWED = 2
"""mistakes of each solution cell that are tested beyond the cells that they name; `make audit` does so with all"""
REPLAYED = 1
"""failed tests of each mistake that are replayed for its diagnosis; `make audit` replays all"""
POINTS = {"hw1": [50, 35, 15], "hw2": [50, 25, 20, 5], "hw3": [50, 50], "hw4": [50, 50]}

every_homework = pytest.mark.parametrize("name", COURSE.homeworks)

TESTS = '''\
from autograder import close, earns


@earns("square-check")
def test_square(student, draw):
    """It squares."""
    x = draw.normal(3)
    close(student.square(x), x**2, "square(x)")
'''
MASTER = """\
# %% [markdown]
r'''
# Squares
'''

# %% nbgrader={"grade_id": "square", "solution": true}
def square(x):
    ### BEGIN SOLUTION
    return x * x
    ### END SOLUTION

# %% nbgrader={"grade_id": "square-check", "grade": true, "points": 2, "locked": true}
assert square(2) == 4
"""
MISTAKE = """
[[mistake]]
id = "{id}"
title = "a slip"
cell = "square"
replace = "{right}"
with = "{code}"
fails = ["square-check"]
hint = "{hint}"
"""


@pytest.fixture
def small(tmp_path):
    """A course of one notebook; called with mistakes and alternatives, it gives the audit's rows by name."""

    def rows(mistakes=(), alternative="", tests=TESTS, solution=MASTER, followed=None):
        (tmp_path / "course.toml").write_text('id="c"\ntitle="C"\nhomeworks=["hw1"]\nrepository="o/r"\n')
        for room in ("hidden", "mistakes", "alternatives"):
            (tmp_path / "hw1" / room).mkdir(parents=True, exist_ok=True)
        listed = 'title="H"\n[[notebooks]]\nname="squares"\ntitle="S"\nminutes=1\nforbidden=["nn"]\n'
        (tmp_path / "hw1" / "homework.toml").write_text(listed)
        (tmp_path / "hw1" / "squares.py").write_text(solution)
        (tmp_path / "hw1" / "hidden" / "test_squares.py").write_text(tests)
        right = solution.partition("return ")[2].partition("\n")[0]
        bank = [MISTAKE.format(id=name, right=right, code=code, hint=hint) for name, code, hint in mistakes]
        (tmp_path / "hw1" / "mistakes" / "squares.toml").write_text("".join(bank))
        if alternative:
            marker = '# %% nbgrader={"grade_id": "square", "solution": true}\n'
            (tmp_path / "hw1" / "alternatives" / "squares-other.py").write_text(marker + alternative)
        course = open_course(tmp_path)
        build.build(course)
        return {
            row.name if row.kind in ("mistake", "alternative") else row.kind: row
            for row in audit.audit(course, course.homework("hw1"), followed=followed)
        }

    return rows


def test_the_committed_notebooks_are_fresh():
    assert [difference.text for difference in build.stale(COURSE)] == []


@pytest.mark.parametrize(
    ("name", "notebook"),
    [
        pytest.param(name, spec.name, marks=pytest.mark.slow(seconds=AUDITS[f"{name}/{spec.name}"]))
        for name in COURSE.homeworks
        for spec in COURSE.homework(name).notebooks
    ],
)
def test_the_audit_passes(name, notebook, tmp_path):
    demo.copy_course(COURSE, tmp_path)
    (tmp_path / ".course-secret").write_text("always the same numbers are drawn")
    course = open_course(tmp_path)
    some = {"trained": TRAINED, "followed": FOLLOWED, "replayed": REPLAYED}
    rows = audit.audit(course, course.homework(name), [notebook], workers=1, **some)
    assert [f"{row.notebook}/{row.name}: {text}" for row in rows for text in row.wrong] == []


@every_homework
def test_the_banks_are_as_large_as_promised(name):
    homework = COURSE.homework(name)
    found = {spec.name: len(mistakes(homework, spec.name)) for spec in homework.notebooks}
    assert found.keys() == BANKS[name].keys()
    assert [notebook for notebook, count in BANKS[name].items() if found[notebook] < count] == []
    few = {"theory": 4}
    alternatives = {spec.name: len(list(homework.alternatives(spec.name))) for spec in homework.notebooks}
    assert [notebook for notebook, count in alternatives.items() if count < few.get(notebook, 6)] == []


@every_homework
def test_most_theory_points_are_checked_by_machine(name):
    book = read_master(COURSE.homework(name), "theory")
    machine = sum(cell.points for cell in book.grade_cells() if cell.autograded)
    assert machine >= 0.6 * book.points


@every_homework
def test_a_homework_has_a_hundred_points(name):
    homework = COURSE.homework(name)
    assert [read_master(homework, spec.name).points for spec in homework.notebooks] == POINTS[name]


@every_homework
def test_no_master_reaches_a_tool_that_its_notebook_forbids(name):
    homework = COURSE.homework(name)
    for spec in homework.notebooks:
        book = read_master(homework, spec.name)
        own, given = ([(c.id, c.source) for c in book.code() if c.locked is locked] for locked in (False, True))
        assert static.trespasses(book, own, given, spec.forbidden) == {}


def test_a_sound_bank_is_passed_and_its_mistake_diagnosed(small):
    rows = small([("doubled", "2 * x", "Try x = 3.")], "def square(x):\n    return x**2\n")
    assert [row.wrong for row in rows.values()] == [()] * 4
    assert rows["doubled"].diagnosed == ("doubled",) and rows["squares-other"].lost == ()


def test_a_mistake_that_no_test_catches_is_found(small):
    assert "should lose points in square-check" in small([("same", "x**2", "?")])["same"].wrong[0]


def test_two_mistakes_that_answer_alike_are_both_named(small):
    rows = small([("doubled", "2 * x", "Try x = 3."), ("added", "x + x", "Try x = 3.")])
    assert rows["doubled"].diagnosed == rows["added"].diagnosed == ("doubled", "added")
    assert rows["doubled"].wrong == ()


def test_a_hint_that_shows_the_answer_is_found(small):
    long = MASTER.replace("return x * x", "return pow(x, 2)")
    rows = small([("doubled", "2 * x", "Better write pow( x, 2 ).")], solution=long)
    assert rows["doubled"].wrong == ("its hint shows the answer: pow(x, 2)",)


def test_a_training_run_is_left_to_the_mistakes_that_name_its_cell(small):
    trained = (
        TESTS
        + """
@earns("trained-check", trains=True)
def test_training(student, draw):
    assert student.square(2) == 4, "it has learned nothing"
"""
    )
    cell = '\n# %% nbgrader={"grade_id": "trained-check", "grade": true, "points": 1, "locked": true}\nsquare(3)\n'
    rows = small([("doubled-and-more", "2 * x + 1", "Try x = 3.")], tests=trained, solution=MASTER + cell)
    assert rows["untouched"].lost == ("square-check", "trained-check")
    assert rows["doubled-and-more"].lost == ("square-check",) and rows["doubled-and-more"].wrong == ()


@pytest.mark.slow(seconds=3)
def test_a_mistake_is_followed_into_the_exercises_that_build_on_its_cell(small):
    fourth = "\n# %% nbgrader" + MASTER.partition("# %% nbgrader")[2].replace("square", "fourth")
    fourth = fourth.replace("return x * x", "return square(square(x))").replace("fourth(2) == 4", "fourth(2) == 16")
    tests = TESTS + TESTS.partition("\n\n\n")[2].replace("square", "fourth").replace("x**2", "x**4")
    bank = [("doubled", "2 * x", "Try x = 3."), ("tripled", "3 * x", "Try x = 3.")]
    unnamed = [
        [row.name for row in small(bank, tests=tests, solution=MASTER + fourth, followed=most).values() if row.wrong]
        for most in (None, 1)
    ]
    assert unnamed == [["doubled", "tripled"], ["doubled"]]


@pytest.mark.parametrize("weak", [False, True])
def test_the_tests_of_an_optional_exercise_are_proven_like_all_others(small, weak):
    optional = MASTER.partition("# %% nbgrader")[2].replace("square", "double").replace("x * x", "x + x")
    solution = MASTER + "\n# %% nbgrader" + optional.replace('"points": 2', '"points": 0')
    asked = "x + x" if weak else "student.double(x)"
    test = f'''
@earns("double-check")
def test_double(student, draw):
    """It doubles."""
    x = draw.normal(3)
    close({asked}, 2 * x, "double(x)")
'''
    rows = small(tests=f"{TESTS}\n{test}", solution=solution)
    assert rows["master"].wrong == ()
    assert rows["untouched"].lost == (("square-check",) if weak else ("square-check", "double-check"))
    assert any("earns points in double-check" in text for text in rows["untouched"].wrong) is weak


def test_an_alternative_that_is_wrong_is_found(small):
    rows = small(alternative="def square(x):\n    return abs(x)\n")
    assert "should not lose points in square-check" in rows["squares-other"].wrong[0]


def test_a_test_that_gives_points_for_nothing_is_found(small):
    rows = small(tests=TESTS.replace("    x = draw.normal(3)\n", "").replace("    close(student.square(x)", "    # "))
    assert any("contains no solution but earns points" in text for row in rows.values() for text in row.wrong)


def test_the_command_counts_findings_and_not_answers(small, tmp_path):
    silent = TESTS.replace('    """It squares."""\n', "")
    again = silent.partition("\n\n\n")[2].replace("test_square", "test_again")
    rows = small(tests=f"{silent}\n\n{again}")
    findings = sum(len(row.wrong) for row in rows.values())
    assert findings > sum(bool(row.wrong) for row in rows.values())  # two tests without a docstring: one row
    said = CliRunner().invoke(app, ["audit", "--course", str(tmp_path)])
    assert said.exit_code == 1 and said.output.count("wrong: ") == findings
    assert f"{findings} findings" in said.output
