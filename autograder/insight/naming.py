"""Naming: which names in a notebook are the student's own choice, and which are the course's or a library's."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from autograder.course import names
from autograder.course.nodes import walk
from autograder.course.release import Released

_ATTRIBUTE = re.compile(r"\.([A-Za-z_]\w*)")
_METHOD = re.compile(r"\bdef[ \t]+(\w+)")
_OWN, _PART = "v", ".a"
"""what stands for a name, and for an attribute, that the student chose"""

NUMBER = "<n>"
"""stands for the value of a parameter: no word and no name"""
Scope = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.expr


@dataclass(frozen=True)
class Given:
    """The names that a student does not choose."""

    names: frozenset[str]
    """what solution cells define for other cells"""
    attributes: frozenset[str]
    """what the course's own code takes of a student's objects"""
    modules: dict[str, str] = field(default_factory=dict)
    """what its code imports, as in `Naming`"""
    numbers: frozenset[str] = frozenset()
    """the values of the notebook's parameters, which differ from student to student"""


def given(release: Released, numbers: Iterable[float] = ()) -> Given:
    """The names of one notebook that the course gives, and the values of its parameters."""
    code = [cell for cell in release.cells if cell.kind == "code"]
    asked = {name for cell in code if cell.solution for name in cell.names}
    taken = {name for cell in code if not cell.solution for name in _ATTRIBUTE.findall(cell.source)}
    methods = {name for cell in code if cell.solution for name in _METHOD.findall(cell.source)}
    trees = filter(None, (syntax_tree(cell.source) for cell in code))
    modules = dict(entry for tree in trees for node in walk(tree) for entry in _imported(node))
    return Given(
        frozenset(asked),
        frozenset(taken | methods),
        modules,
        frozenset(str(number).removesuffix(".0") for number in numbers),
    )


@dataclass(frozen=True)
class Naming:
    """The names in one student's notebook."""

    given: Given
    own: frozenset[str] = frozenset()
    """what the student defines outside functions, and the course does not ask for"""
    attributes: frozenset[str] = frozenset()
    """the student's own attributes and methods"""
    modules: dict[str, str] = field(default_factory=dict)
    """what stands for a module or a thing in it: its dotted path"""

    def name(self, name: str, local: frozenset[str]) -> str:
        return (
            _OWN if name in local or (name in self.own and name not in self.modules) else self.modules.get(name, name)
        )

    def path(self, node: ast.AST, local: frozenset[str]) -> str:
        """The dotted path of a module or a thing in it, however it was imported; '' for everything else."""
        return _path(node, self.modules, local)

    def attribute(self, name: str) -> str:
        return _PART if name in self.attributes else f".{name}"

    def foreign(self, name: str, local: frozenset[str]) -> bool:
        """Whether a name is that of a library, or of Python."""
        return name not in local and name not in self.own and name not in self.given.names

    @staticmethod
    def bound(node: Scope) -> frozenset[str]:
        """The names that a function or a comprehension binds, those inside it included."""
        inner = walk(node)
        functions = (one.name for one in inner[1:] if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef))
        declared = {name for one in inner if isinstance(one, ast.Global) for name in one.names}
        return frozenset({*_bound(inner), *functions} - declared)


def naming(trees: Iterable[ast.Module], course: Given) -> Naming:
    """What the names in a student's code are."""
    trees = list(trees)
    own = Counter[str]()
    attributes: set[str] = set()
    imported: dict[str, str] = {}
    for tree in trees:
        own.update(_top_level(tree.body))
        for node in walk(tree):
            match node:
                case ast.Attribute(ctx=ast.Store(), attr=attribute):
                    attributes.add(attribute)
                case ast.ClassDef():
                    attributes.update(_of_class(node))
                case ast.Import() | ast.ImportFrom():
                    imported.update(_imported(node))
    modules = {name: path for name, path in course.modules.items() if name not in own} | imported
    for tree in trees:
        for node in tree.body:
            match node:
                case ast.Assign(targets=[ast.Name(id=name)]) if own[name] == 1 and (path := _path(node.value, modules)):
                    modules[name] = path
    theirs = {name for name in attributes if not name.startswith("__")} - course.attributes
    return Naming(course, frozenset(own.keys() - course.names - modules.keys()), frozenset(theirs), modules)


def _imported(node: ast.AST) -> Iterator[tuple[str, str]]:
    """The names that an import binds, each with its dotted path."""
    match node:
        case ast.Import():
            for alias in node.names:
                whole = alias.name if alias.asname else alias.name.partition(".")[0]
                yield alias.asname or whole, whole
        case ast.ImportFrom():
            yield from ((alias.asname or alias.name, f"{node.module}.{alias.name}") for alias in node.names)


def _path(node: ast.AST, modules: Mapping[str, str], local: frozenset[str] = frozenset()) -> str:
    match node:
        case ast.Name(id=name) if name not in local:
            return modules.get(name, "")
        case ast.Attribute(value=inner, attr=attribute):
            path = _path(inner, modules, local)
            return f"{path}.{attribute}" if path else ""
    return ""


def syntax_tree(source: str) -> ast.Module | None:
    """The syntax tree of code with IPython's magics blanked out; None if it is no Python, or nested too deeply."""
    try:
        return names.syntax_tree(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _bound(nodes: Iterable[ast.AST]) -> Iterator[str]:
    for node in nodes:
        match node:
            case ast.Name(id=name, ctx=ast.Store()) | ast.arg(arg=name) | ast.ExceptHandler(name=str(name)):
                yield name


def _top_level(body: Iterable[ast.stmt]) -> Iterator[str]:
    """What statements outside functions and classes bind."""
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        else:
            yield from _bound(walk(node))


def _of_class(node: ast.ClassDef) -> Iterator[str]:
    """The methods of a class, and what its body binds."""
    for one in node.body:
        if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef):
            yield one.name
        elif isinstance(one, ast.Assign):
            yield from _bound(one.targets)
