"""What was seen of a value in the student's process: its kind, its shape, and its numbers if they are few."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

Kind: TypeAlias = Literal["value", "tensor", "array", "list", "tuple", "object"]
Plain: TypeAlias = bool | int | float | str | None
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

    @property
    def is_array(self) -> bool:
        return self.kind in ("tensor", "array")

    @property
    def is_opaque(self) -> bool:
        """Whether it is an object of which no more than its class is known."""
        return self.kind == "object" and "(" not in str((self.items or ("",))[0])

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
            return text if len(text) <= 100 or not self.is_array else f"{self.kind} of shape {shape_text(self.shape)}"
        match self.kind:
            case "value" if self.items is not None and isinstance(self.items[0], float):
                return f"about {self.items[0]:.4g}"
            case "tensor" | "array":
                return f"{self.kind} of shape {shape_text(self.shape)}"
            case "list" | "tuple":
                inner = ", ".join(item.told() for item in self.items or ())
                return f"{self.kind} of {inner}" if 0 < len(inner) <= 100 else f"{self.kind} of {self.shape[0]} items"
        words = str(self.items[0]) if self.items else self.kind
        return f"an {words}" if words[:1] in "AEIOaeio" else f"a {words}"

    def shapes(self) -> list[tuple[int, ...]]:
        """Its shape if it is a tensor, or those of the tensors in it."""
        if self.kind in ("list", "tuple"):
            return [shape for item in self.items or () for shape in item.shapes()]
        return [self.shape] if self.is_array else []


def read(said: Any, depth: int = 0) -> Seen:
    """What a student's process says that it saw. Raises ValueError if it is anything else."""
    kind, shape, items = said
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
        return Seen(kind, tuple(shape), inner)
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
