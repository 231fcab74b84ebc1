"""Recording of a class run in the gradebook. Whatever is in its way, the run goes on, and no result is lost."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from autograder import atomic_file
from autograder.course.course import Course, CourseError, Homework
from autograder.course.roster import Roster
from autograder.results import marks, record
from autograder.results.gradebook import Recorder, bring
from autograder.results.marks import Before, LateOf
from autograder.results.registration import Recorded, records_in
from autograder.results.result import Result

PATIENCE = 30.0
"""seconds that a locked gradebook is waited for"""
_SILENCE = 2.0
"""seconds after which it is said that it is waited for"""


class Recording:
    """Records results in nbgrader's gradebook, and brings its marks to the results. It is a context manager.

    Results outside of the course's own folder are no business of the gradebook: then nothing is recorded. What could
    not be recorded is remembered beside the results; `outstanding` and `record` take it up again.
    """

    def __init__(
        self,
        course: Course,
        homework: Homework,
        out: Path,
        roster: Roster | None = None,
        recorded: Recorded = Recorded.REFUSE,
        tell: Callable[[str], None] = lambda text: print(text, file=sys.stderr, flush=True),
        lateness: LateOf | None = None,
    ) -> None:
        """`recorded` says what happens when cells or points have changed since submissions were recorded.

        `lateness` tells how late students are now, for `bring`; `tell` is told what is waited for, and what changes
        for whom.
        """
        self._recorded, self._lateness = recorded, lateness
        self._course, self._homework, self._out, self._roster, self._tell = course, homework, out, roster, tell
        self._path = course.root / "gradebook.db"
        self._file = _path_of(out, homework)
        self._book: Recorder | None = None
        self._left = outstanding(out, homework)
        self._before: dict[str, Before] = {}
        self._restored: list[str] = []
        self._patience = PATIENCE
        self.wanted = records_in(course, out)
        """whether these results belong into the gradebook at all"""
        self.why = ""
        """why something could not be recorded"""

    def __enter__(self) -> Recording:
        """Raises CourseError when the gradebook cannot store the homework as it is now."""
        if not self.wanted:
            return self
        self.why = self._wait() if self._recorded is not Recorded.KEEP else ""
        if not self.why and self._recorded is not Recorded.KEEP:
            try:
                self._book = Recorder(
                    self._course, self._homework, self._roster, self._recorded, self._lateness
                ).__enter__()
                if self._book.copy is not None:
                    self._tell(f"{self._path}: changed cells are taken over; as it was: {self._book.copy.name}")
            except _errors() as error:
                self._close()
                self.why = self._sentence(error)
        self._before = marks.before(self._out, self._homework)  # of all: some may be marked on the way
        return self

    def __exit__(self, *why: object) -> None:
        self._close()

    def record(self, result: Result) -> bool:
        """Record a result. Whether it is done; if not, `why` says why, and it is remembered."""
        if not self.wanted:
            return True
        before = self._before.get(result.student, Before())
        if result.student in self._left:
            before = replace(before, answers=self._left[result.student])
        for _ in range(2):
            if self._book is None:
                break
            if why := self._wait():
                self.why = why
                break
            try:
                restored = self._book.record(result, before)
            except _errors() as error:
                self._book.undo()
                self.why = self._sentence(error)
            else:
                self._restored += [result.student] if restored else []
                if self._left.pop(result.student, None) is not None:
                    self._write()
                return True
        self._left[result.student] = before.answers
        self._write()
        return self._recorded is Recorded.KEEP

    def record_all(self, results: Sequence[Result]) -> Sequence[bool]:
        """Record results that came together: whether each is done. First entries are written with one commit."""
        if len(results) > 1 and self._enter(results):
            return [True] * len(results)
        return [self.record(result) for result in results]

    def _enter(self, results: Sequence[Result]) -> bool:
        known = any(one.student in self._left or self._before.get(one.student, Before()).marks for one in results)
        if self._book is None or known or self._wait():
            return False
        try:
            return self._book.enter(results)
        except _errors():
            self._book.undo()
            return False

    def keep(self, result: Result) -> bool:
        """Record a result that stands already, unless the gradebook has it. Whether it has it now."""
        try:
            if self._book is not None and result.student not in self._left and self._book.has(result):
                return True
        except _errors() as error:
            self.why = self._sentence(error)
        return self.record(result)

    def bring(self) -> dict[str, Result]:
        """Bring the gradebook's marks to results and pages. Returns the results that changed, by student."""
        if self._left and self.why:
            self._tell(self.why)
        try:
            if self._recorded is Recorded.KEEP and self.wanted and self._path.is_file():
                return bring(self._course, self._homework, self._out, self._roster, self._lateness)
            if self._book is None:
                return {}
            if moved := self._book.moved():
                self._tell(moved)
            if self._restored:
                who = ", ".join(sorted(self._restored)[:5]) + (" …" if len(self._restored) > 5 else "")
                self._tell(
                    f"{self._path} had lost the marks of {len(self._restored)} students ({who}): results had them"
                )
            return self._book.bring(self._out)
        except _errors() as error:
            self.why = self._sentence(error)
            return {}

    def marked(self, result: Result) -> Result:
        """A result that was just recorded, with the marks that the gradebook has for it."""
        try:
            return result if self._book is None else self._book.marked(result)
        except _errors():
            return result

    def _wait(self) -> str:
        """Wait until the gradebook can be written. Why it cannot, or ''."""
        found = _obstacle(self._path, min(_SILENCE, self._patience))
        if found == "locked" and self._patience > _SILENCE:
            self._tell(f"{self._path} is in use by another program: waiting up to {PATIENCE:.0f} seconds …")
            found = _obstacle(self._path, self._patience - _SILENCE)
        self._patience = PATIENCE if not found else 0.0  # the next students need not wait as long
        return self._sentence(found) if found else ""

    def _sentence(self, error: object) -> str:
        text = str(error)
        why = "another program has it locked" if "locked" in text else text.splitlines()[0].rpartition("Error) ")[2]
        if self._book is not None and not self._path.exists():
            why = "it was removed on the way"
        return f"{self._path}: scores could not be recorded: {why}"

    def _write(self) -> None:
        if self._left:
            listed = {
                student: [[*place, digest] for place, digest in before.items()]
                for student, before in self._left.items()
            }
            atomic_file.replace(self._file, msgspec.json.encode(listed))
        else:
            self._file.unlink(missing_ok=True)

    def _close(self) -> None:
        if self._book is not None:
            self._book.__exit__()
            self._book = None


