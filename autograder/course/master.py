"""A master: one notebook as a py:percent script with solutions, read and checked for its author's mistakes."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from autograder.course.course import CourseError
from autograder.course.markers import edge_of

PERCENT = {"extension": ".py", "format_name": "percent", "comment_magics": False}
"""How jupytext reads and writes the course's scripts: a comment stays a comment, even where it reads like a magic."""

ADDED_CELLS = ("colab", "setup")
"""grade_ids of the locked cells that the build adds to every notebook"""


class Finding(msgspec.Struct, frozen=True, order=True):
    """One mistake of an author and where it stands."""

    path: Path
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.text}"


class AuthorError(CourseError):
    """All the mistakes found in a homework's files; its text is one line for each."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        super().__init__(findings)
        self.findings = tuple(findings)

    def __str__(self) -> str:
        return "\n".join(map(str, self.findings))


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """One cell of a master, with its solution."""

    id: str
    """the grade_id, else the notebook's name and the cell's number: the id of the cell in the notebooks"""
    kind: Literal["markdown", "code"]
    source: str
    line: int
    """line of the master where the source begins, counted from 1"""
    grade_id: str = ""
    grade: bool = False
    solution: bool = False
    locked: bool = False
    task: bool = False
    points: float = 0.0
    tags: tuple[str, ...] = ()

    @property
    def demo(self) -> bool:
        """For show: the sandbox and the reference skip it."""
        return "demo" in self.tags

    @property
    def manual(self) -> bool:
        """A person marks it: an answer that carries points, or a task."""
        return self.task or (self.grade and self.solution)

    @property
    def autograded(self) -> bool:
        """Hidden tests mark it."""
        return self.grade and not self.solution


class Master(msgspec.Struct, frozen=True):
    """A master: its cells in order."""

    path: Path
    homework: str
    notebook: str
    cells: tuple[Cell, ...]

    @property
    def points(self) -> float:
        return sum(cell.points for cell in self.grade_cells())

    def cell(self, grade_id: str) -> Cell:
        for cell in self.cells:
            if grade_id and cell.grade_id == grade_id:
                return cell
        raise CourseError(f"{self.path}: no cell has the grade_id {grade_id!r}")

    def grade_cells(self) -> tuple[Cell, ...]:
        return tuple(cell for cell in self.cells if cell.grade or cell.task)

    def examined(self, grade_id: str) -> tuple[Cell, ...]:
        """The solution cells that a grade cell examines; a cell marked by hand examines itself.

        They are the run of solution cells nearest above it: whatever stands between them, the grade cell before them
        ends the run. Grade cells that follow each other examine the same run.
        """
        examiner = self.cell(grade_id)
        if examiner.manual:
            return (examiner,)
        run: list[Cell] = []
        for cell in reversed(self.cells[: self.cells.index(examiner)]):
            if cell.grade or cell.task:
                if run:
                    break
            elif cell.solution:
                run.insert(0, cell)
        return tuple(run)

    def code(self) -> Iterator[Cell]:
        """The code cells that are not demo, in order: executed, they are the reference."""
        return (cell for cell in self.cells if cell.kind == "code" and not cell.demo)


def parted(cell: Cell) -> tuple[list[str], list[str]]:
    """The lines of a cell that students see, and those that they must not: its solution, its mark scheme."""
    seen: list[str] = []
    unseen: list[str] = []
    inside = False
    for line in cell.source.split("\n"):
        if edge := edge_of(line):
            inside = edge[0] == "BEGIN"
        else:
            (unseen if inside else seen).append(line)
    return (seen, unseen) if unseen or not cell.solution else ([], seen)


def syntax_error(source: str) -> SyntaxError | None:
    """What is wrong with a cell's Python; None when it is sound."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the course's linter speaks of those
            ast.parse(source)
    except SyntaxError as error:
        return error
    except ValueError:  # a null byte, before Python 3.12
        return SyntaxError("null bytes")
    return None


def file_text(path: Path, way_out: str) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        problem = f"this file is missing; {way_out}"
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise AuthorError([Finding(path, line, "this line is not UTF-8: save the file as UTF-8")]) from None
    except OSError as error:
        problem = f"this file cannot be read: {error.strerror}"
    raise AuthorError([Finding(path, 1, problem)])
