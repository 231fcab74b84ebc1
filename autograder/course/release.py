"""The released notebook, read for the grader. Every submission is compared with it."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any, Literal

import msgspec

from autograder.course.course import CourseError, Homework
from autograder.course.master import BONUS
from autograder.course.names import names


class ReleasedCell(msgspec.Struct, frozen=True, kw_only=True):
    """One cell of a released notebook."""

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
    bonus: bool = False
    """whether its points come on top: no maximum contains them"""
    demo: bool
    """whether it is only a demonstration, which grading does not run"""
    names: frozenset[str]
    """the names that its code defines at the top level"""
    title: str = ""
    """the nearest heading above it"""

    @property
    def maximum(self) -> float:
        """What the cell adds to the most points of its notebook."""
        return 0.0 if self.bonus else self.points

    @property
    def fixed(self) -> bool:
        """Whether the course sets its text; grading ignores a student's changes to it."""
        return self.locked or (self.grade and not self.solution)

    def __str__(self) -> str:
        """The name of the cell in messages."""
        return f"‘{self.grade_id or self.id}’" + (
            f" (under “{self.title}”)" if not self.grade_id and self.title else ""
        )


class Released(msgspec.Struct, frozen=True):
    """One released notebook."""

    homework: str
    notebook: str
    cells: tuple[ReleasedCell, ...]


def released(homework: Homework, notebook: str) -> Released:
    """Read a released notebook from release/.

    Raises
    ------
    CourseError
        If it is missing, or if it is not a notebook made by `autograder build`.
    """
    path = homework.release(notebook)
    try:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        read: list[ReleasedCell] = []
        title = ""
        for cell in cells:
            found = _cell(cell, title)
            if found.kind == "markdown":
                title = title_of(found.source) or title
            read.append(found)
    except FileNotFoundError:
        raise CourseError(f"{path}: this file is missing: run `autograder build`") from None
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise CourseError(f"{path}: this is not a released notebook ({error!r}): run `autograder build`") from None
    ids = [cell.id for cell in read]
    twice = sorted({name for name in ids if ids.count(name) > 1})
    if twice:
        raise CourseError(f"{path}: these cell ids occur twice: {', '.join(twice)}: run `autograder build`")
    return Released(homework.name, notebook, tuple(read))


def checksum(source: str, kind: str, grade_id: str, grade: bool, solution: bool, locked: bool, points: float) -> str:
    """The checksum of a released cell: `nbgrader.utils.compute_checksum`, which takes a second to import."""
    fixed = not solution and (grade or locked)
    parts = [source, kind, str(grade), str(solution), str(fixed), grade_id, *([str(float(points))] if grade else [])]
    return hashlib.md5("".join(parts).encode(), usedforsecurity=False).hexdigest()


def title_of(text: str) -> str:
    """The last exercise name in a text (**Exercise 2 · …**), or else its last heading; '' if it has neither."""
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
        points=float(cell["metadata"].get(BONUS, nbgrader.get("points", 0))),
        bonus=BONUS in cell["metadata"],
        demo="demo" in cell["metadata"].get("tags", ()),
        names=names(source) if code else frozenset(),
        title=title,
    )