def outstanding(out: Path, homework: Homework) -> dict[str, Mapping[tuple[str, str], str]]:
    """The students whose results could not be recorded yet, each with the answers that the gradebook knows."""
    path = _path_of(out, homework)
    try:
        listed = msgspec.json.decode(path.read_bytes(), type=dict[str, list[tuple[str, str, str]]])
    except FileNotFoundError:
        return {}
    except msgspec.DecodeError as error:
        raise CourseError(f"{path}: this file is damaged ({error}): remove it, and grade the homework again") from None
    return {student: {(book, cell): digest for book, cell, digest in rows} for student, rows in listed.items()}


def record_again(
    course: Course,
    homework: Homework,
    out: Path,
    roster: Roster | None = None,
    recorded: Recorded = Recorded.REFUSE,
    students: Sequence[str] = (),
    lateness: LateOf | None = None,
) -> tuple[int, str]:
    """Record what could not be recorded: how many students were, and why others were not, or ''.

    These are the outstanding ones, and those whose results the gradebook does not have. Only `students`
    if given. Raises CourseError.
    """
    for student in students:
        if not (out / student / f"{homework.name}.json").is_file():
            raise CourseError(
                f"{out / student / homework.name}.json: there is no such result: check the student's name"
            )
    done = 0
    with Recording(course, homework, out, roster, recorded, lateness=lateness) as recording:
        if recording._book is None:
            if recorded is Recorded.KEEP:
                raise CourseError("--recorded keep: with it, nothing is recorded: say refuse, points or update")
            return 0, recording.why or f"{out}: only results of the course's own folder results/ are recorded"
        for student, result in record.read_all(out, homework.name).items():
            if students and student not in students:
                continue
            if result.student in recording._left or not recording._book.has(result):
                done += recording.record(result)
        recording.bring()
        return done, recording.why if recording._left else ""


def _path_of(out: Path, homework: Homework) -> Path:
    return out / f"{homework.name}.unrecorded.json"


def _obstacle(path: Path, seconds: float) -> str:
    """What keeps the gradebook from being written, after so many seconds: '' if nothing does."""
    if not path.exists():
        return ""
    try:
        with closing(sqlite3.connect(path, timeout=seconds)) as there:
            there.execute("BEGIN IMMEDIATE")
            there.rollback()
    except sqlite3.Error as error:
        return "locked" if "locked" in str(error) else str(error)
    return ""


def _errors() -> tuple[type[Exception], ...]:
    """What a gradebook raises that cannot be read or written."""
    from nbgrader.api import InvalidEntry
    from sqlalchemy.exc import SQLAlchemyError

    found: tuple[Any, ...] = (InvalidEntry, SQLAlchemyError, sqlite3.Error, OSError)
    return found
