"""Fitting: whether an answer that is wrong for a student's own parameters is right for those of classmates.

It is read from the transcript; no student code runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from autograder.course.course import Homework
from autograder.course.parameters import Values
from autograder.course.personal import given
from autograder.examination.personal_suite import personal_suite
from autograder.examination.recording import no_line
from autograder.examination.suite import Suite
from autograder.grading.explanation import Examined
from autograder.grading.transcription import recorded_in
from autograder.results.result import CellResult
from autograder.results.transcript import NotebookRecord


@dataclass(frozen=True)
class Fit:
    """An exercise whose answer fails with the student's own numbers, and earns everything with those of others."""

    notebook: str
    cell: str
    """its grade_id"""
    values: Values
    """the others' parameters, where they are not standard"""
    students: tuple[str, ...]
    """who was given these: ids, pseudonyms and teams, as hw1.parameters.csv has them"""


class Fitting:
    """Compares the answers of one student after the other with the numbers of all classmates."""

    def __init__(self, suites: Mapping[str, Suite]) -> None:
        """`suites` are those of the standard homework, collected."""
        self._suites = suites
        self._personal: dict[tuple[str, Values], Suite] = {}

    def fits(self, kept: Examined) -> tuple[Fit, ...]:
        """For each failed exercise, the numbers of classmates with which the same answers would earn everything.

        `kept` is what `explanation.opened` gives for the student. Where a test asks for answers that it did not ask for
        then, nothing is said. Raises Unusable if the transcript is damaged, and CourseError if the file that says who
        was given what is.
        """
        rows = given(kept.homework)
        if rows is None:
            return ()
        others = {values for _, values in rows.rows.values()} - {kept.homework.values}
        return tuple(
            Fit(book.notebook, cell.grade_id, values, rows.having(values))
            for book, cell in kept.chosen("")
            if (note := kept.transcript.notebook(book.notebook)) is not None and book.notebook in self._suites
            for mine in (self._with(kept.homework, book.notebook),)
            for values in sorted(others)
            if _fits(cell, note, kept, mine, self._with(kept.homework.personal(values), book.notebook))
        )

    def _with(self, homework: Homework, notebook: str) -> Suite:
        place = notebook, homework.values
        if place not in self._personal:
            self._personal[place] = personal_suite(self._suites[notebook], homework)
        return self._personal[place]


def _fits(cell: CellResult, note: NotebookRecord, kept: Examined, mine: Suite, suite: Suite) -> bool:
    """Whether all tests of an exercise would pass with another suite's numbers, on what was recorded."""
    own = {name for name, print_ in suite.prints.items() if print_.cell == cell.grade_id}
    if all(suite.prints[name] == mine.prints.get(name) for name in own):  # they do not look at the numbers
        return False
    cells = suite.together({cell.grade_id})
    names = {name for name, print_ in suite.prints.items() if print_.cell in cells}
    recorded = recorded_in(note, kept.transcript.body.blobs, names)
    found = suite.examine(no_line, no_line, content=note.content, cells=cells, replayed=recorded)
    passed = {test.name for test in found.tests if test.passed} - found.unknown
    return own <= passed
