"""The audit of personal parameters: what students with other numbers get is graded as the standard homework is."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from autograder.constants import SEED
from autograder.course.course import Course, Homework
from autograder.course.mistakes import mistakes
from autograder.course.parameters import Parameter, Values
from autograder.course.parsing import read_master
from autograder.course.personal import normal
from autograder.proving.audit import audit

_MOST_COMBINATIONS = 100_000
"""with more of them, they are drawn one by one"""


@dataclass(frozen=True)
class Audited:
    """One notebook with one set of values."""

    notebook: str
    values: str
    """as text: scale = 3"""
    solutions: int
    """right answers that were tested, the master among them"""
    mistakes: int
    wrong: tuple[str, ...]
    """what is wrong, in sentences"""


def personal_audit(
    course: Course, homework: Homework, notebooks: Sequence[str] | None = None, most: int = 200, seed: int = SEED
) -> Iterator[Audited]:
    """Audit the notebooks that have parameters with `most` different values, or with all that there are.

    The master and the alternatives must earn all points, the untouched release none. Of the known mistakes those are
    tested that the values change: in whose text or whose cell they stand. The others are the same for everybody, and
    the ordinary audit tests them. Tests that take a training run are left out.
    """
    for spec in homework.notebooks:
        declared = [one for one in homework.parameters if one.notebook == spec.name]
        if declared and (notebooks is None or spec.name in notebooks):
            for values in _sampled(declared, most, seed):
                yield _audited(course, homework.personal(values), spec.name)


def row(one: Audited) -> str:
    """A row of a text table, and below it what is wrong."""
    said = "as it should be" if not one.wrong else f"{len(one.wrong)} findings"
    tested = f"{one.solutions} right answers, the untouched release, {one.mistakes} mistakes"
    lines = [f"{one.notebook}: {one.values}  {tested}: {said}", *(f"    wrong: {text}" for text in one.wrong)]
    return "\n".join(lines)


def _audited(course: Course, homework: Homework, notebook: str) -> Audited:
    touched = _touched(homework, notebook)
    rows = audit(course, homework, [notebook], trained=0, only=touched)
    numbers = ", ".join(f"{name} = {value}" for name, value in homework.numbers(notebook).items())
    kinds = [row.kind for row in rows]
    wrong = tuple(f"{row.kind} {row.name}: {text}" for row in rows for text in row.wrong)
    return Audited(notebook, numbers, kinds.count("master") + kinds.count("alternative"), kinds.count("mistake"), wrong)


def _touched(homework: Homework, notebook: str) -> frozenset[str]:
    """The ids of the known mistakes whose text, or whose cell, has a parameter in it."""
    marked = {cell.id for cell in read_master(homework.personal(()), notebook).cells if cell.marked}
    other = homework.personal(
        tuple((one.name, one.standard + 1.5) for one in homework.parameters if one.notebook == notebook)
    )
    pairs = zip(mistakes(homework.personal(()), notebook), mistakes(other, notebook), strict=True)
    return frozenset(before.id for before, after in pairs if before != after or before.cell in marked)


def _sampled(declared: Sequence[Parameter], most: int, seed: int) -> Iterator[Values]:
    """Different values of these parameters, in an order of their own."""
    lists = [one.values for one in declared]
    count = 1
    for values in lists:
        count *= len(values)
    names = [one.name for one in declared]
    draw = random.Random(seed)
    if count <= _MOST_COMBINATIONS:
        every = list(itertools.product(*lists))
        chosen = every if count <= most else draw.sample(every, most)
    else:
        drawn = (tuple(draw.choice(values) for values in lists) for _ in range(2 * most))
        chosen = list(dict.fromkeys(drawn))[:most]
    for values in chosen:
        yield normal(declared, dict(zip(names, values, strict=True)))
