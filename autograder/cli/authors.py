"""Commands for authors: `build`, `audit`."""

from __future__ import annotations

from typing import Annotated

import typer

from autograder.cli.options import FINDINGS, CourseOption, fail, opened_course
from autograder.course.course import CourseError


def build(
    homeworks: Annotated[list[str] | None, typer.Argument(help="By default all.")] = None,
    check: Annotated[bool, typer.Option("--check", help="Write nothing; exit 1 when a notebook is stale.")] = False,
    course: CourseOption = None,
) -> None:
    """Make source/ and release/ from the masters in hw1/, hw2/ …"""
    from autograder.course import build as building

    opened = opened_course(course)
    try:
        if check:
            differences = building.stale(opened, homeworks)
            for difference in differences:
                typer.echo(difference.text)
            if differences:
                fail(f"{len(differences)} files are stale: run `autograder build` and commit them", FINDINGS)
            return
        for path in building.build(opened, homeworks):
            typer.echo(f"wrote {path.relative_to(opened.root)}")
    except CourseError as error:
        fail(error, FINDINGS)


def audit(
    homeworks: Annotated[list[str] | None, typer.Argument(help="By default all.")] = None,
    course: CourseOption = None,
) -> None:
    """Prove the hidden tests by the master, the untouched release, known mistakes and other right answers."""
    from autograder.proving import audit as auditing

    opened = opened_course(course)
    wrong = 0
    try:
        for name in homeworks or opened.homeworks:
            rows = auditing.audit(opened, opened.homework(name))
            typer.echo(auditing.table(rows))
            wrong += sum(bool(row.wrong) for row in rows)
    except CourseError as error:
        fail(error)
    if wrong:
        fail(f"{wrong} findings", FINDINGS)
