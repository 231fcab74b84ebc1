"""Due dates and lateness: in results, and in nbgrader's gradebook.

The gradebook keeps moments in UTC without a zone, an extension with each submission, and a penalty with each notebook,
beside its score, to be taken off (nbgrader documentation, “Late submission plugin” and “nbgrader.api”).
"""

from __future__ import annotations

from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import msgspec

from autograder.course.course import Homework
from autograder.course.dates import Lateness, utc
from autograder.course.late_rules import penalty
from autograder.results.result import Late, Result


def told(lateness: Lateness) -> Late | None:
    """Lateness in the form in which a result has it; None if there is no due date."""
    if lateness.due is None:
        return None
    submitted = lateness.submitted
    return Late(
        due=lateness.due.isoformat(),
        submitted=submitted.astimezone(lateness.due.tzinfo).isoformat() if submitted is not None else "",
        days=lateness.days,
        free_days=lateness.free_days,
        per_cent=lateness.per_cent,
        says=lateness.sentence,
    )


def settled(result: Result) -> Result:
    """The result with the score that counts, from its notebooks' points, its lateness and its rounding."""
    late = result.late
    if late is not None:
        off = sum(penalty(book.score, late.per_cent) for book in result.notebooks)
        late = msgspec.structs.replace(late, penalty=round(off, 4))
    score = round(result.earned - (late.penalty if late is not None else 0.0), 4)
    return msgspec.structs.replace(result, late=late, score=_rounded(score, result.rounding, result.max_score))


def _rounded(score: float, step: float, most: float) -> float:
    """The multiple of `step` next to a score, halves upwards; rounding alone never gives more than `most`."""
    if not step:
        return score
    exact = Decimal(str(step))
    near = float((Decimal(str(score)) / exact).quantize(Decimal(1), ROUND_HALF_UP) * exact)
    return min(near, most) if score <= most else near


def set_due(book: Any, homework: Homework) -> None:
    """Give a registered homework its due date in the gradebook `book`.

    Without `due` in homework.toml, a date that somebody has set in formgrader stays.
    """
    assignment = book.find_assignment(homework.name)
    if homework.due is not None and assignment.duedate != utc(homework.due):
        assignment.duedate = utc(homework.due)
        book.db.commit()


def set_times(submission: Any, homework: Homework, late: Late | None) -> None:
    """Give a submission in the gradebook its moment, if it is known, and the student's extension: the roster's.

    The caller commits.
    """
    if late is None or homework.due is None:
        return
    submission.extension = (utc(datetime.fromisoformat(late.due)) - utc(homework.due)) or None
    if late.submitted:
        submission.timestamp = utc(datetime.fromisoformat(late.submitted))


def record_penalty(book: Any, submission: Any, homework: Homework, late: Late | None) -> None:
    """Write what lateness costs to each notebook of a submission, from its score in the gradebook `book` now.

    A mark by hand changes the score, so this has to be done again after marking. Without a due date the penalties stay
    as they are. The caller commits.
    """
    if late is None or homework.due is None:
        return
    set_times(submission, homework, late)
    book.db.flush()
    for notebook in submission.notebooks:
        book.db.refresh(notebook, ["score"])  # the database adds it up, and only when it is asked
        off = penalty(notebook.score or 0.0, late.per_cent) or None  # None is nbgrader's own word for no penalty
        if notebook.late_submission_penalty != off:
            notebook.late_submission_penalty = off
