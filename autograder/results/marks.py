"""What a person decided in formgrader – points, extra credit, comments – in the results, for pages and tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from autograder.course.course import Homework
from autograder.course.release import released
from autograder.course.roster import Roster
from autograder.results import late, record, rows
from autograder.results.result import CellResult, Late, Mark, Result

Marks = Mapping[tuple[str, str], Mark]
"""the marks of one student, by notebook and grade cell"""
Exercises = Mapping[str, Mapping[str, str]]
"""for each notebook, the grade cell at which a comment on each cell is shown"""
LateOf = Callable[[str, Late | None], Late | None]
"""how late a student is by the settings and timestamps of now, given what the result says"""


def of_class(book: Any, homework: Homework, places: Exercises, student: str | None = None) -> dict[str, Marks]:
    """All that persons decided on a homework, by student, from nbgrader's gradebook `book`; only one student's, if
    asked for. `places` is what `exercises` gives.
    """
    found: dict[str, dict[tuple[str, str], Mark]] = {}
    for one in rows.decided(book, homework, student):
        marks = found.setdefault(one.student, {})
        if one.comment:
            place = one.notebook, places.get(one.notebook, {}).get(one.cell, "")
            if place[1]:
                mark = marks.get(place, Mark())
                text = "\n\n".join(filter(None, (mark.comment, one.comment)))
                marks[place] = msgspec.structs.replace(mark, comment=text)
        else:
            outdated = one.points is not None and one.again
            marks[one.notebook, one.cell] = Mark(points=one.points, extra=one.extra, outdated=outdated)
    return {student: marks for student, marks in found.items() if marks}


def exercises(homework: Homework) -> Exercises:
    """For each notebook, the grade cell at which a comment on each cell is shown."""
    return {spec.name: _exercises(homework, spec.name) for spec in homework.notebooks}


def applied(result: Result, marks: Marks) -> Result:
    """The result with these marks, in place of those that it has."""
    books = []
    for book in result.notebooks:
        cells = tuple(_marked(_unmarked(cell), marks.get((book.notebook, cell.grade_id))) for cell in book.cells)
        books.append(msgspec.structs.replace(book, cells=cells, score=total(cells)))
    return late.settled(msgspec.structs.replace(result, notebooks=tuple(books)))


def unmarked(result: Result) -> Result:
    """The result as the hidden tests alone decide."""
    return applied(result, {})


def total(cells: Sequence[CellResult]) -> float:
    """The points of these cells together; a cell that nobody has marked yet counts 0."""
    return round(sum(cell.earned or 0.0 for cell in cells), 4)


@dataclass(frozen=True)
class Before:
    """What a student's result said before it was graded again."""

    answers: Mapping[tuple[str, str], str] = field(default_factory=dict)
    """digest of each answer, by notebook and grade cell: what marks in the gradebook are for"""
    marks: Marks = field(default_factory=dict)


def before(out: Path, homework: Homework) -> dict[str, Before]:
    """What the results in `out` say, by student."""
    return {student: _before(result) for student, result in record.each(out, homework.name)}


def _before(result: Result) -> Before:
    answers = {(book.notebook, cell.grade_id): cell.answer for book in result.notebooks for cell in book.cells}
    return Before(answers, given(result))


def given(result: Result) -> Marks:
    """The marks that a result has."""
    cells = {(book.notebook, cell.grade_id): cell for book in result.notebooks for cell in book.cells}
    return {place: cell.mark for place, cell in cells.items() if cell.mark is not None}


def restore(submission: Any, places: Exercises, marks: Marks) -> None:
    """Write marks into the gradebook, for a submission that has none there. The caller commits."""
    for notebook in submission.notebooks:
        comments = {comment.name: comment for comment in notebook.comments}
        for grade in notebook.grades:
            mark = marks.get((notebook.name, grade.name))
            if mark is None:
                continue
            grade.manual_score, grade.extra_credit = mark.points, mark.extra or None
            grade.needs_manual_grade = mark.outdated or (mark.points is None and grade.auto_score is None)
            shown = places.get(notebook.name, {}).items()
            at = next((name for name, exercise in shown if exercise == grade.name and name in comments), "")
            if mark.comment and at:
                comments[at].manual_comment = mark.comment


