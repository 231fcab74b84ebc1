"""Finds forbidden tools that a solution uses by name. It only reads the source code, in the trusted process.

`runtime` complements it: that module blocks the tools while the code runs.
"""

from __future__ import annotations

import ast
import functools
import importlib.util
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType

from autograder.course.course import Tool
from autograder.course.master import Master
from autograder.course.names import names
from autograder.course.nodes import all_nodes
from autograder.forbidden import WHY
from autograder.forbidden.given import given_code
from autograder.forbidden.source import (
    defines,
    global_names,
    inner_origins,
    installers,
    origins_of,
    parse,
    path_of,
)
from autograder.forbidden.tool_use import Reach, first_use, is_tensor_backward, left_inside, paths_of, requires_gradient

Code = Sequence[tuple[str, str]]
"""(cell id, source) of code cells, in order; of the student's own modules, the path in place of the id"""

_MOST_STARS = 50
"""imports of everything that are read in a notebook"""
_CHANGING = {"setattr", "delattr", "exec", "eval", "vars", "globals"}
"""functions through which a loop or a condition can change what a name stands for"""
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def trespasses(
    book: Master,
    own: Code,
    given: Code,
    tools: Sequence[Tool],
    later: Mapping[str, frozenset[tuple[str, str]]] = MappingProxyType({}),
) -> dict[str, str]:
    """Find the grade cells whose solution uses a forbidden tool. Returns the reason why each earns no points.

    `own` are the cells that students write, `given` the locked cells. The locked cells may use every tool, and what
    they import is also known in the students' cells. `later` are, for a grade cell, definitions, (cell, name), that
    come after its tests have seen another one of that name.
    """
    reasons = {}
    for cell in book.grade_cells() if tools else ():
        unseen = later.get(cell.grade_id, frozenset())
        for solution in book.examined(cell.grade_id):
            if why := uses(solution.id, own, given, tools, names(solution.source), unseen):
                reasons[cell.grade_id] = why
    return reasons


def uses(
    cell: str,
    own: Code,
    given: Code,
    tools: Iterable[Tool],
    asked: Collection[str] = (),
    later: frozenset[tuple[str, str]] = frozenset(),
) -> str:
    """Say in a sentence where the solution in `cell` uses a forbidden tool; '' when it uses none.

    The search begins where the names are defined that the exercise asks for, `asked` (without them, everywhere in the
    cell), and continues in the student's own functions and variables that the solution uses by name. What the cell only
    tries out is not part of the solution.
    """
    notebook = _read(tuple(own), tuple(given), later)
    statements = notebook.cells.get(cell, ())
    begin = [(cell, statement) for statement in statements if not asked or notebook.matters(statement, asked)]
    begin += [place for name in asked for place in notebook.definitions.get(name, ())]
    waiting = [(*place, False) for place in begin]
    seen = set[tuple[ast.stmt, bool]]()
    names_followed, paths_followed = set[tuple[str, bool]](), set[tuple[str, bool]]()
    while waiting:
        where, statement, early = waiting.pop()
        # what a cell computes with a tool, it does before the tool is blocked
        early |= not isinstance(statement, _DEFINITIONS)
        if (statement, early) in seen:
            continue
        seen.add((statement, early))
        reach = notebook.reach(statement)
        paths = {path for path, _ in reach.paths}
        used = reach.names | {path.split(".")[1] for path in paths if path.startswith("__main__.")}
        for tool in tools:
            found = first_use(reach, tool, not notebook.defines_backward, early)
            if found is not None:
                return f"{WHY[tool]}. Cell ‘{where}’ uses {found[0]} in line {found[1]}."
            for name in notebook.given_with(tool, used) if early else ():
                return f"{WHY[tool]}. Cell ‘{where}’ uses {name}, which uses it, in line {statement.lineno}."
        for name in used:
            if (name, early) not in names_followed:
                names_followed.add((name, early))
                waiting += [(*place, early) for place in notebook.definitions.get(name, ())]
        for path in paths:
            if (path, early) not in paths_followed:
                paths_followed.add((path, early))
                waiting += [(*place, early) for place in notebook.module(path)]
    return ""


