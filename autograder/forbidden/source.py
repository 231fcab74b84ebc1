"""Reads the source of a cell: its statements, the names that they define and use, and what dotted paths stand for."""

from __future__ import annotations

import ast
import functools
import importlib
import symtable
import sys
from collections import ChainMap
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from types import ModuleType
from typing import cast

from autograder.course.nodes import all_nodes, children, walk
from autograder.forbidden.magics import tree

_CHANGING_METHODS = {
    *("append", "extend", "insert", "update", "setdefault", "add", "__setattr__", "__setitem__", "__ior__"),
}
_CHANGERS = {ast.Attribute, ast.Subscript, ast.Call}
"""the nodes that can change an object"""
_GIVERS = {
    *(ast.Assign, ast.AnnAssign, ast.NamedExpr, ast.FunctionDef, ast.arguments, ast.For, ast.comprehension),
    ast.withitem,
}
"""the nodes that can give a name another's meaning"""
_LIBRARIES = ("torch", "numpy")
"""libraries that every grading process loads sooner or later"""
_MOST_PARTS, _LONGEST = 32, 2000
"""names at either end of a path that are kept, and its characters: a cell can make one longer with each of its lines"""


def parse(source: str) -> list[ast.stmt]:
    """The statements of a cell, with the code that magics run in their places."""
    try:
        return tree(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []  # a cell that cannot be parsed cannot run either, unless it is `too_deep`


def too_deep(source: str) -> bool:
    """Whether a cell is nested too deeply to be read here. Code that raises Python's limits may run it all the same."""
    try:
        tree(source)
    except (RecursionError, MemoryError):
        return True
    except (SyntaxError, ValueError) as error:
        return runs_elsewhere(error)
    return False


def runs_elsewhere(error: Exception) -> bool:
    """Whether a text with this error may be valid where code has changed Python: its limit of digits, or `<>`."""
    return "Exceeds the limit" in str(error) or "<>" in (getattr(error, "text", "") or "")


def defines(statement: ast.stmt, installers: Container[str] = ()) -> list[str]:
    """The names that a statement gives or changes a meaning, also inside `if`, `for`, `try`, `with`, and in functions.

    What a function does to the notebook's names counts where it is defined, whether or not it is called. `installers`
    are functions that change what they are given.
    """
    found: list[str] = []
    waiting: list[tuple[ast.AST, frozenset[str]]] = [(statement, frozenset())]
    while waiting:
        node, local = waiting.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and not local:
            found.append(node.name)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and not local:
            found.append(node.id)
        if type(node) in _CHANGERS:
            found += [name for name in _changed(node, installers) if name not in local]
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
            local = local | {""} | _locals(node)
        waiting += [(child, local) for child in children(node)]
    return list(dict.fromkeys(found))


def installers(statements: Iterable[ast.stmt]) -> frozenset[str]:
    """The functions among the statements that change an object which they are given: `def put(c): c.f = g`."""
    found = set()
    for statement in statements:
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
            arguments = statement.args
            given = {argument.arg for argument in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)}
            if any(
                name in given for node in all_nodes(statement) if type(node) in _CHANGERS for name in _changed(node)
            ):
                found.add(statement.name)
    return frozenset(found)


def _changed(node: ast.AST, installers: Container[str] = ()) -> Iterator[str]:
    """The names whose objects this node changes: f.x = …, f[0] = …, setattr(f, …), f.update(…)."""
    match node:
        case ast.Attribute(value=of, ctx=ast.Store()) | ast.Subscript(value=of, ctx=ast.Store()):
            yield from _root(of)
        case ast.Call(func=ast.Name(id="setattr" | "delattr"), args=[of, *_]):
            yield from _root(of)
        case ast.Call(func=ast.Attribute(value=of, attr=name), args=arguments) if name in _CHANGING_METHODS:
            yield from _root(of)
            if name == "__setattr__" and arguments:
                yield from _root(arguments[0])
        case ast.Call(func=ast.Name(id=name), args=arguments) if name in installers:
            yield from (argument.id for argument in arguments if isinstance(argument, ast.Name))


def _root(node: ast.AST) -> Iterator[str]:
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    if isinstance(node, ast.Name):
        yield node.id
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "vars" and node.args:
        yield from _root(node.args[0])


