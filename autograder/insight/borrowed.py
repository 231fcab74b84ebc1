"""Borrowed answers: wrong with the numbers that a student was given, and right with those of classmates."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from autograder.course.course import Course, CourseError, Homework
from autograder.course.personal import given, row_key
from autograder.examination.suite import Suite, collected
from autograder.grading import explanation
from autograder.grading.fitting import Fitting
from autograder.results import record
from autograder.results.transcript import Unusable

_NAMED = 5
"""classmates who are named"""


@dataclass(frozen=True)
class Borrowed:
    """One exercise of one student."""

    student: str
    exercise: tuple[str, str]
    """the notebook, and the exercise's grade_id"""
    classmates: tuple[str, ...]
    """who handed in, too, and was given the numbers with which the answer is right"""

    @property
    def says(self) -> str:
        """It in a sentence."""
        who = ", ".join(self.classmates[:_NAMED])
        more = len(self.classmates) - _NAMED
        others = f" and {more} others" if more > 0 else ""
        place = "/".join(self.exercise)
        wrong = f"{self.student}'s answer to {place} is wrong with {self.student}'s own numbers"
        return f"{wrong}, and right with those of {who}{others}."


def of_class(course: Course, homework: Homework, out: Path) -> tuple[Borrowed, ...]:
    """All borrowed answers of a class, from its results and transcripts in `out`; no student's code runs.

    There are none where everybody has the standard numbers. Who has no transcript is left out. Raises CourseError if
    the course's own files cannot be read.
    """
    if given(homework) is None:
        return ()
    suites = {spec.name: Suite(course, homework, spec.name) for spec in homework.notebooks}
    with collected(*suites.values()):
        return tuple(_found(course, homework, out, Fitting(suites)))


def _found(course: Course, homework: Homework, out: Path, fitting: Fitting) -> Iterator[Borrowed]:
    handed_in = record.students(out, homework.name)
    for student in handed_in:
        try:
            fits = fitting.fits(explanation.opened(course, homework, out, student))
        except (CourseError, Unusable):
            continue
        for place in dict.fromkeys((fit.notebook, fit.cell) for fit in fits):
            given_to = {row_key(one) for fit in fits if (fit.notebook, fit.cell) == place for one in fit.students}
            if classmates := tuple(one for one in handed_in if row_key(one) in given_to):
                yield Borrowed(student, place, classmates)
