"""Commands for authors: `new`, `build`, `audit`, `publish`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from autograder.cli.options import FINDINGS, CourseOption, fail, opened_course
from autograder.course.course import Course


def new(
    name: Annotated[str, typer.Argument(help="A folder for a new course; within a course, a homework: hw5.")],
    course: CourseOption = None,
) -> None:
    """Make a course of one small homework that builds, audits and grades; within a course, one more homework."""
    from autograder.course import starting

    here = Path.cwd()
    within: Course | None = None
    if course is not None or any((folder / "course.toml").is_file() for folder in (here, *here.parents)):
        within = opened_course(course)
    match starting.place(name, within):
        case Course() as opened:
            written = starting.new_homework(opened, name)
            then = f"Next: edit {name}/, then `autograder build {name}` and `autograder audit {name}`."
        case folder:
            written = starting.new_course(folder)
            then = f"Next: cd {folder}; `autograder build`, `autograder audit`. README.md says what is where."
    for path in written:
        typer.echo(f"wrote {path}")
    typer.echo(then)


def build(
    homeworks: Annotated[list[str] | None, typer.Argument(help="By default all.")] = None,
    check: Annotated[bool, typer.Option("--check", help="Write nothing; exit 1 when a notebook is stale.")] = False,
    variant_for: Annotated[
        Path | None,
        typer.Option("--variant-for", help="A roster: also a release for each student, with numbers of their own."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="With --variant-for: the folder for these; by default variants/.")
    ] = None,
    course: CourseOption = None,
) -> None:
    """Make source/ and release/ from the masters in hw1/, hw2/ …; of all homeworks, also the README's table."""
    from autograder.course import build as building
    from autograder.course.master import AuthorError
    from autograder.course.personal import VARIANTS
    from autograder.course.stripping import BuildError

    opened = opened_course(course)
    if variant_for is not None:
        if check:
            fail("--check: it compares source/ and release/ alone: leave out --variant-for")
        _build_for(opened, homeworks, variant_for, out or opened.root / VARIANTS)
        return
    if out is not None:
        fail(f"--out {out}: only releases for single students go there: name the roster with --variant-for")
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
    except (AuthorError, BuildError) as error:
        fail(error, FINDINGS)
    _note_badges(opened)


def _build_for(course: Course, homeworks: list[str] | None, roster: Path, out: Path) -> None:
    """Build the standard release, and a release for each student."""
    from autograder.course import build as building
    from autograder.course.class_build import build_for
    from autograder.course.master import AuthorError
    from autograder.course.personal import file_of
    from autograder.course.roster import read_roster
    from autograder.course.stripping import BuildError
    from autograder.examination.secret import course_secret

    try:
        students = read_roster(roster)
        for path in building.build(course, homeworks):
            typer.echo(f"wrote {path.relative_to(course.root)}")
        for built in build_for(course, homeworks, students, course_secret(course), out):
            typer.echo(
                f"{built.homework}: {built.students} students, {built.different} different releases in {out}, "
                f"{len(built.changed)} files written; who has which is in {file_of(course.homework(built.homework))}"
            )
            if built.others:
                typer.echo(
                    f"note: these have other numbers than before, so hand their release out again: "
                    f"{', '.join(built.others)}",
                    err=True,
                )
            if built.new:
                typer.echo(f"new in {built.homework}: {', '.join(built.new)}")
            if built.new and built.left:
                typer.echo(
                    f"note: {', '.join(built.left)}: not in {roster}, but they were given numbers. If one of them is "
                    "new under another id, that id drew other numbers: give the old id back in the roster, and build "
                    "again, or hand out the new release",
                    err=True,
                )
    except (AuthorError, BuildError) as error:
        fail(error, FINDINGS)


