"""Two answers are alike when they agree up to rounding; a diagnosis needs answers that tell something."""

from __future__ import annotations

import math

import pytest
import torch

from autograder.examination.diagnosis import _ENOUGH, CLOSELY, ROUGHLY, _weight
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
