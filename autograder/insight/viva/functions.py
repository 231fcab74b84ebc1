"""The functions in a student's cell, with what questions need of each: its simple statements, loops and branches."""

from __future__ import annotations

import ast
import builtins
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

from autograder.insight.viva import nodes

_UNSTEADY = {"time", "datetime", "sys", "inspect", "id", "hash"}
_SHOWN = {*dir(builtins), "torch", "np", "numpy", "math", "nn", "functional", "F", "itertools", "functools"}
"""names that everybody knows"""
_UNORDERED = {"set", "frozenset", "default_rng", "Random", "RandomState", "Generator", "manual_seed", "seed"}
_COUNTING = {
    *("nonzero", "argwhere", "flatnonzero", "unique", "masked_select", "where", "item", "tolist", "int", "round"),
    *("randint", "randrange", "choice", "choices", "shuffle", "integers", "binomial", "poisson"),
}
"""what makes a size of values"""
_TURNS = (ast.If, ast.While, ast.Try)
"""where values decide what is run"""
_VIEWS = {"keys", "items"}
"""views of dictionaries, of which & and its like make sets"""
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
        inner = nodes.walk(self.node)
        unsteady = self.reads & _UNSTEADY - ({"id"} if nodes.only_keys(self.node) else set())
        return not unsteady and not any(isinstance(one, ast.Global | ast.Nonlocal) for one in inner)

    def unshown(self, known: set[str]) -> set[str]:
        """What it uses, and the sheet does not show: a constant or a function of the notebook, another member."""
        return set(self._from_outside - known)

    @cached_property
    def _from_outside(self) -> frozenset[str]:
        """The names that it reads and does not bind itself, but for those that everybody knows."""
        inner = nodes.walk(self.node)
        own = {name for one in self.statements for name in stored(one)}
        own |= {one.arg for one in inner if isinstance(one, ast.arg)}
        own |= {one.id for one in inner if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store)}
        roots = {name if name.startswith("self.") else name.partition(".")[0] for name in self.reads}
        return frozenset(roots - own - _SHOWN)

    @cached_property
    def called(self) -> set[str]:
        """The names that it only calls."""
        calls = [written(one.func) for one in nodes.walk(self.node) if isinstance(one, ast.Call)]
        uses = [written(one) for one in nodes.walk(self.node) if isinstance(one, ast.expr)]
        return {name for name in calls if name and calls.count(name) == uses.count(name)}

    @cached_property
    def is_plain(self) -> bool:
        """Whether a call returns what the function returns: no decorator puts something else in its place."""
        return all(ast.unparse(one) in _TRANSPARENT for one in self.node.decorator_list)

    @cached_property
    def is_ordered(self) -> bool:
        """Whether nothing in it may hang on the order of a set, or on random numbers of its own."""
        return is_ordered(self.node)

    @cached_property
    def sized_by_values(self) -> frozenset[str]:
        """The names whose sizes may hang on the values of tensors, such as random ones; '' for what is returned."""
        found = set[str]()
        for one in self.statements:
            decided = list(statements_in([one]))
            leaves = isinstance(one, ast.For) and any(isinstance(part, ast.Break | ast.Continue) for part in decided)
            if not (leaves or isinstance(one, _TURNS)):
                decided = [one] if not hasattr(one, "body") and _sizes_by_values(one) else []
            found.update(*map(stored, decided))
            if any(isinstance(part, ast.Return) for part in decided):
                found.add("")
        return frozenset(found)

    def has_fixed_rounds(self, loop: ast.For | ast.While) -> bool:
        """Whether how often a loop goes round cannot hang on the values of tensors, as far as the function shows it."""
        around = [one for one in nodes.walk(self.node) if isinstance(one, ast.stmt) and loop in nodes.walk(one)]
        loops = [one for one in around if isinstance(one, ast.For)]
        if any(isinstance(one, _TURNS) for one in around) or not loops:
            return False
        if any(isinstance(one, ast.Break | ast.Continue | ast.Return) for one in nodes.walk(loops[0])):
            return False
        names = frozenset[str]().union(*(read_by(one.iter) for one in loops))
        sources = [one for one in self.statements if names & set(stored(one))]
        return not any(map(_sizes_by_values, [*(one.iter for one in loops), *sources]))

    @cached_property
    def has_fixed_length(self) -> bool:
        """Whether the length of what it returns cannot hang on the values of tensors, as far as it shows it."""
        inner = nodes.walk(self.node)
        returned = frozenset[str]().union(*(read_by(one) for one in inner if isinstance(one, ast.Return)))
        for one in inner:
            match one:
                case ast.For() if not self.has_fixed_rounds(one):
                    return False
                case ast.comprehension(ifs=[_, *_]) | ast.While() | ast.Break() | ast.Continue() | ast.Try():
                    return False
                case ast.If(body=body, orelse=other):
                    parts = [*body, *other]
                    altered = {name for part in parts for name, _ in nodes.altered_in(part)}
                    altered |= {name for part in statements_in(parts) for name in stored(part)}
                    if altered & returned or any(isinstance(part, ast.Return) for part in statements_in(parts)):
                        return False
        changes = [one for one in self.statements if returned & {*stored(one), *read_by(one)} and not _appends(one)]
        return not any(map(_sizes_by_values, [one for one in changes if not hasattr(one, "body")]))

    @cached_property
    def is_recursive(self) -> bool:
        return self.node.name in self.reads or f"self.{self.node.name}" in self.reads

    @cached_property
    def passes_self(self) -> bool:
        """Whether it uses the object itself, of which a question tells single attributes alone."""
        inner = nodes.walk(self.node)
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