class _Notebook:
    """The students' cells of a notebook, and what the names in them stand for."""

    def __init__(self, own: Code, given: tuple[tuple[str, str], ...], later: frozenset[tuple[str, str]]) -> None:
        ours = given_code(given)
        self.given = ours.names
        self._given, self._functions = given, ours.functions
        self.cells = {name: tuple(one for one in parse(source) if not ours.has(one)) for name, source in own}
        for name in {cell for cell, _ in later} & self.cells.keys():
            redefined = {defined for cell, defined in later if cell == name}
            self.cells[name] = tuple(one for one in self.cells[name] if not _rebinds(one, redefined))
        stars = [one for statements in self.cells.values() for one in statements for _ in _stars(one)]
        unread = set(stars[_MOST_STARS:])
        self.crowded = bool(unread)
        """whether more is imported by stars than is read"""
        if unread:
            self.cells = {name: tuple(one for one in of if one not in unread) for name, of in self.cells.items()}
        own_statements = [statement for statements in self.cells.values() for statement in statements]
        self._defines = {statement: defines(statement) for statement in own_statements}
        self.definitions: dict[str, list[tuple[str, ast.stmt]]] = {}
        changing = installers(own_statements)
        for name, statements in self.cells.items():
            for statement in statements:
                for defined in defines(statement, changing) if changing else self._defines[statement]:
                    self.definitions.setdefault(defined, []).append((name, statement))
        self.origins = origins_of(own_statements, ours.origins)
        for name, statements in self.cells.items():
            for statement in statements:
                for path in _set_paths(statement, self.origins):
                    if path.startswith("builtins."):  # a name that every function knows
                        self.definitions.setdefault(path.rpartition(".")[2], []).append((name, statement))
        self.defines_backward = any(map(_has_backward, own_statements))
        """whether a class has an own backward() without arguments: then such a call need not be a tensor's"""
        self._reaches: dict[ast.stmt, Reach] = {}
        self._requiring: dict[str, bool] = {}
        """whether a name is given a tensor that requires a gradient"""

    def matters(self, statement: ast.stmt, asked: Collection[str]) -> bool:
        """Whether a statement can be part of a solution: it defines or changes what is asked for."""
        if not set(asked).isdisjoint(self._defines[statement]):
            return True
        if not isinstance(statement, ast.Expr):
            return any(isinstance(node, ast.Name) and node.id in _CHANGING for node in all_nodes(statement))
        call = statement.value.func if isinstance(statement.value, ast.Call) else None
        tried = isinstance(call, ast.Name) and (call.id in self.given or call.id in ("print", "display"))
        tried |= call is not None and path_of(call, self.origins).startswith(("torch.testing.", "numpy.testing."))
        return not tried and not self.reach(statement).names.isdisjoint(asked)

    def given_with(self, tool: Tool, used: Collection[str]) -> Sequence[str]:
        """Those of these names that stand for functions of the locked cells which use a tool, also through others."""
        theirs = self._functions.intersection(used) - self.definitions.keys()
        return sorted(theirs & _given_with(self._given, tool, not self.defines_backward)) if theirs else ()

    def module(self, path: str) -> Iterator[tuple[str, ast.stmt]]:
        """What a dotted path names in a module of the student's own: everything in it if no statement defines it."""
        top, _, rest = path.partition(".")
        if is_installed(top):
            return  # a file of this name is not what is imported
        wanted = rest.partition(".")[0]
        for name, statements in self.cells.items():
            if name == f"{top}.py" or (name.startswith(f"{top}/") and name.endswith(".py")):
                defining = [statement for statement in statements if wanted in self._defines[statement]]
                yield from ((name, statement) for statement in defining or statements)

    def reach(self, statement: ast.stmt) -> Reach:
        """What a statement uses; found once, and then remembered."""
        if statement not in self._reaches:
            names = global_names(statement)
            origins = {name: self.origins.get(name, "") for name in names} | inner_origins(statement, self.origins)
            nodes = all_nodes(statement)
            lines = [node.lineno for node in nodes if isinstance(node, ast.Call) and is_tensor_backward(node)]
            inside = isinstance(statement, _DEFINITIONS)
            left = next(left_inside(statement) if inside else self._left(nodes), None)
            self._reaches[statement] = Reach(names, tuple(paths_of(nodes, origins)), lines[0] if lines else 0, left)
        return self._reaches[statement]

    def _left(self, nodes: Iterable[ast.AST]) -> Iterator[tuple[str, int]]:
        """Where x.grad is read of a tensor that requires one: outside of functions, no name leads to its backward()."""
        for node in nodes:
            match node:
                case ast.Attribute(value=ast.Name(id=name), attr="grad", ctx=ast.Load()):
                    if name not in self._requiring:
                        made = (part for _, one in self.definitions.get(name, ()) for part in all_nodes(one))
                        self._requiring[name] = any(map(requires_gradient, made))
                    if self._requiring[name]:
                        yield f"{name}.grad", node.lineno


