"""A class is regraded: the hidden tests as they are now, on the transcripts of all its results."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from autograder import atomic_file
from autograder.course.course import Course, CourseError, Homework
from autograder.course.roster import Roster, open_roster
from autograder.grading import class_run, teams
from autograder.grading.changes import changes_between, scores
from autograder.grading.orders import About, Change, Choosing, Regraded, Scores
from autograder.grading.server import GradingServer, Lost
from autograder.grading.standing import Standing
from autograder.grading.submissions import Submission
from autograder.results import gradebook, marks, record, registration
from autograder.results.registration import Recorded
from autograder.results.result import Result
from autograder.results.table import written

_BATCH = 16
"""submissions that one fork of the grading server regrades: a fork takes longer than most of them"""


@dataclass(frozen=True)
class Regrading:
    """What regrading one submission came to."""

    student: str
    scores: Scores | None = None
    """before and after; None if one of them is not known"""
    changes: tuple[Change, ...] = ()
    result: Result | None = None
    """the new result; None if nothing has changed"""
    replayed: int = 0
    executed: int = 0
    again: str = ""
    """why it was graded again as a whole; '' if its transcript was enough"""
    recorded: bool = True
    """whether the gradebook has the new result"""
    lost: str = ""
    """why it could be neither regraded nor graded: its results stay as they were"""

    @property
    def rose(self) -> bool:
        """Whether the student's score rose."""
        return self.scores is not None and self.scores.after > self.scores.before

    @property
    def fell(self) -> bool:
        """Whether the student's score fell."""
        return self.scores is not None and self.scores.after < self.scores.before


def run(
    course: Course,
    homework: Homework,
    out: Path,
    submitted: Path,
    workers: int,
    choosing: Choosing,
    unconfined: bool = False,
    seen: Callable[[Regrading], None] = lambda regrading: None,
    recorded: Recorded = Recorded.POINTS,
) -> tuple[Regrading, ...]:
    """Regrade everybody who has a result below `out`. Call `seen` with each one.

    Writes results, feedback pages, autograded notebooks, the gradebook and the tables, as far as something has changed;
    nothing with `choosing.dry`. Other points are what regrading is for, so the gradebook takes them over; other cells
    only if `recorded` says so. Raises CourseError if nobody has a result, or no test has the chosen name.
    """
    from autograder.results.recording import Recording

    students = sorted(path.parent.name for path in out.glob(f"*/{homework.name}.json"))
    if not students:
        raise record.none(out, homework.name)
    _check(course, homework, choosing)
    if registration.records_in(course, out) and not choosing.dry and recorded is not Recorded.KEEP:
        _check_points(course, homework, choosing)
    roster = open_roster(course.root)
    todo = _handed_in(submitted, course, homework, roster)
    folders = {one.student: one.folder for one in todo}
    standing = Standing(course, homework, roster, submitted, todo)
    marked = course.root / "autograded" if registration.records_in(course, out) else None
    found: list[Regrading] = []
    changes: list[Change] = []
    with ExitStack() as stack:
        if not choosing.dry:
            stack.callback(_write_changes, changes, homework, out)  # also when something fails on the way
        floor = "none" if unconfined else course.floor
        server = stack.enter_context(closing(GradingServer(homework, floor, submissions=len(students))))
        book = None
        if not choosing.dry:
            book = Recording(course, homework, out, roster, recorded, lateness=standing.late)
            stack.enter_context(book)
        server.wait()
        for regrading in _all(server, students, folders, out, marked, workers, choosing, standing.about):
            if book is not None and regrading.result is not None:
                regrading = replace(regrading, recorded=book.record(regrading.result))
            found.append(regrading)
            changes += regrading.changes
            seen(regrading)
        if book is not None:
            book.bring()
    found.sort(key=lambda one: one.student)
    if not choosing.dry:
        class_run.write_csv(homework, out, standing.absent, roster)
    return tuple(found)


def _write_changes(changes: Sequence[Change], homework: Homework, out: Path) -> None:
    """Write the tables of what has changed. Those of the last time stay where nothing has."""
    if not changes:
        return
    ordered = sorted(changes, key=lambda change: change.student)
    atomic_file.replace(out / f"{homework.name}.regraded.csv", csv_of(ordered).encode())
    json = msgspec.json.format(msgspec.json.encode(ordered), indent=1) + b"\n"
    atomic_file.replace(out / f"{homework.name}.regraded.json", json)


