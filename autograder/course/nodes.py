"""The nodes of a syntax tree, found faster than by `ast`: to read a notebook, one walks through it many times.

Operators and contexts (`ast.Add`, `ast.Load`), which say nothing by themselves, are left out where they stand alone.
"""

from __future__ import annotations

import ast

_MOST = 20_000
"""nodes that are kept at most: each takes some 800 bytes; a right answer of hw1/mlp has 1,600"""


_PLAIN = frozenset(
    {"arg", "asname", "attr", "conversion", "ctx", "id", "is_async", "kind", "level", "module", "name", "op", "rest"}
    | {"simple", "tag", "type_comment"}
)
"""fields that hold texts, numbers, or a single operator or context"""


class _Fields(dict[type[ast.AST], tuple[str, ...]]):
    """The fields in which nodes of a kind may hold other nodes."""

    def __missing__(self, kind: type[ast.AST]) -> tuple[str, ...]:
        named = kind.__name__ == "TypeAlias"  # since Python 3.12: its name is a node
        fields = () if kind is ast.Constant else kind._fields
        self[kind] = tuple(name for name in fields if name not in _PLAIN or (named and name == "name"))
        return self[kind]


_fields = _Fields()


def children(node: ast.AST) -> list[ast.AST]:
    """The nodes right below a node, as `ast.iter_child_nodes` finds them."""
    found: list[ast.AST] = []
    for name in _fields[type(node)]:
        value = getattr(node, name, None)
        if type(value) is list:
            found += [part for part in value if isinstance(part, ast.AST)]
        elif isinstance(value, ast.AST) and value._fields:
            found.append(value)
    return found


def walk(node: ast.AST) -> list[ast.AST]:
    """A node and all nodes in it, in the order of `ast.walk`."""
    found = [node]
    for one in found:
        if _fields[type(one)]:  # half of all nodes are names and constants
            found += children(one)
    return found


class _Kept:
    """The nodes of statements that were walked through, as long as they are not too many."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        self._found: dict[ast.stmt, tuple[ast.AST, ...]] = {}
        self._left = _MOST

    def of(self, statement: ast.stmt) -> tuple[ast.AST, ...]:
        found = self._found.get(statement)
        if found is None:
            found = tuple(walk(statement))
            if len(found) > self._left:
                self.forget()
            if len(found) <= self._left:
                self._found[statement] = found
                self._left -= len(found)
        return found


_kept = _Kept()


def all_nodes(statement: ast.stmt) -> tuple[ast.AST, ...]:
    """As `walk`, found once for a statement that does not change."""
    return _kept.of(statement)