def _locals(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef) -> set[str]:
    """The names that belong to a function itself: its parameters, and what it assigns."""
    own, declared = set[str](), set[str]()
    for inner in walk(node):
        if isinstance(inner, ast.Name):
            if isinstance(inner.ctx, ast.Store):
                own.add(inner.id)
        elif isinstance(inner, ast.arg):
            own.add(inner.arg)
        elif isinstance(inner, ast.Global):
            declared.update(inner.names)
    return own - declared


def global_names(statement: ast.stmt) -> frozenset[str]:
    """The notebook's names that a statement reads, without its parameters and local variables."""
    try:
        table = symtable.symtable(ast.unparse(statement), "<cell>", "exec")
    except (SyntaxError, ValueError):
        return frozenset()
    except (RecursionError, MemoryError):  # too deep to be written down: its local names, too
        return frozenset(node.id for node in all_nodes(statement) if isinstance(node, ast.Name))
    found = {symbol.get_name() for symbol in table.get_symbols() if symbol.is_referenced()}
    waiting = list(table.get_children())
    while waiting:
        inner = waiting.pop()
        found |= {symbol.get_name() for symbol in inner.get_symbols() if symbol.is_global() and symbol.is_referenced()}
        waiting += inner.get_children()
    return frozenset(found - _of_comprehensions(statement))


def _of_comprehensions(statement: ast.stmt) -> set[str]:
    """The names that are only variables of comprehensions: since Python 3.12, symbol tables list them, too."""
    variables, elsewhere = set[str](), set[str]()
    waiting: list[tuple[ast.AST, frozenset[str]]] = [(statement, frozenset())]
    if not any(isinstance(node, ast.comprehension) for node in all_nodes(statement)):
        return variables
    while waiting:
        node, bound = waiting.pop()
        if isinstance(node, ast.Name) and node.id not in bound:
            elsewhere.add(node.id)
        if isinstance(node, ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp):
            waiting.append((node.generators[0].iter, bound))  # is found before its variables are
            targets = [walk(generator.target) for generator in node.generators]
            bound = bound.union(one.id for target in targets for one in target if isinstance(one, ast.Name))
            variables |= bound
        waiting += [(child, bound) for child in children(node)]
    return variables - elsewhere


def origins_of(statements: Sequence[ast.stmt], before: Mapping[str, str]) -> dict[str, str]:
    """The dotted path behind each imported name and each alias: {'F': 'torch.nn.functional'}."""
    origins, by_star = dict(before), dict[str, str]()
    for statement in statements:
        origins |= inner_origins(statement, origins)
        if isinstance(statement, ast.ImportFrom):
            by_star |= {name: origins[name] for name in starred(statement)}
        elif isinstance(statement, ast.FunctionDef | ast.ClassDef) and statement.name in by_star:
            origins.pop(statement.name, None)  # a function of the student's own takes the imported one's place
        if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
            origins[statement.targets[0].id] = path_of(statement.value, origins)  # '' removes the earlier meaning
    return origins


def inner_origins(statement: ast.stmt, origins: Mapping[str, str]) -> dict[str, str]:
    """The dotted paths behind the names that a statement imports or makes an alias, at any depth."""
    found: dict[str, str] = {}
    known = ChainMap(found, cast(dict[str, str], origins))  # only the first is written to
    for node in all_nodes(statement):
        if isinstance(node, ast.Import):
            for alias in node.names:
                first = alias.name.split(".")[0]
                found[alias.asname or first] = alias.name if alias.asname else first
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {name: f"{node.module}.{name}" for name in starred(node)}
            for alias in node.names:
                here = known.get(alias.name, "") if node.module == "__main__" else ""  # what the notebook calls so
                found[alias.asname or alias.name] = here or f"{node.module}.{alias.name}"
        elif type(node) in _GIVERS:
            for name, value in (*_aliases(node), *_returned(node)):
                if path := path_of(value, known):
                    found[name] = path
    return found


def starred(node: ast.ImportFrom) -> Sequence[str]:
    """The names that `from module import *` gives, as far as the module is loaded here: students' own are not."""
    if node.module is None or all(alias.name != "*" for alias in node.names):
        return ()
    top = node.module.partition(".")[0]
    if top in _LIBRARIES:
        importlib.import_module(top)
    return _public(node.module) if node.module in sys.modules else ()


