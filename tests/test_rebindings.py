"""A function is tested with the names that its check saw, and the student hears of names with two meanings."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import cell, lost_points, shown

from autograder.course.course import open_course
from autograder.course.parsing import read_master
from autograder.course.release import ReleasedCell
from autograder.forbidden import static
from autograder.submission.gradable import GradableCell
from autograder.submission.rebindings import notes, rebindings


def own(name, source, **more):
    return GradableCell(id=name, kind="code", source=source, skip=False, released=None, **more)


def given(name, source, grade=False, solution=False):
    text = "" if solution else source
    released = ReleasedCell(
        id=name, kind="code", source=text, metadata={}, grade_id=name, grade=grade, solution=solution,
        locked=not solution, task=False, points=1.0 * grade, demo=False, names=frozenset(),
    )  # fmt: skip
    return GradableCell(id=name, kind="code", source=source, skip=False, released=released)


FIRST = given("f-code", "def f(x):\n    return g(x)\n\ndef g(x):\n    return x", solution=True)
CHECK = given("f", "assert f(1) == 1", grade=True)


def test_a_helper_that_a_later_cell_defines_anew_is_found():
    cells = [FIRST, CHECK, own("own-1", "def g(x):\n    return 2 * x")]
    [found] = rebindings(cells)
    assert (found.name, found.first, found.again, found.between) == ("g", "f-code", "own-1", ("f",))
    [note] = notes(cells, [found])
    assert "‘f-code’ defines g, and cell ‘own-1’ defines it again" in note.note


def test_a_helper_that_is_defined_anew_before_any_check_is_nobodys_business():
    assert rebindings([FIRST, own("own-1", "def g(x):\n    return 2 * x"), CHECK]) == ()


def test_a_line_of_a_text_defines_nothing():
    assert rebindings([FIRST, CHECK, own("own-1", '"""\\ng = better\\n"""')]) == ()


def test_variables_may_change_as_they_like():
    assert rebindings([own("own-1", "x = 1"), CHECK, own("own-2", "x = 2")]) == ()


def test_a_given_name_that_a_student_redefines_is_pointed_out():
    cells = [given("helpers", "def compare(a, b):\n    assert a == b"), own("own-1", "compare = 3"), CHECK]
    [note] = notes(cells, ())
    assert (note.kind, note.cell) == ("names", "own-1") and "another meaning to compare" in note.note


@pytest.mark.slow(seconds=140, waits=True)
def test_a_function_is_tested_with_the_names_that_its_check_saw(hall):
    """`Linear` uses a helper whose name a cell below the exercise gives to something else."""
    book = hall.rewritten("linear", lambda source: source.replace("x @ self.weight.T", "times(x, self.weight)"))
    place = next(
        n for n, one in enumerate(book["cells"]) if one["metadata"].get("nbgrader", {}).get("grade_id") == "linear"
    )
    helper = "def times(x, W):\n    return x @ W.T"
    later = "def times(x, W):\n    return 0 * (x @ W.T)"
    for at, source in ((place, helper), (len(book["cells"]) + 1, later)):
        book["cells"].insert(
            at, {"cell_type": "code", "id": f"own{at}", "metadata": {}, "source": source, "outputs": []}
        )
    found = hall.grade("two-meanings", book)
    assert {name for name in lost_points(found) if name.startswith("linear")} == set()
    assert "defines times, and cell" in shown(found)


@pytest.mark.slow(seconds=140, waits=True)
def test_a_function_that_is_mended_further_down_counts(hall):
    """The first version passes its check by luck of the names; the last one is right."""
    book = hall.rewritten("linear", lambda source: source.replace("+ self.bias", "+ 0 * self.bias"))
    right = "".join(
        next(c for c in hall.desk.solved()["cells"] if c["metadata"].get("nbgrader", {}).get("grade_id") == "linear")[
            "source"
        ]
    )
    book["cells"].append({"cell_type": "code", "id": "mended", "metadata": {}, "source": right, "outputs": []})
    found = hall.grade("mended", book)
    assert cell(found, "linear-forward").earned == cell(found, "linear-forward").points


def test_what_a_later_cell_defines_anew_is_read_where_it_is_used():
    book = read_master(open_course(Path(__file__).parents[1]).homework("hw1"), "mlp")
    given, own = ([(c.id, c.source) for c in book.code() if c.locked is locked] for locked in (True, False))
    cells = {c.grade_id: c.id for c in book.code()}
    sources = dict(own)
    sources[cells["activations"]] += "\n\ndef helper(x):\n    return x\n\nclass ReLU(ReLU):\n    help = helper\n"
    sources[cells["mse"]] += "\n\ndef mse_loss(y, y_hat):\n    return helper(y)\n"
    again = ("own-1", "def helper(x):\n    return torch.autograd.grad(x, x)")
    later = {"relu": frozenset([("own-1", "helper")])}
    found = static.trespasses(book, [*sources.items(), again], given, ["autograd"], later)
    assert "relu" not in found and "own-1" in found["mse-loss"]
