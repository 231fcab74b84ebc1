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

    @property
    def warning(self) -> str:
        """What to do with the key in such a file."""
        if self is Form.HTML:
            return "its last page is the key; show students only the pages before it"
        return "it holds the key; import it as a quiz, and give the file itself to no student"


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
    """Write questions about each student's own code, five for each notebook, with the key: to ask aloud or as a quiz.

    They are about functions that the student wrote and that passed all tests: the shape of a tensor, what a call
    returns, which line runs next, what happens without a line. The answers are found by running the student's code in
    the sandbox, twice. Run `autograder grade` first.

    results/STUDENT/HOMEWORK.viva.html has a page for each notebook, for about five minutes, questions beside code, and
    the answers on a last page of their own: it is for instructors only. There are fewer questions where fewer have a
    sure answer, and none about a notebook without a right exercise. Exit code 1 if a student's code cannot be run
    again, for example because the transcript is missing, or if there is no question for the student that you name.
    """
    from autograder.grading.standing import no_result
    from autograder.insight.viva import round
    from autograder.results.plain_text import plain

    opened = opened_course(course)
    out = out or opened.root / "results"
    try:
        chosen = opened.homework(homework)
        known = round.students_of(chosen, out)
        if student and student not in known:
            raise no_result(opened, chosen, out, student)
        floor = "none" if allow_unconfined else opened.floor
        found = list(round.held(opened, chosen, out, [student] if student else known, form.value, floor))
    except CourseError as error:
        fail(error)
    typer.echo(round.text(found))
    if student and found[0].path is not None:
        typer.echo(f"wrote {found[0].path}: {form.warning}")
    elif student:
        typer.echo(f"{plain(student)}: nothing was written: {plain(found[0].notes)}", err=True)
    if any(one.lost for one in found) or (student and found[0].path is None):
        raise typer.Exit(FINDINGS)
