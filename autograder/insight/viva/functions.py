"""The functions in a student's cell, with what questions need of each: its simple statements, loops and branches."""

from __future__ import annotations

import ast
import builtins
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache

from autograder.insight.viva import nodes

_UNSTEADY = {"time", "datetime", "sys", "inspect", "id", "hash"}
_SHOWN = {*dir(builtins), "torch", "np", "numpy", "math", "nn", "functional", "F", "itertools", "functools"}
"""names that everybody knows"""
_UNORDERED = {"set", "frozenset", "default_rng", "Random", "RandomState", "Generator", "manual_seed", "seed"}
_TRANSPARENT = {"staticmethod", "classmethod", "torch.no_grad()", "torch.inference_mode()"}
"""decorators that leave what is returned as it is"""
_BARRIERS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)


@dataclass(frozen=True)
class Function:
    name: str
    """with its class, or the function around it: Linear.forward"""
    node: ast.FunctionDef

    @property
    def first(self) -> int:
        """The line at which its code begins: that of the first decorator, if there is one."""
        return min([self.node.lineno, *(one.lineno for one in self.node.decorator_list)])

    @property
    def last(self) -> int:
        return self.node.end_lineno or self.node.lineno

    @cached_property
    def statements(self) -> tuple[ast.stmt, ...]:
        """All statements of its own, in order, without those of functions within it."""
        return tuple(statements_in(self.node.body))

    @cached_property
    def reads(self) -> frozenset[str]:
        """The names, and the attributes of `self`, that are read in it."""
        return read_by(self.node)

    @cached_property
    def is_steady(self) -> bool:
        """Whether nothing that it does depends on names outside that it sets itself, on the clock or on who watches."""
        inner = list(ast.walk(self.node))
        unsteady = self.reads & _UNSTEADY - ({"id"} if nodes.only_keys(self.node) else set())
        return not unsteady and not any(isinstance(one, ast.Global | ast.Nonlocal) for one in inner)

    def unshown(self, known: set[str]) -> set[str]:
        """What it uses, and the sheet does not show: a constant or a function of the notebook, another member."""
        inner = list(ast.walk(self.node))
        own = {name for one in self.statements for name in stored(one)}
        own |= {one.arg for one in inner if isinstance(one, ast.arg)}
        own |= {one.id for one in inner if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store)}
        roots = {name if name.startswith("self.") else name.partition(".")[0] for name in self.reads}
        return roots - own - known - _SHOWN

    @cached_property
    def called(self) -> set[str]:
        """The names that it only calls."""
        calls = [written(one.func) for one in ast.walk(self.node) if isinstance(one, ast.Call)]
        uses = [written(one) for one in ast.walk(self.node) if isinstance(one, ast.expr)]
        return {name for name in calls if name and calls.count(name) == uses.count(name)}

    @cached_property
    def is_plain(self) -> bool:
        """Whether a call returns what the function returns: no decorator puts something else in its place."""
        return all(ast.unparse(one) in _TRANSPARENT for one in self.node.decorator_list)

    @cached_property
    def is_ordered(self) -> bool:
        """Whether nothing in it may hang on the order of a set, or on random numbers of its own."""
        inner = list(ast.walk(self.node))
        named = {one.id for one in inner if isinstance(one, ast.Name)}
        named |= {one.attr for one in inner if isinstance(one, ast.Attribute)}
        return not named & _UNORDERED and not any(isinstance(one, ast.Set | ast.SetComp) for one in inner)

    @cached_property
    def is_recursive(self) -> bool:
        return self.node.name in self.reads or f"self.{self.node.name}" in self.reads

    @cached_property
    def passes_self(self) -> bool:
        """Whether it uses the object itself, of which a question tells single attributes alone."""
        inner = list(ast.walk(self.node))
        of_attributes = sum(isinstance(one, ast.Attribute) and written(one).startswith("self.") for one in inner)
        return sum(isinstance(one, ast.Name) and one.id == "self" for one in inner) > of_attributes

    @cached_property
    def steps(self) -> tuple[ast.stmt, ...]:
        """Its statements without the docstring."""
        return tuple(one for one in self.statements if not _documents(one))

    @cached_property
    def simple(self) -> tuple[ast.stmt, ...]:
        """The statements that have one line to themselves."""
        lines: dict[int, int] = {}
        for one in self.steps:
            lines[one.lineno] = lines.get(one.lineno, 0) + 1
        return tuple(one for one in self.steps if one.lineno == one.end_lineno and lines[one.lineno] == 1)


@lru_cache(256)
def functions(source: str) -> tuple[Function, ...]:
    """The functions of a cell, with those of its classes and functions. () where it is no Python."""
    tree = parsed_cell(source)
    return tuple(_functions(tree.body, "")) if tree is not None else ()


@lru_cache(256)
def parsed_cell(source: str) -> ast.Module | None:
    """The tree of a cell; None where it is no Python."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _functions(body: list[ast.stmt], owner: str) -> Iterator[Function]:
    for node in body:
        if isinstance(node, ast.FunctionDef):
            yield Function(f"{owner}{node.name}", node)
            inner: list[ast.stmt] = [one for one in node.body if isinstance(one, ast.FunctionDef)]
            yield from _functions(inner, f"{owner}{node.name}.")
        elif isinstance(node, ast.ClassDef):
            yield from _functions(node.body, f"{owner}{node.name}.")


def statements_in(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """All statements in it, in order, without those of functions and classes within it."""
    for one in body:
        yield one
        if not isinstance(one, _BARRIERS):
            for field in ("body", "orelse", "finalbody"):
                yield from statements_in(getattr(one, field, []))
            for handler in getattr(one, "handlers", []):
                yield from statements_in(handler.body)


def _documents(one: ast.stmt) -> bool:
    return isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant)


def stored(one: ast.stmt) -> list[str]:
    """The names, and the attributes of `self`, that an assignment sets."""
    targets = one.targets if isinstance(one, ast.Assign) else [one.target] if isinstance(one, ast.AugAssign) else []
    if isinstance(one, ast.AnnAssign) and one.value is not None:
        targets = [one.target]
    flat = [item for target in targets for item in (target.elts if isinstance(target, ast.Tuple) else [target])]
    return [name for name in map(written, flat) if name]


def written(node: ast.expr) -> str:
    """`x` or `self.x`; '' for any other expression."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "self":
        return f"self.{node.attr}"
    return ""


@lru_cache(4096)
def read_by(node: ast.AST) -> frozenset[str]:
    """The names, and the attributes of `self`, that are read in it."""
    return frozenset(
        name for one in ast.walk(node) if isinstance(one, ast.expr) and (name := written(one)) and name != "self"
    )
