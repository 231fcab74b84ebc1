"""Commands for a class: `grade`, `record`."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from autograder.cli.options import (
    FINDINGS,
    INTERRUPTED,
    CourseOption,
    HomeworkArgument,
    OutOption,
    RecordedOption,
    SubmittedOption,
    fail,
    opened_course,
)
from autograder.cli.progress import Progress
from autograder.course.course import CourseError
from autograder.results.registration import Recorded

if TYPE_CHECKING:
    from autograder.course.bundle import Bundle
    from autograder.course.course import Course, Homework, TierName
    from autograder.grading.class_run import Elsewhere, Outcome
    from autograder.results.result import Result

_NAMED = 10
"""folders that are named; of more, there are too many to be read"""


def grade(
    homework: HomeworkArgument,
    submitted: SubmittedOption = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Results and feedback pages; by default results/. With another folder, the gradebook stays as it is."
        ),
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Submissions graded at a time.")] = os.cpu_count() or 1,
    student: Annotated[list[str] | None, typer.Option(help="Only this student; may be repeated.")] = None,
    recorded: RecordedOption = Recorded.REFUSE,
    again: Annotated[bool, typer.Option("--again", help="Also grade students whose result is still valid.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON line for each submission.")] = False,
    allow_unconfined: Annotated[
        bool, typer.Option("--allow-unconfined", help="Grade even where nothing confines the student's code.")
    ] = False,
    scheduler: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Grade on the workers of this Dask scheduler: tls://HOST:PORT.")
    ] = "",
    tls_ca: Annotated[
        Path | None, typer.Option(help="Certificate that signed the scheduler's, for --scheduler.")
    ] = None,
    tls_cert: Annotated[Path | None, typer.Option(help="Certificate to show to the scheduler.")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="Its private key.")] = None,
    junit: Annotated[Path | None, typer.Option(help="Write a report for continuous integration: JUnit's XML.")] = None,
    summary: Annotated[
        Path | None, typer.Option(help="Add a table in Markdown to this file, such as $GITHUB_STEP_SUMMARY.")
    ] = None,
    course: CourseOption = None,
) -> None:
    """Grade a class: results, feedback pages, a table and nbgrader's gradebook.

    Nobody is graded twice: while submission, course and software stay the same, so does a result. A run that was
    stopped goes on where it was.
    """
    from autograder.course import lag
    from autograder.course.roster import open_roster
    from autograder.grading import class_run, teams
    from autograder.grading.standing import Standing
    from autograder.grading.tally import Tally
    from autograder.results import record
    from autograder.results.plain_text import plain

    tally = Tally()

    lost: dict[str, str] = {}

    def seen(outcome: Outcome) -> None:
        tally.add(outcome)
        progress.seen(outcome)
        lost.update({outcome.submission.student: outcome.lost} if outcome.result is None else {})

    for target in filter(None, (junit, summary)):
        if target.is_dir():
            fail(f"{target}: this is a folder: name a file")
        if not target.absolute().parent.is_dir():
            fail(f"{target.absolute().parent}: there is no such folder: make it, or name another file")
    if student and recorded in (Recorded.POINTS, Recorded.UPDATE):
        fail(f"--recorded {recorded}: it changes everybody's points: grade the whole class, without --student")
    opened = opened_course(course)
    out, submitted = out or opened.root / "results", submitted or opened.root / "submitted"
    try:
        _check_cluster(scheduler, (tls_ca, tls_cert, tls_key))
        chosen = opened.homework(homework)
        for line in lag.checked(chosen):
            typer.echo(line, err=True)
        roster = open_roster(opened.root)
        found = teams.survey_of(submitted, homework, opened.homeworks, roster, student or ())
        standing = Standing(opened, chosen, roster, submitted, found.todo)
        with Progress(len(found.todo), json) as progress:
            elsewhere = None
            if scheduler:
                floor = "none" if allow_unconfined else opened.floor
                elsewhere = _cluster(opened, chosen, scheduler, (tls_ca, tls_cert, tls_key), floor, progress)
            class_run.run(
                opened,
                chosen,
                found.todo,
                out,
                workers,
                allow_unconfined,
                seen,
                found.absent,
                recorded,
                standing,
                again,
                elsewhere=elsewhere,
                keep=False,
            )
    except KeyboardInterrupt:
        fail(
            f"stopped; results so far are kept in {out}: `autograder grade {homework}` goes on from there", INTERRUPTED
        )
    progress.absent(found.absent)
    _report(homework, out, [one.student for one in found.todo], lost, junit, summary)
    if not json:
        for name, why in sorted(tally.empty.items()):
            typer.echo(f"{plain(name)}: no notebook of {homework} could be graded: {plain(why)}")
        for name in sorted(tally.strange):
            typer.echo(
                f"{plain(name)}: handed in a notebook with numbers that this student was not given: see the page"
            )
        done = tally.outcomes - tally.lost
        typer.echo(f"{done} of {tally.outcomes} graded; results and feedback pages in {out}")
        if strangers := [one.student for one in found.todo if roster and roster.bearer(one.student) is None]:
            typer.echo(_strangers_text(strangers))
        if tally.stood:
            typer.echo(f"{tally.stood} of them had a result that still stands: --again grades them, too")
        tell_waiting((result for _, result in record.each(out, homework)), homework)
    tell_faults(tally.faults, homework)
    if tally.unrecorded:
        typer.echo(unrecorded_text(tally.unrecorded, homework), err=True)
    for note in standing.unread.values():
        typer.echo(f"{note}. Until then, it counts as on time", err=True)
    if tally.undated and not json:
        undated = f"{tally.undated} of {tally.outcomes} have no time of submission (timestamp.txt)"
        typer.echo(f"{undated}, so they count as on time")
    incomplete = tally.lost or tally.empty or tally.unrecorded or tally.faults
    if incomplete or standing.unread or not all(one.expected for one in found.absent):
        raise typer.Exit(FINDINGS)


def _report(
    homework: str, out: Path, students: Iterable[str], lost: Mapping[str, str], junit: Path | None, summary: Path | None
) -> None:
    """Write the reports for continuous integration about these students; `lost` have no result."""
    from autograder import atomic_file
    from autograder.exporting import junit as reports
    from autograder.results import record

    def results() -> Iterator[Result]:
        for student in sorted(students):
            if student not in lost:
                yield record.read(out / student / f"{homework}.json")

    try:
        if junit is not None:
            atomic_file.replace(junit, reports.xml(homework, results(), lost))
        if summary is not None:
            with summary.open("a", encoding="utf-8") as file:
                file.write(reports.markdown(homework, results(), lost))
    except ValueError as error:
        fail(error)


def _check_cluster(address: str, files: tuple[Path | None, Path | None, Path | None]) -> None:
    """Raise CourseError where the options for a cluster do not fit, whether or not anybody has to be graded."""
    from autograder.grading.cluster.address import Certificates, checked

    if address:
        checked(address)
        Certificates(*files).check()
    elif any(files):
        raise CourseError("--tls-ca, --tls-cert, --tls-key: these are for a cluster: name it with --scheduler")


def _cluster(
    course: Course,
    homework: Homework,
    address: str,
    files: tuple[Path | None, Path | None, Path | None],
    floor: TierName,
    progress: Progress,
) -> Elsewhere:
    """The workers at a Dask scheduler's address. Raises CourseError."""
    from autograder.grading.cluster.address import Certificates
    from autograder.grading.cluster.driver import ClusterRun
    from autograder.grading.origin import software

    try:
        from autograder.grading.cluster.link import Link
    except ImportError:
        raise CourseError(
            "--scheduler: Dask's distributed is not installed here: run `pip install 'autograder[cluster]'`"
        ) from None

    def connect(bundle: Bundle) -> Link:
        return Link(address, Certificates(*files), course.id, bundle, software(homework.packages), floor, progress.tell)

    return ClusterRun(course, homework, connect, progress.tell, progress.workers)


