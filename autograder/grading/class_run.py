"""A class run: grades all submissions of a homework, several at a time. A bad submission never stops the others."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from autograder import atomic_file
from autograder.course.course import Course, CourseError, Homework
from autograder.grading.server import GradingServer, Lost
from autograder.results import record
from autograder.results.result import Result
from autograder.results.table import csv_text
from autograder.submission.filename import shown


@dataclass(frozen=True)
class Submission:
    """A student's folder for one homework."""

    student: str
    folder: Path


@dataclass(frozen=True)
class Outcome:
    """The outcome of one submission: its result, or the infrastructure failure (`lost`) that prevented one."""

    submission: Submission
    result: Result | None
    lost: str = ""


def submissions(submitted: Path, homework: str, students: Sequence[str] = ()) -> tuple[Submission, ...]:
    """The submissions in `submitted`/<student>/<homework>, sorted; only those of `students` if given.

    Raises CourseError if there are none, or if one of `students` has none.
    """
    if not submitted.is_dir():
        raise CourseError(f"{submitted}: no such folder: put submissions into {submitted.name}/<student>/{homework}/")
    found = tuple(
        Submission(shown(folder.name), folder / homework)
        for folder in sorted(submitted.iterdir())
        if folder.is_dir() and not folder.name.startswith(".") and os.path.lexists(folder / homework)
    )
    if students:
        for student in students:
            if student not in {submission.student for submission in found}:
                raise CourseError(f"{submitted / student / homework}: no such submission")
        found = tuple(submission for submission in found if submission.student in students)
    if not found:
        raise CourseError(f"{submitted}: no submissions of {homework}: put them into <student>/{homework}/")
    return found


def grade_all(
    server: GradingServer, todo: Sequence[Submission], out: Path, marked: Path, workers: int
) -> Iterator[Outcome]:
    """Grade `todo`, `workers` at a time. Writes below `out` and `marked`; yields each outcome when it is ready."""
    with ThreadPoolExecutor(max_workers=workers, thread_name_prefix="grade") as pool:
        waiting = [pool.submit(_grade, server, submission, out, marked) for submission in todo]
        try:
            for future in as_completed(waiting):
                yield future.result()
        finally:
            pool.shutdown(cancel_futures=True)


def _grade(server: GradingServer, submission: Submission, out: Path, marked: Path) -> Outcome:
    """Grade one submission. After an infrastructure failure, retry once."""
    folder = marked / submission.student / server.homework.name
    for attempt in (1, 2):
        try:
            return Outcome(submission, server.grade(submission.student, submission.folder, out, folder))
        except Lost as lost:
            if attempt == 2:
                return Outcome(submission, None, str(lost))
    raise AssertionError("unreachable")


def write_csv(results: Sequence[Result], homework: Homework, out: Path) -> Path:
    """Write <out>/<homework>.csv: one line for each of `results` and for each result of earlier runs below `out`."""
    new = {result.student: result for result in results}
    for path in sorted(out.glob(f"*/{homework.name}.json")):
        if path.parent.name not in new:
            with suppress(ValueError):  # not a results file, or one with an older schema
                new[path.parent.name] = record.read(path)
    target = out / f"{homework.name}.csv"
    atomic_file.replace(target, csv_text([new[student] for student in sorted(new)]).encode())
    return target


def run(
    course: Course,
    homework: Homework,
    todo: Sequence[Submission],
    out: Path,
    workers: int,
    unconfined: bool = False,
    seen: Callable[[Outcome], None] = lambda outcome: None,
) -> tuple[Outcome, ...]:
    """Grade `todo` and write results, feedback pages, the table and the gradebook. Call `seen` with each outcome."""
    from autograder.results import gradebook

    out.mkdir(parents=True, exist_ok=True)
    outcomes = []
    floor = "none" if unconfined else course.floor
    with closing(GradingServer(homework, floor)) as server, gradebook.Recorder(course, homework) as book:
        server.wait()  # not earlier: it loads its libraries while the gradebook is opened
        for outcome in grade_all(server, todo, out, course.root / "autograded", workers):
            outcomes.append(outcome)
            if outcome.result is not None:
                book.record(outcome.result)
            seen(outcome)
    write_csv([outcome.result for outcome in outcomes if outcome.result is not None], homework, out)
    return tuple(sorted(outcomes, key=lambda outcome: outcome.submission.student))
