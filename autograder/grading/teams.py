"""What the roster adds to a class run: a team's submission counts for each member; who handed in nothing is named."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from autograder.course.course import CourseError
from autograder.course.roster import Roster, Student
from autograder.grading.submissions import Absent, Submission, Survey, survey
from autograder.submission.folder import contents


def survey_of(
    submitted: Path, homework: str, homeworks: Sequence[str], roster: Roster | None, students: Sequence[str] = ()
) -> Survey:
    """What `survey` finds, and what the roster adds to it: only `students` if given.

    A student without a submission has that of the team: of the folder with the team's name, or else the newest one of
    the other members. A student's own submission counts for that student. Raises CourseError as `survey` does.
    """
    if roster is None:
        return survey(submitted, homework, homeworks, students)
    found = completed(survey(submitted, homework, homeworks), roster, homework)
    if not students:
        return found
    there = {one.student for one in found.todo}
    for student in students:
        if student not in there:
            raise CourseError(f"{submitted / student / homework}: no such submission: check the student's name")
    return Survey(tuple(one for one in found.todo if one.student in students), ())


def completed(found: Survey, roster: Roster, homework: str) -> Survey:
    """The same for everybody in the roster, by the id or, in a homework with pseudonyms, by the pseudonym."""
    there = {one.student.casefold(): one for one in found.todo}
    everybody, roster = roster, roster.called(there)
    names = {student.id.casefold() for student in roster.students}
    teams = {one.student for one in found.todo if roster.get(one.student) is None and roster.in_group(one.student)}
    todo = [one for one in found.todo if one.student not in teams]
    absent = {
        one.name: one
        for one in found.absent
        if not one.expected or one.name.casefold() in names or everybody.get(one.name) is None
    }  # without the other names of the same students, which other homeworks have
    for student in roster.students:
        if student.id.casefold() in there:
            continue
        shared = max(_shared(student, roster, there, homework), key=lambda pair: pair[0], default=None)
        if shared is not None:
            absent.pop(student.id, None)
            todo.append(replace(shared[1], student=student.id))
        elif student.id not in absent:
            absent[student.id] = Absent(student.id, f"nothing was handed in for {homework}", expected=True)
    return Survey(tuple(sorted(todo, key=lambda one: one.student)), tuple(absent.values()))


def _shared(
    student: Student, roster: Roster, there: dict[str, Submission], homework: str
) -> Iterator[tuple[tuple[bool, float], Submission]]:
    """The submissions of a student's team, each with what the greatest decides: whose name it has, and its age."""
    if not student.group:
        return
    members = {one.id.casefold() for one in roster.in_group(student.group)}
    for name, one in there.items():
        team = roster.get(one.student) is None and student in roster.in_group(one.student)
        if team or name in members:
            yield (team, _age(one, homework)), one


def _age(submission: Submission, homework: str) -> float:
    """When the newest file of a submission was changed."""
    files = contents(submission.folder, homework, unpack=False).files
    return max((file.modified for file in files), default=0.0)
