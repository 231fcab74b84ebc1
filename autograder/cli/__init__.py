"""The command line: `autograder build`, `grade`, `audit`, `doctor`, `demo`; heavy imports wait for the command."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from autograder.course.course import Course, CourseError, find_course, open_course
from autograder.course.stripping import BuildError

if TYPE_CHECKING:
    from autograder.grading.class_run import Outcome

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Build a course's notebooks, grade its classes, check its machines.",
)

_CourseOption = Annotated[Path | None, typer.Option("--course", help="The course's folder; by default found upwards.")]
_FINDINGS, _USAGE = 1, 2


def _fail(error: object, code: int = _USAGE) -> NoReturn:
    typer.echo(str(error), err=True)
    raise typer.Exit(code)


def _course(folder: Path | None) -> Course:
    try:
        return open_course(folder) if folder is not None else find_course(Path.cwd())
    except CourseError as error:
        _fail(error)


@app.command()
def build(
    homeworks: Annotated[list[str] | None, typer.Argument(help="By default all.")] = None,
    check: Annotated[bool, typer.Option("--check", help="Write nothing; exit 1 when a notebook is stale.")] = False,
    course: _CourseOption = None,
) -> None:
    """Make source/ and release/ from the masters in hw1/, hw2/ …"""
    from autograder.course import build as building
    from autograder.course.master import AuthorError

    opened = _course(course)
    try:
        if check:
            differences = building.stale(opened, homeworks)
            for difference in differences:
                typer.echo(difference.text)
            if differences:
                _fail(f"{len(differences)} files are stale: run `autograder build` and commit them", _FINDINGS)
            return
        for path in building.build(opened, homeworks):
            typer.echo(f"wrote {path.relative_to(opened.root)}")
    except (CourseError, AuthorError, BuildError) as error:
        _fail(error, _FINDINGS)


@app.command()
def grade(
    homework: Annotated[str, typer.Argument(help="hw1, say.")],
    submitted: Annotated[Path | None, typer.Option(help="Submissions: <student>/<homework>/ in it.")] = None,
    out: Annotated[Path | None, typer.Option(help="Results and feedback pages; by default results/.")] = None,
    workers: Annotated[int, typer.Option(min=1, help="Submissions graded at a time.")] = os.cpu_count() or 1,
    student: Annotated[list[str] | None, typer.Option(help="Only this student; may be repeated.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON line a submission.")] = False,
    allow_unconfined: Annotated[
        bool, typer.Option("--allow-unconfined", help="Grade even where nothing confines the student's code.")
    ] = False,
    course: _CourseOption = None,
) -> None:
    """Grade a class: results, feedback pages, a table and nbgrader's gradebook."""
    from autograder.course.master import AuthorError
    from autograder.grading import class_run

    opened = _course(course)
    out = out or opened.root / "results"
    try:
        chosen = opened.homework(homework)
        todo = class_run.submissions(submitted or opened.root / "submitted", homework, student or ())
        with _Progress(len(todo), json) as progress:
            outcomes = class_run.run(opened, chosen, todo, out, workers, allow_unconfined, progress.seen)
    except (CourseError, AuthorError) as error:
        _fail(error)
    lost = [outcome for outcome in outcomes if outcome.result is None]
    if not json:
        typer.echo(f"{len(outcomes) - len(lost)} of {len(outcomes)} graded; results and feedback pages in {out}")
    if lost:
        raise typer.Exit(_FINDINGS)


@app.command()
def audit(
    homeworks: Annotated[list[str] | None, typer.Argument(help="By default all.")] = None,
    course: _CourseOption = None,
) -> None:
    """Prove the hidden tests by the master, the untouched release, known mistakes and other right answers."""
    from autograder.course.master import AuthorError
    from autograder.proving import audit as auditing

    opened = _course(course)
    wrong = 0
    try:
        for name in homeworks or opened.homeworks:
            rows = auditing.audit(opened, opened.homework(name))
            typer.echo(auditing.table(rows))
            wrong += sum(bool(row.wrong) for row in rows)
    except (CourseError, AuthorError) as error:
        _fail(error)
    if wrong:
        _fail(f"{wrong} findings", _FINDINGS)


@app.command()
def doctor() -> None:
    """Say how well this machine confines submissions, what was tried, and what to install or change."""
    from autograder.confine import doctor as examining

    report = examining.examine()
    typer.echo(examining.render(report))
    if not report.healthy:
        raise typer.Exit(_FINDINGS)


@app.command()
def demo(
    keep: Annotated[Path | None, typer.Option(help="Make the course here, not in a temporary folder.")] = None,
    workers: Annotated[int, typer.Option(min=1)] = os.cpu_count() or 1,
    course: _CourseOption = None,
) -> None:
    """Make an example class in a temporary course, grade it, and print what was found."""
    from autograder.proving import demo as showing

    try:
        raise typer.Exit(showing.show(_course(course), keep, workers))
    except CourseError as error:
        _fail(error)


class _Progress:
    """A bar on a terminal, a line a submission otherwise, JSON lines when asked."""

    def __init__(self, total: int, json: bool) -> None:
        self._json = json
        self._bar = None
        if not json and sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

            columns = (TextColumn("grading"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
            self._bar = Progress(*columns, console=Console(stderr=True))
            self._task = self._bar.add_task("", total=total)

    def __enter__(self) -> _Progress:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(self, *why: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def seen(self, outcome: Outcome) -> None:
        result = outcome.result
        if self._json:
            import json

            line: dict[str, object] = {"student": outcome.submission.student, "error": outcome.lost}
            if result is not None:
                line |= {"score": result.score, "max_score": result.max_score, "tier": result.tier}
                line |= {"wall_seconds": result.wall_seconds, "cpu_seconds": result.cpu_seconds}
                line |= {"found": list(result.findings)}
            typer.echo(json.dumps(line))
        elif self._bar is not None:
            self._bar.advance(self._task)
        elif result is not None:
            found = f"  {', '.join(result.findings)}" if result.findings else ""
            typer.echo(f"{result.student}: {result.score:g}/{result.max_score:g}{found}")
        else:
            typer.echo(f"{outcome.submission.student}: {outcome.lost}")
