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
from autograder.results.marks import given
from autograder.results.result import Late, Result
from autograder.results.waiting import Waiting, waiting_in


@dataclass(frozen=True)
class Change:
    """A student whose page has changed, with the score before and after."""

    student: str
    before: float
    after: float
    new: str
    """what has changed, in a few words"""


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
    waiting: Waiting
    """answers without points"""
    results: int
    damaged: Mapping[str, str]
    """what is wrong with results that cannot be read, by student"""
    unread: Mapping[str, str]
    """why a time of submission cannot be read, by its file"""


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
        tuple(_change(old[student], new) for student, new in sorted(changed.items())),
        tuple(Again(student, book, cell.grade_id) for student, book, cell in cells if cell.mark and cell.mark.outdated),
        waiting_in(now.values()),
        len(now),
        damaged,
        standing.unread,
    )


def _change(old: Result, new: Result) -> Change:
    then, now = old.late or Late(due=""), new.late or Late(due="")
    found = {
        "marks or comments": given(old) != given(new),
        "the time of submission": then.submitted != now.submitted,
        "the due date": then.due != now.due,
    }
    what = [name for name, changed in found.items() if changed]
    return Change(new.student, old.score, new.score, ", ".join(what) or "what lateness costs, or the rounding")
