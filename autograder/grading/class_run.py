"""A class run: grades all submissions of a homework, several at a time. A bad submission never stops the others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from autograder import atomic_file
from autograder.course.course import Course, Homework
from autograder.course.roster import Roster, open_roster
from autograder.grading.orders import UNKNOWN, About
from autograder.grading.server import GradingServer, Lost
from autograder.grading.standing import Standing
from autograder.grading.submissions import Absent, Submission
from autograder.results import record
from autograder.results.registration import Recorded
from autograder.results.result import Result
from autograder.results.table import csv_text


@dataclass(frozen=True)
class Outcome:
    """The outcome of one submission: its result, or the infrastructure failure (`lost`) that prevented one."""

    submission: Submission
    result: Result | None
    lost: str = ""
    recorded: bool = True
    """whether the gradebook has it, if it is to have it"""


def grade_all(
    server: GradingServer,
    todo: Sequence[Submission],
    out: Path,
    marked: Path | None,
    workers: int,
    about: Callable[[str], About] = lambda student: UNKNOWN,
) -> Iterator[Outcome]:
    """Grade `todo`, `workers` at a time. Writes below `out` and `marked` (if given); yields outcomes as they come."""
    with ThreadPoolExecutor(max_workers=workers, thread_name_prefix="grade") as pool:
        waiting = [pool.submit(_grade, server, one, out, marked, about(one.student)) for one in todo]
        try:
            for future in as_completed(waiting):
                yield future.result()
        finally:
            pool.shutdown(cancel_futures=True)


def _grade(server: GradingServer, submission: Submission, out: Path, marked: Path | None, about: About) -> Outcome:
    """Grade one submission. After an infrastructure failure, retry once."""
    folder = marked / submission.student / server.homework.name if marked is not None else None
    for attempt in (1, 2):
        try:
            return Outcome(submission, server.grade(submission.student, submission.folder, out, folder, about))
        except Lost as lost:
            if attempt == 2:
                return Outcome(submission, None, str(lost))
    raise AssertionError("unreachable")


def faults_of(results: Iterable[Result]) -> Mapping[tuple[str, str], int]:
    """How many students wait for a hidden test that has an error of its own, by notebook and grade cell."""
    from autograder.grading.verdict import is_fault

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
    standing: Standing | None = None,
) -> tuple[Outcome, ...]:
    """Grade `todo` and write results, feedback pages and the table. Call `seen` with each outcome.

    `standing` knows names and times of submission; by default by the course's roster and its folder submitted/.
    Where `out` is the course's own results/, also autograded/ and the gradebook are written; `recorded` says what
    happens when cells or points have changed since submissions were recorded.
    """
    from autograder.results.recording import Recording

    standing = standing or Standing(course, homework, todo=todo)
    out.mkdir(parents=True, exist_ok=True)
    outcomes = []
    floor = "none" if unconfined else course.floor
    with (
        closing(GradingServer(homework, floor)) as server,
        Recording(course, homework, out, standing.roster, recorded, lateness=standing.late) as book,
    ):
        server.wait()  # not earlier: it loads its libraries while the gradebook is opened
        marked = course.root / "autograded" if book.wanted else None
        for outcome in grade_all(server, todo, out, marked, workers, standing.about):
            if outcome.result is not None:
                outcome = replace(outcome, recorded=book.record(outcome.result))
            outcomes.append(outcome)
            seen(outcome)
        book.bring()
    write_csv(homework, out, absent, standing.roster)
    return tuple(sorted(outcomes, key=lambda outcome: outcome.submission.student))
