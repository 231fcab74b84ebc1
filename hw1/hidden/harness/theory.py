"""Harness of hw1/theory: puts answers into one form, and watches the student's training loop and figure.

Answers that mean the same get the same form, so that they can be compared with the answers of known mistakes.
"""

import itertools
import math
import struct
from collections.abc import Callable, Sequence
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


def factors_at_a_kink(function: Callable[..., object], place: int, high: float, *arguments: object) -> object:
    """Like parts, but where slope `place` on the last part's diagonal lies between 0 and `high`, it is put to 0.

    At a kink all slopes between those on the two sides mean the same.
    """
    answer = parts(function, *arguments)
    last = answer[-1] if isinstance(answer, list) and answer else None
    if isinstance(last, Tensor) and last.ndim == 2 and min(last.shape) > place and 0 <= last[place, place] <= high:
        last = last.clone()
        last[place, place] = 0
        answer = [*answer[:-1], last]  # type: ignore[index]
    return answer


def one(function: Callable[..., object], *arguments: object) -> object:
    """What `function` returns, as a float32 tensor if it holds numbers."""
    return _tensor(function(*arguments))


def number(function: Callable[..., object], *arguments: object) -> object:
    """What `function` returns, as a float32 tensor without dimensions if it holds one number."""
    answer = _tensor(function(*arguments))
    return answer.reshape(()) if isinstance(answer, Tensor) and answer.numel() == 1 else answer


def loss(function: Callable[..., object], *arguments: object) -> object:
    """What `function` returns, as a float32 tensor of the number and 0.1 if it holds one number.

    The 0.1 gives rounding its scale: a small loss that is a difference of large numbers is then like an exact one.
    """
    answer = number(function, *arguments)
    scalar = isinstance(answer, Tensor) and answer.ndim == 0
    return torch.stack([answer, torch.tensor(0.1)]) if scalar else answer  # type: ignore[list-item]


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


# ---------------------------------------------------------------------------------------------- the training loop


