"""What was seen of a value in the student's process: its kind, its shape, and its numbers if they are few."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

Kind: TypeAlias = Literal["value", "tensor", "array", "list", "tuple", "object"]
Plain: TypeAlias = bool | int | float | str | None
_USUAL = "float32", "float64"
"""types that need not be told"""
_MOST = 12
"""most entries of a tensor that are written out"""


@dataclass(frozen=True)
class Seen:
    """`items` are the entries of a tensor row by row, the items of a list, one plain value, or words for an object.

    They are None for a tensor or a list that is too long.
    """

    kind: Kind
    shape: tuple[int, ...]
    items: tuple[Any, ...] | None
    dtype: str = ""
    """of a tensor or an array: int64"""
    first: Seen | None = None
    """the first item of a list that is too long"""

    @property
    def is_array(self) -> bool:
        return self.kind in ("tensor", "array")

    @property
    def is_opaque(self) -> bool:
        """Whether it is an object of which no more than its class is known."""
        if self.kind in ("list", "tuple"):
            return any(item.is_opaque or item.is_only_counted for item in self.items or ())
        return self.kind == "object" and "(" not in str((self.items or ("",))[0])

    @property
    def is_only_counted(self) -> bool:
        """Whether it is a list of which no more than the number of items is told."""
        return self.kind in ("list", "tuple") and not self.literal() and self.told() == self._counted()

    def literal(self) -> str:
        """The value as one writes it, or '' if it is not short and exact."""
        match self.kind:
            case "value" if self.items is not None:
                return number_text(self.items[0])
            case "tensor" | "array" if self.items is not None:
                texts = [number_text(item) for item in self.items]
                inner = nested(texts, self.shape) if all(texts) else ""
                return f"{self.kind}({inner})" if inner else ""
            case "list" | "tuple" if self.items is not None:
                texts = [item.literal() for item in self.items]
                if not all(texts):
                    return ""
                if self.kind == "list":
                    return f"[{', '.join(texts)}]"
                return f"({', '.join(texts)}{',' if len(texts) == 1 else ''})"
        return ""

    def told(self) -> str:
        """The value, or what can be said of it in few words."""
        if text := self.literal():
            return text if len(text) <= 100 or not self.is_array else self._shaped()
        match self.kind:
            case "value" if self.items is not None and isinstance(self.items[0], float):
                return f"about {self.items[0]:.4g}"
            case "tensor" | "array":
                return self._shaped()
            case "list" | "tuple":
                inner = ", ".join(item.told() for item in self.items or ())
                if 0 < len(inner) <= 100:
                    return f"{self.kind} of {inner}"
                first = self.first or next(iter(self.items or ()), None)
                begin = first.told() if first is not None else ""
                return f"{self._counted()}, the first: {begin}" if 0 < len(begin) <= 80 else self._counted()
        words = str(self.items[0]) if self.items else self.kind
        return f"an {words}" if words[:1] in "AEIOaeio" else f"a {words}"

    def _shaped(self) -> str:
        text = f"{self.kind} of shape {shape_text(self.shape)}"
        return text if not self.dtype or self.dtype in _USUAL else f"{text} and dtype {self.dtype}"

    def _counted(self) -> str:
        return f"{self.kind} of {self.shape[0]} items"

    def shapes(self) -> list[tuple[int, ...]]:
        """Its shape if it is a tensor, or those of the tensors in it."""
        if self.kind in ("list", "tuple"):
            return [shape for item in self.items or () for shape in item.shapes()]
        return [self.shape] if self.is_array else []


def read(said: Any, depth: int = 0) -> Seen:
    """What a student's process says that it saw. Raises ValueError if it is anything else."""
    kind, shape, items, *more = said
    rest = more[0] if more else None
    if kind not in get_args(Kind) or depth > 4 or len(shape) > 8:
        raise ValueError("not a value")
    if not all(type(size) is int and 0 <= size < 2**31 for size in shape):
        raise ValueError("not a shape")
    if items is not None and len(items) > _MOST:
        raise ValueError("too many entries")
    if kind in ("list", "tuple"):
        inner = tuple(read(item, depth + 1) for item in items) if items is not None else None
        if len(shape) != 1 or (inner is not None and len(inner) != shape[0]):
            raise ValueError("another number of items")
        return Seen(kind, tuple(shape), inner, first=read(rest, depth + 1) if rest is not None else None)
    if items is not None and not all(item is None or type(item) in (bool, int, float, str) for item in items):
        raise ValueError("not plain")
    if kind in ("tensor", "array") and items is not None and len(items) != math.prod(shape):
        raise ValueError("another number of entries")
    if kind in ("value", "object") and (items is None or len(items) != 1):
        raise ValueError("not one value")
    return Seen(
        kind,
        tuple(shape),
        tuple(item[:160] if isinstance(item, str) else item for item in items) if items is not None else None,
        str(rest)[:20] if kind in ("tensor", "array") and rest is not None else "",
    )


def shape_text(shape: tuple[int, ...]) -> str:
    return str(tuple(shape))


def number_text(value: Plain) -> str:
    """A plain value as Python writes it; '' for a number that four digits do not give to float32's accuracy."""
    if isinstance(value, float):
        if not math.isfinite(value):
            return str(value)
        text = f"{value + 0.0:.4g}"
        if abs(float(text) - value) > 1e-6 * max(abs(value), 1e-3):
            return ""
        return text if any(sign in text for sign in ".e") else f"{text}.0"
    return repr(value)


def nested(texts: list[str], shape: tuple[int, ...]) -> str:
    """Entries row by row as nested lists."""
    if not shape:
        return texts[0]
    step = math.prod(shape[1:])
    return f"[{', '.join(nested(texts[at * step : (at + 1) * step], shape[1:]) for at in range(shape[0]))}]"
