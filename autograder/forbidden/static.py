"""Finds forbidden tools that a solution uses by name. It only reads the source code, in the trusted process.

`runtime` complements it: that module blocks the tools while the code runs.
"""

from __future__ import annotations

import ast
import functools
import importlib.util
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from autograder.course.course import Tool
from autograder.course.master import Master
from autograder.course.names import names
from autograder.course.nodes import all_nodes
from autograder.forbidden import WHY
from autograder.forbidden.given import given_code
from autograder.forbidden.source import (
    defines,
    global_names,
    inner_origins,
    installers,
    origins_of,
    parse,
    path_of,
)

Code = Sequence[tuple[str, str]]
"""(cell id, source) of code cells, in order; of the student's own modules, the path in place of the id"""

_MODULES: dict[Tool, tuple[str, ...]] = {
    "autograd": ("torch.autograd", "torch.func", "functorch", "torch._functorch"),
    "nn": ("torch.nn",),
    "attention": (
        *("torch.nn.MultiheadAttention", "torch.nn.attention", "torch.nn.modules.activation.MultiheadAttention"),
        *("torch.nn.functional.scaled_dot_product_attention", "torch.nn.functional.multi_head_attention_forward"),
        *("torch.nn.modules.transformer", "torch._native_multi_head_attention", "torch._transformer_encoder_layer_fwd"),
        *("torch.nn.Transformer", "torch.nn.TransformerEncoder", "torch.nn.TransformerEncoderLayer"),
        *("torch.nn.TransformerDecoder", "torch.nn.TransformerDecoderLayer", "torchvision.models"),
    ),
}
_INTERNALS = ("torch.ops", "torch._C", "torch._VF", "torch.overrides", "torch.utils._python_dispatch", "autograder")
"""modules through which code could reach a blocked tool: forbidden together with any tool, as no solution needs them"""
_HARMLESS = {
    f"torch.autograd.{name}"
    for name in ("no_grad", "inference_mode", "set_grad_enabled", "set_detect_anomaly", "Variable")
}
"""what stands beside the tools, and differentiates nothing"""
_MOST_STARS = 50
"""imports of everything that are read in a notebook"""
_CHANGING = {"setattr", "delattr", "exec", "eval", "vars", "globals"}
"""functions through which a loop or a condition can change what a name stands for"""
_REQUIRING = {"requires_grad", "requires_grad_", "retain_grad"}
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_TENSOR_BACKWARD = {"gradient", "retain_graph", "create_graph", "inputs"}  # a layer's backward(dy) has none of these


def trespasses(
    book: Master,
    own: Code,
    given: Code,
    tools: Sequence[Tool],
    later: Mapping[str, frozenset[tuple[str, str]]] = MappingProxyType({}),
) -> dict[str, str]:
    """Find the grade cells whose solution uses a forbidden tool. Returns the reason why each earns no points.

    `own` are the cells that students write, `given` the locked cells. The locked cells may use every tool, and what
    they import is also known in the students' cells. `later` are, for a grade cell, definitions, (cell, name), that
    come after its tests have seen another one of that name.
    """
    reasons = {}
    for cell in book.grade_cells() if tools else ():
        unseen = later.get(cell.grade_id, frozenset())
        for solution in book.examined(cell.grade_id):
            if why := uses(solution.id, own, given, tools, names(solution.source), unseen):
                reasons[cell.grade_id] = why
    return reasons


def uses(
    cell: str,
    own: Code,
    given: Code,
    tools: Iterable[Tool],
    asked: Collection[str] = (),
    later: frozenset[tuple[str, str]] = frozenset(),
) -> str:
    """Say in a sentence where the solution in `cell` uses a forbidden tool; '' when it uses none.

    The search begins where the names are defined that the exercise asks for, `asked` (without them, everywhere in the
    cell), and continues in the student's own functions and variables that the solution uses by name. What the cell only
    tries out is not part of the solution.
    """
    notebook = _read(tuple(own), tuple(given), later)
    statements = notebook.cells.get(cell, ())
    waiting = [(cell, statement) for statement in statements if not asked or notebook.matters(statement, asked)]
    waiting += [place for name in asked for place in notebook.definitions.get(name, ())]
    seen: set[ast.stmt] = set()
    names_followed, paths_followed = set[str](), set[str]()
    while waiting:
        where, statement = waiting.pop()
        if statement in seen:
            continue
        seen.add(statement)
        reach = notebook.reach(statement)
        for tool in tools:
            found = _first_use(reach, tool, not notebook.defines_backward)
            if found is not None:
                return f"{WHY[tool]}. Cell ‘{where}’ uses {found[0]} in line {found[1]}."
        paths = {path for path, _ in reach.paths}
        waiting += [place for name in reach.names - names_followed for place in notebook.definitions.get(name, ())]
        waiting += [place for path in paths - paths_followed for place in notebook.module(path)]
        names_followed |= reach.names
        paths_followed |= paths
    return ""


