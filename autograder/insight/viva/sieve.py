"""The sieve: which questions are left out, and which of the others one student is asked."""

from __future__ import annotations

import ast
import dataclasses
import random
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import lru_cache

from autograder.course import nodes
from autograder.insight.viva.questions import LEAST_WRONG, MOST_WRONG, Question

ENOUGH = 5
"""questions about one notebook"""
_FAIR = 45
"""lines of code that one notebook's sheet shows, if there are enough questions about so few"""


def sieved(questions: Sequence[Question], texts: str, checks: str, own: str = "") -> list[Question]:
    """Those whose answer no text of the course gives, nor a check a value; with the wrong answers that are wrong.

    Nor does `own`, the student's code without spaces, where a comment may say a shape.
    """
    found = []
    for one in questions:
        right = _plain(one.right)
        if one.kind in ("result", "shape", "value", "round") and len(right) > 2 and right in own:
            continue
        if one.kind in ("result", "shape") and right in texts:
            continue
        if one.kind in ("value", "round") and len(right) > 3 and right in texts:
            continue
        if one.kind == "result" and any(_plain(part) in checks for part in (one.right, *_long_parts(one.right))):
            continue
        wrong = distinct(one.right, one.wrong)[:MOST_WRONG]
        if len(wrong) >= LEAST_WRONG:
            found.append(dataclasses.replace(one, wrong=tuple(wrong)))
    return found


def distinct(right: str, wrong: Iterable[str]) -> list[str]:
    """The wrong answers that differ in value from the right one, and from each other."""
    taken, found = {value_of(right)}, []
    for one in wrong:
        if (value := value_of(one)) not in taken:
            taken.add(value)
            found.append(one)
    return found


def says(setting: str, answer: str) -> bool:
    """Whether the line of a check that a question quotes gives the answer, in whatever spelling."""
    asserts, values, truths = _said(setting)
    if answer in ("True", "False"):
        return asserts or (answer == "True") in truths
    return value_of(answer) in values


@lru_cache(512)
def _said(setting: str) -> tuple[bool, frozenset[object], frozenset[bool]]:
    """Of a quoted line: whether it only asserts a call, and the values in it. The course's lines are quoted often."""
    try:
        tree = ast.parse(setting.partition(": ")[2].rstrip(":"))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False, frozenset(), frozenset()
    values, truths = set(), set()
    for node in nodes.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, bool):
            truths.add(node.value)
        if isinstance(node, ast.Constant | ast.Tuple | ast.List | ast.UnaryOp):
            with suppress(ValueError, OverflowError):
                values.add(_value(node))
    match tree.body:
        case [ast.Assert(test=ast.Call() | ast.UnaryOp(op=ast.Not(), operand=ast.Call()))]:
            return True, frozenset(values), frozenset(truths)
    return False, frozenset(values), frozenset(truths)


def value_of(text: str) -> object:
    """What two answers that mean the same have in common: 0.5 and 1/2, 2 and 2.0, (3,) and ( 3, )."""
    try:
        tree = ast.parse(text.replace("tensor(", "(").replace("array(", "("), mode="eval")
        return _value(tree.body)
    except (SyntaxError, ValueError, ZeroDivisionError, OverflowError, RecursionError):
        return "".join(text.split())


def _value(node: ast.expr) -> object:
    match node:
        case ast.Constant(value=None | str() as value):
            return repr(value)
        case ast.Constant(value=int() | float() as value):  # True is 1
            return float(f"{float(value):.6g}") + 0.0
        case ast.UnaryOp(op=ast.USub(), operand=operand) if isinstance(number := _value(operand), float):
            return -number + 0.0
        case ast.BinOp(left=left, op=ast.Div(), right=right):
            over, under = _value(left), _value(right)
            if isinstance(over, float) and isinstance(under, float):
                return float(f"{over / under:.6g}") + 0.0
        case ast.Tuple(elts=elts):
            return "tuple", tuple(map(_value, elts))
        case ast.List(elts=elts):
            return "list", tuple(map(_value, elts))
        case ast.Name(id=name):
            return name
    raise ValueError("no plain value")


def _plain(text: str) -> str:
    """A value as a text may give it: without spaces, and without the word tensor."""
    return re.sub(r"\s|tensor\(|array\(|^\(|\)$", "", text)


def _long_parts(text: str) -> list[str]:
    """The tensors in an answer of several parts."""
    return [part for part in re.findall(r"\[[^a-z]*\]", text) if part.count(",") > 1]


def plain_text(text: str) -> str:
    return re.sub(r"\s", "", text)


def chosen(questions: Sequence[Question], most: int = ENOUGH) -> list[Question]:
    """Questions for one student: good ones, of many kinds, about few lines of code; earlier ones before later ones.

    The same is asked of two calls only if there is nothing else, and if the answers differ.
    """
    left = list(questions)
    found: list[Question] = []
    while left and len(found) < most:
        kinds, functions = Counter(one.kind for one in found), Counter(one.function for one in found)
        places = Counter((one.cell, one.about.line, one.kind) for one in found)
        shown = {(one.cell, one.first): one.last - one.first + 1 for one in found}

        def cost(one: Question) -> tuple[int, bool]:
            lines = 0 if (one.cell, one.first) in shown else one.last - one.first + 1  # noqa: B023
            full = sum(shown.values()) + lines > _FAIR  # noqa: B023
            often = places[(one.cell, one.about.line, one.kind)]  # noqa: B023
            same = 8 * often + 2 * kinds[one.kind] + functions[one.function]  # noqa: B023
            return same + 6 * one.poor, full

        best = min(left, key=cost)
        left = [one for one in left if one is not best and (one.id, one.right) != (best.id, best.right)]
        found.append(best)
    return found


def ordered(questions: Sequence[Question], rng: random.Random) -> list[Question]:
    """The questions with their answers in an order that tells nothing."""
    return [dataclasses.replace(one, at=rng.randrange(len(one.wrong) + 1)) for one in questions]
