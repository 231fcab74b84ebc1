"""The scores of a homework on their way into Canvas over its API, and read back there.

Canvas REST API (canvas.instructure.com/doc/api):

- assignments: `grading_type`, `points_possible`, `published`, `moderated_grading`, `grades_published`,
  `anonymize_students`, `group_category_id`, `grade_group_students_individually`
- courses, List users in course: `id`, `name`, `sortable_name`, `sis_user_id`, `login_id`, `email`
- submissions, List assignment submissions: `user_id`, `score`, `excused`; `entered_score` is the score before Canvas'
  own late policy takes points off (lib/api/v1/submission.rb of instructure/canvas-lms)
- submissions, Grade or comment on multiple submissions: `grade_data[<user id>][posted_grade]`. Points are set and not
  added, so a score that is sent twice stands there once.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from autograder.course.class_list import entry_of, students_of
from autograder.course.course import CourseError, Homework
from autograder.course.roster import Roster, Student
from autograder.exporting import column as columns
from autograder.exporting.connection import Connection, Fault
from autograder.exporting.scores import Export, by_id, called, people_of
from autograder.results.plain_text import points_text
from autograder.results.result import Result

_BATCH = 100
"""scores that are sent at once"""
_IN_A_ROW = 5
"""batches that may fail one behind the other"""
_IN_VAIN = 3
"""rounds after which no new score stands there: then the rest is given up"""
_HEADER = ("student", "id", "sis user id", "sis login id")
_IDS = ("canvas_id", "sis_id", "login")
"""the roster's columns by which a student is found, the surest first"""


@dataclass(frozen=True)
class _People:
    """Who in the course is whom in the results."""

    users: dict[str, int] = field(default_factory=dict)
    """for each student, the user"""
    missing: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    unclear: set[str] = field(default_factory=set)
    """students whom nothing is pushed for, though they are in the course"""


def push(
    connection: Connection,
    homework: Homework,
    results: Mapping[str, Result],
    roster: Roster | None,
    partial: bool = False,
    dry_run: bool = False,
) -> Export:
    """Set the scores that do not stand in the assignment yet, and read them back.

    Raises CourseError if the assignment cannot be read or takes no points; nothing was sent then.
    """
    assignment = connection.assignment()
    _check(assignment, connection)
    people = _matched(connection, results, roster or people_of(results))
    notes = [*_worth(assignment, results), *people.notes]
    waiting = tuple(student for student, result in results.items() if result.waiting and not partial)
    owners = {user: student for student, user in people.users.items() if student not in waiting}
    wanted = {user: points_text(results[student].score) for user, student in owners.items()}
    before = _standing(connection)
    todo = _differing(wanted, before)
    left: dict[int, str] = {}
    if todo and not dry_run:
        left, why = _sent(connection, todo)
        notes += [why] if why else []
    return Export(
        b"",
        len(wanted) - len(left),
        tuple((owners[user], before[user], new) for user, new in todo.items() if before.get(user) and user not in left),
        waiting,
        tuple(dict.fromkeys(people.missing)),
        tuple(student for student in results if student not in people.users and student not in people.unclear),
        tuple(dict.fromkeys(notes)),
        str(assignment.get("name") or homework.title),
        len(wanted) - len(todo),
        tuple(owners[user] for user in left),
    )


def _check(assignment: Mapping[str, Any], connection: Connection) -> None:
    """Raises CourseError if scores cannot be set in the assignment, or not one student's alone."""
    if assignment.get("grading_type") != "points":
        kind = str(assignment.get("grading_type")).replace("_", " ")
        why = f"its grades are no points ({kind}): choose “Display Grade as Points” in its settings"
    elif not assignment.get("published", True):
        why = "it is not published: publish it first"
    elif assignment.get("moderated_grading") and not assignment.get("grades_published"):
        why = "its grades are moderated: publish the final grades first"
    elif assignment.get("anonymize_students"):
        why = "it is graded anonymously, and Canvas names nobody: post its grades first"
    elif assignment.get("group_category_id") and not assignment.get("grade_group_students_individually"):
        why = (
            "Canvas would give one member's score to the whole group: choose “Assign Grades to Each Student "
            "Individually” in its settings"
        )
    else:
        return
    raise CourseError(f"{connection.address}: {why}; nothing was pushed")


