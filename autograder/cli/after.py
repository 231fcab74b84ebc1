"""Commands for after grading: `marks`, `regrade`, `explain`, `clusters`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from autograder.cli.classes import tell_faults, unrecorded_text
from autograder.cli.options import (
    FINDINGS,
    CourseOption,
    HomeworkArgument,
    OutOption,
    RecordedOption,
    SubmittedOption,
    opened_course,
)
from autograder.course.course import CourseError
from autograder.results.registration import Recorded

if TYPE_CHECKING:
    from collections.abc import Sequence

    from autograder.grading.class_regrade import Regrading


def marks(
    homework: HomeworkArgument,
    out: OutOption = None,
    json: Annotated[
        bool, typer.Option("--json", help="Print one JSON line for each student whose score changed.")
    ] = False,
    course: CourseOption = None,
) -> None:
    """Bring marks, extra credit and comments from nbgrader's gradebook to results, feedback pages and the table.

    `grade` and `regrade` do so, too. Exit code 1 while answers wait for a mark, for a second look or for a
    repaired hidden test, or a time of submission cannot be read.
    """
    from autograder.grading import marking
    from autograder.results.plain_text import plain, points_text

    opened = opened_course(course)
    out = out or opened.root / "results"
    found = marking.run(opened, opened.homework(homework), out)
    if json:
        import msgspec

        for change in found.changes:
            typer.echo(msgspec.json.encode(change).decode())
    else:
        for change in found.changes:
            before, after = points_text(change.before), points_text(change.after)
            typer.echo(
                f"{plain(change.student)}: {before} → {after} points"
                if before != after
                else f"{plain(change.student)}: {after} points, as before; new: {change.new}"
            )
        for one in found.again:
            cell = f"{plain(one.student)}: {one.notebook}/{one.cell}"
            typer.echo(f"{cell} may have changed since it was marked: look at it again")
        for why in found.damaged.values():
            typer.echo(why, err=True)
        typer.echo(
            f"{len(found.changes)} of {found.results} pages changed; {found.waiting.mark} answers are not marked yet"
            + (f", {len(found.again)} may have changed since" if found.again else "")
        )
        for line in found.waiting.repairs(homework):
            typer.echo(line)
    for note in found.unread.values():
        typer.echo(f"{note}. Until then, it counts as on time", err=True)
    if found.waiting.all or found.again or found.damaged or found.unread:
        raise typer.Exit(FINDINGS)


def regrade(
    homework: HomeworkArgument,
    notebook: Annotated[str, typer.Option(help="Only this notebook.")] = "",
    test: Annotated[str, typer.Option(help="Only this hidden test's cell, whether the test has changed or not.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would change; write nothing.")] = False,
    submitted: SubmittedOption = None,
    out: OutOption = None,
    workers: Annotated[int, typer.Option(min=1, help="Submissions regraded at a time.")] = os.cpu_count() or 1,
    recorded: RecordedOption = Recorded.POINTS,
    json: Annotated[
        bool,
        typer.Option(
            "--json", help="Print one JSON line for each change, and for each submission that was graded again."
        ),
    ] = False,
    allow_unconfined: Annotated[
        bool, typer.Option("--allow-unconfined", help="Regrade even where nothing confines the student's code.")
    ] = False,
    course: CourseOption = None,
) -> None:
    """Grade again after hidden tests, points, mistakes or hints have changed, on what was asked and answered then.

    What has changed is found by itself; run `autograder build` first if you changed a master. Student code runs only
    where a test asks something new. Marks given by hand stay. Exit code 1 when a student's score fell, somebody could
    not be regraded, the gradebook could not be written, or a hidden test has an error of its own.
    """
    from autograder.course import lag
    from autograder.grading import class_regrade, class_run
    from autograder.grading.orders import Choosing
    from autograder.results import record

    opened = opened_course(course)
    out = out or opened.root / "results"
    choosing = Choosing(notebook, test, dry_run)
    chosen = opened.homework(homework)
    not_built = lag.checked(chosen)
    found = class_regrade.run(
        opened,
        chosen,
        out,
        submitted or opened.root / "submitted",
        workers,
        choosing,
        allow_unconfined,
        recorded=recorded,
    )
    if json:
        import msgspec

        for change in (change for one in found for change in one.changes):
            typer.echo(msgspec.json.encode(change).decode())
        for one in found:
            if one.again:
                typer.echo(msgspec.json.encode({"student": one.student, "graded_again": one.again}).decode())
            if one.lost:
                typer.echo(msgspec.json.encode({"student": one.student, "error": one.lost}).decode())
    else:
        typer.echo(_told(found, dry_run))
    faulty = class_run.faults_of(record.read_all(out, homework).values())
    tell_faults(faulty, homework)
    if unrecorded := sum(not one.recorded for one in found):
        typer.echo(unrecorded_text(unrecorded, homework), err=True)
    for line in not_built:  # at the end, where who expects a change looks for it
        typer.echo(line, err=True)
    if unrecorded or faulty or any(one.fell or one.lost for one in found):
        raise typer.Exit(FINDINGS)


def _told(found: Sequence[Regrading], dry: bool) -> str:
    """The table of what has changed, and what was done."""
    from autograder.results.plain_text import aligned, plain, points_text

    rows: list[tuple[str, ...]] = [("student", "cell", "before", "after", "why")]
    for one in found:
        for change in one.changes:
            points = [points_text(value) or "–" for value in (change.before, change.after)]
            cell = f"{change.notebook}/{change.cell}"
            rows.append((plain(one.student), cell, *points, "; ".join(change.why)))
        if one.scores is not None and (one.rose or one.fell) and not one.changes:
            points = [points_text(value) for value in (one.scores.before, one.scores.after)]
            rows.append(
                (plain(one.student), "the score", *points, "the due date, the time of submission or the rounding")
            )
    lines = aligned(rows) if len(rows) > 1 else []
    lines += [f"{one.student}: graded again as a whole, because {one.again}" for one in found if one.again]
    lines += [f"{one.student}: not regraded: {one.lost}" for one in found if one.lost]
    tests = f"{sum(one.replayed for one in found)} tests on transcripts, {sum(one.executed for one in found)} executed"
    lines.append(f"{len(found)} submissions, {tests}; {_counts(found)}" + ("; nothing was written" if dry else ""))
    return "\n".join(lines)


def _counts(found: Sequence[Regrading]) -> str:
    """How many students' scores rose, fell or stayed. Every student is counted once."""
    rose, fell = sum(one.rose for one in found), sum(one.fell for one in found)
    same = [one for one in found if one.scores is not None and not one.rose and not one.fell]
    inside = sum(bool(one.changes) for one in same)
    parts = [f"{rose} rose", f"{fell} fell", f"{inside} stayed the same though cells changed"]
    parts.append(f"{len(same) - inside} without any change")
    if unknown := len(found) - rose - fell - len(same):
        parts.append(f"{unknown} not known before and after")
    return f"scores: {', '.join(parts)}"