def audit(
    targets: Annotated[list[str] | None, typer.Argument(help="hw1 or hw1/mlp …; by default everything.")] = None,
    mutants: Annotated[
        bool, typer.Option("--mutants", help="Instead: wrong answers, made from the master by machine.")
    ] = False,
    variants: Annotated[
        bool, typer.Option("--variants", help="Instead: right answers, made from it by machine.")
    ] = False,
    hostile: Annotated[bool, typer.Option("--hostile", help="Instead: answers that no honest code gives.")] = False,
    replays: Annotated[
        bool, typer.Option("--replays", help="Instead: every known answer, tested again on its transcript.")
    ] = False,
    draws: Annotated[int, typer.Option(min=1, help="The number of sets of random numbers to test with.")] = 1,
    parameters: Annotated[
        int, typer.Option(min=0, help="Instead: the number of sets of values for the exercises' parameters.")
    ] = 0,
    course: CourseOption = None,
) -> None:
    """Check the hidden tests: the master and other right answers must pass, the release and known mistakes must fail.

    --mutants makes small wrong edits of the master's solutions, and shows those that no test finds. --variants makes
    edits that keep what the solutions mean, and shows those that lose points. --hostile answers with values of every
    type and size, and shows tests that pass, or that need much memory or time. --replays tests all known answers again
    on what was recorded, and shows where regrading would not equal grading. --draws 20 tests with 20 sets of random
    numbers, without training runs; mistakes are tested with 3 sets. --parameters 200 tests what 200 students would get
    from `autograder build --variant-for`, each with different numbers.
    """
    from autograder.proving import audit as auditing
    from autograder.proving import hostile as answers
    from autograder.proving import mutation, personal_audit, replaying

    opened = opened_course(course)
    wrong = 0
    for name, notebooks in _chosen(opened, targets):
        if parameters:
            for audited in personal_audit.personal_audit(opened, opened.homework(name), notebooks, parameters):
                typer.echo(f"{name}/{personal_audit.row(audited)}")
                wrong += len(audited.wrong)
        elif mutants:
            for found in mutation.mutation(opened, opened.homework(name), notebooks):
                typer.echo(mutation.report(found))
                wrong += found.findings
        elif replays:
            found_in = list(replaying.replays(opened, opened.homework(name), notebooks))
            for one in found_in:
                for text in one.findings:
                    typer.echo(f"{one.notebook}: {one.name}: {text}")
                    wrong += 1
            tests = sum(one.tests for one in found_in)
            typer.echo(f"{name}: {len(found_in)} answers, {tests} tests replayed")
        elif hostile:
            for odd in answers.hostile(opened, opened.homework(name), notebooks):
                typer.echo(f"{odd.notebook}: {odd.text} ({odd.answer})")
                wrong += 1
        else:
            rows = auditing.audit(opened, opened.homework(name), notebooks, by_machine=variants, draws=draws)
            typer.echo(auditing.table(rows))
            wrong += sum(len(row.wrong) for row in rows)
    if wrong:
        fail(f"{wrong} finding{'s' * (wrong != 1)}", FINDINGS)


def publish(
    folder: Annotated[Path, typer.Argument(help="The folder or git repository that students get.")],
    homeworks: Annotated[list[str] | None, typer.Argument(help="By default all; others stay as they are.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Write nothing: only say what would change.")] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Overwrite files that somebody edited there, or that were there before.")
    ] = False,
    course: CourseOption = None,
) -> None:
    """Fill a folder with what students get and nothing else: checked, and compared with what was published before."""
    from autograder.course import published_folder, publishing
    from autograder.course.stripping import BuildError

    opened = opened_course(course)
    try:
        plan = publishing.plan(opened, folder, homeworks, replace)
        if not dry_run:
            plan.carry_out()
    except BuildError as error:
        fail(error, FINDINGS)
    for verb, names in (("added", plan.added), ("changed", plan.changed), ("removed", plan.removed)):
        for name in names:
            typer.echo(f"{'would be ' if dry_run else ''}{verb} {name}")
    for name in plan.dropped:
        typer.echo(f"{name} is not in course.toml any more, so it is not published any more")
    for one in plan.kept:
        typer.echo(f"kept {one.path}: {one.why}")
    said = f"{len(plan.added)} added, {len(plan.changed)} changed, {len(plan.removed)} removed"
    typer.echo(f"{folder}: {said}, {len(plan.unchanged)} unchanged{', nothing written' if dry_run else ''}")
    _note_badges(opened, published_folder.github_name(folder))
    _note_standard(opened, folder, homeworks)
    if "LICENSE" not in plan.after.files:
        license = opened.root / "LICENSE"
        said = f"note: {license}: it is missing, so students are not told what they may do with this: write one"
        typer.echo(said, err=True)
    if plan.kept:
        raise typer.Exit(FINDINGS)


def _note_standard(course: Course, folder: Path, homeworks: list[str] | None) -> None:
    """Say so if notebooks were published of which students have their own, with other numbers."""
    from autograder.course.personal import VARIANTS, given

    for name in homeworks or course.homeworks:
        homework = course.homework(name)
        books = dict.fromkeys(f"{name}/{one.notebook}" for one in homework.parameters)
        if books and given(homework) is not None:
            typer.echo(
                f"note: {folder}: {', '.join(books)} have the standard numbers here, but students have their own: "
                f"tell them to take these notebooks from what you hand out of {course.root / VARIANTS}",
                err=True,
            )


def _note_badges(course: Course, clone: str = "") -> None:
    """Say so if badges lead nowhere, or to another repository than `clone`, the one that is published to."""
    said = "" if course.has_repository else "Colab badges lead nowhere yet"
    if clone and clone.casefold() != course.repository.casefold():
        said = f"Colab badges lead to {course.repository}, but this folder is a clone of {clone}"
    if said:
        way_out = "set `repository` to the one that students open, OWNER/NAME, then run `autograder build`"
        typer.echo(f"note: {course.root / 'course.toml'}: {said}: {way_out}", err=True)


def _chosen(course: Course, targets: list[str] | None) -> Iterator[tuple[str, list[str] | None]]:
    """Each homework to audit, and its notebooks, or None for all. Raises CourseError for a name that does not exist."""
    for target in targets or course.homeworks:
        name, _, notebook = target.partition("/")
        homework = course.homework(name)
        if notebook:
            homework.notebook(notebook)
        yield name, [notebook] if notebook else None