def _worth(assignment: Mapping[str, Any], results: Mapping[str, Result]) -> list[str]:
    """What to say when the assignment is worth other points."""
    worth = assignment.get("points_possible")
    most = points_text(max(result.max_score for result in results.values()))
    return columns.other_worth([_number(worth)], most)


def _matched(connection: Connection, results: Mapping[str, Result], people: Roster) -> _People:
    found = _People()
    known = by_id(results, people)
    places: dict[str, dict[int, tuple[int, str]]] = {}
    for user in connection.students():
        entry = _entry(user)
        if not entry:
            continue
        rank, same = _meant(people, entry)
        student = known.get(same[0].id.casefold(), "") if len(same) == 1 else ""
        if len(same) > 1:
            found.notes.append(f"{called(entry)} may be {' or '.join(one.id for one in same)}: nothing is pushed")
        elif not student:
            found.missing.append(called(entry))
        else:
            places.setdefault(student, {})[int(entry["canvas_id"])] = rank, called(entry)
    for student, users in places.items():
        surest = min(rank for rank, _ in users.values())
        same_rank = [user for user, (rank, _) in users.items() if rank == surest]
        found.missing.extend(name for rank, name in users.values() if rank != surest)
        if len(same_rank) == 1:
            found.users[student] = same_rank[0]
        else:
            who = " and ".join(f"{users[user][1]} ({user})" for user in same_rank)
            found.notes.append(f"{who} are both {student}: nothing is pushed; put their ids into the roster")
            found.unclear.add(student)
    return found


def _entry(user: Mapping[str, Any]) -> dict[str, str]:
    """What Canvas says about a user in the roster's columns."""
    keys = ("sortable_name" if user.get("sortable_name") else "name", "id", "sis_user_id", "login_id")
    entry = entry_of("canvas", _HEADER, [str(user.get(key) or "") for key in keys])
    email = str(user.get("email") or "").strip()
    return {**entry, "email": email} if entry and email else entry


def _meant(people: Roster, entry: Mapping[str, str]) -> tuple[int, tuple[Student, ...]]:
    """The students whom a user may be, and how sure that is: 0 is the surest."""
    for rank, column in enumerate(_IDS):
        if found := people.having(entry.get(column, ""), (column,)):
            return rank, found
    return len(_IDS), students_of(people, entry)


def _standing(connection: Connection) -> dict[int, str]:
    """The scores that stand there, by user; '' where there is none."""
    return {
        one["user_id"]: "EX" if one.get("excused") else _number(one.get("entered_score", one.get("score")))
        for one in connection.submissions()
        if isinstance(one.get("user_id"), int)
    }


def _number(score: object) -> str:
    """A score as Canvas has it, with all its decimals."""
    return "" if score is None else f"{score:g}" if isinstance(score, int) else str(score)


def _differing(wanted: Mapping[int, str], standing: Mapping[int, str]) -> dict[int, str]:
    return {user: score for user, score in wanted.items() if not columns.equal(standing.get(user, ""), score)}


def _sent(connection: Connection, todo: dict[int, str]) -> tuple[dict[int, str], str]:
    """Send scores in rounds; what stands there after a round is not sent again. Returns what is left, and why."""
    in_vain = 0
    while True:
        why, over = _round(connection, todo)
        try:
            rest = _differing(todo, _standing(connection))
        except CourseError as error:
            return todo, f"whether the scores stand there could not be read: {error}"
        in_vain = in_vain + 1 if len(rest) == len(todo) else 0
        todo = rest
        if not todo:
            return {}, ""
        if over or in_vain == _IN_VAIN:
            return todo, why or "Canvas took scores, and does not show them: look at its gradebook"
        connection.rest(in_vain + 1)


def _round(connection: Connection, todo: Mapping[int, str]) -> tuple[str, bool]:
    """Send each score once. Returns what failed last, and whether it would fail again."""
    why, in_a_row = "", 0
    users = iter(todo)
    while batch := list(itertools.islice(users, _BATCH)):
        try:
            said = connection.grade({user: todo[user] for user in batch})
        except Fault as fault:
            why, in_a_row = str(fault), in_a_row + 1
            if in_a_row == _IN_A_ROW:
                break
            connection.rest(in_a_row)
        except CourseError as error:
            return str(error), True
        else:
            why, in_a_row = said or why, 0
    return why, False
