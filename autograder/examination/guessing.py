"""Guessing: an answer of a few possible ones may be given once, although a failed test is asked again."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from autograder.examination.recording import Exchange
from autograder.sandbox.wire.messages import Get, Question, Returned
from autograder.sandbox.wire.values import Array, Dict, List, Ref, Tensor, Tuple, from_wire

WHY = (
    "Your notebook answers this question differently when it is asked twice: after the exercise's check, and at the "
    "end of the notebook. Give one answer."
)
_SMALL = 20
"""whole numbers up to this can be guessed"""
_FEW = 16
"""entries up to which small numbers can be guessed"""
_PLAIN = {-2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0}
"""real numbers that can be guessed"""


def guessed(first: Sequence[Exchange], second: Sequence[Exchange], functions: bool) -> bool:
    """Whether the two runs of a test got different answers to the same question, both of which could be guesses.

    What a computation gives cannot be guessed, and may differ for good reasons: an earlier test may have left
    something behind. Without `functions`, only the values of names are compared.
    """
    for (question, answer), (again, other) in zip(first, second, strict=False):
        if not _same(question, again):
            return False
        if not (isinstance(answer, Returned) and isinstance(other, Returned)):
            continue
        if (functions or isinstance(question, Get)) and _guessable(answer.value) and _guessable(other.value):
            one, two = (from_wire(reply.value, lambda ref: ref.kind) for reply in (answer, other))
            if repr(one) != repr(two):
                return True
    return False


def _same(question: Question, other: Question) -> bool:
    """Whether two questions differ in nothing but their nonce."""
    kinds = type(question), type(other)
    names = [name for name in question.__struct_fields__ if name != "nonce"]
    return kinds[0] is kinds[1] and all(_bare(getattr(question, name)) == _bare(getattr(other, name)) for name in names)


def _bare(value: Any) -> Any:
    """The value without what objects call their classes, which may differ each time."""
    match value:
        case Ref(number):
            return "object", number
        case list():
            return [_bare(item) for item in value]
        case dict():
            return {key: _bare(item) for key, item in value.items()}
        case List(items) | Tuple(items):
            return type(value).__name__, [_bare(item) for item in items]
        case Dict(pairs):
            return "dict", [(_bare(key), _bare(item)) for key, item in pairs]
        case _:
            return value


def _guessable(value: Any) -> bool:
    match value:
        case bool() | str():
            return True
        case int():
            return abs(value) <= _SMALL
        case float():
            return value in _PLAIN
        case List(items) | Tuple(items):
            return all(map(_guessable, items))
        case Dict(pairs):
            return all(_guessable(key) and _guessable(item) for key, item in pairs)
        case Tensor() | Array():
            if math.prod(value.shape) > _FEW:
                return False
            return all(map(_guessable, from_wire(value, lambda ref: ref).flatten().tolist()))
        case _:  # nothing (None) is no guess, and neither is an object
            return False
