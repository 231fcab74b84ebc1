"""What hidden tests are written with: `draw` repeats itself, `close` says what is wrong and never what is right."""

import os
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from autograder.course.course import open_course
from autograder.examination.closeness import close, shape_of, shape_told
from autograder.examination.collection import HiddenTests
from autograder.examination.hidden import Draw, ten_times
from autograder.examination.suite import Suite, collected
from autograder.sandbox.lines import InProcessLine

RIGHT = torch.tensor([[1.25, -2.5], [3.75, 0.5]])


def told(actual, expected=RIGHT, **more):
    with pytest.raises(AssertionError) as caught:
        close(actual, expected, "dW", **more)
    return str(caught.value)


def test_draws_repeat_for_one_secret_and_test_and_differ_for_others():
    def numbers(secret, *names):
        return Draw(secret, *names).normal(4).tolist()

    assert numbers(b"a", "hw1/mlp", "test_x") == numbers(b"a", "hw1/mlp", "test_x")
    others = [
        numbers(b"b", "hw1/mlp", "test_x"),
        numbers(b"a", "hw1/sgd", "test_x"),
        numbers(b"a", "hw1/mlp", "test_y"),
    ]
    assert all(other != numbers(b"a", "hw1/mlp", "test_x") for other in others)


def test_sizes_reach_both_ends():
    draw = Draw(b"secret", "sizes")
    assert {draw.size(2, 4) for _ in range(100)} == {2, 3, 4}


def test_a_training_run_may_take_ten_times_as_long_as_the_reference():
    allowance = ten_times(lambda: time.sleep(0.2), share=1 / 50)
    assert allowance.seconds >= 10 * 0.2 * 50
    assert f"stopped after {allowance.seconds:.0f} seconds" in allowance.beyond


def test_a_reference_that_is_done_at_once_leaves_half_a_minute():
    assert ten_times(lambda: None, share=1).seconds == 30


def test_equal_values_pass_up_to_rounding():
    close(RIGHT + 1e-7, RIGHT, "dW")
    close(0.5, torch.tensor(0.5), "J")
    close(RIGHT.numpy(), RIGHT, "dW")
    close(RIGHT.tolist(), RIGHT, "dW")
    close(list(RIGHT), RIGHT, "dW")
    close(RIGHT.double(), RIGHT, "dW")
    close([1, 0], torch.tensor([1, 0]), "labels")
    close(torch.tensor([2.0, float("inf")]), torch.tensor([2.0, float("inf")]), "energies")
    for one in (np.float32(1), np.int64(1), np.array(1.0), 1, torch.tensor(1)):
        close(1.0, one, "J")


def test_a_number_is_no_list_of_one_and_an_infinite_one_no_large_one():
    with pytest.raises(AssertionError, match=r"J: the shape is \(\); it should be \(1,\)"):
        close(1.0, [1.0], "J")
    with pytest.raises(AssertionError):
        close(float("-inf"), 1e308, "J", rtol=2.5, atol=0.0)


@pytest.mark.parametrize(
    ("actual", "words"),
    [
        (None, "dW: this should be a tensor, but it is nothing"),
        ("1", "dW: this should be a tensor, but it is a str"),
        ([[1.0], [2.0, 3.0]], "a list that is not made of numbers, with rows of equal length"),
        (RIGHT[:1], r"dW: the shape is (1, 2); it should be (2, 2)."),
        (RIGHT.bool(), "the dtype is torch.bool; it should be a floating-point type"),
        (RIGHT.flatten().flip(0).view(2, 2), "all values are there, but in another order"),
        (RIGHT + 3, "off by the same amount"),
        (torch.tensor([[1.25, -2.5], [3.75, float("nan")]]), "1 of 4 entries is not a number"),
        (-RIGHT, "the sign is flipped"),
        (RIGHT.T, "it is transposed"),
        (0 * RIGHT, "every entry is zero"),
        (RIGHT / 4, "every entry is 0.25 times what it should be"),
        (RIGHT / 0, "infinite"),
        (RIGHT * float("nan"), "not a number"),
        (RIGHT + torch.tensor([[0, 0], [0, 1.0]]), "1 of 4 entries differ"),
    ],
)
def test_the_message_names_the_difference(actual, words):
    assert words in told(actual)


