"""Fitting: whether an answer that is wrong for a student's own parameters is right for those of classmates.

It is read from the transcript; no student code runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

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


def fits(kept: Examined, suites: Mapping[str, Suite]) -> tuple[Fit, ...]:
    """For each failed exercise, the numbers of classmates with which the same answers would earn everything.

    `kept` is what `explanation.opened` gives for the student. `suites` are those of the standard homework, collected.
    Where a test asks for answers that it did not ask for then, nothing is said. Raises Unusable if the transcript is
    damaged, and CourseError if the file that says who was given what is.
    """
    rows = given(kept.homework)
    if rows is None:
        return ()
    others = {values for _, values in rows.rows.values()} - {kept.homework.values}
    return tuple(
        Fit(book.notebook, cell.grade_id, values, rows.having(values))
        for book, cell in kept.chosen("")
        if (note := kept.transcript.notebook(book.notebook)) is not None and book.notebook in suites
        for values in sorted(others)
        if _fits(cell, note, kept, personal_suite(suites[book.notebook], kept.homework.personal(values)))
    )


def _fits(cell: CellResult, note: NotebookRecord, kept: Examined, suite: Suite) -> bool:
    """Whether all tests of an exercise would pass with another suite's numbers, on what was recorded."""
    own = {name for name, print_ in suite.prints.items() if print_.cell == cell.grade_id}
    if not own or dict(suite.master.numbers) == kept.homework.numbers(note.notebook):
        return False
    cells = suite.together({cell.grade_id})
    names = {name for name, print_ in suite.prints.items() if print_.cell in cells}
    recorded = recorded_in(note, kept.transcript.body.blobs, names)
    found = suite.examine(no_line, no_line, content=note.content, cells=cells, replayed=recorded)
    passed = {test.name for test in found.tests if test.passed} - found.unknown
    return own <= passed
