"""The doors to tools that a notebook is about doing without: shut while hidden tests call the student's code.

They are shut at the places that every way to them leads through, so that an alias made earlier doesn't help.
"""

from __future__ import annotations

import _thread
import functools
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any, NoReturn

from autograder.forbidden import WHY, ForbiddenTool

_THREAD_STARTS = tuple(
    (module, name)
    for module in (threading, _thread)
    for name in dir(module)
    if name.lstrip("_") in ("start_new", "start_new_thread", "start_joinable_thread")  # the last one since Python 3.13
)


@contextmanager
def shut(tools: Iterable[str]) -> Iterator[None]:
    """Within this context the named tools raise ForbiddenTool."""
    with ExitStack() as stack:
        for tool in tools:
            TOOLS[tool](stack)
            # the doors of PyTorch stand in each thread by itself, and a new one would have none
            stack.enter_context(_replaced(_THREAD_STARTS, _refusal(tool)))
        yield


@contextmanager
def _replaced(places: Iterable[tuple[Any, str]], value: Any) -> Iterator[None]:
    """As mock.patch.object for each place, which touches so much memory that each fork would pay for it."""
    before = [(owner, name, getattr(owner, name)) for owner, name in places]
    try:
        for owner, name, _ in before:
            setattr(owner, name, value)
        yield
    finally:
        for owner, name, was in before:
            setattr(owner, name, was)


def _refusal(tool: str) -> Callable[..., NoReturn]:
    def refuse(*args: Any, **kwargs: Any) -> NoReturn:
        raise ForbiddenTool(WHY[tool])

    return refuse


def _shut_autograd(stack: ExitStack) -> None:
    import torch
    import torch.autograd.forward_ad as forward_ad
    import torch.autograd.graph as graph

    refuse = _refusal("autograd")
    places = [
        (torch.autograd, "_engine_run_backward"),  # torch.autograd.grad, Tensor.backward and torch.func all end here
        (graph, "_engine_run_backward"),
        (forward_ad, "make_dual"),
        (forward_ad, "enter_dual_level"),
        (graph, "disable_saved_tensors_hooks"),  # torch.func begins with it
    ]
    stack.enter_context(_replaced(places, refuse))
    # no_grad, so that leaves which merely require a gradient do no harm; and whoever turns recording on again is
    # stopped where the graph is built, below Python: no alias leads around it
    stack.enter_context(torch.no_grad())
    stack.enter_context(graph.saved_tensors_hooks(refuse, refuse))


def _shut_functions(tool: str, stack: ExitStack) -> None:
    # every layer and loss of torch.nn computes by functions, so their door is enough; patching the Module class would
    # invalidate hundreds of subclasses in each fork
    stack.enter_context(_doorman(tool)())


@functools.cache
def _doorman(tool: str) -> Callable[[], AbstractContextManager[None]]:
    """The mode in which the tool's functions refuse, whatever name they are called by."""
    from torch.overrides import TorchFunctionMode

    refuse, shut_functions = _refusal(tool), _FUNCTIONS[tool]()

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


def _attention_functions() -> frozenset[Any]:
    """The functions that torch's attention and transformer modules compute by, whichever way they take."""
    import torch

    functional = torch.nn.functional
    return frozenset(
        (
            functional.multi_head_attention_forward,
            functional.scaled_dot_product_attention,
            torch._native_multi_head_attention,
            torch._transformer_encoder_layer_fwd,
        )
    )


_FUNCTIONS: dict[str, Callable[[], frozenset[Any]]] = {"nn": _nn_functions, "attention": _attention_functions}

TOOLS: dict[str, Callable[[ExitStack], None]] = {
    "autograd": _shut_autograd,
    **{tool: functools.partial(_shut_functions, tool) for tool in _FUNCTIONS},
}
