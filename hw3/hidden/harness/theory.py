"""Harness of hw3/theory: asks the student's functions, gives their answers one form, and notes what they change.

A function may return tensors, numpy's arrays, lists or plain numbers of any floating type. All of them come back as
tensors in float64. Of functions that students invent, only what is demanded of them comes back, not their values.
"""

import contextlib
import inspect
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy
import torch
from torch import Tensor

_Function = Callable[..., Any]
_Answer = Tensor | str
"""a tensor in float64, or words for what came back in place of numbers"""
_Lent = tuple[str, Sequence[str], Sequence[Any], Tensor, bool]
"""the name of an earlier function, those of its arguments, what it is asked, its right answer to that, and whether only
differences of energies count"""


def asked(
    function: _Function, given: Sequence[Any], parts: int = 0, lent: Sequence[_Lent] = ()
) -> tuple[_Answer | list[_Answer], list[int]]:
    """The function's answer, and the positions of those tensors in `given` that it changed.

    With `parts`, the answer is a tuple of that many. `lent` are functions of earlier exercises that this one may call:
    where they are wrong, right answers take the place of theirs.
    """
    before = [_copied(thing) for thing in given]
    with _with_lent(function, lent):
        try:
            answer = function(*given)
        except RuntimeError as error:  # the notebook's energies are float32, and a function may return nothing else
            if "dtype" not in str(error):
                raise
            given = [_float32(thing) for thing in before]
            before = [_copied(thing) for thing in given]
            answer = function(*given)
    changed = [number for number, thing in enumerate(given) if _changed(before[number], thing)]
    if not parts:
        return plain(answer), changed
    several = _several(answer)
    if len(several) != parts:
        return (plain(answer) if answer is None else f"{len(several) or 'no'} parts"), changed
    return [plain(part) for part in several], changed


def plain(value: Any) -> _Answer:
    """Numbers of any kind as a tensor in float64; words if they are something else."""
    if value is None:
        return "nothing (None)"
    try:
        tensor = _tensor(value)
    except (TypeError, ValueError, RuntimeError):
        return f"a {type(value).__name__}"
    return "complex numbers" if tensor.is_complex() else tensor.double()


def letter(given: Callable[[], object]) -> str:
    """A text as it is; the kind of anything else, in words."""
    found = given()
    return found if isinstance(found, str) else f"a {type(found).__name__}"


def groups(given: Callable[[], object], letters: str) -> list[int] | None:
    """The number of the group of each letter, for a dictionary from letters to words that stand for groups.

    Groups are counted in the order in which they appear; -1 is a letter without a word. None if it is no dictionary.
    """
    found = given()
    if not isinstance(found, dict):
        return None
    words = {str(letter).strip().upper(): str(word).strip().lower() for letter, word in found.items()}
    seen = list(dict.fromkeys(words[letter] for letter in letters if letter in words))
    return [seen.index(words[letter]) if letter in words else -1 for letter in letters]


# ---------------------------------------------------------------------------------------------- invented functions


def standing(
    function: _Function, x: Tensor, y: Tensor, least: float
) -> tuple[str, list[list[int]], bool, bool, list[int]]:
    """How the energies of points stand to those of the first two, which are right answers for the same x.

    A difference counts from `least` on, as a part of the greatest difference.

    What is wrong with their form; for the points inside the circle and for those outside, the least and the greatest of
    1, 0 and -1, as an energy is above, at or below the higher of the two; whether the energies of the two agree;
    whether all energies are finite; the arguments that were changed.
    """
    answer, changed = asked(function, [x, y])
    if not isinstance(answer, Tensor) or answer.shape != y.shape:
        return _form(answer), [], False, False, changed
    right, others = answer[:2], answer[2:]
    least = least * float((others.max() - right.max()).clamp(min=0)) if least else 0.0
    order = (others > right.max() + least).int() - (others < right.max() - least).int()
    inside = y[2:].abs() < y[:2].max()
    apart = (right[0] - right[1]).abs() <= 1e-3 * (others.min() - right.min()).abs()
    return "", [_range(order[inside]), _range(order[~inside])], bool(apart), bool(answer.isfinite().all()), changed


def jumps(function: _Function, lines: Sequence[tuple[float, float, float, float]]) -> list[str]:
    """For each line from a pair (x, y) to another one, whether the energy jumps at its "start", "later" or not ("").

    The steepest pieces of the line are halved again and again, as far as numbers of this size go. A jump stays as high
    as it is; what a continuous energy rises by, however steep it is, gets less and less.
    """
    return [_jumps(function, torch.tensor(line, dtype=torch.double)) for line in lines]


