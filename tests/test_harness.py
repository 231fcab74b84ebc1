"""A harness sends the right parts that a test names, and no answer beside them."""

import ast
from pathlib import Path

import pytest

from autograder import Harness

COURSE = Path(__file__).parent.parent
SOURCE = """
from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from collections.abc import Callable

_FACTOR = 2.0
_SEEN: list[float] = []


def right_mean(x: Tensor) -> Tensor:
    return _right_sum(x) / len(x)


def _right_sum(x: Tensor) -> Tensor:
    return _FACTOR * x.sum() / 2.0


def right_spread(x: Tensor) -> float:
    return math.sqrt(((x - right_mean(x)) ** 2).mean())


class RightModel:
    def fit(self, x: Tensor) -> None:
        self.mean, self.spread = right_mean(x), right_spread(x)


_RIGHT = {"mean": right_mean, "spread": right_spread}


def watched(function: Callable[..., float], x: Tensor) -> float:
    _SEEN.append(_RIGHT["spread"](x))
    return function(x)
"""


class Listening:
    """In place of a student: runs what it is sent, as the student's process does, and keeps the sources."""

    def __init__(self):
        self.sent, self.spent = [], False

    def run(self, code, apart=False):
        assert apart
        self.sent.append(code)
        tree = ast.parse(code)
        value, names = tree.body.pop().value, {"__name__": "harness"}
        exec(compile(tree, "<harness>", "exec"), names)
        return eval(compile(ast.Expression(value), "<harness>", "eval"), names)

    def spend(self):
        self.spent = True

    def answers(self):
        """The right parts whose body was sent."""
        found = set()
        for node in (node for code in self.sent for node in ast.parse(code).body):
            named = isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name.lstrip("_").lower().startswith(
                "right"
            )
            if named and not all(isinstance(line, ast.Pass) for line in node.body):
                found.add(node.name)
        return found


@pytest.fixture
def harness(tmp_path):
    (tmp_path / "course.py").write_text(SOURCE)
    return Harness(tmp_path / "course.py")


def test_no_answer_is_sent_beside_the_student(harness):
    student = Listening()
    harness.beside(student)
    assert student.answers() == set() and not student.spent


@pytest.mark.parametrize(
    ("lent", "sent"),
    [
        (("right_mean",), {"right_mean", "_right_sum"}),
        (("_right_sum",), {"_right_sum"}),
        (("_right_sum", "right_mean"), {"right_mean", "_right_sum"}),
        (("right_spread",), {"right_spread", "right_mean", "_right_sum"}),
        (("RightModel",), {"RightModel", "right_spread", "right_mean", "_right_sum"}),
        (("watched",), {"right_spread", "right_mean", "_right_sum"}),  # a tool that uses right parts
        ((), set()),
    ],
)
def test_what_is_lent_is_sent_with_what_it_uses_and_no_other_answer(harness, lent, sent):
    student = Listening()
    harness.lending(student, *lent)
    assert student.answers() == sent and student.spent


def test_a_lent_part_works_in_a_namespace_that_holds_nothing_else(harness):
    import torch

    lent = harness.lending(Listening(), "right_mean", "_right_sum")
    x = torch.tensor([1.0, 2.0, 6.0])
    assert lent.right_mean(x) == 3 and lent._right_sum(x) == 9
    assert lent.right_spread(x) is None  # a part that nobody named is empty
    defined = {name for name in vars_of(lent.right_mean) if not name.startswith("__")}
    assert defined == {"annotations", "Tensor", "_FACTOR", "right_mean", "_right_sum"}
    assert "right_mean" not in vars_of(lent._right_sum) and vars_of(lent.watched) is not vars_of(lent.right_mean)


def vars_of(function):
    return function.__globals__


def test_a_name_that_the_file_does_not_define_is_an_error(harness):
    with pytest.raises(ValueError, match="right_median"):
        harness.lending(Listening(), "right_median")


@pytest.mark.parametrize(
    ("notebook", "lent", "sent"),
    [
        ("hw1/sgd", ("right_gradient",), {"right_gradient"}),  # for the ascent: it must not get right_ascent
        ("hw1/sgd", ("right_gradient", "right_ascent"), {"right_gradient", "right_ascent"}),  # for the dream
        ("hw1/mlp", ("RightLinear",), {"RightLinear"}),
        ("hw1/mlp", ("RightReLU",), {"RightReLU"}),
        ("hw2/cnn", ("RightResidualBlock",), {"RightResidualBlock"}),
        ("hw2/cnn", ("right_step",), {"right_step"}),
        ("hw2/theory", ("right_cross_correlation",), {"right_cross_correlation"}),
        ("hw2/theory", ("right_attention_step",), {"right_attention_step"}),
    ],
)
def test_the_source_of_a_lent_part_holds_no_other_answer(notebook, lent, sent):
    student, [homework, name] = Listening(), notebook.split("/")
    Harness(COURSE / homework / "hidden" / f"test_{name}.py").lending(student, *lent)
    assert student.answers() == sent


def test_tests_name_what_they_lend():
    for file in COURSE.glob("hw*/hidden/test_*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "lending":
                assert len(node.args) > 1, f"{file.name}:{node.lineno} sends all right parts"
