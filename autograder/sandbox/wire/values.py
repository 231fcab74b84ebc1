"""The values that cross the wire: plain data, never code. For any other object, only a `Ref` to it crosses."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias, cast

import msgspec

from autograder.sandbox.wire.wire_error import WireError

if TYPE_CHECKING:  # some processes that import this module never need torch
    import numpy as np
    import torch

MAX_MESSAGE = 64 * 2**20
"""most bytes of one message; a question may carry a data set"""
MAX_ANSWER = 6 * 2**20
"""most bytes of an answer; hidden tests ask for 3 MiB at most"""
_MAX_SHAPE = 2**24
"""most numbers that the sizes of an empty tensor may stand for: its sum over one axis can be as large"""
_MAX_DEPTH = 40

_DTYPES = Literal[
    "bool", "uint8", "int8", "int16", "int32", "int64",
    "float16", "bfloat16", "float32", "float64", "complex64", "complex128",
]  # fmt: skip
_SIZES = {
    "bool": 1, "uint8": 1, "int8": 1, "int16": 2, "int32": 4, "int64": 8,
    "float16": 2, "bfloat16": 2, "float32": 4, "float64": 8, "complex64": 8, "complex128": 16,
}  # fmt: skip
_TYPES = {
    "|b1": "bool", "|u1": "uint8", "|i1": "int8", "<i2": "int16", "<i4": "int32", "<i8": "int64",
    "<f2": "float16", "<f4": "float32", "<f8": "float64", "<c8": "complex64", "<c16": "complex128",
}  # fmt: skip
"""the types that numpy knows, by its own short name; `str` of a type takes it ten times as long"""
_NUMPYS = {ours: numpys for numpys, ours in _TYPES.items()}
_Shape: TypeAlias = Annotated[list[Annotated[int, msgspec.Meta(ge=0, le=2**31)]], msgspec.Meta(max_length=12)]
Name: TypeAlias = Annotated[str, msgspec.Meta(max_length=200)]


def sound(text: str) -> str:
    """`text` with '?' in place of surrogates, which UTF-8 cannot encode."""
    return text.encode("utf-8", "replace").decode()


class List(msgspec.Struct, tag="list", forbid_unknown_fields=True):
    items: list[Value]


class Tuple(msgspec.Struct, tag="tuple", forbid_unknown_fields=True):
    items: list[Value]


class Dict(msgspec.Struct, tag="dict", forbid_unknown_fields=True):
    pairs: Annotated[list[tuple[Value, Value]], msgspec.Meta(max_length=10_000)]


class Bytes(msgspec.Struct, tag="bytes", forbid_unknown_fields=True):
    data: bytes


class Large(msgspec.Struct, tag="int", forbid_unknown_fields=True):
    """An integer beyond 64 bits, in decimal."""

    digits: Annotated[str, msgspec.Meta(max_length=1000, pattern="^-?[0-9]+$")]


class Tensor(msgspec.Struct, tag="tensor", forbid_unknown_fields=True):
    dtype: _DTYPES
    shape: _Shape
    data: bytes
    grad: bool = False
    """whether the tensor requires a gradient"""


class Array(msgspec.Struct, tag="array", forbid_unknown_fields=True):
    dtype: _DTYPES
    shape: _Shape
    data: bytes


class Ref(msgspec.Struct, tag="ref", forbid_unknown_fields=True):
    """A reference to an object that stays in the student's process. The trusted side knows its number."""

    number: int
    kind: Name


Value: TypeAlias = bool | int | float | str | Bytes | List | Tuple | Dict | Large | Tensor | Array | Ref | None


def to_wire(thing: Any, refer: Callable[[Any], Ref] | None = None, depth: int = 0) -> Any:
    """Convert `thing` to a value for the wire.

    `refer` makes a `Ref` of an object that is not plain data. Without `refer`, such an object raises TypeError.
    """
    if depth > _MAX_DEPTH:
        raise WireError("the value is nested too deeply")
    if thing is None or type(thing) in (bool, float):
        return thing
    if isinstance(thing, int) and not isinstance(thing, bool):
        number = int(thing)
        return number if -(2**63) <= number < 2**64 else Large(str(number))
    if isinstance(thing, float):
        return float(thing)
    if type(thing) in (Fraction, Decimal):
        with suppress(ArithmeticError, ValueError):  # too large, or not a number that can be compared
            return float(thing)
    if isinstance(thing, str):
        return sound(str.__str__(thing))
    if isinstance(thing, bytes | bytearray):
        return Bytes(bytes(thing))
    if isinstance(thing, list):
        return List([to_wire(item, refer, depth + 1) for item in thing])
    if isinstance(thing, tuple):
        return Tuple([to_wire(item, refer, depth + 1) for item in thing])
    if isinstance(thing, dict):
        pairs = [(to_wire(key, refer, depth + 1), to_wire(value, refer, depth + 1)) for key, value in thing.items()]
        return Dict(pairs)
    packed = _tensor_to_wire(thing)
    if packed is not None:
        return packed
    if refer is None:
        raise TypeError(f"a {type(thing).__name__} cannot be sent between processes")
    return refer(thing)


