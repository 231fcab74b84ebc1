"""Signs: what a single node of a notebook tells of what the others may do."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Mapping

from autograder.course.nodes import all_nodes, children, walk
from autograder.forbidden import listed
from autograder.forbidden.source import path_of, starred
from autograder.forbidden.texts import text_of


def starred_names(statement: ast.stmt) -> Iterator[str]:
    """The names that a statement imports by a star, which only stands outside of functions."""
    waiting: list[ast.AST] = [statement]
    while waiting:
        match waiting.pop():
            case ast.ImportFrom() as node:
                yield from starred(node)
            case ast.stmt() | ast.ExceptHandler() | ast.match_case() as node:
                waiting += children(node)


def leads(node: ast.AST) -> bool:
    """Whether a node names what leads to IPython's shell, or to the cells of a closure."""
    return (node.id if isinstance(node, ast.Name) else getattr(node, "attr", "")) in listed.LEADING


def writes_module(node: ast.AST) -> bool:
    """Whether a call may write a file that can be imported."""
    match node:
        case ast.Call(func=ast.Name(id="open"), args=[_, *mode], keywords=more):
            modes = [*mode[:1], *(one.value for one in more if one.arg == "mode")]
            writes = any(not isinstance(one, ast.Constant) or set(str(one.value)) & set("wax+") for one in modes)
        case ast.Call(func=ast.Attribute(attr=name)):
            writes = name in listed.WRITING
        case _:
            return False
    files = _files(node)
    return writes and (not files or any(text.endswith(listed.LOADED) for text in files))


def written_modules(nodes: Iterable[ast.AST]) -> set[str]:
    """The modules that a notebook may write anew under their own names."""
    files = (file for node in nodes if writes_module(node) for file in _files(node))
    return {file.rpartition("/")[2].removesuffix(".py") for file in files if file.endswith(".py")}


def _files(node: ast.AST) -> list[str]:
    """The names of files that stand in a node."""
    texts = [text_of(one) for one in walk(node) if isinstance(one, ast.Constant)]
    return [text for text in texts if re.fullmatch(r"[\w./-]+\.\w+", text)]


def defines(node: ast.AST) -> Iterator[str]:
    """The names that a node gives a meaning, also as an attribute of an object or a field of a class."""
    match node:
        case ast.FunctionDef(name=name) | ast.Attribute(attr=name, ctx=ast.Store()):
            yield name
        case ast.ClassDef(name=name, body=body):
            yield name
            for one in body:
                match one:
                    case ast.AnnAssign(target=ast.Name(id=field)) | ast.Assign(targets=[ast.Name(id=field)]):
                        yield field


def texts_in(node: ast.AST) -> Iterator[str]:
    """The texts that may name a field: of `__slots__`, of a named tuple, in `register_buffer`."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and len(node.value) < 200:
        yield from node.value.replace(",", " ").split()


def searches_elsewhere(nodes: Iterable[ast.AST], origins: Mapping[str, str]) -> bool:
    """Whether a notebook changes where Python looks for modules: then a file of any name may hold one."""
    for node in nodes:
        match node:
            case ast.Attribute(attr="path") | ast.Name() if path_of(node, origins) == "sys.path":
                return True
    return False


def local_targets(statement: ast.stmt) -> Iterator[ast.Attribute]:
    """The attributes that a function sets of what it has made itself, or was given: of no module of this name."""
    for function in all_nodes(statement):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            nodes = [*walk(function.args), *_of_its_own(function.body)]
            taken = {name for node in nodes if isinstance(node, ast.alias | ast.Global) for name in _taken(node)}
            own = {node.arg for node in nodes if isinstance(node, ast.arg)}
            own |= {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
            for node in nodes:
                match node:
                    case ast.Attribute(value=ast.Name(id=name), ctx=ast.Store()) if name in own - taken:
                        yield node


def _of_its_own(body: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """All nodes of a function without those of functions and classes within it."""
    waiting = list(body)
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
            waiting += children(node)


def _taken(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.alias(name=name, asname=other):
            yield other or name.partition(".")[0]
        case ast.Global(names=names):
            yield from names


def text_shown(value: ast.expr) -> str:
    """An expression as it is written."""
    try:
        return ast.unparse(value)
    except (RecursionError, ValueError):  # ValueError: a number of thousands of digits
        return "…"


def is_private(name: str) -> bool:
    """Whether a name begins with one underscore."""
    return name.startswith("_") and not name.startswith("__")