@functools.cache  # of modules that are loaded
def _public(module: str) -> tuple[str, ...]:
    names = vars(sys.modules[module])
    return tuple(names.get("__all__", [name for name in names if not name.startswith("_")]))


def binds_of(node: ast.AST) -> Iterator[str]:
    """The names that a node alone binds."""
    match node:
        case ast.Name(id=name, ctx=ast.Store()) | ast.arg(arg=name) | ast.ExceptHandler(name=str(name)):
            yield name
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            yield name
        case ast.alias(name=name, asname=asname):
            yield asname or name.split(".")[0]
        case ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)) | ast.MatchMapping(rest=str(name)):
            yield name


@functools.cache
def inner_functions() -> frozenset[str]:
    """PyTorch's functions that nobody is meant to call."""
    torch = importlib.import_module("torch")
    return frozenset(name for name in dir(torch) if name.startswith("_") and not name.startswith("__"))


def _aliases(node: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    """The names that stand for single values, also in functions: t = torch, and t, u = torch, 3.

    So do parameters with such a default, names in a loop over such values, and those of what stands in a `with`.
    """
    if isinstance(node, ast.AnnAssign | ast.NamedExpr) and isinstance(node.target, ast.Name) and node.value:
        yield node.target.id, node.value
    elif isinstance(node, ast.Assign):
        for target in node.targets:
            if isinstance(target, ast.Name):
                yield target.id, node.value
            elif isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
                pairs = zip(target.elts, node.value.elts, strict=False)
                yield from ((one.id, value) for one, value in pairs if isinstance(one, ast.Name))
    elif isinstance(node, ast.arguments):
        plain = [*node.posonlyargs, *node.args]
        usual = zip(plain[len(plain) - len(node.defaults) :], node.defaults, strict=True)
        keyed = ((arg, value) for arg, value in zip(node.kwonlyargs, node.kw_defaults, strict=True) if value)
        yield from ((arg.arg, value) for arg, value in (*usual, *keyed))
    elif isinstance(node, ast.For | ast.comprehension) and isinstance(node.target, ast.Name):
        if isinstance(node.iter, ast.List | ast.Tuple | ast.Set):
            yield from ((node.target.id, value) for value in node.iter.elts)
    elif isinstance(node, ast.withitem) and isinstance(node.optional_vars, ast.Name):
        call = node.context_expr
        yield from ((node.optional_vars.id, value) for value in (call.args if isinstance(call, ast.Call) else [call]))


def _returned(node: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    """What a call of a function without more ado gives, under the function's name with (): def f(): return torch."""
    match node:
        case ast.FunctionDef(name=name, body=body):
            yield from ((f"{name}()", one.value) for one in body if isinstance(one, ast.Return) and one.value)
        case ast.Assign(targets=[ast.Name(id=name)], value=ast.Lambda(body=value)):
            yield f"{name}()", value


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
            case ast.Call(func=ast.Name(id=function)) if f"{function}()" in origins:
                node = ast.Name(f"{function}()", ast.Load())
            case _:
                return ""
    base = origins.get(node.id, "") if isinstance(node, ast.Name) else ""
    path = ".".join([base, *reversed(names)]) if base else ""
    path = f"torch.{path.rpartition('.torch.')[2]}" if ".torch." in path else path  # torch.functional.torch is torch
    path = _straight(path) if path.count(".") >= 2 else path
    if path.count(".") >= 2 * _MOST_PARTS:
        parts = path.split(".")
        path = ".".join([*parts[:_MOST_PARTS], *parts[-_MOST_PARTS:]])
    return path if len(path) <= _LONGEST else f"{path[: _LONGEST // 2]}.{path[-_LONGEST // 2 :]}"


@functools.lru_cache(4096)
def _straight(path: str) -> str:
    """The path of what a module of PyTorch's has under another name: torch.functional.F is torch.nn.functional."""
    top, *parts = path.split(".")
    module = sys.modules.get(top) if top.startswith("torch") else None
    while module is not None and parts and isinstance(inner := vars(module).get(parts[0]), ModuleType):
        module, parts = inner, parts[1:]
    if module is None or not module.__name__.startswith("torch"):
        return path
    return ".".join([module.__name__, *parts])


def form(statement: ast.stmt) -> str:
    """The statement without comments and layout. One that is nested too deeply for that is no statement of ours."""
    try:
        return ast.dump(statement)
    except RecursionError:
        return ""
