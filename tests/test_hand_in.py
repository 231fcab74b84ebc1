"""The last cell of every notebook tells students the truth about the notebook that they are about to hand in."""

from __future__ import annotations

import contextlib
import io
import json
import re
from pathlib import Path

import matplotlib
import pytest

from autograder.course.course import open_course
from autograder.course.hand_in import hand_in_source
from autograder.course.parsing import read_master
from autograder.course.stripping import TEXT_STUB

COURSE = open_course(Path(__file__).parents[1])
HELPERS = "def scale(x):\n    return 2 * x"
MASTER = f"""\
# %% nbgrader={{"grade_id": "helpers", "locked": true}}
{HELPERS}

# %% [markdown]
# **Exercise 1.1 · squares** · 2 points · ★☆☆
#
# Write `square`.
#
# **Exercise 1.2 · why** · 2 points by hand

# %% nbgrader={{"grade_id": "square", "solution": true}}
def square(x):
    ### BEGIN SOLUTION
    return x * x
    ### END SOLUTION

# %% nbgrader={{"grade_id": "square-check", "grade": true, "points": 2, "locked": true}}
assert square(scale(1)) == 4, "square(2) should be 2 times 2"

# %% [markdown] nbgrader={{"grade_id": "why", "grade": true, "solution": true, "points": 1}}
# ### BEGIN SOLUTION
# because
# ### END SOLUTION

# %% [markdown] nbgrader={{"grade_id": "where", "grade": true, "solution": true, "points": 1}}
# And **where**?
#
# ### BEGIN SOLUTION
# here
# ### END SOLUTION
"""
SETUP = "scale = None  # until the notebook gives it its meaning"
CHECK = 'def _check_square_check():\n    assert square(scale(1)) == 4, "square(2) should be 2 times 2"\n'


@pytest.fixture
def last_cell(tmp_path, monkeypatch):
    """Called with the cells that were run, in their order, it gives what the last cell prints."""
    (tmp_path / "course.toml").write_text('id="c"\ntitle="C"\nhomeworks=["hw1"]\nrepository="o/r"\n')
    (tmp_path / "hw1" / "hidden").mkdir(parents=True)
    (tmp_path / "hw1" / "homework.toml").write_text('title="H"\n[[notebooks]]\nname="squares"\ntitle="S"\nminutes=1\n')
    (tmp_path / "hw1" / "squares.py").write_text(MASTER)
    tests = 'from autograder import earns\n\n\n@earns("square-check")\ndef test_it(student):\n    """It squares."""\n'
    (tmp_path / "hw1" / "hidden" / "test_squares.py").write_text(tests)
    source = hand_in_source(read_master(open_course(tmp_path).homework("hw1"), "squares"), SETUP)
    monkeypatch.chdir(tmp_path)
    matplotlib.use("agg")

    def said(*cells):
        names = {"In": [HELPERS, *cells]}
        for cell in names["In"]:
            with contextlib.suppress(NotImplementedError):
                exec(cell, names)
        before = set(names)
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            exec(source, names)
        assert {name for name in set(names) - before if not name.startswith("_")} == set()
        return printed.getvalue()

    return said


@pytest.mark.parametrize(
    ("cells", "outcome"),
    [
        (["def square(x):\n    return x * x\n", CHECK], "passes its check"),
        (["def square(x):\n    return 2 * x + 1\n", CHECK], "fails its check: square(2) should be 2 times 2"),
        (["def square(x):\n    raise NotImplementedError\n", CHECK], "not written yet"),
        (["def square(x):\n    return x.y\n", CHECK], "fails its check: 'int' object has no attribute 'y'"),
        (["def square(x):\n    raise ValueError\n", CHECK], "fails its check: ValueError"),
        (["raise NotImplementedError", CHECK], "not written, or its cell was not run: there is no square"),
        (["def square(x):\n    return x * x\n"], "its check was not run yet"),
    ],
)
def test_each_exercise_is_checked_as_it_is_now(last_cell, cells, outcome):
    assert f"1.1 square-check: {outcome}\n" in last_cell(*cells)


