"""Blocks forbidden tools while hidden tests call the student's code.

A tool is blocked in the functions that every use of it ends in, so an alias made earlier does not help.
"""

from __future__ import annotations

import _thread
import functools
import threading
import types
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import Any, NoReturn

from autograder.forbidden import THREADS, WHY, ForbiddenTool
from autograder.forbidden.blocking_mode import FUNCTIONS, blocking_mode, refusal

_THREAD_STARTS = tuple(
    (module, name)
    for module in (threading, _thread)
    for name in dir(module)
    if name.lstrip("_") in ("start_new", "start_new_thread", "start_joinable_thread")  # the last one since Python 3.13
)


def prepare(tools: Iterable[str]) -> None:
    """Load what PyTorch loads when it first copies a tensor or makes an optimiser, which takes a second.

    While a tool is blocked, this fails: it calls functions of torch.nn, and finds one object in several of its places.
    What is left of it then makes every later use fail, too.
    """
    if tuple(tools):
        import torch._dynamo  # noqa: F401


def _refuse_threads(*args: Any, **kwargs: Any) -> NoReturn:
    raise ForbiddenTool(THREADS)


class blocked(AbstractContextManager[None]):  # noqa: N801 (used as a function)
    """Within this context, the named tools raise ForbiddenTool.

    This and what it enters are classes, and no generators, because it is entered for every question of a hidden test.
    """

    def __init__(self, tools: Iterable[str]) -> None:
        self._tools = tuple(tools)
        self._entered: list[AbstractContextManager[object]] = []

    def __enter__(self) -> None:
        managers = [manager for tool in self._tools for manager in TOOLS[tool]()]
        if self._tools:
            # PyTorch's modes apply to a single thread: in a new one nothing would be blocked, so none may start
            managers.append(_Replaced(_THREAD_STARTS, _refuse_threads))
        try:
            for manager in managers:
                manager.__enter__()
                self._entered.append(manager)
        except BaseException:
            self.__exit__(None, None, None)
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: types.TracebackType | None
    ) -> None:
        try:
            if self._entered:
                self._entered.pop().__exit__(kind, error, trace)
        finally:
            if self._entered:
                self.__exit__(kind, error, trace)


class _Replaced(AbstractContextManager[None]):
    """Like mock.patch.object for each place. That function touches so much memory that each fork would get slower."""

    def __init__(self, places: Iterable[tuple[Any, str]], value: Any) -> None:
        self._places, self._value = places, value

    def __enter__(self) -> None:
        self._before = [(owner, name, getattr(owner, name)) for owner, name in self._places]
        for owner, name in self._places:
            setattr(owner, name, self._value)

    def __exit__(self, *why: object) -> None:
        for owner, name, was in self._before:
            setattr(owner, name, was)


@functools.cache
def _differentiating() -> tuple[tuple[Any, str], ...]:
    """The functions in which every use of automatic differentiation ends."""
    import torch
    import torch.autograd.forward_ad as forward_ad
    import torch.autograd.graph as graph

    return (
        (torch.autograd, "_engine_run_backward"),  # torch.autograd.grad, Tensor.backward and torch.func all end here
        (graph, "_engine_run_backward"),
        (forward_ad, "make_dual"),
        (torch._C, "_enter_dual_level"),
        (torch._C, "_set_fwd_grad_enabled"),
        (graph, "disable_saved_tensors_hooks"),  # torch.func calls it first
    )


def _block_autograd() -> Iterable[AbstractContextManager[object]]:
    import torch
    import torch.autograd.graph as graph

    refuse = refusal("autograd")
    # Under no_grad, a tensor that merely requires a gradient raises no error. If the code turns recording on again, the
    # hooks raise where PyTorch builds the graph. That happens below Python, so no alias can avoid it.
    hooks: AbstractContextManager[object] = graph.saved_tensors_hooks(refuse, refuse)
    ahead = _Replaced([(torch._C, "_InferenceMode")], _inference_mode())
    # what a function uses that was kept from before
    engine = _Replaced([(torch.autograd.Variable, "_execution_engine")], types.SimpleNamespace(run_backward=refuse))
    return (_Unrecorded(), _Replaced(_differentiating(), refuse), engine, ahead, hooks)