_PIECES, _STEEPEST, _HALVINGS = 400, 4, 45


def _jumps(function: _Function, line: Tensor) -> str:
    def energies(places: Tensor) -> Tensor:
        x, y = (line[i] + places.flatten() * (line[2 + i] - line[i]) for i in (0, 1))
        answer, _ = asked(function, [x, y])
        fits = isinstance(answer, Tensor) and answer.shape == x.shape
        return answer.reshape(places.shape) if fits else torch.zeros_like(places)  # type: ignore[union-attr]

    def steps(values: Tensor) -> Tensor:
        return values.diff(dim=-1).abs().nan_to_num(0.0, 0.0)  # what is infinite is told elsewhere

    values = energies(torch.linspace(0, 1, _PIECES + 1, dtype=torch.double))
    low = steps(values).topk(_STEEPEST).indices.double() / _PIECES
    width, heights = 1 / _PIECES, []
    for _ in range(_HALVINGS):
        first, second = steps(energies(low[:, None] + width * torch.tensor([0.0, 0.5, 1.0]).double())).T
        heights.append(torch.maximum(first, second))
        width /= 2
        low = torch.where(first >= second, low, low + width)
    early, last = heights[8], heights[-1]  # numbers of float32 tell these pieces apart
    values = values[values.isfinite()]
    least = 1e-2 * float(values.max() - values.min()) if len(values) else 0.0
    places = low[(last > least) & (last > 0.9 * early)]
    return "" if not len(places) else "start" if float(places.min()) < 0.01 else "later"


def movement(
    function: _Function, before: Sequence[Tensor], after: Sequence[Tensor]
) -> tuple[str, list[int], list[int]]:
    """What is wrong with the form of the losses; the least and the greatest of -1, 0 and 1, as a pair's loss falls,
    stays or grows; the arguments that were changed.
    """
    old, changed = asked(function, before)
    new, again = asked(function, after)
    for answer in (old, new):
        if not isinstance(answer, Tensor) or answer.shape != before[0].shape:
            return _form(answer), [], changed
        if not answer.isfinite().all():
            return "values that are not finite", [], changed
    assert isinstance(old, Tensor) and isinstance(new, Tensor)
    grows = new > old + 1e-6 * old.abs().clamp(min=1e-3)  # more than rounding
    return "", _range(grows.int() - (new < old).int()), changed or again


def far_out(function: _Function, F_pos: Tensor) -> list[int]:
    """For each pair, whether the loss of a very high F⁻ still falls (-1), is at its end (0) or grows (1) as F⁻ rises.

    A loss may overflow where nobody asked for such energies. It is then looked at where it does not.
    """
    for low, high in ((1e6, 1e12), (300.0, 600.0), (40.0, 80.0)):
        with contextlib.suppress(OverflowError, ZeroDivisionError):
            old, new = (plain(function(F_pos.clone(), torch.full_like(F_pos, level))) for level in (low, high))
            if isinstance(old, Tensor) and isinstance(new, Tensor) and (old + new).isfinite().all():
                change = new - old
                moves = (change > 1e-6 * old.abs().clamp(min=1)).int() - (change < -1).int()
                return [int(move) for move in moves.flatten()]
    return [-1] * len(F_pos)


def infinite(function: _Function, given: Sequence[Any]) -> Tensor:
    """Which entries of an answer are infinite and positive."""
    answer, _ = asked(function, given)
    return (answer == torch.inf).double() if isinstance(answer, Tensor) else torch.zeros(0)


def _range(numbers: Tensor) -> list[int]:
    return [int(numbers.min()), int(numbers.max())] if len(numbers) else []


def _form(answer: object) -> str:
    return f"a tensor of shape {tuple(answer.shape)}" if isinstance(answer, Tensor) else str(answer)


# ---------------------------------------------------------------------------------------------- forms


def _tensor(value: Any) -> Tensor:
    if isinstance(value, Tensor):
        with torch._C.DisableTorchFunctionSubclass():  # the numbers themselves, whatever a class of its own says
            return torch.Tensor.as_subclass(value, Tensor).detach().clone()
    if isinstance(value, list | tuple):
        return torch.stack([_tensor(item).double() for item in value]) if value else torch.zeros(0)
    array = numpy.array(value)
    return torch.tensor(float(value)) if array.dtype == object else torch.tensor(array)