def watch(
    homework: HomeworkArgument,
    submitted: SubmittedOption = None,
    out: OutOption = None,
    workers: Annotated[int, typer.Option(min=1, help="Submissions graded at a time.")] = os.cpu_count() or 1,
    allow_unconfined: Annotated[
        bool, typer.Option("--allow-unconfined", help="Grade even where nothing confines the student's code.")
    ] = False,
    course: CourseOption = None,
) -> None:
    """Grade what arrives in submitted/, as soon as it is complete, until Ctrl-C.

    The hidden tests stay loaded, so a page is there within a second or two. When the course's files change, they are
    loaded anew, and who is affected is graded again when `autograder grade` is called.
    """
    from autograder.grading.watch import Watch

    opened = opened_course(course)
    out, submitted = out or opened.root / "results", submitted or opened.root / "submitted"
    opened.homework(homework)

    def seen(outcome: Outcome) -> None:
        if outcome.result is None:
            typer.echo(f"{outcome.submission.student}: {outcome.lost}", err=True)
        elif not outcome.stood:
            typer.echo(f"{outcome.submission.student}: {outcome.result.score:g}/{outcome.result.max_score:g}")

    def tell(why: str) -> None:
        typer.echo(why, err=True)

    typer.echo(f"watching {submitted}; results in {out}; Ctrl-C ends it")
    with Watch(opened, homework, submitted, out, workers, allow_unconfined, seen, tell) as watching:
        try:
            while True:
                watching.look()
                watching.rest()
        except KeyboardInterrupt:
            typer.echo("ended")


