"""Two answers are alike when they agree up to rounding; a diagnosis needs answers that tell something."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from autograder.examination.diagnosis import _ENOUGH, Diagnoser, _weight
from autograder.examination.likeness import CLOSELY, ROUGHLY
from autograder.sandbox.wire.messages import Call, Get, Raised, Returned
from autograder.sandbox.wire.values import to_wire

CALL = Call(b"", 0, [], {})


def returned(value):
    return Returned(b"", to_wire(value, lambda thing: None))


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        (1.0, 1.00001, True),
        (1.0, 1.1, False),
        (math.inf, 5.0, False),
        (math.inf, math.inf, True),
        (math.inf, -math.inf, False),
        (math.nan, math.nan, True),
        (math.nan, 1.0, False),
    ],
)
def test_numbers_are_alike_up_to_rounding(one, other, alike):
    assert CLOSELY.alike(returned(one), returned(other)) is alike
    assert CLOSELY.alike(returned(other), returned(one)) is alike


@pytest.mark.parametrize("value", [None, True, 0, 1.0, torch.zeros(3, 4), torch.ones(5), [], float("nan")])
def test_nothing_a_flag_or_zeros_alone_say_too_little(value):
    assert _weight(CALL, returned(value)) < _ENOUGH


@pytest.mark.parametrize("value", [0.123456, torch.randn(3), [1, 2, 3], {"a": 0.1234}])
def test_numbers_of_its_own_say_enough(value):
    assert _weight(CALL, returned(value)) >= _ENOUGH


def test_an_answer_that_was_written_down_and_an_error_in_a_students_line_say_enough():
    assert _weight(Get(b"", "choice"), returned("b")) >= _ENOUGH
    assert _weight(CALL, Raised(b"", "RuntimeError", "shapes", "linear", 3)) >= _ENOUGH
    assert _weight(CALL, Raised(b"", "TypeError", "not callable")) < _ENOUGH


@pytest.mark.parametrize(
    ("cell", "message", "alike"),
    [
        ("linear", "mat1 and mat2 shapes cannot be multiplied (2x9 and 4x3)", True),
        ("linear", "The size of tensor a (2) must match the size of tensor b (6)", False),
        ("chain-rule", "mat1 and mat2 shapes cannot be multiplied (2x9 and 4x3)", False),
    ],
)
def test_an_error_of_the_same_type_is_another_one_in_other_words_or_another_cell(cell, message, alike):
    mine = Raised(b"", "RuntimeError", "mat1 and mat2 shapes cannot be multiplied (3x4 and 5x6)", "linear", 3)
    other = Raised(b"", "RuntimeError", message, cell, 7)
    assert ROUGHLY.alike(mine, other) is alike and ROUGHLY.alike(mine, mine)
    assert not CLOSELY.alike(mine, Raised(b"", "RuntimeError", "other words", "linear", 3))


@pytest.mark.parametrize("other", [[[1.0, 2.5], [3.0, 4.0]], np.array([[1, 2.5], [3, 4]]), ((1, 2.5), (3, 4))])
def test_numbers_of_other_types_are_roughly_alike(other):
    matrix = torch.tensor([[1.0, 2.5], [3.0, 4.0]])
    for one in matrix, matrix.double(), matrix.clone().requires_grad_():
        assert ROUGHLY.alike(returned(one), returned(other))
        assert not CLOSELY.alike(returned(one), returned(other))
    assert not ROUGHLY.alike(returned(matrix.T), returned(other))
    assert not ROUGHLY.alike(returned(matrix[None]), returned(other)), "another shape is another answer"
    assert ROUGHLY.alike(returned(torch.tensor(2.5)), returned(2.5))
    assert not ROUGHLY.alike(returned([[1.0], [1.0, 2.0]]), returned(torch.ones(2, 1))), "no tensor holds the list"


def likeness(right, wrong, failed, passed=()):
    """How alike a mistake is found that gives the answers `wrong`, where the master gives the answers `right`."""
    diagnoser = Diagnoser(None, [], ())
    diagnoser._replay = lambda mistake, asked: iter([*map(reply, wrong if mistake else right)][: len(asked.questions)])
    kept = [[[(CALL, reply(answer)) for answer in answers]] if answers else [] for answers in (failed, passed)]
    return diagnoser._likeness_of_all("mistake", *kept)


def reply(answer):
    return answer if isinstance(answer, Raised) else returned(answer)


def test_a_passed_test_rules_a_mistake_out_only_by_what_must_be_so():
    assert likeness([1.0], [2.0], failed=[2.0]) is CLOSELY
    assert likeness([1.0], [2.0], failed=[2.0], passed=[1.0]) is None, "the mistake would have failed it, too"
    assert likeness([1.0], [2.0], failed=[2.0], passed=[3.0]) is CLOSELY, "it leaves its answer open"
    assert likeness([1.0], [2.0], failed=[3.0], passed=[1.0]) is None


def test_the_text_of_an_exception_that_is_due_is_the_students_own():
    here, there = (Raised(b"", "ValueError", text, "mlp", 3) for text in ("unknown function", "no such f"))
    assert likeness([here, here], [here, 1.5], failed=[there, 1.5]) is CLOSELY
    assert likeness([1.0, 1.0], [here, 1.5], failed=[there, 1.5]) is None, "no exception is due"