def _tensor_to_wire(thing: Any) -> Any:
    torch_module, numpy_module = sys.modules.get("torch"), sys.modules.get("numpy")
    if torch_module is not None and type(thing) in (torch_module.Tensor, torch_module.nn.Parameter):
        packed = _plain_tensor_to_wire(thing)
        if packed is not None:
            return packed
    if torch_module is not None and isinstance(thing, torch_module.Tensor):
        plain = type(thing).detach(thing).to("cpu").to_dense().resolve_conj().resolve_neg()
        dtype = str(plain.dtype).removeprefix("torch.")
        if dtype not in _SIZES:
            raise WireError(f"a tensor of dtype {dtype} cannot be sent between processes")
        _check_size(plain.numel() * _SIZES[dtype], plain.shape)
        # a copy: a contiguous tensor with a dimension of size 1 may have a stride that `view` does not accept
        flat = plain.clone(memory_format=torch_module.contiguous_format).reshape(-1)
        data = flat.view(torch_module.uint8).numpy().tobytes() if plain.numel() else b""
        return Tensor(cast(Any, dtype), list(plain.shape), data, bool(thing.requires_grad))
    if numpy_module is not None and isinstance(thing, numpy_module.bool | numpy_module.number):
        return to_wire(thing.item())
    if numpy_module is not None and isinstance(thing, numpy_module.ndarray):
        dtype = str(thing.dtype)
        if dtype not in _SIZES:
            return None
        _check_size(thing.nbytes, thing.shape)
        return Array(cast(Any, dtype), list(thing.shape), thing.astype(thing.dtype.newbyteorder("<")).tobytes())
    return None


def _plain_tensor_to_wire(thing: torch.Tensor) -> Tensor | None:
    """A dense tensor whose type numpy knows, in one step of torch instead of ten; None if it is anything else."""
    try:
        numbers = sys.modules["torch"].Tensor.numpy(thing, force=True)  # not what its own attribute `numpy` says
    except (TypeError, ValueError, RuntimeError):
        return None
    dtype = _TYPES.get(numbers.dtype.str)
    if dtype is None:
        return None
    _check_size(numbers.nbytes, numbers.shape)
    if dtype == "bool":
        numbers = numbers.view("u1") != 0  # a byte may hold any number, which torch takes for True
    return Tensor(cast(Any, dtype), list(numbers.shape), numbers.tobytes(), bool(thing.requires_grad))


def _check_size(size: int, shape: Sequence[int]) -> None:
    """Raise WireError for too many bytes, or for none whose shape is too large."""
    if not size and math.prod(one for one in shape if one) > _MAX_SHAPE:
        raise WireError("an empty tensor of this shape is too large")
    if size > MAX_MESSAGE:
        raise WireError(f"a value of {size / 2**20:.0f} MiB is too large; the limit is {MAX_MESSAGE // 2**20} MiB")


def from_wire(value: Any, resolve: Callable[[Ref], Any], depth: int = 0) -> Any:
    """Convert a decoded wire value to a Python value. A `Ref` becomes `resolve(ref)`."""
    if depth > _MAX_DEPTH:
        raise WireError("the value is nested too deeply")
    match value:
        case List(items):
            return [from_wire(item, resolve, depth + 1) for item in items]
        case Tuple(items):
            return tuple(from_wire(item, resolve, depth + 1) for item in items)
        case Dict(pairs):
            try:
                return {from_wire(k, resolve, depth + 1): from_wire(v, resolve, depth + 1) for k, v in pairs}
            except TypeError:
                raise WireError("a key of a dictionary is not hashable") from None
        case Bytes(data):
            return data
        case Large(digits):
            return int(digits)
        case Tensor():
            return _to_tensor(value)
        case Array():
            return _to_array(value)
        case Ref():
            return resolve(value)
        case _:
            return value


def refuse_false(value: Any, depth: int = 0) -> None:
    """Raise WireError if `from_wire` would: then nobody keeps the value who looks at it later."""
    if depth > _MAX_DEPTH:
        raise WireError("the value is nested too deeply")
    match value:
        case List(items) | Tuple(items):
            for item in items:
                refuse_false(item, depth + 1)
        case Dict(pairs):
            for pair in pairs:
                for part in pair:
                    refuse_false(part, depth + 1)
        case Tensor() | Array():
            _checked(value)


def _checked(value: Tensor | Array) -> bytes:
    if math.prod(value.shape) * _SIZES[value.dtype] != len(value.data):
        raise WireError(f"a {value.dtype} tensor of shape {tuple(value.shape)} cannot have {len(value.data)} bytes")
    _check_size(len(value.data), value.shape)
    return value.data


def _to_tensor(value: Tensor) -> torch.Tensor:
    import torch

    data = _checked(value)
    if value.dtype in _NUMPYS and data:
        import numpy as np

        # one step of torch, which counts where its steps are watched
        tensor = torch.from_numpy(np.frombuffer(bytearray(data), _NUMPYS[value.dtype]).reshape(value.shape))
    else:
        dtype = getattr(torch, value.dtype)
        flat = torch.frombuffer(bytearray(data), dtype=dtype) if data else torch.empty(0, dtype=dtype)
        tensor = flat.reshape(value.shape)
    if value.grad and (tensor.is_floating_point() or tensor.is_complex()):
        tensor.requires_grad_()
    return tensor


def _to_array(value: Array) -> np.ndarray[Any, Any]:
    import numpy as np

    return np.frombuffer(_checked(value), dtype=value.dtype).reshape(value.shape).copy()
