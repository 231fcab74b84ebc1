"""What all commands share: the course they are for, and how they fail. Exit code 0: done; 1: findings; 2: usage."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, NoReturn

import typer

from autograder.course.course import Course, CourseError, find_course, open_course
from autograder.results.registration import Recorded

CourseOption = Annotated[Path | None, typer.Option("--course", help="The course's folder; by default found upwards.")]
RecordedOption = Annotated[
    Recorded,
    typer.Option(
        help="When cells or points have changed since submissions were recorded: refuse; let the gradebook take over "
        "other points; update it to other points and cells; or keep it as it is, in any case."
    ),
]
FINDINGS, USAGE, INTERRUPTED = 1, 2, 130


def fail(error: object, code: int = USAGE) -> NoReturn:
    """Print what is wrong, and exit."""
    typer.echo(str(error), err=True)
    raise typer.Exit(code)


def opened_course(folder: Path | None) -> Course:
    """The course in `folder`, or the one that the working folder lies in."""
    try:
        return open_course(folder) if folder is not None else find_course(Path.cwd())
    except CourseError as error:
        fail(error)
