"""Modules that are passed on: what is taken from a module that has no name of its own, nobody can read.

`[torch][0].autograd` is as good as `torch.autograd`. So where a tool is forbidden, PyTorch and `sys` are used as what
stands before a dot, and functions that look names up are called by their names. Nothing is executed.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence

from autograder.course.nodes import all_nodes
from autograder.forbidden import harmless, libraries, listed
from autograder.forbidden.source import path_of
from autograder.forbidden.texts import Texts

_LEADING = {"torch", "torchvision", "sys"}
"""libraries whose modules lead to a tool"""
_TAKING = {"getattr", "hasattr", "setattr", "delattr", "vars"}
"""functions that look names up in their first argument, which is read elsewhere"""
_SHOWING = {"dir", "help", "print", "type", "id", "repr", "str", "reload"}
"""functions that do no more with a module than to show it"""
_OPENING = listed.DOORS | {part for module in listed.TOOL_MODULES for part in module.split(".")[1:2]} | {"utils"}
"""names of libraries that lead on to a tool, perhaps"""
_ASKING = {"pop", "keys"}
"""methods of a table of names that give no module"""
_NAMESPACES = {"globals", "locals", "vars"}
"""functions that give the notebook's names, without an argument"""


def passed_on(
    nodes: Sequence[ast.AST], origins: Mapping[str, str], bound: Collection[str], texts: Texts
) -> Iterator[tuple[ast.AST, str]]:
    """The nodes of a statement that make a value of a module, or of a function that looks names up, and what they are.

    `origins` are the paths behind names, `bound` the names that the notebook gives a value, and `texts` its constants.
    """
    named: set[ast.AST] = set()  # modules of which it is read what becomes of them
    called: set[ast.AST] = set()
    tables, lookups = _NAMESPACES.difference(bound), _TAKING.union(_NAMESPACES).difference(bound)
    showing = _SHOWING.difference(bound)
    inside = set(_own_names(nodes, origins))
    local = harmless.bindings([node for node in nodes if not isinstance(node, ast.alias)])
    for node in nodes:
        match node:
            case ast.Attribute(value=of):
                named.add(of)
            case ast.Call(func=function, args=args):
                called.add(function)
                name = function.id if isinstance(function, ast.Name) else getattr(function, "attr", "")
                named.update(args if name in showing else args[:1] if name in _TAKING else ())
            case ast.Assign(targets=[ast.Name()], value=ast.Name() | ast.Attribute() as value):
                named.add(value)  # an alias, which is known
            case ast.Return(value=ast.Name() as value):
                named.add(value)  # what a function returns is known, too
            case (
                ast.For(target=target, iter=ast.List() | ast.Tuple() as table)
                | ast.comprehension(target=target, iter=ast.List() | ast.Tuple() as table)
            ):
                named.update(_looped(target, table.elts, nodes))
    for node in nodes:
        match node:
            case ast.Name(id=name, ctx=ast.Load()) if _leads(origins.get(name, "")):
                if node not in named and name not in local:
                    yield node, f"{origins[name]} that is passed on"
            case ast.Name(id=name, ctx=ast.Load()) if name in lookups and node not in called:
                yield node, f"{name} that is not called"
            case ast.Attribute(ctx=ast.Load()) if node not in named | called and _leads(path := path_of(node, origins)):
                if path.partition(".")[0] not in local:
                    yield node, f"{path} that is passed on"
            case ast.Attribute(value=of, attr="__dict__") if path_of(of, origins) in sys.modules:
                yield node, f"{path_of(of, origins)}.__dict__"
            case ast.Call(func=ast.Name(id="vars"), args=[of]) if path_of(of, origins) in sys.modules:
                yield node, f"vars of {path_of(of, origins)}"
            case ast.Attribute(value=ast.Call(func=ast.Name(id=name), args=[]), attr=way) if name in tables:
                if way not in _ASKING and node not in inside:
                    yield node, f"{name}().{way}"
            case (
                ast.Subscript(value=ast.Call(func=ast.Name(id=name), args=[]), slice=key, ctx=ast.Load())
                | ast.Call(
                    func=ast.Attribute(value=ast.Call(func=ast.Name(id=name), args=[]), attr="pop"), args=[key, *_]
                )
            ) if name in tables and node not in inside:
                known = texts.values(key)
                if isinstance(key, ast.Attribute) and key.attr == "__name__" and node in called:
                    continue  # a class or a function, which a module is not
                if known is None or any(one.startswith("__") or _leads(origins.get(one, "")) for one in known):
                    yield node, f"{name}() with a name that stands for a module, perhaps"


def _looped(target: ast.expr, rows: Sequence[ast.expr], nodes: Sequence[ast.AST]) -> Iterator[ast.expr]:
    """The modules in a loop such as `for library in (numpy, torch)` that only asks them for what is no tool."""
    parts = target.elts if isinstance(target, ast.Tuple) else [target]
    for place, part in enumerate(parts):
        if not isinstance(part, ast.Name):
            continue
        uses = {node for node in nodes if isinstance(node, ast.Name) and node.id == part.id and node is not part}
        asked = [node for node in nodes if isinstance(node, ast.Attribute) and node.value in uses]
        if len(asked) == len(uses) and not any(_opens(node.attr) for node in asked):
            if isinstance(target, ast.Tuple):
                yield from (row.elts[place] for row in rows if isinstance(row, ast.Tuple) and place < len(row.elts))
            else:
                yield from rows


def _opens(name: str) -> bool:
    """Whether a name of a library leads on to a tool, perhaps."""
    return name in _OPENING or (name.startswith("_") and name not in libraries.SAID)


def _own_names(nodes: Sequence[ast.AST], origins: Mapping[str, str]) -> Iterator[ast.AST]:
    """What is done with `locals()` in a function none of whose own names can stand for a module."""
    for function in nodes:
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            parts = all_nodes(function)
            bases = {part.value for part in parts if isinstance(part, ast.Attribute)}
            values = (part for part in parts if isinstance(part, ast.Name | ast.Attribute | ast.Call))
            modules = any(part not in bases and _leads(path_of(part, origins)) for part in values)
            if not modules and not any(isinstance(part, ast.Import | ast.ImportFrom | ast.Lambda) for part in parts):
                for part in parts:
                    match part:
                        case (
                            ast.Attribute(value=ast.Call(func=ast.Name(id="locals"), args=[]))
                            | ast.Subscript(value=ast.Call(func=ast.Name(id="locals"), args=[]))
                        ):
                            yield part


def _leads(path: str) -> bool:
    """Whether a path is that of a module which leads to a tool."""
    top, last = path.partition(".")[0], path.rpartition(".")[2]
    is_module = path in sys.modules or libraries.is_module_of_torch(path)
    return (top in _LEADING and is_module) or (top != path and last in _LEADING)