def _check(course: Course, homework: Homework, choosing: Choosing) -> None:
    """Raise CourseError if there is no notebook or test of the chosen name."""
    if choosing.notebook:
        homework.notebook(choosing.notebook)
    if choosing.test:
        from autograder.examination.suite import Suite, collected

        names = [spec.name for spec in homework.notebooks if choosing.notebook in ("", spec.name)]
        suites = [Suite(course, homework, name) for name in names]
        with collected(*suites):
            known = {part for suite in suites for test in suite.prints for part in (test, test.partition("[")[0])}
        if choosing.test not in known:
            raise CourseError(
                f"--test {choosing.test}: {homework.name} has no such hidden test in {', '.join(names)}: check the name"
            )


def _check_points(course: Course, homework: Homework, choosing: Choosing) -> None:
    """Raise CourseError where one notebook or test is chosen, and the gradebook would change beside it."""
    path = course.root / "gradebook.db"
    if not (choosing.notebook or choosing.test) or not path.is_file():
        return
    with closing(gradebook.opened(course)) as book:
        if registration.is_registered(book, homework) or not registration.submissions_of(book, homework):
            return
        found = registration.changes(book, homework)
    if choosing.test or any(change.notebook != choosing.notebook for change in found):
        raise CourseError(
            f"{path}: these cells have changed since submissions were recorded:\n\n{registration.table(found)}\n\n"
            "Results and gradebook would differ: regrade everything, without --notebook and --test"
        )


def _handed_in(submitted: Path, course: Course, homework: Homework, roster: Roster | None) -> Sequence[Submission]:
    try:
        return teams.survey_of(submitted, homework.name, course.homeworks, roster).todo
    except CourseError:  # nothing is there any more, which only matters where something has to run again
        return ()


def _all(
    server: GradingServer,
    students: Sequence[str],
    folders: dict[str, Path],
    out: Path,
    marked: Path | None,
    workers: int,
    choosing: Choosing,
    about: Callable[[str], About],
) -> Iterator[Regrading]:
    batches = [students[at : at + _BATCH] for at in range(0, len(students), _BATCH)]

    def regrade(batch: Sequence[str]) -> list[Regrading]:
        known = {student: about(student) for student in batch}
        places = [(student, folders.get(student), known[student]) for student in batch]
        answers = server.regrade(places, out, marked, choosing)
        return [
            _whole(server, answer, folders.get(answer.student), out, marked, known[answer.student], choosing.dry)
            for answer in answers
        ]

    with ThreadPoolExecutor(max_workers=workers, thread_name_prefix="regrade") as pool:
        waiting = [pool.submit(regrade, batch) for batch in batches]
        try:
            for future in as_completed(waiting):
                yield from future.result()
        finally:
            pool.shutdown(cancel_futures=True)


def _whole(
    server: GradingServer,
    answer: Regraded,
    folder: Path | None,
    out: Path,
    marked: Path | None,
    about: About,
    dry: bool,
) -> Regrading:
    """What regrading came to; a submission whose transcript is not enough is graded again."""
    student = answer.student
    if not answer.stale:
        return Regrading(student, answer.scores, answer.changes, answer.result, answer.replayed, answer.executed)
    if folder is None:
        return Regrading(student, lost=f"{answer.stale}, and its submission is not there to be graded again")
    path = out / student / f"{server.homework.name}.json"
    try:
        old = record.read(path)
    except ValueError:
        old = None
    try:
        if dry:
            new = server.grade(student, folder, about=about)
        else:
            place = marked / student / server.homework.name if marked is not None else None
            new = server.grade(student, folder, out, place, about)
    except Lost as lost:
        return Regrading(student, lost=str(lost))
    if old is None:
        return Regrading(student, result=new, again=answer.stale)
    return Regrading(student, scores(old, new), changes_between(marks.unmarked(old), new), new, again=answer.stale)


def csv_of(changes: Sequence[Change]) -> str:
    """The changes as CSV, a line for each cell of each student."""
    rows = ((one.student, one.notebook, one.cell, one.before, one.after, "; ".join(one.why)) for one in changes)
    return written([("student", "notebook", "cell", "before", "after", "why"), *rows])
