"""Others' text: released text that a student did not get, because its numbers are those of other students."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from autograder.course.course import CourseError, Homework
from autograder.course.master import ADDED_CELLS
from autograder.course.parsing import read_master
from autograder.course.personal import file_of
from autograder.course.personal_release import with_numbers
from autograder.course.release import released
from autograder.submission.match import normal

Texts = Mapping[str, tuple[str, ...]]
"""the texts of released cells that hold a parameter, each with what it says of them: ‘scale = 7’"""


def texts(homework: Homework, notebook: str) -> Texts:
    """Those of one notebook in which at most one parameter is not standard; none if the release is not the master's."""
    declared = [one for one in homework.parameters if one.notebook == notebook]
    if not declared:
        return {}
    standard, book = released(homework, notebook), read_master(homework.personal(()), notebook)
    found: dict[str, dict[str, None]] = {}
    for one in declared:
        for value in one.values:
            numbers = homework.personal(((one.name, value),)).numbers(notebook)
            try:
                own = with_numbers(standard, book, book.personal(numbers))
            except CourseError:  # where students have numbers of their own, grading says so
                return {}
            for before, after in zip(standard.cells, own.cells, strict=True):
                if before.source != after.source and not before.solution and before.id not in ADDED_CELLS:
                    for source, number in ((before.source, one.standard), (after.source, value)):
                        found.setdefault(normal(source), {})[f"{one.name} = {number:g}"] = None
    return {text: tuple(values) for text, values in found.items()}


def strange_numbers(known: Texts, own: Collection[str], cells: Iterable[str]) -> tuple[str, ...]:
    """What is known of the first cell that is others' text, such as ‘scale = 7’; () if there is none.

    `own` are the texts, as `normal` makes them, of the notebook that the student is graded by.
    """
    return next((known[source] for source in map(normal, cells) if source in known and source not in own), ())


def others_text(
    homework: Homework, student: str, notebook: str, known: Texts, own: Collection[str], cells: Iterable[str]
) -> str:
    """What to say of a submitted notebook; '' if there are no `strange_numbers` in it."""
    strange = strange_numbers(known, own, cells)
    if not strange:
        return ""
    return (
        f"{student}'s {notebook} has released text with {', '.join(strange)}, but {file_of(homework).name} does not "
        f"say that {student} was given this."
    )
