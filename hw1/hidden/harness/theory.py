"""Harness of hw1/theory: answers in one form, however they are written, and arguments as they are afterwards.

What is the same in every form can be compared with the answers of known mistakes.
"""

import math
import struct
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


def parts(function: Callable[..., object], *arguments: object) -> object:
    """What `function` returns, a list of float32 tensors if it is a tuple, a list or the like of what holds numbers."""
    answer = function(*arguments)
    if isinstance(answer, Tensor) or hasattr(answer, "tolist"):
        tensor = _tensor(answer)
        answer = tensor.unbind() if isinstance(tensor, Tensor) and tensor.ndim else tensor
    return [_tensor(part) for part in answer] if isinstance(answer, tuple | list) else answer


def one(function: Callable[..., object], *arguments: object) -> object:
    """What `function` returns, as a float32 tensor if it holds numbers."""
    return _tensor(function(*arguments))


def number(function: Callable[..., object], *arguments: object) -> object:
    """What `function` returns, as a float32 tensor without dimensions if it holds one number."""
    answer = _tensor(function(*arguments))
    return answer.reshape(()) if isinstance(answer, Tensor) and answer.numel() == 1 else answer


def answer_and_arguments(
    work: Callable[..., object], function: Callable[..., object], *arguments: Tensor
) -> list[object]:
    """What `function` returns, in the form that `work` gives it, and its arguments as they are afterwards."""
    return [work(function, *arguments), *arguments]


def _tensor(answer: object) -> object:
    """Numbers as a float32 tensor, in which True counts as 1; anything else as it is."""
    try:
        tensor = torch.as_tensor(answer).detach()
    except (TypeError, ValueError, RuntimeError, OverflowError):
        return answer
    return answer if tensor.is_complex() else tensor.float()


def order_of_steps(given: Callable[[], object]) -> list[list[str]] | None:
    """Three lists: all steps by name; the order without "zero_grad"; by name, those between "backward" and "step".

    What runs from "backward" to "step" goes on at the beginning of the list, for iterations follow each other.
    """
    steps = _names(given())
    if steps is None:
        return None
    between: list[str] = []
    if "backward" in steps and "step" in steps:
        start = steps.index("backward") + 1
        turned = steps[start:] + steps[:start]
        between = sorted(turned[: turned.index("step")])
    return [sorted(steps), [step for step in steps if step != "zero_grad"], between]


def arrows(given: Callable[[], object]) -> list[tuple[str, str]] | None:
    """The pairs in alphabetical order, whatever they come in; None if they are no pairs of names."""
    edges = _listed(given())
    pairs = [_names(edge) for edge in edges] if edges is not None else [None]
    found = {(pair[0], pair[1]) for pair in pairs if pair is not None and len(pair) == 2}
    return sorted(found) if all(pair is not None and len(pair) == 2 for pair in pairs) else None


def below_the_largest(given: Callable[[], object]) -> list[float] | None:
    """How far each float32 logit lies below the largest, in order.

    From 150 on it counts as 150, and is told once: e^-150 is 0. From 20 to 100 it counts as 20: e^-20 and e^-100 are
    not 0, but vanish beside 1. None stays None, and the list is empty if these are not two or more finite numbers.
    """
    logits = given()
    if logits is None:
        return None
    flat: list[Any] | None = logits.flatten().tolist() if hasattr(logits, "flatten") else _listed(logits)
    if flat is None or len(flat) < 2:
        return []
    try:
        numbers = [struct.unpack("f", struct.pack("f", float(logit)))[0] for logit in flat]
    except (TypeError, ValueError, OverflowError, struct.error):
        return []
    if not all(math.isfinite(number) for number in numbers):
        return []
    below = [min(max(numbers) - number, 150.0) for number in numbers]
    below = [20.0 if 20 <= distance <= 100 else distance for distance in below]
    return sorted(distance for distance in below if distance < 150) + [150.0] * (150.0 in below)


def answers(given: Callable[[], object]) -> list[tuple[object, object]] | None:
    """The pairs of a dictionary in the order of their keys; None for anything else."""
    found = given()
    return sorted(found.items(), key=str) if isinstance(found, dict) else None


def _listed(given: object) -> list[object] | None:
    """What a list, a tuple, a set or the like holds; None for anything else."""
    try:
        return list(given)  # type: ignore[call-overload,no-any-return]
    except TypeError:
        return None


def _names(given: object) -> list[str] | None:
    """What a list or the like of strings holds; None for anything else."""
    found = _listed(given)
    names = [name for name in found or () if isinstance(name, str)]
    return names if found is not None and len(names) == len(found) else None