@dataclass(frozen=True)
class _Reach:
    """What one statement uses."""

    names: frozenset[str]
    """names that the notebook defines or imports"""
    paths: tuple[tuple[str, int], ...]
    """dotted paths of modules and functions, with their lines"""
    backward: int
    """the line of the first loss.backward(), 0 when there is none"""
    left: tuple[str, int] | None = None
    """a gradient that backward() left in a tensor, and its line"""


class _Notebook:
    """The students' cells of a notebook, and what the names in them stand for."""

    def __init__(self, own: Code, given: tuple[tuple[str, str], ...], later: frozenset[tuple[str, str]]) -> None:
        ours = given_code(given)
        self.given = ours.names
        self.cells = {name: tuple(one for one in parse(source) if not ours.has(one)) for name, source in own}
        for name in {cell for cell, _ in later} & self.cells.keys():
            redefined = {defined for cell, defined in later if cell == name}
            self.cells[name] = tuple(one for one in self.cells[name] if not _rebinds(one, redefined))
        stars = [one for statements in self.cells.values() for one in statements for _ in _stars(one)]
        unread = set(stars[_MOST_STARS:])
        self.crowded = bool(unread)
        """whether more is imported by stars than is read"""
        if unread:
            self.cells = {name: tuple(one for one in of if one not in unread) for name, of in self.cells.items()}
        own_statements = [statement for statements in self.cells.values() for statement in statements]
        self._defines = {statement: defines(statement) for statement in own_statements}
        self.definitions: dict[str, list[tuple[str, ast.stmt]]] = {}
        changing = installers(own_statements)
        for name, statements in self.cells.items():
            for statement in statements:
                for defined in defines(statement, changing) if changing else self._defines[statement]:
                    self.definitions.setdefault(defined, []).append((name, statement))
        self.origins = origins_of(own_statements, ours.origins)
        for name, statements in self.cells.items():
            for statement in statements:
                for path in _set_paths(statement, self.origins):
                    if path.startswith("builtins."):  # a name that every function knows
                        self.definitions.setdefault(path.rpartition(".")[2], []).append((name, statement))
        self.defines_backward = any(map(_has_backward, own_statements))
        """whether a class has an own backward() without arguments: then such a call need not be a tensor's"""
        self._reaches: dict[ast.stmt, _Reach] = {}
        self._requiring: dict[str, bool] = {}
        """whether a name is given a tensor that requires a gradient"""

    def matters(self, statement: ast.stmt, asked: Collection[str]) -> bool:
        """Whether a statement can be part of a solution: it defines or changes what is asked for."""
        if not set(asked).isdisjoint(self._defines[statement]):
            return True
        if not isinstance(statement, ast.Expr):
            return any(isinstance(node, ast.Name) and node.id in _CHANGING for node in all_nodes(statement))
        call = statement.value.func if isinstance(statement.value, ast.Call) else None
        tried = isinstance(call, ast.Name) and (call.id in self.given or call.id in ("print", "display"))
        tried |= call is not None and path_of(call, self.origins).startswith(("torch.testing.", "numpy.testing."))
        return not tried and not self.reach(statement).names.isdisjoint(asked)

    def module(self, path: str) -> Iterator[tuple[str, ast.stmt]]:
        """What a dotted path names in a module of the student's own: everything in it if no statement defines it."""
        top, _, rest = path.partition(".")
        if is_installed(top):
            return  # a file of this name is not what is imported
        wanted = rest.partition(".")[0]
        for name, statements in self.cells.items():
            if name == f"{top}.py" or (name.startswith(f"{top}/") and name.endswith(".py")):
                defining = [statement for statement in statements if wanted in self._defines[statement]]
                yield from ((name, statement) for statement in defining or statements)

    def reach(self, statement: ast.stmt) -> _Reach:
        """What a statement uses; found once, and then remembered."""
        if statement not in self._reaches:
            names = global_names(statement)
            origins = {name: self.origins.get(name, "") for name in names} | inner_origins(statement, self.origins)
            nodes = all_nodes(statement)
            lines = [node.lineno for node in nodes if isinstance(node, ast.Call) and _is_tensor_backward(node)]
            left = None if isinstance(statement, _DEFINITIONS) else next(self._left(nodes), None)
            self._reaches[statement] = _Reach(names, tuple(_paths(nodes, origins)), lines[0] if lines else 0, left)
        return self._reaches[statement]

    def _left(self, nodes: Iterable[ast.AST]) -> Iterator[tuple[str, int]]:
        """Where x.grad is read of a tensor that requires one: outside of functions, no name leads to its backward()."""
        for node in nodes:
            match node:
                case ast.Attribute(value=ast.Name(id=name), attr="grad", ctx=ast.Load()):
                    if name not in self._requiring:
                        made = (part for _, one in self.definitions.get(name, ()) for part in all_nodes(one))
                        self._requiring[name] = any(map(_requires_gradient, made))
                    if self._requiring[name]:
                        yield f"{name}.grad", node.lineno


@functools.cache
def is_installed(module: str) -> bool:
    """Whether a module is found before the student's folder, which is searched last."""
    try:
        return importlib.util.find_spec(module) is not None
    except ValueError:  # a module that runs, but was not imported: __main__
        return True


