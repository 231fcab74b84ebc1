"""Texts: what a name can be that is put together, from the constants that stand for its parts in a notebook."""

from __future__ import annotations

import ast
import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from autograder.course.nodes import children, walk
from autograder.forbidden import listed

_MOST = 64
"""values of a text that are looked at"""
_DEEPEST = 6
"""names behind names that are followed"""
_MOST_PARTS = 50
"""most parts that a text is put together from"""
_LONGEST = 10_000
"""characters of a text that is put together"""
_METHODS = {"replace", "lower", "upper", "strip", "lstrip", "rstrip", "removeprefix", "removesuffix", "capitalize"}
_CHANGING = {"append", "extend", "insert", "update", "add", "setdefault"}
_EACH = ast.Name("", ast.Load())
"""in place of an index: the items that a loop goes through"""
Values = frozenset[str] | None
"""all values that a text can have; None if that cannot be told"""


@dataclass(frozen=True, eq=False)
class _Scope:
    """A function, or the notebook itself."""

    given: dict[str, list[ast.expr | None]]
    """what each name is given: an expression that stands for one value or for its items; None is unknown"""
    around: _Scope | None


class Texts:
    """The constants that a notebook gives to its names."""

    def __init__(self, statements: Iterable[ast.stmt]) -> None:
        self._scopes: dict[ast.AST, _Scope] = {}
        """where each name stands"""
        self._known: dict[tuple[ast.AST, int, str], Values] = {}
        """what was found, by expression and depth: names that are made of each other have very many ways to a value"""
        notebook = _Scope({}, None)
        waiting: list[tuple[ast.AST, _Scope]] = [(statement, notebook) for statement in statements]
        while waiting:
            node, scope = waiting.pop()
            for name, value in _bindings(node):
                scope.given.setdefault(name, []).append(value)
            if isinstance(node, ast.Name):
                self._scopes[node] = scope
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
                scope = _Scope({}, scope)
            waiting += [(child, scope) for child in children(node)]

    def values(self, node: ast.AST, depth: int = 0) -> Values:
        """The values that an expression can have."""
        if depth >= _DEEPEST:
            return None
        return self._once(node, depth, "value", lambda: self._found(node, depth))

    def _once(self, node: ast.AST, depth: int, what: str, find: Callable[[], Values]) -> Values:
        if (node, depth, what) not in self._known:
            found = find()
            self._known[node, depth, what] = found if found is not None and len(found) <= _MOST else None
        return self._known[node, depth, what]

    def _found(self, node: ast.AST, depth: int) -> Values:
        match node:
            case ast.Constant(value=str() | int() | float() as value):
                return frozenset([str(value)])
            case ast.Name(id=name):
                given = self._given(node, name)
                return _all(None if one is None else self.values(one, depth + 1) for one in given)
            case ast.JoinedStr(values=parts) | ast.List(elts=parts) | ast.Tuple(elts=parts) | ast.Set(elts=parts):
                found = [self.values(part, depth + 1) for part in parts]
                return _joined(found) if isinstance(node, ast.JoinedStr) else _all(found)
            case ast.FormattedValue(value=value, format_spec=None):
                return self.values(value, depth + 1)
            case ast.BinOp(left=left, op=ast.Add(), right=right):
                return _joined([self.values(left, depth + 1), self.values(right, depth + 1)])
            case ast.IfExp(body=body, orelse=other):
                return _all([self.values(body, depth + 1), self.values(other, depth + 1)])
            case ast.Subscript(
                value=items, slice=ast.Name() | ast.Constant() | ast.Attribute() | ast.Subscript() as at
            ):
                return self._items(items, depth, at)
            case ast.Subscript(value=of, slice=ast.Slice() as part):
                texts, ends = self.values(of, depth + 1), _slice(part)
                return None if texts is None or ends is None else frozenset(text[ends] for text in texts)
            case ast.Call(func=ast.Attribute(value=of, attr=method), args=args, keywords=[]) if method in _METHODS:
                return self._method(method, of, args, depth)
        return None

    def is_listed(self, node: ast.AST) -> bool:
        """Whether an expression is made of the names that an object has, which `dir` or its dictionary lists."""
        waiting, seen = [node], set[ast.AST]()
        while waiting and len(seen) < _MOST_PARTS:
            part = waiting.pop()
            for one in walk(part):
                match one:
                    case ast.Name(id=name) if name == listed.LISTING:
                        return True
                    case ast.Attribute(attr="__dict__", value=of) | ast.Call(func=ast.Name(id="vars"), args=[of]):
                        if _is_type(of):
                            return True
                    case ast.Name(id=name) if one not in seen:
                        seen.add(one)
                        waiting += [given for given in self._given(one, name) if given is not None]
        return False

    def _given(self, node: ast.AST, name: str) -> list[ast.expr | None]:
        """What a name is given in the innermost function that gives it anything."""
        scope = self._scopes.get(node)
        while scope is not None and name not in scope.given:
            scope = scope.around
        return scope.given[name] if scope is not None else [None]

    def _items(self, node: ast.AST, depth: int, at: ast.expr) -> Values:
        """The values of the items of a collection or the letters of a text; of a dictionary, what stands `at` a key."""
        what = "each" if at is _EACH else repr(at.value) if isinstance(at, ast.Constant) else "any"
        return self._once(node, depth, what, lambda: self._found_items(node, depth, at))

    def _found_items(self, node: ast.AST, depth: int, at: ast.expr) -> Values:
        match node:
            case ast.Name(id=name):
                given = self._given(node, name) if depth < _DEEPEST else [None]
                return _all(None if one is None else self._items(one, depth + 1, at) for one in given)
            case ast.Constant(value=str(text)):
                return frozenset(text)
            case ast.List(elts=parts) | ast.Tuple(elts=parts) | ast.Set(elts=parts):
                return _all(self.values(part, depth + 1) for part in parts)
            case ast.Dict(keys=names, values=parts):
                if at is _EACH or None in names:
                    return _all(None if name is None else self.values(name, depth + 1) for name in names)
                known = [name.value if isinstance(name, ast.Constant) else None for name in names]
                return _all(self.values(one, depth + 1) for one in _chosen(known, parts, at))
            case ast.Call(func=ast.Name(id="dict"), args=[], keywords=pairs) if at is not _EACH:
                chosen = _chosen([pair.arg for pair in pairs], [pair.value for pair in pairs], at)
                return _all(self.values(one, depth + 1) for one in chosen)
        return None

    def _method(self, method: str, of: ast.expr, args: list[ast.expr], depth: int) -> Values:
        texts, given = self.values(of, depth + 1), [self.values(one, depth + 1) for one in args]
        if texts is None or any(one is None for one in given) or _is_long([texts, *given]):
            return None
        choices = itertools.product(texts, *(one or () for one in given))
        try:
            return frozenset(getattr(text, method)(*more) for text, *more in itertools.islice(choices, _MOST + 1))
        except (TypeError, ValueError):
            return None


