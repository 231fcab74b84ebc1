"""What hidden tests are written with: `draw` repeats itself, `close` says what is wrong and never what is right."""

import time

import pytest
import torch

from autograder.examination.hidden import Draw, close, ten_times

RIGHT = torch.tensor([[1.25, -2.5], [3.75, 0.5]])


def told(actual, expected=RIGHT, **tolerances):
    with pytest.raises(AssertionError) as caught:
        close(actual, expected, "dW", **tolerances)
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


@pytest.mark.parametrize(
    ("actual", "words"),
    [
        (None, "dW should be a tensor, but it is nothing"),
        ("1", "dW should be a tensor, but it is a str"),
        (RIGHT[:1], r"dW has shape (1, 2); it should have (2, 2)."),
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


def test_the_message_never_shows_an_expected_value():
    secret = torch.tensor([0.123456, 0.654321])
    for wrong in (torch.zeros(2), secret + 1, secret * 3, secret.flip(0), torch.zeros(3)):
        assert "12345" not in told(wrong, secret) and "65432" not in told(wrong, secret)


def test_an_object_that_equals_everything_is_not_close():
    class Anything:
        def __eq__(self, other):
            return True

        __hash__ = None

    assert "should be a tensor" in told(Anything())
