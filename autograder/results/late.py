"""Due dates and lateness: in results, and in nbgrader's gradebook.

The gradebook keeps moments in UTC without a zone, an extension with each submission, and a penalty with each notebook,
beside its score, to be taken off (nbgrader documentation, “Late submission plugin” and “nbgrader.api”).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import msgspec

from autograder.course.course import Homework
from autograder.course.dates import Lateness, utc
from autograder.course.late_rules import penalty
from autograder.results import rows
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
    if (found := times(homework, late)) is None:
        return
    submission.extension, moment = found
    if moment is not None:
        submission.timestamp = moment


def times(homework: Homework, late: Late | None) -> tuple[timedelta | None, datetime | None] | None:
    """The extension and the moment of a submission as the gradebook has them; None if there is no due date."""
    if late is None or homework.due is None:
        return None
    extension = utc(datetime.fromisoformat(late.due)) - utc(homework.due)
    return extension or None, utc(datetime.fromisoformat(late.submitted)) if late.submitted else None


def record_penalties(book: Any, homework: Homework, lateness: Mapping[str, Late | None]) -> None:
    """Write when students handed in, and what that costs for each notebook, from its score in the gradebook `book` now.

    A mark by hand changes the score, so this has to be done again after marking. Without a due date the penalties stay
    as they are. The caller commits.
    """
    if homework.due is None:
        return
    from nbgrader.api import SubmittedAssignment, SubmittedNotebook
    from sqlalchemy import update

    book.db.flush()
    one = next(iter(lateness)) if len(lateness) == 1 else None
    scores = rows.earned(book, homework, one)
    moments: dict[str, dict[str, object]] = {}
    costs: list[dict[str, object]] = []
    for row in rows.handed_in(book, homework, one):
        late = lateness.get(row.student)
        if (found := times(homework, late)) is None or late is None:
            continue
        extension, moment = found[0], found[1] or row.timestamp
        if (extension, moment) != (row.extension, row.timestamp):
            moments[row.submission] = {"id": row.submission, "extension": extension, "timestamp": moment}
        off = owed(scores.get(row.notebook, 0.0), late)
        if off != row.penalty:
            costs.append({"id": row.notebook, "late_submission_penalty": off})
    for table, changes in ((SubmittedAssignment, list(moments.values())), (SubmittedNotebook, costs)):
        if changes:
            book.db.execute(update(table), changes)


def owed(score: float, late: Late | None) -> float | None:
    """What is taken off a notebook's score in the gradebook; None is nbgrader's own word for nothing."""
    return (penalty(score, late.per_cent) or None) if late is not None else None