@pytest.mark.parametrize(
    ("actual", "words"),
    [
        (5 * RIGHT, "and B is 5"),
        (RIGHT / 3, "and 1/K is 0.3333"),
        (RIGHT / 15, "and 1/(B·K)"),
        (RIGHT / 3**0.5, "1/√K"),
    ],
)
def test_a_factor_that_is_a_size_of_the_problem_is_called_so(actual, words):
    assert words in told(actual, sizes={"B": 5, "K": 3})


def test_a_factor_of_nearly_one_is_no_factor():
    assert "times what it should be" not in told(RIGHT * 1.0005)


def test_nothing_is_said_that_does_not_explain_the_difference():
    """Values that are off by little resemble a permutation, a factor or a shift within a wide tolerance."""
    want = torch.tensor([1.0, 1.001, 1.002, 0.999])
    told_of = told(want + torch.tensor([0.003, -0.001, 0.002, 0.004]), want, rtol=1e-3)
    assert "entries differ" in told_of


def test_whole_numbers_have_no_factor_and_no_sign():
    labels = torch.tensor([1, 2, 4])
    assert told(2 * labels, labels) == "dW: the shape is right but the values are wrong: 3 of 3 entries differ."
    assert "sign" not in told(-labels, labels)


def test_infinite_entries_are_blamed_on_the_right_side():
    want = torch.tensor([1.0, float("inf")])
    assert "1 of 2 entries is finite but should be infinite" in told(torch.tensor([1.0, 3.0]), want)
    assert "1 of 2 entries is infinite" in told(want, torch.tensor([1.0, 3.0]))
    assert "what it should equal is not a number" in told(torch.ones(2), torch.tensor([1.0, float("nan")]))


def test_the_message_never_shows_an_expected_value():
    secret = torch.tensor([0.123456, 0.654321])
    for wrong in (torch.zeros(2), secret + 1, secret * 3, secret.flip(0), torch.zeros(3)):
        assert "12345" not in told(wrong, secret) and "65432" not in told(wrong, secret)


def test_an_object_that_equals_everything_is_not_close():
    class Anything:
        def __eq__(self, other):
            return True

        __hash__ = None

    assert "this should be a tensor" in told(Anything())


def test_options_for_the_callers_pytest_do_not_reach_hidden_tests(monkeypatch):
    monkeypatch.setenv("PYTEST_ADDOPTS", "--no-such-option")
    file = Path(__file__).parents[1] / "hw1" / "hidden" / "test_mlp.py"
    collected = HiddenTests([file])
    assert collected.of(file) and os.environ["PYTEST_ADDOPTS"] == "--no-such-option"
    collected.close()


def test_a_shape_that_is_shown_is_made_of_whole_numbers():
    assert shape_of([2, 3], "x") == (2, 3) and shape_of((), "x") == ()
    for said in ["of_right_layers"], [2.0], [True], [-1], [2**24], [1] * 9, None, "23", 3:
        with pytest.raises(AssertionError, match="not made of whole numbers"):
            shape_of(said, "x")


def test_a_wrong_shape_is_told_where_a_slip_may_have_led_to_it():
    for found in (3, 2), (2, 4), (6,), (), (1, 2, 3), (2, 1):
        assert shape_told(found, (2, 3)) == str(found)
    for found in (0, 16672), (2, 16672), (0, 3), (104, 105), (2, 3, 1, 1):
        assert shape_told(found, (2, 3)) == "another one"
    assert told(torch.zeros(0, 16672)) == f"dW: the shape is another one; it should be {tuple(RIGHT.shape)}."


def test_whatever_lends_right_parts_comes_when_all_else_is_done():
    """Not even a test that runs again may come after it: memory that forks share may keep what was lent."""
    course = open_course(Path(__file__).parents[1])
    suite, told = Suite(course, course.homework("hw1"), "mlp"), []
    names = dict(vars(suite.reference))

    class Linear(suite.reference.Linear):
        def forward(self, x):
            return 2 * super().forward(x)

    names["Linear"] = Linear
    with collected(suite):
        line = lambda _: InProcessLine(dict(names), suite.spec)  # noqa: E731
        found = suite.examine(line, line, announce=told.append)
        prints = suite.prints
        lent = {one.cell for one in prints.values() if one.lends}
    failed = {test.cell for test in found.tests if not test.passed}
    assert lent and failed - lent, "some cells lend and a wrong one does not"
    steps = [prints[name].cell in lent for name in told if name]
    assert steps == sorted(steps) and set(filter(None, told)) == prints.keys()
    assert [test.name for test in found.tests] == list(prints)
