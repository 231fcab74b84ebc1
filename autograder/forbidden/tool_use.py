"""What code uses of a forbidden tool, by name. Nothing is executed."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from autograder.course.course import Tool
from autograder.course.nodes import all_nodes, walk
from autograder.forbidden.source import origins_of, path_of

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
_REQUIRING = {"requires_grad", "requires_grad_", "retain_grad"}
_TENSOR_BACKWARD = {"gradient", "retain_graph", "create_graph", "inputs"}  # a layer's backward(dy) has none of these


@dataclass(frozen=True)
class Reach:
    """What one statement uses."""

    names: frozenset[str]
    """names that the notebook defines or imports"""
    paths: tuple[tuple[str, int], ...]
    """dotted paths of modules and functions, with their lines"""
    backward: int
    """the line of the first loss.backward(), 0 when there is none"""
    left: tuple[str, int] | None = None
    """a gradient that backward() left in a tensor, and its line"""


def tool_in(statements: Sequence[ast.stmt], tools: Iterable[Tool]) -> tuple[str, int] | None:
    """The first use of a forbidden tool in statements that are no cell: what, and its line."""
    origins = origins_of(statements, {"torch": "torch"})
    paths = tuple(paths_of([node for statement in statements for node in all_nodes(statement)], origins))
    found = (first_use(Reach(frozenset(), paths, 0), tool, backward=False) for tool in tools)
    return next(filter(None, found), None)


def is_tool(path: str, tool: Tool) -> bool:
    """Whether a dotted path is a forbidden tool, or leads to it."""
    forbidden = (*_MODULES[tool], *_INTERNALS)
    return path not in _HARMLESS and any(path == module or path.startswith(module + ".") for module in forbidden)


def first_use(reach: Reach, tool: Tool, backward: bool, early: bool = True) -> tuple[str, int] | None:
    """The first use of a tool in a statement: what, and its line.

    `backward` says whether loss.backward() is a tensor's, and `early` whether the statement is carried out while cells
    run: later, backward() is blocked, and leaves no gradient.
    """
    for path, line in reach.paths:
        if is_tool(path, tool):
            return path, line
    found = (".backward()", reach.backward) if reach.backward and backward else reach.left if early else None
    return found if tool == "autograd" else None


def paths_of(nodes: Iterable[ast.AST], origins: Mapping[str, str]) -> Iterator[tuple[str, int]]:
    """The dotted paths that nodes use, and their lines."""
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


def requires_gradient(node: ast.AST) -> bool:
    """Whether a node asks that a tensor keep its gradient."""
    return (node.arg if isinstance(node, ast.keyword) else getattr(node, "attr", "")) in _REQUIRING


def left_inside(statement: ast.stmt) -> Iterator[tuple[str, int]]:
    """Where a function reads x.grad of a tensor that it has made itself, and that requires a gradient."""
    for function in all_nodes(statement):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            nodes = [node for one in function.body for node in all_nodes(one)]
            made = set[str]()
            for node in nodes:
                match node:
                    case ast.Assign(targets=[ast.Name(id=name)], value=value):
                        made |= {name} if any(map(requires_gradient, walk(value))) else set()
                    case ast.Attribute(value=ast.Name(id=name), attr=attr) if attr in _REQUIRING:
                        made.add(name)
            for node in nodes:
                match node:
                    case ast.Attribute(value=ast.Name(id=name), attr="grad", ctx=ast.Load()) if name in made:
                        yield f"{name}.grad", node.lineno


def is_tensor_backward(call: ast.Call) -> bool:
    """Whether the call is loss.backward(), and not a layer's own backward(dy)."""
    if not isinstance(call.func, ast.Attribute) or call.func.attr != "backward" or call.args:
        return False
    return all(keyword.arg in _TENSOR_BACKWARD for keyword in call.keywords)