def _stars(statement: ast.stmt) -> Iterator[ast.AST]:
    """The imports of everything in a statement."""
    for node in all_nodes(statement):
        if isinstance(node, ast.ImportFrom) and any(alias.name == "*" for alias in node.names):
            yield node


def _rebinds(statement: ast.stmt, again: Collection[str]) -> bool:
    """Whether a statement does nothing but give one of the names another meaning."""
    if isinstance(statement, _DEFINITIONS):
        return statement.name in again
    targets = statement.targets if isinstance(statement, ast.Assign) else ()
    return bool(targets) and all(isinstance(target, ast.Name) and target.id in again for target in targets)


@functools.lru_cache(maxsize=8)  # called once for each solution cell, and for all cells
def _read(
    own: tuple[tuple[str, str], ...],
    given: tuple[tuple[str, str], ...],
    later: frozenset[tuple[str, str]],
) -> _Notebook:
    return _Notebook(own, given, later)


def own_statements(own: Code, given: Code) -> dict[str, tuple[ast.stmt, ...]]:
    """The statements of each cell in `own` that are the student's and not copied from a locked cell."""
    return dict(_read(tuple(own), tuple(given), frozenset()).cells)


def sources_of(own: Code, given: Code) -> dict[str, str]:
    """The dotted path behind each name that the cells import or alias."""
    return dict(_read(tuple(own), tuple(given), frozenset()).origins)


def modules_of(own: Code) -> frozenset[str]:
    """The modules that were handed in beside a notebook."""
    return frozenset(name.partition("/")[0].removesuffix(".py") for name, _ in own if name.endswith(".py"))


def is_crowded(own: Code, given: Code) -> bool:
    """Whether the cells import more by stars than is read."""
    return _read(tuple(own), tuple(given), frozenset()).crowded


def tool_in(statements: Sequence[ast.stmt], tools: Iterable[Tool]) -> tuple[str, int] | None:
    """The first use of a forbidden tool in statements that are no cell: what, and its line."""
    origins = origins_of(statements, {"torch": "torch"})
    paths = tuple(_paths([node for statement in statements for node in all_nodes(statement)], origins))
    found = (_first_use(_Reach(frozenset(), paths, 0), tool, backward=False) for tool in tools)
    return next(filter(None, found), None)


def is_tool(path: str, tool: Tool) -> bool:
    """Whether a dotted path is a forbidden tool, or leads to it."""
    forbidden = (*_MODULES[tool], *_INTERNALS)
    return path not in _HARMLESS and any(path == module or path.startswith(module + ".") for module in forbidden)


def _first_use(reach: _Reach, tool: Tool, backward: bool) -> tuple[str, int] | None:
    for path, line in reach.paths:
        if is_tool(path, tool):
            return path, line
    found = (".backward()", reach.backward) if reach.backward and backward else reach.left
    return found if tool == "autograd" else None


def _paths(nodes: Iterable[ast.AST], origins: Mapping[str, str]) -> Iterator[tuple[str, int]]:
    inner: set[int] = set()  # parts of an attribute chain that was already handled as a whole
    for node in nodes:
        if isinstance(node, ast.Name | ast.Attribute) and id(node) not in inner:
            if path := path_of(node, origins):
                yield path, node.lineno
            while isinstance(node, ast.Attribute):
                node = node.value
                inner.add(id(node))
        elif isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names if alias.name.startswith(_INTERNALS))
        elif isinstance(node, ast.ImportFrom) and node.module:
            # An import alone is no use of a tool, but a star does not tell what is used.
            starred = any(alias.name == "*" for alias in node.names)
            if starred or node.module.startswith(_INTERNALS):
                yield f"{node.module}.{node.names[0].name}", node.lineno


def _set_paths(statement: ast.stmt, origins: Mapping[str, str]) -> Iterator[str]:
    """The dotted paths of the attributes that a statement sets: `torch.f = g`."""
    for node in all_nodes(statement):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield path_of(node, origins)


def _has_backward(statement: ast.stmt) -> bool:
    """Whether a statement defines a class with a method backward(self)."""
    methods = [node for node in all_nodes(statement) if isinstance(node, ast.FunctionDef) and node.name == "backward"]
    return isinstance(statement, ast.ClassDef) and any(
        len(method.args.posonlyargs) + len(method.args.args) - len(method.args.defaults) == 1 for method in methods
    )


def _requires_gradient(node: ast.AST) -> bool:
    """Whether a node asks that a tensor keep its gradient."""
    return (node.arg if isinstance(node, ast.keyword) else getattr(node, "attr", "")) in _REQUIRING


def _is_tensor_backward(call: ast.Call) -> bool:
    """Whether the call is loss.backward(), and not a layer's own backward(dy)."""
    if not isinstance(call.func, ast.Attribute) or call.func.attr != "backward" or call.args:
        return False
    return all(keyword.arg in _TENSOR_BACKWARD for keyword in call.keywords)