def record(
    homework: HomeworkArgument,
    student: Annotated[list[str] | None, typer.Option(help="Only this student; may be repeated.")] = None,
    out: Annotated[Path | None, typer.Option(help="Results; by default results/.")] = None,
    recorded: RecordedOption = Recorded.REFUSE,
    course: CourseOption = None,
) -> None:
    """Write to nbgrader's gradebook what could not be written while grading; then bring its marks to the pages.

    Results that the gradebook has already stay as they are.
    """
    from autograder.course.roster import open_roster
    from autograder.grading import class_run
    from autograder.grading.standing import Standing
    from autograder.results import record as records
    from autograder.results import recording

    opened = opened_course(course)
    out = out or opened.root / "results"
    chosen = opened.homework(homework)
    if not any(out.glob(f"*/{chosen.name}.json")):
        raise records.none(out, chosen.name)
    roster = open_roster(opened.root)
    standing = Standing(opened, chosen, roster)
    done, why = recording.record_again(opened, chosen, out, roster, recorded, student or (), standing.late)
    class_run.write_csv(chosen, out, standing.absent, roster)
    typer.echo(f"{done} results recorded in {opened.root / 'gradebook.db'}")
    if why:
        typer.echo(why, err=True)
        raise typer.Exit(FINDINGS)


def tell_waiting(results: Iterable[Result], homework: str) -> None:
    """Say how many answers wait for a person, or for a repaired test."""
    from autograder.results.waiting import waiting_in

    again = 0

    def seen() -> Iterator[Result]:
        nonlocal again
        for result in results:
            cells = (cell for book in result.notebooks for cell in book.cells)
            again += sum(bool(cell.mark and cell.mark.outdated) for cell in cells)
            yield result

    for line in waiting_in(seen()).lines(homework):
        typer.echo(line)
    if again:
        typer.echo(f"{again} marked answers have to be looked at again: `autograder marks {homework}` names them")


def _strangers_text(students: Sequence[str]) -> str:
    """What to do about folders in submitted/ that no line of the roster tells of."""
    from autograder.results.plain_text import plain

    who = "; ".join(map(plain, students[:_NAMED])) + ("; …" if len(students) > _NAMED else "")
    return (
        f"not in roster.csv, but graded: {who}: add a line to roster.csv, or correct the name of the folder; if it is "
        "nobody's, remove the folder and its results"
    )


def tell_faults(faulty: Mapping[tuple[str, str], int], homework: str) -> None:
    """Name the cells of whose hidden tests one has an error of its own, and how many students wait."""
    for (notebook, cell), number in faulty.items():
        typer.echo(
            f"{homework}/{notebook}: a hidden test of {cell} has an error of its own, so that points wait in {number} "
            f"result{'s' * (number != 1)}: `autograder audit {homework}/{notebook}` names it; mend it, and run "
            f"`autograder regrade {homework}`",
            err=True,
        )


def unrecorded_text(number: int, homework: str) -> str:
    """What to do about results that the gradebook does not have."""
    return (
        f"{number} results are not in the gradebook, because it could not be written; results, pages and table are "
        f"complete. Close formgrader and other nbgrader commands, and run `autograder record {homework}`"
    )
