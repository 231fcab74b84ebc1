"""What answers take from outside, where a tool is forbidden: libraries that are known. Nothing is executed."""

from __future__ import annotations

import ast
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

from autograder.course.nodes import walk
from autograder.forbidden import libraries
from autograder.forbidden.listed import PUT_TOGETHER
from autograder.forbidden.signs import text_shown
from autograder.forbidden.static import is_installed

_ALIASES = 4
"""how often what one name has got is followed into others"""


def taken(nodes: Sequence[ast.AST], own_modules: Collection[str]) -> Iterator[tuple[ast.AST, str]]:
    """The nodes of a statement that take more from outside than answers do, and what they take.

    `own_modules` were handed in beside the notebook.
    """
    for node in nodes:
        match node:
            case ast.Import(names=aliases):
                yield from ((node, what) for what in _unusual([one.name for one in aliases], own_modules))
            case ast.ImportFrom(module=str(module), names=aliases, level=0):
                paths = [module if one.name == "*" else f"{module}.{one.name}" for one in aliases]
                yield from ((node, what) for what in _unusual(paths, own_modules))


def _unusual(modules: Iterable[str], own_modules: Collection[str]) -> Iterator[str]:
    for module in dict.fromkeys(modules):
        top = module.partition(".")[0]
        if not libraries.is_usual(module) and top not in own_modules and is_installed(top):
            yield f"import {module}"


def replaced(nodes: Iterable[ast.AST], classes: Collection[str]) -> Iterator[tuple[ast.AST, str]]:
    """The nodes that give the class of some object another method; `classes` are names of such classes."""
    for node in nodes:
        match node:
            case ast.Attribute(value=of, ctx=ast.Store()) if is_class_of(of) or _is_one(of, classes):
                yield node, f"{text_shown(of)[:60]}.{node.attr} = …"
            case ast.Call(func=ast.Name(id="setattr"), args=[of, *_]) if is_class_of(of) or _is_one(of, classes):
                yield node, f"setattr of {text_shown(of)[:60]}"


def _is_one(node: ast.expr, names: Collection[str]) -> bool:
    return isinstance(node, ast.Name) and node.id in names


def is_class_of(node: ast.AST) -> bool:
    """Whether this is the class of an object that is not the answer's own: type(x), x.__class__."""
    match node:
        case ast.Call(func=ast.Name(id="type"), args=[of]) | ast.Attribute(value=of, attr="__class__"):
            return not _is_one(of, ("self", "cls"))
    return False


def is_put_together(node: ast.AST) -> bool:
    """Whether this is a text that is made of pieces by `join`, `replace` and their like, or of numbers."""
    match node:
        case ast.Call(func=ast.Attribute(attr=name)):
            return name in PUT_TOGETHER
        case (
            ast.Call(func=ast.Name(id="chr" | "bytes" | "bytearray"))
            | ast.Call(func=ast.Name(id="str"), args=[_, _, *_])
        ):
            return True
        case ast.Call(func=ast.Name(id="str"), keywords=named):
            return bool(named)
    return False


def given_names(nodes: Sequence[ast.AST], is_one: Callable[[ast.AST], bool], part: bool) -> frozenset[str]:
    """The names that are given what is one, or, with `part`, something with one in it; and what gets it from these."""
    given: list[tuple[set[str], list[ast.AST]]] = []
    for node in nodes:
        if isinstance(node, ast.Assign | ast.AnnAssign | ast.NamedExpr) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            named = {one.id for target in targets for one in walk(target) if isinstance(one, ast.Name)}
            given.append((named, list(walk(node.value)) if part else [node.value]))
    found: set[str] = set()
    for _ in range(_ALIASES):
        before = len(found)
        for named, values in given:
            if any(is_one(value) or (isinstance(value, ast.Name) and value.id in found) for value in values):
                found |= named
        if len(found) == before:
            break
    return frozenset(found)
