"""What the nodes of a syntax tree name, bind, use and alter. Nothing is executed."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache

from autograder.course import nodes
from autograder.forbidden.source import binds_of

_MOST_NODES = 8192
"""nodes of cells of which it is kept what was found: a notebook has some hundreds of nodes to look at"""
_GENERATORS = frozenset(["default_rng", "Generator", "RandomState", "Random", "SystemRandom", "PCG64", "manual_seed"])
"""what makes an object from which each call draws other numbers"""
_MUTATORS = frozenset(
    {"append", "appendleft", "extend", "insert", "add", "discard", "remove", "pop", "popleft", "popitem", "clear"}
    | {"update", "setdefault", "sort", "reverse", "rotate", "fill", "__setitem__", "__next__", "send"}
)
_BY_KEY = frozenset(["add", "discard", "get", "pop", "remove", "setdefault"])
"""methods of sets and dictionaries that take a key"""
SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_INNER = (*SCOPES, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


@lru_cache(_MOST_NODES)
def walk(node: ast.AST) -> tuple[ast.AST, ...]:
    """As `course.nodes.walk`, found once for a node that nobody changes: it is walked some hundred times."""
    return tuple(nodes.walk(node))


def draws(node: ast.AST) -> bool:
    """Whether a statement makes a generator of random numbers."""
    match node:
        case ast.Assign(value=ast.Call(func=made)) | ast.AnnAssign(value=ast.Call(func=made)):
            return not _GENERATORS.isdisjoint(words_of(made))
    return False


def changes_itself(node: ast.AST) -> bool:
    """Whether a method sets or alters an attribute of its object, which is there already."""
    if not isinstance(node, ast.FunctionDef) or node.name == "__init__":
        return False
    for one in walk(node):
        match one:
            case ast.Attribute(value=ast.Name(id="self"), ctx=ast.Store()):
                return True
            case ast.Subscript(value=ast.Attribute(value=ast.Name(id="self")), ctx=ast.Store()):
                return True
            case ast.Call(func=ast.Attribute(value=ast.Attribute(value=ast.Name(id="self")), attr=name)):
                if _mutates(name):
                    return True
    return False


@lru_cache(_MOST_NODES)
def methods_called(node: ast.AST) -> frozenset[tuple[str, str]]:
    """The methods that are called of names: ("meter", "tick")."""
    calls = (one.func for one in walk(node) if isinstance(one, ast.Call))
    methods = (one for one in calls if isinstance(one, ast.Attribute) and isinstance(one.value, ast.Name))
    return frozenset((one.value.id, one.attr) for one in methods if isinstance(one.value, ast.Name))


def bound_by(body: Iterable[ast.stmt], under: tuple[ast.AST, ...] = ()) -> Iterator[tuple[str, ast.AST]]:
    """The names that statements bind, each with the statement, and with the conditions and loops that it is under."""
    for one in body:
        if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield from ((one.name, part) for part in (one, *under))
            continue
        parts = list(ast.iter_child_nodes(one))
        inner = [part for part in parts if isinstance(part, ast.stmt | ast.ExceptHandler | ast.match_case)]
        head = tuple(part for part in parts if part not in inner) if inner else (one,)
        names = {name for part in head for node in walk(part) for name in binds_of(node)}
        yield from ((name, part) for name in names for part in (*head, *under))
        for part in inner:
            yield from bound_by([part] if isinstance(part, ast.stmt) else part.body, (*under, *head))


@lru_cache(_MOST_NODES)
def free_names(node: ast.AST) -> frozenset[str]:
    """The names that a node uses and, if it is a function, does not bind itself."""
    used: set[str] = set()
    bound: set[str] = set()
    inside: list[ast.AST] = [node]
    if isinstance(node, SCOPES):
        of = node.args
        before = [*of.defaults, *filter(None, of.kw_defaults), *getattr(node, "decorator_list", ())]
        used.update(*map(free_names, before))
        bound.update(name for part in walk(of) for name in binds_of(part))
        inside = list(node.body) if isinstance(node.body, list) else [node.body]
    elif isinstance(node, _INNER):
        inside = nodes.children(node)
    loaded: set[str] = set()
    declared: set[str] = set()
    while inside:
        one = inside.pop()
        if one is not node:
            if isinstance(one, ast.Global | ast.Nonlocal):
                declared.update(one.names)
            elif not isinstance(one, ast.alias):  # what an import binds may be anything
                bound.update(binds_of(one))
            if isinstance(one, _INNER):
                loaded |= free_names(one)
                continue
            if isinstance(one, ast.ClassDef):
                loaded.update(*map(free_names, nodes.children(one)))
                continue
        if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Load):
            loaded.add(one.id)
        inside += nodes.children(one)
    return frozenset(used | (loaded - (bound - declared) if isinstance(node, _INNER) else loaded))


@lru_cache(_MOST_NODES)
def attributes_in(node: ast.AST) -> frozenset[str]:
    return frozenset(one.attr for one in walk(node) if isinstance(one, ast.Attribute))


def words_of(node: ast.AST) -> Iterator[str]:
    """The names that a node alone holds, also those that are written as texts."""
    match node:
        case ast.Name(id=word) | ast.Attribute(attr=word) | ast.Constant(value=str(word)):
            yield word
        case ast.alias(name=path):
            yield from path.split(".")


def only_keys(node: ast.AST) -> bool:
    """Whether `id` only tells objects apart in it: id(x) is a key that is set, looked up or compared."""
    keys: set[int] = set()
    for one in walk(node):
        match one:
            case ast.Subscript(slice=key) | ast.SetComp(elt=key) | ast.DictComp(key=key):
                keys.add(id(key))
            case ast.Compare(left=left, ops=ops, comparators=others):
                if all(isinstance(op, ast.In | ast.NotIn | ast.Eq | ast.NotEq) for op in ops):
                    keys.update(map(id, (left, *others)))
            case ast.Call(func=ast.Attribute(attr=name), args=[key, *_]) if name in _BY_KEY:
                keys.add(id(key))
            case ast.Set(elts=parts) | ast.Dict(keys=parts):
                keys.update(map(id, parts))
    calls = [one for one in walk(node) if isinstance(one, ast.Call) and id(one) in keys]
    told = {id(one.func) for one in calls if len(one.args) == 1}
    return all(id(one) in told for one in walk(node) if isinstance(one, ast.Name) and one.id == "id")


def own_setters(nodes: Sequence[ast.AST]) -> set[int]:
    """The nodes that name `setattr` where an object gives itself attributes as it is made, or the attribute is told."""
    makers = (one for one in nodes if isinstance(one, ast.FunctionDef) and one.name == "__init__")
    found = set()
    for node in (node for maker in makers for node in walk(maker)):
        match node:
            case ast.Call(func=ast.Name(id="setattr") as name, args=[ast.Name(id="self"), *_]):
                found.add(id(name))
    return found | {id(one.func) for one in nodes if isinstance(one, ast.Call) and attribute_set(one)}


def attribute_set(node: ast.AST) -> str:
    """The name of the attribute that a call of `setattr` gives, if it is told: setattr(net, "training", False)."""
    match node:
        case ast.Call(func=ast.Name(id="setattr"), args=[_, ast.Constant(value=str(name)), _]):
            return name if name.isidentifier() and not name.startswith("_") else ""
    return ""


def altered_by(function: ast.AST) -> set[tuple[str, str]]:
    """What a function alters and does not make itself, by name and attribute; '' for the name of a class of its own.

    What an object keeps is left out: its own methods know it.
    """
    free = free_names(function) - {"self", "cls"}
    return {(name, member) for name, member in altered_in(function) if name in free or (not name and member)}


def altered_in(code: ast.AST) -> set[tuple[str, str]]:
    """What code alters, by name and attribute: f.x = …, f[0] = …, f.append(…), f.add_(…), next(f)."""
    found = set()
    for node in walk(code):
        match node:
            case ast.Attribute(ctx=ast.Store() | ast.Del()):
                found.add(_path(node))
            case ast.Subscript(value=of, ctx=ast.Store() | ast.Del()):
                found.add(_path(of))
            case ast.Call(func=ast.Attribute(value=of, attr=name)) if _mutates(name):
                found.add(_path(of))
            case ast.Call(func=ast.Name(id="next"), args=[of, *_]):
                found.add(_path(of))
            case ast.Call(args=[of, *_]) if name := attribute_set(node):
                found.add(_path(ast.Attribute(of, name, ast.Store())))
    return found


def _mutates(method: str) -> bool:
    """Whether a method with this name changes its object: append, add_."""
    return method in _MUTATORS or (method.endswith("_") and not method.endswith("__"))


def _path(node: ast.AST) -> tuple[str, str]:
    """The name at which an expression begins, and the attribute that is taken of it, '' if none is.

    The name is '' for the object's own class: cls.x, type(self).x, self.__class__.x.
    """
    member = ""
    while isinstance(node, ast.Attribute | ast.Subscript):
        outer, member = member, node.attr if isinstance(node, ast.Attribute) else ""
        if member == "__class__":
            return "", outer
        node = node.value
    return (node.id if isinstance(node, ast.Name) and node.id != "cls" else "", member)


@lru_cache(_MOST_NODES)
def is_dynamic(code: ast.AST) -> bool:
    """Whether code takes attributes of other objects by computed names, or keeps a changing value as a default."""
    fine: set[int] = set()
    for node in walk(code):
        match node:
            case ast.Call(func=func, args=[ast.Name(id="self"), *_] | [_, ast.Constant(), *_]):
                fine.add(id(func))
            case ast.arguments(defaults=defaults, kw_defaults=more):
                kept = (*defaults, *filter(None, more))
                if any(isinstance(one, ast.List | ast.Dict | ast.Set | ast.Call | ast.ListComp) for one in kept):
                    return True
    return any(isinstance(one, ast.Name) and one.id == "getattr" and id(one) not in fine for one in walk(code))
