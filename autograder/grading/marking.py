"""Marks by hand are brought from the gradebook to a class's results, pages and table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from autograder.course.course import Course, Homework
from autograder.course.roster import open_roster
from autograder.grading import class_run
from autograder.grading.standing import Standing
from autograder.results import gradebook, record


@dataclass(frozen=True)
class Change:
    """A student whose page has changed, with the score before and after."""

    student: str
    before: float
    after: float


@dataclass(frozen=True)
class Again:
    """An answer that has changed since a person marked it."""

    student: str
    notebook: str
    cell: str


@dataclass(frozen=True)
class Marking:
    """What bringing the marks came to."""

    changes: tuple[Change, ...]
    again: tuple[Again, ...]
    waiting: int
    """answers that nobody has marked yet"""
    results: int
    damaged: Mapping[str, str]
    """what is wrong with results that cannot be read, by student"""


def run(course: Course, homework: Homework, out: Path) -> Marking:
    """Bring all marks to the results in `out`. Raises CourseError if there is no gradebook or no result."""
    damaged: dict[str, str] = {}
    old = record.read_all(out, homework.name, damaged)
    if not old and not damaged:
        raise record.none(out, homework.name)
    roster = open_roster(course.root)
    standing = Standing(course, homework, roster)
    changed = gradebook.bring(course, homework, out, roster, standing.late)
    class_run.write_csv(homework, out, standing.absent, roster)
    now = {**old, **changed}
    cells = [
        (student, book.notebook, cell)
        for student, result in now.items()
        for book in result.notebooks
        for cell in book.cells
    ]
    return Marking(
        tuple(Change(student, old[student].score, new.score) for student, new in sorted(changed.items())),
        tuple(Again(student, book, cell.grade_id) for student, book, cell in cells if cell.mark and cell.mark.outdated),
        sum(len(result.waiting) for result in now.values()),
        len(now),
        damaged,
    )
