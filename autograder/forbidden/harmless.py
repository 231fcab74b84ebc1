"""What is harmless: code that names what attempts name, and that only asks, shows or says it."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from autograder.course.nodes import all_nodes, walk
from autograder.forbidden import listed, magics
from autograder.forbidden.source import binds_of, path_of


def fine(node: ast.AST, origins: Mapping[str, str]) -> Iterator[ast.AST]:
    """The parts of a node that only ask or show, such as a loaded module; and our own calls."""
    match node:
        case ast.Compare(left=ast.Constant(), ops=[ast.In() | ast.NotIn()], comparators=[ast.Attribute() as loaded]):
            if path_of(loaded, origins) == "sys.modules":
                yield loaded
        case ast.Call(func=ast.Attribute(attr="get", value=loaded) as asks, args=[ast.Constant(value=name), *_]):
            if path_of(loaded, origins) == "sys.modules" and name in listed.PLACES:
                yield from (asks, loaded)
        case ast.Attribute(
            attr="__name__", value=ast.Attribute(attr="__class__", value=ast.Call(func=ast.Name() as shell))
        ):
            yield shell
        case ast.Compare(
            left=ast.Constant(), ops=[ast.In()], comparators=[ast.Attribute(attr="config", value=ast.Call(func=shell))]
        ):
            yield shell
        case ast.Assign(targets=targets, value=ast.Constant()):
            yield from targets
        case (
            ast.Attribute(attr="__version__", value=ast.Call(func=ast.Attribute(attr="import_module") as loads))
            | ast.Attribute(attr="__version__", value=ast.Call(func=ast.Name(id="__import__") as loads))
        ):
            yield loads
        case ast.Call(func=ast.Name(id="__import__") as loads, args=[ast.Constant()]):
            yield loads  # as good as an import of this name, which is read where it stands
        case ast.Expr(value=ast.Call(func=ast.Name(id="breakpoint") as stops, args=[], keywords=[])):
            yield stops  # forgotten; with arguments, it calls what the environment names
        case ast.Call(func=ast.Attribute(value=ast.Call(func=shell), attr="system" | "getoutput")):
            yield shell
        case ast.Call(func=ast.Attribute(value=ast.Call(func=shell))) if magics.run(node):
            yield shell


def own_registries(nodes: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """`Layer.__subclasses__`, `inspect.getmembers(Layer)`: they list what is in the student's own classes."""
    own = {node.name for node in nodes if isinstance(node, ast.ClassDef)}
    for node in nodes:
        match node:
            case ast.Attribute(value=ast.Name(id=name), attr="__subclasses__") if name in own:
                yield node
            case ast.Call(func=ast.Attribute(attr="getmembers") as lists, args=[ast.Name(id=name), *_]) if name in own:
                yield from (lists, lists.value)


def kept_shells(nodes: Sequence[ast.AST], bound: Mapping[str, int]) -> Iterator[ast.AST]:
    """The `get_ipython` of `ip = get_ipython()` where nothing but magics is asked of `ip`."""
    kept, asked = dict[str, ast.AST](), set[ast.AST]()
    for node in nodes:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Call(func=ast.Name(id="get_ipython") as asks)):
                kept[name] = asks
            case ast.Call(func=ast.Attribute(value=ast.Name() as of)) if magics.run(node):
                asked.add(of)
            case ast.Compare(left=ast.Name() as of) | ast.If(test=ast.Name() as of):
                asked.add(of)
    uses = [node for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)]
    for name, shell in kept.items():
        if bound.get(name) == 1 and all(use in asked for use in uses if use.id == name):
            yield shell


def takes_print(node: ast.AST) -> bool:
    """Whether a node gives the name `print` a meaning of its own, so that it may keep what it is given."""
    match node:
        case ast.FunctionDef(name="print") | ast.ClassDef(name="print") | ast.arg(arg="print"):
            return True
        case ast.Name(id="print", ctx=ast.Store()) | ast.alias(asname="print") | ast.alias(name="print"):
            return True
    return False


def said(node: ast.AST, origins: Mapping[str, str]) -> Iterator[ast.AST]:
    """The texts that a docstring or a print only says, or that name whose warnings and logs are meant."""
    match node:
        case ast.Expr(value=ast.Constant() as text):
            yield text
        case ast.Call(func=ast.Name(id="print"), args=texts):
            for said in texts:
                yield from (said, *(said.values if isinstance(said, ast.JoinedStr) else ()))
        case ast.Call(func=ast.Attribute(attr=name), args=texts, keywords=more) if _shows(name, more):
            shown = [
                *(texts if name in listed.SAYING else ()),
                *(one.value for one in more if one.arg in listed.SAYING),
            ]
            yield from (text for text in shown if isinstance(text, ast.Constant))
        case ast.Call(func=called, args=texts, keywords=more) if path_of(called, origins) in listed.NAMING:
            yield from (*texts, *(one.value for one in more))


def bindings(nodes: Iterable[ast.AST]) -> Counter[str]:
    """How often each name is bound, freed or declared to be from outside."""
    return Counter(name for node in nodes for name in _bound(node))


def only_printed(nodes: Sequence[ast.AST], bound: Mapping[str, int]) -> Iterator[ast.AST]:
    """The texts in a table that a notebook does nothing with but to print its rows, or to measure them."""
    shown = {
        part
        for node in nodes
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("print", "len")
        for part in walk(node)
    }
    loads: dict[str, list[ast.AST]] = {}
    for node in nodes:
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            loads.setdefault(node.id, []).append(node)
    rows: dict[ast.AST, set[str]] = {}
    for node in nodes:
        if isinstance(node, ast.For | ast.comprehension):
            rows[node.iter] = {part.id for part in walk(node.target) if isinstance(part, ast.Name)}
    for node in nodes:
        match node:
            case ast.Assign(targets=[ast.Name(id=table)], value=ast.List() | ast.Tuple() as value):
                if bound.get(table) != 1:
                    continue
                uses = loads.get(table, [])
                names = {name for use in uses if use not in shown for name in rows.get(use, {""})}
                if all(name and shown.issuperset(loads.get(name, [])) for name in names):
                    yield from (part for part in walk(value) if isinstance(part, ast.Constant))


def own_objects(nodes: Sequence[ast.AST], classes: Collection[str], bound: Mapping[str, int]) -> set[str]:
    """The names that stand for one object of the student's own class each, which the class has made."""
    made = set()
    for node in nodes:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Call(func=ast.Name(id=by))) if by in classes:
                made.add(name)
    return {name for name in made if bound.get(name) == 1}


def own_functions(statements: Sequence[ast.stmt], bound: Mapping[str, int]) -> set[str]:
    """The functions that a notebook defines once, before it uses them and outside of all others."""
    found, used = set[str](), set[str]()
    for statement in statements:
        if isinstance(statement, ast.FunctionDef) and bound.get(statement.name) == 1 and statement.name not in used:
            found.add(statement.name)
        used |= {node.id for node in all_nodes(statement) if isinstance(node, ast.Name)}
    return found


def _bound(node: ast.AST) -> Iterator[str]:
    """The names that a node binds, frees or declares to be from outside."""
    match node:
        case ast.Name(id=name, ctx=ast.Del()):
            yield name
        case ast.Global(names=names) | ast.Nonlocal(names=names):
            yield from names
        case _:
            yield from binds_of(node)


def _shows(name: str, more: Sequence[ast.keyword]) -> bool:
    return name in listed.SAYING or any(one.arg in listed.SAYING for one in more)


def is_shell(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "get_ipython"


def is_super(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "super"
