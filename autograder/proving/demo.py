"""The demo: makes an example class in a copy of the course, grades it in the sandbox and prints the results."""

from __future__ import annotations

import collections
import shutil
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console
from rich.table import Table

from autograder import atomic_file
from autograder.course.course import Course, CourseError, Homework, open_course
from autograder.examination.suite import Suite, collected
from autograder.grading import class_regrade, class_run, explanation
from autograder.grading.class_run import Outcome
from autograder.grading.orders import Choosing
from autograder.grading.server import GradingServer
from autograder.grading.submissions import Submission, survey
from autograder.proving import example_class
from autograder.proving.example_class import ExampleSubmission
from autograder.results.plain_text import points_text
from autograder.results.result import Result

_EVERYTHING = "right, wrong, broken and hostile"
_FIRST_ALONE = "right and wrong; the first notebook alone, as the others train networks for seconds"
_ALIKE = frozenset(
    {
        "empty-file",
        "cells-twice",
        "checks-deleted",
        "endless-output",
        "ends-the-process",
        "asks-for-input",
        "closes-descriptors",
        "hostile-shell-hook",
        "hostile-looks-for-tests",
        "sgd-normalised-image-returned",
        "mlp-difference-one-sided",
    }
)
"""submissions of the example class that the demo leaves out, to be quick"""
_LINES = 12
"""lines of the explanation that are shown"""
_CHANGES = 5
"""changes of the regrading that are shown"""


def show(example: Course, workers: int, console: Console) -> int:
    """Make the class, grade it and print what is found, as it goes. Returns how many submissions have no result."""
    out, submitted, lost = example.root / "results", example.root / "submitted", 0
    homeworks = [example.homework(name) for name in example.homeworks]
    with ExitStack() as stack:

        def started(homework: Homework) -> GradingServer:
            server = GradingServer(homework, example.floor)
            stack.callback(server.close)
            return server

        servers = [started(homework) for homework in homeworks[:1]]
        for number, homework in enumerate(homeworks):
            # a class for the first homework; of the others one notebook, because their training runs take longer
            made = example_class.sample(homework) if number else _shown(example_class.example_class(homework))
            for submission in made:
                example_class.write(submission, submitted / submission.name / homework.name)
            todo = survey(submitted, homework.name, example.homeworks).todo
            console.rule(
                f"{homework.name}: {len(todo)} students hand in, {_FIRST_ALONE if number else _EVERYTHING}",
                align="left",
            )
            server = servers[number]
            server.wait()
            # the next one loads its hidden tests while this one grades
            servers += [started(one) for one in homeworks[number + 1 : number + 2]]
            outcomes = _graded(example, homework, todo, out, workers, console, server)
            lost += sum(outcome.result is None for outcome in outcomes)
            if not number:
                results = [outcome.result for outcome in outcomes if outcome.result]
                _explain(console, example, homework, out, results)
                _regrade(console, example, homework, example.root, workers, results)
    return lost


def _shown(class_: Sequence[ExampleSubmission]) -> Sequence[ExampleSubmission]:
    """A class without those that show the same as others."""
    return [submission for submission in class_ if submission.name not in _ALIKE]


def _graded(
    course: Course,
    homework: Homework,
    todo: Sequence[Submission],
    out: Path,
    workers: int,
    console: Console,
    server: GradingServer,
) -> Sequence[Outcome]:
    """Grade these submissions, say so on the way, and print the table."""
    began = time.monotonic()
    done = 0

    def seen(outcome: Outcome) -> None:
        nonlocal done
        done += 1
        status.update(f"grading: {done} of {len(todo)}")

    with console.status(f"grading: 0 of {len(todo)}") as status:
        outcomes = class_run.run(course, homework, todo, out, workers, seen=seen, server=server)
    table = Table(title=homework.title, title_justify="left")
    for heading, justify in (("student", "left"), ("score", "right"), ("seconds", "right"), ("found", "left")):
        table.add_column(heading, justify=justify)  # type: ignore[arg-type]
    for outcome in outcomes:
        result = outcome.result
        if result is None:
            table.add_row(outcome.submission.student, "–", "–", outcome.lost)
        else:
            score = f"{result.score:g}/{result.max_score:g}"
            table.add_row(result.student, score, f"{result.wall_seconds:.2f}", _shorten(result.findings))
    console.print(table)
    tier = next((outcome.result.tier for outcome in outcomes if outcome.result), "none")
    seconds = time.monotonic() - began
    console.print(f"{len(outcomes)} submissions in {seconds:.1f} s, {workers} at a time, confinement tier {tier}")
    return outcomes


def made_course(course: Course, keep: Path | None) -> Course:
    """A copy of the course for the class, in `keep` or a temporary folder. Raises CourseError."""
    root = keep or Path(tempfile.mkdtemp(prefix="example-course-"))
    if root.resolve() == course.root:
        raise CourseError(f"{root}: this is the course itself: name another folder")
    copy_course(course, root)
    return open_course(root)


def _explain(console: Console, course: Course, homework: Homework, out: Path, results: Sequence[Result]) -> None:
    """Explain one exercise in which a known mistake was found."""
    student, cell = next(
        (result.student, cell.grade_id)
        for result in results
        for book in result.notebooks
        for cell in book.cells
        if len(cell.diagnoses) == 1 and book.notebook in result.student
    )
    console.rule(f"a complaint: autograder explain {homework.name} {student} {cell}", align="left")
    suites = {spec.name: Suite(course, homework, spec.name) for spec in homework.notebooks}
    kept = explanation.opened(course, homework, out, student)
    with collected(*suites.values()):
        text = explanation.text(student, tuple(explanation.explained(kept, cell, False, suites)))
    lines = text.splitlines()
    console.print("\n".join(lines[:_LINES]), markup=False, highlight=False)
    if len(lines) > _LINES:
        console.print(f"… and {len(lines) - _LINES} more lines")


def _regrade(
    console: Console, course: Course, homework: Homework, root: Path, workers: int, results: Sequence[Result]
) -> None:
    """Take back the demand of the hidden test that most failed, as if it were wrong, and regrade the class."""
    failed = collections.Counter(
        (book.notebook, test.name)
        for result in results
        for book in result.notebooks
        for cell in book.cells
        if cell.diagnoses
        for test in cell.tests
        if not test.passed and "[" not in test.name
    )
    [((notebook, test), _)] = failed.most_common(1)
    console.rule(f"a corrected test: {test} accepts everything now; autograder regrade {homework.name}", align="left")
    path = homework.hidden(notebook)
    before, definition, rest = path.read_text(encoding="utf-8").partition(f"def {test}(")
    head, quotes, body = rest.partition('"""')
    says, end, body = body.partition('"""')
    atomic_file.replace(path, f"{before}{definition}{head}{quotes}{says}{end}\n    return{body}".encode())
    began = time.monotonic()
    found = class_regrade.run(course, homework, root / "results", root / "submitted", workers, Choosing())
    changes = [change for one in found for change in one.changes]
    for change in changes[:_CHANGES]:
        points = f"{points_text(change.before) or '–'} → {points_text(change.after) or '–'}"
        console.print(
            f"{change.student}: {change.notebook}/{change.cell} {points}: {'; '.join(change.why)}", markup=False
        )
    if len(changes) > _CHANGES:
        console.print(f"… and {len(changes) - _CHANGES} more")
    replayed, executed = sum(one.replayed for one in found), sum(one.executed for one in found)
    console.print(
        f"{len(found)} submissions regraded in {time.monotonic() - began:.1f} s: {replayed} tests on transcripts, "
        f"{executed} executed"
    )


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
