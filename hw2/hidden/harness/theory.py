"""Harness of hw2/theory: asks functions, notes what they change, and lends them right versions of earlier exercises."""

import contextlib
import inspect
import operator
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode


def ask(
    function: Callable[..., object], arguments: Sequence[Any], lent: Mapping[str, Callable[..., object]]
) -> list[object]:
    """A function's answer, the positions of the arguments it has changed, and PyTorch's convolutions that it called.

    Before that it is asked with other numbers of the same sizes, so that an answer kept from an earlier call shows.
    While it runs, it finds the functions of `lent`, which are right ones, under these names.
    """
    before, watch = _copied(arguments), _Watch()
    with _lending(function, {name: watch.overlooking(right) for name, right in lent.items()}), watch, _Below(watch):
        function(*_others(arguments))
        answer = function(*arguments)
    changed = [n for n, (now, was) in enumerate(zip(arguments, before, strict=True)) if not _equal(now, was)]
    return [_matrix(answer), changed, sorted(watch.called)]


def sizes(function: Callable[..., object], *arguments: int) -> object:
    """A shape, or a dictionary of shapes, with tuples of int for lists, arrays and whole floats."""
    return _whole(function(*arguments))


def members(function: Callable[..., Any], *arguments: int) -> list[object] | None:
    """The members of a set, a list or a generator, sorted, with pairs as tuples; None if there are none to list."""
    things = function(*arguments)
    if not isinstance(things, Iterable):
        return None
    found = {tuple(thing) if isinstance(thing, Iterable) and not isinstance(thing, str) else thing for thing in things}
    return sorted(found, key=repr)


# ---------------------------------------------------------------------------------------------- answers


def _matrix(answer: Any) -> Any:
    """Numbers in arrays and lists as float32 tensors, so that all ways to write them down are alike."""
    if isinstance(answer, tuple | list) and len(answer) == 2 and all(_two_axes(part) for part in answer):
        return tuple(map(_matrix, answer))  # a pair of matrices
    if isinstance(answer, list) and answer and all(isinstance(part, Tensor) for part in answer):
        with contextlib.suppress(RuntimeError):
            answer = torch.stack(answer)
    with contextlib.suppress(TypeError, ValueError, RuntimeError):
        if isinstance(answer, list) or type(answer).__module__ == "numpy":
            answer = torch.as_tensor(answer)
    if isinstance(answer, Tensor) and answer.dtype in _NUMBERS:
        return answer.detach().float()
    return answer


_NUMBERS = (torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int32)


def _two_axes(thing: Any) -> bool:
    """Whether this is a matrix: a list of lists counts."""
    if isinstance(thing, list):
        return bool(thing) and all(isinstance(row, list) for row in thing)
    return getattr(thing, "ndim", 0) == 2


def _whole(thing: Any) -> Any:
    if isinstance(thing, dict):
        return {key: _whole(part) for key, part in thing.items()}
    if isinstance(thing, Tensor) or type(thing).__module__ == "numpy":
        thing = thing.tolist()
    if isinstance(thing, tuple | list):
        return tuple(map(_whole, thing))
    return int(thing) if isinstance(thing, float) and thing.is_integer() else thing


# ---------------------------------------------------------------------------------------------- arguments


def _copied(thing: Any) -> Any:
    if isinstance(thing, Tensor):
        return thing.clone()
    if isinstance(thing, list):
        return [_copied(part) for part in thing]
    if isinstance(thing, dict):
        return {key: _copied(part) for key, part in thing.items()}
    return thing


def _others(thing: Any) -> Any:
    """The same sizes, other numbers."""
    if isinstance(thing, Tensor):
        return -0.5 * thing
    if isinstance(thing, list):
        return [_others(part) for part in thing]
    if isinstance(thing, dict):
        return {key: _others(part) for key, part in thing.items()}
    return thing


def _equal(now: Any, was: Any) -> bool:
    if isinstance(was, Tensor):
        return isinstance(now, Tensor) and torch.equal(now, was)
    if isinstance(was, list):
        return len(now) == len(was) and all(map(_equal, now, was))
    if isinstance(was, dict):
        return list(now) == list(was) and all(_equal(now[key], part) for key, part in was.items())
    return bool(now == was)


# ---------------------------------------------------------------------------------------------- PyTorch's convolutions


class _Watch(TorchFunctionMode):
    """Notes the names of PyTorch's convolutions that are called."""

    def __init__(self) -> None:
        super().__init__()
        self.called: set[str] = set()
        self._overlooks = False

    def overlooking(self, function: Callable[..., object]) -> Callable[..., object]:
        """The function, with what it calls itself left out.

        It is given numbers and tensors of Python's and PyTorch's own kinds. Others could run code of the student's.
        """

        def overlooked(*arguments: Any, **named: Any) -> object:
            arguments, named = tuple(map(_bare, arguments)), {name: _bare(value) for name, value in named.items()}
            self._overlooks = True
            try:
                return function(*arguments, **named)
            finally:
                self._overlooks = False

        return overlooked

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = getattr(func, "__name__", "")
        if (
            name.lstrip("_").startswith("conv") or name.endswith(("conv1d", "conv2d", "conv3d"))
        ) and not self._overlooks:
            self.called.add(name)
        return func(*args, **(kwargs or {}))

    def note(self, operator: str) -> None:
        """Note an operator below Python, if nothing that leads to it was seen: C can call it from C."""
        if (
            ("convolution" in operator or operator.endswith(("conv1d", "conv2d", "conv3d")))
            and not self.called
            and not self._overlooks
        ):
            self.called.add(operator)


