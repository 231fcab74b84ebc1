"""The demo: makes an example class in a copy of the course, grades it in the sandbox and prints the results."""

from __future__ import annotations

import shutil
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from autograder.course.course import Course, open_course
from autograder.grading import class_run
from autograder.proving import example_class


def show(course: Course, keep: Path | None, workers: int) -> int:
    """Make the class, grade it and print the table. Returns exit code 0 if every submission has a result, else 1."""
    root = keep or Path(tempfile.mkdtemp(prefix="example-course-"))
    copy_course(course, root)
    example = open_course(root)
    console = Console(width=None if Console().is_terminal else 150)
    lost = 0
    for number, name in enumerate(example.homeworks):
        homework = example.homework(name)
        submitted = root / "submitted"
        # a whole class for the first homework; only a sample for the others, whose training runs take longer
        for submission in example_class.sample(homework) if number else example_class.example_class(homework):
            example_class.write(submission, submitted / submission.name / name)
        todo = class_run.survey(submitted, name, example.homeworks).todo
        began = time.monotonic()
        outcomes = class_run.run(example, homework, todo, root / "results", workers)
        seconds = time.monotonic() - began
        table = Table(title=f"{name}: {homework.title}", title_justify="left")
        for heading, justify in (("student", "left"), ("score", "right"), ("seconds", "right"), ("found", "left")):
            table.add_column(heading, justify=justify)  # type: ignore[arg-type]
        for outcome in outcomes:
            result = outcome.result
            if result is None:
                lost += 1
                table.add_row(outcome.submission.student, "–", "–", outcome.lost)
            else:
                score = f"{result.score:g}/{result.max_score:g}"
                table.add_row(result.student, score, f"{result.wall_seconds:.2f}", _shorten(result.findings))
        console.print(table)
        tier = next((outcome.result.tier for outcome in outcomes if outcome.result), "none")
        console.print(f"{len(outcomes)} submissions in {seconds:.1f} s, {workers} at a time, confinement tier {tier}")
    console.print(f"results, feedback pages and the gradebook: {root}", soft_wrap=True)
    console.print(f"one student's page: {root / 'results' / 'half-done' / f'{name}.html'}", soft_wrap=True)
    return 1 if lost else 0


def copy_course(course: Course, root: Path) -> None:
    """Copy a course's own files, but no files of students, to `root`."""
    root.mkdir(parents=True, exist_ok=True)
    for name in ("course.toml", "common.py", "nbgrader_config.py"):
        if (course.root / name).is_file():
            shutil.copy2(course.root / name, root)
    for folder in (*course.homeworks, "source", "release"):
        shutil.copytree(course.root / folder, root / folder, dirs_exist_ok=True)


def _shorten(findings: tuple[str, ...], most: int = 4) -> str:
    more = f" and {len(findings) - most} more" if len(findings) > most else ""
    return ", ".join(findings[:most]) + more
