"""Guards: what leads to automatic differentiation, shut where it begins, before a cell of the student's has run.

`runtime` replaces functions while hidden tests ask. What a cell keeps from before is not replaced then: PyTorch's
engine, and the nodes of graphs, which can be called by themselves. So where automatic differentiation is forbidden,
cells get stand-ins of both. They show what the real ones show, and the engine's works until the tests begin.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterable
from typing import Any, NoReturn

from autograder.forbidden import SCRIPTS, WHY, ForbiddenTool

_HIDDEN = {"next_functions", "__call__", "__self__", "_input_metadata"}
"""what a node has and its stand-in has not as it is"""


def guard(tools: Iterable[str]) -> Callable[[], None]:
    """Put the stand-ins in place if `tools` forbid automatic differentiation. What this returns shuts the engine."""
    if "autograd" not in tuple(tools):
        return lambda: None
    _guard_nodes()
    _guard_scripts()
    return _guard_engine()


def _guard_engine() -> Callable[[], None]:
    import torch

    real, shut = torch.autograd.Variable._execution_engine, False

    def run_backward(*args: Any, **kwargs: Any) -> Any:
        if shut:
            raise ForbiddenTool(WHY["autograd"])
        return real.run_backward(*args, **kwargs)

    class Engine:
        """PyTorch's engine, as long as it may be used."""

    def end() -> None:
        nonlocal shut
        shut = True

    engine: Any = Engine()
    engine.run_backward = run_backward
    engine.queue_callback = lambda callback: real.queue_callback(callback)
    engine.is_checkpoint_valid = lambda: real.is_checkpoint_valid()
    torch.autograd.Variable._execution_engine = engine
    for module, name in (("torch._C", "_ImperativeEngine"), ("torch.autograd.variable", "ImperativeEngine")):
        setattr(sys.modules[module], name, Engine)  # else it makes another one
    return end


def _guard_nodes() -> None:
    import torch

    stand_in = _stand_ins()

    def guarded(owner: type, name: str, shown: Callable[[Any], Any]) -> property:
        real = getattr(owner, name)
        return property(lambda thing: shown(real.__get__(thing)))

    inner = torch.autograd.function.BackwardCFunction
    torch.Tensor.grad_fn = guarded(torch._C.TensorBase, "grad_fn", stand_in)  # type: ignore[assignment]
    shown = functools.partial(_mapped, stand_in)
    inner.next_functions = guarded(inner, "next_functions", shown)  # type: ignore[assignment]
    current = torch._C._current_autograd_node
    torch._C._current_autograd_node = lambda: stand_in(current())


def _mapped(shown: Callable[[Any], Any], pairs: Iterable[tuple[Any, int]]) -> tuple[tuple[Any, int], ...]:
    """The same pairs of a node and the number of its output, with stand-ins."""
    return tuple((shown(node), number) for node, number in pairs)


def _stand_ins() -> Callable[[Any], Any]:
    """What makes stand-ins of nodes. A node lives in the functions of its stand-in alone."""

    @functools.cache
    def kind(name: str) -> type:
        def text(self: Any) -> str:
            return f"<{name} object at {id(self):#x}>"

        def get(self: Any, wanted: str) -> Any:
            return vars(self)["_show"](wanted)

        return type(name, (), {"__repr__": text, "__getattr__": get})

    def stand_in(node: Any) -> Any:
        if node is None:
            return None

        def show(wanted: str) -> Any:
            if wanted == "next_functions":
                return _mapped(stand_in, node.next_functions)
            if wanted in _HIDDEN:
                raise AttributeError(wanted)
            value = getattr(node, wanted)
            return (lambda *args, **kwargs: value(*args, **kwargs)) if callable(value) else value

        made = kind(type(node).__name__)()
        vars(made)["_show"] = show
        return made

    return stand_in


def _guard_scripts() -> None:
    """Programs of TorchScript run below Python, where nobody sees what they call: none may be loaded."""
    import torch

    def refuse(*args: Any, **kwargs: Any) -> NoReturn:
        raise ForbiddenTool(SCRIPTS)

    for name in ("import_ir_module", "import_ir_module_from_buffer", "_import_ir_module_from_package"):
        if hasattr(torch._C, name):
            setattr(torch._C, name, refuse)
