"""Solutions made by machine: wrong ones that a weak test lets through are shown, right ones must earn everything."""

from __future__ import annotations

import ast

import pytest

from autograder.course import build
from autograder.course.course import open_course
from autograder.course.master import Cell
from autograder.course.parsing import read_master
from autograder.proving import audit, mutation
from autograder.proving.mutants import mutants
from autograder.proving.solutions import execute
from autograder.proving.variants import variants

MASTER = """\
# %% [markdown]
r'''
# Scales
'''

# %% nbgrader={"grade_id": "helpers", "locked": true}
import torch

# %% nbgrader={"grade_id": "scaled-code", "solution": true}
def scaled(x, factor=2):
    ### BEGIN SOLUTION
    total = x * factor
    return total
    ### END SOLUTION

# %% nbgrader={"grade_id": "scaled", "grade": true, "points": 2, "locked": true}
doubled = scaled(torch.ones(3))
assert len(doubled) == 3
"""
WEAK = '''\
import torch

from autograder import close, earns


@earns("scaled")
def test_scaled(student, draw):
    """It scales."""
    x = draw.normal(3)
    close(student.scaled(x, 3), 3 * x, "scaled(x, 3)")
'''
STRONG = WEAK + '    close(student.scaled(x), 2 * x, "scaled(x)")\n'
STRICT = STRONG.replace(
    "close(student.scaled(x, 3)", "assert isinstance(student.scaled(x), torch.Tensor)\n    close(student.scaled(x, 3)"
)


@pytest.fixture
def course(tmp_path):
    """A course of one notebook; called with tests and listed survivors."""

    def made(tests, listed=""):
        (tmp_path / "course.toml").write_text('id="c"\ntitle="C"\nhomeworks=["hw1"]\nrepository="o/r"\n')
        for room in ("hidden", "mistakes"):
            (tmp_path / "hw1" / room).mkdir(parents=True)
        (tmp_path / "hw1" / "homework.toml").write_text('title="H"\n[[notebooks]]\nname="s"\ntitle="S"\nminutes=1\n')
        (tmp_path / "hw1" / "s.py").write_text(MASTER)
        (tmp_path / "hw1" / "hidden" / "test_s.py").write_text(tests)
        (tmp_path / "hw1" / "mistakes" / "s.same.toml").write_text(listed)
        opened = open_course(tmp_path)
        build.build(opened)
        return opened

    return made


def edits(source):
    cell = Cell(id="c", grade_id="c", kind="code", source=source, line=1, solution=True)
    return {(mutant.line, mutant.instead) for mutant in mutants(cell)}


def test_mutants_are_small_edits_of_solutions_and_defaults():
    found = edits(
        'def f(x, dim=1):\n    """Of 2 sizes."""\n    ### BEGIN SOLUTION\n    y = x.sum(dim, keepdim=True)  # (B, 1)\n'
        '    if y.min() < 0:\n        raise ValueError("2 many")\n    return y.detach()\n    ### END SOLUTION'
    )
    assert {
        ("def f(x, dim=1):", "def f(x, dim=2):"),
        ("y = x.sum(dim, keepdim=True)", "y = x.mean(dim, keepdim=True)"),
        ("y = x.sum(dim, keepdim=True)", "y = x.sum(dim, keepdim=False)"),
        ("y = x.sum(dim, keepdim=True)", "y = x.sum(dim)"),
        ("if y.min() < 0:", "if y.min() <= 0:"),
        ("if y.min() < 0:", "if False:"),
        ("return y.detach()", "return y"),
        ("return y.detach()", "return None"),
    } <= found
    assert not any("sizes" in line or "many" in line for line, _ in found if line != 'raise ValueError("2 many")')


def test_a_mutant_that_no_test_finds_is_shown(course):
    opened = course(WEAK)
    [found] = mutation.mutation(opened, opened.homework("hw1"), workers=1)
    assert {mutant.instead for mutant in found.survivors} == {"def scaled(x, factor=3):", "def scaled(x, factor=1):"}
    assert found.findings == 2 and "+def scaled(x, factor=3):" in mutation.report(found)


def test_a_stronger_test_finds_it(course):
    opened = course(STRONG)
    [found] = mutation.mutation(opened, opened.homework("hw1"), workers=1)
    assert (found.findings, found.share) == (0, 1.0)


LISTED = """
[[same]]
cell = "scaled-code"
line = "def scaled(x, factor=2):"
with = "def scaled(x, factor={number}):"
reason = "for this test"
{more}
"""


def test_listed_survivors_are_expected_and_those_that_differ_are_counted(course):
    opened = course(WEAK, LISTED.format(number=3, more="") + LISTED.format(number=1, more="differs = true"))
    [found] = mutation.mutation(opened, opened.homework("hw1"), workers=1)
    assert (found.findings, found.same, found.differing) == (0, 1, 1)
    assert found.share == 1 - 1 / (found.total - 1)


def test_a_listed_survivor_that_is_found_after_all_is_a_finding(course):
    opened = course(STRONG, LISTED.format(number=3, more=""))
    [found] = mutation.mutation(opened, opened.homework("hw1"), workers=1)
    assert found.findings == 1 and "it does not survive in scaled-code" in mutation.report(found)


def rows(opened):
    return {row.name: row.wrong for row in audit.audit(opened, opened.homework("hw1"), workers=1, by_machine=True)}


@pytest.mark.slow(seconds=2)
def test_right_edits_earn_everything(course):
    found = rows(course(STRONG))
    assert {"renamed", "helpers", "static", "numpy:scaled-code", "list:scaled-code"} <= found.keys()
    assert [name for name, wrong in found.items() if wrong] == []


@pytest.mark.slow(seconds=2)
def test_a_test_that_refuses_a_right_edit_is_found_unless_the_text_excludes_it(course, tmp_path):
    refused = {name for name, wrong in rows(course(STRICT)).items() if wrong}
    assert refused == {"numpy:scaled-code", "list:scaled-code"}
    listed = '[[variant]]\nname = "{}:*"\nreason = "the text asks for a tensor"\n'
    (tmp_path / "hw1" / "mistakes" / "s.same.toml").write_text(listed.format("numpy") + listed.format("list"))
    assert [name for name, wrong in rows(open_course(tmp_path)).items() if wrong] == []


def test_locals_get_names_that_locked_cells_use(course):
    book = read_master(course(STRONG).homework("hw1"), "s")
    changed = dict(variants(book))
    tree = ast.parse(changed["renamed"]["scaled-code"])
    assert {"doubled"} == {
        node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }


def test_a_dataclass_in_a_solution_works_in_the_audit():
    """Its annotations are not turned into texts by the audit's own __future__ import."""
    names = {"__name__": "notebook"}
    source = (
        "from dataclasses import dataclass\n\n@dataclass\nclass Pair:\n    a: int = 1\n\nkind = Pair.__annotations__"
    )
    assert execute("c", source, names) == "" and names["kind"] == {"a": int}