def explain(
    homework: HomeworkArgument,
    student: Annotated[str, typer.Argument(help="The name of the student's folder.")],
    cell: Annotated[str, typer.Argument(help="One grade cell; by default all in which a test failed.")] = "",
    everything: Annotated[
        bool, typer.Option("--all", help="Include the tests of these exercises that passed.")
    ] = False,
    notebook: Annotated[Path | None, typer.Option(help="Also write a notebook to debug the student's code.")] = None,
    again: Annotated[bool, typer.Option("--again", help="Also ask the student's code again, in the sandbox.")] = False,
    out: OutOption = None,
    allow_unconfined: Annotated[
        bool, typer.Option("--allow-unconfined", help="With --again, even where nothing confines the student's code.")
    ] = False,
    course: CourseOption = None,
) -> None:
    """Say why a student lost points: what was asked, what the code answered, what is right, and what students read.

    Everything comes from the folder of results; the submission need not be there.
    """
    from autograder import atomic_file
    from autograder.examination.suite import Suite, collected
    from autograder.grading import debug_notebook, explanation

    opened = opened_course(course)
    chosen = opened.homework(homework)
    if notebook is not None and notebook.exists():
        raise CourseError(f"{notebook}: this file exists: choose another name, or remove it first")
    kept = explanation.opened(opened, chosen, out or opened.root / "results", student)
    suites = {spec.name: Suite(opened, chosen, spec.name) for spec in chosen.notebooks}
    with collected(*suites.values()):
        found = tuple(explanation.explained(kept, cell, everything, suites))
        typer.echo(explanation.text(student, found))
        if notebook is not None:
            made = debug_notebook.written(kept, found, suites)
            atomic_file.replace(notebook, made.encode(), 0o600)
            typer.echo(f"\nwrote {notebook}: it runs the student's code unconfined; read it first")
    if again:
        from autograder.grading import recheck

        typer.echo()
        for line in recheck.recheck(kept, found, "none" if allow_unconfined else opened.floor):
            typer.echo(line)


def clusters(
    homework: HomeworkArgument,
    notebook: Annotated[str, typer.Option(help="Only this notebook.")] = "",
    least: Annotated[int, typer.Option(min=1, help="Only clusters of at least this many students.")] = 1,
    mistake: Annotated[int, typer.Option(min=0, help="Print a stub for mistakes/*.toml from this cluster.")] = 0,
    out: OutOption = None,
    course: CourseOption = None,
) -> None:
    """Group the exercises that fail alike and that no known mistake explains, the largest group first.

    Each may be a mistake worth a hint. Describe it in hwN/mistakes/, and `autograder regrade` brings the hint to all.
    """
    from autograder.insight import clusters as insight

    opened = opened_course(course)
    out = out or opened.root / "results"
    chosen = opened.homework(homework)
    if notebook:
        chosen.notebook(notebook)
    lost: list[str] = []
    found = insight.of_class(opened, chosen, out, notebook, lambda name, why: lost.append(f"{name}: left out: {why}"))
    found = tuple(one for one in found if len(one.members) >= least)
    if mistake > len(found):
        way_out = f"choose 1 to {len(found)}" if found else "leave it out; no group is left to describe"
        raise CourseError(f"--mistake {mistake}: there is no such cluster: {way_out}")
    if mistake:
        typer.echo(insight.stub(found[mistake - 1], chosen, out))
    else:
        typer.echo(insight.text(found, chosen, out))
        for line in lost:
            typer.echo(line, err=True)
