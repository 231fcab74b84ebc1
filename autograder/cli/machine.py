"""Commands for a machine: `doctor`, `demo`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from autograder.cli.options import FINDINGS, CourseOption, fail, opened_course
from autograder.course.course import CourseError


def doctor() -> None:
    """Say how well this machine confines submissions, what was tried, and what to install or change."""
    from autograder.confine import doctor as examining

    report = examining.examine()
    typer.echo(examining.render(report))
    if not report.healthy:
        raise typer.Exit(FINDINGS)


def demo(
    keep: Annotated[Path | None, typer.Option(help="Make the course here, not in a temporary folder.")] = None,
    workers: Annotated[int, typer.Option(min=1)] = os.cpu_count() or 1,
    course: CourseOption = None,
) -> None:
    """Make an example class in a temporary course, grade it, and print what was found."""
    from autograder.proving import demo as showing

    try:
        raise typer.Exit(showing.show(opened_course(course), keep, workers))
    except CourseError as error:
        fail(error)
