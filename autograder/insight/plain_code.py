"""Code as it reads without detours: what `exec` and `eval` run and what `getattr` names, where a constant says it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import TypeVar

from autograder.course import names
from autograder.insight.naming import syntax_tree

_Node = TypeVar("_Node", bound=ast.AST)
_DETOUR = re.compile(r"\b(?:exec|eval|getattr)\b")


def statements(source: str) -> Iterator[names.Statement]:
    """The top-level statements of a cell, as `names.parsed_statements`; of `exec("…")`, those of its string.

    Their trees are without detours, too.
    """
    for one in names.parsed_statements(source):
        inner = _executed(one.text)
        if inner is not None:
            yield from statements(inner)
        elif one.tree is None or _DETOUR.search(one.text):
            yield names.Statement(one.text, one.defines, _plain_tree(one.text))
        else:
            yield one


def _executed(text: str) -> str | None:
    """A line with what its `exec` runs written out; None if there is no such `exec`."""
    tree = syntax_tree(text) if _DETOUR.search(text) else None
    if tree is None or not any(map(_code_of, tree.body)):
        return None
    return "\n".join(_code_of(node) or ast.unparse(node) for node in tree.body)


def _plain_tree(text: str) -> ast.Module | None:
    """The syntax tree of a statement without detours; None if it is no Python, or nested too deeply."""
    tree = syntax_tree(text)
    if tree is not None and _DETOUR.search(text):
        try:
            _Direct().visit(tree)
        except RecursionError:
            return None
    return tree


def _code_of(node: ast.stmt) -> str:
    """The constant string that `exec` runs in a statement; '' if there is none."""
    match node:
        case ast.Expr(value=ast.Call(func=ast.Name(id="exec"), args=[ast.Constant(value=str(code)), *_])):
            return code
    return ""


class _Direct(ast.NodeTransformer):
    """Writes out what a constant string stands for."""

    def visit_Expr(self, node: ast.Expr) -> ast.AST | list[ast.stmt]:
        tree = syntax_tree(_code_of(node))
        if tree is None or not tree.body:
            return self.generic_visit(node)
        self.visit(tree)
        return [_moved(one, node.lineno) for one in tree.body]

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        match node:
            case ast.Call(func=ast.Name(id="getattr"), args=[of, ast.Constant(value=str(name))]):
                return ast.copy_location(ast.Attribute(of, name, ast.Load()), node)
            case ast.Call(func=ast.Name(id="eval"), args=[ast.Constant(value=str(code)), *_]):
                tree = syntax_tree(code.strip())
                if tree is not None and len(tree.body) == 1 and isinstance(inner := tree.body[0], ast.Expr):
                    self.generic_visit(inner)
                    return _moved(inner.value, node.lineno)
        return node


def _moved(node: _Node, line: int) -> _Node:
    """The same, all of it in one line."""
    for one in ast.walk(node):
        if hasattr(one, "lineno"):
            one.lineno = line
    return node