def is_ordered(node: ast.AST) -> bool:
    """Whether nothing in a node may hang on the order of a set, or on random numbers of its own."""
    inner = nodes.walk(node)
    named = {one.id for one in inner if isinstance(one, ast.Name)}
    named |= {one.attr for one in inner if isinstance(one, ast.Attribute)}
    if named & _UNORDERED or any(isinstance(one, ast.Set | ast.SetComp) for one in inner):
        return False
    operators = [one.op for one in inner if isinstance(one, ast.BinOp | ast.AugAssign)]
    algebra = (ast.BitAnd, ast.BitOr, ast.BitXor, *([ast.Sub] if _is_of_views(inner) else []))
    return not named & _VIEWS or not any(isinstance(one, algebra) for one in operators)


def _appends(one: ast.stmt) -> bool:
    """Whether a statement appends something to a list: one item, whatever its value is."""
    match one:
        case ast.Expr(value=ast.Call(func=ast.Attribute(attr="append"))):
            return True
    return False


def _sizes_by_values(node: ast.AST) -> bool:
    """Whether a size may come from the values of a tensor: x[mask], x.nonzero(), int(x)."""
    for one in nodes.walk(node):
        match one:
            case ast.Subscript(slice=index):
                places = index.elts if isinstance(index, ast.Tuple) else [index]
                chosen = [part for place in places if not isinstance(place, ast.Slice) for part in nodes.walk(place)]
                if any(isinstance(part, ast.Name | ast.Compare) for part in chosen):
                    return True
            case ast.Name(id=name) | ast.Attribute(attr=name) if name in _COUNTING:
                return True
    return False


def _is_of_views(inner: Sequence[ast.AST]) -> bool:
    """Whether a view of a dictionary is subtracted from, or gets a name, by which it may be."""
    found = set()
    for one in inner:
        match one:
            case ast.BinOp(left=left, right=right, op=ast.Sub()):
                found |= {id(left), id(right)}
            case ast.Assign(value=value) | ast.AnnAssign(value=value) | ast.NamedExpr(value=value) if value is not None:
                parts = value.elts if isinstance(value, ast.Tuple) else [value]
                found |= {id(part) for part in parts}
    calls = (one for one in inner if isinstance(one, ast.Call) and isinstance(one.func, ast.Attribute))
    return any(id(one) in found and isinstance(one.func, ast.Attribute) and one.func.attr in _VIEWS for one in calls)


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
        name for one in nodes.walk(node) if isinstance(one, ast.expr) and (name := written(one)) and name != "self"
    )
