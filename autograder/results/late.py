"""Due dates, times of submission and late penalties in nbgrader's gradebook.

The gradebook keeps moments in UTC without a zone, an extension with each submission, and a penalty with each notebook,
beside its score, to be taken off (nbgrader documentation, “Late submission plugin” and “nbgrader.api”).
"""

from __future__ import annotations

from typing import Any

from autograder.course.course import Homework
from autograder.course.dates import Lateness, utc


def set_due(book: Any, homework: Homework) -> None:
    """Give a registered homework its due date in the gradebook `book`.

    Without `due` in homework.toml, a date that somebody has set in formgrader stays.
    """
    assignment = book.find_assignment(homework.name)
    if homework.due is not None and assignment.duedate != utc(homework.due):
        assignment.duedate = utc(homework.due)
        book.db.commit()


def set_times(submission: Any, lateness: Lateness) -> None:
    """Give a submission in the gradebook its moment, if it is known, and the student's extension: the roster's.

    The caller commits.
    """
    if lateness.due is None:
        return
    submission.extension = lateness.extension or None
    if lateness.submitted is not None:
        submission.timestamp = utc(lateness.submitted)


def record_penalty(book: Any, submission: Any, lateness: Lateness) -> float:
    """Write what lateness costs to each notebook of a submission, from its score in the gradebook `book` now.

    A mark by hand changes the score, so this has to be done again after marking. Without a due date the penalties stay
    as they are. Returns the sum. The caller commits.
    """
    if lateness.due is None:
        return sum(notebook.late_submission_penalty or 0.0 for notebook in submission.notebooks)
    set_times(submission, lateness)
    book.db.flush()
    total = 0.0
    for notebook in submission.notebooks:
        book.db.refresh(notebook, ["score"])  # the database adds it up, and only when it is asked
        penalty = lateness.penalty(notebook.score or 0.0)
        notebook.late_submission_penalty = penalty or None  # None is nbgrader's own word for no penalty
        total += penalty
    return round(total, 4)
