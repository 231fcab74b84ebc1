"""A command for the teaching team: `similar`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from autograder.cli.options import CourseOption, HomeworkArgument, SubmittedOption, fail, opened_course
from autograder.course.course import CourseError

if TYPE_CHECKING:
    from autograder.insight.similarity import Findings


def similar(
    homework: HomeworkArgument,
    notebook: Annotated[str, typer.Option(help="Only this notebook.")] = "",
    threshold: Annotated[
        float,
        typer.Option(
            min=0, help="List a pair if chance would make fewer than this many such pairs in an honest class."
        ),
    ] = 0.1,
    submitted: SubmittedOption = None,
    out: Annotated[Path | None, typer.Option(help="Where the pages go; by default results/.")] = None,
    workers: Annotated[int, typer.Option(min=1, help="Submissions read at a time.")] = os.cpu_count() or 1,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON line for each pair.")] = False,
    course: CourseOption = None,
) -> None:
    """Find students whose own work is more alike than honest answers are: a reason to look, not a verdict.

    Writes an index, hwN.similar.html, and a page for each pair with both answers side by side. Names, comments and
    order do not count. Where students have numbers of their own, it names answers that are right with a classmate's
    only, and notebooks whose text has others' numbers. Members of a group in roster.csv are no pair. No student's code
    is run.
    """
    from autograder.insight import alike_class, alike_page
    from autograder.results.plain_text import plain

    opened = opened_course(course)
    out = out or opened.root / "results"
    try:
        chosen = opened.homework(homework)
        if notebook:
            chosen.notebook(notebook)
        found = alike_class.of_class(
            opened, chosen, submitted or opened.root / "submitted", out, notebook, threshold, workers
        )
        index = alike_page.write(found, out)
    except CourseError as error:
        fail(error)
    for student, why in sorted(found.damage.items()):
        typer.echo(plain(f"{student}: not compared, or not all of it: {' '.join(why)}"), err=True)
    for says in found.others:
        typer.echo(plain(says), err=True)
    if json:
        import msgspec

        for says in filter(None, (found.findings.weak, *_same(found.findings))):
            typer.echo(says, err=True)
        for pair in found.findings.pairs:
            typer.echo(msgspec.json.encode(pair.as_dict()).decode())
    else:
        typer.echo(_told(found.findings))
        for one in found.borrowed:
            typer.echo(plain(one.says))
        typer.echo(f"wrote {plain(str(index))}")


def _told(findings: Findings) -> str:
    """The table of pairs, and the groups."""
    from autograder.insight.alike_page import chance
    from autograder.results.plain_text import aligned, counted, plain

    if not findings.pairs:
        none = "no pair stands out from chance" if findings.same else "no pair"
        said = findings.weak or f"{none}; {findings.students} submissions were compared"
        return "\n".join(filter(None, (said, *_same(findings))))
    rows: list[tuple[str, ...]] = [("student", "and", "by chance", "exercises alike")]
    for pair in findings.pairs:
        alike = f"{len(pair.striking)} of {len(pair.exercises)}"
        rows.append((plain(pair.one), plain(pair.other), chance(pair.expected), alike))
    groups = [f"{number}. {', '.join(map(plain, group))}" for number, group in enumerate(findings.groups, 1)]
    lines = [*aligned(rows), "", "groups:", *groups, ""]
    pairs = counted(len(findings.pairs), "pair")
    lines.append(f"{pairs} among {findings.students} submissions. This is a reason to look, not a verdict.")
    return "\n".join((*lines, *_same(findings)))


def _same(findings: Findings) -> list[str]:
    """What is the same where no pair is listed, and what hides it."""
    same = (f"{one.says} Look at it." for one in findings.same)
    return [*same, *filter(None, (findings.hidden, findings.crowded))]
