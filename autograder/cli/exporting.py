"""Commands that bring results to students and learning platforms: `export`, `deliver`."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from autograder.cli.options import FINDINGS, CourseOption, HomeworkArgument, OutOption, fail, opened_course
from autograder.course.course import CourseError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from autograder.course.course import Course
    from autograder.exporting.scores import Export, Platform
    from autograder.results.result import Result


class Target(StrEnum):
    """The platform whose format is written."""

    canvas = "canvas"
    moodle = "moodle"
    gradescope = "gradescope"
    gradescope_autograder = "gradescope-autograder"
    csv = "csv"


def export(
    homework: HomeworkArgument,
    to: Annotated[Target, typer.Option("--to", help="The platform whose format is written.")] = Target.csv,
    into: Annotated[
        Path | None, typer.Option(help="The gradebook that the platform exported: a copy is filled.")
    ] = None,
    column: Annotated[
        str, typer.Option(help="The column for the scores, if the homework's name does not identify it.")
    ] = "",
    partial: Annotated[
        bool, typer.Option("--partial", help="Include scores with answers that have no points yet.")
    ] = False,
    out: Annotated[Path | None, typer.Option(help="Results; by default results/.")] = None,
    out_file: Annotated[Path | None, typer.Option(help="The file to write; it may be that of --into.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be filled in; write nothing.")] = False,
    push: Annotated[
        str,
        typer.Option(help="The assignment's web address: scores go into Canvas itself. CANVAS_TOKEN has the token."),
    ] = "",
    course: CourseOption = None,
) -> None:
    """Write the scores into a file for the learning platform, such as results/hw1.canvas.csv, or push them into Canvas.

    gradescope-autograder writes no scores but results/hw1.gradescope-autograder.zip, with which Gradescope grades the
    homework. It holds every answer and the course's secret.

    With --into, everything else in the platform's file stays byte for byte. With --push, nothing but scores is sent,
    and each is read back. Exit code 1 if somebody has a result and its score is not there. A student who handed in
    nothing has no result: named, but no error.
    """
    from autograder import atomic_file
    from autograder.course.roster import open_roster
    from autograder.exporting import canvas, connection, scores
    from autograder.results.plain_text import plain

    opened = opened_course(course)
    out = out or opened.root / "results"
    if to is Target.gradescope_autograder:
        if into is not None or column or partial or push:
            fail("--to gradescope-autograder: it holds no scores: leave out --into, --column, --partial and --push")
        _write_autograder(opened, homework, out_file or out / f"{homework}.{to.value}.zip", dry_run)
        return
    platform = cast("Platform", to.value)
    target = out_file or out / f"{homework}.{platform}.csv"
    if column and into is None:
        raise CourseError(
            "--column: a new file has one column for scores: leave it out, or name the platform's file with --into"
        )
    if push and (to != Target.canvas or into is not None or out_file is not None):
        raise CourseError(
            "--push: this is for --to canvas, and writes no file: say --to canvas, without --into and --out-file"
        )
    chosen, roster = opened.homework(homework), open_roster(opened.root)
    results = scores.results_of(out, chosen)
    if push:
        found = canvas.push(connection.opened(push, os.environ), chosen, results, roster, partial, dry_run)
    elif into is not None:
        if into.resolve() == target.resolve() and out_file is None:
            raise CourseError(f"{into}: this file would be written over: say --out-file, or move it elsewhere")
        found = scores.fill(into, platform, chosen, opened.homeworks, results, roster, column, partial)
    else:
        found = scores.made(platform, chosen, results, roster, partial)
    if not dry_run and not push:
        atomic_file.replace(target, found.data, 0o600)
    for line in _told(found, results):
        typer.echo(line)
    for student, result in results.items():
        if not result.found and student not in found.waiting:
            typer.echo(f"{plain(student)}: 0 points, because no notebook of {homework} could be graded")
    where = f" in the column {plain(found.column)}" if found.column else ""
    written = "nothing was written" if dry_run else "pushed" if push else str(target)
    written += f", {found.stood} stood there already" if push else ""
    typer.echo(f"{found.filled} of {len(results)} scores{where}: {written}")
    if not found.complete:
        raise typer.Exit(FINDINGS)


def _write_autograder(course: Course, name: str, target: Path, dry_run: bool) -> None:
    """Write the archive for Gradescope, and say how to set up the assignment."""
    from autograder import atomic_file
    from autograder.examination.secret import course_secret
    from autograder.exporting import gradescope_autograder
    from autograder.exporting.gradescope_results import written_answers
    from autograder.results.plain_text import points_text

    homework = course.homework(name)
    data = gradescope_autograder.archive(course, homework, b"" if dry_run else course_secret(course))
    written = tuple(written_answers(homework))
    tested = gradescope_autograder.tested_points(homework)
    if not dry_run:
        target.parent.mkdir(parents=True, exist_ok=True)
        atomic_file.replace(target, data, 0o600)
    typer.echo(f"Autograder points: {points_text(tested)}")
    if written:
        typer.echo("Manually graded questions:")
    for notebook, cell in written:
        typer.echo(f"  {notebook}: {cell.title} ({cell.grade_id}), {points_text(cell.points)} points")
    typer.echo("The archive holds every answer of the homework and the course's secret: upload it, and keep it private")
    typer.echo("nothing was written" if dry_run else str(target))


def deliver(
    homework: HomeworkArgument,
    to: Annotated[str, typer.Option("--to", help="A folder, canvas-zip or moodle-zip.")],
    into: Annotated[
        Path | None,
        typer.Option(help="With moodle-zip, the grading worksheet; with canvas-zip, the archive of all submissions."),
    ] = None,
    partial: Annotated[
        bool, typer.Option("--partial", help="Include pages with answers that have no points yet.")
    ] = False,
    out: OutOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say who would get a page; write nothing.")] = False,
    course: CourseOption = None,
) -> None:
    """Put the feedback pages where students get them, and nothing else of the results.

    moodle-zip writes results/hw1.moodle.zip, for “Upload multiple feedback files in a zip”; canvas-zip writes
    results/hw1.canvas.zip, for “Upload Submissions”. Exit code 1 if a page is left out, or is that of somebody
    who is not in the roster.
    """
    from autograder.course.roster import open_roster
    from autograder.exporting import delivery, scores
    from autograder.results.plain_text import plain

    opened = opened_course(course)
    out = out or opened.root / "results"
    packed = to in ("canvas-zip", "moodle-zip")
    target = out / f"{homework}.{to.removesuffix('-zip')}.zip" if packed else Path(to)
    chosen = opened.homework(homework)
    pages = delivery.Pages(chosen, scores.results_of(out, chosen), out, partial)
    match to:
        case "moodle-zip" if into:
            found = delivery.for_moodle(into, pages, open_roster(opened.root))
        case "canvas-zip" if into:
            found = delivery.for_canvas(into, pages, opened.homeworks, open_roster(opened.root))
        case "moodle-zip":
            raise CourseError(
                "--to moodle-zip: it needs the assignment's grading worksheet: name that with --into FILE"
            )
        case "canvas-zip":
            raise CourseError(
                "--to canvas-zip: it needs the archive that “Download Submissions” made: name that with --into FILE"
            )
        case _ if to in ("canvas", "moodle", "gradescope") or (to.endswith("-zip") and "/" not in to):
            raise CourseError(
                f"--to {to}: this is no format: write canvas-zip or moodle-zip; or ./{to}, if you mean a folder"
            )
        case _:
            if target.resolve() == out.resolve():
                raise CourseError(f"{target}: the pages are there already, with transcripts: choose another folder")
            if target.resolve() == (opened.root / "submitted").resolve():
                raise CourseError(f"{target}: what is in there will be graded: choose another folder")
            found = delivery.to_folder(pages, open_roster(opened.root))
    if not dry_run:
        write = delivery.write_zip if packed else delivery.write_folder
        write(found, pages, target)
    for student, why in found.left.items():
        typer.echo(f"{plain(student)}: left out, {plain(why)}")
    for student in found.strangers:
        typer.echo(f"{plain(student)}: the page is there, but the student is not in roster.csv")
    count = f"{len(found.files)} of {len(pages.results)} pages"
    typer.echo(f"{count}: nothing was written" if dry_run else f"{count} in {target}")
    if to == "canvas-zip" and found.files:
        typer.echo(
            f"Canvas calls each page like a file that was handed in: tell students to save it as {homework}.html"
        )
    if found.left or found.strangers:
        raise typer.Exit(FINDINGS)


def _told(found: Export, results: Mapping[str, Result]) -> list[str]:
    """What a person has to know."""
    from autograder.results.plain_text import plain
    from autograder.results.waiting import reason

    lines = [f"{plain(student)}: {plain(before)} stood there; now {after}" for student, before, after in found.changed]
    lines += [
        f"{plain(student)}: left out, {reason(results[student])} (--partial exports)" for student in found.waiting
    ]
    lines += [f"{plain(student)}: has a result, but is not in the list of students" for student in found.unknown]
    lines += [f"{plain(student)}: no result" for student in found.missing]
    lines += [f"{plain(student)}: not pushed; the same command pushes what is missing" for student in found.left]
    return [*lines, *map(plain, found.notes)]