@functools.lru_cache(maxsize=16)  # the locked cells are the same in all submissions of a notebook
def _given_with(given: tuple[tuple[str, str], ...], tool: Tool, backward: bool) -> frozenset[str]:
    statements = [statement for _, source in given for statement in parse(source)]
    origins, found, tooled = origins_of(statements, {}), dict[str, frozenset[str]](), set[str]()
    for statement in statements:
        nodes = all_nodes(statement)
        known = origins | inner_origins(statement, origins)
        lines = [node.lineno for node in nodes if isinstance(node, ast.Call) and is_tensor_backward(node)]
        reach = Reach(frozenset(), tuple(paths_of(nodes, known)), lines[0] if lines else 0)
        for name in defines(statement) if isinstance(statement, _DEFINITIONS) else ():
            found[name] = global_names(statement) - {name}
            tooled |= {name} if first_use(reach, tool, backward) else set()
    while more := {name for name, used in found.items() if used & tooled} - tooled:
        tooled |= more
    return frozenset(tooled)


@functools.cache
def is_installed(module: str) -> bool:
    """Whether a module is found before the student's folder, which is searched last. Nothing is imported for it."""
    try:
        return module.isidentifier() and importlib.util.find_spec(module) is not None
    except ValueError:  # a module that runs, but was not imported: __main__
        return True


def _stars(statement: ast.stmt) -> Iterator[ast.AST]:
    """The imports of everything in a statement."""
    for node in all_nodes(statement):
        if isinstance(node, ast.ImportFrom) and any(alias.name == "*" for alias in node.names):
            yield node


def _rebinds(statement: ast.stmt, again: Collection[str]) -> bool:
    """Whether a statement does nothing but give one of the names another meaning."""
    if isinstance(statement, _DEFINITIONS):
        return statement.name in again
    targets = statement.targets if isinstance(statement, ast.Assign) else ()
    return bool(targets) and all(isinstance(target, ast.Name) and target.id in again for target in targets)


@functools.lru_cache(maxsize=8)  # called once for each solution cell, and for all cells
def _read(
    own: tuple[tuple[str, str], ...],
    given: tuple[tuple[str, str], ...],
    later: frozenset[tuple[str, str]],
) -> _Notebook:
    return _Notebook(own, given, later)


def own_statements(own: Code, given: Code) -> dict[str, tuple[ast.stmt, ...]]:
    """The statements of each cell in `own` that are the student's and not copied from a locked cell."""
    return dict(_read(tuple(own), tuple(given), frozenset()).cells)


def sources_of(own: Code, given: Code) -> dict[str, str]:
    """The dotted path behind each name that the cells import or alias."""
    return dict(_read(tuple(own), tuple(given), frozenset()).origins)


def modules_of(own: Code) -> frozenset[str]:
    """The modules that were handed in beside a notebook, but for those in whose place a library is imported."""
    names = {name.partition("/")[0].removesuffix(".py") for name, _ in own if name.endswith(".py")}
    return frozenset(name for name in names if name.isidentifier() and not is_installed(name))


def is_crowded(own: Code, given: Code) -> bool:
    """Whether the cells import more by stars than is read."""
    return _read(tuple(own), tuple(given), frozenset()).crowded


def _set_paths(statement: ast.stmt, origins: Mapping[str, str]) -> Iterator[str]:
    """The dotted paths of the attributes that a statement sets: `torch.f = g`."""
    for node in all_nodes(statement):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield path_of(node, origins)


def _has_backward(statement: ast.stmt) -> bool:
    """Whether a statement defines a class with a method backward(self)."""
    methods = [node for node in all_nodes(statement) if isinstance(node, ast.FunctionDef) and node.name == "backward"]
    return isinstance(statement, ast.ClassDef) and any(
        len(method.args.posonlyargs) + len(method.args.args) - len(method.args.defaults) == 1 for method in methods
    )
