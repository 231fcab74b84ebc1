"""The released notebook as the grader knows it: what every submission is measured against."""

from __future__ import annotations

import json
import re
from typing import Any, Literal

import msgspec

from autograder.course.course import CourseError, Homework
from autograder.course.names import names


class ReleasedCell(msgspec.Struct, frozen=True, kw_only=True):
    """One cell as the students got it."""

    id: str
    kind: Literal["markdown", "code"]
    source: str
    metadata: dict[str, Any]
    grade_id: str
    grade: bool
    solution: bool
    locked: bool
    task: bool
    points: float
    demo: bool
    """for show: it is not run when the homework is graded"""
    names: frozenset[str]
    """what its code defines at the top level"""
    title: str = ""
    """the nearest heading above it"""

    @property
    def fixed(self) -> bool:
        """Whether its text is the course's and not the student's."""
        return self.locked or (self.grade and not self.solution)

    def __str__(self) -> str:
        """How a message names it."""
        return f"‘{self.grade_id or self.id}’" + (
            f" (under “{self.title}”)" if not self.grade_id and self.title else ""
        )


class Released(msgspec.Struct, frozen=True):
    """One released notebook."""

    homework: str
    notebook: str
    cells: tuple[ReleasedCell, ...]


def released(homework: Homework, notebook: str) -> Released:
    """The notebook that students got, from release/.

    Raises
    ------
    CourseError
        When it is missing, or is no notebook that `autograder build` made.
    """
    path = homework.release(notebook)
    try:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        read: list[ReleasedCell] = []
        title = ""
        for cell in cells:
            found = _cell(cell, title)
            if found.kind == "markdown":
                title = _title(found.source) or title
            read.append(found)
    except FileNotFoundError:
        raise CourseError(f"{path}: this file is missing: run `autograder build`") from None
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise CourseError(f"{path}: not a released notebook ({error!r}): run `autograder build`") from None
    ids = [cell.id for cell in read]
    twice = sorted({name for name in ids if ids.count(name) > 1})
    if twice:
        raise CourseError(f"{path}: these cell ids are there twice: {', '.join(twice)}: run `autograder build`")
    return Released(homework.name, notebook, tuple(read))


def _title(text: str) -> str:
    """The last exercise that a text names (**Exercise 2 · …**), else its last heading; '' when it has neither."""
    exercises = re.findall(r"^\*\*(Exercise [^*\n]+)\*\*", text, re.MULTILINE)
    headings = [line.lstrip("#").strip() for line in text.split("\n") if line.startswith("#")]
    return (exercises or headings or [""])[-1].replace("`", "")


def _cell(cell: dict[str, Any], title: str) -> ReleasedCell:
    source = cell["source"] if isinstance(cell["source"], str) else "".join(cell["source"])
    nbgrader = cell["metadata"].get("nbgrader", {})
    code = cell["cell_type"] == "code"
    return ReleasedCell(
        id=cell["id"],
        kind="code" if code else "markdown",
        source=source,
        metadata=cell["metadata"],
        grade_id=nbgrader.get("grade_id", ""),
        grade=nbgrader.get("grade", False),
        solution=nbgrader.get("solution", False),
        locked=nbgrader.get("locked", False),
        task=nbgrader.get("task", False),
        points=float(nbgrader.get("points", 0)),
        demo="demo" in cell["metadata"].get("tags", ()),
        names=names(source) if code else frozenset(),
        title=title,
    )