def share(book: Any, homework: Homework, out: Path, roster: Roster) -> None:
    """Give the members of a group, who handed in the same answer, the mark that one of them has got.

    Points and comment count for each member; extra credit is for one. Who has a mark keeps it; where members' marks
    differ, no one else gets one. The caller commits.
    """
    if not any(known.group for known in roster.enrolled):
        return
    groups: dict[str, list[str]] = {}
    answers: dict[str, Mapping[tuple[str, str], str]] = {}
    for student, result in record.each(out, homework.name):
        if (known := roster.get(student)) and known.group:
            groups.setdefault(known.group, []).append(student)
            answers[student] = _before(result).answers
    places = exercises(homework)
    found, submissions = of_class(book, homework, places), _submissions(book, homework)
    members = [(one, team) for team in groups.values() for one in team if one in submissions]
    for student, team in members:
        mates = [one for one in team if one != student]
        given: dict[tuple[str, str], Mark] = {}
        for place, answer in answers[student].items():
            theirs = [
                found[mate][place]
                for mate in mates
                if place in found.get(mate, {}) and answers[mate].get(place) == answer
            ]
            marks = {(mark.points, mark.comment) for mark in theirs if not mark.outdated and mark.points is not None}
            if answer and len(marks) == 1 and place not in found.get(student, {}):
                points, comment = marks.pop()
                given[place] = Mark(points=points, comment=comment)
        restore(submissions[student], places, given)


def bring(
    book: Any, homework: Homework, out: Path, roster: Roster | None = None, lateness: LateOf | None = None
) -> dict[str, Result]:
    """Bring all marks to the results and pages below `out`, and what lateness costs then to results and gradebook.

    Returns the results that changed, by student. A result that cannot be read stays as it is. Without `lateness`,
    everybody handed in when the result says so.
    """
    if roster is not None:
        share(book, homework, out, roster)
        book.db.flush()
    found, there = of_class(book, homework, exercises(homework)), rows.entered(book, homework)
    changed = {}
    lates: dict[str, Late | None] = {}
    for student, old in record.each(out, homework.name):
        then = lateness(student, old.late) if lateness is not None else old.late
        now = msgspec.structs.replace(old, late=then, rounding=homework.rounding)
        new = applied(now, found.get(student, {}) if student in there else _before(old).marks)
        if new != old:
            known = roster.get(student) if roster else None
            record.write(new, out, name=known.name if known else "")
            changed[student] = new
        if student in there and new.late is not None:
            lates[student] = new.late
    late.record_penalties(book, homework, lates)
    if there:
        late.set_due(book, homework)
    book.db.commit()
    return changed


def _submissions(book: Any, homework: Homework) -> dict[str, Any]:
    """The submissions of a homework in the gradebook, by student."""
    from nbgrader.api import MissingEntry

    try:
        return {one.student.id: one for one in book.find_assignment(homework.name).submissions}
    except MissingEntry:
        return {}


def _exercises(homework: Homework, notebook: str) -> dict[str, str]:
    """The grade cell at which a comment on each cell is shown: itself, or the next one below."""
    found: dict[str, str] = {}
    waiting: list[str] = []
    for cell in released(homework, notebook).cells:
        if cell.grade or cell.task:
            found |= dict.fromkeys([*waiting, cell.grade_id], cell.grade_id)
            waiting = []
        elif cell.solution:
            waiting.append(cell.grade_id)
    return found


def _unmarked(cell: CellResult) -> CellResult:
    if cell.mark is None:
        return cell
    return msgspec.structs.replace(cell, earned=cell.mark.tests, mark=None)


def _marked(cell: CellResult, mark: Mark | None) -> CellResult:
    if mark is None:
        return cell
    mark = msgspec.structs.replace(mark, tests=cell.earned)
    points = cell.earned if mark.points is None else mark.points
    earned = None if points is None else round(points + mark.extra, 4)
    return msgspec.structs.replace(cell, earned=earned, mark=mark)
