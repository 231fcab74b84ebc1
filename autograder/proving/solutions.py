"""Solutions of a notebook that the audit grades, and the run of the cells that they share with the master."""

from __future__ import annotations

import contextlib
import functools
import importlib
import io
import types
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from autograder.constants import SEED, cell_filename
from autograder.course.course import Course, Homework
from autograder.course.master import Cell, Master
from autograder.examination.suite import Suite, collected
from autograder.grading.libraries import libraries_of
from autograder.proving.fork_pool import ForkPool
from autograder.sandbox.seeding import seed

T = TypeVar("T")


@dataclass(frozen=True)
class Solution:
    """The source of each code cell of a notebook by id, and the grade cells that must lose points."""

    kind: str
    name: str
    cells: dict[str, str]
    fails: Sequence[str]
    also: Sequence[str] = ()
    """what is already wrong before it runs"""
    training: Sequence[str] | None = None
    """the grade cells whose tests with training runs are run; None for all"""
    followed: bool = True
    """whether it is tested further than the grade cells that must lose points"""

    def reached(self, suite: Suite) -> list[str]:
        """The autograded cells to test: all that the edits can reach, if they are followed.

        These examine an edited cell, or use a cell that does.
        """
        if not self.followed:
            return sorted(self.fails)
        book = suite.master
        edited = {cell.id for cell in book.code() if self.cells.get(cell.id, cell.source) != cell.source}
        found: set[str] = set(self.fails)
        for cell in book.cells[self.first_edit(book.cells) :]:
            examined = {one.id for one in book.examined(cell.grade_id)} if cell.autograded else set()
            if edited & examined or found & set(suite.uses.get(cell.grade_id, ())):
                found.add(cell.grade_id)
        return sorted(found)

    def first_edit(self, cells: Sequence[Cell]) -> int:
        """The number of the first of these cells that differs from the master; how many there are if none does."""
        return next(
            (n for n, cell in enumerate(cells) if self.cells.get(cell.id, cell.source) != cell.source), len(cells)
        )

    @property
    def key(self) -> str:
        return f"{self.kind} {self.name}"


def prepared(course: Course, homework: Homework, notebooks: Sequence[str] | None) -> Iterator[Suite]:
    """The suites of a homework's notebooks (by default of all), one after another, each ready to be used in forks."""
    import torch

    torch.set_num_threads(1)  # before torch is used: a fork of a process with worker threads would hang
    for library in libraries_of(course.root, homework.name):  # as in the sandbox: not once more in each fork
        with contextlib.suppress(ImportError):
            importlib.import_module(library)
    names = [spec.name for spec in homework.notebooks if notebooks is None or spec.name in notebooks]
    suites = [Suite(course, homework, name) for name in names]
    with collected(*suites):
        for suite in suites:
            vars(suite.reference), suite.uses  # found once, before the forks
            yield suite


def in_forks(
    kind: type[T],
    workers: int,
    seconds: int,
    suite: Suite,
    todo: Sequence[Solution],
    task: Callable[[Suite, Solution, dict[str, Any], Sequence[Cell]], T],
) -> dict[str, T | str]:
    """Run the master's cells in this process and a task for each solution in a fork of it; the outcomes by key."""
    pool = ForkPool(kind, workers, seconds)
    begun = []
    for solution, names, rest in run_up_to_edits(suite, todo):
        pool.begin(functools.partial(task, suite, solution, names, rest))
        begun.append(solution.key)
    return dict(zip(begun, pool.outcomes(), strict=True))


def run_up_to_edits(suite: Suite, todo: Sequence[Solution]) -> Iterator[tuple[Solution, dict[str, Any], list[Cell]]]:
    """Run the master's cells in this process. Stop before the first edited cell of each solution.

    A solution shares all cells above its first edit with the master, so these are run once. Yields the solution, the
    notebook's names at that moment, and the cells that are still to be run, which is for a fork of this process.
    """
    import matplotlib

    matplotlib.use("agg")
    cells = list(suite.master.code())
    first = {solution.key: solution.first_edit(cells) for solution in todo}
    names: dict[str, Any] = {"__name__": "notebook"}
    seed(SEED)
    for number in range(len(cells) + 1):
        for solution in todo:
            if first[solution.key] == number:
                # a visible check tells the student something, and nobody here; right answers run theirs all the same
                wrong = solution.kind in ("mistake", "mutant")
                yield solution, names, [cell for cell in cells[number:] if not (cell.autograded and wrong)]
        if number < len(cells):
            execute(cells[number].id, cells[number].source, names)


def names_after(book: Master, grade_id: str, demos: bool = False) -> dict[str, Any]:
    """The names that exist once a master's cells have run up to `grade_id`, that one included.

    Demo cells run only with `demos`. Nothing is printed, and the figures of the last cell stay open.
    """
    import matplotlib.pyplot as plt
    import torch

    last = book.cell(grade_id)
    names = vars(types.ModuleType("notebook"))
    names["device"] = torch.device("cpu")
    seed(SEED)
    with contextlib.redirect_stdout(io.StringIO()):
        for cell in book.cells[: book.cells.index(last) + 1]:
            if cell.kind == "code" and (demos or not cell.demo):
                plt.close("all")
                exec(compile(cell.source, cell_filename(cell.id), "exec", dont_inherit=True), names)
    return names


def execute(cell: str, source: str, names: dict[str, Any]) -> str:
    """Run one cell; return its error, or ''. As in the sandbox, an error does not stop the notebook."""
    quiet = io.StringIO()
    try:
        with contextlib.redirect_stdout(quiet), contextlib.redirect_stderr(quiet):
            exec(compile(source, cell_filename(cell), "exec", dont_inherit=True), names)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return ""
