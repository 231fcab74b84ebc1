"""Reads the source of a cell: its statements, the names that they define and use, and what dotted paths stand for."""

from __future__ import annotations

import ast
import functools
import re
import symtable
import textwrap
import warnings
from collections import ChainMap
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, cast

_TIMED = re.compile(r"^([ \t]*)%(?:time|timeit|prun)\b[ \t]*(?=\S)", re.MULTILINE)
_MAGIC = re.compile(r"^([ \t]*)[%!?].*", re.MULTILINE)
_SHELL = re.compile(r"=[ \t]*[%!].*|\?+[ \t]*$", re.MULTILINE)


def parse(source: str) -> list[ast.stmt]:
    """The statements of a cell. Lines that only IPython understands are left out, but code that they time is kept."""
    plain = _MAGIC.sub(r"\1pass", _TIMED.sub(r"\1", source))
    without = _SHELL.sub(lambda found: "= None" if found[0].startswith("=") else "", plain)
    rest: list[Callable[[], str]] = [lambda: textwrap.dedent(without), functools.partial(_transformed, source)]
    for make in (lambda: plain, lambda: without, *rest):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return ast.parse(make()).body
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue
    return []  # a cell that cannot be parsed cannot run either


def _transformed(source: str) -> str:
    """The cell as IPython would run it: it knows more than the lines above."""
    from IPython.core.inputtransformer2 import TransformerManager

    manager: Any = TransformerManager
    return str(manager().transform_cell(source))


def defines(statement: ast.stmt) -> list[str]:
    """The names that a statement gives a meaning, also inside `if`, `for`, `try`, `with`, and by an attribute."""
    found: list[str] = []
    waiting: list[ast.AST] = [statement]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.append(node.name)
            continue  # what stands in it is local
        if isinstance(node, ast.Lambda):
            continue
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.append(node.id)
        elif isinstance(node, ast.Attribute | ast.Subscript) and isinstance(node.ctx, ast.Store):
            inner: ast.AST = node
            while isinstance(inner, ast.Attribute | ast.Subscript):
                inner = inner.value
            if isinstance(inner, ast.Name):
                found.append(inner.id)
        waiting += ast.iter_child_nodes(node)
    return list(dict.fromkeys(found))


def global_names(statement: ast.stmt) -> frozenset[str]:
    """The notebook's names that a statement reads, without its parameters and local variables."""
    try:
        table = symtable.symtable(ast.unparse(statement), "<cell>", "exec")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return frozenset()
    found = {symbol.get_name() for symbol in table.get_symbols() if symbol.is_referenced()}
    waiting = list(table.get_children())
    while waiting:
        inner = waiting.pop()
        found |= {symbol.get_name() for symbol in inner.get_symbols() if symbol.is_global() and symbol.is_referenced()}
        waiting += inner.get_children()
    return frozenset(found)


def origins_of(statements: Sequence[ast.stmt], before: Mapping[str, str]) -> dict[str, str]:
    """The dotted path behind each imported name and each alias: {'F': 'torch.nn.functional'}."""
    origins = dict(before)
    for statement in statements:
        origins |= inner_origins(statement, origins)
        if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
            origins[statement.targets[0].id] = path_of(statement.value, origins)  # '' removes the earlier meaning
    return origins


def inner_origins(statement: ast.stmt, origins: Mapping[str, str]) -> dict[str, str]:
    """The dotted paths behind the names that a statement imports or makes an alias, at any depth."""
    found: dict[str, str] = {}
    known = ChainMap(found, cast(dict[str, str], origins))  # only the first is written to
    for node in ast.walk(statement):
        if isinstance(node, ast.Import):
            for alias in node.names:
                first = alias.name.split(".")[0]
                found[alias.asname or first] = alias.name if alias.asname else first
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                found[alias.asname or alias.name] = f"{node.module}.{alias.name}"
        for name, value in _aliases(node):
            if path := path_of(value, known):
                found[name] = path
    return found


def _aliases(node: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    """The names that an assignment gives to single values, also in functions: t = torch, and t, u = torch, 3."""
    if isinstance(node, ast.AnnAssign | ast.NamedExpr) and isinstance(node.target, ast.Name) and node.value:
        yield node.target.id, node.value
    elif isinstance(node, ast.Assign):
        for target in node.targets:
            if isinstance(target, ast.Name):
                yield target.id, node.value
            elif isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
                pairs = zip(target.elts, node.value.elts, strict=False)
                yield from ((one.id, value) for one, value in pairs if isinstance(one, ast.Name))


def path_of(node: ast.AST, origins: Mapping[str, str]) -> str:
    """The dotted path that an expression such as `F.relu` stands for; '' when it is not one."""
    names = []
    while isinstance(node, ast.Attribute | ast.Call):
        if isinstance(node, ast.Attribute):
            names.append(node.attr)
            node = node.value
            continue
        match node:
            case ast.Call(func=ast.Name(id="getattr"), args=[of, ast.Constant(value=str(name)), *_]):
                names.append(name)
                node = of
            case _:
                return ""
    base = origins.get(node.id, "") if isinstance(node, ast.Name) else ""
    path = ".".join([base, *reversed(names)]) if base else ""
    return f"torch.{path.rpartition('.torch.')[2]}" if ".torch." in path else path  # torch.functional.torch is torch


def form(statement: ast.stmt) -> str:
    """The statement without comments and layout. One that is nested too deeply for that is no statement of ours."""
    try:
        return ast.dump(statement)
    except RecursionError:
        return ""
