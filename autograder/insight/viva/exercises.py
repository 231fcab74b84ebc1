"""Exercises: a student's solution cells that are right, with the visible checks that run them."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import msgspec

from autograder.course.master import Master
from autograder.insight.viva import nodes, sieve
from autograder.insight.viva.functions import Function, functions, is_ordered, parsed_cell, statements_in
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
    replaced: frozenset[str] = frozenset()
    """names that some code gives another value than their definition does, and attributes that are set from outside"""
    loose: frozenset[str] = frozenset()
    """functions that may do something else in another run, for example by the order of a set"""
    held: frozenset[str] = frozenset()
    """cells whose functions or classes something keeps that another cell has made: an edit does not reach it"""

    @cached_property
    def sources(self) -> dict[str, str]:
        """The source of each check."""
        return dict(self.checks)

    def functions(self, cell: str) -> tuple[Function, ...]:
        """The functions of a cell that the student wrote or changed, and that do the same in each run."""
        return self._functions[cell]

    @cached_property
    def _functions(self) -> dict[str, tuple[Function, ...]]:
        return {cell: tuple(filter(self._is_asked_about, functions(source))) for cell, source in self.cells.items()}

    def _is_asked_about(self, one: Function) -> bool:
        if ast.unparse(one.node) in self.given or not self.replaced.isdisjoint({one.name, f".{one.node.name}"}):
            return False
        return one.is_steady and (self.around is None or self.around.holds(one))


def held_cells(sources: Mapping[str, str]) -> frozenset[str]:
    """The cells of which another cell keeps something when it runs: an instance, a subclass, an alias, an entry.

    Only what some code reads later counts.
    """
    kept = {cell: _kept(source) for cell, source in sources.items()}
    reads = Counter(name for statements in kept.values() for one in statements for name in one.named)
    found = set()
    for cell, statements in kept.items():
        if defined := {one.defines for one in statements if one.defines}:
            others = (one for other, its in kept.items() if other != cell for one in its if one.used & defined)
            names = (name for one in others for name in ({one.defines} if one.defines else one.named - defined))
            if any(reads[name] > 1 for name in names):
                found.add(cell)
    return frozenset(found)


@dataclass(frozen=True)
class _Kept:
    """A statement of a cell."""

    defines: str
    """the function or class that it defines, '' if it is another statement"""
    named: frozenset[str]
    """all names in it"""
    used: frozenset[str]
    """those that are looked up when it runs; what it makes of them, it keeps"""


@lru_cache(256)
def _kept(source: str) -> tuple[_Kept, ...]:
    """The statements of a cell. Those of the course's cells are the same for all students."""
    tree = parsed_cell(source)
    return tuple(map(_of_statement, tree.body)) if tree is not None else ()


def replaced(sources: Mapping[str, str]) -> frozenset[str]:
    """The names to which code outside functions gives a value, or a second definition in another cell.

    An attribute that is set there stands with a point: .forward. A function of this name may be another one by then,
    such as one that calls it.
    """
    bound = [_bound(source) for source in sources.values()]
    defined = Counter(name for defines, _ in bound for name in defines)
    again = {name for name, times in defined.items() if times > 1}
    return frozenset(again.union(*(names for _, names in bound)))


def loose(cells: Iterable[str]) -> frozenset[str]:
    """The functions of these cells that may hang on the order of a set, or that use one or a value that may."""
    cells = list(cells)
    known = [one for cell in cells for one in functions(cell)]
    found = {one.node.name for one in known if not one.is_ordered}
    found.update(*map(_unordered, cells))
    while (
        more := {one.node.name for one in known if found & {name.removeprefix("self.") for name in one.reads}} - found
    ):
        found |= more
    return frozenset(found)


@lru_cache(256)
def _unordered(source: str) -> frozenset[str]:
    """The names to which a cell gives, outside functions, a value that may hang on the order of a set."""
    tree = parsed_cell(source)
    found = set()
    for one in statements_in(tree.body) if tree is not None else ():
        head = [part for part in ast.iter_child_nodes(one) if isinstance(part, ast.expr)]
        if isinstance(one, ast.FunctionDef | ast.ClassDef) or all(map(_is_sure, head)):
            continue
        found |= {node.id for node in nodes.walk(one) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
        found |= {name for name, _ in nodes.altered_in(one) if name}
    return frozenset(found)


def _is_sure(value: ast.expr) -> bool:
    """Whether an expression has no set in it, or is sorted in the end."""
    is_sorted = isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id == "sorted"
    return is_sorted or is_ordered(value)


@lru_cache(256)
def _bound(source: str) -> tuple[frozenset[str], frozenset[str]]:
    """What a cell defines, and the names and attributes that it sets."""
    tree = parsed_cell(source)
    defines, names = set(), set()
    for one in statements_in(tree.body) if tree is not None else ():
        if isinstance(one, ast.FunctionDef | ast.ClassDef):
            defines.add(one.name)
            continue
        for node in nodes.walk(one):
            match node:
                case ast.Name(id=name, ctx=ast.Store()) | ast.alias(asname=str(name)) | ast.alias(name=name):
                    names.add(name)
                case ast.Attribute(attr=attr, ctx=ast.Store()):
                    names.add(f".{attr}")
    return frozenset(defines), frozenset(names)


def _of_statement(one: ast.stmt) -> _Kept:
    named, defines = _names([one]), ""
    used = named
    if isinstance(one, ast.FunctionDef):
        used = _names([*one.decorator_list, *one.args.defaults, *filter(None, one.args.kw_defaults)])
    elif isinstance(one, ast.ClassDef):
        own = [part for part in one.body if not isinstance(part, ast.FunctionDef)]
        used = _names([*one.decorator_list, *one.bases, *one.keywords, *own])
    if isinstance(one, ast.FunctionDef | ast.ClassDef):
        named, defines = named | {one.name}, one.name
    return _Kept(defines, named, used)


def _names(parts: Sequence[ast.AST]) -> frozenset[str]:
    return frozenset(node.id for part in parts for node in nodes.walk(part) if isinstance(node, ast.Name))


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
    beside = [data.decode(errors="replace") for path, data in files.items() if path.endswith(".py")]
    whole: dict[str, Any] = {
        "around": around,
        "replaced": replaced(sources),
        "loose": loose([*own, *beside]),
        "held": held_cells(sources),
    }
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
        exercise = Exercise({cell: sources.get(cell, "") for cell in cells}, shown, texts, given, **whole)
        if set(names) <= right and any(map(exercise.functions, cells)):
            found.append(exercise)
    return found