@functools.cache
def _inference_mode() -> Callable[[bool], object]:
    """PyTorch's inference mode, but it cannot be switched off: this would switch forward-mode differentiation on."""
    import torch

    made = torch._C._InferenceMode

    def entered(mode: bool) -> object:
        return made(mode) if mode else refusal("autograd")()

    return entered


@functools.cache
def _recording() -> tuple[Callable[[bool], None], Callable[[bool], None]]:
    """PyTorch's switches of recording and of forward-mode differentiation, as they were before they were blocked."""
    import torch

    return torch._C._set_grad_enabled, torch._C._set_fwd_grad_enabled


@functools.cache
def _graph_nodes() -> Callable[[], int]:
    """PyTorch's count of the nodes of graphs that this thread has recorded, as it was before it could be replaced."""
    import torch

    return torch._C._autograd._get_sequence_nr


class _Unrecorded(AbstractContextManager[None]):
    """Here, no graph is recorded, and tangents are not carried along. Both are decided below Python.

    At its end, raises ForbiddenTool if a graph was recorded all the same.
    """

    def __enter__(self) -> None:
        import torch

        self._before, self._recorded = (torch.is_grad_enabled(), torch._C._is_fwd_grad_enabled()), _graph_nodes()()
        for switch in _recording():
            switch(False)

    def __exit__(self, *why: object) -> None:
        for switch, was in zip(_recording(), self._before, strict=True):
            switch(was)
        if _graph_nodes()() != self._recorded:  # by a function that was kept from before, whatever its name
            raise ForbiddenTool(WHY["autograd"])


def _block_functions(tool: str) -> Iterable[AbstractContextManager[object]]:
    # Every layer and loss of torch.nn calls these functions, so blocking them is enough. Patching the Module class
    # would invalidate the caches of hundreds of subclasses in each fork.
    # Where the mode is entered already, it is not entered again: each operation would pass through both.
    mode = blocking_mode(tool)
    return (_StillEntered(tool),) if _is_entered(tool) else (mode(), _EngineInMode(tool))


class _EngineInMode(AbstractContextManager[None]):
    """In here, PyTorch differentiates in the tool's mode, and so backward functions and hooks of the student's run."""

    def __init__(self, tool: str) -> None:
        self._tool = tool

    def __enter__(self) -> None:
        import torch
        import torch.autograd.graph as graph

        before, tool = graph._engine_run_backward, self._tool

        def entered(*args: Any, **kwargs: Any) -> object:
            with blocking_mode(tool)():
                return before(*args, **kwargs)

        self._replaced = _Replaced([(torch.autograd, "_engine_run_backward"), (graph, "_engine_run_backward")], entered)
        self._replaced.__enter__()

    def __exit__(self, *why: object) -> None:
        self._replaced.__exit__(*why)


def _is_entered(tool: str) -> bool:
    mode = blocking_mode(tool)
    return any(type(one) is mode for one in _active_modes()())


class _StillEntered(AbstractContextManager[None]):
    """At its end, raises ForbiddenTool if the tool's mode was left in here. Then the mode is entered again."""

    def __init__(self, tool: str) -> None:
        self._tool = tool

    def __enter__(self) -> None:
        pass

    def __exit__(self, *why: object) -> None:
        if not _is_entered(self._tool):
            blocking_mode(self._tool)().__enter__()
            raise ForbiddenTool(WHY[self._tool])


@functools.cache
def _active_modes() -> Callable[[], list[Any]]:
    """PyTorch's function that lists the modes that are entered, as it was before a student's code could replace it."""
    from torch.overrides import _get_current_function_mode_stack

    return _get_current_function_mode_stack


TOOLS: dict[str, Callable[[], Iterable[AbstractContextManager[object]]]] = {
    "autograd": _block_autograd,
    **{tool: functools.partial(_block_functions, tool) for tool in FUNCTIONS},
}
"""what a tool is blocked by while it is entered, by the tool's name"""
