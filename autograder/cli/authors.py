"""Commands for authors: `build`, `audit`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import typer

from autograder.cli.options import FINDINGS, CourseOption, fail, opened_course
from autograder.course.course import Course, CourseError


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
    targets: Annotated[list[str] | None, typer.Argument(help="hw1 or hw1/mlp …; by default everything.")] = None,
    mutants: Annotated[bool, typer.Option("--mutants", help="Instead: wrong edits of the master by machine.")] = False,
    variants: Annotated[bool, typer.Option("--variants", help="Instead: right edits of it by machine.")] = False,
    hostile: Annotated[bool, typer.Option("--hostile", help="Instead: answers that no honest code gives.")] = False,
    draws: Annotated[int, typer.Option(min=1, help="Test with so many sets of random numbers.")] = 1,
    course: CourseOption = None,
) -> None:
    """Prove the hidden tests by the master, the untouched release, known mistakes and other right answers.

    With --mutants: by small wrong edits of the master's solutions. Those that no test finds are shown. With --variants:
    by edits that keep what the solutions mean. Those that lose points are shown. With --hostile: by answers of every
    type and size. Tests that pass, or that need much memory or time, are shown. With --draws 20: by many sets of
    random numbers, without training runs; mistakes are tested with 3 sets.
    """
    from autograder.proving import audit as auditing
    from autograder.proving import hostile as answers
    from autograder.proving import mutation

    opened = opened_course(course)
    wrong = 0
    try:
        for name, notebooks in _chosen(opened, targets):
            if mutants:
                for found in mutation.mutation(opened, opened.homework(name), notebooks):
                    typer.echo(mutation.report(found))
                    wrong += found.findings
            elif hostile:
                for odd in answers.hostile(opened, opened.homework(name), notebooks):
                    typer.echo(f"{odd.notebook}: {odd.text} ({odd.answer})")
                    wrong += 1
            else:
                rows = auditing.audit(opened, opened.homework(name), notebooks, by_machine=variants, draws=draws)
                typer.echo(auditing.table(rows))
                wrong += sum(bool(row.wrong) for row in rows)
    except CourseError as error:
        fail(error)
    if wrong:
        fail(f"{wrong} findings", FINDINGS)


def _chosen(course: Course, targets: list[str] | None) -> Iterator[tuple[str, list[str] | None]]:
    """Each homework to audit, and its notebooks, or None for all. Raises CourseError for a name that does not exist."""
    for target in targets or course.homeworks:
        name, _, notebook = target.partition("/")
        known = [spec.name for spec in course.homework(name).notebooks]
        if notebook and notebook not in known:
            raise CourseError(f"{name} has no notebook {notebook!r}; it has {', '.join(known)}")
        yield name, [notebook] if notebook else None
