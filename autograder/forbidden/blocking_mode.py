"""The mode of PyTorch's in which the functions of a forbidden tool are refused, whatever name they are called by."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, NoReturn

from autograder.forbidden import WHY, ForbiddenTool


@functools.cache
def refusal(tool: str) -> Callable[..., NoReturn]:
    def refuse(*args: Any, **kwargs: Any) -> NoReturn:
        raise ForbiddenTool(WHY[tool])

    return refuse


_DEEP = {"attention"}
"""tools whose operators are told by their names below Python; those of torch.nn are those of plain functions, too"""
_WRITTEN_IN_PYTHON = 1 << 9
"""CPython's flag of classes that are made while a program runs, Py_TPFLAGS_HEAPTYPE"""


@functools.cache
def blocking_mode(tool: str) -> Callable[[], AbstractContextManager[None]]:
    """The PyTorch mode in which the tool's functions raise ForbiddenTool, whatever name they are called by."""
    import torch
    from torch.overrides import TorchFunctionMode
    from torch.utils._python_dispatch import TorchDispatchMode

    refuse, forbidden = refusal(tool), FUNCTIONS[tool]()
    inner, is_part = (torch._ops.OpOverload, torch._ops.OpOverloadPacket), _PARTS[tool]
    layers = os.path.join(os.path.dirname(torch.nn.__file__), "modules") + os.sep  # noqa: PTH118, PTH120
    own = tuple(os.path.join(layers, name) for name in ("module.py", "container.py"))  # noqa: PTH118

    def is_inside(frame: Any) -> bool:
        """Whether one of torch.nn's layers calls: Sigmoid calls nothing but torch.sigmoid, which is open to all."""
        file = frame.f_code.co_filename
        return tool == "nn" and file.startswith(layers) and file not in own

    class Blocker(TorchFunctionMode):
        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            if func in forbidden or (isinstance(func, inner) and is_part(str(func))) or is_inside(sys._getframe(1)):
                refuse()
            kwargs = kwargs or {}
            if _plain((*args, *kwargs.values())):
                return func(*args, **kwargs)
            if any(map(_is_disguised, (*args, *kwargs.values()))):
                refuse()
            args = [self._within(thing) for thing in args]
            kwargs = {name: self._within(thing) for name, thing in kwargs.items()}
            # the function may call methods of the student's, without this mode
            deep = tool in _DEEP and _has_strangers((*args, *kwargs.values()))
            with _profiled(watch), Below() if deep else nullcontext():
                return func(*args, **kwargs)

        def _within(self, thing: Any) -> Any:
            """A callback runs in this mode, too."""
            if not callable(thing) or isinstance(thing, type | torch.nn.Module | torch.Tensor):
                return thing

            def called(*args: Any, **kwargs: Any) -> Any:
                with self:
                    return thing(*args, **kwargs)

            return called

    class Below(TorchDispatchMode):  # type: ignore[no-untyped-call]
        """Sees what C calls from C: `map(attention, ...)` in a method that `torch.as_tensor` calls."""

        def __init__(self) -> None:
            super().__init__()  # type: ignore[no-untyped-call]
            self._refused = False

        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            if is_part(str(func)):
                self._refused = True
                refuse()
            return func(*args, **(kwargs or {}))

        def __exit__(self, *why: Any) -> None:
            super().__exit__(*why)  # type: ignore[no-untyped-call]
            if self._refused:  # PyTorch may have hidden the exception
                refuse()

    # what torch._jit_internal makes of two functions has the same code as torch.unique; the two are seen themselves
    codes = {function.__code__ for function in forbidden if hasattr(function, "__code__")}
    codes = {code for code in codes if code.co_filename != torch._jit_internal.__file__}

    def watch(frame: Any, event: str, function: Any) -> None:
        if (event == "c_call" and function in forbidden) or (event == "call" and frame.f_code in codes):
            refuse()

    return Blocker


def _plain(things: Collection[Any]) -> bool:
    """Whether these are tensors, numbers and other data that call no code of the student's when they are used."""
    kinds, tensors = _data_types(), _tensor_types()
    for thing in things:  # every operation of the student's is looked at here
        kind = type(thing)
        if kind in tensors:
            if thing.__dict__:  # what it was given may have methods
                return False
        elif kind in (list, tuple):
            if not _plain(thing):
                return False
        elif kind not in kinds and not _is_array_of_numbers(thing):
            return False
    return True


def _is_disguised(thing: Any) -> bool:
    """Whether a tensor was given a function in place of a method of its own: PyTorch would call it, unseen."""
    if type(thing) in (list, tuple):
        return any(map(_is_disguised, thing))
    given = thing.__dict__ if type(thing) in _tensor_types() else {}
    return any(callable(one) and callable(getattr(type(thing), name, None)) for name, one in given.items())


def _has_strangers(things: Collection[Any]) -> bool:
    """Whether an object of a class that is written in Python is among these: PyTorch may call its methods."""
    return any(
        _has_strangers(thing) if type(thing) in (list, tuple) else type(thing).__flags__ & _WRITTEN_IN_PYTHON
        for thing in things
    )


def _is_array_of_numbers(thing: Any) -> bool:
    import numpy

    return type(thing) is numpy.ndarray and not thing.dtype.hasobject


@functools.cache
def _tensor_types() -> frozenset[type]:
    import torch

    return frozenset((torch.Tensor, torch.nn.Parameter))


@functools.cache
def _data_types() -> frozenset[type]:
    import numpy
    import torch

    own = (torch.Size, torch.Generator, torch.dtype, torch.device, torch.layout)
    other = (torch.memory_format, numpy.float32, numpy.float64, numpy.int64, numpy.bool_, slice)
    return frozenset((*own, *other, bool, int, float, complex, str, type(None), type(...)))


@contextmanager
def _profiled(watch: Callable[[Any, str, Any], None]) -> Iterator[None]:
    before = sys.getprofile()
    sys.setprofile(watch)
    try:
        yield
    finally:
        sys.setprofile(before)


_NN_PLACES = {"torch.nn.functional", "torch._C._nn", "torch._jit_internal"}
"""where its functions are defined: the last makes one of two, as for max_pool2d"""


def _nn_functions() -> frozenset[Any]:
    """The functions of torch.nn.functional, except those that torch also offers as plain tensor functions."""
    import torch

    plain = {id(getattr(torch, name)) for name in dir(torch)}
    found = set()
    for module in (torch.nn.functional, torch._C._nn):
        for name in dir(module):
            function = getattr(module, name)
            # what it has from other modules, every function that takes tensors calls: has_torch_function_unary
            if getattr(function, "__module__", "") in _NN_PLACES and id(function) not in plain:
                found.add(function)
    return frozenset(found)


def _attention_functions() -> frozenset[Any]:
    """The functions that torch's attention and transformer modules call, with and without their fast path."""
    import torch

    functional = torch.nn.functional
    named = (getattr(torch, name) for name in dir(torch) if "attention" in name)
    return frozenset(
        (
            functional.multi_head_attention_forward,
            functional.scaled_dot_product_attention,
            torch._transformer_encoder_layer_fwd,
            *(function for function in named if callable(function)),
        )
    )


FUNCTIONS: dict[str, Callable[[], frozenset[Any]]] = {"nn": _nn_functions, "attention": _attention_functions}

_PARTS: dict[str, Callable[[str], bool]] = {
    "nn": lambda name: not name.startswith("profiler."),  # which each step of an optimiser uses
    "attention": lambda name: "attention" in name or "transformer" in name,
}
"""what torch.ops holds of a tool, by name; PyTorch's own layers use other parts of it"""