class _Watched:
    """A linear model ŷ = x w with its criterion and its optimiser, which notes the calls in order.

    A call that gets what another call made names it: "loss 1" compares the prediction of batch 1 with its labels. For
    clearing more than one place is right, so it is counted, and each step notes how many gradients it finds added up.
    """

    def __init__(self, xs: Sequence[Tensor], ys: Sequence[Tensor], w: Tensor, lr: float) -> None:
        self.w, self.gradient, self.lr = w.clone(), torch.zeros_like(w), lr
        self.batches = [(x.clone(), y.clone()) for x, y in zip(xs, ys, strict=True)]
        self.calls: list[str] = []
        self.found: list[int] = []
        self.cleared = self._holding = 0
        self._x = self._y_hat = self._dl_dyhat = torch.zeros(0)

    def __call__(self, x: Tensor) -> Tensor:
        self.calls.append(f"forward {_place(x, [x for x, _ in self.batches])}")
        self._x = x
        self._y_hat = x @ self.w
        return self._y_hat

    forward = __call__

    def criterion(self, y_hat: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        of = _place(y, [y for _, y in self.batches]) if y_hat is self._y_hat else "?"
        self.calls.append(f"loss {of}")
        self._dl_dyhat = 2 * (y_hat - y)
        return ((y_hat - y) ** 2).sum(), self._dl_dyhat

    def zero_grad(self) -> None:
        self.cleared, self._holding = self.cleared + 1, 0
        self.gradient = torch.zeros_like(self.gradient)

    def backward(self, dl_dyhat: Tensor) -> None:
        self.calls.append("backward" if dl_dyhat is self._dl_dyhat else "backward ?")
        self._holding += 1
        self.gradient = self.gradient + (self._x * dl_dyhat).sum(0)[:, None]

    def step(self) -> None:
        self.calls.append("step")
        self.found.append(self._holding)
        self.w = self.w - self.lr * self.gradient


def _place(one: object, among: Sequence[object]) -> str:
    """The number of an object in a list, "?" if it is none of them."""
    return next((str(i) for i, other in enumerate(among) if one is other), "?")


def trained(
    train: Callable[..., object], xs: Sequence[Tensor], ys: Sequence[Tensor], w: Tensor, lr: float, epochs: int
) -> list[object]:
    """Train a watched model.

    Returns its calls in order, how often it was cleared, how many gradients each step found, its weights afterwards,
    and the losses if they are numbers.
    """
    watched = _Watched(xs, ys, w, lr)
    returned = train(watched, watched.criterion, watched, watched.batches, epochs)
    losses = _listed(returned)
    try:
        numbers = [float(loss) for loss in losses] if losses is not None else None  # type: ignore[arg-type]
    except (TypeError, ValueError, RuntimeError):
        numbers = None
    return [watched.calls, watched.cleared, watched.found, watched.w, numbers]


# ---------------------------------------------------------------------------------------------- pictures


def letter(given: Callable[[], object]) -> str:
    """A text as it is; the kind of anything else, in words."""
    found = given()
    return found if isinstance(found, str) else f"a {type(found).__name__}"


def placed(given: Callable[[], object], arrows: Sequence[tuple[str, str]]) -> list[list[str]] | str:
    """The names, those that share a place with another, and which of the arrows run to the left or straight up or down.

    So drawings that differ only in their places are the same. A text if it is no dictionary of pairs of finite numbers.
    """
    found = given()
    if not isinstance(found, dict) or not all(isinstance(name, str) for name in found):
        return "no dictionary of names"
    places = {}
    for name, place in found.items():
        pair = _listed(place)
        try:
            numbers = [float(number) for number in pair or ()]  # type: ignore[arg-type]
        except (TypeError, ValueError, RuntimeError, OverflowError):
            return "places that are no numbers"
        if len(numbers) != 2 or not all(map(math.isfinite, numbers)):
            return "places that are no pairs of finite numbers"
        places[name] = numbers
    crowded = [name for name in places if list(places.values()).count(places[name]) > 1]
    drawn = [(start, end, places[end][0] - places[start][0]) for start, end in arrows if {start, end} <= places.keys()]
    left = [f"{start} to {end}" for start, end, way in drawn if way < 0]
    upright = [f"{start} to {end}" for start, end, way in drawn if way == 0]
    return [sorted(names) for names in (places, crowded, left, upright)]


_CURVES = ("leakyrelu", "softplus", "gelu", "relu")  # in this order: "leakyrelu" contains "relu"


def drawn(draw_slopes: Callable[..., object], at: Sequence[float]) -> tuple[bool, list[list[float]]] | str:
    """What is drawn on axes: whether the x-axis has a label, and for each of _CURVES one list per line of that name.

    The list holds the number of points, at most 50, the first x, the last x, the widest gap, at least 0.4, and the
    heights at the places `at`, read off between the neighbouring points and rounded to two decimals. So two lines with
    points enough do not differ in these. A text if there is no such line.
    """
    import matplotlib.pyplot as plt
    import numpy as np

    figure, (ax, _) = plt.subplots(1, 2)  # the axes that were made last are pyplot's current ones
    try:
        draw_slopes(ax)
        found = []
        for line in ax.get_lines():
            label = "".join(c for c in str(line.get_label()).lower() if c.isalpha())
            number = next((i for i, curve in enumerate(_CURVES) if curve in label), None)
            if number is None:
                continue
            x, y = (np.asarray(data, dtype=float) for data in line.get_data(orig=False))
            kept = np.isfinite(x) & np.isfinite(y)
            x, y = x[kept], y[kept]
            order = np.argsort(x, kind="stable")
            x, y = x[order], y[order]
            if len(x) < 2:
                found.append([float(number), float(len(x))])
                continue
            heights = np.round(np.interp(np.asarray(at), x, y), 2)
            extent = [float(min(len(x), 50)), float(x[0]), float(x[-1]), max(float(np.diff(x).max()), 0.4)]
            found.append([float(number), *(round(value, 2) for value in extent), *heights.tolist()])
        return (bool(ax.get_xlabel()), sorted(found)) if found else "no line with one of the names"
    finally:
        plt.close(figure)


# ---------------------------------------------------------------------------------------------- lists and names


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
    """What a list, a tuple, a set or the like holds, up to a thousand things; None for anything else."""
    try:
        return list(itertools.islice(given, 1000))  # type: ignore[call-overload]
    except TypeError:
        return None


def _names(given: object) -> list[str] | None:
    """What a list or the like of strings holds; None for anything else."""
    found = _listed(given)
    names = [name for name in found or () if isinstance(name, str)]
    return names if found is not None and len(names) == len(found) else None