def _bare(thing: Any) -> Any:
    """The same number or tensor, or list or dictionary of these, of no class that the student has written."""
    if isinstance(thing, Tensor):
        with torch._C.DisableTorchFunctionSubclass():
            return Tensor.as_subclass(thing, Tensor)
    if isinstance(thing, float):
        return float.__float__(thing)
    if isinstance(thing, str):
        return str.__str__(thing)
    with contextlib.suppress(TypeError):
        return int.__int__(operator.index(thing))
    if isinstance(thing, dict):
        return {_bare(key): _bare(part) for key, part in thing.items()}
    return [_bare(part) for part in thing]


class _Below(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Tells a watch of all operators that are carried out."""

    def __init__(self, watch: _Watch) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._watch = watch

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self._watch.note(func.overloadpacket.__name__)
        return func(*args, **(kwargs or {}))


# ---------------------------------------------------------------------------------------------- right versions


@contextlib.contextmanager
def _lending(function: Any, lent: Mapping[str, object]) -> Iterator[None]:
    """While this lasts, the function finds these objects under their names."""
    plain = inspect.unwrap(getattr(function, "func", function))
    names: dict[str, Any] = getattr(plain, "__globals__", None) or getattr(type(plain).__call__, "__globals__", {})
    own = {name: names[name] for name in lent if name in names}
    names.update(lent)
    try:
        yield
    finally:
        for name in lent:
            del names[name]
        names.update(own)


def right_conv_output_shape(
    C: int, H: int, W: int, HK: int, WK: int, P: int, S: int, D: int, F: int
) -> tuple[int, ...]:
    made = functional.conv2d(torch.zeros(C, H, W), torch.zeros(F, C, HK, WK), stride=S, padding=P, dilation=D)
    return tuple(made.shape)


def right_cross_correlation(x: Tensor, W: Tensor, stride: int = 2) -> Tensor:
    return functional.conv1d(x, W, stride=stride).T


def right_convolution(x: Tensor, W: Tensor, stride: int = 2) -> Tensor:
    return functional.conv1d(x, W.flip(2), stride=stride).T


def right_jacobian_by_weights(x: Tensor, k: int, stride: int = 2) -> Tensor:
    units = torch.eye(len(x) * k, dtype=x.dtype).reshape(-1, len(x), k)  # a filter for each column
    return functional.conv1d(x, units, stride=stride).T


def right_jacobian_by_input(W: Tensor, N: int, stride: int = 2) -> Tensor:
    units = torch.eye(W.shape[1] * N, dtype=W.dtype).reshape(-1, W.shape[1], N)  # a sequence for each column
    return functional.conv1d(units, W, stride=stride)[:, 0].T


def right_gated_jacobians(x: Tensor, h: Tensor, W_c: Tensor, W_h: Tensor, W_x: Tensor) -> tuple[Tensor, Tensor]:
    """By differences: there is no autograd beside the student's code."""
    kind = h.dtype
    x, h, W_c, W_h, W_x = (part.double() for part in (x, h, W_c, W_h, W_x))

    def step(h: Tensor) -> Tensor:  # (m, B) to (2m, B): the gate and the new state for each of B old ones
        c = torch.sigmoid(W_c @ x + W_h @ h)
        return torch.cat([c, c * h + (1 - c) * (W_x @ x)])

    moves = 1e-5 * torch.eye(len(h), dtype=torch.double)
    both = (step(h + moves) - step(h - moves)) / 2e-5  # (2m, m)
    return both[: len(h)].to(kind), both[len(h) :].to(kind)


def right_attention_step(x: Tensor, history: Sequence[Tensor], Q: Any, K: Any, V: Any) -> Tensor:
    sources = [x, *history]
    w = torch.stack([(s.T @ Q[i].T @ K[i] @ s).reshape(()) for i, s in enumerate(sources)])
    values = [V[i] @ s for i, s in enumerate(sources)]
    return torch.stack(values, dim=-1) @ torch.softmax(w, dim=0)


def right_tied_attention_step(
    x: Tensor, history: Sequence[Tensor], Q0: Tensor, K0: Tensor, V0: Tensor, Q: Tensor, K: Tensor, V: Tensor
) -> Tensor:
    sources = [x, *history]
    w = [(s.T @ (Q if i else Q0).T @ (K if i else K0) @ s).reshape(()) for i, s in enumerate(sources)]
    values = [(V if i else V0) @ s for i, s in enumerate(sources)]
    return torch.stack(values, dim=-1) @ torch.softmax(torch.stack(w), dim=0)