def _chosen(keys: Sequence[object], parts: Sequence[ast.expr], at: ast.expr) -> list[ast.expr]:
    """The values of a dictionary that may stand at a key; None in `keys` is unknown."""
    wanted = at.value if isinstance(at, ast.Constant) else None
    return [part for key, part in zip(keys, parts, strict=True) if None in (wanted, key) or key == wanted]


def _is_type(node: ast.AST) -> bool:
    """Whether an expression is the class of an object."""
    match node:
        case ast.Call(func=ast.Name(id="type")) | ast.Attribute(attr="__class__"):
            return True
    return False


def _slice(node: ast.Slice) -> slice | None:
    """The slice that stands there in whole numbers; None if that cannot be told."""
    try:
        ends = [None if end is None else ast.literal_eval(end) for end in (node.lower, node.upper, node.step)]
    except (ValueError, TypeError, RecursionError, MemoryError):
        return None
    return slice(*ends) if all(end is None or type(end) is int for end in ends) and ends[2] != 0 else None


def _all(found: Iterable[Values]) -> Values:
    """The values of all together; None if one is unknown, or there is none."""
    together: set[str] = set()
    for one in found:
        if one is None or len(together) > _MOST:
            return None
        together |= one
    return frozenset(together) or None


def _is_long(parts: Sequence[Values]) -> bool:
    """Whether what is put together of these may be very long: each replaces all characters of another, in the worst."""
    return math.prod(1 + max(map(len, part or ("",))) for part in parts) > _LONGEST


