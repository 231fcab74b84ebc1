"""A master: one notebook with its solutions, written as a py:percent script."""

from __future__ import annotations

import ast
import functools
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from autograder.course.course import CourseError
from autograder.course.markers import edge_of
from autograder.course.parameters import Number, rendered

PERCENT = {"extension": ".py", "format_name": "percent", "comment_magics": False}
"""jupytext's format for the course's scripts; a comment stays a comment, even if it looks like an IPython magic"""

ADDED_CELLS = ("colab", "setup", "hand-in")
"""grade_ids of the locked cells that the build adds to every notebook"""
BONUS = "bonus"
"""key in a cell's metadata for points that come on top; nbgrader's own key `points` is 0 then"""


class Finding(msgspec.Struct, frozen=True, order=True):
    """One error of an author, with its file and line."""

    path: Path
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.text}"


class AuthorError(CourseError):
    """All errors found in a homework's files. The message has one line for each."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        super().__init__(findings)
        self.findings = tuple(findings)

    def __str__(self) -> str:
        return "\n".join(map(str, self.findings))


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """One cell of a master, with its solution."""

    id: str
    """the cell's id in the notebooks: its grade_id, or else the notebook's name and the cell's number"""
    kind: Literal["markdown", "code"]
    source: str
    line: int
    """the line of the master at which the source begins, counted from 1"""
    grade_id: str = ""
    grade: bool = False
    solution: bool = False
    locked: bool = False
    task: bool = False
    points: float = 0.0
    bonus: bool = False
    """whether its points come on top: no maximum contains them"""
    tags: tuple[str, ...] = ()
    gives: tuple[str, ...] = ()
    """the names that a locked cell behind the first exercise defines for later cells"""
    marked: str = ""
    """the source with the lines that mark parameters; '' if there are none"""

    @property
    def maximum(self) -> float:
        """What the cell adds to the most points of its notebook."""
        return 0.0 if self.bonus else self.points

    @property
    def demo(self) -> bool:
        """Whether the cell is only a demonstration, which the sandbox and the reference skip."""
        return "demo" in self.tags

    @property
    def folded(self) -> bool:
        """Whether JupyterLab, VS Code and Colab show its title alone: students run it and need not read it."""
        return self.kind == "code" and self.locked and self.source.startswith("# @title ")

    @property
    def manual(self) -> bool:
        """Whether a person marks it: it is a solution with points, or a task."""
        return self.task or (self.grade and self.solution)

    @property
    def autograded(self) -> bool:
        """Whether hidden tests mark it."""
        return self.grade and not self.solution


class Master(msgspec.Struct, frozen=True):
    """A master: its cells in order."""

    path: Path
    homework: str
    notebook: str
    cells: tuple[Cell, ...]
    standard: tuple[tuple[str, Number], ...] = ()
    """the standard values of its parameters, by name"""
    numbers: tuple[tuple[str, Number], ...] = ()
    """the values that its cells have"""

    def personal(self, numbers: Mapping[str, Number]) -> Master:
        """The same notebook with these values of its parameters. Raises Wrong where a line marks none as it should."""
        cells = (
            msgspec.structs.replace(cell, source=rendered(cell.marked, dict(self.standard), numbers))
            if cell.marked
            else cell
            for cell in self.cells
        )
        return msgspec.structs.replace(self, cells=tuple(cells), numbers=tuple(numbers.items()))

    @property
    def points(self) -> float:
        """The most points, without a bonus."""
        return sum(cell.maximum for cell in self.grade_cells())

    def cell(self, grade_id: str) -> Cell:
        for cell in self.cells:
            if grade_id and cell.grade_id == grade_id:
                return cell
        raise CourseError(f"{self.path}: no cell has the grade_id {grade_id!r}")

    def grade_cells(self) -> tuple[Cell, ...]:
        return tuple(cell for cell in self.cells if cell.grade or cell.task)

    def examined(self, grade_id: str) -> tuple[Cell, ...]:
        """The solution cells that a grade cell tests. A cell that a person marks tests itself.

        These are the solution cells between the grade cell and the grade cell before it. If there are none, the search
        goes on above that cell, so consecutive grade cells test the same solution cells.
        """
        grade_cell = self.cell(grade_id)
        if grade_cell.manual:
            return (grade_cell,)
        solutions: list[Cell] = []
        for cell in reversed(self.cells[: self.cells.index(grade_cell)]):
            if cell.grade or cell.task:
                if solutions:
                    break
            elif cell.solution:
                solutions.insert(0, cell)
        return tuple(solutions)

    def code(self) -> Iterator[Cell]:
        """The code cells in order, without demo cells. Running them defines the reference."""
        return (cell for cell in self.cells if cell.kind == "code" and not cell.demo)


def parted(cell: Cell) -> tuple[list[str], list[str]]:
    """The lines of a cell that students see, and the lines that they must not see (solution, mark scheme)."""
    seen: list[str] = []
    unseen: list[str] = []
    inside = False
    for line in cell.source.split("\n"):
        if edge := edge_of(line):
            inside = edge[0] == "BEGIN"
        else:
            (unseen if inside else seen).append(line)
    return (seen, unseen) if unseen or not cell.solution else ([], seen)


@functools.lru_cache(maxsize=1024)  # several checks ask for each cell
def syntax_error(source: str) -> SyntaxError | None:
    """The syntax error in a cell's Python code, or None."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the course's linter reports warnings
            ast.parse(source)
    except SyntaxError as error:
        return error
    except ValueError:  # a null byte, before Python 3.12
        return SyntaxError("null bytes")
    return None


def file_text(path: Path, way_out: str) -> str:
    """Read a text file. Raises AuthorError; for a missing file, its message says what to do (`way_out`)."""
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
