"""What the roster and the times of submission say about each student: name, and how late a homework was handed in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cached_property
from pathlib import Path

from autograder.course import dates
from autograder.course.course import Course, CourseError, Homework
from autograder.course.roster import Roster, open_roster
from autograder.grading import teams
from autograder.grading.orders import About
from autograder.grading.submissions import Absent, Submission
from autograder.results import late, record
from autograder.results.result import Late
from autograder.submission.folder import reads_as
from autograder.submission.timestamp import read_stamp


def no_result(course: Course, homework: Homework, out: Path, student: str) -> CourseError:
    """The error where a command is for one student who has no result below `out`: it says why there is none."""
    standing = Standing(course, homework)
    path = out / student / f"{homework.name}.json"
    known = standing.roster.bearer(student) if standing.roster else None
    names = {known.id, known.pseudonym} - {""} if known else set()
    if any((out / name / f"{homework.name}.json").is_file() for name in names):  # under the student's other name
        return record.missing(out, student, homework.name)
    if standing.handed_in(student):
        way_out = f"run `autograder grade {homework.name} --student {student}`"
        return CourseError(f"{path}: no such result: {homework.name} was handed in, but not graded yet: {way_out}")
    why = next((one.why for one in standing.absent if one.name.casefold() == student.casefold()), "")
    if why or known:
        return CourseError(f"{path}: no such result: {why or f'nothing was handed in for {homework.name}'}")
    return record.missing(out, student, homework.name)


class Standing:
    """How the students of a course stand with one homework."""

    def __init__(
        self,
        course: Course,
        homework: Homework,
        roster: Roster | None = None,
        submitted: Path | None = None,
        todo: Sequence[Submission] | None = None,
    ) -> None:
        """`submitted` holds all submissions, by default the course's own folder; `todo` are those of the homework."""
        self._course, self._homework = course, homework
        self.roster = roster if roster is not None else open_roster(course.root)
        self._submitted = submitted or course.root / "submitted"
        self._folders: dict[str, Mapping[str, Path]] = {}
        if todo is not None:
            self._folders[homework.name] = {one.student: one.folder for one in todo}
        self.unread: dict[str, str] = {}
        """why a time of submission cannot be read, by its file"""

    def about(self, student: str) -> About:
        """What grading has to know of a student. `student` is the name of the folder."""
        return About(self.name(student), self.late(student))

    def name(self, student: str) -> str:
        """The student's name; '' if the roster has none."""
        found = self.roster.get(student) if self.roster else None
        return found.name if found else ""

    def handed_in(self, student: str) -> bool:
        """Whether there is a submission of the student or the team."""
        return self._folder(self._homework.name, student) is not None

    def late(self, student: str, kept: Late | None = None) -> Late | None:
        """How late the homework was handed in: None if it has no due date.

        Where the submission is not there any more, it was handed in when `kept` says so.
        """
        if self._homework.due is None:
            return None
        moments = {one.name: self._moment(one.name, student) for one in self._term}
        if kept is not None and kept.submitted and self._folder(self._homework.name, student) is None:
            moments[self._homework.name] = datetime.fromisoformat(kept.submitted)
        known = self.roster.get(student) if self.roster else None
        return late.told(dates.term(self._term, known, moments)[self._homework.name])

    @cached_property
    def _term(self) -> Sequence[Homework]:
        """The homeworks that count: others only if the course has free days, since they may have used some."""
        if not self._homework.late.free_days:
            return (self._homework,)
        names = self._course.homeworks
        return [self._homework if name == self._homework.name else self._course.homework(name) for name in names]

    def _moment(self, homework: str, student: str) -> datetime | None:
        """When a student, or the team, handed in a homework; None if nobody knows."""
        folder = self._folder(homework, student)
        if folder is None or not folder.is_dir():
            return None
        inner = [one for one in folder.iterdir() if one.is_dir() and reads_as(one.name, self._names) == {homework}]
        stamps = [read_stamp(one) for one in inner or [folder]]
        if homework == self._homework.name:
            self.unread |= {stamp.note.partition(": ")[0]: stamp.note for stamp in stamps if stamp.note}
        return max((stamp.time for stamp in stamps if stamp.time), default=None)

    @cached_property
    def absent(self) -> Sequence[Absent]:
        """Who has handed in nothing, and what in the folder of submissions belongs to nobody."""
        try:
            return teams.survey_of(self._submitted, self._homework.name, self._names, self.roster).absent
        except CourseError:  # nobody has handed it in yet
            return ()

    def _folder(self, homework: str, student: str) -> Path | None:
        if homework not in self._folders:
            self._folders[homework] = self._survey(homework)
        known = self.roster.bearer(student) if self.roster else None
        names = (student, known.id, known.pseudonym) if known else (student,)  # another homework may use the other one
        folders = self._folders[homework]
        return next((folders[name] for name in names if name in folders), None)

    def _survey(self, homework: str) -> Mapping[str, Path]:
        try:
            found = teams.survey_of(self._submitted, homework, self._names, self.roster)
        except CourseError:  # nobody has handed it in yet
            return {}
        return {one.student: one.folder for one in found.todo}

    @property
    def _names(self) -> Sequence[str]:
        return self._course.homeworks
