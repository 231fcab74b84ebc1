"""Commands for a machine: `doctor`, `demo`."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated

import typer

from autograder import atomic_file
from autograder.cli.options import FINDINGS, CourseOption, opened_course


def doctor() -> None:
    """Say how well this machine confines submissions, what was tried, and what to install or change."""
    from autograder.confine import doctor as examining
    from autograder.forbidden import traps

    report = examining.examine()
    typer.echo(examining.render(report))
    seen = "a child process that used a forbidden tool ended, and this was detected"
    typer.echo(f"works    traps: {seen}" if traps.hold() else f"missing  traps: {traps.MISSING}")
    if not report.healthy:
        raise typer.Exit(FINDINGS)


def demo(
    keep: Annotated[Path | None, typer.Option(help="Make the course here, not in a temporary folder.")] = None,
    workers: Annotated[int, typer.Option(min=1, help="Submissions graded at a time.")] = os.cpu_count() or 1,
    picture: Annotated[Path | None, typer.Option(help="Also draw what is printed: an SVG.")] = None,
    course: CourseOption = None,
) -> None:
    """Make an example class in a temporary course, grade it, and print what was found.

    It ends with three things to open: a student's page, the class page, and the whole course.
    """
    from rich.console import Console

    from autograder.course.roster import open_roster
    from autograder.insight import class_figures, class_page, class_table
    from autograder.proving import demo as showing

    console = Console(width=None if Console().is_terminal else 150, record=picture is not None)
    example = showing.made_course(opened_course(course), keep)
    lost = showing.show(example, workers, console)
    first, out = example.homeworks[0], example.root / "results"
    page = out / f"{first}.html"
    table = class_table.read(out, first, open_roster(example.root))
    atomic_file.replace(page, class_page.html(class_figures.report(table, {})).encode(errors="replace"))
    console.rule("open in a browser, or with any program", align="left")
    for what, path in (
        ("what a student gets", out / "half-done" / f"{first}.html"),
        ("what a class has learned", page),
        ("the course itself, with submissions, results and nbgrader's gradebook", example.root),
    ):
        console.print(f"{what}: {path}", soft_wrap=True)
    if picture is not None:
        drawn = re.sub(r"@font-face \{.*?\}\s*", "", console.export_svg(title="make demo"), flags=re.DOTALL)
        atomic_file.replace(picture, drawn.encode())  # rich would let it load fonts from the network
    raise typer.Exit(FINDINGS if lost else 0)
