"""Commands that bring results to students and learning platforms: `export`, `deliver`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from autograder.cli.options import FINDINGS, CourseOption, fail, opened_course
from autograder.course.course import CourseError

if TYPE_CHECKING:
    from autograder.exporting.scores import Export


class Target(StrEnum):
    """Whose format is written."""

    canvas = "canvas"
    moodle = "moodle"
    csv = "csv"


def export(
    homework: Annotated[str, typer.Argument(help="hw1, say.")],
    to: Annotated[Target, typer.Option("--to", help="Whose format.")] = Target.csv,
    into: Annotated[
        Path | None, typer.Option(help="The gradebook that the platform exported: a copy is filled.")
    ] = None,
    column: Annotated[str, typer.Option(help="Its column for the scores, if the homework's name does not tell.")] = "",
    partial: Annotated[
        bool, typer.Option("--partial", help="Also scores with answers that are not marked yet.")
    ] = False,
    out: Annotated[Path | None, typer.Option(help="Results; by default results/.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be filled in; write nothing.")] = False,
    course: CourseOption = None,
) -> None:
    """Write the scores into a file for the learning platform: results/hw1.canvas.csv, say.

    With --into, everything else in the platform's file stays byte for byte. Exit code 1 if somebody is not in it.
    """
    from autograder import atomic_file
    from autograder.course.roster import open_roster
    from autograder.exporting import scores

    opened = opened_course(course)
    out = out or opened.root / "results"
    target = out / f"{homework}.{to.value}.csv"
    try:
        chosen, roster = opened.homework(homework), open_roster(opened.root)
        results = scores.results_of(out, chosen)
        if into is not None:
            if into.resolve() == target.resolve():
                raise CourseError(f"{into}: this file would be written over: move the platform's file elsewhere")
            found = scores.fill(into, to.value, chosen, opened.homeworks, results, roster, column, partial)
        else:
            found = scores.made(to.value, chosen, results, roster, partial)
        if not dry_run:
            atomic_file.replace(target, found.data, 0o600)
    except CourseError as error:
        fail(error)
    except OSError as error:
        fail(f"{target}: it cannot be written ({error.strerror})")
    for line in _told(found):
        typer.echo(line)
    typer.echo(f"{found.filled} of {len(results)} scores" + ("; nothing was written" if dry_run else f" in {target}"))
    if not found.complete:
        raise typer.Exit(FINDINGS)


def deliver(
    homework: Annotated[str, typer.Argument(help="hw1, say.")],
    to: Annotated[str, typer.Option("--to", help="A folder, or moodle-zip.")],
    into: Annotated[Path | None, typer.Option(help="With moodle-zip: the assignment's grading worksheet.")] = None,
    partial: Annotated[
        bool, typer.Option("--partial", help="Also pages with answers that are not marked yet.")
    ] = False,
    out: Annotated[Path | None, typer.Option(help="Results and feedback pages; by default results/.")] = None,
    course: CourseOption = None,
) -> None:
    """Put the feedback pages where students get them, and nothing else of the results.

    moodle-zip writes results/hw1.moodle.zip, for “Upload multiple feedback files in a zip”. Exit code 1 if a page is
    left out.
    """
    from autograder.course.roster import open_roster
    from autograder.exporting import delivery, scores
    from autograder.results.plain_text import plain

    opened = opened_course(course)
    out = out or opened.root / "results"
    try:
        chosen = opened.homework(homework)
        results = scores.results_of(out, chosen)
        if to == "moodle-zip":
            if into is None:
                raise CourseError("moodle-zip needs --into FILE: the assignment's grading worksheet, with its numbers")
            target = out / f"{homework}.moodle.zip"
            found = delivery.for_moodle(into, chosen, results, open_roster(opened.root), partial)
            delivery.write_zip(found, chosen, out, target)
        else:
            target = Path(to)
            if target.resolve() == out.resolve():
                raise CourseError(f"{target}: the pages are there already, with transcripts: choose another folder")
            found = delivery.to_folder(chosen, results, partial)
            delivery.write_folder(found, chosen, out, target)
    except CourseError as error:
        fail(error)
    except OSError as error:
        fail(f"{to}: it cannot be written ({error.strerror})")
    for student in found.waiting:
        typer.echo(f"{plain(student)}: left out, answers are not marked yet (--partial delivers)")
    for student in found.unknown:
        typer.echo(f"{plain(student)}: left out, not in the worksheet")
    typer.echo(f"{len(found.files)} of {len(results)} pages in {target}")
    if len(found.files) < len(results):
        raise typer.Exit(FINDINGS)


def _told(found: Export) -> list[str]:
    """What a person has to know."""
    from autograder.results.plain_text import plain

    lines = [f"{plain(student)}: {plain(before)} stood there; now {after}" for student, before, after in found.changed]
    lines += [
        f"{plain(student)}: left out, answers are not marked yet (--partial exports)" for student in found.waiting
    ]
    lines += [f"{plain(student)}: has a result, but is not in the list of students" for student in found.unknown]
    lines += [f"{plain(student)}: no result" for student in found.missing]
    return [*lines, *map(plain, found.notes)]
