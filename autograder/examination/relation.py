"""Relations: in which way an answer differs from the right one, in words that do not depend on the numbers drawn."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from autograder.examination.likeness import CLOSELY, EXACTLY
from autograder.sandbox.wire.messages import Raised, Returned
from autograder.sandbox.wire.values import Array, Dict, List, Ref, Tensor, Tuple, from_wire

if TYPE_CHECKING:
    import torch

SAME = "the same"
_FACTORS = tuple(sign * factor for factor in (0.1, 0.25, 1 / 3, 0.5, 2, 3, 4, 10) for sign in (1, -1))
_NEAR = 1e-3
_MOST_ITEMS = 8
"""most items of a list that are looked at one by one"""
_MOST_ENTRIES = 200_000


def relation(answer: Returned | Raised, right: Returned | Raised) -> str:
    """How an answer relates to the right one: `SAME`, ‘−1 times’, ‘transposed’, ‘raises IndexError’ …"""
    if CLOSELY.alike(answer, right):
        return SAME
    if isinstance(answer, Raised):
        return f"raises {answer.error}" + (f" ({_text(answer.message)})" if answer.message else "")
    if isinstance(right, Raised):
        return f"gives {_kind(answer.value)} in place of {right.error}"
    return _values(answer.value, right.value)


def parted(answer: Returned | Raised, right: Returned | Raised) -> bool:
    """Whether from here on the numbers of objects mean different things: later questions cannot be compared."""
    return list(_objects(answer)) != list(_objects(right))


def _objects(answer: Returned | Raised) -> Iterator[int]:
    waiting = [answer.value] if isinstance(answer, Returned) else []
    while waiting:
        match waiting.pop():
            case Ref(number=number):
                yield number
            case List(items=items) | Tuple(items=items):
                waiting += items
            case Dict(pairs=pairs):
                waiting += [item for pair in pairs for item in pair]
            case _:
                pass


def digits(answer: Returned | Raised, right: Returned | Raised) -> str:
    """How well two answers agree that differ by little: ‘to about 5 digits’; '' if they are the same."""
    if EXACTLY.alike(answer, right):
        return ""
    largest = max(_gaps(answer, right), default=0.0)
    return f"to about {max(0, round(-math.log10(largest)))} digits" if largest > 0 else "nearly"


def _gaps(answer: Returned | Raised, right: Returned | Raised) -> Iterator[float]:
    """The largest difference of each tensor or number, as a share of its largest entry."""
    if not (isinstance(answer, Returned) and isinstance(right, Returned)):
        return
    waiting = [(answer.value, right.value)]
    while waiting:
        match waiting.pop():
            case (Tensor() | Array() | int() | float()) as one, (Tensor() | Array() | int() | float()) as other:
                have, want = _tensor(one).double(), _tensor(other).double()
                if have.shape == want.shape and have.numel():
                    yield float((have - want).abs().max()) / (float(want.abs().max()) or 1.0)
            case ((List(items=mine) | Tuple(items=mine)), (List(items=theirs) | Tuple(items=theirs))):
                waiting += zip(mine, theirs, strict=False)
            case _:
                pass


def _text(message: str) -> str:
    """The text of an error without its numbers and names of things, which differ from one draw to the next."""
    return re.sub(r"\d+(\.\d+)?(e[-+]?\d+)?|'[^']*'|\[[^\]]*\]|\([^)]*\)", "…", message.split("\n")[0])[:80]


def _kind(value: Any) -> str:
    match value:
        case None:
            return "None"
        case Ref():
            return "an object"
        case Tensor():
            return "a tensor"
        case Array():
            return "an array"
        case bool():
            return "True or False"
        case int() | float():
            return "a number"
        case str():
            return "a text"
        case _:
            return f"a {type(value).__name__.lower()}"


def _values(mine: Any, right: Any) -> str:
    numbers = (Tensor, Array, int, float)
    if isinstance(mine, bool) or isinstance(right, bool) or mine is None or isinstance(mine, str):
        short = repr(mine) if isinstance(mine, bool) or mine is None else f"the text {mine[:30]!r}"
        return f"{short} in place of {_kind(right)}"
    if isinstance(mine, numbers) and isinstance(right, numbers):
        return _tensors(mine, right)
    if isinstance(mine, List | Tuple) and isinstance(right, List | Tuple):
        return _lists(mine, right)
    if isinstance(mine, Dict) and isinstance(right, Dict):
        return _lists(Tuple([item for _, item in mine.pairs]), Tuple([item for _, item in right.pairs]))
    if isinstance(mine, Ref) and isinstance(right, Ref):
        return f"an object {mine.kind[:60]} in place of {right.kind[:60]}"
    return f"{_kind(mine)} in place of {_kind(right)}"


def _lists(mine: List | Tuple, right: List | Tuple) -> str:
    if len(mine.items) != len(right.items):
        return "more items" if len(mine.items) > len(right.items) else "fewer items"
    pairs = list(zip(mine.items, right.items, strict=True))
    found = [
        SAME if CLOSELY.alike(Returned(b"", one), Returned(b"", other)) else _values(one, other) for one, other in pairs
    ]
    wrong = {text for text in found if text != SAME}
    if not wrong:
        return "another kind of list"
    if len(wrong) == 1 and SAME not in found:
        return f"each item {wrong.pop()}"
    if len(found) > _MOST_ITEMS:
        return f"some items {', '.join(sorted(wrong)[:3])}"
    return "items: " + ", ".join(found)


def _tensors(mine: Any, right: Any) -> str:
    have, want = _tensor(mine), _tensor(right)
    words = [] if have.dtype == want.dtype or not isinstance(mine, Tensor | Array) else [f"{have.dtype}"[6:]]
    if isinstance(mine, Tensor) and isinstance(right, Tensor) and mine.grad != right.grad:
        words.append("with a gradient" if mine.grad else "without a gradient")
    if have.shape != want.shape:
        return ", ".join([*words, _shapes(list(have.shape), list(want.shape))])
    if have.is_complex() or want.is_complex() or have.numel() > _MOST_ENTRIES:
        return ", ".join([*words, "other values"])
    import torch

    have, want = have.to(torch.float64), want.to(torch.float64)
    if not torch.allclose(have, want, rtol=1e-4, atol=1e-6, equal_nan=True):
        words.append(_numbers(have, want))
    return ", ".join(words) or "almost the same"


def _tensor(value: Any) -> torch.Tensor:
    import torch

    if isinstance(value, Tensor | Array):
        plain = from_wire(value, lambda ref: ref)
        return plain.detach() if isinstance(plain, torch.Tensor) else torch.as_tensor(plain)
    return torch.as_tensor(value, dtype=torch.float64 if isinstance(value, float) else None)


def _shapes(have: list[int], want: list[int]) -> str:
    if sorted(have) == sorted(want):
        return "axes swapped"
    if [size for size in have if size != 1] == [size for size in want if size != 1]:
        return "axes of size 1 " + ("too many" if len(have) > len(want) else "missing")
    if len(have) != len(want):
        summed = len(have) < len(want) and any(have == want[:axis] + want[axis + 1 :] for axis in range(len(want)))
        return "an axis missing" if summed else f"{len(have)} axes in place of {len(want)}"
    return "axes " + ", ".join(_size(one, other) for one, other in zip(have, want, strict=True))


def _size(have: int, want: int) -> str:
    if have == want:
        return "right"
    return (
        f"{have - want:+d}"
        if abs(have - want) <= 2
        else ("of size 1" if have == 1 else "longer" if have > want else "shorter")
    )


def _numbers(have: torch.Tensor, want: torch.Tensor) -> str:
    import torch

    if not torch.isfinite(have).all():
        return "nan" if have.isnan().any() else "infinite"
    if not torch.isfinite(want).all():
        return "finite where infinity is right"
    if not have.any():
        return "zero"
    scale = float(want.abs().max()) or 1.0

    def near(other: torch.Tensor) -> bool:
        return bool((have - other).abs().max() <= _NEAR * scale)

    return next(_exact(have, want, near), "") or ", ".join(_pattern(have, want, scale))


def _exact(have: torch.Tensor, want: torch.Tensor, near: Any) -> Iterator[str]:
    """Sentences that explain all values."""
    if near(-want):
        yield "−1 times"
    for factor in _FACTORS:
        if near(factor * want):
            yield f"{factor:.3g} times"
    norm = float((want * want).sum())
    factor = float((have * want).sum()) / norm if norm else 0.0
    if have.numel() > 1 and near(factor * want):
        yield "a negative factor" if factor < 0 else "a factor above 1" if factor > 1 else "a factor below 1"
    if have.numel() > 1 and near(want + (have - want).mean()):
        yield "a constant added"
    for axis, size in enumerate(want.shape):
        if size > 1:
            if near(want.flip(axis)):
                yield f"reversed along axis {axis - want.dim()}"
            for shift in (1, -1):
                if near(want.roll(shift, axis)):
                    yield f"shifted along axis {axis - want.dim()}"
    for one in range(want.dim()):
        for other in range(one):
            if want.shape[one] == want.shape[other] and near(want.transpose(one, other)):
                yield "transposed"
    if have.numel() > 1 and bool((have.flatten().sort().values - want.flatten().sort().values).abs().max() <= 1e-6):
        yield "in another order"
    for axis in range(want.dim()):
        dot, square = (have * want).sum(axis, keepdim=True), (want * want).sum(axis, keepdim=True)
        if want.shape[axis] > 1 and bool((square > 0).all()) and near(dot / square * want):
            yield f"a factor of its own along axis {axis - want.dim()}"
        if want.shape[axis] > 1 and near(want + (have - want).mean(axis, keepdim=True)):
            yield f"a constant of its own added along axis {axis - want.dim()}"


def _pattern(have: torch.Tensor, want: torch.Tensor, scale: float) -> Iterator[str]:
    """Where values are wrong, and in which direction."""
    import torch

    wrong = (have - want).abs() > 1e-5 * scale + 1e-4 * want.abs()
    if not wrong.any():
        yield "slightly off"
        return
    for axis in range(want.dim()):
        others = [other for other in range(want.dim()) if other != axis]
        lines = wrong.amax(others) if others else wrong
        places = lines.nonzero().flatten().tolist()
        if len(places) < len(lines):
            which = {(0,): "the first", (len(lines) - 1,): "the last"}.get(tuple(places), "some")
            first, last = not lines[0], not lines[-1]
            without = [text for text, there in (("the first", first), ("the last", last)) if there]
            if which == "some" and len(without) and len(places) == len(lines) - len(without):
                which = "all but " + " and ".join(without)
            yield f"wrong in {which} along axis {axis - want.dim()}"
    have, want = have[wrong], want[wrong]
    if not have.any():
        yield "zero where wrong"
    elif have.numel() > 1 and bool((have - have[0]).abs().max() <= 1e-6 * scale):
        yield "one value where wrong"
    if not want.any():
        yield "where zero is right"
    if bool((have >= want).all()):
        yield "too high"
    elif bool((have <= want).all()):
        yield "too low"
    sizes = (have.abs() / want.abs().clamp_min(1e-12)).log2()
    middle = float(sizes.median())
    yield "smaller" if middle < -0.5 else "larger" if middle > 0.5 else "of about the right size"
    if want.numel() > 4 and torch.isfinite(sizes).all():
        left, right = have - have.mean(), want - want.mean()
        bottom = math.sqrt(float((left * left).sum() * (right * right).sum()))
        together = float((left * right).sum()) / bottom if bottom > 0 else 0.0
        yield (
            "rising and falling with the right ones"
            if together > 0.9
            else "falling where the right ones rise"
            if together < -0.9
            else "unrelated to the right ones"
        )