def _joined(parts: list[Values]) -> Values:
    if any(part is None for part in parts) or sum(max(map(len, part or ("",))) for part in parts) > _LONGEST:
        return None
    choices = itertools.product(*(part or () for part in parts))
    return frozenset("".join(one) for one in itertools.islice(choices, _MOST + 1))


def _bindings(node: ast.AST) -> Iterator[tuple[str, ast.expr | None]]:
    """The names that a node gives a value, each with an expression for it; the items of a loop's collection are one."""
    match node:
        case ast.Assign(targets=targets, value=value):
            for target in targets:
                yield from _to(target, value)
        case ast.AnnAssign(target=target, value=value) | ast.NamedExpr(target=target, value=value):
            yield from _to(target, value)
        case ast.AugAssign(target=target) | ast.withitem(optional_vars=ast.expr() as target):
            yield from _to(target, None)
        case ast.For(target=target, iter=of) | ast.comprehension(target=target, iter=of):
            yield from _to(target, ast.Subscript(of, _EACH, ast.Load()))
        case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr=method)) if method in _CHANGING:
            yield name, None
        case ast.Subscript(value=ast.Name(id=name), ctx=ast.Store()):
            yield name, None
        case ast.arg(arg=name) | ast.FunctionDef(name=name) | ast.ClassDef(name=name):
            yield name, None
        case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
            yield name, None
        case ast.alias(name=path, asname=other):
            yield (other or path.partition(".")[0]), None


def _to(target: ast.expr, value: ast.expr | None) -> Iterator[tuple[str, ast.expr | None]]:
    if isinstance(target, ast.Name):
        yield target.id, value
    elif isinstance(target, ast.Tuple | ast.List) and isinstance(value, ast.Tuple | ast.List):
        if len(target.elts) == len(value.elts):
            for one, its in zip(target.elts, value.elts, strict=True):
                yield from _to(one, its)
            return
        value = None
    if not isinstance(target, ast.Name):
        value = value if isinstance(value, ast.Subscript) and value.slice is _EACH else None
        yield from ((node.id, value) for node in walk(target) if isinstance(node, ast.Name))


def text_of(node: ast.AST) -> str:
    """The text that an expression stands for, if it is put together from constants; '' otherwise."""
    ends: list[str] = []
    while isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add) and len(ends) < _MOST_PARTS:
        ends.append(text_of(node.right))
        node = node.left if ends[-1] else ast.Pass()
    match node:
        case ast.Constant(value=str(start)):
            pass
        case ast.Constant(value=bytes(data)):
            start = data.decode("latin-1")
        case ast.JoinedStr(values=values) if all(isinstance(value, ast.Constant) for value in values):
            start = "".join(map(text_of, values))
        case _:
            return ""
    return start + "".join(reversed(ends))


def is_code(text: str) -> bool:
    """Whether a text is Python that does something, and no name or formula."""
    if len(text) > listed.MOST_CODE:
        return listed.IMPORT.search(text) is not None
    if "=" not in text and "import" not in text and "def " not in text:
        return False
    try:
        return any(isinstance(one, listed.CODE) for one in ast.walk(ast.parse(text.strip())))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
