"""Likeness: whether two answers to a question agree, exactly or up to rounding and the types of values."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from autograder.sandbox.wire.messages import Raised, Returned
from autograder.sandbox.wire.values import Array, Dict, List, Ref, Tensor, Tuple, from_wire

if TYPE_CHECKING:
    import torch

_HUGE = 1e300
"""whole numbers from here on have no floating-point number"""


@dataclass(frozen=True)
class Likeness:
    """How closely two answers must agree."""

    single: float
    """relative tolerance for float32 tensors and plain numbers"""
    double: float
    """relative tolerance for float64 tensors"""
    strict: bool
    """whether exceptions must have the same message, and not only the same type, cell and words; and whether values
    must be of the same types, and not only the same numbers in the same shape"""

    def alike(self, mine: Returned | Raised, other: Returned | Raised) -> bool:
        if isinstance(mine, Raised) or isinstance(other, Raised):
            return isinstance(mine, Raised) and isinstance(other, Raised) and self._errors(mine, other)
        return self._same(mine.value, other.value)

    def _errors(self, mine: Raised, other: Raised) -> bool:
        if mine.error != other.error:
            return False
        same = mine.message == other.message
        return same or (not self.strict and mine.cell == other.cell and _words(mine.message) == _words(other.message))

    def _same(self, mine: Any, other: Any) -> bool:
        if isinstance(mine, bool) or isinstance(other, bool) or mine is None or other is None:
            return mine is other
        if isinstance(mine, int | float) and isinstance(other, int | float):
            return _near(float(mine), float(other), self.single)
        if not self.strict and (numbers := _numbers(mine)) is not None and (others := _numbers(other)) is not None:
            return self._numbers(numbers, others, self.single)
        if type(mine) is not type(other):
            return False
        match mine:
            case Ref():
                return bool(mine.number == other.number)
            case List() | Tuple():
                return len(mine.items) == len(other.items) and all(map(self._same, mine.items, other.items))
            case Dict():
                mine, other = ([item for pair in side.pairs for item in pair] for side in (mine, other))
                return len(mine) == len(other) and all(map(self._same, mine, other))
            case Tensor():
                return self._tensors(mine, other)
            case _:
                return bool(mine == other)

    def _tensors(self, mine: Tensor, other: Tensor) -> bool:
        import torch

        if (mine.shape, mine.dtype, mine.grad) != (other.shape, other.dtype, other.grad):
            return False
        if mine.data == other.data:
            return True
        a, b = (from_wire(tensor, lambda ref: ref).detach() for tensor in (mine, other))
        if not a.is_floating_point():
            return bool(torch.equal(a, b))
        return self._numbers(a, b, self.double if a.dtype == torch.float64 else self.single)

    @staticmethod
    def _numbers(a: torch.Tensor, b: torch.Tensor, rounding: float) -> bool:
        if a.shape != b.shape:
            return False
        scale = a.nan_to_num(0, 0, 0).abs().max().item() if a.numel() else 0.0
        return bool(a.allclose(b, rtol=rounding, atol=rounding * max(scale, 1e-3), equal_nan=True))


EXACTLY = Likeness(1e-6, 1e-13, strict=True)
CLOSELY = Likeness(1e-4, 1e-6, strict=True)
"""allows for sums in a different order"""
ROUGHLY = Likeness(1e-4, 1e-6, strict=False)
"""allows for numbers of other types: students may return a list or an array for a tensor"""


def _numbers(value: Any) -> torch.Tensor | None:
    """The numbers of an answer as one tensor, None if it holds anything else or is ragged."""
    import torch

    match value:
        case Tensor() | Array():
            found = torch.as_tensor(from_wire(value, lambda ref: ref)).detach()
            return None if found.dtype == torch.bool or found.is_complex() else found.double()
        case int() | float() if not isinstance(value, bool):
            return torch.tensor(float(value), dtype=torch.float64) if abs(value) < _HUGE else None
        case List(items) | Tuple(items) if items:
            parts = [_numbers(item) for item in items]
            same = [
                part for part in parts if part is not None and parts[0] is not None and part.shape == parts[0].shape
            ]
            return torch.stack(same) if len(same) == len(parts) else None
    return None


def _words(message: str) -> str:
    """An exception's text without its numbers."""
    return re.sub(r"[0-9]+", "0", message)


def _near(a: float, b: float, rounding: float) -> bool:
    if not (math.isfinite(a) and math.isfinite(b)):
        return a == b or (a != a and b != b)
    return abs(a - b) <= rounding * max(abs(a), abs(b), 1e-6)
