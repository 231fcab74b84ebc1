"""The command `viva`: questions for an oral check about a student's own code."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from autograder.cli.options import FINDINGS, CourseOption, HomeworkArgument, fail, opened_course
from autograder.course.course import CourseError


class Form(StrEnum):
    """What is written."""

    HTML = "html"
    MOODLE = "moodle"
    QTI = "qti"
    CSV = "csv"


def viva(
    homework: HomeworkArgument,
    student: Annotated[str, typer.Argument(help="The name of a student's folder; by default the whole class.")] = "",
    form: Annotated[
        Form,
        typer.Option(
            "--format",
            help="A sheet to print; or a quiz for Moodle (its XML), Canvas (QTI 1.2) or Brightspace (its CSV).",
        ),
    ] = Form.HTML,
    out: Annotated[Path | None, typer.Option(help="Results and transcripts; by default results/.")] = None,
    allow_unconfined: Annotated[
        bool, typer.Option("--allow-unconfined", help="Ask even where nothing confines the student's code.")
    ] = False,
    course: CourseOption = None,
) -> None:
    """Write five questions about each student's own code, with the answers, for a short oral check or a quiz.

    They are about functions that the student wrote and that passed all tests: the shape of a tensor, what a call
    returns, which line runs next, what happens without a line. The answers are found by running the student's code in
    the sandbox, twice. Run `autograder grade` first.

    results/STUDENT/HOMEWORK.viva.html has a page for each notebook, questions beside code, and the answers on a last
    page of their own: it is for instructors only. Exit code 1 if a student's code
    cannot be run again, for example because the transcript is missing.
    """
    from autograder.insight.viva import round
    from autograder.results import record

    opened = opened_course(course)
    out = out or opened.root / "results"
    try:
        chosen = opened.homework(homework)
        known = round.students_of(chosen, out)
        if student and student not in known:
            raise record.missing(out, student, chosen.name)
        floor = "none" if allow_unconfined else opened.floor
        found = list(round.held(opened, chosen, out, [student] if student else known, form.value, floor))
    except CourseError as error:
        fail(error)
    typer.echo(round.text(found))
    if student and found[0].path is not None:
        typer.echo(f"wrote {found[0].path}: it holds the key; show students only the pages before it")
    if any(one.lost for one in found):
        raise typer.Exit(FINDINGS)
