"""A class run: grades all submissions of a homework, several at a time. A bad submission never stops the others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from autograder import atomic_file
from autograder.course.course import Course, CourseError, Homework
from autograder.course.roster import Roster, open_roster
from autograder.grading.server import GradingServer, Lost
from autograder.results import record
from autograder.results.registration import Recorded
from autograder.results.result import Result
from autograder.results.table import csv_text
from autograder.submission.filename import shown
from autograder.submission.folder import contents, is_called


@dataclass(frozen=True)
class Submission:
    """A student's folder (or zip archive), with or without a folder for the homework in it."""

    student: str
    folder: Path


@dataclass(frozen=True)
class Outcome:
    """The outcome of one submission: its result, or the infrastructure failure (`lost`) that prevented one."""

    submission: Submission
    result: Result | None
    lost: str = ""
    recorded: bool = True
    """whether the gradebook has it, if it is to have it"""


@dataclass(frozen=True)
class Absent:
    """Something in the folder of submissions that is not graded."""

    name: str
    """the student, or the file"""
    why: str
    expected: bool
    """whether that is usual: the student has handed in other homeworks only"""


@dataclass(frozen=True)
class Survey:
    """Everything in the folder of submissions: what is graded, and what is not."""

    todo: tuple[Submission, ...]
    absent: tuple[Absent, ...]


def survey(submitted: Path, homework: str, homeworks: Sequence[str] = (), students: Sequence[str] = ()) -> Survey:
    """Look through `submitted`, which holds a folder (or a zip archive) for each student; only `students` if given.

    `homeworks` are all of the course. Raises CourseError if there is nothing to grade, or nothing of one of `students`.
    """
    if not submitted.is_dir():
        raise CourseError(f"{submitted}: no such folder: put submissions into {submitted.name}/<student>/{homework}/")
    todo: dict[str, Submission] = {}
    absent: list[Absent] = []
    for folder in sorted(submitted.iterdir()):
        if folder.name.startswith((".", "~")):
            continue
        student = shown(folder.name.removesuffix(".zip") if folder.is_file() else folder.name)
        if students and student not in students:
            continue
        if why := _nothing_in(folder, homework, homeworks):
            others = folder.is_dir() and bool(contents(folder, homework, unpack=False).files)
            absent.append(Absent(shown(folder.name), why, expected=others))
        elif student in todo:
            absent.append(Absent(shown(folder.name), f"{student} has a folder, too, which is graded", expected=False))
        else:
            todo[student] = Submission(student, folder)
    for student in students:
        if student not in todo:
            raise CourseError(f"{submitted / student / homework}: no such submission")
    if not todo:
        raise CourseError(f"{submitted}: no submissions of {homework}: put them into <student>/{homework}/")
    return Survey(tuple(todo.values()), tuple(absent))


def _nothing_in(folder: Path, homework: str, homeworks: Sequence[str]) -> str:
    """Why there is nothing to grade in a student's folder; '' if there is something."""
    if folder.name in {f"{name}.csv" for name in (homework, *homeworks)}:
        return "the results of a student of this name would be in the way of the table: rename the folder"
    if folder.is_file() and not folder.name.endswith(".zip"):
        return f"a file that belongs to no student: put it into <student>/{homework}/"
    if folder.is_dir() and is_called(folder.name, homework) and not any(map(Path.is_file, folder.iterdir())):
        return f"a folder for the homework, not for a student: put submissions into <student>/{homework}/"
    found = contents(folder, homework, homeworks, unpack=False)
    if found.files or found.passed_over:
        return ""
    there = sorted(shown(path.name) for path in folder.iterdir()) if folder.is_dir() else []
    return f"nothing was handed in for {homework}" + (f"; there is only {', '.join(there[:5])}" if there else "")


def grade_all(
    server: GradingServer,
    todo: Sequence[Submission],
    out: Path,
    marked: Path | None,
    workers: int,
    roster: Roster | None = None,
) -> Iterator[Outcome]:
    """Grade `todo`, `workers` at a time. Writes below `out` and `marked` (if given); yields outcomes as they come."""
    with ThreadPoolExecutor(max_workers=workers, thread_name_prefix="grade") as pool:
        waiting = [pool.submit(_grade, server, submission, out, marked, roster) for submission in todo]
        try:
            for future in as_completed(waiting):
                yield future.result()
        finally:
            pool.shutdown(cancel_futures=True)


def _grade(
    server: GradingServer, submission: Submission, out: Path, marked: Path | None, roster: Roster | None
) -> Outcome:
    """Grade one submission. After an infrastructure failure, retry once."""
    folder = marked / submission.student / server.homework.name if marked is not None else None
    for attempt in (1, 2):
        try:
            name = name_of(submission.student, roster)
            return Outcome(submission, server.grade(submission.student, submission.folder, out, folder, name))
        except Lost as lost:
            if attempt == 2:
                return Outcome(submission, None, str(lost))
    raise AssertionError("unreachable")


def name_of(student: str, roster: Roster | None) -> str:
    """The name that the roster has for a student's folder; '' if it has none."""
    found = roster.get(student) if roster else None
    return found.name if found else ""


def faults_of(outcomes: Sequence[Outcome]) -> Mapping[tuple[str, str], int]:
    """How many students wait for a hidden test that has an error of its own, by notebook and grade cell."""
    from autograder.grading.verdict import is_fault

    results = [outcome.result for outcome in outcomes if outcome.result is not None]
    books = [book for result in results for book in result.notebooks]
    return Counter((book.notebook, one.cell) for book in books for one in book.incidents if is_fault(one))


def write_csv(homework: Homework, out: Path, absent: Sequence[Absent] = (), roster: Roster | None = None) -> Path:
    """Write <out>/<homework>.csv: one line for each result below `out`.

    What was not graded has a line without points. Names are those of `roster`, by default the course's.
    """
    roster = roster or open_roster(homework.root)
    found = record.read_all(out, homework.name)
    target = out / f"{homework.name}.csv"
    without = {one.name: one.why for one in absent if one.name not in found}
    atomic_file.replace(target, csv_text(tuple(found.values()), without, roster).encode())
    return target


def run(
    course: Course,
    homework: Homework,
    todo: Sequence[Submission],
    out: Path,
    workers: int,
    unconfined: bool = False,
    seen: Callable[[Outcome], None] = lambda outcome: None,
    absent: Sequence[Absent] = (),
    recorded: Recorded = Recorded.REFUSE,
) -> tuple[Outcome, ...]:
    """Grade `todo` and write results, feedback pages and the table. Call `seen` with each outcome.

    Where `out` is the course's own results/, also autograded/ and the gradebook are written; `recorded` says what
    happens when cells or points have changed since submissions were recorded.
    """
    from autograder.results.recording import Recording

    roster = open_roster(course.root)
    out.mkdir(parents=True, exist_ok=True)
    outcomes = []
    floor = "none" if unconfined else course.floor
    with closing(GradingServer(homework, floor)) as server, Recording(course, homework, out, roster, recorded) as book:
        server.wait()  # not earlier: it loads its libraries while the gradebook is opened
        marked = course.root / "autograded" if book.wanted else None
        for outcome in grade_all(server, todo, out, marked, workers, roster):
            if outcome.result is not None:
                outcome = replace(outcome, recorded=book.record(outcome.result))
            outcomes.append(outcome)
            seen(outcome)
        book.bring()
    write_csv(homework, out, absent, roster)
    return tuple(sorted(outcomes, key=lambda outcome: outcome.submission.student))
