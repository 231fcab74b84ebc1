"""Exercises: a student's solution cells that are right, with the visible checks that run them."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import msgspec

from autograder.course.master import Master
from autograder.insight.viva import sieve
from autograder.insight.viva.functions import Function, functions
from autograder.insight.viva.steadiness import Steadiness
from autograder.submission import GradableCell


@dataclass(frozen=True)
class Exercise:
    """Solution cells of a student that are right, and the visible checks that run them."""

    cells: dict[str, str]
    checks: tuple[tuple[str, str], ...]
    texts: str
    """what the course's texts say, without spaces"""
    given: frozenset[str] = frozenset()
    """the functions that students were handed out, as code"""
    around: Steadiness | None = None
    """all code of the notebook, if it is known"""

    @cached_property
    def sources(self) -> dict[str, str]:
        """The source of each check."""
        return dict(self.checks)

    def functions(self, cell: str) -> tuple[Function, ...]:
        """The functions of a cell that the student wrote or changed, and that do the same in each run."""
        own = (one for one in functions(self.cells[cell]) if ast.unparse(one.node) not in self.given)
        return tuple(one for one in own if one.is_steady and (self.around is None or self.around.holds(one)))


def without_checks(master: Master, cells: Sequence[GradableCell]) -> tuple[GradableCell, ...]:
    """The cells of a notebook without the visible checks, which questions run for themselves."""
    checks = {cell.id for cell in master.cells if cell.autograded}
    return tuple(msgspec.structs.replace(cell, skip=cell.skip or cell.id in checks) for cell in cells)


def solved(
    master: Master,
    released: Mapping[str, str],
    sources: Mapping[str, str],
    right: set[str],
    files: Mapping[str, bytes],
) -> list[Exercise]:
    """The exercises with functions whose tests all passed; each with its visible checks.

    `released` are the cells that students were handed out, `right` the grade cells whose tests passed, and `files`
    what lies beside the notebook.
    """
    own = [source for cell, source in sources.items() if source != released.get(cell)]
    around = Steadiness(own, [source for cell, source in sources.items() if source == released.get(cell)], files)
    checks: dict[tuple[str, ...], list[str]] = {}
    for cell in master.cells:
        if cell.autograded:
            examined = tuple(one.id for one in master.examined(cell.grade_id) if one.kind == "code")
            checks.setdefault(examined, []).append(cell.grade_id)
    markdown = (cell.source for cell in master.cells if cell.kind == "markdown" and not cell.solution)
    texts = sieve.plain_text(" ".join(markdown))
    found = []
    for cells, names in checks.items():
        given = frozenset(ast.unparse(one.node) for cell in cells for one in functions(released.get(cell, "")))
        shown = tuple((name, master.cell(name).source) for name in names)
        exercise = Exercise({cell: sources.get(cell, "") for cell in cells}, shown, texts, given, around)
        if set(names) <= right and any(map(exercise.functions, cells)):
            found.append(exercise)
    return found
