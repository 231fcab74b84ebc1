"""A result as Gradescope's results.json: one test for each exercise, with what the feedback page says below it.

The fields are those of “Output format” in gradescope-autograders.readthedocs.io/en/latest/specs/. `output_format`
“html” is sanitised by Gradescope; here, too, the page's templates escape everything that students wrote. “You can omit
score information to add test cases that serve as informational checks”: written answers, which a person marks in
Gradescope, and exercises that wait for a person have no score, so the score is the sum of the others.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from autograder.course.course import Homework
from autograder.course.release import released
from autograder.results import page
from autograder.results.plain_text import plain
from autograder.results.result import CellResult, NotebookResult, Result

_MOST_METADATA = 64 * 2**20
"""bytes; Gradescope puts the results of all earlier submissions there"""


class Test(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One test case."""

    __test__ = False  # tells pytest that this is not a test class

    name: str
    score: float | UnsetType = UNSET
    max_score: float | UnsetType = UNSET
    status: Literal["passed", "failed"] | UnsetType = UNSET
    output: str = ""


class Results(msgspec.Struct, frozen=True, kw_only=True):
    """The file."""

    score: float
    execution_time: float
    """seconds"""
    output: str
    tests: tuple[Test, ...]
    output_format: Literal["html"] = "html"
    test_output_format: Literal["html"] = "html"
    test_name_format: Literal["text"] = "text"
    stdout_visibility: Literal["hidden"] = "hidden"


def results_json(result: Result, homework: Homework) -> bytes:
    """The bytes of results.json for a graded submission."""
    written = {(book, cell.grade_id) for book, cell in written_answers(homework)}
    tests = [
        test
        for book in result.notebooks
        for test in _tests(book, {cell for notebook, cell in written if notebook == book.notebook})
    ]
    score = round(sum(test.score for test in tests if test.score is not UNSET), 4)
    said = ((book.title, page.remarks(book)) for book in result.notebooks)
    output = "\n".join(f"<h4>{page.text(title)}</h4>\n{remarks}" for title, remarks in said if remarks)
    return msgspec.json.encode(
        Results(score=score, execution_time=result.wall_seconds, output=output, tests=tuple(tests))
    )


def written_answers(homework: Homework) -> Iterator[tuple[str, Any]]:
    """The notebook and the released cell of each answer that a person marks. Raises CourseError."""
    for spec in homework.notebooks:
        for cell in released(homework, spec.name).cells:
            if (cell.grade and cell.solution) or cell.task:
                yield spec.name, cell


def _tests(book: NotebookResult, written: Collection[str]) -> Iterator[Test]:
    told: dict[str, str] = {}
    for cell in book.cells:
        name = plain(f"{book.notebook}: {cell.title}")
        if cell.grade_id in written:  # a blank one, too: the outline has a question for it
            cell = msgspec.structs.replace(cell, earned=None)
        output = page.below(cell, told)
        if cell.earned is None:
            yield Test(name=name, output=output)
        elif not cell.points:
            yield Test(name=name, output=output, status=_status(cell))
        else:
            yield Test(name=name, output=output, score=cell.earned, max_score=cell.maximum, status=_status(cell))


def _status(cell: CellResult) -> Literal["passed", "failed"] | UnsetType:
    look, _, _ = page.state(cell)
    return "passed" if look == "full" else UNSET if look == "waits" else "failed"


class _User(msgspec.Struct):
    name: str = ""
    email: str = ""


class _Metadata(msgspec.Struct):
    users: tuple[_User, ...] = ()


def submitters(path: Path) -> str:
    """Who handed in, by submission_metadata.json: all members of a group. “somebody” if the file does not say.

    Grading needs no name: it is for what the instructor reads.
    """
    try:
        with path.open("rb") as file:
            users = msgspec.json.decode(file.read(_MOST_METADATA), type=_Metadata).users
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        users = ()
    names = [plain(user.name or user.email)[:200] for user in users]
    return ", ".join(filter(None, names)) or "somebody"
