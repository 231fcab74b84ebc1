"""Values as plain data: what the student's functions hold, bounded. What comes back is data that nobody here trusts."""

from __future__ import annotations

import zlib
from typing import Any

import numpy
import torch


def is_tensor(thing: object) -> bool:
    return isinstance(thing, torch.Tensor)


def is_array(thing: object) -> bool:
    return isinstance(thing, numpy.ndarray)


def is_module(thing: object) -> bool:
    return isinstance(thing, torch.nn.Module)


def seen(thing: Any, depth: int = 0) -> list[Any]:
    """What `seen.read` reads: kind, shape, items, and what else the kind needs."""
    if thing is None or type(thing) in (bool, int, float):
        return ["value", [], [thing]] if type(thing) is not int or abs(thing) < 2**53 else ["object", [], ["int"]]
    if type(thing) is str:
        return ["value", [], [thing]] if len(thing) <= 40 else ["object", [], ["str"]]
    if is_tensor(thing) or is_array(thing):
        size = thing.numel() if is_tensor(thing) else thing.size
        short = size <= 12 and (is_array(thing) or not thing.is_complex())
        flat = (thing.detach() if is_tensor(thing) else thing).reshape(-1).tolist() if short else None
        kind = str(thing.dtype).replace("torch.", "")
        return ["tensor" if is_tensor(thing) else "array", list(map(int, thing.shape)), flat, kind]
    if type(thing) in (list, tuple):
        short, kind = len(thing) <= 8 and depth < 2, type(thing).__name__
        if short:
            return [kind, [len(thing)], [seen(item, depth + 1) for item in thing]]
        return [kind, [len(thing)], None, seen(thing[0], depth + 1) if depth < 2 else None]
    return ["object", [], [type(thing).__name__[:60]]]


def described(thing: Any) -> list[Any]:
    """As `seen`, and of an object what it holds."""
    found = seen(thing)
    if found[0] != "object":
        return found
    name, parts = type(thing).__name__, dict[Any, Any]()
    if str(type(thing).__module__).startswith("torch."):
        name += f" ({'.'.join(type(thing).__module__.split('.')[:2])})"
    if is_module(thing):
        if _is_library(thing):
            mode = " in training mode" if getattr(thing, "training", True) else " in evaluation mode"
            return ["object", [], [_cut(repr(thing), 140) + mode]]
        parts = {"training": getattr(thing, "training", True), **members(thing)}
    elif type(thing) is dict:
        parts = thing
    elif not callable(getattr(thing, "__get__", None)) and not isinstance(thing, type):
        parts = members(thing)
    texts = [f"{name}: {text}" for name, item in list(parts.items())[:8] if (text := _part(item))]
    return ["object", [], [_cut(name + " with " + ", ".join(texts), 160) if texts else name[:80]]]


def members(thing: Any) -> dict[str, Any]:
    """What an object keeps under names without an underscore: of a network its parameters and parts, too."""
    own = dict(getattr(thing, "__dict__", {}))
    if is_module(thing):
        kinds = ("_parameters", "_buffers", "_modules")
        own = {name: item for kind in kinds for name, item in own.get(kind, {}).items()} | own
    return {name: item for name, item in own.items() if not str(name).startswith("_")}


def sums(thing: Any, depth: int = 0) -> list[float] | None:
    """A few numbers that differ where values differ much; None if there are none."""
    if type(thing) in (list, tuple) and len(thing) <= 200 and depth < 2:
        numbers: list[float] = []
        for item in thing:
            inner = sums(item, depth + 1)
            if inner is None:
                return None
            numbers += inner
        return numbers
    if type(thing) in (bool, int, float):
        return [float(thing)]
    try:
        thing = thing.detach().numpy() if is_tensor(thing) else thing
        if not is_array(thing) or thing.size > 10**6:
            return None
        flat = numpy.asarray(thing, dtype=float).reshape(-1)
        found = [flat.sum(), abs(flat).sum(), flat @ numpy.arange(1, flat.size + 1)]
        return list(map(float, found)) if numpy.isfinite(found).all() else None
    except Exception:
        return None


def digest(thing: Any, depth: int = 0) -> str:
    """A text that differs where values differ in a number, in their type or in whether they ask for a gradient."""
    if type(thing) in (list, tuple) and len(thing) <= 200 and depth < 2:
        return ",".join(digest(item, depth + 1) for item in thing)
    try:
        asks = str(getattr(thing, "requires_grad", ""))
        thing = thing.detach().numpy() if is_tensor(thing) else thing
        if is_array(thing):
            return f"{thing.dtype}{asks}{zlib.crc32(numpy.ascontiguousarray(thing).tobytes())}"
    except Exception:
        return ""
    return repr(thing)[:60] if type(thing) in (bool, int, float, str) else type(thing).__name__[:60]


def _part(thing: Any) -> str:
    """What an object holds under one name, in a few words."""
    found = seen(thing)
    if is_module(thing) and _is_library(thing):
        return _cut(repr(thing), 60)
    if found[0] in ("tensor", "array"):
        return str(tuple(found[1])) + ("" if "float" in found[3] else " " + found[3])
    if found[0] == "value":
        return repr(found[2][0]) if type(thing) in (bool, int, str) else ""
    return f"{len(thing)} items" if type(thing) in (list, tuple, dict) else type(thing).__name__


def _is_library(module: object) -> bool:
    return type(module).__module__.startswith("torch.nn.modules")


def _cut(text: str, most: int) -> str:
    text = " ".join(text.split())
    return text if len(text) <= most else text[: most - 1] + "…"