def _several(answer: Any) -> list[Any]:
    try:
        return [] if isinstance(answer, str | dict) else list(answer)
    except TypeError:
        return []


def _copied(thing: Any) -> Any:
    return thing.clone() if isinstance(thing, Tensor) else thing


def _float32(thing: Any) -> Any:
    return thing.float() if isinstance(thing, Tensor) and thing.is_floating_point() else _copied(thing)


def _changed(before: Any, after: Any) -> bool:
    return isinstance(after, Tensor) and not torch.equal(before, after)


# ---------------------------------------------------------------------------------------------- earlier exercises
# Code of the student's can read all that is here, through any function that it is given. So no right part comes here:
# only its answers to the energies of this question.


@contextlib.contextmanager
def _with_lent(function: _Function, lent: Sequence[_Lent]) -> Iterator[None]:
    """Within this context, the function's notebook has the lent versions of earlier functions."""
    inner = inspect.unwrap(function)
    names = getattr(inner, "__globals__", None) or getattr(type(inner).__call__, "__globals__", None)
    if names is None:
        yield
        return
    before = {name: names[name] for name, *_ in lent if name in names}
    names.update({one[0]: _stand_in(before.get(one[0]), one) for one in lent})
    try:
        yield
    finally:
        for name, *_ in lent:
            del names[name]
        names.update(before)


def _stand_in(own: Any, lent: _Lent) -> _Function:
    """The student's own function. Where its answer is known and wrong, a right one of the same type."""
    _, arguments, values, right, shifts = lent

    def answer(*given: Any, **options: Any) -> Any:
        exact = None
        with contextlib.suppress(TypeError, ValueError, RuntimeError, KeyError, IndexError):
            named = dict(zip(arguments, given, strict=False)) | options
            if len(given) + len(options) == len(arguments):  # else the student's own takes more than was asked for
                exact = _looked_up([plain(named[name]) for name in arguments], values, right, shifts)
        if exact is None:
            return own(*given, **options)
        try:
            mine = own(*map(_copied, given), **{name: _copied(thing) for name, thing in options.items()})
        except Exception:
            mine = None
        have = plain(mine)
        if isinstance(have, Tensor) and have.shape == exact.shape and torch.allclose(have, exact, 1e-4, 1e-6):
            return mine
        return _as(mine if mine is not None else given[0] if given else None, exact)

    answer.__name__, answer.__doc__ = getattr(own, "__name__", "answer"), getattr(own, "__doc__", None)
    return answer


def _looked_up(given: Sequence[_Answer], values: Sequence[Any], right: Tensor, shifts: bool) -> Tensor | None:
    """The right answers for rows of energies (B, n) or for one row, each found among those of `values`; None where one
    is not there. `given` and `values` are energies, right answers if the function is given these, and β. With `shifts`,
    only β times the differences of energies count.
    """
    if not all(isinstance(thing, Tensor) for thing in given):
        return None
    (F, *labels, beta), (known, *known_labels, known_beta) = given, values
    assert isinstance(F, Tensor) and isinstance(beta, Tensor)
    rows, found = F.reshape(-1, F.shape[-1]), []
    scaled, listed = _scaled(rows, float(beta), shifts), _scaled(known.double(), known_beta, shifts)
    rounding = 2e-6 * float(known.abs().max()) * (known_beta if shifts else 1)  # of float32
    for b, row in enumerate(scaled):
        near = (listed - row).abs().amax(1) <= rounding
        if not shifts:
            near &= abs(float(beta) - known_beta) <= 1e-6 * known_beta
        for label, known_label in zip(labels, known_labels, strict=True):
            near &= known_label == label.reshape(-1)[b]  # type: ignore[union-attr]
        if not near.any():
            return None
        found.append(right[int(near.int().argmax())])
    return torch.stack(found).reshape(*F.shape[:-1], *right.shape[1:])


def _scaled(rows: Tensor, beta: float, shifts: bool) -> Tensor:
    return beta * (rows - rows.amin(1, keepdim=True)) if shifts else rows


def _as(like: Any, exact: Tensor) -> Any:
    """`exact` as an object of the same type as `like`."""
    if isinstance(like, numpy.ndarray):
        return exact.numpy()
    if isinstance(like, list):
        return exact.tolist()
    if isinstance(like, Tensor) and like.is_floating_point():
        return exact.to(like.dtype)
    return exact
