"""Guessing: an answer of a few possible ones may be given once, although a failed test is asked again."""

from __future__ import annotations

import ast
import functools
import math
import re
from collections.abc import Sequence
from typing import Any

from autograder.examination.recording import Exchange
from autograder.sandbox.wire.messages import Call, Get, Question, Returned, Run, source_of
from autograder.sandbox.wire.values import Array, Dict, List, Ref, Tensor, Tuple, from_wire

WHY = (
    "Your notebook answers this question differently when it is asked twice: after the exercise's check, and at the "
    "end of the notebook. Give one answer."
)
_LAMBDA = re.compile(r"lambda: \w+")
"""harness code that makes a function which looks a name up"""
_PLAIN_METHODS = {"items", "strip", "upper", "lower"}
_READERS = {
    *("abs", "all", "any", "bool", "dict", "enumerate", "float", "frozenset", "hasattr", "int", "isinstance", "len"),
    *("list", "max", "min", "range", "repr", "reversed", "round", "set", "sorted", "str", "sum", "tuple"),
    *("type", "zip"),
}
"""functions of Python's that only read what they are given"""
_SMALL = 20
"""whole numbers up to this can be guessed"""
_FEW = 16
"""entries up to which small numbers can be guessed"""
_PLAIN = {-2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0}
"""real numbers that can be guessed"""


def guessed(first: Sequence[Exchange], second: Sequence[Exchange], functions: bool) -> bool:
    """Whether the two runs of a test got different answers to the same question, both of which could be guesses.

    What a computation gives cannot be guessed, and may differ for good reasons: an earlier test may have left
    something behind. Without `functions`, only the values of names are compared, also where a harness reads them.
    """
    names: set[int] = set()  # functions that look a name up
    for (question, answer), (again, other) in zip(first, second, strict=False):
        if not _same(question, again):
            return False
        if not (isinstance(answer, Returned) and isinstance(other, Returned)):
            continue
        if isinstance(question, Run) and _LAMBDA.fullmatch(source_of(question.code)) and isinstance(answer.value, Ref):
            names.add(answer.value.number)
        if (functions or _of_names(question, names)) and _differ(answer.value, other.value):
            return True
    return False


def _differ(one: Any, other: Any) -> bool:
    """Whether two answers differ in something that could be guessed, wherever it stands in them.

    What only one of them has counts if both could be guessed as a whole: lists and dictionaries may grow.
    """
    match one, other:
        case (List(items) | Tuple(items), List(others) | Tuple(others)) if len(items) == len(others):
            return any(map(_differ, items, others))
    whole = _guessable(one) and _guessable(other)
    mine, theirs = _entries(one), _entries(other)
    if mine is not None and theirs is not None:
        return _entries_differ(mine, theirs) or (whole and mine.keys() != theirs.keys())
    match one, other:
        case (List(items) | Tuple(items), List(others) | Tuple(others)) if any(map(_differ, items, others)):
            return True
    if not whole:
        return False
    first, second = (from_wire(value, lambda ref: ref.kind) for value in (one, other))
    return repr(first) != repr(second)


def _entries(value: Any) -> dict[str, tuple[Any, Any]] | None:
    """The keys and values of a dictionary, or of a list of pairs that could be one; None for anything else."""
    match value:
        case Dict(pairs):
            return {repr(key): (key, item) for key, item in pairs}
        case List(items) | Tuple(items):
            twos = [item.items for item in items if isinstance(item, List | Tuple) and len(item.items) == 2]
            found = {repr(key): (key, item) for key, item in twos}
            return found if len(found) == len(items) else None
        case _:
            return None


def _entries_differ(mine: dict[str, tuple[Any, Any]], theirs: dict[str, tuple[Any, Any]]) -> bool:
    """Whether something under a common key differs, or each has an entry that could be guessed and the other lacks."""
    if any(_differ(mine[key][1], theirs[key][1]) for key in mine.keys() & theirs.keys()):
        return True
    lacking = [mine[key] for key in mine.keys() - theirs.keys()], [theirs[key] for key in theirs.keys() - mine.keys()]
    return all(any(_guessable(key) and (item is None or _guessable(item)) for key, item in part) for part in lacking)


def _of_names(question: Question, names: set[int]) -> bool:
    """Whether a question asks for the value of a name, by itself or through one of the objects `names`."""
    match question:
        case Run(code=code):
            return _looks_up(source_of(code))
        case Call(target=target, args=arguments):
            given = [argument.number for argument in arguments if isinstance(argument, Ref)]
            return not names.isdisjoint([target, *given])
        case _:
            return isinstance(question, Get)


@functools.lru_cache(maxsize=256)
def _looks_up(code: str) -> bool:
    """Whether harness code calls no function of the notebook's: what it gives is the value of a name."""
    for node in ast.walk(ast.parse(code)):
        match node:
            case ast.Call(func=ast.Name(name), keywords=keywords) if name != "__import__":
                if name not in _READERS or any(keyword.arg in ("key", None) for keyword in keywords):  # a key is called
                    return False
            case ast.Call(func=ast.Attribute(value=of, attr=method)):
                if method not in _PLAIN_METHODS and not (isinstance(of, ast.Name) and of.id == "b"):
                    return False
            case ast.FunctionDef() | ast.ClassDef():
                return False
    return True


def _same(question: Question, other: Question) -> bool:
    """Whether two questions differ in nothing but their nonce, and in how the student's process calls its objects."""
    kinds = type(question), type(other)
    names = [name for name in question.__struct_fields__ if name not in ("nonce", "target")]
    return kinds[0] is kinds[1] and all(_bare(getattr(question, name)) == _bare(getattr(other, name)) for name in names)


def _bare(value: Any) -> Any:
    match value:
        case Ref():
            return "object"
        case list() | tuple():
            return [_bare(item) for item in value]
        case dict():
            return {key: _bare(item) for key, item in value.items()}
        case List(items) | Tuple(items):
            return type(value).__name__, _bare(items)
        case Dict(pairs):
            return "dict", _bare(pairs)
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
