"""Exercises: a student's solution cells that are right, with the visible checks that run them."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import msgspec

from autograder.course.master import Master
from autograder.insight.viva import sieve
from autograder.insight.viva.functions import Function, functions, parsed_cell, stored
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
    held: frozenset[str] = frozenset()
    """cells whose functions or classes something keeps that another cell has made: an edit does not reach it"""

    @cached_property
    def sources(self) -> dict[str, str]:
        """The source of each check."""
        return dict(self.checks)

    @cached_property
    def _replaced(self) -> set[str]:
        """The names that a cell gives another value, such as a function that calls the one of this name."""
        bodies = [tree.body for source in self.cells.values() if (tree := parsed_cell(source)) is not None]
        return {name for body in bodies for one in body for name in stored(one)}

    def functions(self, cell: str) -> tuple[Function, ...]:
        """The functions of a cell that the student wrote or changed, and that do the same in each run."""
        own = (one for one in functions(self.cells[cell]) if ast.unparse(one.node) not in self.given)
        own = (one for one in own if one.name not in self._replaced)
        return tuple(one for one in own if one.is_steady and (self.around is None or self.around.holds(one)))


def held_cells(sources: Mapping[str, str]) -> frozenset[str]:
    """The cells of which another cell keeps something when it runs: an instance, a subclass, an alias, an entry.

    Only what some code reads later counts.
    """
    parsed = {cell: tree.body for cell, source in sources.items() if (tree := parsed_cell(source)) is not None}
    reads = Counter(name for body in parsed.values() for one in body for name in _named(one))
    found = set()
    for cell, body in parsed.items():
        defined = {one.name for one in body if isinstance(one, ast.FunctionDef | ast.ClassDef)}
        for other, statements in parsed.items():
            kept = (name for one in statements for name in _keeps(one, defined)) if other != cell and defined else ()
            if any(reads[name] > 1 for name in kept):
                found.add(cell)
    return frozenset(found)


def _named(one: ast.stmt) -> set[str]:
    own = {one.name} if isinstance(one, ast.FunctionDef | ast.ClassDef) else set()
    return own | {node.id for node in ast.walk(one) if isinstance(node, ast.Name)}


def _keeps(one: ast.stmt, defined: set[str]) -> set[str]:
    """The names under which a statement of a cell keeps what it makes of the functions and classes `defined`."""
    match one:
        case ast.FunctionDef():
            parts: list[ast.AST] = [*one.decorator_list, *one.args.defaults, *filter(None, one.args.kw_defaults)]
            kept = {one.name}
        case ast.ClassDef():
            own = [part for part in one.body if not isinstance(part, ast.FunctionDef)]
            parts, kept = [*one.decorator_list, *one.bases, *one.keywords, *own], {one.name}
        case ast.Import() | ast.ImportFrom():
            return set()
        case _:
            parts, kept = [one], _named(one) - defined
    used = {node.id for part in parts for node in ast.walk(part) if isinstance(node, ast.Name)}
    return kept if used & defined else set()


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
    held = held_cells(sources)
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
        exercise = Exercise({cell: sources.get(cell, "") for cell in cells}, shown, texts, given, around, held)
        if set(names) <= right and any(map(exercise.functions, cells)):
            found.append(exercise)
    return found