def test_a_definition_that_came_after_the_check_counts(last_cell):
    right, wrong = (f"def square(x):\n    return {how}\n" for how in ("x * x", "0"))
    assert "fails its check" in last_cell(right, CHECK, wrong)
    assert "passes its check" in last_cell(wrong, CHECK, right)


def test_names_that_are_defined_twice_are_told(last_cell):
    right, mine = "def square(x):\n    return x * x\n", "scale = lambda x: x\n"
    assert "scale" not in last_cell(right, CHECK)
    assert "You have redefined scale" in last_cell(right, CHECK, mine)
    assert "has replaced your scale" in last_cell(mine, HELPERS, right)
    assert "scale" not in last_cell("def helper():\n    scale = 3\n", right)
    assert "scale" not in last_cell("mine = [scale for scale in range(3)]\n", right)
    assert "You have redefined scale" in last_cell(right, CHECK, "from math import pi as scale")
    assert "You have redefined scale" in last_cell(right, CHECK, "for scale in range(3):\n    pass")


def test_what_the_set_up_cell_defines_is_not_the_students(last_cell):
    assert "scale" not in last_cell(SETUP, HELPERS, "def square(x):\n    return x * x\n")


ASKED = "And **where**?\n\n"


@pytest.mark.parametrize(
    ("why", "where", "empty"),
    [
        (TEXT_STUB, ASKED + TEXT_STUB, ["1.2 why", "1.2 where"]),
        ("because", ASKED + TEXT_STUB, ["1.2 where"]),
        ("because", ASKED, ["1.2 where"]),
        ("", "", ["1.2 why", "1.2 where"]),
        ("because", ASKED + "here", []),
        ("because", "here", []),
        ("because\n\n" + TEXT_STUB, ASKED + TEXT_STUB + "\n\nhere", []),
    ],
)
def test_written_answers_are_looked_up_in_the_saved_file(last_cell, tmp_path, why, where, empty):
    cells = [
        {"cell_type": "markdown", "metadata": {"nbgrader": {"grade_id": grade_id}}, "source": text.splitlines(True)}
        for grade_id, text in (("why", why), ("where", where))
    ]
    (tmp_path / "squares.ipynb").write_text(json.dumps({"cells": [{"metadata": {}, "source": []}, *cells]}))
    said = last_cell()
    assert f"last: {2 - len(empty)} of 2." in said
    assert [line.strip().removesuffix(": still empty") for line in said.splitlines() if "still empty" in line] == empty


@pytest.mark.parametrize("text", [None, "no json", "[]", '{"cells": 3}', '{"cells": [{}]}'])
def test_a_file_that_cannot_be_read_is_said_to_be_so(last_cell, tmp_path, text):
    if text is not None:
        (tmp_path / "squares.ipynb").write_text(text)
    said = last_cell()
    assert "cannot see your written answers" in said and "1.2 why" in said


def test_the_file_to_hand_in_is_named(last_cell):
    assert "Hand in the file squares.ipynb" in last_cell().splitlines()[-1]


def test_code_that_students_need_not_read_is_folded_and_its_first_line_says_what_it_is():
    for path in sorted((COURSE.root / "release").glob("*/*.ipynb")):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        folded = {cell["id"]: cell for cell in cells if "jupyter" in cell["metadata"]}
        assert list(folded) in (["common", "hand-in"], ["helpers", "hand-in"]), "students see all other code"
        assert cells[-1] is folded["hand-in"]
        for cell, title in zip(folded.values(), ("(Imports, and h|H)elpers for ", "Before you hand in: "), strict=True):
            assert cell["metadata"]["jupyter"] == {"source_hidden": True} and cell["metadata"]["cellView"] == "form"
            assert re.match(f"# @title {title}", "".join(cell["source"]))
