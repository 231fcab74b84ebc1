"""A class run: grades all submissions of a homework, several at a time. A bad submission never stops the others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import msgspec

from autograder import atomic_file
from autograder.course.course import Course, Homework, TierName
from autograder.course.roster import Roster, open_roster
from autograder.grading.orders import UNKNOWN, About
from autograder.grading.origin import Origin
from autograder.grading.server import GradingServer, Lost
from autograder.grading.standing import Standing
from autograder.grading.submissions import Absent, Submission
from autograder.results import record
from autograder.results.late import settled
from autograder.results.recording import Recording
from autograder.results.registration import Recorded, records_in
from autograder.results.result import Result
from autograder.results.table import csv_text

_ATTEMPTS = 4
"""how often a submission is graded at most, if it is the infrastructure that fails"""


@dataclass(frozen=True)
class Outcome:
    """The outcome of one submission: its result, or the infrastructure failure (`lost`) that prevented one."""

    submission: Submission
    result: Result | None
    lost: str = ""
    recorded: bool = True
    """whether the gradebook has it, if it is to have it"""
    stood: bool = False
    """whether the result was there already, and grading again would make the same one"""


class Elsewhere(Protocol):
    """Other machines that grade in place of a server on this one."""

    def grade_all(
        self, todo: Sequence[Submission], out: Path, marked: Path | None, about: Callable[[str], About]
    ) -> Iterator[Sequence[Outcome]]:
        """Like the function `grade_all`, but yields outcomes that come together. Raises CourseError if nobody can."""


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
        waiting = [pool.submit(outcome_of, server, one, out, marked, about) for one in todo]
        try:
            for future in as_completed(waiting):
                yield future.result()
        finally:
            pool.shutdown(cancel_futures=True)


def outcome_of(
    server: GradingServer, submission: Submission, out: Path, marked: Path | None, about: Callable[[str], About]
) -> Outcome:
    """Grade one submission. After an infrastructure failure, retry it on another process, up to three times."""
    student, homework = submission.student, server.homework.name
    folder = marked / student / homework if marked is not None else None
    lost = ""
    for _ in range(_ATTEMPTS):
        try:
            return Outcome(submission, server.grade(student, submission.folder, out, folder, about(student)))
        except Lost as error:
            lost = str(error)
            if error.final:
                break
        except Exception as error:  # one submission never stops the others
            lost = f"{student}'s {homework} could not be graded ({type(error).__name__}: {error})"
    return Outcome(submission, None, lost)


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
    without: dict[str, str] = {}  # filled while the table takes up the results
    found = (result for _, result in record.each(out, homework.name, without))
    without |= {one.name: one.why for one in absent if not _is_there(out / one.name / f"{homework.name}.json")}
    target = out / f"{homework.name}.csv"
    atomic_file.replace(target, csv_text(found, without, roster).encode())
    return target


def _is_there(path: Path) -> bool:
    """Whether there is such a file; of a name that the file system refuses there is none."""
    try:
        return path.is_file()
    except OSError:
        return False


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
    again: bool = False,
    server: GradingServer | None = None,
    elsewhere: Elsewhere | None = None,
    keep: bool = True,
) -> tuple[Outcome, ...]:
    """Grade `todo` and write results, feedback pages and the table. Call `seen` with each outcome.

    `server` is one that is running and stays so; without it and `elsewhere`, one is started if anybody is to be graded.
    Who has a result that grading would make again is not graded, unless `again`. A run that was interrupted thus goes
    on where it was.
    `standing` knows names and times of submission; by default by the course's roster and its folder submitted/.
    Where `out` is the course's own results/, also autograded/ and the gradebook are written; `recorded` says what
    happens when cells or points have changed since submissions were recorded.
    Returns the outcomes, unless they are not to be kept, because those of a large class take much memory.
    """
    standing = standing or Standing(course, homework, todo=todo)
    out.mkdir(parents=True, exist_ok=True)
    outcomes: list[Outcome] = []
    floor = "none" if unconfined else course.floor
    wanted = course.root / "autograded" if records_in(course, out) else None
    stood = set() if again else _stood(Origin(course, homework), todo, out, wanted, floor)
    missing = [one for one in todo if one.student not in stood]
    local = bool(missing) and server is None and elsewhere is None

    def tell(outcome: Outcome) -> None:
        outcomes.extend([outcome] if keep else [])
        seen(outcome)

    def graded() -> Generator[Sequence[Outcome], None, None]:
        if not missing:
            return
        if elsewhere is not None:
            yield from elsewhere.grade_all(missing, out, wanted, standing.about)
        elif (grader := server or started) is not None:
            yield from ((one,) for one in grade_all(grader, missing, out, wanted, workers, standing.about))

    with ExitStack() as stack:
        started = (
            stack.enter_context(closing(GradingServer(homework, floor, submissions=len(missing)))) if local else None
        )
        book = Recording(course, homework, out, standing.roster, recorded, lateness=standing.late)
        stack.enter_context(book)
        stack.callback(lambda: write_csv(homework, out, absent, standing.roster))  # also when the run is stopped
        for submission in todo:
            if submission.student in stood:
                result = record.read(out / submission.student / f"{homework.name}.json")
                result = _as_of_now(result, homework, out, standing)
                tell(Outcome(submission, result, recorded=book.keep(result), stood=True))
        if started is not None:
            started.wait()  # not earlier: it loads its libraries while the gradebook is opened
        for together in stack.enter_context(closing(graded())):
            recorded_now = iter(book.record_all([one.result for one in together if one.result is not None]))
            for outcome in together:
                if outcome.result is not None:
                    outcome = replace(outcome, result=book.marked(outcome.result), recorded=next(recorded_now))
                tell(outcome)
        book.bring()
    return tuple(sorted(outcomes, key=lambda outcome: outcome.submission.student))


def _as_of_now(result: Result, homework: Homework, out: Path, standing: Standing) -> Result:
    """A result that stands, with what due dates and rounding make of it now; it is written if that has changed."""
    then = standing.late(result.student, result.late)
    now = settled(msgspec.structs.replace(result, late=then, rounding=homework.rounding))
    if now != result:
        record.write(now, out, name=standing.name(result.student))
    return now


def _stood(origin: Origin, todo: Sequence[Submission], out: Path, marked: Path | None, floor: TierName) -> set[str]:
    """The students whose results need not be made again."""
    return {one.student for one in todo if origin.standing(one.student, one.folder, out, marked, floor) is not None}
