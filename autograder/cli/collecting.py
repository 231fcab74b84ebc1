"""Commands before grading: `collect`, `roster import`, `roster pseudonyms`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from autograder.cli.options import FINDINGS, CourseOption, HomeworkArgument, answering, opened_course
from autograder.course.course import CourseError

if TYPE_CHECKING:
    from autograder.collecting.collect import Collection
    from autograder.collecting.desk import Collected
    from autograder.collecting.platforms import Platform
    from autograder.course.class_list import Update

roster = typer.Typer(no_args_is_help=True, help="The students of the course: roster.csv.")
_SHOWN = 10


class Place(StrEnum):
    """Where submissions come from."""

    auto = "auto"
    canvas = "canvas"
    moodle = "moodle"
    gradescope = "gradescope"
    github = "github"
    blackboard = "blackboard"
    ilias = "ilias"
    nbgrader = "nbgrader"
    folder = "folder"


class ListPlace(StrEnum):
    """Where a list of students comes from."""

    auto = "auto"
    canvas = "canvas"
    moodle = "moodle"
    gradescope = "gradescope"
    github = "github"
    csv = "csv"


def collect(
    homework: HomeworkArgument,
    paths: Annotated[list[Path], typer.Argument(help="Zip archives and folders, as the platform gives them.")],
    place: Annotated[
        Place, typer.Option("--from", help="The platform; by default it is recognised by the files' names.")
    ] = Place.auto,
    roster: Annotated[Path | None, typer.Option(help="By default roster.csv of the course.")] = None,
    submitted: Annotated[Path | None, typer.Option(help="By default submitted/ of the course.")] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Move files that are there aside if they differ.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Write nothing; say what would happen.")] = False,
    pseudonyms: Annotated[
        bool, typer.Option("--pseudonyms", help="Call students by the roster's pseudonyms; write no name anywhere.")
    ] = False,
    json: Annotated[
        bool, typer.Option("--json", help="Print one JSON line for each student and each finding.")
    ] = False,
    course: CourseOption = None,
) -> None:
    """Put submissions into submitted/<student>/<homework>/: the newest attempt of each student, and its time.

    Older attempts, and what --replace puts aside, are kept in collected/<homework>/<student>/.
    """
    from autograder.collecting import collect as collecting
    from autograder.course.roster import open_roster

    opened = opened_course(course)
    chosen, people = opened.homework(homework), open_roster(opened.root, roster)
    platform = None if place is Place.auto else cast("Platform", place.value)
    with _status() as seen:
        found = collecting.collect(
            opened, chosen, paths, platform, people, submitted, replace, dry_run, pseudonyms, seen
        )
    if json:
        _print_json(found)
    else:
        _print(found, homework, dry_run)
        if people is None:
            typer.echo(
                "there is no roster.csv, so students are called as the platform calls them: `autograder roster import`"
            )
    if found.findings:
        raise typer.Exit(FINDINGS)


@contextmanager
def _status() -> Iterator[Callable[[Collected], None]]:
    """On a terminal, the student whose submission was collected last."""
    if not sys.stderr.isatty():
        yield lambda one: None
        return
    from rich.console import Console
    from rich.markup import escape

    with Console(stderr=True).status("collecting") as status:
        yield lambda one: status.update(f"collecting: {escape(one.student)}")


def _print(found: Collection, homework: str, dry: bool) -> None:
    from autograder.collecting.table import table
    from autograder.results.plain_text import counted, plain

    for division in found.divisions:
        submissions = counted(len(division.handed_in), "submission")
        typer.echo(f"{division.source.path}: {division.platform}, {submissions}")
    for line in table(found):
        typer.echo(line)
    states = [one.state for one in found.collected]
    told = [f"{states.count(state)} {state}" for state in dict.fromkeys(states)]
    untold = sum(one.time is None for one in found.collected)
    late = [plain(one.student) for one in found.collected if one.late]
    undated = [plain(one.student) for one in found.collected if one.late and one.time is None]
    if late:
        typer.echo(f"{len(late)} late, as the platform says: {', '.join(late)}")
    if undated:
        typer.echo(
            f"but it does not say when {', '.join(undated)} handed in: without a time they count as on time, so write "
            f"it into submitted/STUDENT/{homework}/timestamp.txt, as in 2026-11-20 23:59:00 Europe/Berlin"
        )
    if untold:
        their = "its folder has" if untold == 1 else "their folders have"
        typer.echo(f"the time of {counted(untold, 'submission')} is not known: {their} no timestamp.txt")
    if found.without:
        more = f" and {len(found.without) - _SHOWN} more" if len(found.without) > _SHOWN else ""
        typer.echo(f"nothing from {', '.join(found.without[:_SHOWN])}{more}")
    dried = " (nothing was written: this was a dry run)" if dry else ""
    typer.echo(f"{homework}: {', '.join(told) or 'nothing collected'}; {found.findings} to look at{dried}")


def _print_json(found: Collection) -> None:
    import json

    for one in found.collected:
        line: dict[str, object] = {"student": one.student, "state": one.state, "notebooks": one.notebooks}
        line |= {"time": one.time.isoformat() if one.time else None, "late": one.late, "aside": one.aside}
        typer.echo(json.dumps(line | {"notes": one.notes}))
    for trouble in found.troubles:
        typer.echo(json.dumps({"student": trouble.who, "state": trouble.kind, "notes": [trouble.why]}))
    for student in found.without:
        typer.echo(json.dumps({"student": student, "state": "nothing", "notes": []}))
    for division in found.divisions:
        for path, why in division.source.refused:
            typer.echo(json.dumps({"file": path, "state": "refused", "notes": [why]}))
        for path in division.strays:
            typer.echo(json.dumps({"file": path, "state": "stray", "notes": []}))


@roster.command("import")
@answering
def import_(
    file: Annotated[Path, typer.Argument(help="A list of Canvas, Moodle, Gradescope or GitHub Classroom, as CSV.")],
    place: Annotated[ListPlace, typer.Option("--from", help="By default, the columns tell.")] = ListPlace.auto,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Write nothing; say what would change.")] = False,
    course: CourseOption = None,
) -> None:
    """Make roster.csv from a platform's list of students, or bring it up to date.

    Students who are not in the list stay, and are named. Ids, extra days, groups and columns of your own stay as well.
    """
    from autograder.course import class_list
    from autograder.course.roster import FILE, new_roster, open_roster
    from autograder.results.plain_text import plain

    opened = opened_course(course)
    before = open_roster(opened.root) or new_roster(opened.root / FILE)
    found = class_list.read_list(file, None if place is ListPlace.auto else cast("class_list.Form", place.value))
    update = class_list.update(before, found)
    for line in _told(update):
        typer.echo(plain(line))
    if not dry_run and (update.new or update.changed):
        update.roster.write()
    counts = f"{len(update.new)} new, {len(update.changed)} changes, {len(update.gone)} not in the list"
    what = "would have" if dry_run else "has"
    typer.echo(f"{found.form}: {counts}; {before.path} {what} {len(update.roster.students)} students")
    if found.others:
        roles = ", ".join(f"{number} {plain(role)}" for role, number in found.others.items())
        typer.echo(f"left out, as they are no students: {roles}")
    if update.unclear:
        raise typer.Exit(FINDINGS)


@roster.command()
@answering
def pseudonyms(course: CourseOption = None) -> None:
    """Give everybody in roster.csv who has no pseudonym a random one, for `autograder collect --pseudonyms`."""
    from autograder.course import pseudonym
    from autograder.course.roster import FILE, open_roster

    opened = opened_course(course)
    before = open_roster(opened.root)
    if before is None:
        raise CourseError(f"{opened.root / FILE}: there is no roster yet: make it with `autograder roster import`")
    pseudonym.given(before).write()
    fresh = sum(not student.pseudonym for student in before.students)
    typer.echo(f"{fresh} new pseudonyms for {len(before.students)} students; {before.path} is the key: keep it apart")


def _told(update: Update) -> Iterator[str]:
    for student in update.new:
        yield f"new: {student.id}, {student.name or 'without a name'}"
    for student, column, old, text in update.changed:
        yield (
            f"changed: {student.id}: {column} was {old!r}, is {text!r}"
            if old
            else f"changed: {student.id}: {column} is {text!r}"
        )
    for student in update.gone:
        yield f"not in the list, and stays: {student.id}, {student.name or 'without a name'}"
    for text in update.unclear:
        yield f"not taken over: {text}"
