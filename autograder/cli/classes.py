"""Commands for a class: `grade`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from autograder.cli.options import FINDINGS, CourseOption, fail, opened_course
from autograder.cli.progress import Progress
from autograder.course.course import CourseError


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
    course: CourseOption = None,
) -> None:
    """Grade a class: results, feedback pages, a table and nbgrader's gradebook."""
    from autograder.course.roster import open_roster
    from autograder.grading import class_run, teams

    opened = opened_course(course)
    out, submitted = out or opened.root / "results", submitted or opened.root / "submitted"
    try:
        chosen = opened.homework(homework)
        found = teams.survey_of(submitted, homework, opened.homeworks, open_roster(opened.root), student or ())
        with Progress(len(found.todo), json) as progress:
            outcomes = class_run.run(
                opened, chosen, found.todo, out, workers, allow_unconfined, progress.seen, found.absent
            )
    except CourseError as error:
        fail(error)
    progress.absent(found.absent)
    lost = [outcome for outcome in outcomes if outcome.result is None]
    empty = [outcome.result.student for outcome in outcomes if outcome.result and not outcome.result.found]
    if not json:
        for name in empty:
            typer.echo(f"{name}: no notebook of {homework} was found among the submitted files; see the feedback page")
        typer.echo(f"{len(outcomes) - len(lost)} of {len(outcomes)} graded; results and feedback pages in {out}")
    if lost or empty or not all(one.expected for one in found.absent):
        raise typer.Exit(FINDINGS)
