"""A page says which lost points may follow from which others."""

from __future__ import annotations

from pathlib import Path

from autograder.course.course import open_course
from autograder.course.parsing import read_master
from autograder.course.release import Released, ReleasedCell
from autograder.examination.dependencies import dependencies
from autograder.examination.score import score
from autograder.results.result import TestResult

COURSE = open_course(Path(__file__).parents[1])
BASIS = {"grade": True, "solution": False, "locked": True, "task": False, "demo": False, "kind": "code", "source": ""}


def test_an_exercise_depends_on_code_that_it_uses_directly_or_through_given_cells():
    uses = dependencies(read_master(COURSE.homework("hw4"), "transformer"))
    assert "attention" in uses["heads"] and uses["attention"] == ()
    assert {"attention", "heads", "block"} <= set(uses["language-learns"])  # through CharModel
    assert "train" in uses["vit-learns"]  # only its check trains


def test_cells_that_test_the_same_code_do_not_depend_on_each_other():
    uses = dependencies(read_master(COURSE.homework("hw1"), "mlp"))
    assert uses["linear-backward"] == ()


def scored(passed):
    cells = [
        ReleasedCell(id=name, grade_id=name, points=2.0, metadata={}, names=frozenset(), **BASIS) for name in passed
    ]
    tests = [
        TestResult(name=f"test_{name}", cell=name, weight=1.0, says="", passed=ok, message="", seconds=0.0)
        for name, ok in passed.items()
    ]
    uses = {"heads": ("attention",), "block": ("attention", "heads")}
    return {cell.grade_id: cell.follows for cell in score(Released("hw", "nb", tuple(cells)), tests, {}, {}, (), uses)}


def test_lost_points_follow_from_cells_above_that_lost_some_too():
    assert scored({"attention": False, "heads": True, "block": False}) == {
        "attention": (),
        "heads": (),
        "block": ("attention",),
    }
