"""The doors to tools that a notebook is about doing without: shut while hidden tests call the student's code.

Two independent checks. `shut` makes the tools raise, at the places that every way to them leads through, so that an
alias made earlier doesn't help. `uses` reads the solution cells, with all that they reach by name, in the trusted
process.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, NoReturn

from autograder.course import Tool
from autograder.hidden import ForbiddenTool

if TYPE_CHECKING:  # a student's process has the doors and never a master
    from autograder.master import Master

_WHY = {
    "autograd": "PyTorch's automatic differentiation is shut here: this exercise is about deriving gradients yourself",
    "nn": "torch.nn is shut here: this exercise is about building it from plain tensors",
}
_MODULES: dict[Tool, tuple[str, ...]] = {
    "autograd": ("torch.autograd", "torch.func", "functorch", "torch._functorch"),
    "nn": ("torch.nn",),
}
_TENSOR_BACKWARD = {"gradient", "retain_graph", "create_graph", "inputs"}  # keywords a layer's backward(dy) lacks


@contextmanager
def shut(tools: Iterable[str]) -> Iterator[None]:
    """Within this context the named tools raise ForbiddenTool."""
    with ExitStack() as stack:
        for tool in tools:
            TOOLS[tool](stack)
        yield


@contextmanager
def _replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    """As mock.patch.object, which touches so much memory that each fork would pay for it."""
    before = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)


def _refusal(tool: str) -> Callable[..., NoReturn]:
    def refuse(*args: Any, **kwargs: Any) -> NoReturn:
        raise ForbiddenTool(_WHY[tool])

    return refuse


def _shut_autograd(stack: ExitStack) -> None:
    import torch
    import torch.autograd.forward_ad as forward_ad
    import torch.autograd.graph as graph

    refuse = _refusal("autograd")
    for module in (torch.autograd, graph):  # torch.autograd.grad, Tensor.backward and torch.func all end here
        stack.enter_context(_replaced(module, "_engine_run_backward", refuse))
    for name in ("make_dual", "enter_dual_level"):
        stack.enter_context(_replaced(forward_ad, name, refuse))
    stack.enter_context(_replaced(graph, "disable_saved_tensors_hooks", refuse))  # torch.func begins with it
    # no_grad, so that leaves which merely require a gradient do no harm; and whoever turns recording on again is
    # stopped where the graph is built, below Python: no alias leads around it
    stack.enter_context(torch.no_grad())
    stack.enter_context(graph.saved_tensors_hooks(refuse, refuse))


def _shut_nn(stack: ExitStack) -> None:
    # every layer and loss of torch.nn computes by a function of torch.nn.functional, so its door is enough; patching
    # the Module class would invalidate hundreds of subclasses in each fork
    stack.enter_context(_doorman()())


@functools.cache
def _doorman() -> Callable[[], AbstractContextManager[None]]:
    """The mode in which functions of torch.nn refuse, whatever name they are called by."""
    from torch.overrides import TorchFunctionMode

    refuse, shut_functions = _refusal("nn"), _nn_functions()

    class Doorman(TorchFunctionMode):
        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            if func in shut_functions:
                refuse()
            return func(*args, **(kwargs or {}))

    return Doorman


def _nn_functions() -> frozenset[Any]:
    """The functions of torch.nn.functional that torch itself does not offer to tensors as well."""
    import torch

    plain = {id(getattr(torch, name)) for name in dir(torch)}
    found = set()
    for module in (torch.nn.functional, torch._C._nn):
        for name in dir(module):
            function = getattr(module, name)
            if callable(function) and not isinstance(function, type) and id(function) not in plain:
                found.add(function)
    return frozenset(found)


TOOLS: dict[str, Callable[[ExitStack], None]] = {"autograd": _shut_autograd, "nn": _shut_nn}


def trespasses(book: Master, code: Sequence[tuple[str, str]], tools: Sequence[Tool]) -> dict[str, str]:
    """Grade cells whose solution reaches a forbidden tool, and why they earn nothing.

    `code` holds (cell id, source) of the student's code cells, in order, without the locked ones.
    """
    reasons = {}
    for cell in book.grade_cells() if tools else ():
        for solution in book.examined(cell.grade_id):
            if why := uses(solution.id, code, tools):
                reasons[cell.grade_id] = why
    return reasons


def uses(cell: str, code: Sequence[tuple[str, str]], tools: Iterable[Tool]) -> str:
    """Where solution cell `cell` reaches a forbidden tool, as a sentence; '' when it does not.

    `code` holds (cell id, source) of the student's cells, in order: what the solution calls by name is followed there.
    """
    trees = [(name, tree) for name, source in code if (tree := _parse(source)) is not None]
    origins = _origins(tree for _, tree in trees)
    definitions: dict[str, tuple[str, ast.AST]] = {}
    for name, tree in trees:
        for statement in tree.body:
            for defined in _defines(statement):
                definitions[defined] = (name, statement)
    waiting: list[tuple[str, ast.AST]] = [(name, tree) for name, tree in trees if name == cell]
    seen: set[int] = set()
    while waiting:
        where, node = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        for tool in tools:
            found = _first_use(node, tool, origins)
            if found is not None:
                return f"{_WHY[tool]}. Cell ‘{where}’ uses {found[0]} in line {found[1]}."
        for inner in ast.walk(node):
            if isinstance(inner, ast.Name) and inner.id in definitions:
                waiting.append(definitions[inner.id])
    return ""


def _parse(source: str) -> ast.Module | None:
    kept = [line if not line.lstrip().startswith(("%", "!", "?")) else "pass" for line in source.splitlines()]
    try:
        return ast.parse("\n".join(kept))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None  # it does not run either


def _defines(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [node.name]
    if isinstance(node, ast.Assign):
        return [target.id for target in node.targets if isinstance(target, ast.Name)]
    return []


def _origins(trees: Iterable[ast.Module]) -> dict[str, str]:
    """What a name stands for when it was imported or is an alias: {'F': 'torch.nn.functional'}."""
    origins: dict[str, str] = {}
    for tree in trees:
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    if alias.asname:
                        origins[alias.asname] = alias.name
                    else:
                        origins[alias.name.split(".")[0]] = alias.name.split(".")[0]
            elif isinstance(node, ast.ImportFrom) and node.module:
                for alias in node.names:
                    origins[alias.asname or alias.name] = f"{node.module}.{alias.name}"
            elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                path = _path(node.value, origins)
                if path.startswith("torch"):
                    origins[node.targets[0].id] = path
    return origins


def _path(node: ast.AST, origins: dict[str, str]) -> str:
    """The dotted path that an expression such as `F.relu` stands for; '' when it is not one."""
    if isinstance(node, ast.Name):
        return origins.get(node.id, "")
    if isinstance(node, ast.Attribute):
        base = _path(node.value, origins)
        return f"{base}.{node.attr}" if base else ""
    return ""


def _first_use(tree: ast.AST, tool: Tool, origins: dict[str, str]) -> tuple[str, int] | None:
    for node in ast.walk(tree):
        if isinstance(node, ast.Name | ast.Attribute):
            path = _path(node, origins)
            if any(path == module or path.startswith(module + ".") for module in _MODULES[tool]):
                return path, node.lineno
        if tool == "autograd" and isinstance(node, ast.Call) and _is_tensor_backward(node):
            return ".backward()", node.lineno
    return None


def _is_tensor_backward(call: ast.Call) -> bool:
    """Whether this is loss.backward(), as against a layer's own backward(dy)."""
    if not isinstance(call.func, ast.Attribute) or call.func.attr != "backward" or call.args:
        return False
    return all(keyword.arg in _TENSOR_BACKWARD for keyword in call.keywords)
